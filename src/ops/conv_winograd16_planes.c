/* conv_winograd16_planes.c - Winograd's method for CPUs, a plane of points after the other: forward
 * and backward-data of stride 1, where few tiles share the weights of many channels.
 *
 * Chooses the points of each axis and how tiles and channels are shared out; the kernel is
 * cl/conv3d_winograd16_planes.cl.  What it can do is what vox_conv_winograd16_fits says. */
#include "ops/conv.h"

#include <inttypes.h>
#include <string.h>

#define MAX_POINTS 8      /* of an axis: WINO_MAX */
#define V_BYTES    1000e3 /* of the tiles that share one transform of the weights */
#define M_BYTES    256e3  /* of the products of some of those */

/* What the method makes of a problem. */
typedef struct form {
    vox_conv_shape s;
    bool back;
    int64_t fc, tc, fb, tb; /* channels and blocks of the tensor read and the one written */
    int64_t points[3];      /* of a tile, along each axis */
    int64_t tiles;          /* of all samples */
    int64_t r, q;           /* tiles of a register tile, its blocks of channels */
    int64_t qgroups;        /* of q blocks */
    int64_t round, t;       /* tiles whose V, and those whose M, are in the slab at a time */
    int64_t parts, shares;  /* of the tiles, of the groups of blocks */
    double cycles; /* of the device for n_max samples, where a multiply-add of float16 is one */
} form;

static int64_t plane_of(const form *f)
{
    return f->points[1] * f->points[2];
}

/* Of one work-group: products, transforms of input and output, those of the weights; measured on
 * Zen 4, on the scale of conv_winograd16.c. */
static double group_cycles(const form *f, int64_t tiles, int64_t qgroups)
{
    const double points = (double)(f->points[0] * plane_of(f)), n = (double)tiles;
    const double in = (double)f->fc, out = (double)(qgroups * f->q);
    const double rounds = (double)vox_ceil_div(tiles, f->round);
    return points * (n * (in * out / 0.75 + 16 * ((double)f->fb + out)) + rounds * 7 * in * out);
}

/* The parts and shares that end first: two work-groups for each core at most. */
static void try_parts(form *f, form *best, int64_t units)
{
    const int64_t all = vox_ceil_div(f->tiles, f->r); /* register tiles */
    const int64_t fit = (int64_t)(V_BYTES / 64) / (plane_of(f) * f->fb * f->r);
    for (f->shares = 1; f->shares <= vox_least(f->qgroups, 2 * units); f->shares++)
        for (f->parts = 1; f->parts <= vox_least(all, 2 * units / f->shares); f->parts++) {
            const int64_t own = vox_ceil_div(all, f->parts);
            f->round = vox_ceil_div(own, vox_ceil_div(own, fit < 1 ? 1 : fit)) * f->r;
            f->cycles = group_cycles(f, own * f->r, vox_ceil_div(f->qgroups, f->shares)) *
                        (double)vox_ceil_div(f->parts * f->shares, units);
            if (best->tiles == 0 || f->cycles < best->cycles)
                *best = *f;
        }
}

/* Register tiles of 8 unless others leave fewer places empty (12 x 2 sums and PoCL's compiler
 * spills some of them). */
static void try_points(form *f, form *best, int64_t n_max, int64_t units)
{
    static const int64_t sizes[] = {8, 9, 6};
    const int64_t *k = f->s.kernel, *to = f->back ? f->s.in : f->s.out;
    f->tiles = n_max;
    for (int i = 0; i < 3; i++)
        f->tiles *= vox_ceil_div(to[i], f->points[i] + 1 - k[i]);
    for (int i = 0; i < 3; i++) {
        f->r = sizes[i];
        try_parts(f, best, units);
    }
}

static form form_of(const vox_problem *p, vox_pass pass)
{
    form f = {.s = vox_conv_shape_get(p->node), .back = pass == VOX_BACKWARD_DATA}, best = {0};
    const vox_conv_shape *s = &f.s;
    const int64_t units = vox_device_get(p->dev)->compute_units, *k = s->kernel;
    f.fc = f.back ? s->co : s->ci;
    f.tc = f.back ? s->ci : s->co;
    f.fb = f.back ? s->ob : s->ib;
    f.tb = f.back ? s->ib : s->ob;
    f.q = f.tb > 1 ? 2 : 1;
    f.qgroups = vox_ceil_div(f.tb, f.q);
    for (int64_t d = k[0]; d <= MAX_POINTS; d++)
        for (int64_t h = k[1]; h <= MAX_POINTS; h++)
            for (int64_t w = k[2]; w <= MAX_POINTS; w++) {
                memcpy(f.points, (const int64_t[3]){d, h, w}, sizeof f.points);
                try_points(&f, &best, p->n_max, units ? units : 1);
            }
    const int64_t steps = (int64_t)(M_BYTES / 64) / (plane_of(&best) * best.q * best.r);
    best.t = vox_least(best.round, best.r * (steps < 1 ? 1 : steps));
    return best;
}

