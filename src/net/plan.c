/* plan.c - opening a plan: wiring, choice, steps, memory, kernels, buffers. */
#include "base/log.h"
#include "net/plan_parts.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- opening ------------------------------------------------------------ */

static vox_status plan_layout(vox_plan *p, vox_error *err)
{
    const size_t layers = (size_t)p->graph->layers;
    vox_status s = vox_wiring_init(&p->wiring, p->graph, p->opt.training, err);
    if (s != VOX_OK)
        return s;
    p->choice = vox_calloc(layers + 1, sizeof *p->choice, "a plan", err);
    if (!p->choice)
        return VOX_ERR_MEMORY;
    s = vox_choose(p->choice, &p->wiring, p->dev, &p->opt, err);
    if (s == VOX_OK)
        s = vox_lay_out(&p->steps, &p->memory, p->choice, &p->wiring, p->dev, &p->opt, err);
    return s;
}

const vox_node *vox_plan_step_node(const vox_plan *p, const vox_plan_step *step)
{
    return step->node ? step->node : vox_wiring_node(&p->wiring, step->layer);
}

static double expected(const vox_algo *a, const vox_problem *problem)
{
    return a->seconds ? a->seconds(problem) : 0;
}

/* The cheapest method with the layouts of `tried` that is dearer than it, or NULL. */
static const vox_algo *next_algo(const vox_problem *problem, const vox_algo *tried)
{
    const vox_algo *best = NULL, *a;
    const double least = expected(tried, problem);
    const bool fuses = problem->relu_out || problem->relu_in;
    for (int i = 0; (a = vox_op_algo(problem->node->op, tried->pass, i)) != NULL; i++) {
        if (a == tried || a->in != tried->in || a->out != tried->out ||
            (a->fits && !a->fits(problem)) || (fuses && !a->fuses_relu) ||
            (problem->relu_slope > 0 && a->no_slope))
            continue;
        const double seconds = expected(a, problem);
        if (seconds > least && (!best || seconds < expected(best, problem)))
            best = a;
    }
    return best;
}

/* VOX_ERR_UNSUPPORTED also for a workspace over the cap. */
static vox_status try_build(vox_plan *p, vox_plan_step *step, const vox_problem *problem,
                            vox_error *err)
{
    const uint64_t quarter = vox_device_get(p->dev)->global_mem_bytes / 4;
    const uint64_t cap = p->opt.workspace ? p->opt.workspace : quarter;
    vox_status s = vox_work_build(&step->work, problem, step->algo, err);
    const uint64_t bytes = s == VOX_OK ? vox_work_bytes(&step->work) : 0;
    vox_algo_text(step->algo, problem, step->name);
    if (bytes <= cap || p->opt.algo)
        return s;
    vox_work_release(&step->work);
    vox_fail(err, VOX_ERR_UNSUPPORTED, "layer %s: %s wants too much memory", problem->node->name,
             step->name);
    vox_detail(err, "%llu bytes of its own, the cap is %llu", (unsigned long long)bytes,
               (unsigned long long)cap);
    vox_hint(err, "raise --workspace, or use a smaller train.batch");
    return VOX_ERR_UNSUPPORTED;
}

/* Of the relu that a step does too. */
static float slope_of(const vox_plan *p, const vox_plan_step *step, const vox_choice *choice)
{
    if (step->pass != VOX_FORWARD)
        return choice->slope_in;
    return choice->relu ? vox_fuse_slope(vox_wiring_node(&p->wiring, choice->relu)) : 0;
}

/* What a device's compiler makes of a kernel is known only once it is built (a work-group may turn
 * out too large for it), and so is the workspace: then the next best method takes the step, unless
 * the caller named one. */
static vox_status build_step(vox_plan *p, vox_plan_step *step, vox_error *err)
{
    const vox_choice *choice = step->node ? NULL : &p->choice[step->layer];
    vox_problem problem = {.node = vox_plan_step_node(p, step),
                           .dev = p->dev,
                           .n_max = p->opt.n_max,
                           .training = p->opt.training,
                           .relu_out = choice && step->pass == VOX_FORWARD && choice->relu,
                           .relu_in =
                               choice && step->pass == VOX_BACKWARD_DATA ? choice->relu_in : 0,
                           .relu_slope = choice ? slope_of(p, step, choice) : 0,
                           .variant = step->variant};
    vox_status s = try_build(p, step, &problem, err);
    while (s == VOX_ERR_UNSUPPORTED && !p->opt.algo) {
        const bool own = problem.variant == 0; /* else its rule's own values are the next best */
        problem.variant = 0;
        const vox_algo *next = own ? next_algo(&problem, step->algo) : step->algo;
        if (!next)
            break;
        vox_log(VOX_LOG_INFO, "layer %s: %s cannot run on device %d, using %s", problem.node->name,
                step->name, vox_device_get(p->dev)->index, next->name);
        step->algo = next;
        s = try_build(p, step, &problem, err);
    }
    return s;
}

