/* avg_pool.c - the mean of each window. */
#include "ops/pooling.h"

#include <stdio.h>

static const vox_attr attrs[] = {VOX_POOLING_ATTRS,
                                 {"count_include_pad", VOX_ATTR_BOOL,
                                  offsetof(vox_pooling_attr, count_include_pad), false, 1, 0, 1,
                                  NULL, NULL, "padding counts as elements of the mean"},
                                 {0}};

static const char *padding(const vox_work *w)
{
    const vox_pooling_attr *a = w->problem.node->attr;
    return a->count_include_pad ? "-DINCLUDE_PAD=1" : "-DINCLUDE_PAD=0";
}

static vox_status build_rows(vox_work *w, vox_error *err)
{
    const vox_node *node = w->problem.node;
    const bool forward = w->algo->pass == VOX_FORWARD;
    char options[64];
    const double bytes = 4 * (double)w->problem.n_max *
                         (double)(vox_sample_floats(&node->in[0], w->algo->in) +
                                  vox_sample_floats(&node->out, w->algo->out));
    w->number[0] = vox_pooling_run(&w->problem, forward ? &node->out : &node->in[0], w->algo->in);
    snprintf(options, sizeof options, "%s -DRUN=%lld%s", padding(w), (long long)w->number[0],
             forward ? "" : vox_stream_options(w->problem.dev, bytes));
    return vox_pooling_kernel(w, 0, "avg_pool_rows.cl",
                              forward ? "avg_pool_rows" : "avg_pool_backward_rows",
                              VOX_POOLING_ROWS, options, err);
}

static vox_status build_items(vox_work *w, vox_error *err)
{
    return vox_pooling_kernel(w, 0, "avg_pool.cl",
                              w->algo->pass == VOX_FORWARD ? "avg_pool_items"
                                                           : "avg_pool_backward_items",
                              VOX_POOLING_ITEMS, padding(w), err);
}

static const vox_tensor *from(const vox_work *w, const vox_io *io)
{
    return w->algo->pass == VOX_FORWARD ? io->x[0] : io->dy;
}

static const vox_tensor *to(const vox_work *w, const vox_io *io)
{
    return w->algo->pass == VOX_FORWARD ? io->y : io->dx[0];
}

/* Only the backward kernels take the relu's output. */
static size_t count(const vox_work *w)
{
    return w->algo->pass == VOX_FORWARD ? 2 : 3;
}

static vox_status run_rows(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_tensor *out = to(w, io);
    const vox_arg args[] = {vox_arg_buffer(from(w, io)->buf), vox_arg_buffer(out->buf),
                            vox_arg_buffer(vox_relu_input(w, io))};
    return vox_pooling_launch_rows(w, 0, out, io->n, w->number[0], args, count(w), err);
}

static vox_status run_items(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_tensor *out = to(w, io);
    const vox_arg args[] = {vox_arg_buffer(from(w, io)->buf), vox_arg_buffer(out->buf),
                            vox_arg_buffer(vox_relu_input(w, io))};
    return vox_pooling_launch_items(w, 0, out, io->n, args, count(w), err);
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

#define PLAIN   VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN
#define BLOCK16 VOX_LAYOUT_BLOCK16, VOX_LAYOUT_BLOCK16

static const vox_algo algos[] = {
    {"rows", VOX_FORWARD, PLAIN, plain_fits, seconds_rows, build_rows, run_rows, true},
    {"rows", VOX_FORWARD, BLOCK16, block_fits, seconds_rows, build_rows, run_rows, true},
    {"items", VOX_FORWARD, PLAIN, NULL, seconds_items, build_items, run_items, true},
    {"items", VOX_FORWARD, BLOCK16, NULL, seconds_items, build_items, run_items, true},
    {"rows", VOX_BACKWARD_DATA, PLAIN, plain_fits, seconds_rows, build_rows, run_rows, true},
    {"rows", VOX_BACKWARD_DATA, BLOCK16, block_fits, seconds_rows, build_rows, run_rows, true},
    {"items", VOX_BACKWARD_DATA, PLAIN, NULL, seconds_items, build_items, run_items, true},
    {"items", VOX_BACKWARD_DATA, BLOCK16, NULL, seconds_items, build_items, run_items, true},
    {0}};

const vox_op vox_op_avg_pool = {.name = "avg_pool",
                                .attr_bytes = sizeof(vox_pooling_attr),
                                .attrs = attrs,
                                .min_inputs = 1,
                                .max_inputs = 1,
                                .infer = vox_pooling_infer,
                                .algos = algos};
