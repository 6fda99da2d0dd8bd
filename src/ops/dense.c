/* dense.c - y = x W^T + b; W [out, in] as PyTorch's Linear has it. */
#include "ops/dense.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/error.h"

static const vox_attr attrs[] = {{"out", VOX_ATTR_INT, offsetof(vox_dense_attr, out), true, 0, 1,
                                  1 << 24, NULL, NULL, "features it gives"},
                                 {"bias", VOX_ATTR_BOOL, offsetof(vox_dense_attr, bias), false, 1,
                                  0, 1, NULL, NULL, "add a learned number to each feature"},
                                 {0}};

int64_t vox_dense_in(const vox_node *node)
{
    return node->in[0].dim[1];
}

int64_t vox_dense_out(const vox_node *node)
{
    return ((const vox_dense_attr *)node->attr)->out;
}

bool vox_dense_bias(const vox_node *node)
{
    return ((const vox_dense_attr *)node->attr)->bias;
}

static vox_status infer(const vox_node *node, const vox_shape *in, vox_shape *out, vox_error *err)
{
    const int64_t *d = in[0].dim;
    char shape[96];
    if (d[2] != 1 || d[3] != 1 || d[4] != 1) {
        vox_fail(err, VOX_ERR_INPUT, "layer %s: dense takes features, not a volume", node->name);
        vox_detail(err, "input %s, out %" PRId64, vox_shape_text(&in[0], shape),
                   vox_dense_out(node));
        vox_hint(err, "put flatten (or global_avg_pool) before it");
        return VOX_ERR_INPUT;
    }
    if (d[1] >= INT64_C(1) << 31 || d[1] * vox_dense_out(node) >= INT64_C(1) << 40) {
        vox_fail(err, VOX_ERR_INPUT, "layer %s: dense is too large", node->name);
        vox_detail(err, "%" PRId64 " features to %" PRId64, d[1], vox_dense_out(node));
        vox_hint(err, "pool more before flatten");
        return VOX_ERR_INPUT;
    }
    *out = (vox_shape){5, {d[0], vox_dense_out(node), 1, 1, 1}};
    return VOX_OK;
}

static int params(const vox_node *node, vox_param out[VOX_MAX_PARAMS])
{
    const int64_t in = vox_dense_in(node);
    const double bound = 1 / sqrt((double)in);
    out[0] = (vox_param){"weight", {2, {vox_dense_out(node), in}}, VOX_INIT_UNIFORM, bound, true};
    out[1] = (vox_param){"bias", {1, {vox_dense_out(node)}}, VOX_INIT_UNIFORM, bound, true};
    return vox_dense_bias(node) ? 2 : 1;
}

static double flops(const vox_node *node, vox_pass pass)
{
    (void)pass;
    return 2.0 * (double)vox_dense_in(node) * (double)vox_dense_out(node);
}

static double rule(const vox_problem *p, double flop_share, double byte_share)
{
    double weights = (double)vox_dense_in(p->node) * (double)vox_dense_out(p->node);
    return vox_rule_seconds(p->dev, 2 * weights * (double)p->n_max, flop_share, 4 * weights,
                            byte_share);
}

static vox_status open_kernel(vox_work *w, int slot, const char *file, const char *entry,
                              const char *more, vox_error *err)
{
    const vox_node *node = w->problem.node;
    char options[208];
    snprintf(options, sizeof options, "-DIN=%" PRId64 " -DOUT=%" PRId64 " -DBIAS=%d %s%s",
             vox_dense_in(node), vox_dense_out(node), vox_dense_bias(node), more,
             vox_relu_options(w));
    return vox_kernel_open(&w->kernel[slot], w->problem.dev, file, entry, options, err);
}

static size_t ceil_div(int64_t a, int64_t b)
{
    return (size_t)((a + b - 1) / b);
}

/* ---- arguments, the same for all kernels ---- */

/* tail: the kernel takes n. */
static vox_status launch_forward(vox_work *w, const vox_grid *grid, const vox_io *io, bool tail,
                                 vox_error *err)
{
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->param[0]),
                            vox_arg_buffer(vox_dense_bias(w->problem.node) ? io->param[1] : NULL),
                            vox_arg_buffer(io->y->buf), vox_arg_u32((uint32_t)io->n)};
    return vox_kernel_launch(w->kernel[0], grid, args, tail ? 5 : 4, err);
}

static vox_status launch_data(vox_work *w, const vox_grid *grid, const vox_io *io, vox_buffer *to,
                              bool tail, vox_error *err)
{
    const vox_arg args[] = {vox_arg_buffer(io->dy->buf), vox_arg_buffer(io->param[0]),
                            vox_arg_buffer(to), vox_arg_buffer(vox_relu_input(w, io)),
                            vox_arg_u32((uint32_t)io->n)};
    return vox_kernel_launch(w->kernel[0], grid, args, tail ? 5 : 4, err);
}

