/* gdcm_bridge.h - what dicom*.c asks of GDCM, in C.
 *
 * GDCM is used by one thread at a time.  Without it, gdcm_none.c has the same functions: each says
 * so and fails.  The bytes given must have passed vox_dicom_outline_read. */
#ifndef VOX_DATA_FORMATS_GDCM_BRIDGE_H
#define VOX_DATA_FORMATS_GDCM_BRIDGE_H

#ifdef __cplusplus
extern "C" {
#endif

#include "data/formats/dicom.h"
#include "data/formats/dicom_header.h"

/* Decompressed pixels of all frames, in this machine's byte order. */
typedef struct vox_gdcm_pixels {
    unsigned char *data; /* owned by the caller: free() */
    size_t size;
    int64_t samples, allocated, stored, high_bit;
    bool is_signed, planar;
    char photometric[24]; /* after decompression */
} vox_gdcm_pixels;

/* bytes: the file up to the end of its pixels; header: read from it and checked.  Fails when the
 * result would be over max_bytes. */
vox_status vox_gdcm_decompress(vox_gdcm_pixels *out, const char *bytes, size_t size,
                               const vox_dicom_header *header, size_t max_bytes, const char *path,
                               vox_error *err);

/* Held while any of the functions here runs; dicom_apart.c holds it across fork(). */
void vox_gdcm_lock(void);
void vox_gdcm_unlock(void);

/* As vox_dicom_write_slice, whose arguments are checked already. */
vox_status vox_gdcm_write_slice(const char *path, const vox_dicom_slice *slice, vox_error *err);

#ifdef __cplusplus
}
#endif

#endif
