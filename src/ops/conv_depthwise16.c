/* conv_depthwise16.c - the CPU's method for depthwise convolutions, channels in blocks of 16: one
 * input channel a group, with one output channel or several.  The kernels are
 * cl/conv3d_depthwise16*.cl. */
#include "ops/conv.h"

#include <inttypes.h>

#define REGISTERS 30 /* of 32 for sums, inputs and gradients; the rest hold weights */
#define GROUPS    64 /* work-groups wanted at least: several times the cores of a CPU */
#define L1_BYTES  32768
#define LANES     16

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* The largest part of `whole` that is at most `most`, all parts being nearly equal. */
static int64_t even_part(int64_t whole, int64_t most)
{
    return divide_up(whole, divide_up(whole, most));
}

/* Positions along W of the input that `results` neighbours read by `taps` of a kernel row. */
static int64_t span_of(const vox_conv_shape *s, int64_t results, int64_t taps)
{
    return (results - 1) * s->stride[2] + (taps - 1) * s->dilation[2] + 1;
}

/* The kernels index a block's voxels with int, and hold all sums of 16 channels (and, where lanes
 * move, a row) in private memory. */
bool vox_conv_depthwise16_fits(const vox_problem *p)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    const int64_t most = INT32_MAX / 16, m = s.co / s.ci;
    return s.groups == s.ci && s.co % s.ci == 0 && m <= 64 && s.taps <= 1024 &&
           (m == 1 || s.out[2] <= 2048) && s.in[0] * s.in[1] * s.in[2] < most &&
           s.out[0] * s.out[1] * s.out[2] < most && s.in[2] * s.stride[2] < most &&
           s.kernel[2] * s.dilation[2] < most && s.ob * s.taps < most;
}

/* All three passes multiply whole blocks, and bring each number from memory once. */
static double seconds_of(const vox_problem *p, double flop_share)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    const double n = (double)p->n_max, m = (double)(s.co / s.ci);
    const double in = (double)(s.in[0] * s.in[1] * s.in[2]) * (double)s.ib * LANES;
    const double out = (double)(s.out[0] * s.out[1] * s.out[2]);
    const double flops = 2 * n * out * m * (double)(s.ib * LANES * s.taps);
    const double bytes = 4 * n * (in + out * (double)s.ob * LANES);
    const bool cpu = vox_device_is_cpu(p->dev);
    const double share = m > 1 ? flop_share / 2 : flop_share; /* lanes that move */
    return vox_rule_seconds(p->dev, flops, cpu ? share : 0.002, bytes, 1);
}

double vox_conv_depthwise16_seconds(const vox_problem *p)
{
    return seconds_of(p, 0.5);
}

double vox_conv_depthwise16_data_seconds(const vox_problem *p)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    const int64_t apart = s.stride[0] * s.stride[1] * s.stride[2];
    const double reached =
        (double)(s.in[0] * s.in[1] * s.in[2]) / (double)(s.out[0] * s.out[1] * s.out[2] * apart);
    /* a strided row does not share its loads */
    return reached * seconds_of(p, s.stride[2] == 1 ? 0.5 : 0.25);
}

/* Weights [CO][1][taps] in the lanes of the outputs, or [CI][M][taps] (the same numbers) in those
 * of the inputs. */
static vox_conv_shape by_outputs(const vox_conv_shape *s)
{
    vox_conv_shape view = *s;
    view.ci = view.ib = view.groups = 1;
    return view;
}

static vox_conv_shape by_inputs(const vox_conv_shape *s)
{
    vox_conv_shape view = *s;
    view.co = s->ci;
    view.ci = s->co / s->ci;
    view.ob = s->ib;
    view.groups = 1;
    return view;
}

static vox_pack16 pack_of(const vox_conv_shape *view)
{
    return (vox_pack16){.groups = view->ob, .blocks = view->ci, .bi = 1, .q = 1, .first_kernel = 1};
}

vox_status vox_conv_depthwise16_build(vox_work *w, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    const bool forward = w->algo->pass == VOX_FORWARD;
    const vox_conv_shape view = forward ? by_inputs(&s) : by_outputs(&s);
    const vox_pack16 pack = pack_of(&view);
    const int64_t width = forward ? s.out[2] : divide_up(s.in[2], s.stride[2]);
    int64_t r = width;
    while (r > 1 && r + (forward ? span_of(&s, r, s.kernel[2]) : r + s.kernel[2]) > REGISTERS)
        r--;
    vox_str more = {0};
    vox_str_add(&more, "-DR=%" PRId64 "%s%s", even_part(width, r < 4 ? 8 : r),
                !forward ? " -DBACKWARD"
                : s.bias ? " -DBIAS=1"
                         : "",
                vox_relu_options(w));
    vox_status status =
        more.failed ? vox_fail_memory(err, "kernel options", more.capacity)
                    : vox_conv_kernel(w, 0, "conv3d_depthwise16.cl",
                                      forward ? "conv3d_depthwise16" : "conv3d_depthwise16_data",
                                      &s, more.text, err);
    vox_str_release(&more);
    return status == VOX_OK ? vox_pack16_build(w, &pack, &view, err) : status;
}

