/* softmax.c - exp(x) / sum exp(x) over the channels of each voxel. */
#include <inttypes.h>
#include <stdio.h>

#include "ops/op.h"

static int64_t voxels(const vox_node *node)
{
    return node->out.dim[2] * node->out.dim[3] * node->out.dim[4];
}

static double rule(const vox_problem *p, double byte_share)
{
    double floats = (double)vox_sample_floats(&p->node->out, VOX_LAYOUT_PLAIN);
    return vox_rule_seconds(p->dev, 0, 1, 12 * floats * (double)p->n_max, byte_share);
}

static vox_status open_kernel(vox_work *w, const char *file, const char *entry, int64_t run,
                              vox_error *err)
{
    char options[96];
    const int64_t v = voxels(w->problem.node);
    snprintf(options, sizeof options, "-DC=%" PRId64 " -DV=%" PRId64 " -DRUN=%" PRId64,
             w->problem.node->out.dim[1], v, run);
    w->number[0] = (v + run - 1) / run;
    w->number[1] = run == 1 ? 64 : 1; /* items of a work-group */
    return vox_kernel_open(&w->kernel[0], w->problem.dev, file, entry, options, err);
}

/* ---- items: a voxel each ---- */

static double seconds_items(const vox_problem *p)
{
    return rule(p, vox_device_is_cpu(p->dev) ? 0.05 : 0.3);
}

static vox_status build_items(vox_work *w, vox_error *err)
{
    return open_kernel(w, "softmax.cl",
                       w->algo->pass == VOX_FORWARD ? "softmax_forward" : "softmax_backward", 1,
                       err);
}

/* ---- vectors: CPUs, sixteen voxels side by side ---- */

#define VECTORS_RUN      4096 /* voxels of an item */
#define VECTORS_CHANNELS 128  /* two vectors each in private memory */

static bool vectors_fit(const vox_problem *p)
{
    return voxels(p->node) >= 16 && p->node->out.dim[1] <= VECTORS_CHANNELS;
}

static double seconds_vectors(const vox_problem *p)
{
    return rule(p, vox_device_is_cpu(p->dev) ? 0.7 : 0.01);
}

static vox_status build_vectors(vox_work *w, vox_error *err)
{
    return open_kernel(w, "softmax_vectors.cl",
                       w->algo->pass == VOX_FORWARD ? "softmax_vectors_forward"
                                                    : "softmax_vectors_backward",
                       VECTORS_RUN, err);
}

/* ---- both ---- */

static vox_grid grid_of(const vox_work *w, int64_t n)
{
    return (vox_grid){{(size_t)w->number[0], (size_t)n, 1}, {(size_t)w->number[1], 1, 1}};
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
    {"items", VOX_FORWARD, PLAIN, NULL, seconds_items, build_items, forward},
    {"vectors", VOX_FORWARD, PLAIN, vectors_fit, seconds_vectors, build_vectors, forward},
    {"items", VOX_BACKWARD_DATA, PLAIN, NULL, seconds_items, build_items, backward},
    {"vectors", VOX_BACKWARD_DATA, PLAIN, vectors_fit, seconds_vectors, build_vectors, backward},
    {0}};

const vox_op vox_op_softmax = {.name = "softmax",
                               .min_inputs = 1,
                               .max_inputs = 1,
                               .infer = vox_infer_same,
                               .algos = algos,
                               .backward_reads_y = true};
