/* ladder_gemm.c - a matrix product from the naive method to the tuned one.
 *
 * C [M][N] = A [M][K] B [K][N] is a 1x1x1 convolution of one sample: K channels in, M out, N
 * voxels. So the methods that training has for those are rungs too; the others are
 * cl/ladder_gemm.cl. */
#include "tune/ladder_methods.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- the rungs that are made for the ladder ---- */

static bool fits(const vox_problem *p)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    return s.co % 64 == 0 && s.ci % 64 == 0 && s.out[2] % 64 == 0;
}

static bool fits_local(const vox_problem *p)
{
    return fits(p) && vox_device_get(p->dev)->max_work_group >= 256;
}

static double seconds(const vox_problem *p)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    return vox_rule_seconds(p->dev, vox_conv_flops(&s), 0.01, 0, 1);
}

static vox_status open_kernel(vox_work *w, const char *entry, int r, int q, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    char options[120];
    snprintf(options, sizeof options,
             "-DM=%" PRId64 " -DN=%" PRId64 " -DK=%" PRId64 " -DR=%d -DQ=%d", s.co, s.out[2], s.ci,
             r, q);
    w->number[0] = r;
    w->number[1] = q;
    return vox_kernel_open(&w->kernel[0], w->problem.dev, "ladder_gemm.cl", entry, options, err);
}

static vox_status launch(vox_work *w, const vox_io *io, const vox_grid *grid, vox_error *err)
{
    const vox_arg args[] = {vox_arg_buffer(io->param[0]), vox_arg_buffer(io->x[0]->buf),
                            vox_arg_buffer(io->y->buf)};
    return vox_kernel_launch(w->kernel[0], grid, args, 3, err);
}

static vox_status build_naive(vox_work *w, vox_error *err)
{
    return open_kernel(w, "gemm_naive", 1, 1, err);
}

static vox_status run_naive(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    const vox_grid grid = {{(size_t)s.out[2], (size_t)s.co, 1}, {64, 1, 1}};
    return launch(w, io, &grid, err);
}

static vox_status build_local(vox_work *w, vox_error *err)
{
    return open_kernel(w, "gemm_local", 1, 1, err);
}

static vox_status run_local(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    const vox_grid grid = {{(size_t)s.out[2], (size_t)s.co, 1}, {16, 16, 1}};
    return launch(w, io, &grid, err);
}

static vox_status build_vectors(vox_work *w, vox_error *err)
{
    return open_kernel(w, "gemm_registers", 1, 1, err);
}

static vox_status build_registers(vox_work *w, vox_error *err)
{
    return open_kernel(w, "gemm_registers", 8, 2, err);
}

static vox_status run_registers(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    const vox_grid grid = {
        {(size_t)(s.out[2] / (16 * w->number[1])), (size_t)(s.co / w->number[0]), 1}, {1, 1, 1}};
    return launch(w, io, &grid, err);
}

#define PLAIN VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN

static const vox_algo own[] = {
    {"one each", VOX_FORWARD, PLAIN, fits, seconds, build_naive, run_naive},
    {"local", VOX_FORWARD, PLAIN, fits_local, seconds, build_local, run_local},
    {"vectors", VOX_FORWARD, PLAIN, fits, seconds, build_vectors, run_registers},
    {"registers", VOX_FORWARD, PLAIN, fits, seconds, build_registers, run_registers},
    {0}};

/* ---- the ladder ---- */

static const vox_rung rungs[] = {
    {"one each", "any", "one work-item per number; two loads for each multiply-add"},
    {"local", "GPU", "16 x 16 tiles in local memory: a group loads each word once"},
    {"tiled", "GPU", "larger tiles, up to 8 x 8 sums in each item's registers"},
    {"gemm", "GPU", "CLBlast's kernel"},
    {"vectors", "CPU", "groups of one; float16: 16 columns at a time, one sum"},
    {"registers", "CPU", "8 rows x 2 vectors: 16 sums for 10 loads"},
    {"direct16", "CPU", "what training uses: blocked channels, weights packed each time"},
    {NULL, NULL, NULL}};

static vox_status open_ladder(void **state, const char *const *args, size_t count, vox_error *err)
{
    int64_t size[3] = {256, 1024, 512}, repeat = 7;
    char in[64], out[24], times[24];
    vox_status s = vox_ladder_read("gemm", args, count, size, 3, &repeat, err);
    if (s != VOX_OK)
        return s;
    for (int i = 0; i < 3; i++)
        if (size[i] % 64 != 0 || size[i] > 1 << 16) {
            vox_fail(err, VOX_ERR_USAGE,
                     "bench ladder gemm: the sizes cannot be %" PRId64 ",%" PRId64 ",%" PRId64,
                     size[0], size[1], size[2]);
            vox_hint(err, "--size M,N,K: multiples of 64, up to 65536");
            return VOX_ERR_USAGE;
        }
    snprintf(in, sizeof in, "1,%" PRId64 ",1,1,%" PRId64, size[2], size[1]);
    snprintf(out, sizeof out, "%" PRId64, size[0]);
    snprintf(times, sizeof times, "%" PRId64, repeat);
    const char *all[] = {"--in", in, "--out", out, "--kernel", "1", "--repeat", times};
    return vox_methods_open(state, rungs, own, false, all, 8, err);
}

const vox_ladder vox_ladder_gemm = {.kind = "gemm",
                                    .about = "a matrix product",
                                    .rung = rungs,
                                    .open = open_ladder,
                                    .close = vox_methods_close,
                                    .work = vox_methods_work,
                                    .enter = vox_methods_enter,
                                    .leave = vox_methods_leave,
                                    .measure = vox_methods_measure};
