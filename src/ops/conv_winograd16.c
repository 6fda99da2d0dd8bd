/* conv_winograd16.c - Winograd's method for CPUs: forward and backward-data of stride 1.
 *
 * Chooses the points of each axis and the tiles worked on at a time; the kernels are
 * cl/conv3d_winograd16.cl, the transforms cl/winograd.h. */
#include "ops/conv.h"

#include <inttypes.h>
#include <string.h>

#define MAX_POINTS 8 /* of an axis: WINO_MAX */

#define SLAB_BYTES 700e3 /* for V and M of the tiles worked on at a time: of a 1 MiB L2 */

/* What the method makes of a problem. */
typedef struct form {
    vox_conv_shape s;
    bool back;
    int64_t fc, tc, fb, tb; /* channels and blocks of the tensor read and the one written */
    int64_t points[3];      /* of a tile, along each axis */
    int64_t tiles;          /* of a sample */
    int64_t r, q, t;        /* tiles of a register tile, its blocks of channels, tiles of a slab */
    int64_t qgroups;        /* of q blocks */
    int64_t groups;         /* work-groups, a slab each */
    double cycles; /* of a core for n_max samples, where a multiply-add of float16 is one */
} form;

static int64_t volume(const int64_t v[3])
{
    return v[0] * v[1] * v[2];
}

/* What the products and the transforms cost with f's points; the shares were measured on Zen 4. */
static double cycles_of(const form *f, int64_t n_max)
{
    const double points = (double)volume(f->points), tiles = (double)(f->tiles * n_max);
    const double products = points * (double)(f->fc * f->qgroups * f->q);
    const double transforms = points * (double)(f->fb + f->tb);
    return tiles * (products / 0.75 + 16 * transforms) + 23 * products;
}

/* The cheapest points: more of them save multiplications, until tiles reach too far past the edge
 * or the transformed weights, whose number they raise, weigh more than few tiles. */
static void choose_points(form *f, int64_t n_max)
{
    const int64_t *k = f->s.kernel, *to = f->back ? f->s.in : f->s.out;
    form best = {0};
    for (int64_t d = k[0]; d <= MAX_POINTS; d++)
        for (int64_t h = k[1]; h <= MAX_POINTS; h++)
            for (int64_t w = k[2]; w <= MAX_POINTS; w++) {
                form g = *f;
                memcpy(g.points, (const int64_t[3]){d, h, w}, sizeof g.points);
                g.tiles = vox_ceil_div(to[0], d + 1 - k[0]) * vox_ceil_div(to[1], h + 1 - k[1]) *
                          vox_ceil_div(to[2], w + 1 - k[2]);
                g.cycles = cycles_of(&g, n_max);
                if (!best.tiles || g.cycles < best.cycles)
                    best = g;
            }
    *f = best;
}

static form form_of(const vox_problem *p, vox_pass pass)
{
    form f = {.s = vox_conv_shape_get(p->node), .back = pass == VOX_BACKWARD_DATA};
    const vox_conv_shape *s = &f.s;
    f.fc = f.back ? s->co : s->ci;
    f.tc = f.back ? s->ci : s->co;
    f.fb = f.back ? s->ob : s->ib;
    f.tb = f.back ? s->ib : s->ob;
    f.r = 8; /* 12 x 2 sums and PoCL's compiler spills some of them */
    f.q = f.tb > 1 ? 2 : 1;
    f.qgroups = vox_ceil_div(f.tb, f.q);
    choose_points(&f, p->n_max);

    const int64_t units = vox_device_get(p->dev)->compute_units, all = f.tiles * p->n_max;
    const double tile_bytes = (double)(volume(f.points) * (f.fb + f.q)) * 64;
    const int64_t fit = (int64_t)(SLAB_BYTES / tile_bytes / (double)f.r);
    const int64_t share = all / (f.r * 4 * (units ? units : 1)); /* four chunks a core at least */
    const int64_t steps = fit < share ? fit : share;
    f.t = f.r * (steps < 1 ? 1 : steps);
    const int64_t chunks = vox_ceil_div(all, f.t), most = 4 * (units ? units : 1);
    f.groups = chunks < most ? chunks : most;
    return f;
}

