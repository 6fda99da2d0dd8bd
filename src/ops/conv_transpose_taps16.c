/* conv_transpose_taps16.c - the CPU's method where the kernel is as large as the stride, as on the
 * way up in a U-Net (cl/conv_transpose_taps16*.cl).
 *
 * Shapes are those of the convolution whose gradient this is: s.in is y's size, s.out x's. */
#include "ops/conv.h"

#include <inttypes.h>
#include <stdio.h>

#define REGISTERS 24        /* of 32, as sums */
#define X_BYTES   16384     /* of a chunk of rows of x, for the first-level cache */
#define GROUPS    8         /* work-groups a core, which share the weights' gradient out */
#define SUM_BYTES (1 << 19) /* of sums that a work-group may hold */

bool vox_conv_transpose_taps16_fits(const vox_problem *p)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    bool fits = s.groups == 1 && s.kernel[2] <= REGISTERS;
    for (int i = 0; i < 3; i++)
        fits = fits && s.kernel[i] == s.stride[i] && s.dilation[i] == 1 && s.pad[i] == 0 &&
               s.in[i] == s.out[i] * s.kernel[i];
    return fits && s.out[0] * s.out[1] * s.out[2] < INT32_MAX / 16 &&
           s.in[1] * s.in[2] < INT32_MAX && s.ib * s.ob * s.taps < INT32_MAX / 256;
}

bool vox_conv_transpose_taps16_weights_fits(const vox_problem *p)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    return vox_conv_transpose_taps16_fits(p) && s.taps * s.ob * 16 * 64 <= SUM_BYTES;
}

static double seconds_of(const vox_problem *p, double share)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    const double voxels = (double)(s.out[0] * s.out[1] * s.out[2]) * (double)p->n_max;
    const double flops = 2 * voxels * (double)(s.taps * s.ib * s.ob * 256);
    return vox_rule_seconds(p->dev, flops, vox_device_is_cpu(p->dev) ? share : 0.002, 0, 1);
}

double vox_conv_transpose_taps16_seconds(const vox_problem *p)
{
    return seconds_of(p, 0.85);
}

static int64_t even_part(int64_t whole, int64_t most)
{
    const int64_t parts = (whole + most - 1) / most;
    return (whole + parts - 1) / parts;
}

static vox_pack16 pack_of(const vox_conv_shape *s)
{
    return (vox_pack16){
        .groups = s->ib, .blocks = s->ob, .bi = 16, .q = 1, .swap = true, .first_kernel = 1};
}

vox_status vox_conv_transpose_taps16_build(vox_work *w, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    const vox_pack16 pack = pack_of(&s);
    char more[96];
    snprintf(more, sizeof more, "-DR=%" PRId64 "%s", even_part(s.out[2], REGISTERS / s.kernel[2]),
             vox_relu_options(w));
    vox_status status =
        vox_conv_kernel(w, 0, "conv_transpose_taps16.cl", "conv_transpose_taps16", &s, more, err);
    return status == VOX_OK ? vox_pack16_build(w, &pack, &s, err) : status;
}

vox_status vox_conv_transpose_taps16_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    const vox_pack16 pack = pack_of(&s);
    vox_buffer *bias = s.bias_back ? io->param[1] : NULL;
    vox_status status = vox_pack16_run(w, &pack, &s, io->param[0], bias, err);
    const vox_grid grid = {{(size_t)s.out[1], (size_t)(io->n * s.out[0]), (size_t)s.ib}, {1, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(w->scratch[0]),
                            vox_arg_buffer(w->scratch[1]), vox_arg_buffer(io->y->buf)};
    return status == VOX_OK ? vox_kernel_launch(w->kernel[0], &grid, args, 4, err) : status;
}

/* ---- the gradients of weights and bias ---- */

double vox_conv_transpose_taps16_weights_seconds(const vox_problem *p)
{
    return seconds_of(p, 0.75);
}

static int64_t splits_of(const vox_problem *p, const vox_conv_shape *s)
{
    const int64_t units = vox_device_get(p->dev)->compute_units;
    const int64_t rows = p->n_max * s->out[0];
    const int64_t wanted = (GROUPS * (units ? units : 1) + s->ib - 1) / s->ib;
    return wanted < rows ? wanted : rows;
}

vox_status vox_conv_transpose_taps16_weights_build(vox_work *w, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    const int64_t splits = splits_of(&w->problem, &s);
    int64_t tile = 16, chunk = X_BYTES / (s.ob * s.out[2] * 64);
    while (tile * s.kernel[2] > REGISTERS)
        tile /= 2;
    chunk = chunk < 1 ? 1 : chunk < s.out[1] ? chunk : s.out[1];
    char more[64];
    snprintf(more, sizeof more, "-DCR=%" PRId64 " -DCHUNK=%" PRId64, tile, chunk);
    const char *file = "conv_transpose_taps16_weights.cl";
    vox_status status = vox_conv_kernel(w, 0, file, "conv_transpose_taps16_weights", &s, more, err);
    if (status == VOX_OK)
        status = vox_conv_kernel(w, 1, file, "taps16_collect", &s, more, err);
    if (status == VOX_OK)
        status = vox_conv_scratch(w, 0, splits * s.ib * s.ob * 256 * s.taps,
                                  "partial weight gradients", err);
    return status == VOX_OK
               ? vox_conv_scratch(w, 1, splits * s.ib * 16, "partial bias gradients", err)
               : status;
}

vox_status vox_conv_transpose_taps16_weights_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    const int64_t splits = splits_of(&w->problem, &s);
    const vox_grid grid = {{(size_t)splits, (size_t)s.ib, 1}, {1, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->dy->buf),
                            vox_arg_buffer(w->scratch[0]), vox_arg_buffer(w->scratch[1]),
                            vox_arg_i32((int32_t)io->n)};
    vox_status status = vox_kernel_launch(w->kernel[0], &grid, args, 5, err);
    const vox_grid sums = {{(size_t)s.ci, (size_t)s.co, (size_t)s.taps}, {0}};
    const vox_arg sums_args[] = {
        vox_arg_buffer(w->scratch[0]), vox_arg_buffer(w->scratch[1]),
        vox_arg_buffer(io->dparam[0]), vox_arg_buffer(s.bias_back ? io->dparam[1] : NULL),
        vox_arg_i32((int32_t)splits),  vox_arg_i32(io->accumulate)};
    return status == VOX_OK ? vox_kernel_launch(w->kernel[1], &sums, sums_args, 6, err) : status;
}
