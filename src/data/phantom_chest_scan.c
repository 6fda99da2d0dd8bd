/* phantom_chest_scan.c - what CT shows of the synthetic chest.
 *
 * Organs are computed voxel by voxel; vessels, airways and nodules are painted into the boxes that
 * they fill.  Edges are as wide as a voxel, so that thin vessels fade as they do in thick slices.
 */
#include "data/phantom_chest.h"

#include "base/mem.h"
#include "data/volume.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LANE_CHEST_NOISE = 72 };

#define AIR          -1000.0
#define LUNG         -860.0
#define AIRWAY       -970.0
#define AIRWAY_WALL  10.0
#define BLOOD        55.0
#define NOISE        22.0 /* std of a voxel */
#define RIB_APART_MM 27.0

/* The grid and the lung's share of each voxel, while a scan is made. */
typedef struct scan {
    const vox_chest *chest;
    vox_image *image;
    float *lung; /* [D, H, W], owned */
    double edge_mm;
} scan;

/* ---- organs ---- */

/* Distance from the chest's axis in radii; not quite an ellipse: chests are boxier. */
static double around(const vox_chest *c, const double half[2], const double point[3])
{
    double u = fabs(point[0] - c->center_mm[0]) / half[0];
    double v = fabs(point[1] - c->center_mm[1]) / half[1];
    return pow(pow(u, 2.4) + pow(v, 2.4), 1 / 2.4);
}

/* Ribs: rings that fall towards the front, within the wall. */
static double ribs(const vox_chest *c, const double point[3], double cage, double edge_mm)
{
    if (cage < 0.9 || cage > 1.25)
        return 0;
    double fall = 0.55 * (point[1] - c->center_mm[1]);
    double z = point[2] - c->center_mm[2] - fall;
    double off = fabs(z - RIB_APART_MM * round(z / RIB_APART_MM));
    double depth = fabs(cage - 1.06) * c->cage_mm[1];
    return vox_soft_step((5 - off) / edge_mm) * vox_soft_step((3.5 - depth) / edge_mm);
}

/* Vertebrae with their discs, dense at the rim, and the canal behind them. */
static double spine(const vox_chest *c, const double point[3], double value, double edge_mm)
{
    const double y = c->center_mm[1] + c->cage_mm[1] - 4;
    const double body[3] = {c->center_mm[0], y, point[2]},
                 canal[3] = {c->center_mm[0], y + 24, point[2]};
    const double radii = vox_in_radii(point, body, (double[3]){19, 16, 1});
    const double disc = fabs(point[2] - 24 * round(point[2] / 24)) - 3; /* mm above a disc */
    const double bone = vox_blend(90, vox_blend(420, 190, vox_inside(radii / 0.85, 14, edge_mm)),
                                  vox_soft_step(disc / edge_mm));
    const double arch = vox_in_radii(point, canal, (double[3]){17, 13, 1});
    value = vox_blend(value, 330, vox_inside(arch, 13, edge_mm));
    value = vox_blend(value, 25, vox_inside(arch / 0.62, 8, edge_mm));
    return vox_blend(value, bone, vox_inside(radii, 16, edge_mm));
}

static double organs(const vox_chest *c, const double point[3], double lung, double edge_mm)
{
    const double body = around(c, c->body_mm, point);
    if ((body - 1) * c->body_mm[1] > edge_mm)
        return AIR;
    const double cage = around(c, c->cage_mm, point), soft = vox_lattice_at(&c->texture, point);
    const double muscle =
        vox_inside(around(c, (double[2]){c->body_mm[0] - 12, c->body_mm[1] - 12}, point),
                   c->body_mm[1], edge_mm);
    double value = vox_blend(-105 + 8 * soft, 52 + 6 * soft, muscle);
    value = vox_blend(value, -20 + 30 * soft, vox_inside(cage, c->cage_mm[1], edge_mm)); /* fat */
    for (int side = 0; side < 2; side++) { /* below the diaphragm: liver, spleen */
        const double under = (c->dome_mm[side] - point[2]) / 12;
        if (under > -3 && (point[0] < c->center_mm[0]) == (side == 0))
            value = vox_blend(value, (side ? 50 : 66) + 5 * soft,
                              vox_inside(cage, c->cage_mm[1], edge_mm) * vox_soft_step(under));
    }
    value = vox_blend(value, 45 + 5 * soft, vox_ellipsoid_inside(&c->heart, point, edge_mm));
    value = vox_blend(value, 430, ribs(c, point, cage, edge_mm));
    value = spine(c, point, value, edge_mm);
    if (lung > 0) /* denser at the back, where blood sinks to */
        value = vox_blend(
            value, LUNG + 55 * (point[1] - c->center_mm[1]) / c->cage_mm[1] + 14 * soft, lung);
    return vox_blend(AIR, value, vox_inside(body, c->body_mm[1], edge_mm));
}

