/* phantom_head.c - anatomy of the synthetic brain and its signal in each sequence. */
#include "data/phantom_head.h"

#include "base/philox.h"
#include "data/volume.h"

#include <math.h>
#include <string.h>

/* Streams of VOX_RANDOM_SYNTH: step is the patient. */
enum {
    LANE_HEAD = 96,
    LANE_FOLDS = 97,
    LANE_SHAPE = 98,
    LANE_HEAD_TEXTURE = 99,
    LANE_TUMOURS = 100,
    LANE_HEAD_NOISE = 104 /* + channel */
};

enum { FLUID, GREY, WHITE, EDEMA, CORE, ENHANCING, TISSUES };

/* What each sequence shows of each tissue. */
static const double signals[VOX_HEAD_CHANNELS][TISSUES] = {
    {35, 150, 118, 240, 150, 185}, /* FLAIR: fluid is dark, edema is bright */
    {35, 98, 142, 88, 62, 92},     /* T1 */
    {38, 104, 148, 92, 55, 255},   /* T1 with contrast agent: the rim shines */
    {250, 152, 112, 215, 205, 165} /* T2: all fluid is bright */
};
#define NOISE   5.0 /* std of a voxel */
#define TEXTURE 4.0

/* ---- anatomy, in mm from the brain's middle, before its stretch ---- */

static const vox_ellipsoid cerebrum = {{0, 0, 8}, {67, 85, 62}};
static const vox_ellipsoid cerebellum = {{0, 46, -46}, {46, 30, 24}};
static const vox_ellipsoid stem = {{0, 22, -52}, {13, 13, 34}};
static const vox_ellipsoid ventricle[4] = {{{8, -6, 16}, {6, 30, 9}},
                                           {{-8, -6, 16}, {6, 30, 9}},
                                           {{17, 26, 6}, {6, 16, 9}},
                                           {{-17, 26, 6}, {6, 16, 9}}};
static const vox_ellipsoid third_ventricle = {{0, 4, 0}, {2.2, 12, 9}};
static const vox_ellipsoid deep_grey[4] = {{{11, 8, 2}, {8, 14, 9}},
                                           {{-11, 8, 2}, {8, 14, 9}},
                                           {{25, -6, 3}, {7, 17, 9}},
                                           {{-25, -6, 3}, {7, 17, 9}}};

/* The parts of a point's voxel. */
typedef struct mixture {
    double brain; /* 0 outside .. 1 */
    double part[TISSUES];
} mixture;

static void pour(mixture *m, int tissue, double share)
{
    for (int i = 0; i < TISSUES; i++)
        m->part[i] *= 1 - share;
    m->part[tissue] += share;
}

static void to_brain(const vox_head *h, const double point[3], double at[3])
{
    for (int x = 0; x < 3; x++)
        at[x] = (point[x] - h->center_mm[x]) / h->stretch[x];
}

/* The cerebrum's surface is its ellipsoid, flat below, dented by smooth noise: mm of depth. */
static double cerebrum_depth(const vox_head *h, const double at[3])
{
    double depth = (1 - vox_ellipsoid_radii(&cerebrum, at)) * 64;
    double floor_mm = at[2] + 34 - 0.10 * fabs(at[1]);
    return fmin(depth, floor_mm) + 1.2 * vox_lattice_at(&h->shape, at);
}

/* Sulci are where smooth noise changes its sign: sheets of fluid with a ribbon of grey matter on
 * both sides, which get thinner with the depth. */
static void fill_cerebrum(const vox_head *h, const double at[3], double depth, mixture *m)
{
    const double fold = fabs(vox_lattice_at(&h->folds, at));
    const double deep = 1 - vox_soft_step((depth - 17) / 8);
    const double ribbon =
        fmax(vox_soft_step((4.5 - depth) / 2), deep * vox_soft_step((0.62 - fold) / 0.3));
    const double sulcus = deep * vox_soft_step((0.17 - fold) / 0.16);
    pour(m, WHITE, 1);
    pour(m, GREY, ribbon);
    for (int i = 0; i < 4; i++)
        pour(m, GREY, vox_ellipsoid_inside(&deep_grey[i], at, 2));
    pour(m, FLUID, sulcus);
    const double fissure = vox_soft_step((1.3 - fabs(at[0])) / 1.2);
    pour(m, FLUID, fissure * vox_soft_step((30 - depth) / 4) * vox_soft_step((at[2] - 2) / 4));
}