static vox_status build_kernels(vox_plan *p, vox_error *err)
{
    for (int i = 0; i < p->steps.steps; i++) {
        vox_plan_step *step = &p->steps.step[i];
        if (vox_plan_keeps_factors(p, step)) {
            snprintf(step->name, sizeof step->name, "factors");
            continue;
        }
        vox_status s = build_step(p, step, err);
        if (s != VOX_OK)
            return s;
    }
    return VOX_OK;
}

static vox_status open_values(vox_plan *p, vox_error *err)
{
    vox_steps *st = &p->steps;
    p->slot = vox_calloc((size_t)p->memory.slots, sizeof *p->slot, "a plan", err);
    p->own = vox_calloc((size_t)st->values, sizeof *p->own, "a plan", err);
    if (!p->slot || !p->own)
        return VOX_ERR_MEMORY;
    for (int i = 0; i < p->memory.slots; i++) {
        vox_status s = vox_buffer_open(&p->slot[i], p->dev, p->memory.slot[i], VOX_BUFFER_DEVICE,
                                       "activations", err);
        if (s != VOX_OK)
            return s;
    }
    for (int v = 0; v < st->values; v++) {
        vox_value *value = &st->value[v];
        vox_status s = VOX_OK;
        if (value->slot < 0)
            s = vox_buffer_open(&p->own[v], p->dev, value->bytes, VOX_BUFFER_DEVICE, value->what,
                                err);
        else
            s = vox_buffer_sub(&p->own[v], p->slot[value->slot], value->offset, value->bytes, err);
        if (s != VOX_OK)
            return s;
        value->tensor.buf = p->own[v];
    }
    return VOX_OK;
}

static vox_status open_ahead(vox_plan *p, vox_error *err)
{
    const vox_steps *st = &p->steps;
    vox_status s = vox_buffer_open(&p->next_input, p->dev, st->value[st->input].bytes,
                                   VOX_BUFFER_DEVICE, "the next batch's input", err);
    if (s == VOX_OK && st->labels >= 0)
        s = vox_buffer_open(&p->next_labels, p->dev, st->value[st->labels].bytes, VOX_BUFFER_DEVICE,
                            "the next batch's labels", err);
    return s;
}

/* A flat vector, zeroed so that its padding is 0 for ever, and a window on each tensor in it. */
static vox_status open_flat(vox_plan *p, vox_buffer **flat, vox_buffer ***window, bool gradients,
                            vox_error *err)
{
    const vox_graph *g = p->graph;
    const size_t bytes = g->flat_floats * sizeof(float);
    *window = vox_calloc((size_t)g->params, sizeof **window, "a plan", err);
    if (!*window)
        return VOX_ERR_MEMORY;
    const char *what = gradients ? "gradients of the parameters" : "parameters";
    vox_host_memory *memory = gradients ? p->opt.grads : p->opt.params;
    /* A network without parameters still has a vector, of one float. */
    vox_status s = memory ? vox_buffer_open_over(flat, p->dev, memory, what, err)
                          : vox_buffer_open(flat, p->dev, bytes ? bytes : sizeof(float),
                                            VOX_BUFFER_DEVICE, what, err);
    if (s == VOX_OK && !memory)
        s = vox_buffer_fill(*flat, 0, vox_buffer_bytes(*flat), 0, err);
    for (int i = 0; i < g->params && s == VOX_OK; i++)
        if (!gradients || g->param[i].desc.trainable)
            s = vox_buffer_sub(&(*window)[i], *flat, g->param[i].offset * sizeof(float),
                               g->param[i].count * sizeof(float), err);
    return s;
}

static vox_status check_options(const vox_plan_options *opt, vox_error *err)
{
    if (opt->n_max >= 1 && opt->n_max <= INT32_MAX)
        return VOX_OK;
    vox_fail(err, VOX_ERR_USAGE, "a plan's batch must be 1 or more");
    vox_detail(err, "%lld", (long long)opt->n_max);
    return VOX_ERR_USAGE;
}

