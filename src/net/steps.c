/* steps.c - a plan's steps and the values they read and write, in the order they run.
 *
 * Gradients of a tensor with several readers are summed in the order of the readers' layers, those
 * in the other layout first among themselves (one reorder for all of them), so that the order of
 * additions depends on the plan alone. */
#include "net/plan_parts.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct builder {
    vox_steps *s;
    const vox_wiring *w;
    const vox_choice *choice;
    vox_device *dev;
    int64_t n_max;
    int (*act)[VOX_LAYOUTS]; /* [edge][layout]: the value, or -1 */
    int *slot_start;         /* [layers + 1]: layer i's input k is number slot_start[i] + k */
    int *gradient;           /* [slots]: the value of an input's gradient, or -1 */
    int (*keep)[VOX_PASSES]; /* [layer]: what a pass left for later ones, or -1 */
    const bool *again;       /* [edge], or NULL: not kept for the backward pass ... */
    bool *gone;              /* ... [edge], and not made again yet */
} builder;

/* ---- values and steps --------------------------------------------------- */

static vox_status add_value(builder *b, int *out, const vox_shape *shape, vox_layout layout,
                            vox_dtype dtype, bool gradient, const char *what, vox_error *err)
{
    vox_steps *s = b->s;
    size_t floats = (size_t)vox_sample_floats(shape, layout), bytes;
    if (!vox_mul(floats, (size_t)b->n_max, &bytes) || !vox_mul(bytes, sizeof(float), &bytes))
        return vox_fail_memory(err, what, SIZE_MAX);
    if (!vox_grow(&s->value, &s->value_capacity, (size_t)s->values + 1, sizeof *s->value, err))
        return VOX_ERR_MEMORY;
    vox_value *v = &s->value[s->values];
    *v = (vox_value){.tensor = {NULL, *shape, layout, dtype},
                     .bytes = bytes,
                     .first = s->steps,
                     .last = s->steps,
                     .slot = -1,
                     .gradient = gradient};
    v->tensor.shape.dim[0] = b->n_max;
    snprintf(v->what, sizeof v->what, "%s", what);
    *out = s->values++;
    return VOX_OK;
}

static vox_status add_activation(builder *b, int *out, int edge, vox_layout layout, vox_error *err)
{
    char what[96];
    const bool fused = edge > 0 && b->choice[edge - 1].fused[VOX_FORWARD];
    const int from = fused ? vox_wiring_from(b->w, edge - 1, 0) : edge; /* who writes it */
    const char *name = vox_graph_edge_name(b->w->graph, from);
    snprintf(what, sizeof what, edge == 0 ? "the %s" : "output of %s", name);
    return add_value(b, out, vox_graph_edge_shape(b->w->graph, edge), layout, VOX_F32, false, what,
                     err);
}

static vox_status add_gradient(builder *b, int *out, int edge, vox_layout layout, vox_error *err)
{
    char what[96];
    snprintf(what, sizeof what, "gradient of %s", vox_graph_edge_name(b->w->graph, edge));
    return add_value(b, out, vox_graph_edge_shape(b->w->graph, edge), layout, VOX_F32, true, what,
                     err);
}

static vox_status add_step(builder *b, vox_plan_step **out, int layer, vox_pass pass,
                           const vox_algo *algo, vox_error *err)
{
    vox_steps *s = b->s;
    if (!vox_grow(&s->step, &s->step_capacity, (size_t)s->steps + 1, sizeof *s->step, err))
        return VOX_ERR_MEMORY;
    vox_plan_step *step = &s->step[s->steps++];
    *step = (vox_plan_step){.layer = layer, .pass = pass, .algo = algo, .y = -1, .dy = -1};
    for (int k = 0; k < VOX_MAX_INPUTS; k++)
        step->x[k] = step->dx[k] = -1;
    for (int k = 0; k < VOX_PASSES; k++)
        step->keep[k] = -1;
    *out = step;
    return VOX_OK;
}

/* The step about to be added last reads this value. */
static int reads(builder *b, int value)
{
    if (value >= 0 && b->s->value[value].last < b->s->steps - 1)
        b->s->value[value].last = b->s->steps - 1;
    return value;
}

