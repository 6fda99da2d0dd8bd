/* conv_tiled.c - the GPU's method: an implicit matrix product on tiles in local memory.
 *
 * The kernels are cl/conv3d_tiled*.cl. */
#include "ops/conv.h"

#include <inttypes.h>

#define TN          64 /* columns of a work-group's tile */
#define TK          16
#define RM          4 /* rows and columns of an item */
#define RN          4
#define LEAST_GROUP (16 * 4)  /* work-items of the smallest tile, 16 rows */
#define PART_BYTES  268435456 /* most memory for partial gradients */

/* A matrix product for one pass: rows x columns, in groups. */
typedef struct product {
    vox_conv_shape s;
    int64_t rows, columns; /* columns: of one sample, or in all (weights) */
    int64_t tm;            /* rows of a work-group's tile */
    int64_t splits;        /* weights: of the positions */
} product;

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t items_of(int64_t tm)
{
    return tm / RM * (TN / RN);
}

/* The tile's rows: no more than twice the rows there are, within the device's work-groups. */
static int64_t choose_rows(const vox_device *dev, int64_t rows)
{
    const size_t most = vox_device_get(dev)->max_work_group;
    int64_t tm = 16;
    while (tm < 64 && tm < rows && (size_t)items_of(2 * tm) <= most)
        tm *= 2;
    return tm;
}

static int64_t choose_splits(const vox_problem *p, const product *k)
{
    const vox_conv_shape *s = &k->s;
    const int64_t tiles = divide_up(k->rows, k->tm) * divide_up(k->columns, TN) * s->groups;
    const int64_t wanted = divide_up(8 * (int64_t)vox_device_get(p->dev)->compute_units, tiles);
    const int64_t positions = p->n_max * s->out[0] * s->out[1] * s->out[2];
    const int64_t useful = divide_up(positions, 8 * TK);
    const int64_t bytes = s->co * k->columns * (int64_t)sizeof(float);
    const int64_t room = bytes < PART_BYTES ? PART_BYTES / bytes : 1;
    int64_t splits = wanted < useful ? wanted : useful;
    splits = splits < room ? splits : room;
    return splits < 1 ? 1 : splits;
}

static product product_of(const vox_problem *p, vox_pass pass)
{
    product k = {.s = vox_conv_shape_get(p->node), .splits = 1};
    const vox_conv_shape *s = &k.s;
    const int64_t cig = s->ci / s->groups, cog = s->co / s->groups;
    k.rows = pass == VOX_BACKWARD_DATA ? cig : cog;
    if (pass == VOX_FORWARD)
        k.columns = s->out[0] * s->out[1] * s->out[2];
    else if (pass == VOX_BACKWARD_DATA)
        k.columns = s->in[0] * s->in[1] * s->in[2];
    else
        k.columns = cig * s->taps;
    k.tm = choose_rows(p->dev, k.rows);
    if (pass == VOX_BACKWARD_WEIGHTS)
        k.splits = choose_splits(p, &k);
    return k;
}

/* Many narrow groups would leave the tiles empty; the naive method takes those. */
bool vox_conv_tiled_fits(const vox_problem *p)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    const vox_device_desc *d = vox_device_get(p->dev);
    return (s.groups == 1 || s.co / s.groups >= 8) && d->max_work_group >= LEAST_GROUP &&
           d->max_work_items[0] >= LEAST_GROUP && d->local_mem_bytes >= 16384 &&
           s.ci / s.groups * s.taps < INT32_MAX / 2 && s.co / s.groups * s.taps < INT32_MAX / 2;
}

static double seconds_of(const vox_problem *p, vox_pass pass)
{
    const product k = product_of(p, pass);
    const vox_conv_shape *s = &k.s;
    const double padded = (double)(divide_up(k.rows, k.tm) * k.tm) / (double)k.rows;
    double flops = vox_conv_flops(s) * padded * (double)p->n_max;
    if (pass == VOX_BACKWARD_DATA) /* it multiplies the zeros between strides too */
        flops *=
            (double)(s->in[0] * s->in[1] * s->in[2]) / (double)(s->out[0] * s->out[1] * s->out[2]);
    return vox_rule_seconds(p->dev, flops, vox_device_is_cpu(p->dev) ? 0.01 : 0.3, 0, 1);
}

