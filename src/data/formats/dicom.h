/* dicom.h - DICOM through GDCM; gdcm_bridge.cpp is the only C++ in the project. */
#ifndef VOX_DATA_FORMATS_DICOM_H
#define VOX_DATA_FORMATS_DICOM_H

#include "base/error.h"

/* One single-frame MR slice to be written: Explicit VR Little Endian, 16 bits
 * unsigned, MONOCHROME2.  Pointers are borrowed. */
typedef struct vox_dicom_slice {
    const char *patient_id, *modality, *series_description;
    const char *study_uid, *series_uid, *frame_uid; /* dotted UIDs, at most 64 characters */
    int series_number, instance_number;             /* instance_number makes the SOP UID unique */
    const uint16_t *pixel;                          /* [rows, columns] */
    int64_t rows, columns;
    double spacing_mm[3];     /* d, h, w: between slices, between rows, between columns */
    double position_mm[3];    /* LPS centre of the first voxel */
    double row[3], column[3]; /* unit vectors along w and along h */
    double slope, intercept;
} vox_dicom_slice;

/* Writes whole or not at all. */
vox_status vox_dicom_write_slice(const char *path, const vox_dicom_slice *slice, vox_error *err);

#endif