vox_status vox_plan_open(vox_plan **out, const vox_graph *graph, vox_device *dev,
                         const vox_plan_options *opt, vox_error *err)
{
    *out = NULL;
    vox_status s = check_options(opt, err);
    vox_plan *p = s == VOX_OK ? vox_calloc(1, sizeof *p, "a plan", err) : NULL;
    if (!p)
        return s == VOX_OK ? VOX_ERR_MEMORY : s;
    p->graph = graph;
    p->dev = dev;
    p->opt = *opt;
    s = plan_layout(p, err);
    if (s == VOX_OK)
        s = vox_memory_check(&p->memory, &p->steps, dev, opt, err);
    if (s == VOX_OK)
        s = open_values(p, err);
    if (s == VOX_OK && opt->ahead)
        s = open_ahead(p, err);
    if (s == VOX_OK)
        s = open_flat(p, &p->params, &p->param, false, err);
    if (s == VOX_OK && opt->training)
        s = open_flat(p, &p->grads, &p->dparam, true, err);
    if (s == VOX_OK)
        s = build_kernels(p, err);
    p->opt.algo = NULL; /* the caller's; not needed any more */
    p->opt.times = NULL;
    if (s == VOX_OK)
        *out = p;
    else
        vox_plan_free(&p);
    return s;
}

static void free_buffers(vox_buffer ***list, int count)
{
    for (int i = 0; *list && i < count; i++)
        vox_buffer_free(&(*list)[i]);
    free(*list);
    *list = NULL;
}

void vox_plan_free(vox_plan **plan)
{
    if (!plan || !*plan)
        return;
    vox_plan *p = *plan;
    vox_device_finish(p->dev, NULL); /* nothing may still run on what is freed */
    free_buffers(&p->param, p->graph->params);
    free_buffers(&p->dparam, p->graph->params);
    vox_buffer_free(&p->next_input);
    vox_buffer_free(&p->next_labels);
    vox_buffer_free(&p->params);
    vox_buffer_free(&p->grads);
    free_buffers(&p->own, p->steps.values);
    free_buffers(&p->slot, p->memory.slots);
    vox_memory_release(&p->memory);
    vox_steps_release(&p->steps);
    free(p->choice);
    free(p->exchanged);
    vox_wiring_release(&p->wiring);
    free(p);
    *plan = NULL;
}

vox_status vox_plan_estimate(const vox_graph *graph, vox_device *dev, const vox_plan_options *opt,
                             uint64_t *activation_bytes, uint64_t *total_bytes, vox_error *err)
{
    vox_plan p = {.graph = graph, .dev = dev, .opt = *opt};
    vox_status s = check_options(opt, err);
    if (s == VOX_OK)
        s = plan_layout(&p, err);
    if (s == VOX_OK) {
        *activation_bytes = p.memory.activation_bytes;
        *total_bytes = vox_memory_bytes(&p.memory);
    }
    vox_memory_release(&p.memory);
    vox_steps_release(&p.steps);
    free(p.choice);
    vox_wiring_release(&p.wiring);
    return s;
}

/* ---- its buffers -------------------------------------------------------- */

vox_buffer *vox_plan_params(vox_plan *plan)
{
    return plan->params;
}

vox_buffer *vox_plan_grads(vox_plan *plan)
{
    return plan->grads;
}

const vox_tensor *vox_plan_input(vox_plan *plan)
{
    return &plan->steps.value[plan->steps.input].tensor;
}

const vox_tensor *vox_plan_labels(vox_plan *plan)
{
    return &plan->steps.value[plan->steps.labels].tensor;
}

vox_buffer *vox_plan_next_input(vox_plan *plan)
{
    return plan->next_input;
}

vox_buffer *vox_plan_next_labels(vox_plan *plan)
{
    return plan->next_labels;
}

static void swap_buffers(vox_plan *p, int value, vox_buffer **next)
{
    vox_buffer *was = p->own[value];
    p->own[value] = *next;
    p->steps.value[value].tensor.buf = *next;
    *next = was;
}

void vox_plan_swap_input(vox_plan *plan)
{
    swap_buffers(plan, plan->steps.input, &plan->next_input);
    if (plan->next_labels)
        swap_buffers(plan, plan->steps.labels, &plan->next_labels);
}

const vox_tensor *vox_plan_output(vox_plan *plan)
{
    return &plan->steps.value[plan->steps.output].tensor;
}

const vox_tensor *vox_plan_loss(vox_plan *plan)
{
    return &plan->steps.value[plan->steps.loss].tensor;
}
