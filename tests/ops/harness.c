/* harness.c - a suite's cases over devices, passes, algorithms and batch sizes. */
#include "ops/run.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

const char *const vt_pass_names[VOX_PASSES] = {"forward", "backward_data", "backward_weights"};

void vt_case_text(const vt_case *c, char out[320])
{
    snprintf(out, 320, "{%s} in %" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64 " (%s)",
             c->attr ? c->attr : "", c->in[0], c->in[1], c->in[2], c->in[3], c->in[4], c->why);
}

/* ---- the numbers of a case ---- */

static double draw(vox_random *r, vt_fill fill)
{
    switch (fill) {
    case VT_TIES:
        return (double)vox_random_below(r, 5) - 2;
    case VT_LARGE:
        return (double)(float)vox_random_range(r, -1e4, 1e4);
    case VT_OFFSET:
        return (double)(float)vox_random_range(r, 999, 1001);
    case VT_SPECIAL:
        switch (vox_random_below(r, 24)) {
        case 0:
            return NAN;
        case 1:
            return INFINITY;
        case 2:
        case 3:
            return -INFINITY;
        default:
            break;
        }
        break;
    case VT_UNIFORM:
        break;
    }
    return (double)(float)vox_random_range(r, -1, 1);
}

/* VT_SPECIAL also gives labels just out of range. */
static int64_t draw_label(vox_random *r, vt_fill fill, uint32_t classes)
{
    if (fill == VT_SPECIAL)
        return (int64_t)vox_random_below(r, classes + 2) - 1;
    return vox_random_below(r, classes);
}

/* count numbers (floats, or labels below classes); a stream of its own for each `which`. */
static double *draw_array(int64_t count, vt_fill fill, uint64_t seed, uint32_t which,
                          uint32_t classes, vox_error *err)
{
    double *a = vox_calloc((size_t)count, sizeof *a, "test numbers", err);
    vox_random r;
    vox_random_init(&r, seed, VOX_RANDOM_SYNTH, which, 0, 0);
    for (int64_t i = 0; a && i < count; i++)
        a[i] = classes ? (double)draw_label(&r, fill, classes) : draw(&r, fill);
    return a;
}

static double *zeros(int64_t count, vox_error *err)
{
    return vox_calloc((size_t)count, sizeof(double), "test numbers", err);
}

static bool alloc_data(vt_data *d, const vt_suite *suite, const vt_layer *l, const vt_case *c,
                       uint64_t seed, vox_error *err)
{
    const vox_node *node = &l->node;
    bool ok = true;
    for (int i = 0; i < node->inputs; i++) {
        int64_t count = d->n * vox_shape_count(&node->in[i]);
        bool label = suite->labels && i == node->inputs - 1;
        uint32_t classes = label ? (uint32_t)node->in[0].dim[1] : 0;
        if (classes == 1 && suite->binary)
            classes = 2;
        ok = ok && (d->x[i] = draw_array(count, c->fill, seed, (uint32_t)i, classes, err));
        if (!label)
            ok = ok && (d->dx[i] = zeros(count, err));
    }
    int64_t out = d->n * vox_shape_count(&node->out);
    ok = ok && (d->y = zeros(out, err)) && (d->dy = draw_array(out, VT_UNIFORM, seed, 100, 0, err));
    for (int i = 0; i < l->params; i++) {
        int64_t count = vox_shape_count(&l->param[i].shape);
        uint32_t which = 200 + 2 * (uint32_t)i;
        ok = ok && (d->param[i] = draw_array(count, VT_UNIFORM, seed, which, 0, err)) &&
             (d->prior[i] = draw_array(count, VT_UNIFORM, seed, which + 1, 0, err)) &&
             (d->dparam[i] = zeros(count, err));
        for (int64_t k = 0; ok && suite->positive >> i & 1 && k < count; k++)
            d->param[i][k] = (double)(float)(1 + 0.5 * d->param[i][k]);
        if (!l->param[i].trainable)
            ok = ok && (d->state[i] = zeros(count, err));
        for (int64_t k = 0; ok && d->state[i] && k < count; k++)
            d->state[i][k] = d->param[i][k];
    }
    for (int pass = 0; node->op->keeps && pass < VOX_PASSES; pass++) {
        const int64_t count = node->op->keeps(node, (vox_pass)pass, d->n);
        ok = ok && (count == 0 || (d->keep[pass] = zeros(count, err)));
    }
    return ok;
}

