/* plan_run.c - running a plan, and looking into it.
 *
 * A step is one launch of an operation's pass; running a plan is running its steps in order. */
#include "net/plan_parts.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- running ------------------------------------------------------------ */

static const vox_tensor *tensor_of(const vox_plan *p, int value)
{
    return value < 0 ? NULL : &p->steps.value[value].tensor;
}

static void set_params(const vox_plan *p, const vox_plan_step *step, vox_io *io)
{
    if (step->node || step->layer >= p->graph->layers)
        return;
    const vox_graph_layer *l = &p->graph->layer[step->layer];
    for (int k = 0; k < l->params; k++) {
        io->param[k] = p->param[l->first_param + k];
        if (step->pass == VOX_BACKWARD_WEIGHTS)
            io->dparam[k] = p->dparam[l->first_param + k];
    }
}

static int label_of(int step)
{
    return step + 1 < VOX_LABELS ? step + 1 : VOX_LABELS - 1; /* 0 is for what is no step */
}

static vox_join_fn joins(const vox_node *node, vox_pass pass, bool training)
{
    return node->op->joins ? node->op->joins(node, pass, training) : NULL;
}

/* The pass with an exchange of what it keeps in its middle. */
static vox_status run_halves(vox_plan *p, vox_plan_step *step, vox_io *io, vox_join_fn join,
                             vox_error *err)
{
    const vox_node *node = vox_plan_step_node(p, step);
    const size_t floats = (size_t)node->op->keeps(node, step->pass, io->n);
    vox_buffer *keep = io->keep[step->pass];
    io->half = VOX_FIRST_HALF;
    vox_status s = step->algo->run(&step->work, io, err);
    if (s == VOX_OK)
        s = vox_buffer_read(keep, 0, p->exchanged, floats * sizeof(float), true, err);
    if (s == VOX_OK)
        s = p->exchange(p->exchange_user, node, step->pass, join, p->exchanged, floats, err);
    if (s == VOX_OK)
        s = vox_buffer_write(keep, 0, p->exchanged, floats * sizeof(float), true, err);
    io->half = VOX_SECOND_HALF;
    return s == VOX_OK ? step->algo->run(&step->work, io, err) : s;
}

bool vox_plan_keeps_factors(const vox_plan *p, const vox_plan_step *step)
{
    return p->opt.factors && !step->node && step->pass == VOX_BACKWARD_WEIGHTS &&
           p->opt.factors[step->layer];
}

static size_t bytes_of_sample(const vox_tensor *t)
{
    return (size_t)vox_sample_floats(&t->shape, t->layout) * sizeof(float);
}

static vox_status keep_factors(const vox_io *io, vox_error *err)
{
    const size_t n = (size_t)io->n, x = n * bytes_of_sample(io->x[0]);
    vox_status s = vox_buffer_copy(io->dparam[0], 0, io->x[0]->buf, 0, x, err);
    return s == VOX_OK
               ? vox_buffer_copy(io->dparam[0], x, io->dy->buf, 0, n * bytes_of_sample(io->dy), err)
               : s;
}

vox_status vox_plan_read_factors(vox_plan *plan, int layer, int64_t n, float *x, float *dy,
                                 vox_error *err)
{
    const vox_graph_layer *l = &plan->graph->layer[layer];
    const vox_shape *w = &plan->graph->param[l->first_param].desc.shape;
    vox_buffer *from = plan->dparam[l->first_param];
    const size_t in = (size_t)(n * w->dim[1]) * sizeof *x,
                 out = (size_t)(n * w->dim[0]) * sizeof *x;
    vox_status s = vox_buffer_read(from, 0, x, in, false, err);
    return s == VOX_OK ? vox_buffer_read(from, in, dy, out, false, err) : s;
}

/* io: n, training, scale, accumulate, step set. */
static vox_status run_step(vox_plan *p, int number, const vox_io *base, vox_error *err)
{
    static const char *const pass_name[] = {"forward", "backward-data", "backward-weights"};
    vox_plan_step *step = &p->steps.step[number];
    vox_io io = *base;
    for (int k = 0; k < VOX_MAX_INPUTS; k++) {
        io.x[k] = tensor_of(p, step->x[k]);
        io.dx[k] = tensor_of(p, step->dx[k]);
    }
    io.y = tensor_of(p, step->y);
    io.dy = tensor_of(p, step->dy);
    for (int k = 0; k < VOX_PASSES; k++)
        io.keep[k] = step->keep[k] < 0 ? NULL : p->steps.value[step->keep[k]].tensor.buf;
    set_params(p, step, &io);
    vox_device_label(p->dev, label_of(number));
    const vox_join_fn join = p->exchange && io.step.all > 0 && !step->node
                                 ? joins(vox_plan_step_node(p, step), step->pass, io.training)
                                 : NULL;
    vox_status s = vox_plan_keeps_factors(p, step) ? keep_factors(&io, err)
                   : join                          ? run_halves(p, step, &io, join, err)
                                                   : step->algo->run(&step->work, &io, err);
    if (s != VOX_OK)
        vox_error_at(err, "layer %s, %s", vox_plan_step_node(p, step)->name, pass_name[step->pass]);
    return s;
}

