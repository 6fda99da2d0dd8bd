/* dicom_apart.h - GDCM's decoders in a process of their own.
 *
 * Debian's GDCM has its assertions on: a damaged JPEG, JPEG-LS or JPEG 2000 stream ends the
 * process, after printing.  A child may end; then the file is bad and nothing else has happened. */
#ifndef VOX_DATA_FORMATS_DICOM_APART_H
#define VOX_DATA_FORMATS_DICOM_APART_H

#include "data/formats/gdcm_bridge.h"

typedef struct vox_dicom_apart {
    vox_gdcm_pixels pixels; /* data lies in the memory shared with the child */
    void *memory;
    size_t bytes;
} vox_dicom_apart;

/* As vox_gdcm_decompress. */
vox_status vox_dicom_apart_decompress(vox_dicom_apart *out, const char *bytes, size_t size,
                                      const vox_dicom_header *header, size_t max_bytes,
                                      const char *path, vox_error *err);
void vox_dicom_apart_release(vox_dicom_apart *apart);

#endif