double vox_conv_tiled_seconds(const vox_problem *p)
{
    return seconds_of(p, VOX_FORWARD);
}

double vox_conv_tiled_data_seconds(const vox_problem *p)
{
    return seconds_of(p, VOX_BACKWARD_DATA);
}

static vox_status open_kernel(vox_work *w, int i, const char *file, const char *entry,
                              const product *k, vox_error *err)
{
    vox_str more = {0};
    vox_str_add(&more, "-DTM=%" PRId64 " -DTN=%d -DTK=%d -DRM=%d -DRN=%d%s", k->tm, TN, TK, RM, RN,
                w->algo->pass == VOX_BACKWARD_DATA ? " -DBACKWARD" : "");
    vox_status status = more.failed ? vox_fail_memory(err, "kernel options", more.capacity)
                                    : vox_conv_kernel(w, i, file, entry, &k->s, more.text, err);
    vox_str_release(&more);
    return status;
}

/* The driver may allow a kernel fewer items than the device: then smaller tiles. number[0] keeps
 * what was taken. */
static vox_status open_tiles(vox_work *w, const char *file, const char *entry, product *k,
                             vox_error *err)
{
    for (;; k->tm /= 2) {
        vox_status status = open_kernel(w, 0, file, entry, k, err);
        if (status != VOX_OK)
            return status;
        const size_t most = vox_kernel_max_group(w->kernel[0]);
        w->number[0] = k->tm;
        if (most >= (size_t)items_of(k->tm))
            return VOX_OK;
        if (k->tm == 16) {
            vox_fail(err, VOX_ERR_UNSUPPORTED, "the device allows too few work-items to %s", entry);
            vox_detail(err, "work-groups of %zu, needed are %d", most, LEAST_GROUP);
            return VOX_ERR_UNSUPPORTED;
        }
        vox_kernel_free(&w->kernel[0]);
    }
}

vox_status vox_conv_tiled_build(vox_work *w, vox_error *err)
{
    product k = product_of(&w->problem, w->algo->pass);
    return open_tiles(w, "conv3d_tiled.cl", "conv3d_tiled", &k, err);
}

static vox_grid grid_of(int64_t tm, int64_t columns, int64_t rows, int64_t depth)
{
    const size_t x = TN / RN, y = (size_t)(tm / RM);
    return (vox_grid){
        {(size_t)divide_up(columns, TN) * x, (size_t)divide_up(rows, tm) * y, (size_t)depth},
        {x, y, 1}};
}

vox_status vox_conv_tiled_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const product k = product_of(&w->problem, w->algo->pass);
    const bool forward = w->algo->pass == VOX_FORWARD;
    const vox_grid grid = grid_of(w->number[0], k.columns * io->n, k.rows, k.s.groups);
    const vox_arg args[] = {
        vox_arg_buffer(forward ? io->x[0]->buf : io->dy->buf), vox_arg_buffer(io->param[0]),
        vox_arg_buffer(forward ? vox_conv_bias(&k.s, io->param) : NULL),
        vox_arg_buffer(forward ? io->y->buf : io->dx[0]->buf), vox_arg_i32((int32_t)io->n)};
    return vox_kernel_launch(w->kernel[0], &grid, args, 5, err);
}

/* ---- the weights' gradient ---- */

vox_status vox_conv_tiled_weights_build(vox_work *w, vox_error *err)
{
    static const char file[] = "conv3d_tiled_weights.cl";
    product k = product_of(&w->problem, w->algo->pass);
    vox_status status = open_tiles(w, file, "conv3d_tiled_weights", &k, err);
    return status == VOX_OK ? vox_conv_sums_build(w, 1, k.splits, &k.s, err) : status;
}

vox_status vox_conv_tiled_weights_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const product k = product_of(&w->problem, w->algo->pass);
    const vox_conv_shape *s = &k.s;
    const vox_grid grid = grid_of(w->number[0], k.columns, k.rows, s->groups * k.splits);
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->dy->buf),
                            vox_arg_buffer(w->scratch[0]), vox_arg_i32((int32_t)io->n),
                            vox_arg_i32((int32_t)k.splits)};
    vox_status status = vox_kernel_launch(w->kernel[0], &grid, args, 5, err);
    return status == VOX_OK ? vox_conv_sums_run(w, 1, k.splits, s, io, err) : status;
}