static vox_status launch_weights(vox_work *w, const vox_grid *grid, const vox_io *io,
                                 vox_error *err)
{
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf),
                            vox_arg_buffer(io->dy->buf),
                            vox_arg_buffer(io->dparam[0]),
                            vox_arg_buffer(vox_dense_bias(w->problem.node) ? io->dparam[1] : NULL),
                            vox_arg_u32((uint32_t)io->n),
                            vox_arg_u32(io->accumulate)};
    return vox_kernel_launch(w->kernel[0], grid, args, 6, err);
}

/* ---- naive ---- */

static double naive_seconds(const vox_problem *p)
{
    return rule(p, 0.005, 0.05);
}

static vox_status naive_build(vox_work *w, vox_error *err)
{
    static const char *const entry[] = {"dense_naive_forward", "dense_naive_backward_data",
                                        "dense_naive_backward_weights"};
    return open_kernel(w, 0, "dense_naive.cl", entry[w->algo->pass], "", err);
}

static vox_grid grid2(int64_t x, int64_t y)
{
    return (vox_grid){{(size_t)x, (size_t)y, 1}, {0}};
}

static vox_status naive_forward(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_grid grid = grid2(vox_dense_out(w->problem.node), io->n);
    return launch_forward(w, &grid, io, false, err);
}

static vox_status naive_data(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_grid grid = grid2(vox_dense_in(w->problem.node), io->n);
    return launch_data(w, &grid, io, io->dx[0]->buf, false, err);
}

static vox_status naive_weights(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_grid grid = grid2(vox_dense_in(w->problem.node), vox_dense_out(w->problem.node));
    return launch_weights(w, &grid, io, err);
}

/* ---- group: GPUs ---- */

#define GROUP_WG     64
#define GROUP_SLICES 4
#define GROUP_NB     4

static double group_seconds(const vox_problem *p)
{
    return vox_device_is_cpu(p->dev) ? rule(p, 0.01, 0.1) : rule(p, 0.1, 0.5);
}

static bool group_fits(const vox_problem *p)
{
    const vox_device_desc *d = vox_device_get(p->dev);
    return d->max_work_group >= GROUP_WG * GROUP_SLICES &&
           d->local_mem_bytes >= 4 * GROUP_WG * GROUP_SLICES * GROUP_NB;
}

static vox_status group_build(vox_work *w, vox_error *err)
{
    static const char *const entry[] = {"dense_group_forward", "dense_group_backward_data",
                                        "dense_group_backward_weights"};
    char more[64];
    snprintf(more, sizeof more, "-DWG=%d -DSLICES=%d -DNB=%d", GROUP_WG, GROUP_SLICES, GROUP_NB);
    return open_kernel(w, 0, "dense_group.cl", entry[w->algo->pass], more, err);
}

static vox_status group_forward(vox_work *w, const vox_io *io, vox_error *err)
{
    const size_t out = (size_t)vox_dense_out(w->problem.node);
    const vox_grid grid = {{GROUP_WG * out, ceil_div(io->n, GROUP_NB), 1}, {GROUP_WG, 1, 1}};
    return launch_forward(w, &grid, io, true, err);
}

static vox_status group_data(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_grid grid = {
        {(size_t)vox_dense_in(w->problem.node), GROUP_SLICES, ceil_div(io->n, GROUP_NB)},
        {GROUP_WG, GROUP_SLICES, 1}};
    return launch_data(w, &grid, io, io->dx[0]->buf, true, err);
}

static vox_status group_weights(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_grid grid = {
        {(size_t)vox_dense_in(w->problem.node), (size_t)vox_dense_out(w->problem.node), 1},
        {GROUP_WG, 1, 1}};
    return launch_weights(w, &grid, io, err);
}

/* ---- stream: CPUs ---- */

#define STREAM_ROWS 4

static double stream_seconds(const vox_problem *p)
{
    return vox_device_is_cpu(p->dev) ? rule(p, 0.3, 0.8) : rule(p, 0.002, 0.02);
}

/* Rows of W per part of backward_data: a multiple of STREAM_ROWS that gives each compute unit four
 * parts, but no part under 64 rows, beside which adding up the parts is nothing. */
static int64_t stream_share(const vox_problem *p)
{
    int64_t units = vox_device_get(p->dev)->compute_units;
    int64_t share = vox_dense_out(p->node) / (4 * (units ? units : 1)) / STREAM_ROWS * STREAM_ROWS;
    return share < 64 ? 64 : share;
}

