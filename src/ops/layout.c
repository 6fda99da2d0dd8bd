/* layout.c - moving tensors between layouts. */
#include "ops/layout.h"

#include <inttypes.h>
#include <stdio.h>

#include "ops/flat.h"

#define CPU_ROW 256 /* 16 KiB of BLOCK16: stays in the first cache while it is read 16 times */

static int64_t voxels(const vox_node *node)
{
    return node->in[0].dim[2] * node->in[0].dim[3] * node->in[0].dim[4];
}

static vox_layout from_layout(const vox_work *w)
{
    return w->algo->pass == VOX_FORWARD ? w->algo->in : w->algo->out;
}

vox_status vox_layout_build(vox_work *w, vox_error *err)
{
    const vox_node *node = w->problem.node;
    vox_device *dev = w->problem.dev;
    if (w->algo->in == w->algo->out)
        return vox_flat_copy_build(w, 0, err);
    char options[144];
    const int row = vox_device_is_cpu(dev) ? CPU_ROW : 1;
    const double bytes =
        8 * (double)(w->problem.n_max * vox_sample_floats(&node->in[0], VOX_LAYOUT_BLOCK16));
    snprintf(options, sizeof options, "-DC=%" PRId64 " -DV=%" PRId64 " -DROW=%d%s%s",
             node->in[0].dim[1], voxels(node), row, vox_relu_options(w),
             vox_stream_options(dev, bytes));
    w->number[0] = (node->in[0].dim[1] + 15) / 16 * ((voxels(node) + row - 1) / row);
    return vox_kernel_open(
        &w->kernel[0], dev, "reorder.cl",
        from_layout(w) == VOX_LAYOUT_PLAIN ? "block_from_plain" : "plain_from_block", options, err);
}

vox_status vox_layout_run(vox_work *w, const vox_io *io, vox_error *err)
{
    if (w->algo->in == w->algo->out)
        return vox_flat_copy_run(w, 0, io, err);
    const bool forward = w->algo->pass == VOX_FORWARD;
    const vox_tensor *from = forward ? io->x[0] : io->dy, *to = forward ? io->y : io->dx[0];
    const size_t count = (size_t)(io->n * w->number[0]);
    const vox_grid grid = {{count, 1, 1}, {vox_device_is_cpu(w->problem.dev) ? 1 : 64, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(from->buf), vox_arg_buffer(to->buf),
                            vox_arg_buffer(vox_relu_input(w, io)), vox_arg_u64(count)};
    return vox_kernel_launch(w->kernel[0], &grid, args, 4, err);
}

double vox_layout_seconds(const vox_problem *p)
{
    return 2 *
           vox_flat_seconds(p, 2 * (double)vox_sample_floats(&p->node->in[0], VOX_LAYOUT_PLAIN));
}
