/* prostatex.h - ProstateX (and ProstateX-2) as published, one case per finding.
 *
 *   prostatex:
 *     dir: .                                      # holds what follows; relative to the data folder
 *     findings: ProstateX-Findings-Train.csv      # ProxID,fid,pos,zone and ClinSig or ggg
 *     images: ProstateX-Images-Train.csv          # which series shows which finding; none: any
 *     ktrans_images: ProstateX-Images-KTrans-Train.csv
 *     dicom: PROSTATEx                            # <ProxID>/<study>/<series>/... .dcm
 *     ktrans: ProstateXKtrains-train-fixed        # <ProxID>/<ProxID>-Ktrans.mhd
 *     label: ggg                                  # or clinsig; default: ggg if it is a column
 *     modalities: [t2, adc, ktrans]               # one channel each
 *     series: {t2: t2_tse_tra, adc: ADC}          # part of SeriesDescription, or a pattern with *
 *     patch_mm: [48, 40, 40]                      # what the network sees around the finding
 *     patients: {folds: 5, without: 0}            # see split.h
 *     missing_patients: error                     # or skip: findings whose patient is not here
 *
 * The values shown are the defaults but for label, modalities (t2, adc), patch_mm (needed) and
 * patients (everybody).  Labels: ggg 1..5 is class 0..4; ClinSig FALSE, TRUE is 0, 1.
 *
 * A finding is mapped by its `pos` (LPS, mm) and the images' own geometry: WorldMatrix and ijk of
 * the CSVs are off by half a voxel, or out of range.  All modalities are sampled (trilinear) on one
 * grid: the first modality's axes, patch_mm around the finding, the network's input size.  A
 * finding outside a volume is an error; samples of the patch beyond a volume take its nearest
 * voxel.  Of several series that fit, the one with the highest number that holds the finding is
 * used: a repeated scan replaces the first. */
#ifndef VOX_DATA_PROSTATEX_H
#define VOX_DATA_PROSTATEX_H

#include "data/csv.h"
#include "data/source.h"
#include "data/split.h"
#include "data/volumes.h"

#define VOX_PROSTATEX_MODALITIES 8

typedef struct vox_prostatex_modality {
    char name[16];
    char *pattern; /* of SeriesDescription; NULL: Ktrans */
} vox_prostatex_modality;

/* The keys, with paths resolved. */
typedef struct vox_prostatex_options {
    char *findings, *images, *ktrans_images, *dicom, *ktrans; /* images NULL: none */
    int label;                                                /* -1: by the columns */
    vox_prostatex_modality modality[VOX_PROSTATEX_MODALITIES];
    size_t modalities;
    double patch_mm[3];
    vox_split split;
    bool skip_missing;
} vox_prostatex_options;

enum { VOX_PROSTATEX_GGG, VOX_PROSTATEX_CLINSIG };

vox_status vox_prostatex_parse(vox_prostatex_options *out, const vox_dataset *set,
                               const vox_yaml_node *node, vox_error *err);
void vox_prostatex_release(vox_prostatex_options *opt);

/* One row of the findings CSV. */
typedef struct vox_finding {
    const char *patient; /* ProxID, borrowed from the table */
    int64_t id;          /* fid */
    double pos[3];
    size_t row;
} vox_finding;

/* Reads ProxID, fid and pos of a row of any of the three tables. */
vox_status vox_finding_read(vox_finding *out, const vox_csv *csv, size_t row, vox_error *err);
/* Same patient, fid and place (to a thousandth of a mm)? */
bool vox_finding_same(const vox_finding *a, const vox_finding *b);

/* The DICOM series found on disk for one patient. */
typedef struct vox_series {
    char *dir;
    char description[72];
    int64_t number;
} vox_series;

typedef struct vox_patient {
    char *id;
    vox_series *series; /* [count], highest number first */
    size_t count, capacity;
    char *problem; /* the first series that could not be read, or NULL */
} vox_patient;

/* Scans <dir>/<id> and what is below it for series. */
vox_status vox_patient_scan(vox_patient *out, const char *dir, const char *id, vox_error *err);
void vox_patient_release(vox_patient *patient);
/* Part of the text (case ignored), or with * or ? a pattern for all of it. */
bool vox_series_match(const char *pattern, const char *description);

/* What a case of this source carries: file.name[end[m-1]] .. file.name[end[m] - 1] are the volumes
 * that modality m may be in, best first. */
typedef struct vox_prostatex_pick {
    size_t end[VOX_PROSTATEX_MODALITIES];
} vox_prostatex_pick;

/* The source's state. */
typedef struct vox_prostatex {
    vox_prostatex_options opt;
    vox_volumes *volumes;
} vox_prostatex;

/* vox_source.read: the patch around the finding. */
vox_status vox_prostatex_read(const vox_dataset *set, const vox_case *c, vox_image **out,
                              vox_error *err);

#endif
