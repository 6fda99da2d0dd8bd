/* op.h - what an operation is: attributes, shapes, parameters, and the algorithms that compute it.
 *
 * An operation is one struct in one .c file, listed once in ops.def.  It offers algorithms for
 * each pass; the planner (src/net) chooses one per pass for a given device, shape and layout,
 * builds it once and runs it every step.  Kernels are specialised on everything except the
 * batch: n comes at run time, at most n_max, so that shards may differ and change.
 *
 * Activations are always five numbers [N, C, D, H, W]; what has no D, H, W (after flatten) has 1s.
 * Layouts: PLAIN is [N][C][D][H][W].  BLOCK16 is [N][ceil(C/16)][D][H][W][16], channels past C
 * hold zeros: whoever writes a BLOCK16 tensor writes those zeros, readers may rely on them. */
#ifndef VOX_OPS_OP_H
#define VOX_OPS_OP_H

#include "ocl/kernel.h"

typedef struct vox_shape {
    int rank; /* 5 for activations; 1..5 for parameters */
    int64_t dim[5];
} vox_shape;

int64_t vox_shape_count(const vox_shape *s); /* elements */
bool vox_shape_equal(const vox_shape *a, const vox_shape *b);
/* "4x1x25x224x224" */
const char *vox_shape_text(const vox_shape *s, char out[96]);

typedef enum vox_layout { VOX_LAYOUT_PLAIN, VOX_LAYOUT_BLOCK16, VOX_LAYOUTS } vox_layout;
typedef enum vox_dtype { VOX_F32, VOX_I32 } vox_dtype;

/* Floats of one sample (dim[0] counted as 1) in a layout. */
int64_t vox_sample_floats(const vox_shape *s, vox_layout layout);

/* A tensor on a device.  shape.dim[0] is the batch the buffer can hold. */
typedef struct vox_tensor {
    vox_buffer *buf; /* borrowed */
    vox_shape shape;
    vox_layout layout;
    vox_dtype dtype;
} vox_tensor;

/* ---- attributes: the keys of a layer in an experiment file -------------- */

typedef enum vox_attr_kind {
    VOX_ATTR_INT,    /* int64_t */
    VOX_ATTR_FLOAT,  /* double */
    VOX_ATTR_BOOL,   /* bool */
    VOX_ATTR_TRIPLE, /* int64_t[3] (d, h, w); a scalar stands for all three */
    VOX_ATTR_WORD,   /* int: index into words */
    VOX_ATTR_FLOATS  /* vox_floats; a number stands for a list of one, no key for an empty one */
} vox_attr_kind;

#define VOX_FLOATS_MAX 128

/* A list of numbers, such as the weights of classes. */
typedef struct vox_floats {
    int count; /* 0..VOX_FLOATS_MAX */
    double value[VOX_FLOATS_MAX];
} vox_floats;

typedef struct vox_attr {
    const char *key;
    vox_attr_kind kind;
    size_t offset; /* into the operation's attribute struct */
    bool required;
    double dflt;              /* default (all three of a triple; index of a word) */
    double min, max;          /* inclusive; of each number of a list */
    const char *const *words; /* VOX_ATTR_WORD: ends with NULL */
    const char
        *same_as;     /* the default is the value of this earlier key (a pool's stride), or NULL */
    const char *help; /* one line */
} vox_attr;

/* ---- a layer ------------------------------------------------------------ */

#define VOX_MAX_INPUTS 8
#define VOX_MAX_PARAMS 4

typedef struct vox_op vox_op;

/* One layer: an operation with its attributes and the shapes for a batch of 1. */
typedef struct vox_node {
    const vox_op *op;
    char name[64]; /* unique in the network */
    void *attr;    /* the operation's attribute struct; owned by the graph, NULL if none */
    int inputs;
    vox_shape in[VOX_MAX_INPUTS]; /* dim[0] == 1 */
    vox_shape out;
    uint32_t lane; /* its number among the layers: the generator's lane */
} vox_node;

