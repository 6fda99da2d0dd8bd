/* derived.h - a volume computed from an image, such as a mask, written on that image's own grid.
 *
 * One invariant: what the source's format and the written one both hold of the grid is taken over
 * as it stands in the source - a NIfTI header's bytes (sform, qform, their codes, pixdim, units), a
 * MetaImage header's words - so that no rounding comes between an image and its mask. */
#ifndef VOX_DATA_FORMATS_DERIVED_H
#define VOX_DATA_FORMATS_DERIVED_H

#include "base/error.h"

/* Everything is borrowed. */
typedef struct vox_derived {
    const vox_image *grid; /* size and geometry; its channels and voxels are not looked at */
    const char *source;    /* the path that grid was read from; NULL: none */
    const uint8_t *label;  /* [size]: stored as 8-bit integers; or */
    const float *value;    /* [channels, size]: stored as float32 */
    int64_t channels;      /* of value; 0 counts as 1; more only without a source */
} vox_derived;

/* By the name's ending, as vox_image_write; formats other than NIfTI and MetaImage hold labels as
 * vox_image_write has them.  Whole or not at all. */
vox_status vox_derived_write(const vox_derived *d, const char *path, vox_error *err);

/* Could vox_derived_write write there?  Asked before long work: the ending is known and the folder
 * takes a file. */
vox_status vox_derived_check(const char *path, vox_error *err);

/* ---- the formats' parts ---- */

vox_status vox_nifti_derive(const vox_derived *d, const char *path, vox_error *err);
vox_status vox_metaimage_derive(const vox_derived *d, const char *path, vox_error *err);

#endif