vox_status vox_conv_depthwise16_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    const bool forward = w->algo->pass == VOX_FORWARD;
    const vox_conv_shape view = forward ? by_inputs(&s) : by_outputs(&s);
    const vox_pack16 pack = pack_of(&view);
    vox_status status = vox_pack16_run(w, &pack, &view, io->param[0], NULL, err);
    if (status != VOX_OK)
        return status;
    const int64_t *to = forward ? s.out : s.in;
    const vox_grid grid = {{(size_t)to[1], (size_t)(io->n * to[0]), (size_t)s.ib}, {1, 1, 1}};
    const vox_arg backward[] = {
        vox_arg_buffer(io->dy ? io->dy->buf : NULL), vox_arg_buffer(w->scratch[0]),
        vox_arg_buffer(io->dx[0] ? io->dx[0]->buf : NULL), vox_arg_buffer(vox_relu_input(w, io))};
    if (!forward)
        return vox_kernel_launch(w->kernel[0], &grid, backward, 4, err);
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(w->scratch[0]),
                            vox_arg_buffer(vox_conv_bias(&s, io->param)),
                            vox_arg_buffer(io->y->buf)};
    return vox_kernel_launch(w->kernel[0], &grid, args, 4, err);
}

/* ---- the weights' gradient ---- */

/* The register tile: ku taps x a sums each, u positions. */
typedef struct sums {
    int64_t ku, a, u, chunk, splits;
} sums;

static sums sums_of(const vox_problem *p, const vox_conv_shape *s)
{
    sums k = {.ku = even_part(s->kernel[2], 24)};
    k.a = divide_up(8, k.ku); /* eight independent sums at least */
    k.u = k.a;
    while (k.u < 8 && k.ku * k.a + k.u + 1 + span_of(s, k.u + 1, k.ku) <= REGISTERS)
        k.u++;
    k.u = even_part(s->out[2], k.u);
    k.a = k.a > k.u ? k.u : k.a;
    const int64_t row_bytes =
        (s->out[2] + s->in[2] * s->stride[1]) * LANES * (int64_t)sizeof(float);
    k.chunk = L1_BYTES / row_bytes < 1 ? 1 : L1_BYTES / row_bytes;
    k.chunk = k.chunk > s->out[1] ? s->out[1] : k.chunk;
    const int64_t rows = p->n_max * s->out[0] * s->out[1];
    k.splits = divide_up(GROUPS, s->ib * (s->co / s->ci));
    k.splits = k.splits > rows ? rows : k.splits;
    return k;
}

vox_status vox_conv_depthwise16_weights_build(vox_work *w, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node), view = by_outputs(&s);
    const vox_pack16 pack = pack_of(&view);
    const sums k = sums_of(&w->problem, &s);
    vox_str more = {0};
    vox_str_add(&more, "-DKU=%" PRId64 " -DA=%" PRId64 " -DU=%" PRId64 " -DCHUNK=%" PRId64, k.ku,
                k.a, k.u, k.chunk);
    vox_status status = more.failed
                            ? vox_fail_memory(err, "kernel options", more.capacity)
                            : vox_conv_kernel(w, 0, "conv3d_depthwise16_weights.cl",
                                              "conv3d_depthwise16_weights", &s, more.text, err);
    vox_str_release(&more);
    return status == VOX_OK ? vox_unpack16_build(w, &pack, &view, k.splits, err) : status;
}

vox_status vox_conv_depthwise16_weights_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node), view = by_outputs(&s);
    const vox_pack16 pack = pack_of(&view);
    const sums k = sums_of(&w->problem, &s);
    const vox_grid grid = {{(size_t)k.splits, (size_t)(s.ib * (s.co / s.ci)), 1}, {1, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->dy->buf),
                            vox_arg_buffer(w->scratch[0]), vox_arg_buffer(w->scratch[1]),
                            vox_arg_i32((int32_t)io->n),   vox_arg_i32((int32_t)k.splits)};
    vox_status status = vox_kernel_launch(w->kernel[0], &grid, args, 6, err);
    return status == VOX_OK ? vox_unpack16_run(w, &pack, &view, k.splits, io, err) : status;
}
