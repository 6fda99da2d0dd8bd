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

typedef enum vox_interpolation {
    /* PyTorch's interpolate(mode="trilinear", align_corners=False, antialias=False):
     *   source = (target + 0.5) * in / out - 0.5, clamped at both ends. */
    VOX_LINEAR,
    VOX_NEAREST, /* floor((target + 0.5) * in / out): the voxel in which the target's centre is */
    VOX_NEAREST_LOW /* target * in / out rounded down, in integers (interpolate(mode="nearest")) */
} vox_interpolation;

/* The size already there: nothing happens.  Replaces voxels and updates the geometry, the volume's
 * faces staying where they are. */
vox_status vox_volume_resize(vox_image *image, const int64_t size[3], vox_interpolation mode,
                             vox_error *err);

/* Keeps size voxels from `start` on; fails if the box leaves the volume. */
vox_status vox_volume_crop(vox_image *image, const int64_t start[3], const int64_t size[3],
                           vox_error *err);

/* The size voxels from `start` on, either of which may be outside: `value` there. */
vox_status vox_volume_box(vox_image *image, const int64_t start[3], const int64_t size[3],
                          float value, vox_error *err);

/* The copying alone: out [channels, size] from in [channels, in_size]; what lies outside keeps its
 * value. */
void vox_volume_copy_box(float *out, const float *in, int64_t channels, const int64_t in_size[3],
                         const int64_t start[3], const int64_t size[3]);

/* Where the axes of a volume point, as NIfTI's "RAS": the letters are those of the ends of w, h and
 * d.  True of three letters, one of each of RL, AP and SI. */
bool vox_volume_axes_known(const char *axes);
/* Reverses and exchanges axes so that each points nearest to its letter (of all six orders the one
 * with the largest sum of cosines).  No value changes; needs geometry. */
vox_status vox_volume_reorient(vox_image *image, const char *axes, vox_error *err);

/* Voxel coordinates of one volume in the grid of another:
 *   there[a] = offset[a] + sum over b of matrix[a][b] * here[b],   (d, h, w) */
typedef struct vox_voxel_map {
    int64_t size[3]; /* of the other grid */
    double matrix[3][3], offset[3];
} vox_voxel_map;

/* From the voxels of `here` to those of `there`, by their geometry alone: voxels may be NULL. */
vox_status vox_volume_map(vox_voxel_map *map, const vox_image *here, const vox_image *there,
                          vox_error *err);

/* Trilinear samples of one channel of `from` at the voxel centres of `grid`, into out [D, H, W of
 * grid].  A point outside `from` takes the nearest voxel of its edge (clamping). */
vox_status vox_volume_sample(float *out, const vox_image *grid, const vox_image *from,
                             int64_t channel, vox_error *err);

#endif
