/* phantom.c - anatomy of the synthetic prostate and its signal in each modality. */
#include "data/phantom.h"

#include "base/philox.h"
#include "data/volume.h"

#include <math.h>
#include <string.h>

/* Streams of VOX_RANDOM_SYNTH: step is the patient. */
enum { LANE_ANATOMY = 1, LANE_TEXTURE = 2, LANE_NOISE = 8 }; /* texture and noise: + modality */

/* Grade 1..5.  Steps are about three spreads: a reader who uses size and contrast is nearly always
 * right, one who uses either alone is not. */
static const double grade_radius_mm[6] = {0, 3.4, 4.7, 6.0, 7.3, 8.6};
static const double grade_contrast[6] = {0, 0.20, 0.38, 0.56, 0.74, 0.92};
#define RADIUS_SPREAD   0.05 /* relative, std */
#define CONTRAST_SPREAD 0.03 /* std */

/* What a modality shows of each tissue, and of a lesion with contrast 1. */
typedef struct signal {
    double outside, muscle, rectum, transition, peripheral;
    double factor, added;  /* lesion: value * (1 + factor) + added */
    double texture, noise; /* std of the smooth and of the voxel noise */
} signal;

static const signal signals[3] = {
    [VOX_PHANTOM_T2] = {300, 140, 70, 270, 430, -0.60, 0, 35, 16},
    [VOX_PHANTOM_ADC] = {1150, 1000, 450, 1350, 1700, -0.65, 0, 90, 50},
    [VOX_PHANTOM_KTRANS] = {0.08, 0.06, 0.02, 0.26, 0.18, 0, 0.9, 0.03, 0.03},
};

#define TEXTURE_MM 4.5

/* ---- anatomy ---- */

/* The transition zone: the inner part of the gland, towards the front (y is to the back). */
static double transition_radii(const vox_phantom *p, const double point[3])
{
    double center[3] = {p->center_mm[0], p->center_mm[1] - 0.22 * p->radius_mm[1], p->center_mm[2]};
    double radius[3];
    for (int x = 0; x < 3; x++)
        radius[x] = 0.66 * p->radius_mm[x];
    return vox_in_radii(point, center, radius);
}

static const char *zone_of(const vox_phantom *p, const double point[3])
{
    if (point[1] < p->center_mm[1] - 0.55 * p->radius_mm[1])
        return "AS";
    return transition_radii(p, point) < 1 ? "TZ" : "PZ";
}

/* A place within the gland that leaves room for the lesion and between lesions; false: not here. */
static bool try_place(const vox_phantom *p, vox_phantom_lesion *l, vox_random *r)
{
    double size = 0, room[3];
    for (int x = 0; x < 3; x++) {
        room[x] = p->radius_mm[x] - 0.8 * l->radius_mm[x];
        size = fmax(size, l->radius_mm[x]);
        l->center_mm[x] = p->center_mm[x] + vox_random_range(r, -1, 1) * p->radius_mm[x];
    }
    if (fabs(l->center_mm[2] - p->center_mm[2]) > 17 || /* every scan reaches as far as that */
        !(room[0] > 0 && room[1] > 0 && room[2] > 0) ||
        vox_in_radii(l->center_mm, p->center_mm, room) > 1)
        return false;
    for (size_t i = 0; i < p->lesions; i++) {
        const vox_phantom_lesion *o = &p->lesion[i];
        double gap = 0, other = fmax(fmax(o->radius_mm[0], o->radius_mm[1]), o->radius_mm[2]);
        for (int x = 0; x < 3; x++)
            gap += (l->center_mm[x] - o->center_mm[x]) * (l->center_mm[x] - o->center_mm[x]);
        if (sqrt(gap) < size + other + 2)
            return false;
    }
    return true;
}

static void add_lesion(vox_phantom *p, int grade, vox_random *r)
{
    vox_phantom_lesion *l = &p->lesion[p->lesions];
    double radius = grade_radius_mm[grade] * (1 + RADIUS_SPREAD * vox_random_normal(r));
    double stretch = exp(0.12 * vox_random_normal(r));
    memset(l, 0, sizeof *l);
    l->grade = grade;
    l->contrast = grade_contrast[grade] + CONTRAST_SPREAD * vox_random_normal(r);
    l->contrast = fmin(fmax(l->contrast, 0.1), 1);
    l->radius_mm[0] = radius * stretch;
    l->radius_mm[1] = radius;
    l->radius_mm[2] = radius / stretch;
    for (int tries = 0; !try_place(p, l, r); tries++)
        if (tries % 64 == 63) /* too full: an enlarged gland */
            for (int x = 0; x < 3; x++)
                p->radius_mm[x] *= 1.06;
    for (int x = 0; x < 3; x++)
        l->finding_mm[x] = l->center_mm[x] + 0.6 * vox_random_normal(r);
    l->zone = zone_of(p, l->center_mm);
    p->lesions++;
}