vox_status vt_data_open(vt_data *d, const vt_suite *suite, const vt_layer *l, const vt_case *c,
                        int64_t n, uint64_t seed, vox_error *err)
{
    memset(d, 0, sizeof *d);
    d->n = n;
    if (!alloc_data(d, suite, l, c, seed, err)) {
        vt_data_release(d);
        return VOX_ERR_MEMORY;
    }
    d->io = (ref_io){.node = &l->node, .n = n, .training = true, .y = d->y, .dy = d->dy};
    d->io.scale = 0.125;
    d->io.step = (vox_step){.seed = seed * 77 + (UINT64_C(5) << 40), .step = 11, .first = 6};
    for (int i = 0; i < VOX_MAX_INPUTS; i++) {
        d->io.x[i] = d->x[i];
        d->io.dx[i] = d->dx[i];
    }
    for (int i = 0; i < VOX_MAX_PARAMS; i++) {
        d->io.param[i] = d->param[i];
        d->io.dparam[i] = d->dparam[i];
        d->io.state[i] = d->state[i];
    }
    for (int pass = 0; pass < VOX_PASSES; pass++)
        d->io.keep[pass] = d->keep[pass];
    for (int pass = 0; pass < VOX_PASSES; pass++)
        if (suite->reference[pass])
            suite->reference[pass](&d->io);
    return VOX_OK;
}

void vt_data_release(vt_data *d)
{
    for (int i = 0; i < VOX_MAX_INPUTS; i++) {
        free(d->x[i]);
        free(d->dx[i]);
    }
    for (int i = 0; i < VOX_MAX_PARAMS; i++) {
        free(d->param[i]);
        free(d->dparam[i]);
        free(d->prior[i]);
        free(d->state[i]);
    }
    for (int pass = 0; pass < VOX_PASSES; pass++)
        free(d->keep[pass]);
    free(d->y);
    free(d->dy);
    memset(d, 0, sizeof *d);
}

/* ---- one case ---- */

/* What the loops below carry along. */
typedef struct scope {
    const vt_suite *suite;
    const vt_case *c;
    const vt_options *opt;
    vt_totals *totals;
    uint64_t seed;
    bool random; /* drawn, not from the table */
    vt_layer layer;
    vt_data data[2]; /* for n_max, and for c->n if that is less */
    int batches;
    int variant; /* being checked */
} scope;

static bool fuses(const vox_work *w)
{
    return w->problem.relu_out || w->problem.relu_in;
}

static vox_problem problem_of(const scope *s, vox_device *dev, int variant)
{
    return (vox_problem){.node = &s->layer.node,
                         .dev = dev,
                         .n_max = s->c->in[0],
                         .training = true,
                         .variant = variant};
}

static void fail_case(scope *s, vox_device *dev, const vox_algo *a, const vt_check *check,
                      const char *text)
{
    char words[320], name[VOX_ALGO_TEXT];
    const vox_problem p = problem_of(s, dev, s->variant);
    vt_case_text(s->c, words);
    s->totals->failures++;
    fprintf(stderr, "FAIL %s %s %s\n  case: %s, seed %" PRIu64 "\n", s->suite->op,
            a ? vt_pass_names[a->pass] : "", a ? vox_algo_text(a, &p, name) : "", words, s->seed);
    if (dev)
        fprintf(stderr, "  device %d: %s\n", vox_device_get(dev)->index, vox_device_get(dev)->name);
    if (check)
        fprintf(stderr, "  n %" PRId64 " of %" PRId64 "%s%s%s\n", check->data->n, check->n_max,
                check->accumulate ? ", accumulating" : "", check->training ? "" : ", evaluation",
                fuses(check->work) ? ", relu fused" : "");
    fprintf(stderr, "  %s\n  again: test_ops --op %s --seed %" PRIu64 "\n", text, s->suite->op,
            s->opt->seed);
}

static const char *layouts(const vox_algo *a)
{
    static const char *const words[2][2] = {{"plain", "plain->block16"},
                                            {"block16->plain", "block16"}};
    return words[a->in][a->out];
}

static void print_time(const scope *s, const vox_algo *a, const vt_check *check)
{
    const vox_node *node = &s->layer.node;
    char words[320], name[VOX_ALGO_TEXT];
    vt_case_text(s->c, words);
    double flops = node->op->flops ? node->op->flops(node, a->pass) * (double)check->data->n : 0;
    vox_algo_text(a, &check->work->problem, name);
    printf("%-10s %-16s %s%-*s %-15s %8.3f ms  %7.1f GFLOP/s  %6.2f GB/s (%3.0f %% of copy)  %s\n",
           s->suite->op, vt_pass_names[a->pass], name, 15 - (int)strlen(name),
           fuses(check->work) ? "+relu" : "", layouts(a), 1e3 * check->seconds,
           flops / check->seconds * 1e-9, check->bytes / check->seconds * 1e-9,
           100 * check->copy_seconds / check->seconds, words);
}

