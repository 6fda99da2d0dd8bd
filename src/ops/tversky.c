/* tversky.c - 1 - the mean over classes of Tversky's index
 *   (TP + smooth) / (TP + alpha FP + beta FN + smooth)
 * with TP = sum p g, FP = sum p (1 - g), FN = sum (1 - p) g: alpha weighs false positives, beta
 * false negatives.  p, g as in dice.c, which is this with 1/2, 1/2 and half the smooth.
 * Source: Salehi, Erdogmus, Gholipour, "Tversky loss function for image segmentation using 3D
 * fully convolutional deep networks", 2017; alpha = 0.3, beta = 0.7 worked best there. */
#include "ops/loss.h"

static vox_loss_form form_of(const vox_node *node)
{
    const vox_loss_attr *a = node->attr;
    return (vox_loss_form){.region = 1, .alpha = a->alpha, .beta = a->beta, .smooth = a->smooth};
}

VOX_LOSS_RUNS(form_of)

static const vox_algo algos[] = {VOX_LOSS_ALGOS("vectors", "group", NULL), {0}};

static const vox_attr attrs[] = {
    VOX_LOSS_KEY("alpha", VOX_ATTR_FLOAT, alpha, 0.3, 0, 1e6, NULL, "weight of false positives"),
    VOX_LOSS_KEY("beta", VOX_ATTR_FLOAT, beta, 0.7, 0, 1e6, NULL, "weight of false negatives"),
    VOX_LOSS_BACKGROUND,
    VOX_LOSS_SMOOTH,
    VOX_LOSS_PER,
    VOX_LOSS_KEYS,
    {0}};

const vox_op vox_op_tversky = VOX_LOSS_OP("tversky");
