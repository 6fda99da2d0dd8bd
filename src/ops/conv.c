/* conv.c - 3D convolution as PyTorch has it:
 *
 *   y[n,o,p] = bias[o] + sum_{c,k} x[n,c,p*stride - pad + k*dilation] * weight[o,c,k]
 *
 * where c runs over the channels of o's group.  weight [out, in/groups, kd, kh, kw], bias [out];
 * both start uniform in +-1/sqrt(in/groups * kd*kh*kw). */
#include "ops/conv.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const vox_attr attrs[] = {VOX_CONV_ATTRS("zeros around the input, on each side"), {0}};

vox_status vox_conv_check_groups(const vox_conv_attr *a, int64_t channels, vox_error *err)
{
    if (channels % a->groups == 0 && a->out % a->groups == 0)
        return VOX_OK;
    vox_fail(err, VOX_ERR_INPUT, "channels cannot be shared out over the groups");
    vox_detail(err, "%" PRId64 " input channels, %" PRId64 " output channels, groups %" PRId64,
               channels, a->out, a->groups);
    vox_hint(err, "groups must divide both the input and the output channels");
    return VOX_ERR_INPUT;
}

static vox_status fail_kernel(const vox_conv_attr *a, const vox_shape *in, vox_error *err)
{
    char shape[96];
    vox_fail(err, VOX_ERR_INPUT, "the kernel is larger than the padded input");
    vox_detail(err,
               "input %s, kernel %" PRId64 ",%" PRId64 ",%" PRId64 ", pad %" PRId64 ",%" PRId64
               ",%" PRId64 ", dilation %" PRId64 ",%" PRId64 ",%" PRId64,
               vox_shape_text(in, shape), a->kernel[0], a->kernel[1], a->kernel[2], a->pad[0],
               a->pad[1], a->pad[2], a->dilation[0], a->dilation[1], a->dilation[2]);
    vox_hint(err, "each axis needs dilation*(kernel-1)+1 <= input + 2*pad (axes are d,h,w)");
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
        const int64_t room =
            in->dim[2 + i] + 2 * a->pad[i] - a->dilation[i] * (a->kernel[i] - 1) - 1;
        if (room < 0)
            return fail_kernel(a, in, err);
        out->dim[2 + i] = room / a->stride[i] + 1;
    }
    return VOX_OK;
}

static int params(const vox_node *node, vox_param out[VOX_MAX_PARAMS])
{
    const vox_conv_attr *a = node->attr;
    const int64_t in = node->in[0].dim[1] / a->groups;
    const int64_t fan_in = in * a->kernel[0] * a->kernel[1] * a->kernel[2];
    const double bound = 1 / sqrt((double)fan_in);
    out[0] = (vox_param){"weight",
                         {5, {a->out, in, a->kernel[0], a->kernel[1], a->kernel[2]}},
                         VOX_INIT_UNIFORM,
                         bound,
                         true};
    if (a->bias)
        out[1] = (vox_param){"bias", {1, {a->out}}, VOX_INIT_UNIFORM, bound, true};
    return a->bias ? 2 : 1;
}

static double flops(const vox_node *node, vox_pass pass)
{
    (void)pass; /* each pass multiplies and adds every (output, weight) pair once */
    const vox_conv_shape s = vox_conv_shape_get(node);
    return vox_conv_flops(&s);
}

