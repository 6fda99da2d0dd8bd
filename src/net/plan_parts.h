/* plan_parts.h - what a plan is made of; for src/net only.
 *
 *   wiring (who reads what, what needs gradients) -> choose.c, forced.c (layouts, algorithms)
 *   -> fuse.c (relus that their neighbours do) -> steps.c (values and steps in order, reorders and
 * sums put in) -> memory.c (slots by liveness) -> plan.c (kernels, buffers, running)
 *
 * Layer number graph->layers stands for the loss.  All loops run over the layers [first, last) of
 * the plan, so that a later plan may cover a part of the graph. */
#ifndef VOX_NET_PLAN_PARTS_H
#define VOX_NET_PLAN_PARTS_H

#include "net/plan.h"

/* ---- wiring ------------------------------------------------------------- */

typedef struct vox_reader {
    int layer, slot; /* input number `slot` of the layer */
} vox_reader;

typedef struct vox_wiring {
    const vox_graph *graph;
    int first, last;
    bool training;
    int *edge;   /* [layers + 1]: where an edge's values are: itself, or what it is a copy of */
    bool *skip;  /* [layers + 1]: the layer does nothing (dropout in a plan without training) */
    bool *needs; /* [layers + 1]: the edge's gradient is wanted */
    int *reader_start; /* [layers + 2]: readers of edge e are reader[start[e] .. start[e + 1]) */
    vox_reader *reader;
} vox_wiring;

vox_status vox_wiring_init(vox_wiring *w, const vox_graph *graph, bool training, vox_error *err);
void vox_wiring_release(vox_wiring *w);
const vox_node *vox_wiring_node(const vox_wiring *w, int layer);
/* The edge that input `slot` of a layer reads, copies followed. */
int vox_wiring_from(const vox_wiring *w, int layer, int slot);
/* The inputs of a layer that are activations: all but the loss's labels. */
int vox_wiring_inputs(const vox_wiring *w, int layer);
/* The layer runs this pass in a plan. */
bool vox_wiring_runs(const vox_wiring *w, int layer, vox_pass pass);

/* ---- choose.c ----------------------------------------------------------- */

typedef struct vox_choice {
    vox_layout in, out;
    const vox_algo *algo[VOX_PASSES]; /* NULL: the pass does not run, or no device is given */
    int variant[VOX_PASSES];          /* its tuning values: vox_problem.variant */
    bool fused[VOX_PASSES];           /* a relu: its neighbours do the pass, it has no step */
    int relu; /* its forward step does this relu layer's too, and writes its output; 0: none (layer
                 0 has no layer before it) */
    unsigned relu_in; /* vox_problem.relu_in of its backward-data step */
    float slope_in;   /* vox_problem.relu_slope with it; of `relu` it is that layer's */
} vox_choice;

/* choice[layers + 1], the loss last.  dev NULL: everything PLAIN, no algorithms.  Of opt: n_max,
 * algo, times. */
vox_status vox_choose(vox_choice *choice, const vox_wiring *w, vox_device *dev,
                      const vox_plan_options *opt, vox_error *err);
/* The cheapest algorithm of an internal operation ("reorder", "sum") between two layouts; NULL:
 * there is none. */
const vox_algo *vox_choose_internal(const vox_node *node, vox_device *dev, int64_t n_max,
                                    vox_layout in, vox_layout out);
/* A node of an internal operation over `inputs` tensors of one shape. */
vox_status vox_internal_node(vox_node *node, const char *op, const vox_shape *shape, int inputs,
                             vox_error *err);

/* ---- forced.c ----------------------------------------------------------- */

typedef struct vox_forced vox_forced;

/* text: "conv=naive,dense=gemm", or NULL for none. */
vox_status vox_forced_open(vox_forced **out, const char *text, vox_error *err);
void vox_forced_free(vox_forced **f);
/* VOX_ERR_USAGE if tuning values are forced that no layer offers on the device. */
vox_status vox_forced_check(const vox_forced *f, const vox_wiring *w, vox_device *dev,
                            int64_t n_max, vox_error *err);
/* The algorithm this pass of an operation is forced to, or NULL. */
const char *vox_forced_algo(const vox_forced *f, const vox_op *op, vox_pass pass);
/* The variant an algorithm of p's operation is forced to; -1: any. */
int vox_forced_variant(const vox_forced *f, const vox_algo *a, const vox_problem *p);

/* ---- fuse.c ------------------------------------------------------------- */

/* The relu layer that could be done by this layer's forward pass, being the one reader of its
 * output; 0: none. */
int vox_fuse_after(const vox_wiring *w, int layer);
/* The relu layer whose gradient could be done by this layer's backward-data pass, as input `slot`
 * reads its output; -1: none. */
int vox_fuse_before(const vox_wiring *w, int layer, int slot);
/* The slope of a relu layer, or of a leaky one. */
float vox_fuse_slope(const vox_node *relu);
/* The algorithm can do the work of this relu next to its layer. */
bool vox_fuse_can(const vox_algo *a, const vox_node *relu);
/* Fills in fused, relu, relu_in and slope_in where the chosen algorithms fuse relu, but for passes
 * of relus that are forced. */
