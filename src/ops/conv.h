/* conv.h - what the convolution's algorithms share: its numbers and the kernels' options.
 *
 * One file per method: conv_naive.c, conv_direct16.c, conv_depthwise16.c, conv_first16.c,
 * conv_tiled.c, conv_gemm.c, conv_winograd*.c, conv_fft*.c; conv.c holds the operation itself and
 * the table of algorithms.
 *
 * A transposed convolution (conv_transpose.c) is a convolution seen from its other side: its output
 * is the convolution's input.  The methods meet it as that convolution: its forward pass is their
 * backward-data, with a bias to be added and a relu behind it; its backward-data their forward
 * pass, with a relu before it.  So both passes of a method that serves it do both, by
 * vox_conv_start() and vox_conv_relu_input(). */
#ifndef VOX_OPS_CONV_H
#define VOX_OPS_CONV_H

#include "base/mem.h"
#include "ops/op.h"

#include <stddef.h>

typedef struct vox_conv_attr {
    int64_t out, groups;
    int64_t kernel[3], stride[3], pad[3], dilation[3];
    int64_t output_pad[3]; /* conv_transpose */
    bool bias;
} vox_conv_attr;

/* The keys of both operations. */
#define VOX_CONV_ATTR(name, what, offset_of, ...)                                                  \
    {                                                                                              \
        .key = name, .kind = what, .offset = offsetof(vox_conv_attr, offset_of), __VA_ARGS__       \
    }
#define VOX_CONV_ATTRS(pad_help)                                                                   \
    VOX_CONV_ATTR("out", VOX_ATTR_INT, out, .required = true, .min = 1, .max = 1 << 20,            \
                  .help = "output channels"),                                                      \
        VOX_CONV_ATTR("kernel", VOX_ATTR_TRIPLE, kernel, .required = true, .min = 1, .max = 4096,  \
                      .help = "size of the kernel"),                                               \
        VOX_CONV_ATTR("stride", VOX_ATTR_TRIPLE, stride, .dflt = 1, .min = 1, .max = 4096,         \
                      .help = "step of the kernel"),                                               \
        VOX_CONV_ATTR("pad", VOX_ATTR_TRIPLE, pad, .max = 4096, .help = pad_help),                 \
        VOX_CONV_ATTR("dilation", VOX_ATTR_TRIPLE, dilation, .dflt = 1, .min = 1, .max = 4096,     \
                      .help = "distance of the kernel's taps"),                                    \
        VOX_CONV_ATTR("groups", VOX_ATTR_INT, groups, .dflt = 1, .min = 1, .max = 1 << 20,         \
                      .help = "groups of channels convolved apart"),                               \
        VOX_CONV_ATTR("bias", VOX_ATTR_BOOL, bias, .dflt = 1, .help = "whether a bias is added")

/* A convolution in numbers; triples are (d, h, w).  Of a transposed one: those of the convolution
 * that has its output as input, weights [co, ci/groups, ...] being the same. */
typedef struct vox_conv_shape {
    int64_t ci, co, groups;
    int64_t in[3], out[3]; /* voxels */
    int64_t kernel[3], stride[3], pad[3], dilation[3];
    int64_t ib, ob; /* blocks of 16 channels */
    int64_t taps;   /* of a kernel */
    bool bias;
    bool bias_back; /* of a transposed one: backward-data adds a bias */
} vox_conv_shape;

static inline int64_t vox_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* a / b, rounded up; both above 0. */
static inline int64_t vox_ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* VOX_ERR_INPUT unless the groups divide the channels. */
vox_status vox_conv_check_groups(const vox_conv_attr *a, int64_t channels, vox_error *err);

extern const vox_op vox_op_conv, vox_op_conv_transpose;

