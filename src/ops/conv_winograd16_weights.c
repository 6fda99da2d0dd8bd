/* conv_winograd16_weights.c - the weights' gradient by Winograd's method on CPUs.
 *
 * Chooses the points for each axis and goes over the layer in pieces of which the transformed
 * tensors take PIECE floats (a single row of tiles may take more); beside them only the transformed
 * gradient itself is kept.  The kernels are cl/conv3d_winograd16_weights.cl. */
#include "ops/conv.h"

#include <inttypes.h>
#include <math.h>

#define MOST_POINTS 8
#define PIECE       (8 << 18) /* floats of a piece at its points: 8 MiB, in a large cache */
#define SPREAD      24        /* vector multiply-adds that bringing 16 channels to a point costs */
#define GROUPS      64        /* work-groups wanted at least: several times the cores of a CPU */

typedef struct pieces {
    vox_conv_shape s;
    int64_t points[2], tile[2], count[2]; /* of h, w: points, outputs in a tile, tiles */
    int64_t samples, strip, planes;       /* of a piece: at most so many samples, rows of tiles,
                                             planes of dy */
    int64_t ring;                         /* planes of x kept a sample */
    int64_t splits;
} pieces;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Planes of x that `planes` planes of dy reach. */
static int64_t reach(const vox_conv_shape *s, int64_t planes)
{
    return least(s->in[0], (planes - 1) * s->stride[0] + (s->kernel[0] - 1) * s->dilation[0] + 1);
}

static int64_t plane_floats(const pieces *k, int64_t strip, int64_t blocks)
{
    return blocks * 16 * k->points[0] * k->points[1] * (strip * k->count[1] | 1);
}

static int64_t piece_floats(const pieces *k, int64_t samples, int64_t strip, int64_t planes)
{
    return samples * (reach(&k->s, planes) * plane_floats(k, strip, k->s.ib) +
                      planes * plane_floats(k, strip, k->s.ob));
}

static void choose_piece(pieces *k, int64_t n_max)
{
    k->samples = 1;
    k->strip = k->count[0];
    k->planes = k->s.out[0];
    while (k->samples < n_max && piece_floats(k, k->samples + 1, k->strip, k->planes) <= PIECE)
        k->samples++;
    while (k->planes > 4 && piece_floats(k, 1, k->strip, k->planes) > PIECE)
        k->planes--;
    while (k->strip > 1 && piece_floats(k, 1, k->strip, k->planes) > PIECE)
        k->strip--;
    while (k->planes > 1 && piece_floats(k, 1, k->strip, k->planes) > PIECE)
        k->planes--;
    k->ring = reach(&k->s, k->planes);
}

/* Operations of a run of n samples. */
static double multiply_flops(const pieces *k, int64_t n)
{
    const vox_conv_shape *s = &k->s;
    const double points = (double)(k->points[0] * k->points[1] * k->count[0] * k->count[1]);
    return points * 32 * 16 * (double)(n * s->out[0] * s->kernel[0] * s->ib * s->ob);
}

static double spread_flops(const pieces *k, int64_t n)
{
    const vox_conv_shape *s = &k->s;
    const double points = (double)(k->points[0] * k->points[1] * k->count[0] * k->count[1]);
    return points * 32 * SPREAD * (double)(n * (s->in[0] * s->ib + s->out[0] * s->ob));
}

static void set_points(pieces *k, int axis, int64_t points)
{
    k->points[axis] = points;
    k->tile[axis] = points - k->s.kernel[1 + axis] + 1;
    k->count[axis] = ceil_div(k->s.out[1 + axis], k->tile[axis]);
}

/* As many points as make the fewest multiplications; where the kernel has one tap, one. */
static void choose_points(pieces *k, int axis)
{
    int64_t best = 1;
    double least_points = INFINITY;
    for (int64_t p = k->s.kernel[1 + axis] + 1; p <= MOST_POINTS && k->s.kernel[1 + axis] > 1;
         p++) {
        set_points(k, axis, p);
        const double points = (double)(p * k->count[axis]);
        if (points < least_points) {
            best = p;
            least_points = points;
        }
    }
    set_points(k, axis, best);
}

static pieces pieces_of(const vox_problem *p)
{
    pieces k = {.s = vox_conv_shape_get(p->node)};
    const vox_conv_shape *s = &k.s;
    for (int i = 0; i < 2; i++)
        choose_points(&k, i);
    choose_piece(&k, p->n_max);
    const int64_t items = s->kernel[0] * s->ib * s->ob * k.points[0] * k.points[1];
    k.splits = ceil_div(GROUPS, items);
    return k;
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
    const pieces k = pieces_of(p);
    const vox_conv_shape *s = &k.s;
    const bool cpu = vox_device_is_cpu(p->dev);
    const double pairs = (double)(s->kernel[0] * s->ib * s->ob * k.points[0] * k.points[1]);
    const double flops = multiply_flops(&k, p->n_max) + spread_flops(&k, p->n_max) +
                         pairs * 256 * 8; /* the last step, once */
    const double voxels_in = (double)(s->in[0] * s->in[1] * s->in[2]) * (double)s->ib;
    const double voxels_out = (double)(s->out[0] * s->out[1] * s->out[2]) * (double)s->ob;
    return vox_rule_seconds(p->dev, flops, cpu ? 0.6 : 0.002,
                            (voxels_in + voxels_out) * 64 * (double)p->n_max, 1);
}