/* Kernels index a block of a sample, U at one point and a slab with int. */
bool vox_conv_winograd16_fits(const vox_problem *p)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    const int64_t most = INT32_MAX / 16;
    for (int i = 0; i < 3; i++)
        if (s.kernel[i] > MAX_POINTS || s.stride[i] != 1 || s.dilation[i] != 1)
            return false;
    return s.groups == 1 && s.pad[0] < most && s.pad[1] < most && s.pad[2] < most &&
           volume(s.in) < most && volume(s.out) < most && s.ib < most / 65536 &&
           s.ob < most / 65536;
}

static double seconds_of(const vox_problem *p, vox_pass pass)
{
    const form f = form_of(p, pass);
    /* 32 multiply-adds a cycle; cycles were measured where a core starts 16. */
    return vox_rule_seconds(p->dev, f.cycles * 32, vox_device_is_cpu(p->dev) ? 0.8 : 0.002, 0, 1);
}

double vox_conv_winograd16_seconds(const vox_problem *p)
{
    return seconds_of(p, VOX_FORWARD);
}

double vox_conv_winograd16_data_seconds(const vox_problem *p)
{
    return seconds_of(p, VOX_BACKWARD_DATA);
}

static vox_status open_kernels(vox_work *w, const form *f, vox_error *err)
{
    vox_str more = {0};
    vox_str_add(&more,
                "-DND=%" PRId64 " -DNH=%" PRId64 " -DNW=%" PRId64 " -DR=%" PRId64 " -DQ=%" PRId64
                " -DT=%" PRId64 "%s%s",
                f->points[0], f->points[1], f->points[2], f->r, f->q, f->t,
                f->back ? " -DBACKWARD" : "", vox_relu_options(w));
    if (more.failed)
        return vox_fail_memory(err, "kernel options", more.capacity);
    vox_status status =
        vox_conv_kernel(w, 0, "conv3d_winograd16.cl", "conv3d_winograd16", &f->s, more.text, err);
    if (status == VOX_OK)
        status = vox_conv_kernel(w, 1, "conv3d_winograd16.cl", "winograd16_filter", &f->s,
                                 more.text, err);
    vox_str_release(&more);
    return status;
}

vox_status vox_conv_winograd16_build(vox_work *w, vox_error *err)
{
    const form f = form_of(&w->problem, w->algo->pass);
    const int64_t points = volume(f.points);
    vox_status status = open_kernels(w, &f, err);
    if (status == VOX_OK)
        status = vox_conv_scratch(w, 0, f.qgroups * f.q * 16 * points * f.fc, "transformed weights",
                                  err);
    if (status == VOX_OK)
        status = vox_conv_scratch(w, 1, f.qgroups * f.q * 16, "packed bias", err);
    if (status == VOX_OK)
        status = vox_conv_scratch(w, 2, f.groups * points * (f.t * (f.fb + f.q) + 2) * 16,
                                  "transformed tiles", err);
    return status;
}

vox_status vox_conv_winograd16_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const form f = form_of(&w->problem, w->algo->pass);
    const vox_grid filters = {{(size_t)(f.qgroups * f.q), (size_t)f.fc, 1}, {1, 1, 1}};
    const vox_arg filter_args[] = {vox_arg_buffer(io->param[0]),
                                   vox_arg_buffer(vox_conv_start(w, &f.s, io)),
                                   vox_arg_buffer(w->scratch[0]), vox_arg_buffer(w->scratch[1])};
    vox_status status = vox_kernel_launch(w->kernel[1], &filters, filter_args, 4, err);
    if (status != VOX_OK)
        return status;
    const vox_grid grid = {{(size_t)f.groups, 1, 1}, {1, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(f.back ? io->dy->buf : io->x[0]->buf),
                            vox_arg_buffer(w->scratch[0]),
                            vox_arg_buffer(w->scratch[1]),
                            vox_arg_buffer(f.back ? io->dx[0]->buf : io->y->buf),
                            vox_arg_buffer(vox_conv_relu_input(w, io)),
                            vox_arg_buffer(w->scratch[2]),
                            vox_arg_i32((int32_t)io->n)};
    return vox_kernel_launch(w->kernel[0], &grid, args, 7, err);
}