static void paint_organs(scan *s)
{
    const int64_t *n = s->image->size;
    size_t at = 0;
    for (int64_t d = 0; d < n[0]; d++)
        for (int64_t h = 0; h < n[1]; h++)
            for (int64_t w = 0; w < n[2]; w++, at++) {
                double point[3];
                vox_volume_point(s->image, (double[3]){(double)d, (double)h, (double)w}, point);
                double lung = vox_chest_lung(s->chest, point, s->edge_mm);
                s->lung[at] = (float)lung;
                s->image->voxel[at] = (float)organs(s->chest, point, lung, s->edge_mm);
            }
}

/* ---- what is painted into boxes ---- */

/* The voxels (d, h, w) whose centres may lie between two corners; false: none. */
static bool find_box(const vox_image *image, const double low[3], const double high[3],
                     int64_t first[3], int64_t last[3])
{
    for (int a = 0; a < 3; a++) {
        const int x = 2 - a;
        const double origin = image->origin_mm[x], mm = image->spacing_mm[a];
        first[a] = (int64_t)fmax(ceil((low[x] - origin) / mm), 0);
        last[a] = (int64_t)fmin(floor((high[x] - origin) / mm), (double)image->size[a] - 1);
        if (first[a] > last[a])
            return false;
    }
    return true;
}

/* A shape's share of the voxel at a point, and of its wall (airways). */
typedef void paint_fn(scan *s, const void *shape, const double point[3], size_t at);

static void paint(scan *s, const void *shape, const double low[3], const double high[3],
                  paint_fn *fn)
{
    int64_t first[3], last[3];
    if (!find_box(s->image, low, high, first, last))
        return;
    for (int64_t d = first[0]; d <= last[0]; d++)
        for (int64_t h = first[1]; h <= last[1]; h++)
            for (int64_t w = first[2]; w <= last[2]; w++) {
                double point[3];
                vox_volume_point(s->image, (double[3]){(double)d, (double)h, (double)w}, point);
                fn(s, shape, point, (size_t)((d * s->image->size[1] + h) * s->image->size[2] + w));
            }
}

/* mm inside the tube's surface, negative outside; *radius_mm is that of the nearest place. */
static double depth_in(const vox_chest_tube *t, const double point[3], double *radius_mm)
{
    double along = 0, length = 0, gap = 0;
    for (int x = 0; x < 3; x++) {
        double step = t->to_mm[x] - t->from_mm[x];
        along += step * (point[x] - t->from_mm[x]);
        length += step * step;
    }
    along = fmin(fmax(along / length, 0), 1);
    for (int x = 0; x < 3; x++)
        gap += pow(point[x] - vox_blend(t->from_mm[x], t->to_mm[x], along), 2);
    *radius_mm = vox_blend(t->from_radius_mm, t->to_radius_mm, along);
    return *radius_mm - sqrt(gap);
}

static void paint_tube(scan *s, const void *shape, const double point[3], size_t at)
{
    const vox_chest_tube *t = shape;
    float *value = &s->image->voxel[at];
    double radius_mm, depth = depth_in(t, point, &radius_mm);
    double share = fmin(1, 2 * radius_mm / s->edge_mm); /* thinner than a voxel */
    if (t->airway) {
        double wall = vox_soft_step((depth + 1.3) / s->edge_mm);
        *value = (float)vox_blend((double)*value, AIRWAY_WALL, wall * share);
        *value =
            (float)vox_blend((double)*value, AIRWAY, vox_soft_step(depth / s->edge_mm) * share);
    } else {
        share *= vox_soft_step(depth / s->edge_mm) * (double)s->lung[at];
        *value = (float)fmax((double)*value, vox_blend((double)*value, BLOOD, share));
    }
}

