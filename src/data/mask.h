/* mask.h - the mask of a case: a class for every voxel of its image. */
#ifndef VOX_DATA_MASK_H
#define VOX_DATA_MASK_H

#include "base/file.h"
#include "data/volume.h"

#define VOX_MASK_IGNORED 255 /* the class of voxels that the loss leaves out */

/* Do image and mask lie on one grid?  Sizes are equal, spacings within 0.1 %, the axes' unit
 * vectors within 0.001 in each component, origins within a tenth of the smallest spacing; one
 * without geometry is on any grid of its size.  Else an error that shows both. */
vox_status vox_mask_check_grid(const vox_image *image, const vox_image *mask, const char *path,
                               vox_error *err);

/* What the file's values mean: value v is class class_of[v]; without a list, class v. */
typedef struct vox_mask_values {
    const int32_t *class_of; /* [count], each below classes or VOX_MASK_IGNORED; or NULL */
    size_t count;
    size_t classes;          /* 1..255 */
    const int32_t *ignore;   /* a value that stands for VOX_MASK_IGNORED; NULL: none */
    const char *const *name; /* [classes], for messages */
} vox_mask_values;

/* Reads a mask, checks its values and its grid (against image, NULL: not), and turns values into
 * classes.  *out then has image's geometry, one channel, and whole numbers below classes, or
 * VOX_MASK_IGNORED. */
vox_status vox_mask_read(vox_image **out, const char *path, const vox_image *image,
                         const vox_mask_values *values, vox_error *err);

#endif
