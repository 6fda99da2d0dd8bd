/* dicom.h - DICOM through GDCM; gdcm_bridge.cpp is the only C++ in the project. */
#ifndef VOX_DATA_FORMATS_DICOM_H
#define VOX_DATA_FORMATS_DICOM_H

#include "base/file.h"

/* ---- writing ---- */

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

/* ---- finding series ---- */

/* One series: the files of one SeriesInstanceUID, ordered by position along the slices' normal
 * (by name where a file has no position).  Whether they make a volume is found out on reading. */
typedef struct vox_dicom_series {
    char uid[72];          /* SeriesInstanceUID */
    char description[72];  /* SeriesDescription, "" if none */
    char patient_id[72];   /* PatientID, "" if none */
    char modality[24];     /* "MR" */
    int64_t number;        /* SeriesNumber, -1 if none */
    int64_t rows, columns; /* of its first file */
    int64_t frames;        /* of all files together */
    vox_names files;       /* paths */
} vox_dicom_series;

typedef struct vox_dicom_list {
    vox_dicom_series *series; /* [count], ordered by their first file's path */
    size_t count, capacity;
    vox_names bad; /* "path: why" of files that look like DICOM and cannot be read */
} vox_dicom_list;

/* Every image series below dir, folders within it included when deep.  Reads headers only.  Files
 * that are not DICOM, and DICOM files without an image (DICOMDIR, reports), are passed over.
 * The caller releases *out. */
vox_status vox_dicom_scan(vox_dicom_list *out, const char *dir, bool deep, vox_error *err);
void vox_dicom_list_release(vox_dicom_list *scan);

/* ---- reading ---- */

/* The volume of these files, in any order: they must be one series of equal size and
 * orientation, evenly spaced, without gap or duplicate.  One file may hold several frames. */
vox_status vox_dicom_read_files(vox_image **out, const vox_names *files, vox_error *err);

/* The one series in dir itself (not below it); of several the one that `series` names by UID,
 * description or SeriesNumber (NULL: there must be only one).  "DIR#series" in vox_image_read. */
vox_status vox_dicom_read_dir(vox_image **out, const char *dir, const char *series, vox_error *err);

#endif
