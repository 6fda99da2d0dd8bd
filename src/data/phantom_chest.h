/* phantom_chest.h - a chest that never was, as CT sees it: body wall with ribs and spine, lungs,
 * heart, airways, branching vessels, and nodules.
 *
 * Everything follows from (seed, patient): the same bits whatever the thread or the order.  Points
 * are LPS mm, values are HU. */
#ifndef VOX_DATA_PHANTOM_CHEST_H
#define VOX_DATA_PHANTOM_CHEST_H

#include "data/phantom_parts.h"

#define VOX_CHEST_NODULES 4

typedef enum vox_nodule_kind {
    VOX_NODULE_SOLID,
    VOX_NODULE_PART_SOLID,
    VOX_NODULE_GROUND_GLASS
} vox_nodule_kind;

typedef struct vox_chest_nodule {
    vox_ellipsoid shape; /* radii 3 to 15 mm */
    vox_nodule_kind kind;
    double hu; /* in its middle */
} vox_chest_nodule;

/* A part of a vessel or airway: a straight piece, thinner at its end. */
typedef struct vox_chest_tube {
    double from_mm[3], to_mm[3];
    double from_radius_mm, to_radius_mm;
    bool airway; /* air with a wall; else blood */
} vox_chest_tube;

typedef struct vox_chest {
    uint64_t seed, patient;
    double center_mm[3], length_mm; /* of what is scanned, along z */
    double body_mm[2], cage_mm[2];  /* half widths along x, y: skin, and inside of the ribs */
    vox_ellipsoid lung[2], heart;   /* right, left */
    double dome_mm[2];              /* tops of the diaphragm, z */
    vox_chest_tube *tube;           /* [tubes], owned */
    size_t tubes, capacity;
    vox_chest_nodule nodule[VOX_CHEST_NODULES];
    size_t nodules; /* 0 in one patient of ten: a scan without findings */
    vox_lattice texture;
} vox_chest;

vox_status vox_chest_make(vox_chest *out, uint64_t seed, uint64_t patient, vox_error *err);
void vox_chest_release(vox_chest *chest);

/* How much of a point is lung, 0 to 1, over an edge that wide; nodules and vessels count as lung.
 */
double vox_chest_lung(const vox_chest *chest, const double point[3], double edge_mm);

/* What CT shows on the image's grid, noise included, whole HU, and the nodules' mask: the voxels of
 * the lung at least half in a nodule, and each nodule's middle.  Grids are those of
 * vox_phantom_grid, with their axes along x, y and z, one channel, equal to each other. */
vox_status vox_chest_render(const vox_chest *chest, vox_image *image, vox_image *mask,
                            vox_error *err);

#endif