/* Evaluation's forward has results of its own. */
static bool check_eval(scope *s, vt_check *check)
{
    vt_data copy = *check->data;
    int64_t count = copy.n * vox_shape_count(&s->layer.node.out);
    copy.y = zeros(count, NULL);
    if (copy.keep[VOX_FORWARD]) {
        const vox_op *op = s->layer.node.op;
        copy.keep[VOX_FORWARD] = zeros(op->keeps(&s->layer.node, VOX_FORWARD, copy.n), NULL);
        copy.io.keep[VOX_FORWARD] = copy.keep[VOX_FORWARD];
    }
    if (!copy.y)
        return false;
    copy.io.y = copy.y;
    copy.io.training = false;
    for (int i = 0; i < VOX_MAX_PARAMS; i++) /* and leaves parameters as they were */
        copy.state[i] = copy.io.state[i] = copy.state[i] ? copy.param[i] : NULL;
    s->suite->reference[VOX_FORWARD](&copy.io);
    const vt_data *training = check->data;
    check->data = &copy;
    check->training = false;
    bool ok = vt_check_run(check);
    check->data = training;
    free(copy.y);
    free(copy.keep[VOX_FORWARD]);
    return ok;
}

static bool check_batches(scope *s, vox_work *w, vt_check *check)
{
    const vox_pass pass = w->algo->pass;
    for (int b = 0; b < s->batches; b++)
        for (int acc = 0; acc < (pass == VOX_BACKWARD_WEIGHTS ? 2 : 1); acc++) {
            *check = (vt_check){.suite = s->suite, .c = s->c, .layer = &s->layer, .work = w};
            check->data = &s->data[b];
            check->n_max = s->c->in[0];
            check->training = true;
            check->accumulate = acc != 0;
            check->time = s->opt->bench && b == 0 && acc == 0;
            s->totals->checks++;
            if (!vt_check_run(check))
                return false;
            if (check->time)
                break;
            if (s->suite->eval && pass == VOX_FORWARD && !check_eval(s, check))
                return false;
        }
    return true;
}

/* Runs it for one problem: alone, or with the relus around it. */
static void run_problem(scope *s, vox_device *dev, const vox_algo *a, const vox_problem *p)
{
    vox_error err = {0};
    vox_work w;
    vox_status status = vox_work_build(&w, p, a, &err);
    if (status == VOX_ERR_UNSUPPORTED) { /* only known once compiled: too few work-items, say */
        printf("not on this device: %s %s %s: %s | %s\n", s->suite->op, vt_pass_names[a->pass],
               a->name, err.message, err.detail);
        return;
    }
    if (status != VOX_OK) {
        char text[1024];
        snprintf(text, sizeof text, "build: %s | %s | %s", err.message, err.detail, err.hint);
        fail_case(s, dev, a, NULL, text);
        return;
    }
    vt_check check;
    if (!check_batches(s, &w, &check))
        fail_case(s, dev, a, &check, check.failure);
    else if (s->opt->bench)
        print_time(s, a, &check);
    vox_work_release(&w);
}

static void run_variant(scope *s, vox_device *dev, const vox_algo *a)
{
    vox_problem p = problem_of(s, dev, s->variant);
    double seconds = a->seconds ? a->seconds(&p) : NAN;
    if (!(seconds > 0 && isfinite(seconds))) {
        fail_case(s, dev, a, NULL, "expects no positive time");
        return;
    }
    run_problem(s, dev, a, &p);
    /* only the end of the kernel differs, which the small cases show */
    const bool small = s->c->when == VT_TINY || s->random;
    if (!a->fuses_relu || !(small || s->opt->all || strstr(s->c->why, "relu")))
        return;
    p.relu_out = a->pass == VOX_FORWARD;
    if (a->pass == VOX_BACKWARD_DATA) { /* all inputs; random cases: the last one alone */
        const unsigned last = 1u << (s->layer.node.inputs - 1);
        p.relu_in = s->random ? last : 2 * last - 1;
    }
    p.relu_slope = s->random && !a->no_slope ? 0.125f : 0;
    run_problem(s, dev, a, &p);
}

