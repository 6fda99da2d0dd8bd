/* phantom_chest.c - anatomy of the synthetic chest; phantom_chest_scan.c is the scanner. */
#include "data/phantom_chest.h"

#include "base/mem.h"
#include "base/philox.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Streams of VOX_RANDOM_SYNTH: step is the patient. */
enum { LANE_CHEST = 64, LANE_CHEST_TEXTURE = 65, LANE_VESSELS = 66, LANE_NODULES = 67 };

/* ---- lungs ---- */

/* Above the dome of the diaphragm. */
static double above_dome(const vox_chest *c, int side, const double point[3], double edge_mm)
{
    const vox_ellipsoid *lung = &c->lung[side];
    double drop = 0;
    for (int x = 0; x < 2; x++) {
        double u = (point[x] - lung->center_mm[x]) / lung->radius_mm[x];
        drop += 26 * u * u;
    }
    return vox_soft_step((point[2] - (c->dome_mm[side] - drop)) / edge_mm);
}

double vox_chest_lung(const vox_chest *c, const double point[3], double edge_mm)
{
    const double free = 1 - vox_ellipsoid_inside(&c->heart, point, edge_mm);
    double most = 0;
    for (int side = 0; side < 2 && free > 0; side++) {
        double in = vox_ellipsoid_inside(&c->lung[side], point, edge_mm);
        if (in > 0)
            most = fmax(most, in * above_dome(c, side, point, edge_mm));
    }
    return most * free;
}

/* ---- vessels and airways ---- */

static vox_status add_tube(vox_chest *c, const vox_chest_tube *tube, vox_error *err)
{
    if (!vox_grow(&c->tube, &c->capacity, c->tubes + 1, sizeof *c->tube, err))
        return VOX_ERR_MEMORY;
    c->tube[c->tubes++] = *tube;
    return VOX_OK;
}

static void normalise(double v[3])
{
    double length = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    for (int x = 0; x < 3; x++)
        v[x] /= length;
}

/* A vessel from a point on, and what branches off it until it is too thin or leaves the lung. */
static vox_status grow(vox_chest *c, const double from[3], const double direction[3],
                       double radius_mm, double length_mm, vox_random *r, vox_error *err)
{
    vox_chest_tube t = {.from_radius_mm = radius_mm, .to_radius_mm = 0.86 * radius_mm};
    vox_status s = VOX_OK;
    memcpy(t.from_mm, from, sizeof t.from_mm);
    for (int x = 0; x < 3; x++)
        t.to_mm[x] = from[x] + length_mm * direction[x];
    s = add_tube(c, &t, err);
    if (radius_mm < 0.65 || vox_chest_lung(c, t.to_mm, 1) < 0.5)
        return s;
    for (int branch = 0; branch < 2 && s == VOX_OK; branch++) {
        double next[3], thinner = branch == 0 ? 0.84 : 0.70;
        for (int x = 0; x < 3; x++)
            next[x] = direction[x] + (branch == 0 ? 0.28 : 0.62) * vox_random_normal(r);
        normalise(next);
        s = grow(c, t.to_mm, next, radius_mm * thinner, length_mm * vox_random_range(r, 0.76, 0.95),
                 r, err);
    }
    return s;
}

/* From each lung's root outwards, in all directions. */
static vox_status add_vessels(vox_chest *c, vox_error *err)
{
    enum { TRUNKS = 9 };
    vox_random r;
    vox_status s = VOX_OK;
    vox_random_init(&r, c->seed, VOX_RANDOM_SYNTH, LANE_VESSELS, c->patient, 0);
    for (int side = 0; side < 2; side++) {
        const double out = side ? 1 : -1;
        const double root[3] = {c->center_mm[0] + out * 0.25 * c->cage_mm[0], c->center_mm[1] + 6,
                                c->center_mm[2] - 0.02 * c->length_mm};
        for (int k = 0; k < TRUNKS && s == VOX_OK; k++) {
            double turn = 6.283185307179586 * (k + vox_random_range(&r, -0.3, 0.3)) / TRUNKS;
            double direction[3] = {out * vox_random_range(&r, 0.3, 0.9), 0.8 * cos(turn),
                                   1.3 * sin(turn)};
            normalise(direction);
            s = grow(c, root, direction, vox_random_range(&r, 3.0, 4.6),
                     vox_random_range(&r, 26, 42), &r, err);
        }
    }
    return s;
}

/* The windpipe and the two bronchi, with two branches each. */
static vox_status add_airways(vox_chest *c, vox_error *err)
{
    const double *m = c->center_mm;
    const double fork[3] = {m[0], m[1] + 6, m[2] + 0.08 * c->length_mm};
    vox_chest_tube t = {{m[0], m[1] - 14, m[2] + 0.6 * c->length_mm}, {0}, 8.5, 8, true};
    memcpy(t.to_mm, fork, sizeof fork);
    vox_status s = add_tube(c, &t, err);
    for (int side = 0; side < 2 && s == VOX_OK; side++) {
        const double out = side ? 1 : -1;
        const vox_chest_tube main = {
            {fork[0], fork[1], fork[2]},
            {m[0] + out * 0.25 * c->cage_mm[0], m[1] + 10, m[2] - 0.04 * c->length_mm},
            6.5,
            5.5,
            true};
        s = add_tube(c, &main, err);
        for (int up = -1; up <= 1 && s == VOX_OK; up += 2) {
            const double *at = main.to_mm;
            const vox_chest_tube lobe = {{at[0], at[1], at[2]},
                                         {at[0] + out * 22, at[1] - 6 * up, at[2] + 26 * up},
                                         4.2,
                                         2.2,
                                         true};
            s = add_tube(c, &lobe, err);
        }
    }
    return s;
}

