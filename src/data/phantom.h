/* phantom.h - a prostate that never was: zones, lesions with a grade, and how each modality sees
 * it.
 *
 * Everything follows from (seed, patient): the same bits whatever the thread or the order.  Points
 * are LPS mm.  The grade of a lesion shows in its size and in its contrast, in all modalities, each
 * with a spread that overlaps the next grade's; neither alone tells all grades apart. */
#ifndef VOX_DATA_PHANTOM_H
#define VOX_DATA_PHANTOM_H

#include "data/phantom_parts.h"

typedef enum vox_phantom_modality {
    VOX_PHANTOM_T2,    /* arbitrary units, a gain and a bias field of the patient's own */
    VOX_PHANTOM_ADC,   /* 1e-6 mm^2/s */
    VOX_PHANTOM_KTRANS /* 1/min */
} vox_phantom_modality;

#define VOX_PHANTOM_LESIONS 3

typedef struct vox_phantom_lesion {
    int grade;            /* 1..5 */
    double center_mm[3];  /* where it is */
    double finding_mm[3]; /* where the reader put it: a little off */
    double radius_mm[3];  /* along x, y, z */
    double contrast;      /* 0: none .. 1 */
    const char *zone;     /* PZ, TZ or AS */
} vox_phantom_lesion;

typedef struct vox_phantom {
    uint64_t seed, patient;
    double center_mm[3], radius_mm[3]; /* of the gland */
    double gain, bias[3];              /* of T2; relative per mm */
    vox_phantom_lesion lesion[VOX_PHANTOM_LESIONS];
    size_t lesions;
    vox_lattice texture[3]; /* of each modality; owned */
} vox_phantom;

/* A gland with `lesions` (1..3) lesions of these grades. */
vox_status vox_phantom_make(vox_phantom *out, uint64_t seed, uint64_t patient, const int *grade,
                            size_t lesions, vox_error *err);
void vox_phantom_release(vox_phantom *phantom);

/* What the modality shows on the image's grid, noise included, into its voxels (one channel). */
void vox_phantom_render(const vox_phantom *phantom, vox_phantom_modality modality,
                        vox_image *image);

#endif
