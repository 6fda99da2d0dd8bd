/* conv_gemm.c - 1x1x1 convolutions as matrix products of CLBlast, one for each sample:
 *
 *   y[n]  = W x[n] + bias            W [co][ci], x[n] [ci][voxels], y[n] [co][voxels]
 *   dx[n] = W' dy[n]
 *   dW    = sum_n dy[n] x[n]'        added piece by piece in their order, so that bits repeat
 *
 * dW's products are cut into pieces of PIECE voxels: CLBlast adds up each result in one running
 * sum, which over millions of voxels loses digits. */
#include "ops/conv.h"

#include "ops/flat.h"

#include <inttypes.h>
#include <stdio.h>

#define PIECE 16384

static int64_t voxels_of(const vox_conv_shape *s)
{
    return s->out[0] * s->out[1] * s->out[2];
}

bool vox_conv_gemm_fits(const vox_problem *p)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    bool plain = s.groups == 1 && s.taps == 1;
    for (int i = 0; i < 3; i++)
        plain = plain && s.stride[i] == 1 && s.pad[i] == 0;
    return plain && vox_gemm_available();
}

double vox_conv_gemm_seconds(const vox_problem *p)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    const double n = (double)p->n_max;
    const double floats = (double)(s.ci + 2 * s.co) * (double)voxels_of(&s);
    /* CLBlast's kernels share tiles in work-groups: some percent of a CPU's peak. */
    const double share = vox_device_is_cpu(p->dev) ? 0.03 : 0.4;
    return vox_rule_seconds(p->dev, vox_conv_flops(&s) * n, share, 4 * floats * n, 0.5) + 20e-6 * n;
}

vox_status vox_conv_gemm_build(vox_work *w, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    char options[144];
    if (w->algo->pass == VOX_BACKWARD_WEIGHTS)
        return vox_conv_sums_build(w, 0, 0, &s, err);
    if (w->algo->pass == VOX_BACKWARD_DATA || !(s.bias || w->problem.relu_out))
        return VOX_OK;
    snprintf(options, sizeof options, "-DVOXELS=%" PRId64 " %s%s", voxels_of(&s),
             vox_flat_options(w->problem.dev), vox_relu_options(w));
    return vox_kernel_open(&w->kernel[0], w->problem.dev, "conv3d_bias.cl", "conv3d_bias", options,
                           err);
}

/* The product for each sample: W times what `b` holds, [k][voxels] of a sample. */
static vox_status run_each(vox_work *w, const vox_gemm *first, int64_t n, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t i = 0; i < (size_t)n && s == VOX_OK; i++) {
        vox_gemm g = *first;
        g.b_offset = i * g.k * g.n;
        g.c_offset = i * g.m * g.n;
        s = vox_gemm_run(w->problem.dev, &g, err);
    }
    return s;
}

/* Bias and relu. */
static vox_status finish(vox_work *w, const vox_conv_shape *s, const vox_io *io, vox_error *err)
{
    vox_grid grid = vox_flat_grid(w->problem.dev, voxels_of(s));
    grid.global[1] = (size_t)s->co;
    grid.global[2] = (size_t)io->n;
    const vox_arg args[] = {vox_arg_buffer(vox_conv_bias(s, io->param)),
                            vox_arg_buffer(io->y->buf)};
    return vox_kernel_launch(w->kernel[0], &grid, args, 2, err);
}

vox_status vox_conv_gemm_forward(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    const size_t voxels = (size_t)voxels_of(&s);
    const vox_gemm g = {.m = (size_t)s.co,
                        .n = voxels,
                        .k = (size_t)s.ci,
                        .alpha = 1,
                        .a = io->param[0],
                        .b = io->x[0]->buf,
                        .c = io->y->buf,
                        .lda = (size_t)s.ci,
                        .ldb = voxels,
                        .ldc = voxels};
    vox_status status = run_each(w, &g, io->n, err);
    return status == VOX_OK && w->kernel[0] ? finish(w, &s, io, err) : status;
}

vox_status vox_conv_gemm_backward_data(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    const size_t voxels = (size_t)voxels_of(&s);
    const vox_gemm g = {.transpose_a = true,
                        .m = (size_t)s.ci,
                        .n = voxels,
                        .k = (size_t)s.co,
                        .alpha = 1,
                        .a = io->param[0],
                        .b = io->dy->buf,
                        .c = io->dx[0]->buf,
                        .lda = (size_t)s.ci,
                        .ldb = voxels,
                        .ldc = voxels};
    return run_each(w, &g, io->n, err);
}

/* dW = or += one sample's share. */
static vox_status add_sample(vox_work *w, const vox_gemm *sample, size_t voxels, vox_error *err)
{
    vox_status s = VOX_OK;
    vox_gemm g = *sample;
    for (size_t first = 0; first < voxels && s == VOX_OK; first += PIECE) {
        g.k = voxels - first < PIECE ? voxels - first : PIECE;
        s = vox_gemm_run(w->problem.dev, &g, err);
        g.a_offset += PIECE;
        g.b_offset += PIECE;
        g.beta = 1;
    }
    return s;
}

vox_status vox_conv_gemm_backward_weights(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    const size_t voxels = (size_t)voxels_of(&s);
    vox_gemm g = {.transpose_b = true,
                  .m = (size_t)s.co,
                  .n = (size_t)s.ci,
                  .alpha = 1,
                  .a = io->dy->buf,
                  .b = io->x[0]->buf,
                  .c = io->dparam[0],
                  .lda = voxels,
                  .ldb = voxels,
                  .ldc = (size_t)s.ci};
    vox_status status = VOX_OK;
    for (size_t i = 0; i < (size_t)io->n && status == VOX_OK; i++) {
        g.beta = io->accumulate || i > 0 ? 1 : 0;
        g.a_offset = i * (size_t)s.co * voxels;
        g.b_offset = i * (size_t)s.ci * voxels;
        status = add_sample(w, &g, voxels, err);
    }
    return status == VOX_OK ? vox_conv_sums_run(w, 0, 0, &s, io, err) : status;
}
