/* choose.c - layouts and algorithms of every layer, by least expected time, measured or by rule.
 *
 * A layer computes all its passes in one pair of layouts (in, out); where a reader's `in` differs
 * from the writer's `out` a reorder is paid for, and another one for the gradient.  Along a chain
 * dynamic programming finds the best choice; where tensors have several readers, the layers are
 * then improved one by one, in order, until none changes any more (at most SWEEPS times).
 *
 * A relu that its neighbours may do (fuse.c) costs nothing itself: its seconds are added to each
 * algorithm of theirs that cannot. */
#include "net/plan_parts.h"

#include "base/mem.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SWEEPS 8

/* What one layer costs in each pair of layouts. */
typedef struct option {
    double seconds[VOX_LAYOUTS][VOX_LAYOUTS]; /* INFINITY: cannot */
    const vox_algo *algo[VOX_LAYOUTS][VOX_LAYOUTS][VOX_PASSES];
    int variant[VOX_LAYOUTS][VOX_LAYOUTS][VOX_PASSES];
} option;

typedef struct chooser {
    const vox_wiring *w;
    vox_device *dev;
    int64_t n_max;
    const vox_finddb *times;        /* NULL: none */
    option *option;                 /* [layers + 1] */
    double (*reorder)[VOX_LAYOUTS]; /* [edge][from]: seconds to the other layout */
    double (*relu)[VOX_PASSES];     /* [layer]: seconds of a relu's pass that may be fused, or 0 */
    vox_forced *forced;
} chooser;

/* ---- internal operations ------------------------------------------------ */

vox_status vox_internal_node(vox_node *node, const char *op, const vox_shape *shape, int inputs,
                             vox_error *err)
{
    memset(node, 0, sizeof *node);
    node->op = vox_op_find(op);
    if (!node->op)
        return vox_fail(err, VOX_ERR_UNSUPPORTED, "this build has no operation \"%s\"", op);
    snprintf(node->name, sizeof node->name, "%s", op);
    node->inputs = inputs;
    for (int i = 0; i < inputs; i++)
        node->in[i] = *shape;
    node->out = *shape;
    return VOX_OK;
}

static double seconds_of(const vox_algo *a, const vox_problem *p)
{
    return a->seconds ? a->seconds(p) : 0;
}

const vox_algo *vox_choose_internal(const vox_node *node, vox_device *dev, int64_t n_max,
                                    vox_layout in, vox_layout out)
{
    const vox_problem p = {.node = node, .dev = dev, .n_max = n_max};
    const vox_algo *best = NULL;
    for (const vox_algo *a = node->op->algos; a && a->name; a++)
        if (a->in == in && a->out == out && a->pass == VOX_FORWARD && (!a->fits || a->fits(&p)) &&
            (!best || seconds_of(a, &p) < seconds_of(best, &p)))
            best = a;
    return best;
}

static void cost_reorders(chooser *c)
{
    for (int e = 0; e <= c->w->graph->layers; e++)
        for (int from = 0; from < VOX_LAYOUTS; from++) {
            vox_node node;
            const vox_algo *a = NULL;
            if (vox_internal_node(&node, "reorder", vox_graph_edge_shape(c->w->graph, e), 1,
                                  NULL) == VOX_OK)
                a = vox_choose_internal(&node, c->dev, c->n_max, (vox_layout)from,
                                        (vox_layout)(1 - from));
            const vox_problem p = {.node = &node, .dev = c->dev, .n_max = c->n_max};
            c->reorder[e][from] = a ? seconds_of(a, &p) : INFINITY;
        }
}

/* ---- what each layer offers --------------------------------------------- */

/* Expected seconds: measured, or by the rule where nothing was measured for the pass (key NULL:
 * for any).  Between measured algorithms one that was not does not win, unless it is forced. */
static double expected(const chooser *c, const vox_problem *p, const char *key, const vox_algo *a,
                       bool is_forced)
{
    if (!key || !vox_finddb_timed(c->times, key, a->pass))
        return seconds_of(a, p);
    const vox_finding *f = vox_finddb_find(c->times, key, a, p);
    if (f && f->verdict == VOX_VERDICT_TIMED)
        return f->seconds;
    return is_forced ? seconds_of(a, p) : (double)INFINITY;
}

/* What the relu layers around a layer cost because this algorithm does not do them. */
static double unfused(const chooser *c, int layer, const vox_algo *a)
{
    double sum = 0;
    if (a->pass == VOX_FORWARD) {
        const int relu = vox_fuse_after(c->w, layer);
        return !relu || vox_fuse_can(a, vox_wiring_node(c->w, relu)) ? 0
                                                                     : c->relu[relu][VOX_FORWARD];
    }
    for (int k = 0; a->pass == VOX_BACKWARD_DATA && k < vox_wiring_inputs(c->w, layer); k++) {
        const int relu = vox_fuse_before(c->w, layer, k);
        if (relu >= 0 && !vox_fuse_can(a, vox_wiring_node(c->w, relu)))
            sum += c->relu[relu][VOX_BACKWARD_DATA];
    }
    return sum;
}