/* Backward only: nothing else writes gradients. */
static vox_status tell(const vox_plan *p, int step, vox_error *err)
{
    const vox_plan_watch *w = p->watch;
    vox_status s = VOX_OK;
    for (size_t b = 0; w && s == VOX_OK && b < w->buckets; b++)
        if (w->after[b] == step)
            s = w->done(w->user, b, err);
    return s;
}

static vox_status run_steps(vox_plan *p, int first, int end, const vox_io *io, vox_error *err)
{
    vox_status s = VOX_OK;
    for (int i = first; i < end && s == VOX_OK; i++) {
        s = run_step(p, i, io, err);
        if (s == VOX_OK && i >= p->steps.loss_end)
            s = tell(p, i, err);
    }
    vox_device_label(p->dev, 0);
    return s;
}

static vox_status misuse(vox_error *err, const char *what, int64_t n, int64_t there)
{
    vox_fail(err, VOX_ERR_USAGE, "a plan cannot run like that");
    vox_detail(err, "%s: %lld samples, %lld", what, (long long)n, (long long)there);
    return VOX_ERR_USAGE;
}

vox_status vox_plan_forward(vox_plan *plan, int64_t n, bool training, const vox_step *step,
                            vox_error *err)
{
    const vox_step none = {0};
    if (n < 1 || n > plan->opt.n_max)
        return misuse(err, "the plan was made for fewer", n, plan->opt.n_max);
    if (training && !plan->opt.training)
        return misuse(err, "the plan was made without training", n, plan->opt.n_max);
    const vox_io io = {.n = n, .training = training, .step = step ? *step : none};
    plan->ran_n = 0;
    vox_status s = run_steps(plan, 0, plan->steps.forward_end, &io, err);
    if (s != VOX_OK)
        return s;
    plan->ran_n = n;
    plan->ran_training = training;
    plan->ran_step = io.step;
    return VOX_OK;
}

vox_status vox_plan_run_loss(vox_plan *plan, int64_t n, vox_error *err)
{
    if (n < 1 || n > plan->ran_n)
        return misuse(err, "no forward pass with as many ran before the loss", n, plan->ran_n);
    const vox_io io = {.n = n, .training = plan->ran_training, .scale = 1, .step = plan->ran_step};
    return run_steps(plan, plan->steps.forward_end, plan->steps.loss_end, &io, err);
}

vox_status vox_plan_backward(vox_plan *plan, int64_t n, float scale, bool accumulate,
                             const vox_step *step, vox_error *err)
{
    if (n < 1 || n != plan->ran_n || !plan->ran_training)
        return misuse(err, "no training forward pass of just as many ran before", n, plan->ran_n);
    const vox_io io = {.n = n,
                       .training = true,
                       .scale = scale,
                       .accumulate = accumulate,
                       .step = step ? *step : plan->ran_step};
    return run_steps(plan, plan->steps.loss_end, plan->steps.steps, &io, err);
}

/* ---- gradients while backward goes on ----------------------------------- */

int vox_plan_last_writer(const vox_plan *plan, size_t offset, size_t count)
{
    const vox_graph *g = plan->graph;
    int last = plan->steps.loss_end;
    for (int i = plan->steps.loss_end; i < plan->steps.steps; i++) {
        const vox_plan_step *step = &plan->steps.step[i];
        if (step->node || step->layer >= g->layers || step->pass != VOX_BACKWARD_WEIGHTS)
            continue;
        const vox_graph_layer *l = &g->layer[step->layer];
        for (int k = 0; k < l->params; k++) {
            const vox_graph_param *p = &g->param[l->first_param + k];
            if (p->offset < offset + count && offset < p->offset + p->count)
                last = i;
        }
    }
    return last;
}

void vox_plan_set_watch(vox_plan *plan, const vox_plan_watch *watch)
{
    plan->watch = watch;
}

/* ---- several replicas ---------------------------------------------------- */