static double seconds_of(const vox_problem *p, vox_pass pass)
{
    const form f = form_of(p, pass);
    const int64_t units = vox_device_get(p->dev)->compute_units;
    const double pack = 3.5 * (double)(f.qgroups * f.q * 16 * f.fc * f.s.taps);
    /* As in conv_winograd16.c, for all cores. */
    return vox_rule_seconds(p->dev, (f.cycles * (double)(units ? units : 1) + pack) * 32,
                            vox_device_is_cpu(p->dev) ? 0.8 : 0.002, 0, 1);
}

double vox_conv_winograd16_planes_seconds(const vox_problem *p)
{
    return seconds_of(p, VOX_FORWARD);
}

double vox_conv_winograd16_planes_data_seconds(const vox_problem *p)
{
    return seconds_of(p, VOX_BACKWARD_DATA);
}

/* [blocks of "to"][channels of "from"][taps][16]. */
static vox_pack16 pack_of(const form *f)
{
    return (vox_pack16){.groups = f->qgroups * f->q,
                        .blocks = f->fc,
                        .bi = 1,
                        .q = 1,
                        .swap = f->back,
                        .first_kernel = 1};
}

/* float16 of a work-group, SLAB in the kernel. */
static int64_t slab_of(const form *f)
{
    return plane_of(f) * ((f->round * f->fb | 1) + (f->fc * f->q | 1) + (f->t * f->q | 1));
}

vox_status vox_conv_winograd16_planes_build(vox_work *w, vox_error *err)
{
    const form f = form_of(&w->problem, w->algo->pass);
    const vox_pack16 pack = pack_of(&f);
    vox_str more = {0};
    vox_str_add(&more,
                "-DND=%" PRId64 " -DNH=%" PRId64 " -DNW=%" PRId64 " -DR=%" PRId64 " -DQ=%" PRId64
                " -DROUND=%" PRId64 " -DT=%" PRId64 "%s%s",
                f.points[0], f.points[1], f.points[2], f.r, f.q, f.round, f.t,
                f.back ? " -DBACKWARD" : "", vox_relu_options(w));
    vox_status status =
        more.failed ? vox_fail_memory(err, "kernel options", more.capacity) : VOX_OK;
    if (status == VOX_OK)
        status = vox_conv_kernel(w, 0, "conv3d_winograd16_planes.cl", "conv3d_winograd16_planes",
                                 &f.s, more.text, err);
    vox_str_release(&more);
    if (status == VOX_OK)
        status = vox_pack16_build(w, &pack, &f.s, err);
    return status == VOX_OK ? vox_conv_scratch(w, 2, f.parts * f.shares * slab_of(&f) * 16,
                                               "transformed tiles", err)
                            : status;
}

vox_status vox_conv_winograd16_planes_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const form f = form_of(&w->problem, w->algo->pass);
    const vox_pack16 pack = pack_of(&f);
    vox_status status =
        vox_pack16_run(w, &pack, &f.s, io->param[0], vox_conv_start(w, &f.s, io), err);
    if (status != VOX_OK)
        return status;
    const vox_grid grid = {{(size_t)(f.parts * f.shares), 1, 1}, {1, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(f.back ? io->dy->buf : io->x[0]->buf),
                            vox_arg_buffer(w->scratch[0]),
                            vox_arg_buffer(w->scratch[1]),
                            vox_arg_buffer(f.back ? io->dx[0]->buf : io->y->buf),
                            vox_arg_buffer(vox_conv_relu_input(w, io)),
                            vox_arg_buffer(w->scratch[2]),
                            vox_arg_i32((int32_t)io->n),
                            vox_arg_i32((int32_t)f.shares)};
    return vox_kernel_launch(w->kernel[0], &grid, args, 8, err);
}
