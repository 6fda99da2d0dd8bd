/* metrics_segmentation.h - how well a label map agrees with another, class by class: pure functions
 * of the maps.
 *
 * Definitions, for one label: T and P the voxels that have it in the truth and in the prediction,
 * |.| their number, TP = |T and P|.
 *  dice         2 TP / (|T| + |P|), with an empty T by a rule that has a name (vox_empty_rule)
 *  iou          TP / |T or P|; NaN if both are empty
 *  sensitivity  TP / |T|; NaN if T is empty
 *  precision    TP / |P|; NaN if P is empty
 *  hd95_mm      95 % Hausdorff distance as MONAI defines it: a surface voxel is one with a face
 *               neighbour outside of its set (what is beyond the volume is outside); for each of
 * T's the distance to the nearest of P's, centre to centre, and its 95th percentile (numpy's linear
 * interpolation); likewise from P to T; the larger of the two.  (medpy takes one percentile of both
 * lists together, DeepMind's surface-distance weighs surface elements by their area.)  NaN if T or
 * P is empty. volume error |P| - |T| as ml, and divided by |T| (NaN if T is empty) Voxels whose
 * truth is the ignored label are in neither set. */
#ifndef VOX_TRAIN_METRICS_SEGMENTATION_H
#define VOX_TRAIN_METRICS_SEGMENTATION_H

#include "base/error.h"

/* What Dice is where the truth is empty. */
typedef enum vox_empty_rule {
    VOX_EMPTY_NNUNET, /* NaN if the prediction is empty too, else 0 */
    VOX_EMPTY_MONAI,  /* NaN (ignore_empty=True) */
    VOX_EMPTY_ONE     /* 1 if the prediction is empty too, else 0: the BraTS challenges' */
} vox_empty_rule;

const char *vox_empty_rule_name(vox_empty_rule rule); /* "nnunet", "monai", "one" */

typedef struct vox_class_metrics {
    int64_t truth, predicted, both; /* voxels */
    double dice, iou, sensitivity, precision, hd95_mm;
    double truth_ml, predicted_ml, volume_error_ml, volume_error;
} vox_class_metrics;

/* One label of maps [d, h, w]; spacing_mm (d, h, w) > 0.  ignore: a label, or one that no voxel
 * has.  Takes as many doubles of memory as the sets' common bounding box has voxels. */
vox_status vox_class_metrics_get(vox_class_metrics *out, const int32_t *truth,
                                 const int32_t *predicted, const int64_t size[3],
                                 const double spacing_mm[3], int32_t label, int32_t ignore,
                                 vox_empty_rule rule, vox_error *err);

double vox_dice(int64_t truth, int64_t predicted, int64_t both, vox_empty_rule rule);

/* square_mm[d, h, w]: 0 at the seeds, INFINITY elsewhere; becomes the square of each voxel's
 * distance to the nearest seed, exactly (INFINITY where there is no seed).
 * Source: Felzenszwalb, Huttenlocher, "Distance transforms of sampled functions", 2012: along one
 * axis after the other the lower envelope of parabolas. */
vox_status vox_distance_transform(double *square_mm, const int64_t size[3],
                                  const double spacing_mm[3], vox_error *err);

/* numpy.percentile(value[count], percent), count >= 1; sorts value. */
double vox_percentile(double *value, size_t count, double percent);

#endif
