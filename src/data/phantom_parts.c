/* phantom_parts.c - soft shapes, noise and grids of synthetic patients. */
#include "data/phantom_parts.h"

#include "base/mem.h"
#include "base/philox.h"
#include "data/volume.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- shapes ---- */

double vox_in_radii(const double point[3], const double center[3], const double radius[3])
{
    double sum = 0;
    for (int x = 0; x < 3; x++) {
        double u = (point[x] - center[x]) / radius[x];
        sum += u * u;
    }
    return sqrt(sum);
}

double vox_ellipsoid_radii(const vox_ellipsoid *e, const double point[3])
{
    return vox_in_radii(point, e->center_mm, e->radius_mm);
}

double vox_soft_step(double t)
{
    t += 0.5;
    t = t > 0 ? (t < 1 ? t : 1) : 0;
    return t * t * (3 - 2 * t);
}

double vox_inside(double radii, double radius_mm, double edge_mm)
{
    return vox_soft_step((1 - radii) * radius_mm / edge_mm);
}

double vox_ellipsoid_inside(const vox_ellipsoid *e, const double point[3], double edge_mm)
{
    const double *r = e->radius_mm;
    return vox_inside(vox_ellipsoid_radii(e, point), fmin(fmin(r[0], r[1]), r[2]), edge_mm);
}

double vox_blend(double a, double b, double weight)
{
    return a + (b - a) * weight;
}

/* ---- noise ---- */

#define LATTICE 24 /* values along each axis */

vox_status vox_lattice_make(vox_lattice *lattice, double cell_mm, uint64_t seed, uint32_t lane,
                            uint64_t patient, vox_error *err)
{
    size_t n = (size_t)LATTICE * LATTICE * LATTICE;
    vox_random r;
    lattice->cell_mm = cell_mm;
    lattice->value = vox_calloc(n, sizeof *lattice->value, "a texture", err);
    if (!lattice->value)
        return VOX_ERR_MEMORY;
    vox_random_init(&r, seed, VOX_RANDOM_SYNTH, lane, patient, 0);
    for (size_t i = 0; i < n; i++)
        lattice->value[i] = (float)vox_random_normal(&r);
    return VOX_OK;
}

void vox_lattice_release(vox_lattice *lattice)
{
    free(lattice->value);
    memset(lattice, 0, sizeof *lattice);
}

double vox_lattice_at(const vox_lattice *lattice, const double point[3])
{
    size_t low[3], high[3];
    double weight[3], sum = 0;
    for (int x = 0; x < 3; x++) {
        double u = point[x] / lattice->cell_mm, whole = floor(u);
        int64_t cell = (int64_t)whole % LATTICE;
        low[x] = (size_t)(cell < 0 ? cell + LATTICE : cell);
        high[x] = (low[x] + 1) % LATTICE;
        weight[x] = u - whole;
    }
    for (int corner = 0; corner < 8; corner++) {
        double w = 1;
        size_t at = 0;
        for (int x = 0; x < 3; x++) {
            bool up = corner >> x & 1;
            w *= up ? weight[x] : 1 - weight[x];
            at = at * LATTICE + (up ? high[x] : low[x]);
        }
        sum += w * (double)lattice->value[at];
    }
    return sum;
}

double vox_voxel_noise(uint64_t seed, uint32_t lane, uint64_t patient, uint32_t voxel)
{
    uint32_t out[4];
    vox_random_block(seed, VOX_RANDOM_SYNTH, lane, patient, 0, voxel, out);
    double sum = 0; /* of four uniforms */
    for (int i = 0; i < 4; i++)
        sum += (double)vox_uniform(out[i]);
    return (sum - 2) * 1.7320508075688772;
}

/* ---- grids ---- */

static void turn(vox_image *image, double about_x, double about_z)
{
    double cx = cos(about_x), sx = sin(about_x), cz = cos(about_z), sz = sin(about_z);
    const double w[3] = {cz, sz, 0}, h[3] = {0 - sz * cx, cz * cx, 0 - sx},
                 d[3] = {0 - sz * sx, cz * sx, cx}; /* no -0 */
    memcpy(image->direction[2], w, sizeof w);
    memcpy(image->direction[1], h, sizeof h);
    memcpy(image->direction[0], d, sizeof d);
}

vox_status vox_phantom_grid(vox_image **out, int64_t channels, const int64_t size[3],
                            const double spacing_mm[3], const double middle_mm[3], double about_x,
                            double about_z, vox_error *err)
{
    vox_status s = vox_volume_alloc(out, channels, size, err);
    if (s != VOX_OK)
        return s;
    double middle[3], offset[3];
    for (int a = 0; a < 3; a++) {
        (*out)->spacing_mm[a] = spacing_mm[a];
        middle[a] = ((double)size[a] - 1) / 2;
    }
    turn(*out, about_x, about_z);
    vox_volume_point(*out, middle, offset);
    for (int x = 0; x < 3; x++)
        (*out)->origin_mm[x] = middle_mm[x] - offset[x];
    (*out)->has_geometry = true;
    return VOX_OK;
}