/* The best found so far for a pass. */
typedef struct method {
    const vox_algo *algo;
    int variant;
    double seconds;
} method;

/* The variants of one algorithm: the one that is forced, else the timed ones, else the rule's. */
static void try_variants(const chooser *c, int layer, const vox_problem *p, const char *key,
                         const vox_algo *a, bool is_forced, method *b)
{
    const int only = vox_forced_variant(c->forced, a, p);
    const int count = key && only < 0 ? vox_algo_variants(a, p) : 1;
    for (int i = 0; i < count; i++) {
        vox_problem with = *p;
        with.variant = only < 0 ? i : only;
        if (i > 0 && !vox_finddb_find(c->times, key, a, &with))
            continue;
        const double t = expected(c, &with, key, a, is_forced && i == 0) + unfused(c, layer, a);
        if (t < b->seconds)
            *b = (method){a, with.variant, t};
    }
}

static method best_method(const chooser *c, int layer, const vox_problem *p, const char *key,
                          const vox_algo *like)
{
    const char *name = vox_forced_algo(c->forced, p->node->op, like->pass);
    method b = {.seconds = INFINITY};
    for (const vox_algo *a = p->node->op->algos; a && a->name; a++)
        if (a->pass == like->pass && a->in == like->in && a->out == like->out &&
            (!name || strcmp(name, a->name) == 0) && (!a->fits || a->fits(p)))
            try_variants(c, layer, p, key, a, name != NULL, &b);
    return b;
}

static vox_status no_algorithm(const chooser *c, const vox_node *node, vox_error *err)
{
    char in[96], out[96];
    const vox_device_desc *d = vox_device_get(c->dev);
    bool is_forced = false;
    for (int pass = 0; pass < VOX_PASSES; pass++)
        is_forced = is_forced || vox_forced_algo(c->forced, node->op, (vox_pass)pass);
    vox_fail(err, VOX_ERR_UNSUPPORTED, "layer %s (%s) has no algorithm that fits", node->name,
             node->op->name);
    vox_detail(err, "%s to %s, batch %lld, on %s%s", vox_shape_text(&node->in[0], in),
               vox_shape_text(&node->out, out), (long long)c->n_max, d->name,
               is_forced ? ", algorithms forced" : "");
    vox_hint(err, is_forced ? "do not force this operation's algorithm"
                            : "this is a gap in voxcl: please report the layer and the device");
    return VOX_ERR_UNSUPPORTED;
}

/* key NULL: by the rule.  false: no pair of layouts has algorithms for all passes. */
static bool fill_option(const chooser *c, int layer, const vox_problem *p, const char *key)
{
    option *o = &c->option[layer];
    bool any = false;
    for (int in = 0; in < VOX_LAYOUTS; in++)
        for (int out = 0; out < VOX_LAYOUTS; out++) {
            double sum = 0;
            for (int pass = 0; pass < VOX_PASSES; pass++) {
                const vox_algo like = {
                    .pass = (vox_pass)pass, .in = (vox_layout)in, .out = (vox_layout)out};
                if (!vox_wiring_runs(c->w, layer, like.pass))
                    continue;
                const method b = best_method(c, layer, p, key, &like);
                o->algo[in][out][pass] = b.algo;
                o->variant[in][out][pass] = b.variant;
                sum += c->relu[layer][pass] > 0 && !isinf(b.seconds) ? 0 : b.seconds;
            }
            o->seconds[in][out] = sum;
            any = any || !isinf(sum);
        }
    return any;
}

static vox_problem problem_of(const chooser *c, int layer)
{
    return (vox_problem){.node = vox_wiring_node(c->w, layer),
                         .dev = c->dev,
                         .n_max = c->n_max,
                         .training = c->w->training};
}

static vox_status list_options(chooser *c, int layer, vox_error *err)
{
    const vox_problem p = problem_of(c, layer);
    char *key = NULL;
    if (c->times && !(key = vox_finddb_key(&p, err)))
        return VOX_ERR_MEMORY;
    bool any = fill_option(c, layer, &p, key);
    if (!any && key) /* what was found usable does not fit together */
        any = fill_option(c, layer, &p, NULL);
    free(key);
    return any || c->w->skip[layer] ? VOX_OK : no_algorithm(c, p.node, err);
}

