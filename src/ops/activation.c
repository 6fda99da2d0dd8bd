/* activation.c - leaky_relu, elu, sigmoid, tanh: each element for itself, as PyTorch has them. */
#include "ops/flat.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct activation_attr {
    double slope; /* leaky_relu: of the negative side; elu: alpha */
} activation_attr;

static const vox_attr leaky_attrs[] = {{"slope", VOX_ATTR_FLOAT, offsetof(activation_attr, slope),
                                        false, 0.01, 0, 1e6, NULL, NULL,
                                        "slope of the negative side"},
                                       {0}};
static const vox_attr elu_attrs[] = {{"alpha", VOX_ATTR_FLOAT, offsetof(activation_attr, slope),
                                      false, 1, 0, 1e6, NULL, NULL,
                                      "minus the value that large negative inputs come near"},
                                     {0}};

static double seconds(const vox_problem *p)
{
    return vox_flat_seconds(p, 2 * (double)vox_sample_floats(&p->node->out, VOX_LAYOUT_PLAIN));
}

static double seconds_backward(const vox_problem *p)
{
    return 1.5 * seconds(p);
}

static vox_status build(vox_work *w, const char *function, bool zero_at_zero, vox_error *err)
{
    const vox_shape *shape = &w->problem.node->out;
    char options[160], padding[64] = "";
    if (!zero_at_zero && w->algo->out == VOX_LAYOUT_BLOCK16)
        snprintf(padding, sizeof padding, " -DC=%" PRId64 " -DVOXELS=%" PRId64, shape->dim[1],
                 shape->dim[2] * shape->dim[3] * shape->dim[4]);
    snprintf(options, sizeof options, "%s -D%s%s", vox_flat_options(w->problem.dev), function,
             padding);
    return vox_kernel_open(
        &w->kernel[0], w->problem.dev, "activation.cl",
        w->algo->pass == VOX_FORWARD ? "activation_forward" : "activation_backward", options, err);
}

static vox_status build_leaky(vox_work *w, vox_error *err)
{
    return build(w, "LEAKY_RELU", true, err);
}

static vox_status build_elu(vox_work *w, vox_error *err)
{
    return build(w, "ELU", true, err);
}

static vox_status build_sigmoid(vox_work *w, vox_error *err)
{
    return build(w, "SIGMOID", false, err);
}

static vox_status build_tanh(vox_work *w, vox_error *err)
{
    return build(w, "TANH", true, err);
}

static float slope_of(const vox_work *w)
{
    const activation_attr *attr = w->problem.node->attr;
    return attr ? (float)attr->slope : 0.0f;
}

static vox_status forward(vox_work *w, const vox_io *io, vox_error *err)
{
    const int64_t floats = vox_tensor_floats(io->y, io->n);
    const vox_grid grid = vox_flat_grid(w->problem.dev, floats);
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->y->buf),
                            vox_arg_u64((uint64_t)floats), vox_arg_f32(slope_of(w))};
    return vox_kernel_launch(w->kernel[0], &grid, args, 4, err);
}

static vox_status backward(vox_work *w, const vox_io *io, vox_error *err)
{
    const int64_t floats = vox_tensor_floats(io->y, io->n);
    const vox_grid grid = vox_flat_grid(w->problem.dev, floats);
    const vox_arg args[] = {vox_arg_buffer(io->y->buf), vox_arg_buffer(io->dy->buf),
                            vox_arg_buffer(io->dx[0]->buf), vox_arg_u64((uint64_t)floats),
                            vox_arg_f32(slope_of(w))};
    return vox_kernel_launch(w->kernel[0], &grid, args, 5, err);
}

#define PLAIN   VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN
#define BLOCK16 VOX_LAYOUT_BLOCK16, VOX_LAYOUT_BLOCK16

/* The operation `word`, its kernels made by `build_word`. */
#define ACTIVATION(word, bytes, table, build_word, ...)                                            \
    static const vox_algo word##_algos[] = {                                                       \
        {"flat", VOX_FORWARD, PLAIN, NULL, seconds, build_word, forward},                          \
        {"flat", VOX_FORWARD, BLOCK16, NULL, seconds, build_word, forward},                        \
        {"flat", VOX_BACKWARD_DATA, PLAIN, NULL, seconds_backward, build_word, backward},          \
        {"flat", VOX_BACKWARD_DATA, BLOCK16, NULL, seconds_backward, build_word, backward},        \
        {0}};                                                                                      \
    const vox_op vox_op_##word = {.name = #word,                                                   \
                                  .attr_bytes = bytes,                                             \
                                  .attrs = table,                                                  \
                                  .min_inputs = 1,                                                 \
                                  .max_inputs = 1,                                                 \
                                  .infer = vox_infer_same,                                         \
                                  .algos = word##_algos,                                           \
                                  .backward_reads_y = true,                                        \
                                  __VA_ARGS__}

static double leaky_slope(const vox_node *node)
{
    return ((const activation_attr *)node->attr)->slope;
}

ACTIVATION(leaky_relu, sizeof(activation_attr), leaky_attrs, build_leaky, .relu = true,
           .relu_slope = leaky_slope);
ACTIVATION(elu, sizeof(activation_attr), elu_attrs, build_elu, .relu = false);
ACTIVATION(sigmoid, 0, NULL, build_sigmoid, .relu = false);
ACTIVATION(tanh, 0, NULL, build_tanh, .relu = false);
