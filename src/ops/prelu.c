/* prelu.c - y = x where positive, weight * x elsewhere, as PyTorch's PReLU: one weight, or one for
 * each channel, starting at 0.25. */
#include "ops/flat.h"

#include <inttypes.h>
#include <stdio.h>

#define CPU_ROW    4096
#define CPU_SHARES 16 /* of a plane: parts of the weights' gradient */
#define GPU_SHARES 256
#define GPU_WG     64

enum { ONE, CHANNELS };

typedef struct prelu_attr {
    int parameters;
} prelu_attr;

static const char *const parameters_words[] = {"one", "channels", NULL};

static const vox_attr attrs[] = {{.key = "parameters",
                                  .kind = VOX_ATTR_WORD,
                                  .offset = offsetof(prelu_attr, parameters),
                                  .dflt = ONE,
                                  .words = parameters_words,
                                  .help = "one weight, or one for each channel"},
                                 {0}};

static int64_t weights(const vox_node *node)
{
    const prelu_attr *a = node->attr;
    return a->parameters == CHANNELS ? node->in[0].dim[1] : 1;
}

static int params(const vox_node *node, vox_param out[VOX_MAX_PARAMS])
{
    out[0] = (vox_param){"weight", {1, {weights(node)}}, VOX_INIT_CONSTANT, 0.25, true};
    return 1;
}

static double seconds(const vox_problem *p)
{
    return vox_flat_seconds(p, 2 * (double)vox_sample_floats(&p->node->out, VOX_LAYOUT_PLAIN));
}

static double seconds_backward(const vox_problem *p)
{
    return 1.5 * seconds(p);
}

static int64_t voxels(const vox_node *node)
{
    return node->out.dim[2] * node->out.dim[3] * node->out.dim[4];
}

static int64_t planes(const vox_work *w)
{
    const int64_t lanes = w->algo->in == VOX_LAYOUT_BLOCK16 ? 16 : 1;
    return (w->problem.node->out.dim[1] + lanes - 1) / lanes;
}

static vox_status open_kernel(vox_work *w, int i, const char *entry, vox_error *err)
{
    const vox_node *node = w->problem.node;
    const bool cpu = vox_device_is_cpu(w->problem.dev);
    const prelu_attr *a = node->attr;
    char options[128];
    snprintf(options, sizeof options, "-DC=%" PRId64 " -DV=%" PRId64 " -DLANES=%d -DROW=%d%s%s",
             node->out.dim[1], voxels(node), w->algo->in == VOX_LAYOUT_BLOCK16 ? 16 : 1,
             cpu ? CPU_ROW : 1, a->parameters == CHANNELS ? " -DEACH" : "", cpu ? "" : " -DAPART");
    return vox_kernel_open(&w->kernel[i], w->problem.dev, "prelu.cl", entry, options, err);
}

static vox_status build(vox_work *w, vox_error *err)
{
    return open_kernel(w, 0, w->algo->pass == VOX_FORWARD ? "prelu_forward" : "prelu_backward",
                       err);
}

static vox_grid grid_of(const vox_work *w, int64_t n)
{
    const bool cpu = vox_device_is_cpu(w->problem.dev);
    const int64_t row = cpu ? CPU_ROW : 1;
    return (vox_grid){
        {(size_t)((voxels(w->problem.node) + row - 1) / row), (size_t)planes(w), (size_t)n},
        {cpu ? 1 : 0, cpu ? 1 : 0, cpu ? 1 : 0}};
}

static vox_status forward(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_grid grid = grid_of(w, io->n);
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->param[0]),
                            vox_arg_buffer(io->y->buf)};
    return vox_kernel_launch(w->kernel[0], &grid, args, 3, err);
}

static vox_status backward(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_grid grid = grid_of(w, io->n);
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->dy->buf),
                            vox_arg_buffer(io->param[0]), vox_arg_buffer(io->dx[0]->buf)};
    return vox_kernel_launch(w->kernel[0], &grid, args, 4, err);
}

/* ---- the weights' gradient ---- */

static int64_t shares(const vox_work *w)
{
    return vox_device_is_cpu(w->problem.dev) ? CPU_SHARES : GPU_SHARES;
}

static vox_status build_weights(vox_work *w, vox_error *err)
{
    const size_t floats = (size_t)(shares(w) * w->problem.node->out.dim[1]);
    vox_status s = open_kernel(w, 0, "prelu_parts", err);
    if (s == VOX_OK)
        s = open_kernel(w, 1, "prelu_weights", err);
    return s == VOX_OK ? vox_buffer_open(&w->scratch[0], w->problem.dev, floats * sizeof(float),
                                         VOX_BUFFER_DEVICE, "partial weight gradients", err)
                       : s;
}

static vox_status run_weights(vox_work *w, const vox_io *io, vox_error *err)
{
    const bool cpu = vox_device_is_cpu(w->problem.dev);
    const vox_grid grid = {{(size_t)shares(w), (size_t)planes(w), 1}, {cpu ? 1 : GPU_WG, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->dy->buf),
                            vox_arg_buffer(w->scratch[0]), vox_arg_i32((int32_t)io->n)};
    vox_status s = vox_kernel_launch(w->kernel[0], &grid, args, 4, err);
    const vox_grid sums = {{(size_t)weights(w->problem.node), 1, 1}, {0}};
    const vox_arg sums_args[] = {vox_arg_buffer(w->scratch[0]), vox_arg_buffer(io->dparam[0]),
                                 vox_arg_i32((int32_t)shares(w)), vox_arg_i32(io->accumulate)};
    return s == VOX_OK ? vox_kernel_launch(w->kernel[1], &sums, sums_args, 4, err) : s;
}

#define PLAIN   VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN
#define BLOCK16 VOX_LAYOUT_BLOCK16, VOX_LAYOUT_BLOCK16

static const vox_algo algos[] = {
    {"rows", VOX_FORWARD, PLAIN, NULL, seconds, build, forward},
    {"rows", VOX_FORWARD, BLOCK16, NULL, seconds, build, forward},
    {"rows", VOX_BACKWARD_DATA, PLAIN, NULL, seconds_backward, build, backward},
    {"rows", VOX_BACKWARD_DATA, BLOCK16, NULL, seconds_backward, build, backward},
    {"rows", VOX_BACKWARD_WEIGHTS, PLAIN, NULL, seconds, build_weights, run_weights},
    {"rows", VOX_BACKWARD_WEIGHTS, BLOCK16, NULL, seconds, build_weights, run_weights},
    {0}};

const vox_op vox_op_prelu = {.name = "prelu",
                             .attr_bytes = sizeof(prelu_attr),
                             .attrs = attrs,
                             .min_inputs = 1,
                             .max_inputs = 1,
                             .infer = vox_infer_same,
                             .params = params,
                             .algos = algos,
                             .backward_reads_x = true};
