/* max_pool.c - the largest value of each window. */
#include "ops/pooling.h"

#include <stdio.h>

static const vox_attr attrs[] = {VOX_POOLING_ATTRS, {0}};

static vox_status build_rows_kernel(vox_work *w, int slot, const char *file, const char *entry,
                                    const vox_shape *written, const char *more, vox_error *err)
{
    char options[64];
    w->number[slot] = vox_pooling_run(&w->problem, written, w->algo->in);
    snprintf(options, sizeof options, "-DRUN=%lld%s", (long long)w->number[slot], more);
    return vox_pooling_kernel(w, slot, file, entry, VOX_POOLING_ROWS, options, err);
}

static vox_status build_items_kernel(vox_work *w, int slot, const char *entry, vox_error *err)
{
    return vox_pooling_kernel(w, slot, "max_pool.cl", entry, VOX_POOLING_ITEMS, "", err);
}

static vox_status build_rows(vox_work *w, vox_error *err)
{
    return build_rows_kernel(w, 0, "max_pool_rows.cl", "max_pool_rows", &w->problem.node->out, "",
                             err);
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

/* ---- backward, PLAIN on CPUs ---- */

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

static vox_status build_slabs(vox_work *w, vox_error *err)
{
    char options[96];
    const slabs s = cut(&w->problem, w->algo->in);
    w->number[0] = s.count;
    snprintf(options, sizeof options, "-DDEPTH=%lld -DHEIGHT=%lld", (long long)s.depth,
             (long long)s.height);
    return vox_pooling_kernel(w, 0, "max_pool_slabs.cl", "max_pool_backward_slabs",
                              VOX_POOLING_ROWS, options, err);
}

static vox_status backward_slabs(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->dy->buf),
                            vox_arg_buffer(io->dx[0]->buf)};
    return vox_pooling_launch_slabs(w, 0, io->dx[0], io->n, w->number[0], args, 3, err);
}

/* ---- backward by gathering: BLOCK16 on CPUs, GPUs ---- */

/* The numbers of the windows' maxima: bytes, or two where a window has too many elements. */
static vox_status open_numbers(vox_work *w, size_t bytes_each, vox_error *err)
{
    const vox_problem *p = &w->problem;
    const int64_t floats = p->n_max * vox_sample_floats(&p->node->out, w->algo->out);
    return vox_buffer_open(&w->scratch[0], p->dev, bytes_each * (size_t)floats, VOX_BUFFER_DEVICE,
                           "max_pool's indices", err);
}

static int64_t window_elements(const vox_problem *p)
{
    const vox_pooling_attr *a = p->node->attr;
    return a->kernel[0] * a->kernel[1] * a->kernel[2];
}

static vox_status build_gather_rows(vox_work *w, vox_error *err)
{
    const vox_problem *p = &w->problem;
    const vox_node *node = p->node;
    const double floats = 2 * (double)vox_sample_floats(&node->in[0], w->algo->in) +
                          (double)vox_sample_floats(&node->out, w->algo->out);
    vox_status s = open_numbers(w, window_elements(p) < 255 ? 1 : 2, err);
    if (s == VOX_OK)
        s = build_rows_kernel(w, 0, "max_pool_gather.cl", "max_pool_where", &node->out, "", err);
    if (s == VOX_OK)
        s = build_rows_kernel(w, 1, "max_pool_gather.cl", "max_pool_gather", &node->in[0],
                              vox_stream_options(p->dev, 4 * floats * (double)p->n_max), err);
    return s;
}

static vox_status gather_rows(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_arg find[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(w->scratch[0])};
    const vox_arg sum[] = {vox_arg_buffer(w->scratch[0]), vox_arg_buffer(io->dy->buf),
                           vox_arg_buffer(io->dx[0]->buf)};
    vox_status s = vox_pooling_launch_rows(w, 0, io->dy, io->n, w->number[0], find, 2, err);
    if (s == VOX_OK)
        s = vox_pooling_launch_rows(w, 1, io->dx[0], io->n, w->number[1], sum, 3, err);
    return s;
}

static vox_status build_gather_items(vox_work *w, vox_error *err)
{
    vox_status s = open_numbers(w, 4, err);
    if (s == VOX_OK)
        s = build_items_kernel(w, 0, "max_pool_index_items", err);
    if (s == VOX_OK)
        s = build_items_kernel(w, 1, "max_pool_backward_items", err);
    return s;
}

static vox_status gather_items(vox_work *w, const vox_io *io, vox_error *err)
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

static bool gather_rows_fit(const vox_problem *p)
{
    return block_fits(p) && window_elements(p) < 65535;
}

static double seconds_rows(const vox_problem *p)
{
    return vox_pooling_seconds(p, VOX_POOLING_ROWS, VOX_FORWARD);
}

static double seconds_items(const vox_problem *p)
{
    return vox_pooling_seconds(p, VOX_POOLING_ITEMS, VOX_FORWARD);
}

static double seconds_back_rows(const vox_problem *p)
{
    return vox_pooling_seconds(p, VOX_POOLING_ROWS, VOX_BACKWARD_DATA);
}

static double seconds_back_items(const vox_problem *p)
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
    {"slabs", VOX_BACKWARD_DATA, PLAIN, plain_fits, seconds_back_rows, build_slabs, backward_slabs,
     true, .no_slope = true},
    {"rows", VOX_BACKWARD_DATA, BLOCK16, gather_rows_fit, seconds_back_rows, build_gather_rows,
     gather_rows, true, .no_slope = true},
    {"gather", VOX_BACKWARD_DATA, PLAIN, NULL, seconds_back_items, build_gather_items, gather_items,
     true, .no_slope = true},
    {"gather", VOX_BACKWARD_DATA, BLOCK16, NULL, seconds_back_items, build_gather_items,
     gather_items, true, .no_slope = true},
    {0}};

const vox_op vox_op_max_pool = {.name = "max_pool",
                                .attr_bytes = sizeof(vox_pooling_attr),
                                .attrs = attrs,
                                .min_inputs = 1,
                                .max_inputs = 1,
                                .infer = vox_pooling_infer,
                                .algos = algos,
                                .backward_reads_x = true};
