/* bce.c - binary cross entropy: the mean over voxels and channels of
 *   -(g log p + (1 - g) log(1 - p)),  g = 1 where the label is the channel's
 * One channel is that of label 1; of several, channel c is that of label c.  bce takes the
 * probabilities p themselves, kept within [1e-7, 1 - 1e-7] as Keras does (beyond them the gradient
 * is 0); bce_logits p = sigmoid(x), as torch.nn.functional.binary_cross_entropy_with_logits. */
#include "ops/loss.h"

extern const vox_op vox_op_bce;

static vox_loss_form form_of(const vox_node *node)
{
    return (vox_loss_form){.voxel = node->op == &vox_op_bce ? VOX_LOSS_BCE : VOX_LOSS_BCE_LOGITS,
                           .voxel_weight = 1};
}

VOX_LOSS_RUNS(form_of)

static const vox_algo algos[] = {VOX_LOSS_ALGOS("vectors", "group", NULL), {0}};

static const vox_attr attrs[] = {VOX_LOSS_KEYS, {0}};

const vox_op vox_op_bce = VOX_LOSS_OP("bce");
const vox_op vox_op_bce_logits = VOX_LOSS_OP("bce_logits");