vox_conv_shape vox_conv_shape_get(const vox_node *node);
/* Multiplications and additions of one pass over one sample, padding counted as if it were data. */
double vox_conv_flops(const vox_conv_shape *s);
/* "-DCI=1 -DCO=32 ..." into str: all of the shape, under the names of cl/conv.h. */
void vox_conv_options(vox_str *str, const vox_conv_shape *s);

/* Opens w->kernel[i] from the shape's options and `more`. */
vox_status vox_conv_kernel(vox_work *w, int i, const char *file, const char *entry,
                           const vox_conv_shape *s, const char *more, vox_error *err);
/* Opens w->scratch[i] with room for `floats`. */
vox_status vox_conv_scratch(vox_work *w, int i, int64_t floats, const char *what, vox_error *err);
/* The buffer of the bias (or of its gradient): NULL without one. */
vox_buffer *vox_conv_bias(const vox_conv_shape *s, vox_buffer *const param[VOX_MAX_PARAMS]);
/* The bias that w's pass, forward or backward-data, adds; NULL: none. */
vox_buffer *vox_conv_start(const vox_work *w, const vox_conv_shape *s, const vox_io *io);
/* As vox_relu_input, also for a transposed convolution. */
vox_buffer *vox_conv_relu_input(const vox_work *w, const vox_io *io);

/* Kernels first and first + 1 (without a bias only the first, and none of them if parts is 0) for
 * the last step of plain weight gradients: scratch[0] holds `parts` of them. */
vox_status vox_conv_sums_build(vox_work *w, int first, int64_t parts, const vox_conv_shape *s,
                               vox_error *err);
vox_status vox_conv_sums_run(vox_work *w, int first, int64_t parts, const vox_conv_shape *s,
                             const vox_io *io, vox_error *err);

/* to[count] = or += the sum of part[parts][count], in order; the kernel is sum_parts. */
vox_status vox_conv_parts_run(vox_kernel *sum_parts, vox_buffer *part, vox_buffer *to,
                              int64_t count, int64_t parts, bool accumulate, vox_error *err);

/* ---- pack16: weights in the order that 16-wide kernels stream (cl/conv3d_pack16.cl) ---- */

typedef struct vox_pack16 {
    int64_t groups;   /* G: groups of q * 16 "out" channels (not the convolution's groups) */
    int64_t blocks;   /* B: blocks of bi "in" channels that a group reads */
    int64_t bi, q;    /* BI, Q */
    bool swap;        /* backward-data: out = ci, in = co */
    int first_kernel; /* its place among w->kernel */
} vox_pack16;

/* The blocks of 16 "in" channels that q blocks of "out" channels read at most: all of them, or with
 * groups those of the same groups.  *sum (may be NULL): over all q blocks.  swap as above. */
int64_t vox_pack16_blocks(const vox_conv_shape *s, bool swap, int64_t q, int64_t *sum);
int64_t vox_pack16_floats(const vox_pack16 *p, const vox_conv_shape *s); /* of packed weights */

/* Kernel and scratch[0] (weights), scratch[1] (bias) for packing before each run. */
vox_status vox_pack16_build(vox_work *w, const vox_pack16 *p, const vox_conv_shape *s,
                            vox_error *err);
/* bias may be NULL. */
vox_status vox_pack16_run(vox_work *w, const vox_pack16 *p, const vox_conv_shape *s,
                          vox_buffer *weight, vox_buffer *bias, vox_error *err);

/* Kernels and scratch[0], scratch[1] for `parts` partial gradients, then their sum. */
vox_status vox_unpack16_build(vox_work *w, const vox_pack16 *p, const vox_conv_shape *s,
                              int64_t parts, vox_error *err);
vox_status vox_unpack16_run(vox_work *w, const vox_pack16 *p, const vox_conv_shape *s,
                            int64_t parts, const vox_io *io, vox_error *err);

/* ---- the methods ---- */

double vox_conv_naive_seconds(const vox_problem *p);
vox_status vox_conv_naive_build(vox_work *w, vox_error *err);
vox_status vox_conv_naive_run(vox_work *w, const vox_io *io, vox_error *err);

