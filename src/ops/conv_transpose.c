/* conv_transpose.c - transposed 3D convolution as PyTorch has it: each input voxel adds its
 * multiple of the kernel to the output,
 *
 *   y[n,o,q] = bias[o] + sum_{i,p,k: p*stride - pad + k*dilation = q} x[n,i,p] * weight[i,o,k]
 *
 * where i runs over the channels of o's group.  weight [in, out/groups, kd, kh, kw], bias [out];
 * both start uniform in +-1/sqrt(out/groups * kd*kh*kw).  Along each axis the output has (in -
 * 1)*stride - 2*pad + dilation*(kernel - 1) + output_pad + 1 voxels.
 *
 * It is the gradient of the convolution whose input has y's shape and whose output x's, with the
 * same weights, and is computed so: the convolution's methods with the passes and tensors exchanged
 * (conv.h).  Only the gradient of the bias, a sum of dy, is not theirs; and the method taps16, for
 * kernels as large as the stride, is this operation's own (conv_transpose_taps16.c). */
#include "ops/conv.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const vox_attr attrs[] = {VOX_CONV_ATTRS("voxels cut off the output, on each side"),
                                 VOX_CONV_ATTR("output_pad", VOX_ATTR_TRIPLE, output_pad,
                                               .max = 4096,
                                               .help = "voxels added to the output, at the end"),
                                 {0}};

/* ---- shapes ---- */

static vox_status fail_shape(const vox_conv_attr *a, const vox_shape *in, const char *what,
                             const char *hint, vox_error *err)
{
    char shape[96];
    vox_fail(err, VOX_ERR_INPUT, "%s", what);
    vox_detail(err,
               "input %s, kernel %" PRId64 ",%" PRId64 ",%" PRId64 ", stride %" PRId64 ",%" PRId64
               ",%" PRId64 ", pad %" PRId64 ",%" PRId64 ",%" PRId64 ", dilation %" PRId64
               ",%" PRId64 ",%" PRId64 ", output_pad %" PRId64 ",%" PRId64 ",%" PRId64,
               vox_shape_text(in, shape), a->kernel[0], a->kernel[1], a->kernel[2], a->stride[0],
               a->stride[1], a->stride[2], a->pad[0], a->pad[1], a->pad[2], a->dilation[0],
               a->dilation[1], a->dilation[2], a->output_pad[0], a->output_pad[1],
               a->output_pad[2]);
    vox_hint(err, "%s", hint);
    return VOX_ERR_INPUT;
}

static vox_status infer(const vox_node *node, const vox_shape *in, vox_shape *out, vox_error *err)
{
    const vox_conv_attr *a = node->attr;
    const vox_status status = vox_conv_check_groups(a, in->dim[1], err);
    if (status != VOX_OK)
        return status;
    *out = (vox_shape){5, {in->dim[0], a->out}};
    for (int i = 0; i < 3; i++) {
        if (a->output_pad[i] >= a->stride[i] && a->output_pad[i] >= a->dilation[i])
            return fail_shape(a, in, "output_pad is not smaller than the stride or the dilation",
                              "a larger output needs a larger kernel or less pad", err);
        out->dim[2 + i] = (in->dim[2 + i] - 1) * a->stride[i] - 2 * a->pad[i] +
                          a->dilation[i] * (a->kernel[i] - 1) + a->output_pad[i] + 1;
        if (out->dim[2 + i] < 1)
            return fail_shape(
                a, in, "the padding cuts all of the output off",
                "each axis (d,h,w) needs (input - 1)*stride + dilation*(kernel - 1) + "
                "output_pad >= 2*pad",
                err);
    }
    return VOX_OK;
}

static int params(const vox_node *node, vox_param out[VOX_MAX_PARAMS])
{
    const vox_conv_attr *a = node->attr;
    const int64_t outs = a->out / a->groups;
    const double bound = 1 / sqrt((double)(outs * a->kernel[0] * a->kernel[1] * a->kernel[2]));
    out[0] = (vox_param){"weight",
                         {5, {node->in[0].dim[1], outs, a->kernel[0], a->kernel[1], a->kernel[2]}},
                         VOX_INIT_UNIFORM,
                         bound,
                         true};
    if (a->bias)
        out[1] = (vox_param){"bias", {1, {a->out}}, VOX_INIT_UNIFORM, bound, true};
    return a->bias ? 2 : 1;
}

