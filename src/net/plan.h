/* plan.h - a graph made ready for one device and a largest batch: algorithms and layouts chosen,
 * reorders inserted, kernels compiled, memory laid out by liveness.
 *
 * Running a plan only enqueues; nothing waits for the host.  Used by the device's own thread. */
#ifndef VOX_NET_PLAN_H
#define VOX_NET_PLAN_H

#include "net/graph.h"
#include "tune/tuner.h"

typedef struct vox_plan vox_plan;

typedef struct vox_plan_options {
    int64_t n_max; /* samples it must be able to run at once */
    bool training; /* false: forward only, a fraction of the memory */
    /* "conv=naive,dense=gemm", "conv=direct16:r7q4": methods forced by name, or NULL.  Tuning
     * values that a layer does not offer give way to those of the method's rule. */
    const char *algo;
    /* Most bytes a method may allocate for itself, unless methods are forced: one that wants more
     * gives way to the next best.  0: a quarter of the device's memory (of all of it, not of what
     * is free now, so that the choice is the same on every run). */
    uint64_t workspace;
    /* Most bytes of tensors and parameters (methods' workspaces come on top).  A plan that would
     * take more computes what is as cheap as a copy a second time for the backward pass instead of
     * keeping it; results are the same.  One that still takes more is an error.  0: half of a
     * memory that is the host's too, seven eighths of a device's own, as far as possible. */
    uint64_t memory;
    /* Measured times, borrowed while the plan is opened: where a pass of a layer was timed, only
     * algorithms that were timed are chosen for it.  NULL: by the rule alone, which makes the same
     * choice on every run. */
    const vox_finddb *times;
    /* The parameters are all of this memory, [graph->flat_floats] floats or 1, which other plans
     * may use too (then only one may change it in a step: vox_step.bystander).  For devices with
     * host memory; borrowed.  NULL: memory of the plan's own, zeroed. */
    vox_host_memory *params;
    vox_host_memory *grads; /* likewise the gradients, for this plan alone */
    bool ahead;             /* room for the next batch's input and labels (vox_plan_next_input) */
    /* [graph->layers], borrowed: of these layers, whose operations have factors (vox_op), the
     * gradients are not made, but what they are products of is kept (vox_plan_read_factors).  n_max
     * samples of it must not be larger than the gradient.  NULL: none. */
    const bool *factors;
} vox_plan_options;

/* graph and dev are borrowed and must outlive it.  A plan that does not fit the device is
 * VOX_ERR_DEVICE with the bytes wanted and there, before anything large is allocated. */
vox_status vox_plan_open(vox_plan **out, const vox_graph *graph, vox_device *dev,
                         const vox_plan_options *opt, vox_error *err);
void vox_plan_free(vox_plan **plan);

/* Device memory a training plan would take, without building it (no kernels, no buffers): an
 * estimate that is exact for tensors and parameters, scratch excepted. */
vox_status vox_plan_estimate(const vox_graph *graph, vox_device *dev, const vox_plan_options *opt,
                             uint64_t *activation_bytes, uint64_t *total_bytes, vox_error *err);

/* The plan's own buffers; borrowed. */
vox_buffer *vox_plan_params(vox_plan *plan);       /* flat, graph->flat_floats floats */
vox_buffer *vox_plan_grads(vox_plan *plan);        /* the same layout; NULL unless training */
const vox_tensor *vox_plan_input(vox_plan *plan);  /* PLAIN [n_max, C, D, H, W] */
const vox_tensor *vox_plan_labels(vox_plan *plan); /* I32 [n_max, ...] */
/* With opt->ahead: second buffers of input and labels, to be written while a step runs; after
 * vox_plan_swap_input they are the plan's, and its former ones are the next. */
vox_buffer *vox_plan_next_input(vox_plan *plan);
vox_buffer *vox_plan_next_labels(vox_plan *plan);
void vox_plan_swap_input(vox_plan *plan);
const vox_tensor *vox_plan_output(vox_plan *plan); /* the last layer's output, PLAIN */
const vox_tensor *vox_plan_loss(vox_plan *plan);   /* [n_max]: each sample's loss */

/* Input (and labels, for the loss) must have been written (or enqueued) before. */
vox_status vox_plan_forward(vox_plan *plan, int64_t n, bool training, const vox_step *step,
                            vox_error *err);
/* After forward: each sample's loss into vox_plan_loss. */
vox_status vox_plan_run_loss(vox_plan *plan, int64_t n, vox_error *err);
/* After forward with training: gradients of scale * (sum of the n losses) into vox_plan_grads, or
 * added to them. */
