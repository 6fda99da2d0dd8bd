/* max_pool.c - the largest value of each window. */
#include "ops/pooling.h"

#include <stdio.h>

static const vox_attr attrs[] = {VOX_POOLING_ATTRS, {0}};

/* How dx is cut into slabs of `depth` slices, or of an image's `height` rows: so that every compute
 * unit has four, as windows that reach into the next slab are looked at twice. */
typedef struct slabs {
    int64_t depth, height, count;
} slabs;

static int64_t pieces(int64_t in, int64_t piece)
{
    return (in + piece - 1) / piece;
}

static slabs cut(const vox_problem *p, vox_layout layout)
{
    const vox_pooling_attr *a = p->node->attr;
    const int64_t *in = &p->node->in[0].dim[2], *out = &p->node->out.dim[2];
    const int64_t want = 4 * (int64_t)vox_device_get(p->dev)->compute_units;
    const int64_t each = pieces(want, vox_pooling_planes_max(p, layout));
    const int axis = in[0] > 1 ? 0 : 1;
    const int64_t windows = out[axis] / each, step = (windows < 1 ? 1 : windows) * a->stride[axis];
    slabs s = {.depth = in[0], .height = in[1]};
    *(axis == 0 ? &s.depth : &s.height) = step < in[axis] ? step : in[axis];
    s.count = pieces(in[0], s.depth) * pieces(in[1], s.height);
    return s;
}

/* Kernels of a file get the same options, used or not: equal options share one program. */
static vox_status build_rows_kernel(vox_work *w, const char *entry, vox_error *err)
{
    char options[96];
    const slabs s = cut(&w->problem, w->algo->in);
    w->number[0] = vox_pooling_run(&w->problem, &w->problem.node->out, w->algo->in);
    w->number[1] = s.count;
    snprintf(options, sizeof options, "-DRUN=%lld -DDEPTH=%lld -DHEIGHT=%lld",
             (long long)w->number[0], (long long)s.depth, (long long)s.height);
    return vox_pooling_kernel(w, 0, "max_pool_rows.cl", entry, VOX_POOLING_ROWS, options, err);
}

static vox_status build_items_kernel(vox_work *w, int slot, const char *entry, vox_error *err)
{
    return vox_pooling_kernel(w, slot, "max_pool.cl", entry, VOX_POOLING_ITEMS, "", err);
}

static vox_status build_rows(vox_work *w, vox_error *err)
{
    return build_rows_kernel(w, "max_pool_rows", err);
}

static vox_status build_items(vox_work *w, vox_error *err)
{
    return build_items_kernel(w, 0, "max_pool_items", err);
}

static vox_status forward_rows(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->y->buf)};
    return vox_pooling_launch_rows(w, 0, io->y, io->n, w->number[0], args, 2, err);
}

static vox_status forward_items(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->y->buf)};
    return vox_pooling_launch_items(w, 0, io->y, io->n, args, 2, err);
}

static vox_status build_slabs(vox_work *w, vox_error *err)
{
    return build_rows_kernel(w, "max_pool_backward_slabs", err);
}

static vox_status backward_slabs(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->dy->buf),
                            vox_arg_buffer(io->dx[0]->buf)};
    return vox_pooling_launch_slabs(w, 0, io->dx[0], io->n, w->number[1], args, 3, err);
}

static vox_status build_gather(vox_work *w, vox_error *err)
{
    const vox_problem *p = &w->problem;
    const int64_t floats = p->n_max * vox_sample_floats(&p->node->out, w->algo->out);
    vox_status s = vox_buffer_open(&w->scratch[0], p->dev, 4 * (size_t)floats, VOX_BUFFER_DEVICE,
                                   "max_pool's indices", err);
    if (s == VOX_OK)
        s = build_items_kernel(w, 0, "max_pool_index_items", err);
    if (s == VOX_OK)
        s = build_items_kernel(w, 1, "max_pool_backward_items", err);
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

static bool plain_fits(const vox_problem *p)
{
    return vox_pooling_rows_fit(p, VOX_LAYOUT_PLAIN);
}

static bool block_fits(const vox_problem *p)
{
    return vox_pooling_rows_fit(p, VOX_LAYOUT_BLOCK16);
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
    {"rows", VOX_FORWARD, PLAIN, plain_fits, seconds_rows, build_rows, forward_rows, true},
    {"rows", VOX_FORWARD, BLOCK16, block_fits, seconds_rows, build_rows, forward_rows, true},
    {"items", VOX_FORWARD, PLAIN, NULL, seconds_items, build_items, forward_items, true},
    {"items", VOX_FORWARD, BLOCK16, NULL, seconds_items, build_items, forward_items, true},
    {"slabs", VOX_BACKWARD_DATA, PLAIN, plain_fits, seconds_slabs, build_slabs, backward_slabs,
     true},
    {"slabs", VOX_BACKWARD_DATA, BLOCK16, block_fits, seconds_slabs, build_slabs, backward_slabs,
     true},
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