vox_conv_shape vox_conv_shape_get(const vox_node *node)
{
    const vox_conv_attr *a = node->attr;
    const bool transposed = node->op == &vox_op_conv_transpose;
    const vox_shape *in = transposed ? &node->out : &node->in[0];
    const vox_shape *out = transposed ? &node->in[0] : &node->out;
    vox_conv_shape s = {.ci = in->dim[1],
                        .co = out->dim[1],
                        .groups = a->groups,
                        .taps = a->kernel[0] * a->kernel[1] * a->kernel[2],
                        .bias = a->bias && !transposed,
                        .bias_back = a->bias && transposed};
    s.ib = (s.ci + 15) / 16;
    s.ob = (s.co + 15) / 16;
    for (int i = 0; i < 3; i++) {
        s.in[i] = in->dim[2 + i];
        s.out[i] = out->dim[2 + i];
    }
    memcpy(s.kernel, a->kernel, sizeof s.kernel);
    memcpy(s.stride, a->stride, sizeof s.stride);
    memcpy(s.pad, a->pad, sizeof s.pad);
    memcpy(s.dilation, a->dilation, sizeof s.dilation);
    return s;
}

double vox_conv_flops(const vox_conv_shape *s)
{
    const double voxels = (double)s->out[0] * (double)s->out[1] * (double)s->out[2];
    return 2 * voxels * (double)s->co * (double)(s->ci / s->groups) * (double)s->taps;
}

void vox_conv_options(vox_str *str, const vox_conv_shape *s)
{
    static const char axis[] = "DHW";
    vox_str_add(str, "-DCI=%" PRId64 " -DCO=%" PRId64 " -DGROUPS=%" PRId64, s->ci, s->co,
                s->groups);
    for (int i = 0; i < 3; i++)
        vox_str_add(str,
                    " -DI%c=%" PRId64 " -DO%c=%" PRId64 " -DK%c=%" PRId64 " -DS%c=%" PRId64
                    " -DP%c=%" PRId64 " -DL%c=%" PRId64,
                    axis[i], s->in[i], axis[i], s->out[i], axis[i], s->kernel[i], axis[i],
                    s->stride[i], axis[i], s->pad[i], axis[i], s->dilation[i]);
}

vox_status vox_conv_kernel(vox_work *w, int i, const char *file, const char *entry,
                           const vox_conv_shape *s, const char *more, vox_error *err)
{
    vox_str options = {0};
    vox_conv_options(&options, s);
    vox_str_add(&options, " %s", more);
    vox_status status = options.failed ? vox_fail_memory(err, "kernel options", options.capacity)
                                       : vox_kernel_open(&w->kernel[i], w->problem.dev, file, entry,
                                                         options.text, err);
    vox_str_release(&options);
    return status;
}

vox_status vox_conv_scratch(vox_work *w, int i, int64_t floats, const char *what, vox_error *err)
{
    size_t bytes;
    if (!vox_mul((size_t)floats, sizeof(float), &bytes))
        return vox_fail_memory(err, what, SIZE_MAX);
    return vox_buffer_open(&w->scratch[i], w->problem.dev, bytes, VOX_BUFFER_DEVICE, what, err);
}

vox_buffer *vox_conv_bias(const vox_conv_shape *s, vox_buffer *const param[VOX_MAX_PARAMS])
{
    return s->bias ? param[1] : NULL;
}

vox_buffer *vox_conv_start(const vox_work *w, const vox_conv_shape *s, const vox_io *io)
{
    return (w->algo->pass == VOX_FORWARD ? s->bias : s->bias_back) ? io->param[1] : NULL;
}

vox_buffer *vox_conv_relu_input(const vox_work *w, const vox_io *io)
{
    const vox_tensor *x = io->x[w->problem.node->op == &vox_op_conv_transpose];
    return w->problem.relu_in ? x->buf : NULL;
}

#define PLAIN   VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN
#define BLOCK16 VOX_LAYOUT_BLOCK16, VOX_LAYOUT_BLOCK16
#define FIRST   VOX_LAYOUT_PLAIN, VOX_LAYOUT_BLOCK16

#define FUSES_RELU .fuses_relu = true
#define TUNED(m)   .variants = m##_variants, .variant_text = m##_variant_text
/* Transforms subtract numbers of one size; 2e-5 is the worst seen, with 8 points along all axes. */
#define WINOGRAD_ERROR 1e-4