/* Makes the value that a layer's pass, whose step is added next, leaves for later passes. */
static vox_status make_keep(builder *b, int layer, vox_pass pass, vox_error *err)
{
    const vox_node *node = vox_wiring_node(b->w, layer);
    const int64_t floats = node->op->keeps ? node->op->keeps(node, pass, b->n_max) : 0;
    const vox_shape shape = {5, {1, 1, 1, 1, 1}};
    char what[96];
    if (floats == 0)
        return VOX_OK;
    snprintf(what, sizeof what, "statistics of %s", node->name);
    vox_status s =
        add_value(b, &b->keep[layer][pass], &shape, VOX_LAYOUT_PLAIN, VOX_F32, false, what, err);
    if (s == VOX_OK)
        b->s->value[b->keep[layer][pass]].bytes = (size_t)floats * sizeof(float);
    return s;
}

/* The step just added has its own and what earlier passes left. */
static void take_keeps(builder *b, vox_plan_step *step)
{
    for (int pass = 0; pass < VOX_PASSES; pass++)
        step->keep[pass] = reads(b, b->keep[step->layer][pass]);
}

/* A step of an internal operation: count values of one tensor in, one out. */
static vox_status add_internal(builder *b, const char *op, int edge, vox_pass pass,
                               const int *value, int count, int *out, vox_layout layout,
                               vox_error *err)
{
    vox_plan_step *step;
    const vox_layout in = b->s->value[value[0]].tensor.layout;
    vox_node *node = vox_calloc(1, sizeof *node, "a plan", err);
    if (!node)
        return VOX_ERR_MEMORY;
    vox_status s = vox_internal_node(node, op, vox_graph_edge_shape(b->w->graph, edge), count, err);
    const vox_algo *algo =
        s == VOX_OK && b->dev ? vox_choose_internal(node, b->dev, b->n_max, in, layout) : NULL;
    if (s == VOX_OK && b->dev && !algo)
        s = vox_fail(err, VOX_ERR_UNSUPPORTED, "no algorithm for %s fits", op);
    if (s == VOX_OK)
        s = pass == VOX_FORWARD ? add_activation(b, out, edge, layout, err)
                                : add_gradient(b, out, edge, layout, err);
    if (s == VOX_OK)
        s = add_step(b, &step, edge - 1, pass, algo, err);
    if (s != VOX_OK) {
        free(node);
        return s;
    }
    step->node = node;
    for (int k = 0; k < count; k++)
        step->x[k] = reads(b, value[k]);
    step->y = *out;
    return VOX_OK;
}

/* ---- forward ------------------------------------------------------------ */

static vox_status add_forward(builder *b, int layer, vox_error *err);

/* The forward step of an edge that the backward pass finds gone. */
static vox_status make_again(builder *b, int edge, vox_error *err)
{
    const bool fused = edge > 0 && b->choice[edge - 1].fused[VOX_FORWARD];
    b->gone[edge] = false;
    b->act[edge][VOX_LAYOUT_BLOCK16] = -1;
    if (edge == 0)
        return VOX_OK; /* it is there; its copy comes with who wants it */
    b->act[edge][VOX_LAYOUT_PLAIN] = -1;
    return add_forward(b, (fused ? vox_wiring_from(b->w, edge - 1, 0) : edge) - 1, err);
}

/* The values of an edge in a layout; made by a reorder where the writer's is another. */
static vox_status want_activation(builder *b, int *out, int edge, vox_layout layout, vox_error *err)
{
    int *act = b->act[edge];
    vox_status s = b->gone[edge] ? make_again(b, edge, err) : VOX_OK;
    if (s == VOX_OK && act[layout] < 0)
        s = add_internal(b, "reorder", edge, VOX_FORWARD, &act[1 - layout], 1, &act[layout], layout,
                         err);
    *out = act[layout];
    return s;
}

