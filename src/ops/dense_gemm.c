/* dense_gemm.c - dense as matrix products of CLBlast. */
#include "ops/dense.h"

#include <inttypes.h>
#include <stdio.h>

bool vox_dense_gemm_fits(const vox_problem *p)
{
    (void)p;
    return vox_gemm_available();
}

double vox_dense_gemm_seconds(const vox_problem *p)
{
    const double weights = (double)vox_dense_in(p->node) * (double)vox_dense_out(p->node);
    const bool cpu = vox_device_is_cpu(p->dev);
    /* Work-group kernels: 1..18 of 460 GFLOP/s on CPUs; on GPUs good once the batch fills tiles. */
    return vox_rule_seconds(p->dev, 2 * weights * (double)p->n_max, cpu ? 0.02 : 0.3, 4 * weights,
                            cpu ? 0.2 : 0.5) +
           20e-6;
}

vox_status vox_dense_gemm_build(vox_work *w, vox_error *err)
{
    const bool ends = vox_dense_bias(w->problem.node) || w->problem.relu_out;
    if (!ends || w->algo->pass == VOX_BACKWARD_DATA)
        return VOX_OK;
    char options[96];
    snprintf(options, sizeof options, "-DOUT=%" PRId64 "%s", vox_dense_out(w->problem.node),
             vox_relu_options(w));
    return vox_kernel_open(
        &w->kernel[0], w->problem.dev, "dense_bias.cl",
        w->algo->pass == VOX_FORWARD ? "dense_bias_forward" : "dense_bias_backward", options, err);
}

/* The product, then bias and relu in one pass over y, which is small beside the weights. */
vox_status vox_dense_gemm_forward(vox_work *w, const vox_io *io, vox_error *err)
{
    const size_t in = (size_t)vox_dense_in(w->problem.node);
    const size_t out = (size_t)vox_dense_out(w->problem.node);
    const bool bias = vox_dense_bias(w->problem.node);
    const vox_gemm g = {.transpose_b = true,
                        .m = (size_t)io->n,
                        .n = out,
                        .k = in,
                        .alpha = 1,
                        .a = io->x[0]->buf,
                        .b = io->param[0],
                        .c = io->y->buf,
                        .lda = in,
                        .ldb = in,
                        .ldc = out};
    vox_status s = vox_gemm_run(w->problem.dev, &g, err);
    if (s != VOX_OK || !w->kernel[0])
        return s;
    const vox_grid grid = {{out, (size_t)io->n, 1}, {0}};
    const vox_arg args[] = {vox_arg_buffer(bias ? io->param[1] : NULL), vox_arg_buffer(io->y->buf)};
    return vox_kernel_launch(w->kernel[0], &grid, args, 2, err);
}

vox_status vox_dense_gemm_backward_data(vox_work *w, const vox_io *io, vox_error *err)
{
    const size_t in = (size_t)vox_dense_in(w->problem.node);
    const size_t out = (size_t)vox_dense_out(w->problem.node);
    const vox_gemm g = {.m = (size_t)io->n,
                        .n = in,
                        .k = out,
                        .alpha = 1,
                        .a = io->dy->buf,
                        .b = io->param[0],
                        .c = io->dx[0]->buf,
                        .lda = out,
                        .ldb = in,
                        .ldc = in};
    return vox_gemm_run(w->problem.dev, &g, err);
}

vox_status vox_dense_gemm_backward_weights(vox_work *w, const vox_io *io, vox_error *err)
{
    const size_t in = (size_t)vox_dense_in(w->problem.node);
    const size_t out = (size_t)vox_dense_out(w->problem.node);
    if (vox_dense_bias(w->problem.node)) {
        const vox_grid grid = {{out, 1, 1}, {0}};
        const vox_arg args[] = {vox_arg_buffer(io->dy->buf), vox_arg_buffer(io->dparam[1]),
                                vox_arg_u32((uint32_t)io->n), vox_arg_u32(io->accumulate)};
        vox_status s = vox_kernel_launch(w->kernel[0], &grid, args, 4, err);
        if (s != VOX_OK)
            return s;
    }
    const vox_gemm g = {.transpose_a = true,
                        .m = out,
                        .n = in,
                        .k = (size_t)io->n,
                        .alpha = 1,
                        .beta = io->accumulate ? 1 : 0,
                        .a = io->dy->buf,
                        .b = io->x[0]->buf,
                        .c = io->dparam[0],
                        .lda = out,
                        .ldb = in,
                        .ldc = in};
    return vox_gemm_run(w->problem.dev, &g, err);
}
