/* nifti_write.h - for the entry in the table of formats. */
#ifndef VOX_DATA_FORMATS_NIFTI_WRITE_H
#define VOX_DATA_FORMATS_NIFTI_WRITE_H

#include "base/error.h"

/* float32, .nii or .nii.gz by the name; NIfTI-2 when a length exceeds 32767. */
vox_status vox_nifti_write(const vox_image *image, const char *path, vox_error *err);

/* The header of a NIfTI file (of the .hdr, if the path is the .img's) as its bytes are: 348 or 540
 * of them; msb: most significant byte first. */
vox_status vox_nifti_header(const char *path, unsigned char head[540], int *bytes, bool *msb,
                            vox_error *err);

#endif