typedef enum vox_init_kind {
    VOX_INIT_ZERO,
    VOX_INIT_ONE,
    VOX_INIT_CONSTANT, /* bound */
    VOX_INIT_UNIFORM /* in [-bound, bound): PyTorch's kaiming_uniform(a=sqrt 5) is 1/sqrt(fan_in) */
} vox_init_kind;

typedef struct vox_param {
    const char *name; /* "weight", "bias" */
    vox_shape shape;  /* as PyTorch has it */
    vox_init_kind init;
    double bound;
    bool trainable; /* false: no gradient; only the forward pass in training may change it */
} vox_param;

/* ---- algorithms ---------------------------------------------------------- */

typedef enum vox_pass {
    VOX_FORWARD,          /* y = */
    VOX_BACKWARD_DATA,    /* dx = (always overwritten; sums over consumers are the planner's) */
    VOX_BACKWARD_WEIGHTS, /* dparam = or +=, by vox_io.accumulate */
    VOX_PASSES
} vox_pass;

/* A layer on a device: what an algorithm is chosen and built for. */
typedef struct vox_problem {
    const vox_node *node;
    vox_device *dev;
    int64_t n_max; /* the largest batch it will be run with */
    bool training; /* backward passes will be run too */
    /* The work of relu layers next to this one, asked only of algorithms that fuse relu (below),
     * and only where they are built for that pass. */
    bool relu_out;    /* VOX_FORWARD: y = max(y, 0), NaN passing */
    unsigned relu_in; /* VOX_BACKWARD_DATA, bit k: x[k] is given, and dx[k] = 0 where x[k] <= 0 */
    float relu_slope; /* of either: relu_slope * y, relu_slope * dx[k] in place of 0; >= 0 */
    int variant;      /* which tuning values an algorithm takes; 0: those of its own rule */
} vox_problem;

/* Fusing relu.  A relu layer needs no step of its own where its neighbours do its work: the layer
 * before it writes max(y, 0), and each layer that reads its output, x there, zeroes its dx where x
 * is not positive (relu's gradient; sums of several readers' dx come after it, as it is linear).
 * An algorithm that can do its pass's share says so by fuses_relu, honours it in build by adding
 * vox_relu_options() to the options of the kernel that writes y or dx, and has that kernel write
 *   y[i]  = RELU_Y(sum);             (cl/relu.h; both do nothing unless asked for)
 *   dx[i] = RELU_DX(sum, x[i]);      x: the buffer of vox_relu_input(), NULL if not asked for
 * Who decides is the planner (src/net/fuse.c).  test_ops checks such an algorithm in both forms. */

typedef struct vox_algo vox_algo;

#define VOX_MAX_KERNELS  8
#define VOX_VARIANT_TEXT 20 /* room for the words of a variant ... */
#define VOX_ALGO_TEXT    48 /* ... and for an algorithm's name with them */

/* An algorithm built for a problem. */
typedef struct vox_work {
    vox_problem problem;
    const vox_algo *algo;
    vox_kernel *kernel[VOX_MAX_KERNELS]; /* owned; set by build, freed by vox_work_release */
    vox_buffer *scratch[8];              /* owned likewise */
    vox_fft *fft[2];                     /* owned likewise */
    char relu[48];                       /* vox_relu_options() */
    int64_t number[16];                  /* what build wants run to know (grid sizes ...) */
} vox_work;

/* Where the random numbers of a step come from. */
typedef struct vox_step {
    uint64_t seed, step;
    uint64_t first; /* global index in the batch of this replica's sample 0 */
    int64_t all; /* samples of the batch over all replicas, where these exchange numbers; else 0 */
    /* Another replica's running statistics are the network's: those at hand stay as they are. */
    bool bystander;
} vox_step;

/* A pass that exchanges numbers with the layer's replicas on other devices (vox_op.joins) is run in
 * two halves. */
typedef enum vox_half {
    VOX_WHOLE, /* nothing is exchanged: both halves in one */
    VOX_FIRST_HALF,
    VOX_SECOND_HALF
} vox_half;

