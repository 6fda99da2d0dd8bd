/* global_avg_pool.c - the mean of each channel: [N,C,D,H,W] to [N,C,1,1,1]. */
#include <inttypes.h>
#include <stdio.h>

#include "ops/flat.h"

#define GPU_WG  64
#define CPU_ROW 4096

static vox_status infer(const vox_node *node, const vox_shape *in, vox_shape *out, vox_error *err)
{
    (void)node;
    (void)err;
    *out = (vox_shape){5, {in[0].dim[0], in[0].dim[1], 1, 1, 1}};
    return VOX_OK;
}

static double seconds(const vox_problem *p)
{
    return vox_flat_seconds(p, (double)vox_sample_floats(&p->node->in[0], VOX_LAYOUT_PLAIN));
}

static vox_status build(vox_work *w, vox_error *err)
{
    const int64_t *d = w->problem.node->in[0].dim;
    const bool cpu = vox_device_is_cpu(w->problem.dev);
    char options[144];
    const int64_t floats = vox_sample_floats(&w->problem.node->in[0], w->algo->in);
    snprintf(options, sizeof options, "-DV=%" PRId64 " -DLANES=%d -DWG=%d -DROW=%d%s%s",
             d[2] * d[3] * d[4], w->algo->in == VOX_LAYOUT_BLOCK16 ? 16 : 1, cpu ? 1 : GPU_WG,
             cpu ? CPU_ROW : 1, vox_relu_options(w),
             vox_stream_options(w->problem.dev, 4 * (double)(w->problem.n_max * floats)));
    return vox_kernel_open(&w->kernel[0], w->problem.dev, "global_avg_pool.cl",
                           w->algo->pass == VOX_FORWARD ? "global_avg_pool_forward"
                                                        : "global_avg_pool_backward",
                           options, err);
}

static vox_status forward(vox_work *w, const vox_io *io, vox_error *err)
{
    const size_t wg = vox_device_is_cpu(w->problem.dev) ? 1 : GPU_WG;
    const int64_t lanes = io->y->layout == VOX_LAYOUT_BLOCK16 ? 16 : 1;
    const size_t planes = (size_t)(vox_tensor_floats(io->y, io->n) / lanes);
    const vox_grid grid = {{planes * wg, 1, 1}, {wg, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->y->buf)};
    return vox_kernel_launch(w->kernel[0], &grid, args, 2, err);
}

static vox_status backward(vox_work *w, const vox_io *io, vox_error *err)
{
    const bool cpu = vox_device_is_cpu(w->problem.dev);
    const size_t row = cpu ? CPU_ROW : 1, floats = (size_t)vox_tensor_floats(io->dx[0], io->n);
    const vox_grid grid = {{(floats + row - 1) / row, 1, 1}, {cpu ? 1 : GPU_WG, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(io->dy->buf), vox_arg_buffer(io->dx[0]->buf),
                            vox_arg_buffer(vox_relu_input(w, io)), vox_arg_u64(floats)};
    return vox_kernel_launch(w->kernel[0], &grid, args, 4, err);
}

#define PLAIN   VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN
#define BLOCK16 VOX_LAYOUT_BLOCK16, VOX_LAYOUT_BLOCK16

static const vox_algo algos[] = {
    {"runs", VOX_FORWARD, PLAIN, NULL, seconds, build, forward, true},
    {"runs", VOX_FORWARD, BLOCK16, NULL, seconds, build, forward, true},
    {"spread", VOX_BACKWARD_DATA, PLAIN, NULL, seconds, build, backward, true},
    {"spread", VOX_BACKWARD_DATA, BLOCK16, NULL, seconds, build, backward, true},
    {0}};

const vox_op vox_op_global_avg_pool = {
    .name = "global_avg_pool", .min_inputs = 1, .max_inputs = 1, .infer = infer, .algos = algos};