void vox_fuse(vox_choice *choice, const vox_wiring *w, const vox_forced *forced);

/* ---- steps.c ------------------------------------------------------------ */

/* A tensor that some step writes (or the caller: input, labels). */
typedef struct vox_value {
    vox_tensor tensor; /* buf set once there is memory */
    size_t bytes;
    int first, last; /* steps that write it first and read it last */
    int slot;        /* of the shared buffers; -1: a buffer of its own */
    size_t offset;   /* in its slot, in bytes */
    bool gradient;
    char what[96]; /* "output of conv1" */
} vox_value;

typedef struct vox_plan_step {
    int layer;      /* of the graph; internal steps: the layer whose output it is about, or -1 */
    vox_node *node; /* internal steps: owned */
    vox_pass pass;
    const vox_algo *algo;
    int variant;                                      /* of the algorithm */
    char name[VOX_ALGO_TEXT];                         /* of both, once built */
    int x[VOX_MAX_INPUTS], y, dy, dx[VOX_MAX_INPUTS]; /* values; -1: none */
    int keep[VOX_PASSES];                             /* likewise: vox_io.keep */
    vox_work work;
} vox_plan_step;

typedef struct vox_steps {
    vox_value *value;
    int values;
    vox_plan_step *step;
    int steps;
    int forward_end; /* steps [0, forward_end) are the forward pass ... */
    int loss_end;    /* ... [forward_end, loss_end) the losses, the rest the backward pass */
    int input, labels, output,
        loss; /* values with buffers of their own; labels, loss: -1 if none */
    size_t value_capacity, step_capacity;
} vox_steps;

/* Values have their sizes for n_max samples and their lifetimes.  again[layers + 1], or NULL for
 * none: edges whose values are not kept for the backward passes, but made a second time; of the
 * input, its reordered copy. */
vox_status vox_steps_init(vox_steps *s, const vox_wiring *w, const vox_choice *choice,
                          const bool *again, vox_device *dev, int64_t n_max, vox_error *err);
void vox_steps_release(vox_steps *s); /* works too */

/* ---- memory.c ----------------------------------------------------------- */

typedef struct vox_memory {
    size_t *slot; /* bytes of each shared buffer */
    int slots;
    size_t slot_most;          /* what they may grow to; one value may be larger */
    uint64_t activation_bytes; /* slots and the values with buffers of their own */
    uint64_t flat_bytes;       /* of the flat parameter vector */
    uint64_t parameter_bytes;  /* parameters and, for training, gradients */
} vox_memory;

/* Gives each value its place.  dev NULL: any, with room for large buffers. */
vox_status vox_memory_init(vox_memory *m, vox_steps *s, const vox_wiring *w, const vox_device *dev,
                           vox_error *err);
/* Counts second buffers of input and labels. */
void vox_memory_ahead(vox_memory *m, const vox_steps *s);
/* The most bytes of values that live at once: what no placing can go below. */
uint64_t vox_memory_peak(const vox_steps *s);
/* Of tensors and parameters. */
uint64_t vox_memory_bytes(const vox_memory *m);
void vox_memory_release(vox_memory *m);
/* VOX_ERR_ROOM if that cannot fit the device as it is now, or passes opt->memory. */
vox_status vox_memory_check(const vox_memory *m, const vox_steps *s, const vox_device *dev,
                            const vox_plan_options *opt, vox_error *err);

/* ---- again.c ------------------------------------------------------------ */

/* Steps and memory of a plan that takes no more than opt->memory, if it can, by computing twice
 * what costs little.  Of opt: n_max, memory, ahead. */
vox_status vox_lay_out(vox_steps *s, vox_memory *m, const vox_choice *choice, const vox_wiring *w,
                       vox_device *dev, const vox_plan_options *opt, vox_error *err);

/* ---- plan.c, plan_run.c ------------------------------------------------- */

struct vox_plan {
    const vox_graph *graph;
    vox_device *dev;
    vox_plan_options opt; /* algo, times not kept */
    vox_wiring wiring;
    vox_choice *choice; /* [layers + 1] */
    vox_steps steps;
    vox_memory memory;
    vox_buffer **slot;                    /* [memory.slots] */
    vox_buffer **own;                     /* [values]: windows on slots, or buffers of their own */
    vox_buffer *next_input, *next_labels; /* NULL unless opt.ahead */
    const vox_plan_watch *watch;          /* NULL: nobody */
    vox_buffer *params, *grads;           /* flat */
    vox_buffer **param, **dparam; /* [graph->params]: windows; dparam NULL if not trainable */
    vox_exchange_fn exchange;     /* NULL: none */
    void *exchange_user;
    float *exchanged; /* what goes through it; owned */
    int64_t ran_n;    /* of the last forward; 0: none yet */
    bool ran_training;
    vox_step ran_step;
};

const vox_node *vox_plan_step_node(const vox_plan *p, const vox_plan_step *step);
/* A backward-weights pass that keeps the gradient's factors, where the gradient would be. */
bool vox_plan_keeps_factors(const vox_plan *p, const vox_plan_step *step);

#endif
