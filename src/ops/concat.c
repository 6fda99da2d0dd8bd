/* concat.c - y = the inputs' channels one after the other; dx = each one's share of dy.
 *
 * It copies, at the speed of memory.  The inputs could be made in their place instead, but within a
 * batch each sample's share of y lies apart, so that every kernel that may stand before a concat,
 * all that read its input again, and their backward passes would need strides between samples.  In
 * a U-Net of base 16 and depth 4 (tests/bench/unet3d.yaml) all copies, forward and back, are 2 to 3
 * % of a training step, half of which are relu's gradients, which would be left to do. */
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "ops/flat.h"

#define CPU_ROW 1024 /* floats or voxels an item */

static vox_status infer(const vox_node *node, const vox_shape *in, vox_shape *out, vox_error *err)
{
    char a[96], b[96];
    *out = in[0];
    for (int i = 1; i < node->inputs; i++) {
        vox_shape like = in[i];
        like.dim[1] = in[0].dim[1];
        if (!vox_shape_equal(&in[0], &like)) {
            vox_fail(err, VOX_ERR_INPUT, "layer %s: inputs differ in more than channels",
                     node->name);
            vox_detail(err, "input 0 is %s, input %d is %s", vox_shape_text(&in[0], a), i,
                       vox_shape_text(&in[i], b));
            return vox_hint(err, "crop or pad one of them, or make the branches' strides and "
                                 "upsamplings meet");
        }
        out->dim[1] += in[i].dim[1];
    }
    return VOX_OK;
}

static double seconds(const vox_problem *p)
{
    return vox_flat_seconds(p, 2 * (double)vox_sample_floats(&p->node->out, VOX_LAYOUT_PLAIN));
}

static int64_t voxels(const vox_node *node)
{
    return node->out.dim[2] * node->out.dim[3] * node->out.dim[4];
}

/* One kernel an input: its channels and their place are built in. */
static vox_status build(vox_work *w, vox_error *err)
{
    const vox_node *node = w->problem.node;
    const bool back = w->algo->pass == VOX_BACKWARD_DATA;
    const int row = vox_device_is_cpu(w->problem.dev) ? CPU_ROW : 1;
    int64_t at = 0;
    for (int k = 0; k < node->inputs; k++) {
        const int64_t channels = node->in[k].dim[1];
        char options[224];
        snprintf(options, sizeof options,
                 "-DC=%" PRId64 " -DAT=%" PRId64 " -DTOTAL=%" PRId64 " -DV=%" PRId64
                 " -DROW=%d%s%s",
                 channels, at, node->out.dim[1], voxels(node), row, back ? " -DBACK" : "",
                 w->problem.relu_in >> k & 1 ? vox_relu_options(w) : "");
        vox_status s = vox_kernel_open(
            &w->kernel[k], w->problem.dev, "concat.cl",
            w->algo->in == VOX_LAYOUT_PLAIN ? "concat_plain" : "concat_block", options, err);
        if (s != VOX_OK)
            return s;
        at += channels;
    }
    return VOX_OK;
}

static vox_grid grid_of(const vox_work *w, int k, int64_t n)
{
    const vox_node *node = w->problem.node;
    const bool cpu = vox_device_is_cpu(w->problem.dev);
    const int64_t row = cpu ? CPU_ROW : 1, channels = node->in[k].dim[1];
    vox_grid grid = {{0, (size_t)n, 1}, {cpu ? 1 : 0, cpu ? 1 : 0, cpu ? 1 : 0}};
    if (w->algo->in == VOX_LAYOUT_PLAIN) {
        grid.global[0] = (size_t)((channels * voxels(node) + row - 1) / row);
    } else {
        grid.global[0] = (size_t)((voxels(node) + row - 1) / row);
        grid.global[1] = (size_t)((channels + 15) / 16);
        grid.global[2] = (size_t)n;
    }
    return grid;
}

static vox_status run(vox_work *w, const vox_io *io, vox_error *err)
{
    const bool back = w->algo->pass == VOX_BACKWARD_DATA;
    vox_status s = VOX_OK;
    for (int k = 0; k < w->problem.node->inputs && s == VOX_OK; k++) {
        if (back && !io->dx[k])
            continue;
        const vox_grid grid = grid_of(w, k, io->n);
        const bool masked = w->problem.relu_in >> k & 1;
        const vox_arg args[] = {vox_arg_buffer(back ? io->dx[k]->buf : io->x[k]->buf),
                                vox_arg_buffer(back ? io->dy->buf : io->y->buf),
                                vox_arg_buffer(masked ? io->x[k]->buf : NULL)};
        s = vox_kernel_launch(w->kernel[k], &grid, args, 3, err);
    }
    return s;
}

#define PLAIN   VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN
#define BLOCK16 VOX_LAYOUT_BLOCK16, VOX_LAYOUT_BLOCK16

static const vox_algo algos[] = {
    {"rows", VOX_FORWARD, PLAIN, NULL, seconds, build, run},
    {"rows", VOX_FORWARD, BLOCK16, NULL, seconds, build, run},
    {"rows", VOX_BACKWARD_DATA, PLAIN, NULL, seconds, build, run, .fuses_relu = true},
    {"rows", VOX_BACKWARD_DATA, BLOCK16, NULL, seconds, build, run, .fuses_relu = true},
    {0}};

const vox_op vox_op_concat = {.name = "concat",
                              .min_inputs = 2,
                              .max_inputs = VOX_MAX_INPUTS,
                              .infer = infer,
                              .algos = algos,
                              .cheap = true};
