/* gdcm_bridge.h - what dicom*.c asks of GDCM, in C.
 *
 * Without GDCM, gdcm_none.c has the same functions: each says so and fails.  The bytes given must
 * have passed vox_dicom_outline_read. */
#ifndef VOX_DATA_FORMATS_GDCM_BRIDGE_H
#define VOX_DATA_FORMATS_GDCM_BRIDGE_H

#ifdef __cplusplus
extern "C" {
#endif

#include "data/formats/dicom.h"

/* Where a frame lies and what its numbers mean. */
typedef struct vox_gdcm_frame {
    bool has_position, has_orientation, has_spacing;
    double position_mm[3]; /* ImagePositionPatient */
    double orientation[6]; /* ImageOrientationPatient: along a row, then along a column */
    double spacing_mm[2];  /* between rows, between columns */
    double between_mm;     /* SpacingBetweenSlices, else SliceThickness; 0 when neither is there */
    double slope, intercept; /* 1 and 0 when absent */
} vox_gdcm_frame;

typedef struct vox_gdcm_header {
    char series_uid[72], description[72], patient_id[72], modality[24], photometric[24];
    int64_t series_number, instance_number; /* -1 when absent */
    int64_t rows, columns, frames, samples; /* samples per pixel */
    int64_t allocated, stored, high_bit;
    bool is_signed, planar; /* planar: all of red, then all of green ... */
    bool has_modality_lut, has_segmented_palette;
    vox_gdcm_frame *frame; /* [frames], owned */
    uint16_t *palette;     /* [3][palette_count], owned; NULL when there is none */
    int64_t palette_first, palette_count;
} vox_gdcm_header;

/* The header from a file's bytes up to its pixels.  More than max_frames frames is an error
 * (what the pixels can hold), found before memory is asked for them. */
vox_status vox_gdcm_read_header(vox_gdcm_header *out, const char *bytes, size_t size,
                                int64_t max_frames, const char *path, vox_error *err);
void vox_gdcm_header_release(vox_gdcm_header *header);

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
                               const vox_gdcm_header *header, size_t max_bytes, const char *path,
                               vox_error *err);

/* As vox_dicom_write_slice, whose arguments are checked already. */
vox_status vox_gdcm_write_slice(const char *path, const vox_dicom_slice *slice, vox_error *err);

#ifdef __cplusplus
}
#endif

#endif
