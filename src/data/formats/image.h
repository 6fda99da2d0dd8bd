/* image.h - what the formats share: the table they stand in, checked allocation,
 * one wording for complaints.
 *
 * A format is one vox_file_format in a file of its own and one line in image.c. */
#ifndef VOX_DATA_FORMATS_IMAGE_H
#define VOX_DATA_FORMATS_IMAGE_H

#include "base/error.h"

typedef struct vox_file_format {
    const char *name; /* goes into vox_image.format */
    /* true if a file that begins with head[n] is of this format.  NULL: told by name only. */
    bool (*sniff)(const unsigned char *head, size_t n, const char *path);
    /* A weaker sign, asked when neither content nor name decided; may be NULL. */
    bool (*guess)(const unsigned char *head, size_t n, const char *path);
    const char *const *endings; /* of names; asked when no content is known; ends with NULL */
    vox_status (*read)(vox_image **out, const char *path, vox_error *err);
    const char *const *written; /* endings it writes, ends with NULL; NULL: it writes none */
    vox_status (*write)(const vox_image *image, const char *path, vox_error *err);
} vox_file_format;

extern const vox_file_format vox_format_dicom, vox_format_nifti, vox_format_metaimage,
    vox_format_numpy, vox_format_png;

/* Bytes of a file's beginning that sniff gets to see. */
#define VOX_SNIFF_BYTES 512

/* No image has this many voxels times channels. */
#define VOX_IMAGE_MAX_VALUES (INT64_C(1) << 40)

/* A zeroed image without geometry (spacing 1, identity), after checking that every length is
 * at least 1, that the product does not overflow, and that `bytes` (what the file can hold at
 * most) is enough for values of `value_bytes` each; value_bytes 0 leaves that check out. */
vox_status vox_image_make(vox_image **out, int64_t channels, const int64_t size[3],
                          uint64_t value_bytes, uint64_t bytes, const vox_file_format *format,
                          const char *stored_type, const char *path, vox_error *err);

/* channels * d * h * w. */
size_t vox_image_values(const vox_image *image);

/* How many values are NaN or infinite; readers keep them, data sets reject them. */
size_t vox_image_count_nonfinite(const vox_image *image);

/* Sets spacing and direction of one axis from the vector of one step along it; false (image
 * untouched) if it is zero or not finite. */
bool vox_image_set_axis(vox_image *image, int axis, const double step_mm[3]);

/* 6 times the volume of the directions: 0 when they lie in one plane, +-1 at right angles. */
double vox_image_determinant(const vox_image *image);

/* "bad NIfTI file" (or "unsupported ..."), detail "path: <fmt>". */
vox_status vox_image_bad(vox_error *err, const char *format, const char *path, const char *fmt, ...)
    VOX_PRINTF(4, 5);
vox_status vox_image_unsupported(vox_error *err, const char *format, const char *path,
                                 const char *fmt, ...) VOX_PRINTF(4, 5);
/* This build lacks `option` ("PNG"), which path needs. */
vox_status vox_image_switched_off(vox_error *err, const char *option, const char *path);

/* MetaImage with the data beside the header (path ends in .mhd); compressed: .zraw, else .raw.
 * Both appear or none. */
vox_status vox_metaimage_write(const vox_image *image, const char *path, bool compressed,
                               vox_error *err);

#endif
