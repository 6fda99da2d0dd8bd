/* focal.c - the mean over voxels of  -alpha[label] (1 - p)^gamma log p,  p the probability of the
 * voxel's class: softmax, alpha a number for each class; or of one channel sigmoid, alpha one
 * number, the foreground's, and 1 - alpha the background's.  gamma 0 without alpha is the cross
 * entropy.
 * Source: Lin et al., "Focal loss for dense object detection", 2017. */
#include "ops/loss.h"

static vox_loss_form form_of(const vox_node *node)
{
    const vox_loss_attr *a = node->attr;
    return (vox_loss_form){.voxel = VOX_LOSS_FOCAL, .voxel_weight = 1, .gamma = a->gamma};
}

VOX_LOSS_RUNS(form_of)

static const vox_algo algos[] = {VOX_LOSS_ALGOS("vectors", "group", NULL), {0}};

static const vox_attr attrs[] = {
    VOX_LOSS_KEY("gamma", VOX_ATTR_FLOAT, gamma, 2, 0, 100, NULL, "how little easy voxels count"),
    VOX_LOSS_KEY("alpha", VOX_ATTR_FLOATS, weights, 0, 0, 1e6, NULL,
                 "a weight for each class; of one channel the foreground's"),
    VOX_LOSS_KEYS,
    {0}};

const vox_op vox_op_focal = VOX_LOSS_OP("focal");
