/* norm.h - what batch_norm, instance_norm and group_norm share: they differ in which numbers have a
 * mean and a variance in common.
 *
 *   y = (x - mean) / sqrt(variance + eps) * weight[c] + bias[c]
 *   batch_norm     of a channel over all samples of the batch; in evaluation running averages
 *   instance_norm  of a channel of a sample
 *   group_norm     of a group of channels of a sample
 *
 * The variance is the biased one (divided by the count), as in PyTorch.  Forward keeps the
 * statistics (float4 a channel, cl/norm.h), [n][C], for batch_norm [C]; the first backward pass
 * that runs keeps the sums (float2 a channel) that the gradient of x needs, in the same order. With
 * weights that is backward-weights, so that a training step reads x and dy twice only. */
#ifndef VOX_OPS_NORM_H
#define VOX_OPS_NORM_H

#include "ops/op.h"

typedef struct vox_norm_attr {
    double eps, momentum; /* momentum: share of the new statistics in the running ones */
    int64_t groups;       /* group_norm */
    bool affine;          /* has weight and bias */
    bool sync;            /* batch_norm: over the whole batch, wherever its samples are */
} vox_norm_attr;

/* The keys they have in common, for their tables; affine's default and its remark differ. */
#define VOX_NORM_ATTRS(affine_default, affine_help)                                                \
    {"eps", VOX_ATTR_FLOAT, offsetof(vox_norm_attr, eps), false, 1e-5, 1e-30, 1,                   \
     NULL,  NULL,           "added to the variance"},                                              \
    {                                                                                              \
        "affine", VOX_ATTR_BOOL, offsetof(vox_norm_attr, affine), false, affine_default, 0, 1,     \
            NULL, NULL, affine_help                                                                \
    }

/* vox_op.params: weight and bias if affine; batch_norm: running_mean and running_var after them. */
int vox_norm_params(const vox_node *node, vox_param out[VOX_MAX_PARAMS]);
/* vox_op.keeps */
int64_t vox_norm_keeps(const vox_node *node, vox_pass pass, int64_t n);
/* vox_op.joins of batch_norm. */
vox_join_fn vox_norm_joins(const vox_node *node, vox_pass pass, bool training);

/* All passes for CPUs and for GPUs in both layouts, for vox_op.algos of the three. */
extern const vox_algo vox_norm_algos[];
extern const vox_op vox_op_batch_norm;

#endif
