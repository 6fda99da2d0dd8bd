/* conv_naive.c - the plain method: one work-item per number wanted.  Takes every shape. */
#include "ops/conv.h"

#define WG 64 /* work-items of a work-group, where the device allows so many */

double vox_conv_naive_seconds(const vox_problem *p)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    const double flops = vox_conv_flops(&s) * (double)p->n_max;
    return vox_rule_seconds(p->dev, flops, vox_device_is_cpu(p->dev) ? 0.005 : 0.02, 0, 1);
}

vox_status vox_conv_naive_build(vox_work *w, vox_error *err)
{
    static const char *const entry[VOX_PASSES] = {"conv3d_naive_forward", "conv3d_naive_data",
                                                  "conv3d_naive_weights"};
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    vox_status status = vox_conv_kernel(w, 0, "conv3d_naive.cl", entry[w->algo->pass], &s,
                                        vox_relu_options(w), err);
    if (status == VOX_OK && w->algo->pass == VOX_BACKWARD_WEIGHTS)
        status = vox_conv_sums_build(w, 1, 0, &s, err);
    return status;
}

static vox_grid grid_of(const vox_kernel *kernel, int64_t items, int64_t rows, int64_t n)
{
    const size_t most = vox_kernel_max_group(kernel);
    return (vox_grid){{(size_t)items, (size_t)rows, (size_t)n}, {most < WG ? most : WG, 1, 1}};
}

static vox_status run_forward(vox_work *w, const vox_conv_shape *s, const vox_io *io,
                              vox_error *err)
{
    const vox_grid grid = grid_of(w->kernel[0], s->out[0] * s->out[1] * s->out[2], s->co, io->n);
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->param[0]),
                            vox_arg_buffer(vox_conv_start(w, s, io)), vox_arg_buffer(io->y->buf),
                            vox_arg_buffer(vox_conv_relu_input(w, io))};
    return vox_kernel_launch(w->kernel[0], &grid, args, 5, err);
}

static vox_status run_data(vox_work *w, const vox_conv_shape *s, const vox_io *io, vox_error *err)
{
    const vox_grid grid = grid_of(w->kernel[0], s->in[0] * s->in[1] * s->in[2], s->ci, io->n);
    const vox_arg args[] = {vox_arg_buffer(io->dy->buf), vox_arg_buffer(io->param[0]),
                            vox_arg_buffer(vox_conv_start(w, s, io)),
                            vox_arg_buffer(io->dx[0]->buf),
                            vox_arg_buffer(vox_conv_relu_input(w, io))};
    return vox_kernel_launch(w->kernel[0], &grid, args, 5, err);
}

static vox_status run_weights(vox_work *w, const vox_conv_shape *s, const vox_io *io,
                              vox_error *err)
{
    const vox_grid grid = grid_of(w->kernel[0], s->taps, s->ci / s->groups, s->co);
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->dy->buf),
                            vox_arg_buffer(io->dparam[0]), vox_arg_i32((int32_t)io->n),
                            vox_arg_i32(io->accumulate)};
    vox_status status = vox_kernel_launch(w->kernel[0], &grid, args, 5, err);
    return status == VOX_OK ? vox_conv_sums_run(w, 1, 0, s, io, err) : status;
}

vox_status vox_conv_naive_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    if (w->algo->pass == VOX_FORWARD)
        return run_forward(w, &s, io, err);
    if (w->algo->pass == VOX_BACKWARD_DATA)
        return run_data(w, &s, io, err);
    return run_weights(w, &s, io, err);
}
