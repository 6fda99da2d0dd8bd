/* dicom_file.h - one DICOM file: opened (headers only), then its frames as floats. */
#ifndef VOX_DATA_FORMATS_DICOM_FILE_H
#define VOX_DATA_FORMATS_DICOM_FILE_H

#include "data/formats/dicom.h"
#include "data/formats/dicom_header.h"
#include "data/formats/dicom_pixels.h"

typedef struct vox_dicom_file {
    char *path;
    vox_dicom_outline outline;
    vox_dicom_header header; /* zero when the file holds no image */
    vox_dicom_pixels layout; /* of the pixels as the header has them */
} vox_dicom_file;

/* Reads and checks the headers.  A file without pixels is no error: outline.pixel_kind is 0. */
vox_status vox_dicom_file_open(vox_dicom_file *file, const char *path, vox_error *err);
void vox_dicom_file_release(vox_dicom_file *file);

/* 1 for grey, 3 for colour and palettes. */
int64_t vox_dicom_file_channels(const vox_dicom_file *file);
/* "uint16", "int8", "float32", "bool", ... */
const char *vox_dicom_file_type(const vox_dicom_file *file);

/* Decodes every frame; place(user, frame) says where its values go: channel c at
 * place + c * stride, rows * columns floats each, slope and intercept applied. */
vox_status vox_dicom_file_decode(const vox_dicom_file *file,
                                 float *(*place)(void *user, size_t frame), void *user,
                                 size_t stride, vox_error *err);

#endif
