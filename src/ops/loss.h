/* loss.h - what the losses over voxels share: keys, shapes, kernels (cl/loss.cl has the formulas).
 *
 * A loss reads the output of one layer or, with deep supervision, of several, the first of which is
 * the network's own; and last the labels, one for each voxel of the first.  Coarser outputs get the
 * labels of the nearest voxels.  The loss of a sample is the weighted sum over the outputs.
 *
 * Each sample's loss is a mean of its own, and that of a batch is the mean over its samples, so
 * that the split over devices changes nothing.  PyTorch divides by the sum of the weights of the
 * whole batch instead: the two are equal unless samples differ in the sum of their voxels' weights
 * (class weights, ignored voxels).  A sample of nothing but ignored voxels has loss 0. */
#ifndef VOX_OPS_LOSS_H
#define VOX_OPS_LOSS_H

#include "ops/op.h"

#define VOX_LOSS_NO_LABEL INT32_MIN /* `ignore`: no voxel is left out */

typedef struct vox_loss_attr {
    vox_floats weights;      /* of the classes; none: 1 */
    vox_floats from_weights; /* of the outputs; none: vox_loss_output_weight */
    int64_t ignore;          /* a label that counts nowhere */
    double smooth, alpha, beta, gamma, dice_weight, ce_weight;
    bool background; /* class 0 counts in the overlap */
    int per;         /* vox_loss_per: what the overlap is of */
} vox_loss_attr;

typedef enum vox_loss_per { VOX_LOSS_SAMPLE, VOX_LOSS_BATCH } vox_loss_per;

/* The mean over voxels that a loss has, as in cl/loss.h. */
typedef enum vox_loss_voxel {
    VOX_LOSS_NO_VOXEL,
    VOX_LOSS_CROSS_ENTROPY,
    VOX_LOSS_BCE_LOGITS,
    VOX_LOSS_BCE,
    VOX_LOSS_FOCAL
} vox_loss_voxel;

/* What a loss is made of, as in cl/loss.cl. */
typedef struct vox_loss_form {
    double region, alpha, beta, smooth; /* region 0: no overlap */
    vox_loss_voxel voxel;
    double voxel_weight, gamma;
} vox_loss_form;

#define VOX_LOSS_KEY(key, kind, field, dflt, min, max, words, help)                                \
    {                                                                                              \
        key, kind, offsetof(vox_loss_attr, field), false, dflt, min, max, words, NULL, help        \
    }
#define VOX_LOSS_WEIGHTS                                                                           \
    VOX_LOSS_KEY("weights", VOX_ATTR_FLOATS, weights, 0, 0, 1e6, NULL, "a weight for each class")
#define VOX_LOSS_BACKGROUND                                                                        \
    VOX_LOSS_KEY("background", VOX_ATTR_BOOL, background, 0, 0, 1, NULL, "class 0 counts too")
#define VOX_LOSS_SMOOTH                                                                            \
    VOX_LOSS_KEY("smooth", VOX_ATTR_FLOAT, smooth, 1e-5, 1e-10, 1e6, NULL,                         \
                 "added to both sides of the fraction")
#define VOX_LOSS_PER                                                                               \
    VOX_LOSS_KEY("per", VOX_ATTR_WORD, per, 0, 0, 1, vox_loss_per_words,                           \
                 "the overlap is of each sample, or of the batch as one volume")
/* Those that all have. */
#define VOX_LOSS_KEYS                                                                              \
    VOX_LOSS_KEY("ignore", VOX_ATTR_INT, ignore, VOX_LOSS_NO_LABEL, VOX_LOSS_NO_LABEL, INT32_MAX,  \
                 NULL, "voxels of this label count nowhere"),                                      \
        VOX_LOSS_KEY("from_weights", VOX_ATTR_FLOATS, from_weights, 0, 0, 1e6, NULL,               \
                     "a weight for each layer of from")
extern const char *const vox_loss_per_words[]; /* "sample", "batch" */