static void paint_tubes(scan *s, bool airways)
{
    for (size_t i = 0; i < s->chest->tubes; i++) {
        const vox_chest_tube *t = &s->chest->tube[i];
        const double reach = t->from_radius_mm + 1.5 + s->edge_mm;
        double low[3], high[3];
        for (int x = 0; x < 3; x++) {
            low[x] = fmin(t->from_mm[x], t->to_mm[x]) - reach;
            high[x] = fmax(t->from_mm[x], t->to_mm[x]) + reach;
        }
        if (t->airway == airways)
            paint(s, t, low, high, paint_tube);
    }
}

static void paint_nodule(scan *s, const void *shape, const double point[3], size_t at)
{
    const vox_chest_nodule *n = shape;
    float *value = &s->image->voxel[at];
    const double in = vox_ellipsoid_inside(&n->shape, point, fmax(s->edge_mm, 1.2));
    double hu = n->hu;
    if (n->kind == VOX_NODULE_PART_SOLID) { /* a dense core */
        vox_ellipsoid core = n->shape;
        for (int x = 0; x < 3; x++)
            core.radius_mm[x] *= 0.5;
        hu = vox_blend(hu, 20, vox_ellipsoid_inside(&core, point, s->edge_mm));
    }
    hu = fmax(hu, (double)*value); /* vessels show through ground glass */
    *value = (float)vox_blend((double)*value, hu, in * (double)s->lung[at]);
}

static void mark_nodule(scan *mask, const void *shape, const double point[3], size_t at)
{
    const vox_chest_nodule *n = shape;
    if (vox_ellipsoid_radii(&n->shape, point) <= 1 && mask->lung[at] >= 0.5f)
        mask->image->voxel[at] = 1;
}

/* The voxel in which a point is, if it is in the image. */
static void mark_point(vox_image *mask, const double point[3])
{
    double index[3];
    int64_t at = 0;
    bool in = vox_volume_index(mask, point, index);
    for (int a = 0; a < 3; a++) {
        int64_t i = (int64_t)floor(index[a] + 0.5);
        in = in && i >= 0 && i < mask->size[a];
        at = at * mask->size[a] + i;
    }
    if (in)
        mask->voxel[at] = 1;
}

static void paint_nodules(scan *s, vox_image *mask)
{
    scan of_mask = *s;
    of_mask.image = mask;
    for (size_t i = 0; i < s->chest->nodules; i++) {
        const vox_chest_nodule *n = &s->chest->nodule[i];
        double low[3], high[3];
        for (int x = 0; x < 3; x++) {
            low[x] = n->shape.center_mm[x] - n->shape.radius_mm[x] - 1 - s->edge_mm;
            high[x] = n->shape.center_mm[x] + n->shape.radius_mm[x] + 1 + s->edge_mm;
        }
        paint(s, n, low, high, paint_nodule);
        paint(&of_mask, n, low, high, mark_nodule);
        mark_point(mask, n->shape.center_mm);
    }
}

/* ---- the scan ---- */

vox_status vox_chest_render(const vox_chest *chest, vox_image *image, vox_image *mask,
                            vox_error *err)
{
    const size_t n = vox_volume_voxels(image);
    const double *mm = image->spacing_mm;
    scan s = {chest, image, vox_calloc(n, sizeof *s.lung, "a scan", err),
              cbrt(mm[0] * mm[1] * mm[2])};
    if (!s.lung)
        return VOX_ERR_MEMORY;
    paint_organs(&s);
    paint_tubes(&s, false);
    paint_tubes(&s, true);
    paint_nodules(&s, mask);
    for (size_t i = 0; i < n; i++) {
        double noise =
            NOISE * vox_voxel_noise(chest->seed, LANE_CHEST_NOISE, chest->patient, (uint32_t)i);
        image->voxel[i] = (float)fmax(rint((double)image->voxel[i] + noise), -1024);
    }
    free(s.lung);
    return VOX_OK;
}
