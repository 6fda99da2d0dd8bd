/* prepare.h - the steps under `data.prepare`: done once per case, on the host, before the cache.
 *
 *   resize:    {size: [d, h, w]}                     trilinear, align_corners=False
 *   crop:      {size: [d, h, w]}                     around the volume's middle, or
 *              {size: ..., center: [d, h, w]}        around this voxel (at - size / 2), or
 *              {size: ..., center: point}            around the case's point (manifest column), or
 *              {size: ..., at: [d, h, w]}            from this voxel on
 *   normalize: zscore | minmax                       each channel by itself; a constant one gives 0
 *              {method: zscore, channels: [0, 2]}    only these channels
 *   window:    {level: L, width: W}                  L - W/2 .. L + W/2 (HU, say) to 0 .. 1,
 * clamped {min: A, max: B, channels: [1]}
 *
 * A step is one row of the table in prepare.c. */
#ifndef VOX_DATA_PREPARE_H
#define VOX_DATA_PREPARE_H

#include "base/yaml.h"

typedef struct vox_prepare vox_prepare;

/* list: a YAML list of steps; NULL or empty: none.  What it says wrong is an error with its place.
 */
vox_status vox_prepare_open(vox_prepare **out, const vox_yaml_node *list, vox_error *err);
void vox_prepare_free(vox_prepare **prepare);

/* The size every case has after the steps, if they alone decide it (a resize or crop is there). */
bool vox_prepare_size(const vox_prepare *prepare, int64_t size[3]);

/* Applies the steps in order, in place.  point_mm (LPS) is the case's point of interest or NULL.
 * On failure the image is valid but half prepared.  Safe from several threads, image apart. */
vox_status vox_prepare_apply(const vox_prepare *prepare, vox_image *image, const double *point_mm,
                             vox_error *err);

#endif
