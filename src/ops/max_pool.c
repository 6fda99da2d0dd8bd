/* max_pool.c - the largest value of each window. */
#include "ops/pooling.h"

#include <stdio.h>

static const vox_attr attrs[] = {VOX_POOLING_ATTRS, {0}};

/* Windows along D per slab: the most that still give every compute unit four slabs, as windows
 * that reach into the next slab are computed twice. */
static int64_t slab_windows(const vox_problem *p, vox_layout layout)
{
    const vox_node *node = p->node;
    int64_t planes = p->n_max * vox_sample_floats(&node->out, layout) /
                     (node->out.dim[2] * node->out.dim[3] * node->out.dim[4]);
    if (layout == VOX_LAYOUT_BLOCK16)
        planes /= 16;
    int64_t want = 4 * (int64_t)vox_device_get(p->dev)->compute_units;
    int64_t per_plane = (want + planes - 1) / planes, windows = node->out.dim[2] / per_plane;
    return windows < 1 ? 1 : windows;
}

static int64_t slabs(const vox_problem *p, int64_t windows)
{
    const vox_pooling_attr *a = p->node->attr;
    int64_t step = windows * a->stride[0];
    return (p->node->in[0].dim[2] + a->pad[0] + step - 1) / step;
}

/* All kernels get SLAB, used or not: equal options share one compiled program. */
static vox_status build_kernel(vox_work *w, int slot, const char *entry, vox_pooling_shape shape,
                               vox_error *err)
{
    char option[40];
    int64_t windows = slab_windows(&w->problem, w->algo->in);
    w->number[0] = slabs(&w->problem, windows);
    snprintf(option, sizeof option, "-DSLAB=%lld", (long long)windows);
    return vox_pooling_kernel(w, slot, "max_pool.cl", entry, shape, option, err);
}

static vox_status build_rows(vox_work *w, vox_error *err)
{
    return build_kernel(w, 0, "max_pool_rows", VOX_POOLING_ROWS, err);
}

static vox_status build_items(vox_work *w, vox_error *err)
{
    return build_kernel(w, 0, "max_pool_items", VOX_POOLING_ITEMS, err);
}

static vox_status forward_rows(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->y->buf)};
    return vox_pooling_launch_rows(w, 0, io->y, io->n, io->y->shape.dim[2], args, 2, err);
}

static vox_status forward_items(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->y->buf)};
    return vox_pooling_launch_items(w, 0, io->y, io->n, args, 2, err);
}

static vox_status build_slabs(vox_work *w, vox_error *err)
{
    return build_kernel(w, 0, "max_pool_backward_slabs", VOX_POOLING_ROWS, err);
}

static vox_status backward_slabs(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->dy->buf),
                            vox_arg_buffer(io->dx[0]->buf)};
    return vox_pooling_launch_rows(w, 0, io->dx[0], io->n, w->number[0], args, 3, err);
}

static vox_status build_gather(vox_work *w, vox_error *err)
{
    const vox_problem *p = &w->problem;
    const int64_t floats = p->n_max * vox_sample_floats(&p->node->out, w->algo->out);
    vox_status s = vox_buffer_open(&w->scratch[0], p->dev, 4 * (size_t)floats, VOX_BUFFER_DEVICE,
                                   "max_pool's indices", err);
    if (s == VOX_OK)
        s = build_kernel(w, 0, "max_pool_index_items", VOX_POOLING_ITEMS, err);
    if (s == VOX_OK)
        s = build_kernel(w, 1, "max_pool_backward_items", VOX_POOLING_ITEMS, err);
    return s;
}

static vox_status backward_gather(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_arg find[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(w->scratch[0])};
    const vox_arg sum[] = {vox_arg_buffer(w->scratch[0]), vox_arg_buffer(io->dy->buf),
                           vox_arg_buffer(io->dx[0]->buf)};
    vox_status s = vox_pooling_launch_items(w, 0, io->dy, io->n, find, 2, err);
    if (s == VOX_OK)
        s = vox_pooling_launch_items(w, 1, io->dx[0], io->n, sum, 3, err);
    return s;
}

static double seconds_rows(const vox_problem *p)
{
    return vox_pooling_seconds(p, VOX_POOLING_ROWS, VOX_FORWARD);
}

static double seconds_items(const vox_problem *p)
{
    return vox_pooling_seconds(p, VOX_POOLING_ITEMS, VOX_FORWARD);
}

static double seconds_slabs(const vox_problem *p)
{
    return vox_pooling_seconds(p, VOX_POOLING_ROWS, VOX_BACKWARD_DATA);
}

static double seconds_gather(const vox_problem *p)
{
    return vox_pooling_seconds(p, VOX_POOLING_ITEMS, VOX_BACKWARD_DATA);
}

#define PLAIN   VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN
#define BLOCK16 VOX_LAYOUT_BLOCK16, VOX_LAYOUT_BLOCK16

static const vox_algo algos[] = {
    {"rows", VOX_FORWARD, PLAIN, NULL, seconds_rows, build_rows, forward_rows, true},
    {"rows", VOX_FORWARD, BLOCK16, NULL, seconds_rows, build_rows, forward_rows, true},
    {"items", VOX_FORWARD, PLAIN, NULL, seconds_items, build_items, forward_items, true},
    {"items", VOX_FORWARD, BLOCK16, NULL, seconds_items, build_items, forward_items, true},
    {"slabs", VOX_BACKWARD_DATA, PLAIN, NULL, seconds_slabs, build_slabs, backward_slabs, true},
    {"slabs", VOX_BACKWARD_DATA, BLOCK16, NULL, seconds_slabs, build_slabs, backward_slabs, true},
    {"gather", VOX_BACKWARD_DATA, PLAIN, NULL, seconds_gather, build_gather, backward_gather, true},
    {"gather", VOX_BACKWARD_DATA, BLOCK16, NULL, seconds_gather, build_gather, backward_gather,
     true},
    {0}};

const vox_op vox_op_max_pool = {.name = "max_pool",
                                .attr_bytes = sizeof(vox_pooling_attr),
                                .attrs = attrs,
                                .min_inputs = 1,
                                .max_inputs = 1,
                                .infer = vox_pooling_infer,
                                .algos = algos,
                                .backward_reads_x = true};
