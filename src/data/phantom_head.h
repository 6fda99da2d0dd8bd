/* phantom_head.h - a brain that never was, as four MR sequences see it, with tumours whose classes
 * lie in each other: edema around an enhancing rim around a core that does not enhance.
 *
 * Everything follows from (seed, patient): the same bits whatever the thread or the order.  Points
 * are LPS mm.  Outside of the brain is exactly 0, as in images whose skull was stripped. */
#ifndef VOX_DATA_PHANTOM_HEAD_H
#define VOX_DATA_PHANTOM_HEAD_H

#include "data/phantom_parts.h"

#define VOX_HEAD_TUMOURS  2
#define VOX_HEAD_CHANNELS 4 /* FLAIR, T1, T1 with contrast agent, T2: the Decathlon's order */

enum { VOX_TUMOUR_NONE, VOX_TUMOUR_EDEMA, VOX_TUMOUR_CORE, VOX_TUMOUR_ENHANCING };

typedef struct vox_head_tumour {
    vox_ellipsoid shape; /* its outermost surface, of the edema; lobed when rendered */
    double core, rim;    /* surfaces of core and rim as shares of the radii; equal: no rim */
} vox_head_tumour;

typedef struct vox_head {
    uint64_t seed, patient;
    double center_mm[3], stretch[3];   /* of the brain, along x, y, z */
    double gain[VOX_HEAD_CHANNELS];    /* of each sequence: MR has no unit */
    double bias[VOX_HEAD_CHANNELS][3]; /* relative per mm */
    double widen;                      /* of the ventricles */
    vox_head_tumour tumour[VOX_HEAD_TUMOURS];
    size_t tumours; /* 1 or 2 */
    vox_lattice folds, shape, texture;
} vox_head;

vox_status vox_head_make(vox_head *out, uint64_t seed, uint64_t patient, vox_error *err);
void vox_head_release(vox_head *head);

/* The class of a point: VOX_TUMOUR_...; none outside of the brain and in its fluid. */
int vox_head_class(const vox_head *head, const double point[3]);

/* Whole numbers, noise included, into image [4 channels], and the classes into mask, on equal
 * grids. */
void vox_head_render(const vox_head *head, vox_image *image, vox_image *mask);

#endif
