/* conv_winograd16_weights.c - the weights' gradient by Winograd's method on CPUs.
 *
 * Chooses the points for each axis and the units that the layer is cut into, of which the
 * transformed tensors fit a core's second-level cache; beside them only the transformed gradients
 * themselves are kept, one for each split of the units, and not even they where there is one unit.
 * The kernels are
 * cl/conv3d_winograd16_weights.cl. */
#include "ops/conv.h"

#include <inttypes.h>
#include <math.h>

#define MOST_POINTS 8
#define SLAB_BYTES  950e3    /* of a unit at its points: of a 1 MiB L2 */
#define SPREAD      8        /* cycles that bringing 16 channels to a point costs ... */
#define UPDATE      200      /* ... and 16 x 16 sums to and from memory */
#define U_BYTES     67108864 /* most memory for transformed gradients */
#define GROUPS      4        /* work-groups wanted for each core */

typedef struct form {
    vox_conv_shape s;
    int64_t points[2], tile[2], count[2]; /* of h, w: points, outputs in a tile, tiles */
    int64_t samples, planes, strip;       /* of a unit; strip: rows of tiles */
    int64_t splits, shares, groups;       /* of the units, of the blocks of x; work-groups */
    double cycles; /* of a core for n_max samples, 16 multiply-adds being one */
} form;

/* Planes of x that a unit's planes of dy reach. */
static int64_t reach(const form *f)
{
    const vox_conv_shape *s = &f->s;
    return vox_least(s->in[0],
                     (f->planes - 1) * s->stride[0] + (s->kernel[0] - 1) * s->dilation[0] + 1);
}

static int64_t points_of(const form *f)
{
    return f->points[0] * f->points[1];
}

static int64_t slab_floats(const form *f)
{
    const int64_t plane = points_of(f) * (f->strip * f->count[1] | 1) * 16;
    return f->samples * (f->planes + reach(f)) * plane;
}

static int64_t units_of(const form *f, int64_t n)
{
    return vox_ceil_div(n, f->samples) * vox_ceil_div(f->s.out[0], f->planes) *
           vox_ceil_div(f->count[0], f->strip);
}

/* Of a unit that is full, for all blocks of channels. */
static double unit_cycles(const form *f)
{
    const vox_conv_shape *s = &f->s;
    const double tiles = (double)(f->samples * f->strip * f->count[1]), ib = (double)s->ib;
    const double multiply = (double)s->kernel[0] * ib * (16 * tiles * (double)f->planes + UPDATE);
    const double spread = SPREAD * tiles * ((double)f->planes + (double)reach(f) * ib);
    return (double)(points_of(f) * s->ob) * (multiply + spread);
}

/* The cheapest strip of so many samples and planes that fits the cache, if any does. */
static bool choose_strip(form *f, form *best, int64_t n_max)
{
    bool any = false;
    for (f->strip = f->samples > 1 ? f->count[0] : 1; f->strip <= f->count[0]; f->strip++) {
        if ((double)slab_floats(f) * sizeof(float) > SLAB_BYTES && best->samples)
            break; /* more rows take more */
        any = true;
        f->cycles = unit_cycles(f) * (double)units_of(f, n_max);
        if (!best->samples || f->cycles < best->cycles)
            *best = *f;
    }
    return any;
}

/* The cheapest unit: more planes or rows share transforms and updates.  Several samples only whole.
 */
static void choose_unit(form *f, int64_t n_max)
{
    form best = {0};
    f->samples = 1;
    for (f->planes = 1; f->planes <= f->s.out[0]; f->planes++)
        if (!choose_strip(f, &best, n_max))
            break;
    f->planes = f->s.out[0];
    for (f->samples = 2; f->samples <= n_max; f->samples++)
        if (!choose_strip(f, &best, n_max))
            break;
    *f = best;
}

static void set_points(form *f, int axis, int64_t points)
{
    f->points[axis] = points;
    f->tile[axis] = points - f->s.kernel[1 + axis] + 1;
    f->count[axis] = vox_ceil_div(f->s.out[1 + axis], f->tile[axis]);
}

/* As many points as make the fewest multiplications; where the kernel has one tap, one. */
static void choose_points(form *f, int axis)
{
    int64_t best = 1;
    double least_points = INFINITY;
    for (int64_t p = f->s.kernel[1 + axis] + 1; p <= MOST_POINTS && f->s.kernel[1 + axis] > 1;
         p++) {
        set_points(f, axis, p);
        const double points = (double)(p * f->count[axis]);
        if (points < least_points) {
            best = p;
            least_points = points;
        }
    }
    set_points(f, axis, best);
}

/* Transformed gradients of 16 x 16 channels, and of all. */
static int64_t block_floats(const form *f)
{
    return f->s.kernel[0] * points_of(f) * 256;
}

static int64_t u_floats(const form *f)
{
    return f->s.ob * f->s.ib * block_floats(f);
}

