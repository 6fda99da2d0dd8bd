/* dice.c - soft Dice: 1 - the mean over classes c of
 *   (2 sum_v p[c,v] g[c,v] + smooth) / (sum_v p[c,v] + sum_v g[c,v] + smooth)
 * with p the softmax of the logits (one channel: the sigmoid, and g its foreground), g 1 where the
 * label is c.  nnU-Net's loss is this one less 1.  dice_ce is a sum with the cross entropy, as
 * nnU-Net and MONAI train.
 * Source: Milletari et al., "V-Net", 2016; the form with plain sums is nnU-Net's. */
#include "ops/loss.h"

static vox_loss_form overlap_of(const vox_node *node)
{
    const vox_loss_attr *a = node->attr;
    return (vox_loss_form){.region = 1, .alpha = 0.5, .beta = 0.5, .smooth = a->smooth / 2};
}

VOX_LOSS_RUNS(overlap_of)

static const vox_algo algos[] = {VOX_LOSS_ALGOS("vectors", "group", NULL), {0}};

static const vox_attr attrs[] = {
    VOX_LOSS_BACKGROUND, VOX_LOSS_SMOOTH, VOX_LOSS_PER, VOX_LOSS_KEYS, {0}};

const vox_op vox_op_dice = VOX_LOSS_OP("dice");