/* Values a label may have, besides `ignore`: 0 .. this - 1.  One channel has two classes, except in
 * cross entropy. */
int64_t vox_loss_classes(const vox_node *node);
/* Is there a label that counts nowhere?  Then *label is it. */
bool vox_loss_ignored(const vox_node *node, int32_t *label);
/* The weight of output number i of a node: from_weights, or by default 1, 1/2, 1/4 ... but 0 for
 * the last of several, their sum made 1 (nnU-Net's). */
double vox_loss_output_weight(const vox_node *node, int i);
/* The overlap is of the whole batch: its devices exchange sums in mid-step. */
bool vox_loss_per_batch(const vox_node *node);

/* What a loss per batch keeps and joins (vox_op): inside, all and truth of each output's classes.
 */
int64_t vox_loss_keeps(const vox_node *node, vox_pass pass, int64_t n);
vox_join_fn vox_loss_joins(const vox_node *node, vox_pass pass, bool training);

vox_status vox_loss_infer(const vox_node *node, const vox_shape *in, vox_shape *out,
                          vox_error *err);

/* The algorithms' functions.  "vectors": CPUs, sixteen voxels side by side; "group": GPUs, an item
 * a voxel.  number[] of the work is theirs. */
double vox_loss_seconds_vectors(const vox_problem *p);
double vox_loss_seconds_group(const vox_problem *p);
vox_status vox_loss_build_vectors(vox_work *w, const vox_loss_form *form, vox_error *err);
vox_status vox_loss_build_group(vox_work *w, const vox_loss_form *form, vox_error *err);
vox_status vox_loss_run(vox_work *w, const vox_loss_form *form, const vox_io *io, vox_error *err);

/* An operation's functions, from form_of(const vox_node *) ... */
#define VOX_LOSS_RUNS(form_of)                                                                     \
    static vox_status build_sums_vectors(vox_work *w, vox_error *err)                              \
    {                                                                                              \
        const vox_loss_form form = form_of(w->problem.node);                                       \
        return vox_loss_build_vectors(w, &form, err);                                              \
    }                                                                                              \
    static vox_status build_sums_group(vox_work *w, vox_error *err)                                \
    {                                                                                              \
        const vox_loss_form form = form_of(w->problem.node);                                       \
        return vox_loss_build_group(w, &form, err);                                                \
    }                                                                                              \
    static vox_status run_sums(vox_work *w, const vox_io *io, vox_error *err)                      \
    {                                                                                              \
        const vox_loss_form form = form_of(w->problem.node);                                       \
        return vox_loss_run(w, &form, io, err);                                                    \
    }
/* ... its rows in the table of algorithms, by what they are called there ... */
#define VOX_LOSS_ALGO(name, pass, fits, kind)                                                      \
    {                                                                                              \
        name, pass, VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN, fits, vox_loss_seconds_##kind,             \
            build_sums_##kind, run_sums                                                            \
    }
#define VOX_LOSS_ALGOS(vectors_name, group_name, fits)                                             \
    VOX_LOSS_ALGO(vectors_name, VOX_FORWARD, fits, vectors),                                       \
        VOX_LOSS_ALGO(vectors_name, VOX_BACKWARD_DATA, fits, vectors),                             \
        VOX_LOSS_ALGO(group_name, VOX_FORWARD, fits, group),                                       \
        VOX_LOSS_ALGO(group_name, VOX_BACKWARD_DATA, fits, group)
/* ... and itself, given attrs and algos. */
#define VOX_LOSS_OP(word)                                                                          \
    {                                                                                              \
        .name = word, .attr_bytes = sizeof(vox_loss_attr), .attrs = attrs, .min_inputs = 2,        \
        .max_inputs = VOX_MAX_INPUTS, .infer = vox_loss_infer, .algos = algos,                     \
        .keeps = vox_loss_keeps, .joins = vox_loss_joins, .backward_reads_x = true, .loss = true   \
    }

#endif