/* Enough tasks to keep all cores busy to the end. */
static void choose_tasks(form *f, int64_t n_max, const vox_device *dev)
{
    const int64_t units = vox_device_get(dev)->compute_units;
    const int64_t wanted = GROUPS * (units ? units : 1);
    const int64_t room = U_BYTES / (u_floats(f) * (int64_t)sizeof(float));
    f->splits = vox_least(vox_ceil_div(2 * wanted, f->s.ob), units_of(f, n_max));
    f->splits = vox_least(f->splits, room < 1 ? 1 : room);
    f->shares = vox_least(f->s.ib, vox_ceil_div(wanted, f->splits * f->s.ob));
    f->groups = vox_least(wanted, f->splits * f->s.ob * f->shares);
}

static form form_of(const vox_problem *p)
{
    form f = {.s = vox_conv_shape_get(p->node)};
    for (int i = 0; i < 2; i++)
        choose_points(&f, i);
    choose_unit(&f, p->n_max);
    choose_tasks(&f, p->n_max, p->dev);
    return f;
}

bool vox_conv_winograd16_weights_fits(const vox_problem *p)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    bool fits = s.groups == 1 && s.kernel[1] * s.kernel[2] > 1;
    for (int i = 1; i < 3; i++)
        fits = fits && s.stride[i] == 1 && s.dilation[i] == 1 && s.kernel[i] < MOST_POINTS &&
               s.in[i] < INT32_MAX / 64 && s.pad[i] < INT32_MAX / 64;
    return fits && s.in[1] * s.in[2] < INT32_MAX / 64 && s.out[1] * s.out[2] < INT32_MAX / 64;
}

double vox_conv_winograd16_weights_seconds(const vox_problem *p)
{
    const form f = form_of(p);
    const bool cpu = vox_device_is_cpu(p->dev);
    const double collect = (double)(u_floats(&f) / 16) * (8 + (double)f.splits);
    const double busy = cpu ? 0.7 : 0.002;
    return vox_rule_seconds(p->dev, 32 * (f.cycles + collect), busy, 0, 1);
}

vox_status vox_conv_winograd16_weights_build(vox_work *w, vox_error *err)
{
    static const char *const entry[] = {"winograd16_weights", "collect"};
    const form f = form_of(&w->problem);
    const vox_conv_shape *s = &f.s;
    vox_str more = {0};
    vox_str_add(&more,
                "-DNH=%" PRId64 " -DNW=%" PRId64 " -DSAMPLES=%" PRId64 " -DPLANES=%" PRId64
                " -DSTRIP=%" PRId64 " -DSHARES=%" PRId64,
                f.points[0], f.points[1], f.samples, f.planes, f.strip, f.shares);
    vox_status status =
        more.failed ? vox_fail_memory(err, "kernel options", more.capacity) : VOX_OK;
    for (int i = 0; i < (f.splits > 1 ? 2 : 1) && status == VOX_OK; i++)
        status = vox_conv_kernel(w, i, "conv3d_winograd16_weights.cl", entry[i], s, more.text, err);
    vox_str_release(&more);
    if (status == VOX_OK)
        status = vox_conv_scratch(w, 0, f.groups * (slab_floats(&f) + block_floats(&f)),
                                  "transformed tiles", err);
    if (status == VOX_OK)
        status = vox_conv_scratch(w, 1,
                                  units_of(&f, w->problem.n_max) > 1 ? f.splits * u_floats(&f) : 16,
                                  "transformed weight gradients", err);
    return status == VOX_OK
               ? vox_conv_scratch(w, 2, f.splits * s->ob * 16, "partial bias gradients", err)
               : status;
}

vox_status vox_conv_winograd16_weights_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const form f = form_of(&w->problem);
    const vox_conv_shape *s = &f.s;
    const int64_t splits = vox_least(f.splits, units_of(&f, io->n));
    const vox_grid grid = {{(size_t)f.groups, 1, 1}, {1, 1, 1}};
    vox_buffer *dw = io->dparam[0], *db = vox_conv_bias(s, io->dparam);
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf),
                            vox_arg_buffer(io->dy->buf),
                            vox_arg_buffer(w->scratch[1]),
                            vox_arg_buffer(w->scratch[2]),
                            vox_arg_buffer(w->scratch[0]),
                            vox_arg_buffer(dw),
                            vox_arg_buffer(db),
                            vox_arg_i32((int32_t)io->n),
                            vox_arg_i32((int32_t)splits),
                            vox_arg_i32(io->accumulate)};
    vox_status status = vox_kernel_launch(w->kernel[0], &grid, args, 10, err);
    if (status != VOX_OK || splits == 1)
        return status;
    const vox_grid sums = {{(size_t)(s->ib * 16), (size_t)s->ob, 1}, {1, 1, 1}};
    const vox_arg sums_args[] = {vox_arg_buffer(w->scratch[1]),
                                 vox_arg_buffer(w->scratch[2]),
                                 vox_arg_buffer(dw),
                                 vox_arg_buffer(db),
                                 vox_arg_i32((int32_t)splits),
                                 vox_arg_i32(io->accumulate)};
    return vox_kernel_launch(w->kernel[1], &sums, sums_args, 6, err);
}