/* All variants with --all; a random case takes one of them, the others the rule's own. */
static void run_algo(scope *s, vox_device *dev, const vox_algo *a)
{
    const vox_problem p = problem_of(s, dev, 0);
    const int count = vox_algo_variants(a, &p);
    vox_random r;
    vox_random_init(&r, s->seed, VOX_RANDOM_SYNTH, 301, 0, 0);
    const int first = s->random ? (int)vox_random_below(&r, (uint32_t)count) : 0;
    for (s->variant = s->opt->all ? 0 : first; s->variant < count; s->variant++) {
        run_variant(s, dev, a);
        if (!s->opt->all)
            break;
    }
    s->variant = 0;
}

/* Whether the case says that it is about the algorithm: why has the word "@name" (mark '@'). */
static bool is_about(const vt_case *c, char mark, const char *name)
{
    const size_t length = strlen(name);
    for (const char *at = strchr(c->why, mark); at; at = strchr(at + 1, mark))
        if (strncmp(at + 1, name, length) == 0 && (at[1 + length] == '\0' || at[1 + length] == ' '))
            return true;
    return false;
}

/* A method meant for another kind of device takes most of the time to compile and to run: unless
 * --all is given, only the tiny cases and the random ones are worth that. */
static bool skip_algo(const scope *s, vox_device *dev, const vox_algo *a, double best)
{
    const vox_problem p = problem_of(s, dev, 0);
    if (a->fits && !a->fits(&p))
        return true;
    if (s->opt->all)
        return false;
    if (strchr(s->c->why, '@'))
        return !is_about(s->c, '@', a->name) && !(s->opt->sweep && is_about(s->c, '+', a->name));
    return s->c->when != VT_TINY && !s->random && a->seconds && a->seconds(&p) > 4 * best;
}

/* The expected time of the algorithm a plan would choose. */
static double best_seconds(const scope *s, vox_device *dev, vox_pass pass)
{
    const vox_problem p = problem_of(s, dev, 0);
    double best = INFINITY;
    const vox_algo *a;
    for (int k = 0; (a = vox_op_algo(s->layer.node.op, pass, k)); k++)
        if ((!a->fits || a->fits(&p)) && a->seconds)
            best = fmin(best, a->seconds(&p));
    return best;
}

/* Whether there is something that the pass computes. */
static bool has_pass(const scope *s, vox_pass pass)
{
    bool trainable = pass != VOX_BACKWARD_WEIGHTS;
    for (int i = 0; i < s->layer.params; i++)
        trainable = trainable || s->layer.param[i].trainable;
    return s->suite->reference[pass] && trainable;
}

static void run_devices(scope *s, vox_ctx *ctx)
{
    for (size_t i = 0; i < vox_ctx_device_count(ctx); i++) {
        vox_device *dev = vox_ctx_get(ctx, i);
        for (int pass = 0; pass < VOX_PASSES; pass++) {
            int64_t before = s->totals->checks;
            const vox_algo *a;
            if (!has_pass(s, (vox_pass)pass))
                continue;
            double best = best_seconds(s, dev, (vox_pass)pass);
            for (int k = 0; (a = vox_op_algo(s->layer.node.op, (vox_pass)pass, k)); k++)
                if (!skip_algo(s, dev, a, best))
                    run_algo(s, dev, a);
            if (s->totals->checks == before)
                fail_case(s, dev, NULL, NULL, "no algorithm fits");
        }
    }
}

static vox_status open_scope(scope *s, vox_error *err)
{
    vox_status status = vt_layer_open(&s->layer, s->suite, s->c, err);
    const int64_t batch[2] = {s->c->in[0], s->c->n};
    int count = batch[1] > 0 && batch[1] < batch[0] ? 2 : 1;
    for (; status == VOX_OK && s->batches < count; s->batches++)
        status = vt_data_open(&s->data[s->batches], s->suite, &s->layer, s->c, batch[s->batches],
                              s->seed, err);
    return status;
}

static void close_scope(scope *s)
{
    for (int b = 0; b < 2; b++)
        vt_data_release(&s->data[b]);
    vt_layer_release(&s->layer);
}