/* The tensors of one run.  Only what the pass needs is set. */
typedef struct vox_io {
    int64_t n;     /* samples, 1..n_max */
    bool training; /* false: evaluation semantics (dropout passes x through) */
    const vox_tensor *x[VOX_MAX_INPUTS];  /* inputs */
    const vox_tensor *y;                  /* output (forward: written) */
    const vox_tensor *dy;                 /* gradient of the output */
    const vox_tensor *dx[VOX_MAX_INPUTS]; /* gradients of the inputs; NULL where not wanted */
    vox_buffer *param[VOX_MAX_PARAMS];    /* PLAIN, in the order of vox_op.params */
    vox_buffer *dparam[VOX_MAX_PARAMS];
    /* What a pass leaves for the layer's later ones (vox_op.keeps): its own, to be written, and
     * those of the passes that ran before it in the step. */
    vox_buffer *keep[VOX_PASSES];
    bool accumulate; /* BACKWARD_WEIGHTS: += instead of = */
    float scale;     /* losses: the gradient is multiplied by it (1 / global batch) */
    vox_half half;
    vox_step step;
} vox_io;

/* A method for one pass.  `in` is the layout of x and dx (all inputs), `out` of y and dy: the
 * three passes of a layer are chosen with equal in and out. */
struct vox_algo {
    const char *name; /* "naive", "direct16", ... */
    vox_pass pass;
    vox_layout in, out;
    bool (*fits)(const vox_problem *p); /* NULL: always */
    /* Expected time of one run at n_max in seconds, by a rule; the tuner replaces it by
     * measurement.  As build, only for a problem that fits. */
    double (*seconds)(const vox_problem *p);
    /* Compiles kernels and makes scratch buffers.  On failure vox_work_release cleans up. */
    vox_status (*build)(vox_work *w, vox_error *err);
    vox_status (*run)(vox_work *w, const vox_io *io, vox_error *err); /* enqueues only */
    bool fuses_relu; /* takes vox_problem.relu_out (forward), relu_in (backward-data) */
    /* Variants: the same method with other tuning values (sizes of tiles ...), which the tuner
     * times too; nobody chooses one by the rule.  How many there are for the problem, the rule's
     * own, number 0, among them; NULL: only that.  p->variant is not read here, but by seconds and
     * build (of w->problem). */
    int (*variants)(const vox_problem *p);
    /* The values of number i > 0 in letters and digits, "r7q4": unlike those of the others, and the
     * same values always in the same words, because they are kept on disk. */
    void (*variant_text)(const vox_problem *p, int i, char text[VOX_VARIANT_TEXT]);
    /* The relative RMS error against float64 that its results may have, which the tests enforce; 0:
     * as little as the operation's definition done in float32 has. */
    double rms_error;
    bool no_slope; /* fuses_relu: of relu_slope 0 alone */
};

/* At least 1. */
int vox_algo_variants(const vox_algo *a, const vox_problem *p);
/* "direct16", or with p->variant's values "direct16:r7q4". */
const char *vox_algo_text(const vox_algo *a, const vox_problem *p, char text[VOX_ALGO_TEXT]);
/* The variant that says so of itself; -1: the problem has none. */
int vox_algo_find_variant(const vox_algo *a, const vox_problem *p, const char *text);

/* For a kernel of one input: " -DRELU_OUT" or " -DRELU_IN", with a slope " -DRELU_SLOPE=..." too
 * (40 characters at most), where the problem asks the work's pass for it, else "". */
const char *vox_relu_options(const vox_work *w);
/* What RELU_DX looks at: x[0]'s buffer, or NULL where it is not asked for. */
vox_buffer *vox_relu_input(const vox_work *w, const vox_io *io);

/* " -DSTREAM" where a CPU's kernel that touches so many bytes should write past its caches
 * (cl/cpu.h): nothing of what it writes would be left in them for the next one; else "". */
const char *vox_stream_options(const vox_device *dev, double bytes);