/* Seconds of the fastest algorithm of a pass in whatever layouts, or 0. */
static double least_seconds(const chooser *c, const vox_problem *p, const char *key, vox_pass pass)
{
    const vox_algo *a;
    double least = INFINITY;
    for (int i = 0; (a = vox_op_algo(p->node->op, pass, i)) != NULL; i++)
        if (!a->fits || a->fits(p))
            least = fmin(least, expected(c, p, key, a, false));
    return isinf(least) ? 0 : least;
}

/* Naming a relu's algorithm asks for a step of its own. */
static vox_status cost_relu(chooser *c, int layer, vox_error *err)
{
    const vox_problem p = problem_of(c, layer);
    const int before = vox_wiring_from(c->w, layer, 0) - 1;
    char *key = NULL;
    if (c->times && !(key = vox_finddb_key(&p, err)))
        return VOX_ERR_MEMORY;
    if (before >= 0 && vox_fuse_after(c->w, before) == layer &&
        !vox_forced_algo(c->forced, p.node->op, VOX_FORWARD))
        c->relu[layer][VOX_FORWARD] = least_seconds(c, &p, key, VOX_FORWARD);
    if (vox_wiring_runs(c->w, layer, VOX_BACKWARD_DATA) &&
        !vox_forced_algo(c->forced, p.node->op, VOX_BACKWARD_DATA))
        c->relu[layer][VOX_BACKWARD_DATA] = least_seconds(c, &p, key, VOX_BACKWARD_DATA);
    free(key);
    return VOX_OK;
}

static vox_status cost_relus(chooser *c, vox_error *err)
{
    vox_status s = VOX_OK;
    for (int i = c->w->first; i < c->w->last && s == VOX_OK; i++)
        if (!c->w->skip[i] && vox_wiring_node(c->w, i)->op->relu)
            s = cost_relu(c, i, err);
    return s;
}

/* ---- costs -------------------------------------------------------------- */

static vox_layout layout_written(const vox_choice *choice, int edge)
{
    return edge == 0 ? VOX_LAYOUT_PLAIN : choice[edge - 1].out;
}

/* A reorder of the values there, and of their gradient back, if the layouts differ; and the relu
 * that it keeps apart from the layer before. */
static double link_seconds(const chooser *c, int edge, vox_layout written, vox_layout wanted)
{
    if (written == wanted)
        return 0;
    const double relu = edge ? c->relu[vox_fuse_after(c->w, edge - 1)][VOX_FORWARD] : 0;
    return c->reorder[edge][written] + (c->w->needs[edge] ? c->reorder[edge][wanted] : 0) + relu;
}

static double total_seconds(const chooser *c, const vox_choice *choice)
{
    const vox_wiring *w = c->w;
    double sum = 0;
    for (int i = w->first; i <= w->last; i++)
        if (!w->skip[i])
            sum += c->option[i].seconds[choice[i].in][choice[i].out];
    for (int e = 0; e <= w->graph->layers; e++) {
        vox_layout written = layout_written(choice, e);
        for (int r = w->reader_start[e]; r < w->reader_start[e + 1]; r++)
            if (choice[w->reader[r].layer].in != written) {
                sum += link_seconds(c, e, written, choice[w->reader[r].layer].in);
                break; /* the other readers share it */
            }
    }
    return sum;
}

/* ---- searching ---------------------------------------------------------- */

/* Best time up to and with layer i for each layout of its output; `in` and `before` tell how. */
typedef struct state {
    double seconds[VOX_LAYOUTS];
    vox_layout in[VOX_LAYOUTS], before[VOX_LAYOUTS];
} state;

/* Seconds from the tensors a layer reads to the layout it wants, if the layer before it in the
 * chain wrote `before`.  Readers further off than the chain cost nothing yet. */
static double chain_link(const chooser *c, int layer, int chain, vox_layout before, vox_layout in)
{
    double sum = 0;
    for (int k = 0; k < vox_wiring_inputs(c->w, layer); k++) {
        int e = vox_wiring_from(c->w, layer, k);
        if (e == 0)
            sum += link_seconds(c, e, VOX_LAYOUT_PLAIN, in);
        else if (e == chain)
            sum += link_seconds(c, e, before, in);
    }
    return sum;
}

static void extend_chain(const chooser *c, int layer, int chain, const state *last, state *next)
{
    for (int out = 0; out < VOX_LAYOUTS; out++) {
        next->seconds[out] = INFINITY;
        for (int in = 0; in < VOX_LAYOUTS; in++)
            for (int before = 0; before < VOX_LAYOUTS; before++) {
                double t = last->seconds[before] + c->option[layer].seconds[in][out] +
                           chain_link(c, layer, chain, (vox_layout)before, (vox_layout)in);
                if (t < next->seconds[out]) {
                    next->seconds[out] = t;
                    next->in[out] = (vox_layout)in;
                    next->before[out] = (vox_layout)before;
                }
            }
    }
}

