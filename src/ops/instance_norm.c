/* instance_norm.c - each channel of each sample normalised, as torch.nn.InstanceNorm3d, and groups
 * of channels, as torch.nn.GroupNorm. */
#include "ops/norm.h"

#include <inttypes.h>

static const vox_attr instance_attrs[] = {
    VOX_NORM_ATTRS(0, "weight and bias for each channel (PyTorch's default is none, nnU-Net has "
                      "them)"),
    {0}};

static const vox_attr group_attrs[] = {{"groups", VOX_ATTR_INT, offsetof(vox_norm_attr, groups),
                                        true, 0, 1, 1 << 20, NULL, NULL,
                                        "into how many groups the channels are divided"},
                                       VOX_NORM_ATTRS(1, "weight and bias for each channel"),
                                       {0}};

/* A single number is its own mean: the layer's output would be its bias, whatever came in. */
static vox_status check_values(const vox_node *node, const vox_shape *in, int64_t channels,
                               vox_error *err)
{
    char shape[96];
    if (channels * in->dim[2] * in->dim[3] * in->dim[4] > 1)
        return VOX_OK;
    vox_fail(err, VOX_ERR_INPUT, "layer %s: a mean over a single value", node->name);
    vox_detail(err, "%s of an input %s", node->op->name, vox_shape_text(in, shape));
    vox_hint(err, "use a larger input, or fewer layers that shrink it before this one");
    return VOX_ERR_INPUT;
}

static vox_status infer_instance(const vox_node *node, const vox_shape *in, vox_shape *out,
                                 vox_error *err)
{
    *out = in[0];
    return check_values(node, in, 1, err);
}

static vox_status infer_group(const vox_node *node, const vox_shape *in, vox_shape *out,
                              vox_error *err)
{
    const int64_t groups = ((const vox_norm_attr *)node->attr)->groups;
    *out = in[0];
    if (in->dim[1] % groups == 0)
        return check_values(node, in, in->dim[1] / groups, err);
    vox_fail(err, VOX_ERR_INPUT, "layer %s: channels do not divide into groups", node->name);
    return vox_detail(err, "group_norm of %" PRId64 " channels, groups %" PRId64, in->dim[1],
                      groups);
}

const vox_op vox_op_instance_norm = {.name = "instance_norm",
                                     .attr_bytes = sizeof(vox_norm_attr),
                                     .attrs = instance_attrs,
                                     .min_inputs = 1,
                                     .max_inputs = 1,
                                     .infer = infer_instance,
                                     .params = vox_norm_params,
                                     .keeps = vox_norm_keeps,
                                     .algos = vox_norm_algos,
                                     .backward_reads_x = true};

const vox_op vox_op_group_norm = {.name = "group_norm",
                                  .attr_bytes = sizeof(vox_norm_attr),
                                  .attrs = group_attrs,
                                  .min_inputs = 1,
                                  .max_inputs = 1,
                                  .infer = infer_group,
                                  .params = vox_norm_params,
                                  .keeps = vox_norm_keeps,
                                  .algos = vox_norm_algos,
                                  .backward_reads_x = true};