static const vox_algo algos[] = {
    {"direct16", VOX_FORWARD, BLOCK16, vox_conv_direct16_fits, vox_conv_direct16_seconds,
     vox_conv_direct16_build, vox_conv_direct16_run, FUSES_RELU, TUNED(vox_conv_direct16)},
    {"direct16", VOX_BACKWARD_DATA, BLOCK16, vox_conv_direct16_fits, vox_conv_direct16_data_seconds,
     vox_conv_direct16_build, vox_conv_direct16_run, FUSES_RELU, TUNED(vox_conv_direct16_data)},
    {"direct16", VOX_BACKWARD_WEIGHTS, BLOCK16, vox_conv_direct16_fits,
     vox_conv_direct16_weights_seconds, vox_conv_direct16_weights_build,
     vox_conv_direct16_weights_run, TUNED(vox_conv_direct16_weights)},
    {"depthwise16", VOX_FORWARD, BLOCK16, vox_conv_depthwise16_fits, vox_conv_depthwise16_seconds,
     vox_conv_depthwise16_build, vox_conv_depthwise16_run, FUSES_RELU},
    {"depthwise16", VOX_BACKWARD_DATA, BLOCK16, vox_conv_depthwise16_fits,
     vox_conv_depthwise16_data_seconds, vox_conv_depthwise16_build, vox_conv_depthwise16_run,
     FUSES_RELU},
    {"depthwise16", VOX_BACKWARD_WEIGHTS, BLOCK16, vox_conv_depthwise16_fits,
     vox_conv_depthwise16_seconds, vox_conv_depthwise16_weights_build,
     vox_conv_depthwise16_weights_run},
    {"winograd16", VOX_FORWARD, BLOCK16, vox_conv_winograd16_fits, vox_conv_winograd16_seconds,
     vox_conv_winograd16_build, vox_conv_winograd16_run, FUSES_RELU, .rms_error = WINOGRAD_ERROR},
    {"winograd16", VOX_BACKWARD_DATA, BLOCK16, vox_conv_winograd16_fits,
     vox_conv_winograd16_data_seconds, vox_conv_winograd16_build, vox_conv_winograd16_run,
     FUSES_RELU, .rms_error = WINOGRAD_ERROR},
    {"winograd16_planes", VOX_FORWARD, BLOCK16, vox_conv_winograd16_fits,
     vox_conv_winograd16_planes_seconds, vox_conv_winograd16_planes_build,
     vox_conv_winograd16_planes_run, FUSES_RELU, .rms_error = WINOGRAD_ERROR},
    {"winograd16_planes", VOX_BACKWARD_DATA, BLOCK16, vox_conv_winograd16_fits,
     vox_conv_winograd16_planes_data_seconds, vox_conv_winograd16_planes_build,
     vox_conv_winograd16_planes_run, FUSES_RELU, .rms_error = WINOGRAD_ERROR},
    {"winograd16", VOX_BACKWARD_WEIGHTS, BLOCK16, vox_conv_winograd16_weights_fits,
     vox_conv_winograd16_weights_seconds, vox_conv_winograd16_weights_build,
     vox_conv_winograd16_weights_run, .rms_error = WINOGRAD_ERROR},
    {"first16", VOX_FORWARD, FIRST, vox_conv_first16_fits, vox_conv_first16_seconds,
     vox_conv_first16_build, vox_conv_first16_run, FUSES_RELU},
    {"first16", VOX_BACKWARD_DATA, FIRST, vox_conv_first16_fits, vox_conv_first16_data_seconds,
     vox_conv_first16_build, vox_conv_first16_run, FUSES_RELU},
    {"first16", VOX_BACKWARD_WEIGHTS, FIRST, vox_conv_first16_fits, vox_conv_first16_seconds,
     vox_conv_first16_weights_build, vox_conv_first16_weights_run},
    {"tiled", VOX_FORWARD, PLAIN, vox_conv_tiled_fits, vox_conv_tiled_seconds, vox_conv_tiled_build,
     vox_conv_tiled_run, FUSES_RELU, TUNED(vox_conv_tiled)},
    {"tiled", VOX_BACKWARD_DATA, PLAIN, vox_conv_tiled_data_fits, vox_conv_tiled_data_seconds,
     vox_conv_tiled_build, vox_conv_tiled_run, FUSES_RELU, TUNED(vox_conv_tiled_data)},
    {"tiled", VOX_BACKWARD_WEIGHTS, PLAIN, vox_conv_tiled_fits, vox_conv_tiled_weights_seconds,
     vox_conv_tiled_weights_build, vox_conv_tiled_weights_run, TUNED(vox_conv_tiled_weights)},
    {"fft", VOX_FORWARD, PLAIN, vox_conv_fft_fits, vox_conv_fft_seconds, vox_conv_fft_build,
     vox_conv_fft_run, FUSES_RELU},
    {"fft", VOX_BACKWARD_DATA, PLAIN, vox_conv_fft_fits, vox_conv_fft_seconds, vox_conv_fft_build,
     vox_conv_fft_run, FUSES_RELU},
    {"fft", VOX_BACKWARD_WEIGHTS, PLAIN, vox_conv_fft_fits, vox_conv_fft_seconds,
     vox_conv_fft_weights_build, vox_conv_fft_weights_run},
    {"winograd", VOX_FORWARD, PLAIN, vox_conv_winograd_fits, vox_conv_winograd_seconds,
     vox_conv_winograd_build, vox_conv_winograd_run, FUSES_RELU, TUNED(vox_conv_winograd),
     .rms_error = WINOGRAD_ERROR},
    {"winograd", VOX_BACKWARD_DATA, PLAIN, vox_conv_winograd_data_fits,
     vox_conv_winograd_data_seconds, vox_conv_winograd_build, vox_conv_winograd_run, FUSES_RELU,
     TUNED(vox_conv_winograd_data), .rms_error = WINOGRAD_ERROR},
    {"winograd", VOX_BACKWARD_WEIGHTS, PLAIN, vox_conv_winograd_fits,
     vox_conv_winograd_weights_seconds, vox_conv_winograd_weights_build,
     vox_conv_winograd_weights_run, TUNED(vox_conv_winograd_weights), .rms_error = WINOGRAD_ERROR},
    {"gemm", VOX_FORWARD, PLAIN, vox_conv_gemm_fits, vox_conv_gemm_seconds, vox_conv_gemm_build,
     vox_conv_gemm_forward, FUSES_RELU},
    {"gemm", VOX_BACKWARD_DATA, PLAIN, vox_conv_gemm_fits, vox_conv_gemm_seconds,
     vox_conv_gemm_build, vox_conv_gemm_backward_data},
    {"gemm", VOX_BACKWARD_WEIGHTS, PLAIN, vox_conv_gemm_fits, vox_conv_gemm_seconds,
     vox_conv_gemm_build, vox_conv_gemm_backward_weights},
    {"naive", VOX_FORWARD, PLAIN, NULL, vox_conv_naive_seconds, vox_conv_naive_build,
     vox_conv_naive_run, FUSES_RELU},
    {"naive", VOX_BACKWARD_DATA, PLAIN, NULL, vox_conv_naive_seconds, vox_conv_naive_build,
     vox_conv_naive_run, FUSES_RELU},
    {"naive", VOX_BACKWARD_WEIGHTS, PLAIN, NULL, vox_conv_naive_seconds, vox_conv_naive_build,
     vox_conv_naive_run},
    {0}};

const vox_op vox_op_conv = {.name = "conv",
                            .attr_bytes = sizeof(vox_conv_attr),
                            .attrs = attrs,
                            .min_inputs = 1,
                            .max_inputs = 1,
                            .infer = infer,
                            .params = params,
                            .flops = flops,
                            .algos = algos,
                            .backward_reads_x = true};