static void run_case(const vt_suite *suite, const vt_case *c, vox_ctx *ctx, const vt_options *opt,
                     uint64_t seed, bool random, vt_totals *totals)
{
    scope s = {.suite = suite, .c = c, .opt = opt, .totals = totals, .seed = seed};
    s.random = random;
    vox_error err = {0};
    char text[320];
    vt_case_text(c, text);
    if (opt->verbose)
        printf("%s %s\n", suite->op, text);
    totals->cases++;
    if (open_scope(&s, &err) != VOX_OK) {
        snprintf(text, sizeof text, "%s | %.200s", err.message, err.detail);
        fail_case(&s, NULL, NULL, NULL, text);
    } else {
        vox_random r;
        vox_random_init(&r, seed, VOX_RANDOM_SYNTH, 300, 0, 0);
        const vt_data *last = &s.data[s.batches - 1];
        if (!suite->not_exact && c->fill == VT_UNIFORM && c->when != VT_BENCH &&
            !vt_check_derivative(suite, &s.layer, &last->io, &r))
            fail_case(&s, NULL, NULL, NULL, "finite differences");
        run_devices(&s, ctx);
    }
    close_scope(&s);
}

/* ---- a suite ---- */

static void run_random(const vt_suite *suite, vox_ctx *ctx, const vt_options *opt,
                       vt_totals *totals)
{
    int count = suite->random ? opt->random : 0;
    uint64_t tries = 0;
    for (int i = 0; i < count && tries < 200u * (uint64_t)count; tries++) {
        vt_case c = {.why = "random", .n = 1};
        char attr[160] = "";
        vox_random r;
        vox_random_init(&r, opt->seed, VOX_RANDOM_SYNTH, 1000, 0, tries);
        suite->random(&c, attr, &r, opt->tiny);
        c.attr = attr;
        vt_layer l;
        bool good = vt_layer_open(&l, suite, &c, NULL) == VOX_OK;
        vt_layer_release(&l);
        if (!good)
            continue;
        run_case(suite, &c, ctx, opt, opt->seed + tries, true, totals);
        i++;
    }
}

static void run_bad(const vt_suite *suite, vt_totals *totals)
{
    for (const vt_bad *b = suite->bad; b && b->why; b++) {
        vt_case c = {.why = b->why, .attr = b->attr};
        memcpy(c.in, b->in, sizeof c.in);
        vt_layer l;
        vox_error err = {0};
        vox_status s = vt_layer_open(&l, suite, &c, &err);
        vt_layer_release(&l);
        totals->cases++;
        if (s == VOX_ERR_INPUT && (strstr(err.message, b->word) || strstr(err.detail, b->word)))
            continue;
        totals->failures++;
        fprintf(stderr, "FAIL %s infer {%s} (%s): status %d, no \"%s\" in: %s | %s\n", suite->op,
                b->attr ? b->attr : "", b->why, (int)s, b->word, err.message, err.detail);
    }
}

void vt_run_suite(const vt_suite *suite, vox_ctx *ctx, const vt_options *opt, vt_totals *totals)
{
    vt_totals before = *totals;
    run_bad(suite, totals);
    vt_check_golden(suite, totals);
    for (const vt_case *c = suite->cases; c->why; c++) {
        bool wanted = opt->bench ? c->when == VT_BENCH
                      : opt->tiny
                          ? c->when == VT_TINY
                          : c->when != VT_BENCH && (c->when != VT_SWEEP || opt->sweep || opt->all);
        if (wanted)
            run_case(suite, c, ctx, opt, opt->seed + (uint64_t)(c - suite->cases) * 1000, false,
                     totals);
    }
    if (!opt->bench)
        run_random(suite, ctx, opt, totals);
    printf("%-16s %4" PRId64 " cases %5" PRId64 " checks %s\n", suite->op,
           totals->cases - before.cases, totals->checks - before.checks,
           totals->failures > before.failures ? "FAILED" : "ok");
    fflush(stdout);
}

void vt_list_suite(const vt_suite *suite)
{
    const vox_op *op = vox_op_find(suite->op);
    printf("%s\n", suite->op);
    for (int pass = 0; op && pass < VOX_PASSES; pass++) {
        const vox_algo *a;
        for (int k = 0; (a = vox_op_algo(op, (vox_pass)pass, k)); k++)
            printf("  %-16s %-8s %s\n", vt_pass_names[pass], a->name, layouts(a));
    }
    for (const vt_case *c = suite->cases; c->why; c++) {
        char text[320];
        vt_case_text(c, text);
        printf("  case%s %s\n",
               c->when == VT_BENCH   ? " (bench)"
               : c->when == VT_SWEEP ? " (sweep)"
               : c->when == VT_TINY  ? " (tiny)"
                                     : "",
               text);
    }
}
