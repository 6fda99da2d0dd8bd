/* conv_sums.c - the last step of weight gradients on plain tensors (cl/conv3d_sums.cl). */
#include "ops/conv.h"

#define WB 64 /* work-items of a work-group */

vox_status vox_conv_parts_run(vox_kernel *sum_parts, vox_buffer *part, vox_buffer *to,
                              int64_t count, int64_t parts, bool accumulate, vox_error *err)
{
    const vox_grid grid = {{(size_t)count, 1, 1}, {WB, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(part), vox_arg_buffer(to), vox_arg_u64((uint64_t)count),
                            vox_arg_i32((int32_t)parts), vox_arg_i32(accumulate)};
    return vox_kernel_launch(sum_parts, &grid, args, 5, err);
}

vox_status vox_conv_sums_build(vox_work *w, int first, int64_t parts, const vox_conv_shape *s,
                               vox_error *err)
{
    vox_status status = VOX_OK;
    if (parts > 0)
        status = vox_kernel_open(&w->kernel[first], w->problem.dev, "conv3d_sums.cl", "sum_parts",
                                 "", err);
    if (status == VOX_OK && parts > 0)
        status = vox_conv_scratch(w, 0, parts * s->co * (s->ci / s->groups) * s->taps,
                                  "partial weight gradients", err);
    if (status == VOX_OK && s->bias)
        status = vox_kernel_open(&w->kernel[first + 1], w->problem.dev, "conv3d_sums.cl",
                                 "bias_sums", "", err);
    return status;
}

vox_status vox_conv_sums_run(vox_work *w, int first, int64_t parts, const vox_conv_shape *s,
                             const vox_io *io, vox_error *err)
{
    vox_status status = VOX_OK;
    if (parts > 0)
        status =
            vox_conv_parts_run(w->kernel[first], w->scratch[0], io->dparam[0],
                               s->co * (s->ci / s->groups) * s->taps, parts, io->accumulate, err);
    if (status != VOX_OK || !s->bias)
        return status;
    const vox_grid grid = {{(size_t)s->co * WB, 1, 1}, {WB, 1, 1}};
    const vox_arg args[] = {
        vox_arg_buffer(io->dy->buf), vox_arg_buffer(io->dparam[1]), vox_arg_i32((int32_t)io->n),
        vox_arg_u64((uint64_t)(s->out[0] * s->out[1] * s->out[2])), vox_arg_i32(io->accumulate)};
    return vox_kernel_launch(w->kernel[first + 1], &grid, args, 5, err);
}