static vox_status stream_build(vox_work *w, vox_error *err)
{
    static const char *const entry[] = {"dense_stream_forward", "dense_stream_backward_data",
                                        "dense_stream_backward_weights"};
    const vox_problem *p = &w->problem;
    char more[80];
    snprintf(more, sizeof more, "-DROWS=%d -DNB=%d -DSHARE=%" PRId64, STREAM_ROWS,
             p->n_max < 4 ? (int)p->n_max : 4, stream_share(p));
    vox_status s = open_kernel(w, 0, "dense_stream.cl", entry[w->algo->pass], more, err);
    if (s != VOX_OK || w->algo->pass != VOX_BACKWARD_DATA)
        return s;
    w->number[0] = (int64_t)ceil_div(vox_dense_out(p->node), stream_share(p));
    if (w->number[0] == 1)
        return VOX_OK; /* the only part is dx itself */
    const size_t floats = (size_t)(w->number[0] * p->n_max * vox_dense_in(p->node));
    s = vox_buffer_open(&w->scratch[0], p->dev, 4 * floats, VOX_BUFFER_DEVICE, "parts of dx", err);
    if (s == VOX_OK)
        s = open_kernel(w, 1, "dense_stream.cl", "dense_stream_add_parts", more, err);
    return s;
}

static vox_grid stream_grid(const vox_work *w)
{
    return (vox_grid){{ceil_div(vox_dense_out(w->problem.node), STREAM_ROWS), 1, 1}, {1, 1, 1}};
}

static vox_status stream_forward(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_grid grid = stream_grid(w);
    return launch_forward(w, &grid, io, true, err);
}

static vox_status stream_data(vox_work *w, const vox_io *io, vox_error *err)
{
    const size_t parts = (size_t)w->number[0];
    const vox_grid grid = {{parts, 1, 1}, {1, 1, 1}};
    if (parts == 1)
        return launch_data(w, &grid, io, io->dx[0]->buf, true, err);
    vox_status s = launch_data(w, &grid, io, w->scratch[0], true, err);
    if (s != VOX_OK)
        return s;
    const int64_t count = io->n * vox_dense_in(w->problem.node);
    const vox_grid add = {{ceil_div(count, 16), 1, 1}, {64, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(w->scratch[0]), vox_arg_buffer(io->dx[0]->buf),
                            vox_arg_buffer(vox_relu_input(w, io)), vox_arg_u32((uint32_t)parts),
                            vox_arg_u64((uint64_t)count)};
    return vox_kernel_launch(w->kernel[1], &add, args, 5, err);
}

static vox_status stream_weights(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_grid grid = stream_grid(w);
    return launch_weights(w, &grid, io, err);
}

#define PLAIN VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN

static const vox_algo algos[] = {
    {"naive", VOX_FORWARD, PLAIN, NULL, naive_seconds, naive_build, naive_forward, true},
    {"naive", VOX_BACKWARD_DATA, PLAIN, NULL, naive_seconds, naive_build, naive_data, true},
    {"naive", VOX_BACKWARD_WEIGHTS, PLAIN, NULL, naive_seconds, naive_build, naive_weights},
    {"group", VOX_FORWARD, PLAIN, group_fits, group_seconds, group_build, group_forward, true},
    {"group", VOX_BACKWARD_DATA, PLAIN, group_fits, group_seconds, group_build, group_data, true},
    {"group", VOX_BACKWARD_WEIGHTS, PLAIN, group_fits, group_seconds, group_build, group_weights},
    {"stream", VOX_FORWARD, PLAIN, NULL, stream_seconds, stream_build, stream_forward, true},
    {"stream", VOX_BACKWARD_DATA, PLAIN, NULL, stream_seconds, stream_build, stream_data, true},
    {"stream", VOX_BACKWARD_WEIGHTS, PLAIN, NULL, stream_seconds, stream_build, stream_weights},
    {"gemm", VOX_FORWARD, PLAIN, vox_dense_gemm_fits, vox_dense_gemm_seconds, vox_dense_gemm_build,
     vox_dense_gemm_forward, true},
    {"gemm", VOX_BACKWARD_DATA, PLAIN, vox_dense_gemm_fits, vox_dense_gemm_seconds,
     vox_dense_gemm_build, vox_dense_gemm_backward_data},
    {"gemm", VOX_BACKWARD_WEIGHTS, PLAIN, vox_dense_gemm_fits, vox_dense_gemm_seconds,
     vox_dense_gemm_build, vox_dense_gemm_backward_weights},
    {0}};

const vox_op vox_op_dense = {.name = "dense",
                             .attr_bytes = sizeof(vox_dense_attr),
                             .attrs = attrs,
                             .min_inputs = 1,
                             .max_inputs = 1,
                             .infer = infer,
                             .params = params,
                             .flops = flops,
                             .algos = algos,
                             .backward_reads_x = true,
                             .factors = true};