static vox_status add_forward(builder *b, int layer, vox_error *err)
{
    const vox_choice *c = &b->choice[layer];
    const int edge = (c->relu ? c->relu : layer) + 1;
    vox_plan_step *step;
    int x[VOX_MAX_INPUTS], inputs = vox_wiring_inputs(b->w, layer);
    for (int k = 0; k < inputs; k++) {
        vox_status s = want_activation(b, &x[k], vox_wiring_from(b->w, layer, k), c->in, err);
        if (s != VOX_OK)
            return s;
    }
    vox_status s = add_activation(b, &b->act[edge][c->out], edge, c->out, err);
    if (s == VOX_OK)
        s = make_keep(b, layer, VOX_FORWARD, err);
    if (s == VOX_OK)
        s = add_step(b, &step, layer, VOX_FORWARD, c->algo[VOX_FORWARD], err);
    if (s != VOX_OK)
        return s;
    take_keeps(b, step);
    for (int k = 0; k < inputs; k++)
        step->x[k] = reads(b, x[k]);
    step->y = b->act[edge][c->out];
    return VOX_OK;
}

/* What the loss reads, in both passes: outputs and labels. */
static void read_for_loss(builder *b, vox_plan_step *step)
{
    const int outputs = vox_wiring_inputs(b->w, step->layer);
    for (int k = 0; k < outputs; k++)
        step->x[k] = reads(b, b->act[vox_wiring_from(b->w, step->layer, k)][VOX_LAYOUT_PLAIN]);
    step->x[outputs] = reads(b, b->s->labels);
    take_keeps(b, step);
}

/* The outputs must be PLAIN whoever reads them; labels and losses have buffers of their own. */
static vox_status add_loss(builder *b, vox_error *err)
{
    const vox_graph *g = b->w->graph;
    const int outputs = vox_wiring_inputs(b->w, g->layers);
    vox_steps *s = b->s;
    vox_plan_step *step;
    vox_status st = want_activation(b, &s->output, b->w->edge[g->layers], VOX_LAYOUT_PLAIN, err);
    for (int k = 1, other; k < outputs && st == VOX_OK; k++)
        st = want_activation(b, &other, vox_wiring_from(b->w, g->layers, k), VOX_LAYOUT_PLAIN, err);
    s->forward_end = s->steps;
    if (st == VOX_OK)
        st = add_value(b, &s->labels, &g->loss.node.in[outputs], VOX_LAYOUT_PLAIN, VOX_I32, false,
                       "the labels", err);
    if (st == VOX_OK)
        st = add_value(b, &s->loss, &g->loss.node.out, VOX_LAYOUT_PLAIN, VOX_F32, false,
                       "the losses", err);
    if (st == VOX_OK)
        st = make_keep(b, g->layers, VOX_FORWARD, err);
    if (st == VOX_OK)
        st =
            add_step(b, &step, g->layers, VOX_FORWARD, b->choice[g->layers].algo[VOX_FORWARD], err);
    if (st != VOX_OK)
        return st;
    read_for_loss(b, step);
    step->y = s->loss;
    s->loss_end = s->steps;
    return VOX_OK;
}

/* ---- backward ----------------------------------------------------------- */

/* Adds up values of one layout, a few at a time, in their order. */
static vox_status sum(builder *b, int edge, int *value, int count, int *out, vox_error *err)
{
    vox_status s = VOX_OK;
    while (count > 1 && s == VOX_OK) {
        int n = count < VOX_MAX_INPUTS ? count : VOX_MAX_INPUTS, total = -1;
        s = add_internal(b, "sum", edge, VOX_BACKWARD_DATA, value, n, &total,
                         b->s->value[value[0]].tensor.layout, err);
        value[0] = total;
        memmove(value + 1, value + n, (size_t)(count - n) * sizeof *value);
        count -= n - 1;
    }
    *out = value[0];
    return s;
}

/* The whole gradient of an edge, in the layout its writer wants. */
static vox_status collect(builder *b, int *out, int edge, vox_layout layout, vox_error *err)
{
    const vox_wiring *w = b->w;
    const int first = w->reader_start[edge], end = w->reader_start[edge + 1];
    int *same = vox_calloc((size_t)(end - first) + 1, sizeof *same, "a plan", err), sames = 0;
    int *other = vox_calloc((size_t)(end - first) + 1, sizeof *other, "a plan", err), others = 0;
    vox_status s = same && other ? VOX_OK : VOX_ERR_MEMORY;
    for (int r = first; r < end && s == VOX_OK; r++) {
        int v = b->gradient[b->slot_start[w->reader[r].layer] + w->reader[r].slot];
        if (v >= 0 && b->s->value[v].tensor.layout == layout)
            same[sames++] = v;
        else if (v >= 0)
            other[others++] = v;
    }
    if (s == VOX_OK && others > 0) {
        int total = -1;
        s = sum(b, edge, other, others, &total, err);
        if (s == VOX_OK)
            s = add_internal(b, "reorder", edge, VOX_BACKWARD_DATA, &total, 1, &same[sames++],
                             layout, err);
    }
    if (s == VOX_OK)
        s = sum(b, edge, same, sames, out, err);
    free(same);
    free(other);
    return s;
}