bool vox_conv_direct16_fits(const vox_problem *p);
double vox_conv_direct16_seconds(const vox_problem *p);
double vox_conv_direct16_data_seconds(const vox_problem *p);
int vox_conv_direct16_variants(const vox_problem *p);
int vox_conv_direct16_data_variants(const vox_problem *p);
void vox_conv_direct16_variant_text(const vox_problem *p, int i, char text[VOX_VARIANT_TEXT]);
void vox_conv_direct16_data_variant_text(const vox_problem *p, int i, char text[VOX_VARIANT_TEXT]);
vox_status vox_conv_direct16_build(vox_work *w, vox_error *err);
vox_status vox_conv_direct16_run(vox_work *w, const vox_io *io, vox_error *err);
double vox_conv_direct16_weights_seconds(const vox_problem *p);
int vox_conv_direct16_weights_variants(const vox_problem *p);
void vox_conv_direct16_weights_variant_text(const vox_problem *p, int i,
                                            char text[VOX_VARIANT_TEXT]);
vox_status vox_conv_direct16_weights_build(vox_work *w, vox_error *err);
vox_status vox_conv_direct16_weights_run(vox_work *w, const vox_io *io, vox_error *err);

/* For conv_transpose; forward and the weights' gradient. */
bool vox_conv_transpose_taps16_fits(const vox_problem *p);
bool vox_conv_transpose_taps16_weights_fits(const vox_problem *p);
double vox_conv_transpose_taps16_seconds(const vox_problem *p);
double vox_conv_transpose_taps16_weights_seconds(const vox_problem *p);
vox_status vox_conv_transpose_taps16_build(vox_work *w, vox_error *err);
vox_status vox_conv_transpose_taps16_run(vox_work *w, const vox_io *io, vox_error *err);
vox_status vox_conv_transpose_taps16_weights_build(vox_work *w, vox_error *err);
vox_status vox_conv_transpose_taps16_weights_run(vox_work *w, const vox_io *io, vox_error *err);

bool vox_conv_depthwise16_fits(const vox_problem *p);
double vox_conv_depthwise16_seconds(const vox_problem *p);
double vox_conv_depthwise16_data_seconds(const vox_problem *p);
vox_status vox_conv_depthwise16_build(vox_work *w, vox_error *err);
vox_status vox_conv_depthwise16_run(vox_work *w, const vox_io *io, vox_error *err);
vox_status vox_conv_depthwise16_weights_build(vox_work *w, vox_error *err);
vox_status vox_conv_depthwise16_weights_run(vox_work *w, const vox_io *io, vox_error *err);

bool vox_conv_winograd16_weights_fits(const vox_problem *p);
double vox_conv_winograd16_weights_seconds(const vox_problem *p);
vox_status vox_conv_winograd16_weights_build(vox_work *w, vox_error *err);
vox_status vox_conv_winograd16_weights_run(vox_work *w, const vox_io *io, vox_error *err);

bool vox_conv_first16_fits(const vox_problem *p);
double vox_conv_first16_seconds(const vox_problem *p);
double vox_conv_first16_data_seconds(const vox_problem *p);
vox_status vox_conv_first16_build(vox_work *w, vox_error *err);
vox_status vox_conv_first16_run(vox_work *w, const vox_io *io, vox_error *err);
vox_status vox_conv_first16_weights_build(vox_work *w, vox_error *err);
vox_status vox_conv_first16_weights_run(vox_work *w, const vox_io *io, vox_error *err);

bool vox_conv_winograd16_fits(const vox_problem *p);
double vox_conv_winograd16_seconds(const vox_problem *p);
double vox_conv_winograd16_data_seconds(const vox_problem *p);
vox_status vox_conv_winograd16_build(vox_work *w, vox_error *err);
vox_status vox_conv_winograd16_run(vox_work *w, const vox_io *io, vox_error *err);

