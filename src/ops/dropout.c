/* dropout.c - inverted dropout: y = x / (1 - p) where kept, 0 elsewhere; y = x in evaluation.
 *
 * The mask depends on (seed, layer, step, global sample, element) alone: not on device, layout or
 * how the batch is shared out. */
#include <inttypes.h>
#include <stdio.h>

#include "ops/flat.h"

typedef struct dropout_attr {
    double p;
    bool whole_channels;
} dropout_attr;

static const vox_attr attrs[] = {{"p", VOX_ATTR_FLOAT, offsetof(dropout_attr, p), false, 0.5, 0, 1,
                                  NULL, NULL, "share of the elements that are dropped"},
                                 {"whole_channels", VOX_ATTR_BOOL,
                                  offsetof(dropout_attr, whole_channels), false, 0, 0, 1, NULL,
                                  NULL, "drop whole channels instead of single elements"},
                                 {0}};

static double seconds(const vox_problem *p)
{
    double floats = (double)vox_sample_floats(&p->node->out, VOX_LAYOUT_PLAIN);
    return vox_rule_seconds(p->dev, 30 * floats * (double)p->n_max, 0.1,
                            8 * floats * (double)p->n_max, 0.8);
}

static int64_t voxels(const vox_node *node)
{
    return node->out.dim[2] * node->out.dim[3] * node->out.dim[4];
}

/* Work items along each axis: blocks of four elements, or voxels, channel planes and samples. */
static void plan_grid(vox_work *w, bool plain, int lanes, int row)
{
    const int64_t C = w->problem.node->out.dim[1], V = voxels(w->problem.node);
    const int64_t along = plain ? (C * V + 3) / 4 : V;
    w->number[0] = (along + row - 1) / row;
    w->number[1] = plain ? 0 : (C + lanes - 1) / lanes; /* 0: the samples take this axis */
}

static vox_status build(vox_work *w, vox_error *err)
{
    const dropout_attr *a = w->problem.node->attr;
    vox_device *dev = w->problem.dev;
    const int lanes = w->algo->in == VOX_LAYOUT_BLOCK16 ? 16 : 1;
    const int row = vox_device_is_cpu(dev) ? 256 : 1;
    const bool plain = lanes == 1 && !a->whole_channels;
    char options[176];
    snprintf(options, sizeof options,
             "-DC=%" PRId64 " -DV=%" PRId64 " -DLANES=%d -DROW=%d -DWHOLE=%d%s",
             w->problem.node->out.dim[1], voxels(w->problem.node), lanes, row, a->whole_channels,
             vox_relu_options(w));
    plan_grid(w, plain, lanes, row);
    vox_status s = vox_kernel_open(&w->kernel[0], dev, "dropout.cl",
                                   plain ? "dropout_plain" : "dropout_lanes", options, err);
    if (s == VOX_OK)
        s = vox_flat_copy_build(w, 1, err);
    return s;
}

static vox_status mask(vox_work *w, const vox_tensor *from, const vox_tensor *to, const vox_io *io,
                       vox_error *err)
{
    const double p = ((const dropout_attr *)w->problem.node->attr)->p;
    const size_t n = (size_t)io->n, planes = (size_t)w->number[1];
    const vox_grid grid = {{(size_t)w->number[0], planes ? planes : n, planes ? n : 1}, {0}};
    const vox_arg args[] = {vox_arg_buffer(from->buf),
                            vox_arg_buffer(to->buf),
                            vox_arg_buffer(vox_relu_input(w, io)),
                            vox_arg_f32((float)p),
                            vox_arg_f32(p < 1 ? (float)(1 / (1 - p)) : 0.0f),
                            vox_arg_u64(io->step.seed),
                            vox_arg_u32(w->problem.node->lane),
                            vox_arg_u32((uint32_t)io->step.step),
                            vox_arg_u32((uint32_t)io->step.first)};
    return vox_kernel_launch(w->kernel[0], &grid, args, sizeof args / sizeof *args, err);
}

static vox_status forward(vox_work *w, const vox_io *io, vox_error *err)
{
    return io->training ? mask(w, io->x[0], io->y, io, err) : vox_flat_copy_run(w, 1, io, err);
}

static vox_status backward(vox_work *w, const vox_io *io, vox_error *err)
{
    return io->training ? mask(w, io->dy, io->dx[0], io, err) : vox_flat_copy_run(w, 1, io, err);
}

#define PLAIN   VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN
#define BLOCK16 VOX_LAYOUT_BLOCK16, VOX_LAYOUT_BLOCK16

static const vox_algo algos[] = {
    {"philox", VOX_FORWARD, PLAIN, NULL, seconds, build, forward},
    {"philox", VOX_FORWARD, BLOCK16, NULL, seconds, build, forward},
    {"philox", VOX_BACKWARD_DATA, PLAIN, NULL, seconds, build, backward, true},
    {"philox", VOX_BACKWARD_DATA, BLOCK16, NULL, seconds, build, backward, true},
    {0}};

const vox_op vox_op_dropout = {.name = "dropout",
                               .attr_bytes = sizeof(dropout_attr),
                               .attrs = attrs,
                               .min_inputs = 1,
                               .max_inputs = 1,
                               .infer = vox_infer_same,
                               .algos = algos,
                               .training_only = true};