/* ---- nodules ---- */

/* Within the lung but for at most one of six points on its surface (then it sits on the wall), and
 * apart from the others. */
static bool has_room(const vox_chest *c, const vox_ellipsoid *e)
{
    int outside = 0;
    if (vox_chest_lung(c, e->center_mm, 1) < 0.99)
        return false;
    for (int face = 0; face < 6; face++) {
        double p[3] = {e->center_mm[0], e->center_mm[1], e->center_mm[2]};
        p[face / 2] += (face % 2 ? 1.0 : -1.0) * e->radius_mm[face / 2];
        outside += vox_chest_lung(c, p, 1) < 0.5;
    }
    for (size_t i = 0; i < c->nodules; i++) {
        const vox_ellipsoid *o = &c->nodule[i].shape;
        double gap = 0;
        for (int x = 0; x < 3; x++)
            gap += pow(e->center_mm[x] - o->center_mm[x], 2);
        if (sqrt(gap) < 40)
            return false;
    }
    return outside <= 1;
}

static void add_nodule(vox_chest *c, vox_random *r)
{
    vox_chest_nodule *n = &c->nodule[c->nodules];
    const double radius = 3 * exp(vox_random_range(r, 0, log(5))); /* 3 to 15: many small ones */
    const uint32_t draw = vox_random_below(r, 10);
    n->kind = draw < 6   ? VOX_NODULE_SOLID
              : draw < 8 ? VOX_NODULE_PART_SOLID
                         : VOX_NODULE_GROUND_GLASS;
    n->hu = n->kind == VOX_NODULE_SOLID ? vox_random_range(r, -20, 90)
                                        : vox_random_range(r, -620, -420);
    for (int x = 0; x < 3; x++)
        n->shape.radius_mm[x] = fmin(fmax(radius * exp(0.12 * vox_random_normal(r)), 3), 15);
    for (int tries = 0; tries < 2000; tries++) {
        const vox_ellipsoid *lung = &c->lung[vox_random_below(r, 2)];
        for (int x = 0; x < 3; x++)
            n->shape.center_mm[x] =
                lung->center_mm[x] + vox_random_range(r, -1, 1) * lung->radius_mm[x];
        if (fabs(n->shape.center_mm[2] - c->center_mm[2]) < 0.46 * c->length_mm &&
            has_room(c, &n->shape)) {
            c->nodules++;
            return;
        }
    }
}

static void add_nodules(vox_chest *c)
{
    vox_random r;
    vox_random_init(&r, c->seed, VOX_RANDOM_SYNTH, LANE_NODULES, c->patient, 0);
    const uint32_t some = 1 + vox_random_below(&r, VOX_CHEST_NODULES);
    const uint32_t wanted = c->patient % 10 == 7 ? 0 : some;
    for (uint32_t i = 0; i < wanted; i++)
        add_nodule(c, &r);
}

/* ---- the whole ---- */

static void make_organs(vox_chest *c, vox_random *r)
{
    const double *m = c->center_mm, *cage = c->cage_mm, length = c->length_mm;
    for (int side = 0; side < 2; side++) {
        const double out = side ? 1 : -1, width = side ? 0.39 : 0.43; /* the left one is smaller */
        c->lung[side] = (vox_ellipsoid){
            {m[0] + out * 0.54 * cage[0], m[1] + 2, m[2] - 0.22 * length},
            {width * cage[0], vox_random_range(r, 0.84, 0.90) * cage[1], 0.68 * length}};
        c->dome_mm[side] = m[2] - length * vox_random_range(r, 0.22, 0.30) + (side ? -8 : 4);
    }
    c->heart = (vox_ellipsoid){{m[0] + 0.20 * cage[0], m[1] - 0.30 * cage[1], m[2] - 0.20 * length},
                               {0.42 * cage[0], 0.48 * cage[1], vox_random_range(r, 46, 58)}};
}

vox_status vox_chest_make(vox_chest *out, uint64_t seed, uint64_t patient, vox_error *err)
{
    vox_random r;
    memset(out, 0, sizeof *out);
    vox_random_init(&r, seed, VOX_RANDOM_SYNTH, LANE_CHEST, patient, 0);
    out->seed = seed;
    out->patient = patient;
    out->length_mm = vox_random_range(&r, 230, 290);
    out->body_mm[0] = vox_random_range(&r, 150, 185);
    out->body_mm[1] = out->body_mm[0] * vox_random_range(&r, 0.64, 0.74);
    const double wall = vox_random_range(&r, 22, 38);
    for (int x = 0; x < 2; x++)
        out->cage_mm[x] = out->body_mm[x] - wall;
    for (int x = 0; x < 3; x++)
        out->center_mm[x] = vox_random_range(&r, -12, 12) + (x == 2 ? -180 : 0);
    make_organs(out, &r);
    vox_status s = vox_lattice_make(&out->texture, 9, seed, LANE_CHEST_TEXTURE, patient, err);
    if (s == VOX_OK)
        s = add_airways(out, err);
    if (s == VOX_OK)
        s = add_vessels(out, err);
    if (s == VOX_OK)
        add_nodules(out);
    else
        vox_chest_release(out);
    return s;
}

void vox_chest_release(vox_chest *chest)
{
    vox_lattice_release(&chest->texture);
    free(chest->tube);
    memset(chest, 0, sizeof *chest);
}