vox_status vox_conv_winograd16_weights_build(vox_work *w, vox_error *err)
{
    static const char *const entry[] = {"spread_x", "spread_dy", "multiply", "collect"};
    const pieces k = pieces_of(&w->problem);
    const vox_conv_shape *s = &k.s;
    vox_str more = {0};
    vox_str_add(&more,
                "-DNH=%" PRId64 " -DNW=%" PRId64 " -DRING=%" PRId64 " -DSTRIP=%" PRId64
                " -DSPLITS=%" PRId64,
                k.points[0], k.points[1], k.ring, k.strip, k.splits);
    vox_status status =
        more.failed ? vox_fail_memory(err, "kernel options", more.capacity) : VOX_OK;
    for (int i = 0; i < 4 && status == VOX_OK; i++)
        status = vox_conv_kernel(w, i, "conv3d_winograd16_weights.cl", entry[i], s, more.text, err);
    vox_str_release(&more);
    const int64_t points = k.points[0] * k.points[1];
    if (status == VOX_OK)
        status = vox_conv_scratch(w, 0, k.samples * k.ring * plane_floats(&k, k.strip, s->ib),
                                  "transformed inputs", err);
    if (status == VOX_OK)
        status = vox_conv_scratch(w, 1, k.samples * k.planes * plane_floats(&k, k.strip, s->ob),
                                  "transformed gradients", err);
    if (status == VOX_OK)
        status = vox_conv_scratch(w, 2, k.splits * s->ob * s->ib * s->kernel[0] * points * 256,
                                  "transformed weight gradients", err);
    if (status == VOX_OK)
        status = vox_conv_scratch(w, 3, k.splits * s->ob * 16, "partial bias gradients", err);
    return status;
}

typedef struct piece {
    int64_t n, samples, row, rows, od, planes;
    int64_t id, id_planes; /* planes of x that are not yet in the ring */
    bool add;
} piece;

static vox_status run_piece(vox_work *w, const pieces *k, const vox_io *io, const piece *c,
                            vox_error *err)
{
    const vox_conv_shape *s = &k->s;
    const vox_grid grid_x = {{(size_t)c->rows, (size_t)c->id_planes, (size_t)(c->samples * s->ib)},
                             {1, 1, 1}};
    const vox_arg args_x[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(w->scratch[0]),
                              vox_arg_i32((int32_t)c->n), vox_arg_i32((int32_t)c->id),
                              vox_arg_i32((int32_t)c->row)};
    const vox_grid grid_dy = {{(size_t)c->rows, (size_t)c->planes, (size_t)(c->samples * s->ob)},
                              {1, 1, 1}};
    const vox_arg args_dy[] = {vox_arg_buffer(io->dy->buf), vox_arg_buffer(w->scratch[1]),
                               vox_arg_i32((int32_t)c->n), vox_arg_i32((int32_t)c->od),
                               vox_arg_i32((int32_t)c->row)};
    const vox_grid grid = {{(size_t)(s->kernel[0] * s->ib * s->ob),
                            (size_t)(k->points[0] * k->points[1]), (size_t)k->splits},
                           {1, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(w->scratch[0]),
                            vox_arg_buffer(w->scratch[1]),
                            vox_arg_buffer(w->scratch[2]),
                            vox_arg_buffer(w->scratch[3]),
                            vox_arg_i32((int32_t)c->samples),
                            vox_arg_i32((int32_t)c->od),
                            vox_arg_i32((int32_t)c->planes),
                            vox_arg_i32((int32_t)(c->rows * k->count[1])),
                            vox_arg_i32(c->add)};
    vox_status status = vox_kernel_launch(w->kernel[0], &grid_x, args_x, 5, err);
    if (status == VOX_OK)
        status = vox_kernel_launch(w->kernel[1], &grid_dy, args_dy, 5, err);
    return status == VOX_OK ? vox_kernel_launch(w->kernel[2], &grid, args, 9, err) : status;
}

/* All planes of some samples and a strip. */
static vox_status run_strip(vox_work *w, const pieces *k, const vox_io *io, piece c, vox_error *err)
{
    const vox_conv_shape *s = &k->s;
    vox_status status = VOX_OK;
    int64_t next = 0; /* the first plane of x that was not in the ring yet */
    for (c.od = 0; c.od < s->out[0] && status == VOX_OK; c.od += k->planes) {
        c.planes = least(k->planes, s->out[0] - c.od);
        const int64_t low = c.od * s->stride[0] - s->pad[0];
        const int64_t high = low + (c.planes - 1) * s->stride[0] +
                             (s->kernel[0] - 1) * s->dilation[0] + 1; /* past the last */
        const int64_t end = least(high, s->in[0]);
        c.id = low > next ? low : next;
        c.id_planes = end > c.id ? end - c.id : 0;
        next = c.id + c.id_planes;
        status = run_piece(w, k, io, &c, err);
        c.add = true;
    }
    return status;
}

vox_status vox_conv_winograd16_weights_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const pieces k = pieces_of(&w->problem);
    const vox_conv_shape *s = &k.s;
    vox_status status = VOX_OK;
    piece c = {0};
    for (c.n = 0; c.n < io->n && status == VOX_OK; c.n += k.samples)
        for (c.row = 0; c.row < k.count[0] && status == VOX_OK; c.row += k.strip) {
            c.samples = least(k.samples, io->n - c.n);
            c.rows = least(k.strip, k.count[0] - c.row);
            status = run_strip(w, &k, io, c, err);
            c.add = true;
        }
    const vox_grid grid = {{(size_t)(s->ib * 16), (size_t)s->ob, 1}, {1, 1, 1}};
    const vox_arg args[] = {
        vox_arg_buffer(w->scratch[2]), vox_arg_buffer(w->scratch[3]), vox_arg_buffer(io->dparam[0]),
        vox_arg_buffer(vox_conv_bias(s, io->dparam)), vox_arg_i32(io->accumulate)};
    return status == VOX_OK ? vox_kernel_launch(w->kernel[3], &grid, args, 5, err) : status;
}
