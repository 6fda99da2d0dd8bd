/* volume.h - what data sets do with volumes: allocate, map points, resample, check.
 *
 * Everything here is a pure function of its arguments; a failure leaves them as they were. */
#ifndef VOX_DATA_VOLUME_H
#define VOX_DATA_VOLUME_H

#include "base/error.h"

/* Zeroed voxels, no geometry (spacing 1, identity).  Sizes must be at least 1; an overflow is an
 * error.  Free with vox_image_free. */
vox_status vox_volume_alloc(vox_image **out, int64_t channels, const int64_t size[3],
                            vox_error *err);
/* Voxels of one channel; what one image holds fits in size_t. */
size_t vox_volume_voxels(const vox_image *image);

/* The voxel coordinates (d, h, w), fractional, of an LPS point, and back.  Directions need not be
 * orthogonal; false if they are linearly dependent. */
bool vox_volume_index(const vox_image *image, const double point_mm[3], double index[3]);
void vox_volume_point(const vox_image *image, const double index[3], double point_mm[3]);

/* Do the voxels of a and b lie on the same places (within half of the smaller spacing at every
 * corner)?  Sizes must be equal; images without geometry match anything. */
bool vox_volume_same_grid(const vox_image *a, const vox_image *b);

/* Fails at the first NaN or infinity, naming path and voxel (c, d, h, w). */
vox_status vox_volume_finite(const vox_image *image, const char *path, vox_error *err);

/* Trilinear, PyTorch's interpolate(mode="trilinear", align_corners=False, antialias=False):
 *   source = (target + 0.5) * in / out - 0.5, clamped at both ends.
 * The size already there: nothing happens.  Replaces voxels and updates the geometry. */
vox_status vox_volume_resize(vox_image *image, const int64_t size[3], vox_error *err);

/* Keeps size voxels from `start` on; fails if the box leaves the volume. */
vox_status vox_volume_crop(vox_image *image, const int64_t start[3], const int64_t size[3],
                           vox_error *err);

/* Trilinear samples of one channel of `from` at the voxel centres of `grid`, into out [D, H, W of
 * grid].  A point outside `from` takes the nearest voxel of its edge (clamping). */
vox_status vox_volume_sample(float *out, const vox_image *grid, const vox_image *from,
                             int64_t channel, vox_error *err);

#endif
