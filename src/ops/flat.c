/* flat.c - kernels that take tensors as flat arrays. */
#include "ops/flat.h"

#include <stdio.h>

#define CPU_ITEM 8192 /* 32 KiB a tensor: many work-groups, each long enough to hide its start */
#define GPU_ITEM 4
#define GPU_WG   64

const char *vox_flat_options(const vox_device *dev)
{
    return vox_device_is_cpu(dev) ? "-DITEM=8192 -DV=16" : "-DITEM=4 -DV=4";
}

vox_grid vox_flat_grid(const vox_device *dev, int64_t floats)
{
    const bool cpu = vox_device_is_cpu(dev);
    const size_t item = cpu ? CPU_ITEM : GPU_ITEM;
    const size_t items = ((size_t)floats + item - 1) / item;
    return (vox_grid){{items, 1, 1}, {cpu ? 1 : GPU_WG, 1, 1}};
}

vox_status vox_flat_build(vox_work *w, const char *file, const char *entry, vox_error *err)
{
    vox_device *dev = w->problem.dev;
    return vox_kernel_open(&w->kernel[0], dev, file, entry, vox_flat_options(dev), err);
}

vox_status vox_flat_copy_build(vox_work *w, int slot, vox_error *err)
{
    vox_device *dev = w->problem.dev;
    const bool relu = w->algo->pass == VOX_BACKWARD_DATA && w->problem.relu_in;
    char options[96];
    snprintf(options, sizeof options, "%s%s", vox_flat_options(dev),
             relu ? vox_relu_options(w) : "");
    return vox_kernel_open(&w->kernel[slot], dev, relu ? "relu.cl" : "copy.cl",
                           relu ? "relu_backward" : "copy", options, err);
}

vox_status vox_flat_copy_run(vox_work *w, int slot, const vox_io *io, vox_error *err)
{
    const bool forward = w->algo->pass == VOX_FORWARD;
    const vox_tensor *from = forward ? io->x[0] : io->dy, *to = forward ? io->y : io->dx[0];
    vox_buffer *relu = vox_relu_input(w, io);
    const int64_t floats = vox_tensor_floats(from, io->n);
    const vox_grid grid = vox_flat_grid(w->problem.dev, floats);
    const vox_arg args[] = {vox_arg_buffer(relu), vox_arg_buffer(from->buf),
                            vox_arg_buffer(to->buf), vox_arg_u64((uint64_t)floats)};
    return vox_kernel_launch(w->kernel[slot], &grid, relu ? args : args + 1, relu ? 4 : 3, err);
}

int64_t vox_tensor_floats(const vox_tensor *t, int64_t n)
{
    return n * vox_sample_floats(&t->shape, t->layout);
}

double vox_flat_seconds(const vox_problem *p, double floats)
{
    return vox_rule_seconds(p->dev, 0, 1, 4 * floats * (double)p->n_max, 0.8);
}