/* A rule of thumb for `seconds`: flops at a share of the device's estimated peak plus bytes at a
 * share of its estimated bandwidth (the estimates are good to a factor of two). */
double vox_rule_seconds(const vox_device *dev, double flops, double flop_share, double bytes,
                        double byte_share);

/* infer of layers whose output has the input's shape. */
vox_status vox_infer_same(const vox_node *node, const vox_shape *in, vox_shape *out,
                          vox_error *err);

vox_status vox_work_build(vox_work *w, const vox_problem *p, const vox_algo *a, vox_error *err);
void vox_work_release(vox_work *w);
uint64_t vox_work_bytes(const vox_work *w); /* of its scratch buffers */

/* Joins what `replicas` replicas of a layer have in keep[pass], from[i][floats] of n[i] samples
 * each, in the order of the devices, into to[floats], which they all are given. */
typedef void (*vox_join_fn)(const vox_node *node, const float *const *from, const int64_t *n,
                            size_t replicas, size_t floats, float *to);

/* For operations that join: the samples that what they keep is of, after the exchange. */
int64_t vox_io_samples(const vox_io *io);

struct vox_op {
    const char *name;      /* the word used in experiment files */
    size_t attr_bytes;     /* size of the attribute struct, 0 if none */
    const vox_attr *attrs; /* ends with key NULL; may be NULL */
    int min_inputs, max_inputs;
    /* y's shape from the inputs' (dim[0] passes through).  A kernel larger than its padded input
     * and the like are VOX_ERR_INPUT with all the numbers in the detail. */
    vox_status (*infer)(const vox_node *node, const vox_shape *in, vox_shape *out, vox_error *err);
    /* Fills out[0..count) and returns count; NULL: no parameters. */
    int (*params)(const vox_node *node, vox_param out[VOX_MAX_PARAMS]);
    /* Floating-point operations of a pass over one sample; NULL: none worth counting. */
    double (*flops)(const vox_node *node, vox_pass pass);
    const vox_algo *algos; /* ends with name NULL */
    /* What the backward passes read, so that the planner knows what to keep. */
    bool backward_reads_x, backward_reads_y;
    /* Floats that a pass over n samples writes to vox_io.keep[pass], in an order that is the same
     * for all algorithms: statistics, say, that later passes of the layer read.  Backward-weights,
     * where it runs, runs before backward-data.  NULL: none. */
    int64_t (*keeps)(const vox_node *node, vox_pass pass, int64_t n);
    /* For layers that need numbers of the whole batch, wherever its samples are: how what a pass
     * keeps is joined with that of the other devices.  Where it is not NULL, and there are others,
     * the first half of the pass writes vox_io.keep[pass], then the host waits for all of them and
     * joins, and the second half finds the result there.  NULL: never. */
    vox_join_fn (*joins)(const vox_node *node, vox_pass pass, bool training);
    /* About as quick as a copy, and depends on its inputs alone: where memory is short, the output
     * is not kept for the backward pass, but computed again (src/net/again.c). */
    bool cheap;
    bool training_only; /* does nothing (y = x) in evaluation: dropout */
    /* Its parameters are a weight [out, in] and perhaps a bias [out], whose gradients are the sums
     * over the samples of dy x^T and of dy, [N, in] and [N, out] in PLAIN. */
    bool factors;
    bool relu;          /* y = max(x, 0): its neighbours may do it (vox_algo.fuses_relu) */
    /* With `relu`: slope * x in place of 0, and its neighbours may where that is above 0; NULL: 0.
     */
    double (*relu_slope)(const vox_node *node);
    bool loss;     /* inputs: logits, labels (I32); output [N,1,1,1,1]: each sample's loss */
    bool internal; /* the planner's own (reorder): not a word of experiment files */
};

/* All operations, from ops.def; ends with NULL. */
extern const vox_op *const vox_ops[];
const vox_op *vox_op_find(const char *name);

/* Algorithm number i (0, 1, ...) of an op for a pass, or NULL. */
const vox_algo *vox_op_algo(const vox_op *op, vox_pass pass, int i);

#endif