static void fill_ventricles(const vox_head *h, const double at[3], mixture *m)
{
    for (int i = 0; i < 4; i++) {
        vox_ellipsoid e = ventricle[i];
        e.radius_mm[0] *= h->widen;
        e.radius_mm[2] *= h->widen;
        pour(m, FLUID, vox_ellipsoid_inside(&e, at, 1.6));
    }
    pour(m, FLUID, vox_ellipsoid_inside(&third_ventricle, at, 1.4));
}

static void fill_brain(const vox_head *h, const double at[3], mixture *m)
{
    const double depth = cerebrum_depth(h, at);
    const double below = vox_ellipsoid_inside(&cerebellum, at, 1.5);
    const double down = vox_ellipsoid_inside(&stem, at, 1.5);
    const double above = vox_soft_step(depth / 1.5);
    memset(m, 0, sizeof *m);
    m->brain = fmax(above, fmax(below, down));
    if (m->brain <= 0)
        return;
    m->part[FLUID] = 1;
    if (above > 0)
        fill_cerebrum(h, at, depth, m);
    if (below > above) { /* leaves of the cerebellum: thin stripes */
        double stripe = sin(1.1 * vox_ellipsoid_radii(&cerebellum, at) * 30);
        pour(m, GREY, 1);
        pour(m, WHITE, 0.35 + 0.35 * stripe);
    }
    if (down > fmax(above, below))
        pour(m, WHITE, 1);
    if (above > 0)
        fill_ventricles(h, at, m);
}

/* ---- tumours ---- */

/* Radii of the nearest tumour's edema, its surface lobed by smooth noise. */
static double tumour_radii(const vox_head *h, const double point[3], const vox_head_tumour **which)
{
    double least = INFINITY;
    for (size_t i = 0; i < h->tumours; i++) {
        double radii = vox_ellipsoid_radii(&h->tumour[i].shape, point);
        if (radii < least) {
            least = radii;
            *which = &h->tumour[i];
        }
    }
    return least < 2 ? least * (1 + 0.13 * vox_lattice_at(&h->shape, point)) : least;
}

static void fill_tumour(const vox_head *h, const double point[3], mixture *m)
{
    const vox_head_tumour *t = NULL;
    const double radii = tumour_radii(h, point, &t);
    if (radii > 1.5)
        return;
    const double *r = t->shape.radius_mm, radius = fmin(fmin(r[0], r[1]), r[2]);
    pour(m, EDEMA, vox_inside(radii, radius, 3) * (1 - m->part[FLUID]));
    pour(m, ENHANCING, vox_inside(radii / t->rim, t->rim * radius, 1.2));
    pour(m, CORE, vox_inside(radii / t->core, t->core * radius, 1.2));
}

static int class_of(const vox_head *h, const double point[3], const mixture *m)
{
    const vox_head_tumour *t = NULL;
    const double radii = tumour_radii(h, point, &t);
    if (m->brain < 0.5 || radii >= 1)
        return VOX_TUMOUR_NONE;
    if (radii < t->core)
        return VOX_TUMOUR_CORE;
    if (radii < t->rim)
        return VOX_TUMOUR_ENHANCING;
    return m->part[FLUID] < 0.5 ? VOX_TUMOUR_EDEMA : VOX_TUMOUR_NONE;
}

int vox_head_class(const vox_head *head, const double point[3])
{
    mixture m;
    double at[3];
    to_brain(head, point, at);
    fill_brain(head, at, &m);
    return class_of(head, point, &m);
}

/* In the cerebrum, at least a little away from its surface and from the other. */
static bool has_place(const vox_head *h, const vox_ellipsoid *e)
{
    double at[3];
    to_brain(h, e->center_mm, at);
    if (cerebrum_depth(h, at) < 14)
        return false;
    for (size_t i = 0; i < h->tumours; i++)
        if (vox_ellipsoid_radii(&h->tumour[i].shape, e->center_mm) < 2.2)
            return false;
    return true;
}