static vox_status search_chain(const chooser *c, vox_choice *choice, vox_error *err)
{
    const vox_wiring *w = c->w;
    state *best = vox_calloc((size_t)w->last + 2, sizeof *best, "a plan", err);
    int chain = 0, before = w->first; /* best[i + 1] is layer i; best[first]: the input, PLAIN */
    if (!best)
        return VOX_ERR_MEMORY;
    best[before].seconds[VOX_LAYOUT_BLOCK16] = INFINITY;
    for (int i = w->first; i <= w->last; i++) {
        if (w->skip[i])
            continue;
        extend_chain(c, i, chain, &best[before], &best[i + 1]);
        chain = before = i + 1;
    }
    vox_layout out = VOX_LAYOUT_PLAIN; /* the loss is last: [N], layout of no matter */
    if (best[w->last + 1].seconds[VOX_LAYOUT_BLOCK16] < best[w->last + 1].seconds[out])
        out = VOX_LAYOUT_BLOCK16;
    for (int i = w->last; i >= w->first; i--) {
        if (w->skip[i])
            continue;
        choice[i].in = best[i + 1].in[out];
        choice[i].out = out;
        out = best[i + 1].before[out];
    }
    free(best);
    return VOX_OK;
}

static bool improve_layer(const chooser *c, vox_choice *choice, int layer, double *total)
{
    vox_choice best = choice[layer];
    bool better = false;
    for (int in = 0; in < VOX_LAYOUTS; in++)
        for (int out = 0; out < VOX_LAYOUTS; out++) {
            choice[layer].in = (vox_layout)in;
            choice[layer].out = (vox_layout)out;
            double t = total_seconds(c, choice);
            if (t < *total) {
                *total = t;
                best = choice[layer];
                better = true;
            }
        }
    choice[layer] = best;
    return better;
}

static void improve(const chooser *c, vox_choice *choice)
{
    double total = total_seconds(c, choice);
    bool better = true;
    for (int sweep = 0; sweep < SWEEPS && better; sweep++) {
        better = false;
        for (int i = c->w->first; i <= c->w->last; i++)
            better = (!c->w->skip[i] && improve_layer(c, choice, i, &total)) || better;
    }
}

static vox_status search(chooser *c, vox_choice *choice, vox_error *err)
{
    vox_status s = search_chain(c, choice, err);
    if (s != VOX_OK)
        return s;
    improve(c, choice);
    if (isinf(total_seconds(c, choice)))
        return vox_fail_full(err, VOX_ERR_UNSUPPORTED, "the layers' layouts do not fit together",
                             "no reorder between the layouts of two neighbouring layers",
                             "do not force their algorithms");
    for (int i = c->w->first; i <= c->w->last; i++) {
        const option *o = &c->option[i];
        memcpy(choice[i].algo, o->algo[choice[i].in][choice[i].out], sizeof choice[i].algo);
        memcpy(choice[i].variant, o->variant[choice[i].in][choice[i].out],
               sizeof choice[i].variant);
    }
    return VOX_OK;
}

vox_status vox_choose(vox_choice *choice, const vox_wiring *w, vox_device *dev,
                      const vox_plan_options *opt, vox_error *err)
{
    const size_t n = (size_t)w->graph->layers + 1;
    memset(choice, 0, n * sizeof *choice); /* PLAIN everywhere */
    if (!dev)
        return VOX_OK;
    chooser *c = vox_calloc(1, sizeof *c, "a plan", err);
    if (!c)
        return VOX_ERR_MEMORY;
    c->w = w;
    c->dev = dev;
    c->n_max = opt->n_max;
    c->times = opt->times;
    c->option = vox_calloc(n, sizeof *c->option, "a plan", err);
    c->reorder = vox_calloc(n, sizeof *c->reorder, "a plan", err);
    c->relu = vox_calloc(n, sizeof *c->relu, "a plan", err);
    const bool room = c->option && c->reorder && c->relu;
    vox_status s = room ? vox_forced_open(&c->forced, opt->algo, err) : VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = vox_forced_check(c->forced, w, dev, opt->n_max, err);
    if (s == VOX_OK)
        s = cost_relus(c, err);
    if (s == VOX_OK)
        cost_reorders(c);
    for (int i = w->first; i <= w->last && s == VOX_OK; i++)
        s = list_options(c, i, err);
    if (s == VOX_OK)
        s = search(c, choice, err);
    if (s == VOX_OK)
        vox_fuse(choice, w, c->forced);
    vox_forced_free(&c->forced);
    free(c->option);
    free(c->reorder);
    free(c->relu);
    free(c);
    return s;
}