vox_status vox_plan_backward(vox_plan *plan, int64_t n, float scale, bool accumulate,
                             const vox_step *step, vox_error *err);

/* ---- gradients while backward goes on ---- */

/* Tells when the gradients of a part of the flat vector are enqueued: done(user, bucket) is called,
 * on the plan's thread, right after backward's step number after[bucket]. */
typedef struct vox_plan_watch {
    size_t buckets;
    const int *after; /* [buckets], from vox_plan_last_writer */
    vox_status (*done)(void *user, size_t bucket, vox_error *err);
    void *user;
} vox_plan_watch;
/* The last step that writes gradients of [offset, offset + count); without one the first of
 * backward. */
int vox_plan_last_writer(const vox_plan *plan, size_t offset, size_t count);
/* For the backward passes from now on; watch is borrowed.  NULL: nobody wants to know. */
void vox_plan_set_watch(vox_plan *plan, const vox_plan_watch *watch);

/* After a backward pass over n samples, of a layer of vox_plan_options.factors: x[n][in] and
 * dy[n][out] are read.  Enqueues only; they have to stay until the device is through. */
vox_status vox_plan_read_factors(vox_plan *plan, int layer, int64_t n, float *x, float *dy,
                                 vox_error *err);

/* ---- several replicas of a network ---- */

/* Joins values[floats], what a layer's pass keeps over n samples, with those of the other replicas
 * (join: vox_op.joins) and returns when the result is in their place; on the plan's thread. */
typedef vox_status (*vox_exchange_fn)(void *user, const vox_node *node, vox_pass pass,
                                      vox_join_fn join, float *values, size_t floats,
                                      vox_error *err);

/* Whether a pass over this graph exchanges anything. */
bool vox_graph_exchanges(const vox_graph *graph, bool training);
/* From now on layers whose operations join do so through fn, if the step that is run says that
 * there are others (vox_step.all).  The host waits for the device then, and for the other replicas.
 * fn NULL: no more. */
vox_status vox_plan_set_exchange(vox_plan *plan, vox_exchange_fn fn, void *user, vox_error *err);

/* ---- what was planned, and where the time goes ---- */

typedef struct vox_plan_row {
    const char *layer, *op, *algo; /* borrowed from the plan */
    vox_pass pass;
    vox_shape out;
    bool relu;            /* does the work of a relu layer next to it too */
    double flops;         /* of one sample; 0: not counted, or not done here (factors) */
    int label;            /* its profiling label (vox_device_profile_take) */
    const vox_node *node; /* what it computes; borrowed from the plan */
} vox_plan_row;

size_t vox_plan_rows(const vox_plan *plan);
vox_plan_row vox_plan_row_get(const vox_plan *plan, size_t i);

/* ---- measuring ahead ---- */

typedef struct vox_tune_row {
    const char *layer, *op; /* borrowed from the graph */
    vox_pass pass;
    /* Chosen with and without the measured times, with their tuning values; "fused": a relu that
     * the layers around it do. */
    char algo[VOX_ALGO_TEXT], rule_algo[VOX_ALGO_TEXT];
    double seconds, rule_seconds; /* measured, of these two; NaN: not measured */
    char second[VOX_ALGO_TEXT];   /* the fastest other one of the pass; "": none measured */
    double second_seconds;
    vox_layout in, out;               /* of the chosen one */
    vox_layout second_in, second_out; /* of that other */
    bool measured;
} vox_tune_row;

/* Called before a pass is measured; done of total are through. */
typedef void (*vox_tune_news_fn)(void *user, int64_t done, int64_t total, const char *layer,
                                 vox_pass pass);

/* Measures what a plan of these options would choose from (opt->times is not read), costly passes
 * first, until the tuner's time is up.  news may be NULL. */
vox_status vox_plan_tune(const vox_graph *graph, vox_device *dev, const vox_plan_options *opt,
                         vox_tuner *tuner, vox_tune_news_fn news, void *user, vox_error *err);
/* What such a plan chooses by opt->times, without opening it; *rows is the caller's (free). */
vox_status vox_plan_tuned(const vox_graph *graph, vox_device *dev, const vox_plan_options *opt,
                          vox_tune_row **rows, size_t *count, vox_error *err);

/* The first layer (in execution order) whose output for the first n samples holds a NaN or an
 * infinity, or NULL; slow, for telling the user where training broke.  Waits for the device. */
vox_status vox_plan_find_nonfinite(vox_plan *plan, int64_t n, const char **layer, vox_error *err);

#endif