static void add_tumour(vox_head *h, vox_random *r)
{
    vox_head_tumour *t = &h->tumour[h->tumours];
    const double radius = h->tumours ? vox_random_range(r, 12, 18) : vox_random_range(r, 18, 34);
    for (int x = 0; x < 3; x++)
        t->shape.radius_mm[x] = radius * exp(0.14 * vox_random_normal(r));
    t->rim = vox_random_range(r, 0.5, 0.72);
    t->core = t->rim * vox_random_range(r, 0.5, 0.75);
    if (h->tumours == 0 && h->patient % 5 == 4) /* low grade: nothing enhances */
        t->core = t->rim;
    do
        for (int x = 0; x < 3; x++)
            t->shape.center_mm[x] =
                h->center_mm[x] + vox_random_range(r, -0.8, 0.8) * cerebrum.radius_mm[x];
    while (!has_place(h, &t->shape));
    h->tumours++;
}

/* ---- the whole ---- */

vox_status vox_head_make(vox_head *out, uint64_t seed, uint64_t patient, vox_error *err)
{
    vox_random r;
    memset(out, 0, sizeof *out);
    vox_random_init(&r, seed, VOX_RANDOM_SYNTH, LANE_HEAD, patient, 0);
    out->seed = seed;
    out->patient = patient;
    out->widen = vox_random_range(&r, 0.8, 1.5);
    for (int x = 0; x < 3; x++) {
        out->center_mm[x] = vox_random_range(&r, -5, 5);
        out->stretch[x] = vox_random_range(&r, 0.94, 1.05);
    }
    for (int c = 0; c < VOX_HEAD_CHANNELS; c++) {
        out->gain[c] = exp(vox_random_range(&r, log(0.8), log(4)));
        for (int x = 0; x < 3; x++)
            out->bias[c][x] = vox_random_range(&r, -0.0012, 0.0012);
    }
    vox_status s = vox_lattice_make(&out->folds, 8, seed, LANE_FOLDS, patient, err);
    if (s == VOX_OK)
        s = vox_lattice_make(&out->shape, 11, seed, LANE_SHAPE, patient, err);
    if (s == VOX_OK)
        s = vox_lattice_make(&out->texture, 5, seed, LANE_HEAD_TEXTURE, patient, err);
    if (s != VOX_OK) {
        vox_head_release(out);
        return s;
    }
    vox_random_init(&r, seed, VOX_RANDOM_SYNTH, LANE_TUMOURS, patient, 0);
    add_tumour(out, &r);
    if (vox_random_below(&r, 4) == 0)
        add_tumour(out, &r);
    return VOX_OK;
}

void vox_head_release(vox_head *head)
{
    vox_lattice_release(&head->folds);
    vox_lattice_release(&head->shape);
    vox_lattice_release(&head->texture);
    memset(head, 0, sizeof *head);
}

/* ---- signal ---- */

static double signal_at(const vox_head *h, int channel, const mixture *m, const double point[3],
                        double soft, uint32_t voxel)
{
    double value = TEXTURE * soft, field = 1;
    for (int i = 0; i < TISSUES; i++)
        value += m->part[i] * signals[channel][i];
    for (int x = 0; x < 3; x++)
        field += h->bias[channel][x] * (point[x] - h->center_mm[x]);
    value +=
        NOISE * vox_voxel_noise(h->seed, LANE_HEAD_NOISE + (uint32_t)channel, h->patient, voxel);
    return fmax(rint(h->gain[channel] * field * value), 1); /* 0 is outside */
}

static void render_voxel(const vox_head *h, vox_image *image, vox_image *mask,
                         const double point[3], size_t voxel, size_t volume)
{
    mixture m;
    double at[3];
    to_brain(h, point, at);
    fill_brain(h, at, &m);
    if (m.brain < 0.5)
        return;
    mask->voxel[voxel] = (float)class_of(h, point, &m);
    fill_tumour(h, point, &m);
    const double soft = vox_lattice_at(&h->texture, at);
    for (int c = 0; c < VOX_HEAD_CHANNELS; c++)
        image->voxel[(size_t)c * volume + voxel] =
            (float)signal_at(h, c, &m, point, soft, (uint32_t)voxel);
}

void vox_head_render(const vox_head *head, vox_image *image, vox_image *mask)
{
    const size_t volume = vox_volume_voxels(image);
    size_t voxel = 0;
    for (int64_t d = 0; d < image->size[0]; d++)
        for (int64_t h = 0; h < image->size[1]; h++)
            for (int64_t w = 0; w < image->size[2]; w++, voxel++) {
                double point[3];
                vox_volume_point(image, (double[3]){(double)d, (double)h, (double)w}, point);
                render_voxel(head, image, mask, point, voxel, volume);
            }
}