/* What a backward pass reads, as its operation says, and the outputs of relus fused into it: made
 * before its step is added. */
typedef struct inputs {
    int x[VOX_MAX_INPUTS], y;
} inputs;

static vox_status want_for_backward(builder *b, inputs *in, int layer, vox_pass pass,
                                    vox_error *err)
{
    const vox_node *node = vox_wiring_node(b->w, layer);
    const vox_choice *c = &b->choice[layer];
    const unsigned relus = pass == VOX_BACKWARD_DATA ? c->relu_in : 0;
    vox_status s = VOX_OK;
    in->y = -1;
    for (int k = 0; k < VOX_MAX_INPUTS; k++)
        in->x[k] = -1;
    for (int k = 0; k < vox_wiring_inputs(b->w, layer) && s == VOX_OK; k++)
        if (node->op->backward_reads_x || relus >> k & 1)
            s = want_activation(b, &in->x[k], vox_wiring_from(b->w, layer, k), c->in, err);
    if (s == VOX_OK && node->op->backward_reads_y)
        s = want_activation(b, &in->y, layer + 1, c->out, err);
    return s;
}

static void read_for_backward(builder *b, vox_plan_step *step, const inputs *in, int dy)
{
    for (int k = 0; k < VOX_MAX_INPUTS; k++)
        step->x[k] = reads(b, in->x[k]);
    step->y = reads(b, in->y);
    step->dy = reads(b, dy);
    take_keeps(b, step);
}

static vox_status add_backward_weights(builder *b, int layer, int dy, vox_error *err)
{
    vox_plan_step *step;
    inputs in;
    vox_status s = want_for_backward(b, &in, layer, VOX_BACKWARD_WEIGHTS, err);
    if (s == VOX_OK)
        s = make_keep(b, layer, VOX_BACKWARD_WEIGHTS, err);
    if (s == VOX_OK)
        s = add_step(b, &step, layer, VOX_BACKWARD_WEIGHTS,
                     b->choice[layer].algo[VOX_BACKWARD_WEIGHTS], err);
    if (s == VOX_OK)
        read_for_backward(b, step, &in, dy);
    return s;
}

static vox_status add_backward_data(builder *b, int layer, int dy, vox_error *err)
{
    const vox_choice *c = &b->choice[layer];
    const bool loss = layer == b->w->graph->layers;
    int dx[VOX_MAX_INPUTS], count = vox_wiring_inputs(b->w, layer);
    vox_plan_step *step;
    inputs in;
    vox_status s = loss ? VOX_OK : want_for_backward(b, &in, layer, VOX_BACKWARD_DATA, err);
    for (int k = 0; k < count && s == VOX_OK; k++) {
        int edge = vox_wiring_from(b->w, layer, k);
        dx[k] = -1;
        if (b->w->needs[edge])
            s = add_gradient(b, &dx[k], edge, c->in, err);
        b->gradient[b->slot_start[layer] + k] = dx[k];
    }
    if (s == VOX_OK)
        s = make_keep(b, layer, VOX_BACKWARD_DATA, err);
    if (s == VOX_OK)
        s = add_step(b, &step, layer, VOX_BACKWARD_DATA, c->algo[VOX_BACKWARD_DATA], err);
    if (s != VOX_OK)
        return s;
    memcpy(step->dx, dx, (size_t)count * sizeof *dx);
    if (loss)
        read_for_loss(b, step);
    else
        read_for_backward(b, step, &in, dy);
    return VOX_OK;
}

