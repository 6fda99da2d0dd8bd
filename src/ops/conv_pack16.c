/* conv_pack16.c - weights between PyTorch's order and that of the 16-wide kernels. */
#include "ops/conv.h"

int64_t vox_pack16_blocks(const vox_conv_shape *s, bool swap, int64_t q, int64_t *sum)
{
    const int64_t outs = swap ? s->ci : s->co, ins = swap ? s->co : s->ci;
    const int64_t outs_each = outs / s->groups, ins_each = ins / s->groups;
    int64_t most = 0, total = 0;
    for (int64_t o = 0; o < outs; o += 16 * q) {
        const int64_t last = (o + 16 * q < outs ? o + 16 * q : outs) - 1;
        const int64_t begin = o / outs_each * ins_each / 16;
        const int64_t count = ((last / outs_each + 1) * ins_each + 15) / 16 - begin;
        most = count > most ? count : most;
        total += count;
        if (s->groups == 1) { /* all are alike */
            total = count * ((outs + 16 * q - 1) / (16 * q));
            break;
        }
    }
    if (sum)
        *sum = total;
    return most;
}

int64_t vox_pack16_floats(const vox_pack16 *p, const vox_conv_shape *s)
{
    return p->groups * p->blocks * s->taps * p->bi * p->q * 16;
}

static vox_status open_kernel(vox_work *w, int i, const char *entry, vox_error *err)
{
    return vox_kernel_open(&w->kernel[i], w->problem.dev, "conv3d_pack16.cl", entry, "", err);
}

vox_status vox_pack16_build(vox_work *w, const vox_pack16 *p, const vox_conv_shape *s,
                            vox_error *err)
{
    vox_status status = open_kernel(w, p->first_kernel, "pack16", err);
    if (status == VOX_OK)
        status = vox_conv_scratch(w, 0, vox_pack16_floats(p, s), "packed weights", err);
    if (status == VOX_OK)
        status = vox_conv_scratch(w, 1, p->groups * p->q * 16, "packed bias", err);
    return status;
}

vox_status vox_pack16_run(vox_work *w, const vox_pack16 *p, const vox_conv_shape *s,
                          vox_buffer *weight, vox_buffer *bias, vox_error *err)
{
    const vox_grid grid = {{(size_t)(p->blocks * p->bi * 16), (size_t)(p->groups * p->q), 1},
                           {16, 1, 1}};
    const int32_t taps = (int32_t)s->taps, row = (int32_t)(s->ci / s->groups * s->taps);
    const vox_arg args[] = {vox_arg_buffer(weight),
                            vox_arg_buffer(bias),
                            vox_arg_buffer(w->scratch[0]),
                            vox_arg_buffer(w->scratch[1]),
                            vox_arg_i32((int32_t)(p->swap ? s->ci : s->co)),
                            vox_arg_i32((int32_t)(p->swap ? s->co : s->ci)),
                            vox_arg_i32(p->swap ? taps : row),
                            vox_arg_i32(p->swap ? row : taps),
                            vox_arg_i32(taps),
                            vox_arg_i32((int32_t)p->blocks),
                            vox_arg_i32((int32_t)p->bi),
                            vox_arg_i32((int32_t)p->q),
                            vox_arg_i32((int32_t)s->groups)};
    return vox_kernel_launch(w->kernel[p->first_kernel], &grid, args, sizeof args / sizeof *args,
                             err);
}

vox_status vox_unpack16_build(vox_work *w, const vox_pack16 *p, const vox_conv_shape *s,
                              int64_t parts, vox_error *err)
{
    vox_status status = open_kernel(w, p->first_kernel, "unpack16", err);
    if (status == VOX_OK)
        status = open_kernel(w, p->first_kernel + 1, "unpack_bias16", err);
    if (status == VOX_OK)
        status = vox_conv_scratch(w, 0, parts * vox_pack16_floats(p, s), "partial weight gradients",
                                  err);
    if (status == VOX_OK)
        status =
            vox_conv_scratch(w, 1, parts * p->groups * p->q * 16, "partial bias gradients", err);
    return status;
}

static vox_status run_bias(vox_work *w, const vox_pack16 *p, const vox_conv_shape *s, int64_t parts,
                           const vox_io *io, vox_error *err)
{
    const vox_grid grid = {{(size_t)s->co, 1, 1}, {16, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(w->scratch[1]),
                            vox_arg_buffer(io->dparam[1]),
                            vox_arg_i32((int32_t)s->co),
                            vox_arg_i32((int32_t)parts),
                            vox_arg_u64((uint64_t)(p->groups * p->q * 16)),
                            vox_arg_i32(io->accumulate)};
    return vox_kernel_launch(w->kernel[p->first_kernel + 1], &grid, args,
                             sizeof args / sizeof *args, err);
}

vox_status vox_unpack16_run(vox_work *w, const vox_pack16 *p, const vox_conv_shape *s,
                            int64_t parts, const vox_io *io, vox_error *err)
{
    const vox_grid grid = {{(size_t)s->co, (size_t)(s->ci / s->groups), 1}, {16, 1, 1}};
    const vox_arg args[] = {
        vox_arg_buffer(w->scratch[0]), vox_arg_buffer(io->dparam[0]),
        vox_arg_i32((int32_t)s->co),   vox_arg_i32((int32_t)s->ci),
        vox_arg_i32((int32_t)s->taps), vox_arg_i32((int32_t)p->blocks),
        vox_arg_i32((int32_t)p->bi),   vox_arg_i32((int32_t)p->q),
        vox_arg_i32((int32_t)parts),   vox_arg_u64((uint64_t)vox_pack16_floats(p, s)),
        vox_arg_i32(io->accumulate),   vox_arg_i32((int32_t)s->groups)};
    vox_status status =
        vox_kernel_launch(w->kernel[p->first_kernel], &grid, args, sizeof args / sizeof *args, err);
    return status == VOX_OK && s->bias ? run_bias(w, p, s, parts, io, err) : status;
}
