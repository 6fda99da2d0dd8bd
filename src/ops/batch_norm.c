/* batch_norm.c - each channel normalised over the batch, as torch.nn.BatchNorm3d. */
#include "ops/norm.h"

static const vox_attr attrs[] = {
    VOX_NORM_ATTRS(1, "weight and bias for each channel"),
    {"momentum", VOX_ATTR_FLOAT, offsetof(vox_norm_attr, momentum), false, 0.1, 0, 1, NULL, NULL,
     "share of a batch's statistics in the running ones, which evaluation uses"},
    {"sync", VOX_ATTR_BOOL, offsetof(vox_norm_attr, sync), false, 0, 0, 1, NULL, NULL,
     "statistics of the whole batch over all devices, not of each one's share (training waits for "
     "all of them)"},
    {0}};

const vox_op vox_op_batch_norm = {.name = "batch_norm",
                                  .attr_bytes = sizeof(vox_norm_attr),
                                  .attrs = attrs,
                                  .min_inputs = 1,
                                  .max_inputs = 1,
                                  .infer = vox_infer_same,
                                  .params = vox_norm_params,
                                  .keeps = vox_norm_keeps,
                                  .joins = vox_norm_joins,
                                  .algos = vox_norm_algos,
                                  .backward_reads_x = true};
