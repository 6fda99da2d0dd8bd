/* dicom_header.h - what the elements of a DICOM file say of its image.
 *
 * Read here and not by GDCM: Debian's GDCM has its assertions on, and a damaged header ends the
 * process. */
#ifndef VOX_DATA_FORMATS_DICOM_HEADER_H
#define VOX_DATA_FORMATS_DICOM_HEADER_H

#include "data/formats/dicom_outline.h"

/* Where a frame lies and what its numbers mean. */
typedef struct vox_dicom_frame {
    bool has_position, has_orientation, has_spacing;
    double position_mm[3]; /* ImagePositionPatient */
    double orientation[6]; /* ImageOrientationPatient: along a row, then along a column */
    double spacing_mm[2];  /* between rows, between columns */
    double between_mm;     /* SpacingBetweenSlices, else SliceThickness; 0 when neither is there */
    double slope, intercept; /* 1 and 0 when absent */
} vox_dicom_frame;

typedef struct vox_dicom_header {
    char series_uid[72], description[72], patient_id[72], modality[24], photometric[24];
    int64_t series_number;                  /* -1 when absent */
    int64_t rows, columns, frames, samples; /* samples per pixel */
    int64_t allocated, stored, high_bit;
    bool is_signed, planar; /* planar: all of red, then all of green ... */
    bool has_modality_lut, has_segmented_palette;
    vox_dicom_frame *frame; /* [frames], owned */
    uint16_t *palette;      /* [3][palette_count], owned; NULL when there is none */
    int64_t palette_first, palette_count;
} vox_dicom_header;

/* Walks the file: its skeleton into *outline, the image's description into *header (zero when
 * outline->pixel_kind is 0: no image).  More frames than the pixels can hold are refused before
 * memory is asked for them.  Release the header; after a failure it is released. */
vox_status vox_dicom_header_read(vox_dicom_header *header, vox_dicom_outline *outline,
                                 const char *path, vox_error *err);
void vox_dicom_header_release(vox_dicom_header *header);

#endif