static vox_status add_backward(builder *b, int layer, vox_error *err)
{
    const bool weights = vox_wiring_runs(b->w, layer, VOX_BACKWARD_WEIGHTS);
    const bool data = vox_wiring_runs(b->w, layer, VOX_BACKWARD_DATA);
    int dy = -1;
    vox_status s = VOX_OK;
    if (!weights && !data)
        return VOX_OK;
    if (layer < b->w->graph->layers)
        s = collect(b, &dy, layer + 1, b->choice[layer].out, err);
    if (s == VOX_OK && b->choice[layer].fused[VOX_BACKWARD_DATA]) { /* its readers did it */
        b->gradient[b->slot_start[layer]] = dy;
        return VOX_OK;
    }
    if (s == VOX_OK && weights) /* first: x is free for others before dx takes its place */
        s = add_backward_weights(b, layer, dy, err);
    if (s == VOX_OK && data)
        s = add_backward_data(b, layer, dy, err);
    return s;
}

/* ---- the whole ---------------------------------------------------------- */

static vox_status open_builder(builder *b, vox_error *err)
{
    const int layers = b->w->graph->layers;
    int slots = 0;
    b->act = vox_calloc((size_t)layers + 1, sizeof *b->act, "a plan", err);
    b->slot_start = vox_calloc((size_t)layers + 1, sizeof *b->slot_start, "a plan", err);
    b->keep = vox_calloc((size_t)layers + 1, sizeof *b->keep, "a plan", err);
    b->gone = vox_calloc((size_t)layers + 1, sizeof *b->gone, "a plan", err);
    if (!b->act || !b->slot_start || !b->keep || !b->gone)
        return VOX_ERR_MEMORY;
    for (int i = 0; i <= layers; i++) {
        b->slot_start[i] = slots;
        slots += vox_wiring_inputs(b->w, i);
        b->act[i][VOX_LAYOUT_PLAIN] = b->act[i][VOX_LAYOUT_BLOCK16] = -1;
        for (int pass = 0; pass < VOX_PASSES; pass++)
            b->keep[i][pass] = -1;
    }
    b->gradient = vox_calloc((size_t)slots, sizeof *b->gradient, "a plan", err);
    for (int i = 0; b->gradient && i < slots; i++)
        b->gradient[i] = -1;
    return b->gradient ? VOX_OK : VOX_ERR_MEMORY;
}

static vox_status build_steps(builder *b, vox_error *err)
{
    const vox_wiring *w = b->w;
    vox_status s = add_activation(b, &b->s->input, 0, VOX_LAYOUT_PLAIN, err);
    b->act[0][VOX_LAYOUT_PLAIN] = b->s->input;
    for (int i = w->first; i < w->last && s == VOX_OK; i++)
        if (!w->skip[i] && !b->choice[i].fused[VOX_FORWARD])
            s = add_forward(b, i, err);
    if (s == VOX_OK)
        s = add_loss(b, err);
    for (int edge = 0; edge <= w->graph->layers && b->again; edge++)
        b->gone[edge] = b->again[edge];
    for (int i = w->last; i >= w->first && s == VOX_OK; i--)
        s = add_backward(b, i, err);
    return s;
}

vox_status vox_steps_init(vox_steps *s, const vox_wiring *w, const vox_choice *choice,
                          const bool *again, vox_device *dev, int64_t n_max, vox_error *err)
{
    memset(s, 0, sizeof *s);
    s->input = s->labels = s->output = s->loss = -1;
    builder b = {.s = s, .w = w, .choice = choice, .dev = dev, .n_max = n_max, .again = again};
    vox_status st = open_builder(&b, err);
    if (st == VOX_OK)
        st = build_steps(&b, err);
    for (int i = 0; i < s->steps; i++)
        if (!s->step[i].node)
            s->step[i].variant = choice[s->step[i].layer].variant[s->step[i].pass];
    free(b.act);
    free(b.slot_start);
    free(b.gradient);
    free(b.keep);
    free(b.gone);
    if (st != VOX_OK)
        vox_steps_release(s);
    return st;
}

void vox_steps_release(vox_steps *s)
{
    for (int i = 0; i < s->steps; i++) {
        vox_work_release(&s->step[i].work);
        free(s->step[i].node);
    }
    free(s->step);
    free(s->value);
    memset(s, 0, sizeof *s);
}