double vox_conv_winograd16_planes_seconds(const vox_problem *p);
double vox_conv_winograd16_planes_data_seconds(const vox_problem *p);
vox_status vox_conv_winograd16_planes_build(vox_work *w, vox_error *err);
vox_status vox_conv_winograd16_planes_run(vox_work *w, const vox_io *io, vox_error *err);

bool vox_conv_tiled_fits(const vox_problem *p);
bool vox_conv_tiled_data_fits(const vox_problem *p);
double vox_conv_tiled_seconds(const vox_problem *p);
double vox_conv_tiled_data_seconds(const vox_problem *p);
int vox_conv_tiled_variants(const vox_problem *p);
int vox_conv_tiled_data_variants(const vox_problem *p);
void vox_conv_tiled_variant_text(const vox_problem *p, int i, char text[VOX_VARIANT_TEXT]);
void vox_conv_tiled_data_variant_text(const vox_problem *p, int i, char text[VOX_VARIANT_TEXT]);
vox_status vox_conv_tiled_build(vox_work *w, vox_error *err);
vox_status vox_conv_tiled_run(vox_work *w, const vox_io *io, vox_error *err);
double vox_conv_tiled_weights_seconds(const vox_problem *p);
int vox_conv_tiled_weights_variants(const vox_problem *p);
void vox_conv_tiled_weights_variant_text(const vox_problem *p, int i, char text[VOX_VARIANT_TEXT]);
vox_status vox_conv_tiled_weights_build(vox_work *w, vox_error *err);
vox_status vox_conv_tiled_weights_run(vox_work *w, const vox_io *io, vox_error *err);

bool vox_conv_winograd_fits(const vox_problem *p);
bool vox_conv_winograd_data_fits(const vox_problem *p);
double vox_conv_winograd_seconds(const vox_problem *p);
double vox_conv_winograd_data_seconds(const vox_problem *p);
double vox_conv_winograd_weights_seconds(const vox_problem *p);
int vox_conv_winograd_variants(const vox_problem *p);
int vox_conv_winograd_data_variants(const vox_problem *p);
int vox_conv_winograd_weights_variants(const vox_problem *p);
void vox_conv_winograd_variant_text(const vox_problem *p, int i, char text[VOX_VARIANT_TEXT]);
void vox_conv_winograd_data_variant_text(const vox_problem *p, int i, char text[VOX_VARIANT_TEXT]);
void vox_conv_winograd_weights_variant_text(const vox_problem *p, int i,
                                            char text[VOX_VARIANT_TEXT]);
vox_status vox_conv_winograd_build(vox_work *w, vox_error *err);
vox_status vox_conv_winograd_run(vox_work *w, const vox_io *io, vox_error *err);
vox_status vox_conv_winograd_weights_build(vox_work *w, vox_error *err);
vox_status vox_conv_winograd_weights_run(vox_work *w, const vox_io *io, vox_error *err);

bool vox_conv_gemm_fits(const vox_problem *p);
double vox_conv_gemm_seconds(const vox_problem *p);
vox_status vox_conv_gemm_build(vox_work *w, vox_error *err);
vox_status vox_conv_gemm_forward(vox_work *w, const vox_io *io, vox_error *err);
vox_status vox_conv_gemm_backward_data(vox_work *w, const vox_io *io, vox_error *err);
vox_status vox_conv_gemm_backward_weights(vox_work *w, const vox_io *io, vox_error *err);

bool vox_conv_fft_fits(const vox_problem *p);
double vox_conv_fft_seconds(const vox_problem *p);
vox_status vox_conv_fft_build(vox_work *w, vox_error *err);
vox_status vox_conv_fft_run(vox_work *w, const vox_io *io, vox_error *err);
vox_status vox_conv_fft_weights_build(vox_work *w, vox_error *err);
vox_status vox_conv_fft_weights_run(vox_work *w, const vox_io *io, vox_error *err);

#endif
