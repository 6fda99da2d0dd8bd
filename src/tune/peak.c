/* peak.c - what a device can do at most, measured. */
#include "tune/peak.h"

#include "base/thread.h"

#include <stdio.h>

#define CHAINS  10 /* independent sums of a work-item: see peak.cl */
#define ROUNDS  5
#define SECONDS 0.005 /* a launch should take at least this long */

static vox_status time_launch(vox_device *dev, vox_kernel *kernel, const vox_grid *grid,
                              vox_buffer *out, int32_t loops, double *seconds, vox_error *err)
{
    const vox_arg args[] = {vox_arg_buffer(out), vox_arg_i32(loops), vox_arg_f32(0.5f),
                            vox_arg_f32(1.0f)};
    double start = vox_now();
    vox_status s = vox_kernel_launch(kernel, grid, args, 4, err);
    if (s == VOX_OK)
        s = vox_device_finish(dev, err);
    *seconds = vox_now() - start;
    return s;
}

static vox_status measure(vox_device *dev, vox_kernel *kernel, const vox_grid *grid,
                          vox_buffer *out, double flops_per_loop, double *best, vox_error *err)
{
    double seconds = 0;
    int32_t loops = 256;
    vox_status s = time_launch(dev, kernel, grid, out, loops, &seconds, err);
    do { /* the first launch compiles; then long enough to drown the launch's cost */
        loops *= 2;
        if (s == VOX_OK)
            s = time_launch(dev, kernel, grid, out, loops, &seconds, err);
    } while (s == VOX_OK && seconds < SECONDS && loops < 1 << 28);
    *best = 0;
    for (int i = 0; s == VOX_OK && i < ROUNDS; i++) {
        s = time_launch(dev, kernel, grid, out, loops, &seconds, err);
        double rate = flops_per_loop * loops / seconds;
        *best = rate > *best ? rate : *best;
    }
    return s;
}

/* CPUs: vectors as wide as theirs, a few work-items for each core; GPUs: many scalar ones. */
static size_t vector_width(const vox_device *dev)
{
    uint32_t preferred = vox_device_get(dev)->vector_width_float;
    if (!vox_device_is_cpu(dev) || preferred < 4)
        return 1;
    return preferred >= 16 ? 16 : preferred >= 8 ? 8 : 4;
}

vox_status vox_peak_flops(vox_device *dev, double *flops_per_s, vox_error *err)
{
    const vox_device_desc *d = vox_device_get(dev);
    bool cpu = vox_device_is_cpu(dev);
    size_t units = d->compute_units ? d->compute_units : 1, width = vector_width(dev);
    size_t group = cpu || d->max_work_group < 256 ? 1 : 256;
    size_t items = cpu ? units * 8 : units * 16 * 256;
    const vox_grid grid = {{items, 1, 1}, {group, 1, 1}};
    double flops_per_loop = 2.0 * CHAINS * (double)width * (double)items;
    char options[64];
    vox_kernel *kernel = NULL;
    vox_buffer *out = NULL;
    snprintf(options, sizeof options, "-DWIDTH=%zu", width);
    vox_status s = vox_kernel_open(&kernel, dev, "peak.cl", "peak", options, err);
    if (s == VOX_OK)
        s = vox_buffer_open(&out, dev, items * sizeof(float), VOX_BUFFER_DEVICE, "peak's sums",
                            err);
    if (s == VOX_OK)
        s = measure(dev, kernel, &grid, out, flops_per_loop, flops_per_s, err);
    vox_buffer_free(&out);
    vox_kernel_free(&kernel);
    return s;
}