vox_status vox_phantom_make(vox_phantom *out, uint64_t seed, uint64_t patient, const int *grade,
                            size_t lesions, vox_error *err)
{
    static const double radius_mm[3] = {24, 17, 20}, place_mm[3] = {0, 15, -20};
    vox_random r;
    memset(out, 0, sizeof *out);
    vox_random_init(&r, seed, VOX_RANDOM_SYNTH, LANE_ANATOMY, patient, 0);
    out->seed = seed;
    out->patient = patient;
    for (int x = 0; x < 3; x++) {
        out->center_mm[x] = place_mm[x] + vox_random_range(&r, -15, 15);
        out->radius_mm[x] = radius_mm[x] * vox_random_range(&r, 0.9, 1.15);
        out->bias[x] = vox_random_range(&r, -0.003, 0.003);
    }
    out->gain = vox_random_range(&r, 0.75, 1.35);
    for (int g = 5; g >= 1; g--) /* the large ones first: they need the room */
        for (size_t i = 0; i < lesions && i < VOX_PHANTOM_LESIONS; i++)
            if (grade[i] == g)
                add_lesion(out, g, &r);
    vox_status s = VOX_OK;
    for (uint32_t m = 0; m < 3 && s == VOX_OK; m++)
        s = vox_lattice_make(&out->texture[m], TEXTURE_MM, seed, LANE_TEXTURE + m, patient, err);
    return s;
}

void vox_phantom_release(vox_phantom *phantom)
{
    for (int m = 0; m < 3; m++)
        vox_lattice_release(&phantom->texture[m]);
    memset(phantom, 0, sizeof *phantom);
}

/* ---- signal ---- */

static double tissue(const vox_phantom *p, const signal *s, const double point[3])
{
    double rectum[3] = {p->center_mm[0], p->center_mm[1] + p->radius_mm[1] + 11, point[2]};
    double side = fabs(point[0] - p->center_mm[0]) - p->radius_mm[0] - 8;
    double value = side > 0 ? s->muscle : s->outside;
    value = vox_blend(value, s->rectum,
                      vox_inside(vox_in_radii(point, rectum, (double[3]){12, 9, 1}), 9, 2));
    value = vox_blend(
        value, s->peripheral,
        vox_inside(vox_in_radii(point, p->center_mm, p->radius_mm), p->radius_mm[1], 1.5));
    return vox_blend(value, s->transition, vox_inside(transition_radii(p, point), 10, 1.5));
}

static double value_at(const vox_phantom *p, vox_phantom_modality modality, const double point[3])
{
    const signal *s = &signals[modality];
    double value = tissue(p, s, point) + s->texture * vox_lattice_at(&p->texture[modality], point);
    for (size_t i = 0; i < p->lesions; i++) {
        const vox_phantom_lesion *l = &p->lesion[i];
        double radii = vox_in_radii(point, l->center_mm, l->radius_mm);
        double c = l->contrast * vox_inside(radii, l->radius_mm[1], 1.5);
        value = value * (1 + s->factor * c) + s->added * c;
    }
    return value;
}

void vox_phantom_render(const vox_phantom *p, vox_phantom_modality modality, vox_image *image)
{
    uint32_t at = 0;
    for (int64_t d = 0; d < image->size[0]; d++)
        for (int64_t h = 0; h < image->size[1]; h++)
            for (int64_t w = 0; w < image->size[2]; w++, at++) {
                double point[3], field = 1;
                vox_volume_point(image, (double[3]){(double)d, (double)h, (double)w}, point);
                double value =
                    value_at(p, modality, point) +
                    signals[modality].noise *
                        vox_voxel_noise(p->seed, LANE_NOISE + (uint32_t)modality, p->patient, at);
                if (modality == VOX_PHANTOM_T2) {
                    for (int x = 0; x < 3; x++)
                        field += p->bias[x] * (point[x] - p->center_mm[x]);
                    value *= p->gain * field;
                }
                image->voxel[at] = (float)fmax(value, 0);
            }
}
