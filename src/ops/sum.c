/* sum.c - y = x0 + x1 + ..., in that order: the layer add, and the planner's sum, for the gradient
 * of a tensor that several layers read.  The sum's y may be one of the inputs' buffers. */
#include <stdio.h>

#include "base/error.h"
#include "ops/flat.h"

static vox_status infer(const vox_node *node, const vox_shape *in, vox_shape *out, vox_error *err)
{
    char a[96], b[96];
    for (int i = 1; i < node->inputs; i++)
        if (!vox_shape_equal(&in[0], &in[i])) {
            vox_fail(err, VOX_ERR_INPUT, "layer %s: inputs differ in shape", node->name);
            vox_detail(err, "input 0 is %s, input %d is %s", vox_shape_text(&in[0], a), i,
                       vox_shape_text(&in[i], b));
            return VOX_ERR_INPUT;
        }
    *out = in[0];
    return VOX_OK;
}

static double seconds(const vox_problem *p)
{
    double one = (double)vox_sample_floats(&p->node->out, VOX_LAYOUT_PLAIN);
    return vox_flat_seconds(p, (p->node->inputs + 1) * one);
}

static vox_status build(vox_work *w, vox_error *err)
{
    char options[112];
    vox_device *dev = w->problem.dev;
    snprintf(options, sizeof options, "%s -DINPUTS=%d%s", vox_flat_options(dev),
             w->problem.node->inputs, vox_relu_options(w));
    return vox_kernel_open(&w->kernel[0], dev, "sum.cl", "sum", options, err);
}

static vox_status run(vox_work *w, const vox_io *io, vox_error *err)
{
    const int64_t floats = vox_tensor_floats(io->y, io->n);
    const vox_grid grid = vox_flat_grid(w->problem.dev, floats);
    vox_arg args[VOX_MAX_INPUTS + 2];
    for (int i = 0; i < VOX_MAX_INPUTS; i++)
        args[i] = vox_arg_buffer(i < w->problem.node->inputs ? io->x[i]->buf : NULL);
    args[VOX_MAX_INPUTS] = vox_arg_buffer(io->y->buf);
    args[VOX_MAX_INPUTS + 1] = vox_arg_u64((uint64_t)floats);
    return vox_kernel_launch(w->kernel[0], &grid, args, VOX_MAX_INPUTS + 2, err);
}

/* An input whose gradient is masked (relu_in) has a kernel of its own: 0 without, 1 with. */
static vox_status build_backward(vox_work *w, vox_error *err)
{
    char options[96];
    vox_device *dev = w->problem.dev;
    vox_status s = vox_flat_build(w, "sum.cl", "add_backward", err);
    snprintf(options, sizeof options, "%s%s", vox_flat_options(dev), vox_relu_options(w));
    if (s == VOX_OK && w->problem.relu_in)
        s = vox_kernel_open(&w->kernel[1], dev, "sum.cl", "add_backward", options, err);
    return s;
}

static vox_status run_backward(vox_work *w, const vox_io *io, vox_error *err)
{
    const int64_t floats = vox_tensor_floats(io->dy, io->n);
    const vox_grid grid = vox_flat_grid(w->problem.dev, floats);
    vox_status s = VOX_OK;
    for (int k = 0; k < w->problem.node->inputs && s == VOX_OK; k++) {
        const bool masked = w->problem.relu_in >> k & 1;
        const vox_arg args[] = {
            vox_arg_buffer(io->dy->buf), vox_arg_buffer(masked ? io->x[k]->buf : NULL),
            vox_arg_buffer(io->dx[k] ? io->dx[k]->buf : NULL), vox_arg_u64((uint64_t)floats)};
        if (io->dx[k])
            s = vox_kernel_launch(w->kernel[masked], &grid, args, 4, err);
    }
    return s;
}

#define PLAIN   VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN
#define BLOCK16 VOX_LAYOUT_BLOCK16, VOX_LAYOUT_BLOCK16

static const vox_algo add_algos[] = {
    {"flat", VOX_FORWARD, PLAIN, NULL, seconds, build, run, .fuses_relu = true},
    {"flat", VOX_FORWARD, BLOCK16, NULL, seconds, build, run, .fuses_relu = true},
    {"flat", VOX_BACKWARD_DATA, PLAIN, NULL, seconds, build_backward, run_backward,
     .fuses_relu = true},
    {"flat", VOX_BACKWARD_DATA, BLOCK16, NULL, seconds, build_backward, run_backward,
     .fuses_relu = true},
    {0}};

const vox_op vox_op_add = {.name = "add",
                           .min_inputs = 2,
                           .max_inputs = VOX_MAX_INPUTS,
                           .infer = infer,
                           .algos = add_algos,
                           .cheap = true};

static const vox_algo algos[] = {{"flat", VOX_FORWARD, PLAIN, NULL, seconds, build, run},
                                 {"flat", VOX_FORWARD, BLOCK16, NULL, seconds, build, run},
                                 {0}};

const vox_op vox_op_sum = {.name = "sum",
                           .min_inputs = 2,
                           .max_inputs = VOX_MAX_INPUTS,
                           .infer = infer,
                           .algos = algos,
                           .internal = true};
