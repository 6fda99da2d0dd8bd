/* phantom_parts.h - what synthetic patients are made of: soft ellipsoids and tubes, smooth noise,
 * voxel noise, and the grids they are scanned on.
 *
 * Everything is a pure function of its arguments.  Points are LPS mm. */
#ifndef VOX_DATA_PHANTOM_PARTS_H
#define VOX_DATA_PHANTOM_PARTS_H

#include "base/error.h"

/* ---- shapes ---- */

typedef struct vox_ellipsoid {
    double center_mm[3], radius_mm[3]; /* along x, y, z */
} vox_ellipsoid;

/* Distance from the centre in radii: 1 on the surface. */
double vox_in_radii(const double point[3], const double center[3], const double radius[3]);
double vox_ellipsoid_radii(const vox_ellipsoid *e, const double point[3]);

/* 1 for t well above 0, 0 well below, smooth between -1/2 and 1/2. */
double vox_soft_step(double t);

/* 1 inside, 0 outside, smooth over edge_mm at the surface, for a shape whose surface is at
 * radii = 1 and whose radius there is about radius_mm. */
double vox_inside(double radii, double radius_mm, double edge_mm);
/* The same of an ellipsoid, by its smallest radius. */
double vox_ellipsoid_inside(const vox_ellipsoid *e, const double point[3], double edge_mm);

double vox_blend(double a, double b, double weight); /* a where the weight is 0 */

/* ---- noise ---- */

/* A periodic lattice of normal values, trilinear between them: smooth noise with mean 0. */
typedef struct vox_lattice {
    float *value; /* owned */
    double cell_mm;
} vox_lattice;

/* Lane is that of VOX_RANDOM_SYNTH; the step is the patient. */
vox_status vox_lattice_make(vox_lattice *lattice, double cell_mm, uint64_t seed, uint32_t lane,
                            uint64_t patient, vox_error *err);
void vox_lattice_release(vox_lattice *lattice);
double vox_lattice_at(const vox_lattice *lattice, const double point[3]);

/* Near enough normal, mean 0 and std 1, from one block of the generator. */
double vox_voxel_noise(uint64_t seed, uint32_t lane, uint64_t patient, uint32_t voxel);

/* ---- grids ---- */

/* Zeroed voxels of this size and spacing (d, h, w) with the grid's middle at a point: w along x, h
 * along y, d along z, turned about x and then a little about z (radians). */
vox_status vox_phantom_grid(vox_image **out, int64_t channels, const int64_t size[3],
                            const double spacing_mm[3], const double middle_mm[3], double about_x,
                            double about_z, vox_error *err);

#endif
