/* dice_ce.c - dice_weight times soft Dice (dice.c) plus ce_weight times the cross entropy: with a
 * softmax that of cross_entropy.c, `weights` and all; of one channel the binary one. */
#include "ops/loss.h"

static vox_loss_form form_of(const vox_node *node)
{
    const vox_loss_attr *a = node->attr;
    const bool binary = node->in[0].dim[1] == 1;
    return (vox_loss_form){.region = a->dice_weight,
                           .alpha = 0.5,
                           .beta = 0.5,
                           .smooth = a->smooth / 2,
                           .voxel = binary ? VOX_LOSS_BCE_LOGITS : VOX_LOSS_CROSS_ENTROPY,
                           .voxel_weight = a->ce_weight};
}

VOX_LOSS_RUNS(form_of)

static const vox_algo algos[] = {VOX_LOSS_ALGOS("vectors", "group", NULL), {0}};

static const vox_attr attrs[] = {
    VOX_LOSS_BACKGROUND,
    VOX_LOSS_SMOOTH,
    VOX_LOSS_PER,
    VOX_LOSS_KEY("dice_weight", VOX_ATTR_FLOAT, dice_weight, 1, 1e-6, 1e6, NULL, "times Dice"),
    VOX_LOSS_KEY("ce_weight", VOX_ATTR_FLOAT, ce_weight, 1, 0, 1e6, NULL, "times cross entropy"),
    VOX_LOSS_WEIGHTS,
    VOX_LOSS_KEYS,
    {0}};

const vox_op vox_op_dice_ce = VOX_LOSS_OP("dice_ce");