static double flops(const vox_node *node, vox_pass pass)
{
    (void)pass;
    const vox_conv_shape s = vox_conv_shape_get(node);
    return vox_conv_flops(&s);
}

/* ---- the convolution's methods ---- */

/* The convolution's pass that does the work of this one. */
static vox_pass mirrored(vox_pass pass)
{
    return pass == VOX_FORWARD         ? VOX_BACKWARD_DATA
           : pass == VOX_BACKWARD_DATA ? VOX_FORWARD
                                       : VOX_BACKWARD_WEIGHTS;
}

/* The algorithm of the same name for the mirrored pass: all here have one layout in and out. */
static const vox_algo *convolution(const vox_algo *algo)
{
    const vox_algo *a = vox_op_conv.algos;
    while (strcmp(a->name, algo->name) != 0 || a->pass != mirrored(algo->pass))
        a++;
    return a;
}

static vox_status build(vox_work *w, vox_error *err)
{
    const vox_algo *own = w->algo;
    w->algo = convolution(own);
    const vox_status status = w->algo->build(w, err);
    w->algo = own;
    return status;
}

static vox_status run(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_algo *own = w->algo;
    vox_io of_conv = *io;
    of_conv.x[0] = io->dy;
    of_conv.x[1] = io->x[0]; /* where vox_conv_relu_input() looks */
    of_conv.y = io->dx[0];
    of_conv.dy = io->x[0];
    of_conv.dx[0] = io->y;
    w->algo = convolution(own);
    const vox_status status = w->algo->run(w, &of_conv, err);
    w->algo = own;
    return status;
}

/* ---- the gradient of the bias ---- */

#define BIAS   (VOX_MAX_KERNELS - 2) /* its kernels, and its scratch buffer */
#define SHARES 32                    /* of the voxels of 16 channels */

static bool has_bias(const vox_work *w)
{
    return vox_conv_shape_get(w->problem.node).bias_back;
}

/* All that the plain sum looks at: y as the output of a convolution with a bias. */
static vox_conv_shape bias_shape(const vox_node *node)
{
    const vox_shape *y = &node->out;
    return (vox_conv_shape){
        .co = y->dim[1], .out = {y->dim[2], y->dim[3], y->dim[4]}, .bias = true};
}

static vox_status build_bias16(vox_work *w, vox_error *err)
{
    vox_status status = vox_kernel_open(&w->kernel[BIAS], w->problem.dev, "conv3d_sums.cl",
                                        "bias_parts16", "", err);
    if (status == VOX_OK)
        status = vox_kernel_open(&w->kernel[BIAS + 1], w->problem.dev, "conv3d_sums.cl",
                                 "sum_parts", "", err);
    return status == VOX_OK ? vox_conv_scratch(w, BIAS, SHARES * w->problem.node->out.dim[1],
                                               "partial bias gradients", err)
                            : status;
}

static vox_status run_bias16(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_conv_shape s = bias_shape(w->problem.node);
    const vox_grid grid = {{(size_t)(s.co + 15) / 16, SHARES, 1}, {1, 1, 1}};
    const vox_arg args[] = {
        vox_arg_buffer(io->dy->buf), vox_arg_buffer(w->scratch[BIAS]), vox_arg_i32((int32_t)io->n),
        vox_arg_u64((uint64_t)(s.out[0] * s.out[1] * s.out[2])), vox_arg_i32((int32_t)s.co)};
    vox_status status = vox_kernel_launch(w->kernel[BIAS], &grid, args, 5, err);
    return status == VOX_OK ? vox_conv_parts_run(w->kernel[BIAS + 1], w->scratch[BIAS],
                                                 io->dparam[1], s.co, SHARES, io->accumulate, err)
                            : status;
}

static vox_status build_weights(vox_work *w, vox_error *err)
{
    vox_status status = build(w, err);
    if (status != VOX_OK || !has_bias(w))
        return status;
    if (w->algo->out == VOX_LAYOUT_BLOCK16)
        return build_bias16(w, err);
    const vox_conv_shape s = bias_shape(w->problem.node);
    return vox_conv_sums_build(w, BIAS, 0, &s, err);
}