static const vox_node *node_of(const vox_graph *g, int layer)
{
    return layer < g->layers ? &g->layer[layer].node : &g->loss.node;
}

bool vox_graph_exchanges(const vox_graph *g, bool training)
{
    for (int i = 0; i <= g->layers; i++)
        for (int pass = 0; pass < (training ? VOX_PASSES : 1); pass++)
            if (joins(node_of(g, i), (vox_pass)pass, training))
                return true;
    return false;
}

vox_status vox_plan_set_exchange(vox_plan *plan, vox_exchange_fn fn, void *user, vox_error *err)
{
    const vox_graph *g = plan->graph;
    int64_t most = 0;
    for (int i = 0; i <= g->layers; i++)
        for (int pass = 0; pass < VOX_PASSES; pass++) {
            const vox_node *node = node_of(g, i);
            const int64_t floats =
                node->op->keeps ? node->op->keeps(node, (vox_pass)pass, plan->opt.n_max) : 0;
            most = floats > most ? floats : most;
        }
    free(plan->exchanged);
    plan->exchanged = vox_calloc((size_t)most + 1, sizeof(float), "an exchange", err);
    plan->exchange = plan->exchanged ? fn : NULL;
    plan->exchange_user = user;
    return plan->exchanged ? VOX_OK : VOX_ERR_MEMORY;
}

/* ---- rows --------------------------------------------------------------- */

size_t vox_plan_rows(const vox_plan *plan)
{
    return (size_t)plan->steps.steps;
}

vox_plan_row vox_plan_row_get(const vox_plan *plan, size_t i)
{
    const vox_plan_step *step = &plan->steps.step[i];
    const vox_node *node = vox_plan_step_node(plan, step);
    const char *layer = step->node ? vox_graph_edge_name(plan->graph, step->layer + 1) : node->name;
    const bool counted = node->op->flops && !vox_plan_keeps_factors(plan, step);
    return (vox_plan_row){.layer = layer,
                          .op = node->op->name,
                          .algo = step->name,
                          .pass = step->pass,
                          .out = node->out,
                          .relu = step->work.problem.relu_out || step->work.problem.relu_in,
                          .flops = counted ? node->op->flops(node, step->pass) : 0,
                          .label = label_of((int)i),
                          .node = node};
}

/* ---- where the NaN came from -------------------------------------------- */

static vox_status all_finite(vox_plan *p, int value, int64_t n, bool *finite, vox_error *err)
{
    enum { CHUNK = 1 << 18 };
    const vox_tensor *t = tensor_of(p, value);
    const size_t total = (size_t)n * (size_t)vox_sample_floats(&t->shape, t->layout);
    float *host = vox_calloc(CHUNK, sizeof *host, "a look at activations", err);
    vox_status s = host ? VOX_OK : VOX_ERR_MEMORY;
    *finite = true;
    for (size_t at = 0; at < total && s == VOX_OK && *finite; at += CHUNK) {
        const size_t count = total - at < CHUNK ? total - at : CHUNK;
        s = vox_buffer_read(t->buf, at * sizeof *host, host, count * sizeof *host, true, err);
        for (size_t i = 0; i < count && s == VOX_OK; i++)
            *finite = *finite && isfinite(host[i]);
    }
    free(host);
    return s;
}

/* Activations are gone by the time somebody asks (their buffers are reused), so the forward pass
 * is run again, step by step. */
vox_status vox_plan_find_nonfinite(vox_plan *plan, int64_t n, const char **layer, vox_error *err)
{
    *layer = NULL;
    if (n < 1 || n > plan->ran_n)
        return misuse(err, "no forward pass with as many ran before", n, plan->ran_n);
    vox_io io = {.n = n, .training = plan->ran_training, .scale = 1, .step = plan->ran_step};
    io.step.all = 0; /* the other replicas do not come along */
    bool finite;
    vox_status s = all_finite(plan, plan->steps.input, n, &finite, err);
    if (s == VOX_OK && !finite)
        *layer = "input";
    for (int i = 0; i < plan->steps.loss_end && s == VOX_OK && !*layer; i++) {
        const vox_plan_step *step = &plan->steps.step[i];
        s = run_steps(plan, i, i + 1, &io, err);
        if (s == VOX_OK && !step->node)
            s = all_finite(plan, step->y, n, &finite, err);
        if (s == VOX_OK && !step->node && !finite)
            *layer = vox_plan_step_node(plan, step)->name;
    }
    if (s != VOX_OK || *layer)
        plan->ran_n = 0; /* stopped half-way: what a backward pass would read is gone */
    return s;
}
