/* softmax.c - exp(x) / sum exp(x) over the channels of each voxel. */
#include <inttypes.h>
#include <stdio.h>

#include "ops/op.h"

static int64_t voxels(const vox_node *node)
{
    return node->out.dim[2] * node->out.dim[3] * node->out.dim[4];
}

static double seconds(const vox_problem *p)
{
    double floats = (double)vox_sample_floats(&p->node->out, VOX_LAYOUT_PLAIN);
    return vox_rule_seconds(p->dev, 0, 1, 12 * floats * (double)p->n_max, 0.3);
}

static vox_status build(vox_work *w, vox_error *err)
{
    char options[64];
    snprintf(options, sizeof options, "-DC=%" PRId64 " -DV=%" PRId64, w->problem.node->out.dim[1],
             voxels(w->problem.node));
    return vox_kernel_open(&w->kernel[0], w->problem.dev, "softmax.cl",
                           w->algo->pass == VOX_FORWARD ? "softmax_forward" : "softmax_backward",
                           options, err);
}

static vox_grid grid_of(const vox_work *w, int64_t n)
{
    return (vox_grid){{(size_t)voxels(w->problem.node), (size_t)n, 1}, {64, 1, 1}};
}

static vox_status forward(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_grid grid = grid_of(w, io->n);
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->y->buf)};
    return vox_kernel_launch(w->kernel[0], &grid, args, 2, err);
}

static vox_status backward(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_grid grid = grid_of(w, io->n);
    const vox_arg args[] = {vox_arg_buffer(io->y->buf), vox_arg_buffer(io->dy->buf),
                            vox_arg_buffer(io->dx[0]->buf)};
    return vox_kernel_launch(w->kernel[0], &grid, args, 3, err);
}

#define PLAIN VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN

static const vox_algo algos[] = {
    {"items", VOX_FORWARD, PLAIN, NULL, seconds, build, forward},
    {"items", VOX_BACKWARD_DATA, PLAIN, NULL, seconds, build, backward},
    {0}};

const vox_op vox_op_softmax = {.name = "softmax",
                               .min_inputs = 1,
                               .max_inputs = 1,
                               .infer = vox_infer_same,
                               .algos = algos,
                               .backward_reads_y = true};