static vox_status run_weights(vox_work *w, const vox_io *io, vox_error *err)
{
    vox_status status = run(w, io, err);
    if (status != VOX_OK || !has_bias(w))
        return status;
    if (w->algo->out == VOX_LAYOUT_BLOCK16)
        return run_bias16(w, io, err);
    const vox_conv_shape s = bias_shape(w->problem.node);
    return vox_conv_sums_run(w, BIAS, 0, &s, io, err);
}

#define PLAIN   VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN
#define BLOCK16 VOX_LAYOUT_BLOCK16, VOX_LAYOUT_BLOCK16

#define TUNED(m)       .variants = m##_variants, .variant_text = m##_variant_text
#define WINOGRAD_ERROR 1e-4 /* conv.c */

static const vox_algo algos[] = {
    {"taps16", VOX_FORWARD, BLOCK16, vox_conv_transpose_taps16_fits,
     vox_conv_transpose_taps16_seconds, vox_conv_transpose_taps16_build,
     vox_conv_transpose_taps16_run, .fuses_relu = true},
    {"taps16", VOX_BACKWARD_WEIGHTS, BLOCK16, vox_conv_transpose_taps16_weights_fits,
     vox_conv_transpose_taps16_weights_seconds, vox_conv_transpose_taps16_weights_build,
     vox_conv_transpose_taps16_weights_run},
    {"direct16", VOX_FORWARD, BLOCK16, vox_conv_direct16_fits, vox_conv_direct16_data_seconds,
     build, run, .fuses_relu = true, TUNED(vox_conv_direct16_data)},
    {"direct16", VOX_BACKWARD_DATA, BLOCK16, vox_conv_direct16_fits, vox_conv_direct16_seconds,
     build, run, .fuses_relu = true, TUNED(vox_conv_direct16)},
    {"direct16", VOX_BACKWARD_WEIGHTS, BLOCK16, vox_conv_direct16_fits,
     vox_conv_direct16_weights_seconds, build_weights, run_weights,
     TUNED(vox_conv_direct16_weights)},
    {"winograd16", VOX_FORWARD, BLOCK16, vox_conv_winograd16_fits, vox_conv_winograd16_data_seconds,
     build, run, .fuses_relu = true, .rms_error = WINOGRAD_ERROR},
    {"winograd16", VOX_BACKWARD_DATA, BLOCK16, vox_conv_winograd16_fits,
     vox_conv_winograd16_seconds, build, run, .fuses_relu = true, .rms_error = WINOGRAD_ERROR},
    {"winograd16", VOX_BACKWARD_WEIGHTS, BLOCK16, vox_conv_winograd16_weights_fits,
     vox_conv_winograd16_weights_seconds, build_weights, run_weights, .rms_error = WINOGRAD_ERROR},
    {"tiled", VOX_FORWARD, PLAIN, vox_conv_tiled_data_fits, vox_conv_tiled_data_seconds, build, run,
     .fuses_relu = true, TUNED(vox_conv_tiled_data)},
    {"tiled", VOX_BACKWARD_DATA, PLAIN, vox_conv_tiled_fits, vox_conv_tiled_seconds, build, run,
     .fuses_relu = true, TUNED(vox_conv_tiled)},
    {"tiled", VOX_BACKWARD_WEIGHTS, PLAIN, vox_conv_tiled_fits, vox_conv_tiled_weights_seconds,
     build_weights, run_weights, TUNED(vox_conv_tiled_weights)},
    {"naive", VOX_FORWARD, PLAIN, NULL, vox_conv_naive_seconds, build, run, .fuses_relu = true},
    {"naive", VOX_BACKWARD_DATA, PLAIN, NULL, vox_conv_naive_seconds, build, run,
     .fuses_relu = true},
    {"naive", VOX_BACKWARD_WEIGHTS, PLAIN, NULL, vox_conv_naive_seconds, build_weights,
     run_weights},
    {0}};

const vox_op vox_op_conv_transpose = {.name = "conv_transpose",
                                      .attr_bytes = sizeof(vox_conv_attr),
                                      .attrs = attrs,
                                      .min_inputs = 1,
                                      .max_inputs = 1,
                                      .infer = infer,
                                      .params = params,
                                      .flops = flops,
                                      .algos = algos,
                                      .backward_reads_x = true};
