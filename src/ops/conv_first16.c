/* conv_first16.c - the CPU's method for a network's first layer: up to four plain channels in,
 * blocks of 16 out.  The kernels are cl/conv3d_first16*.cl. */
#include "ops/conv.h"

#include <inttypes.h>

#define REGISTERS 28
#define GROUPS    64 /* work-groups wanted at least */

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* The largest part of `whole` that is at most `most`, all parts being nearly equal. */
static int64_t even_part(int64_t whole, int64_t most)
{
    return divide_up(whole, divide_up(whole, most));
}

static vox_pack16 pack_of(const vox_conv_shape *s)
{
    const int64_t q = s->ob == 1 ? 1 : 2;
    return (vox_pack16){
        .groups = divide_up(s->ob, q), .blocks = s->ci, .bi = 1, .q = q, .first_kernel = 1};
}

bool vox_conv_first16_fits(const vox_problem *p)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    const int64_t most = INT32_MAX / 16;
    return s.groups == 1 && s.ci <= 4 && s.in[1] * s.in[2] < most && s.out[1] * s.out[2] < most &&
           s.taps * s.ob < most / 16 && s.out[2] * s.stride[2] < 16384 &&
           s.kernel[2] * s.dilation[2] < 16384;
}

double vox_conv_first16_seconds(const vox_problem *p)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    const double padded = (double)(s.ob * 16) / (double)s.co;
    const double flops = vox_conv_flops(&s) * padded * (double)p->n_max;
    return vox_rule_seconds(p->dev, flops, vox_device_is_cpu(p->dev) ? 0.6 : 0.002, 0, 1);
}

double vox_conv_first16_data_seconds(const vox_problem *p)
{
    return 5 * vox_conv_first16_seconds(p); /* measured: 3.2 to 5.5, large kernels and small */
}

static vox_status build_data(vox_work *w, const vox_conv_shape *s, const char *more, vox_error *err)
{
    return vox_conv_kernel(w, 0, "conv3d_first16.cl", "conv3d_first16_data", s, more, err);
}

vox_status vox_conv_first16_build(vox_work *w, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    const vox_pack16 pack = pack_of(&s);
    vox_str more = {0};
    vox_str_add(&more, "-DR=%" PRId64 " -DQ=%" PRId64 " -DG=%" PRId64 "%s",
                even_part(s.out[2], REGISTERS / pack.q), pack.q, pack.groups, vox_relu_options(w));
    vox_status status = VOX_OK;
    if (more.failed)
        status = vox_fail_memory(err, "kernel options", more.capacity);
    else if (w->algo->pass == VOX_FORWARD)
        status = vox_conv_kernel(w, 0, "conv3d_first16.cl", "conv3d_first16", &s, more.text, err);
    else
        status = build_data(w, &s, more.text, err);
    vox_str_release(&more);
    return status == VOX_OK ? vox_pack16_build(w, &pack, &s, err) : status;
}

static vox_status run_data(vox_work *w, const vox_conv_shape *s, const vox_io *io, vox_error *err)
{
    const vox_grid grid = {{(size_t)s->in[2], (size_t)s->in[1], (size_t)(io->n * s->ci * s->in[0])},
                           {16, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(io->dy->buf), vox_arg_buffer(w->scratch[0]),
                            vox_arg_buffer(io->dx[0]->buf), vox_arg_buffer(vox_relu_input(w, io))};
    return vox_kernel_launch(w->kernel[0], &grid, args, 4, err);
}

vox_status vox_conv_first16_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    const vox_pack16 pack = pack_of(&s);
    const bool forward = w->algo->pass == VOX_FORWARD;
    vox_buffer *bias = forward ? vox_conv_bias(&s, io->param) : NULL;
    vox_status status = vox_pack16_run(w, &pack, &s, io->param[0], bias, err);
    if (status != VOX_OK)
        return status;
    if (!forward)
        return run_data(w, &s, io, err);
    const vox_grid grid = {{(size_t)s.out[1], (size_t)(io->n * s.out[0]), (size_t)pack.groups},
                           {1, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(w->scratch[0]),
                            vox_arg_buffer(w->scratch[1]), vox_arg_buffer(io->y->buf)};
    return vox_kernel_launch(w->kernel[0], &grid, args, 4, err);
}

/* ---- the weights' gradient ---- */

static int64_t splits_of(const vox_problem *p, const vox_conv_shape *s, const vox_pack16 *pack)
{
    const int64_t rows = p->n_max * s->out[0] * s->out[1];
    const int64_t wanted = divide_up(GROUPS, pack->groups);
    return wanted < rows ? wanted : rows;
}

vox_status vox_conv_first16_weights_build(vox_work *w, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    const vox_pack16 pack = pack_of(&s);
    const int64_t ku = even_part(s.kernel[2], REGISTERS / pack.q);
    const int64_t kt = even_part(s.kernel[1], REGISTERS / pack.q / ku);
    vox_str more = {0};
    vox_str_add(&more, "-DKT=%" PRId64 " -DKU=%" PRId64 " -DQ=%" PRId64 " -DG=%" PRId64, kt, ku,
                pack.q, pack.groups);
    vox_status status = more.failed ? vox_fail_memory(err, "kernel options", more.capacity)
                                    : vox_conv_kernel(w, 0, "conv3d_first16_weights.cl",
                                                      "conv3d_first16_weights", &s, more.text, err);
    vox_str_release(&more);
    if (status != VOX_OK)
        return status;
    return vox_unpack16_build(w, &pack, &s, splits_of(&w->problem, &s, &pack), err);
}

vox_status vox_conv_first16_weights_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    const vox_pack16 pack = pack_of(&s);
    const int64_t splits = splits_of(&w->problem, &s, &pack);
    const vox_grid grid = {{(size_t)splits, (size_t)pack.groups, 1}, {1, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->dy->buf),
                            vox_arg_buffer(w->scratch[0]), vox_arg_buffer(w->scratch[1]),
                            vox_arg_i32((int32_t)io->n),   vox_arg_i32((int32_t)splits)};
    vox_status status = vox_kernel_launch(w->kernel[0], &grid, args, 6, err);
    return status == VOX_OK ? vox_unpack16_run(w, &pack, &s, splits, io, err) : status;
}
