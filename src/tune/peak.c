/* peak.c - what a device can do at most, measured. */
#include "tune/peak.h"

#include "base/thread.h"
#include "ops/flat.h"

#include <stdio.h>

#define CHAINS  10 /* independent sums of a work-item: see peak.cl */
#define ROUNDS  5
#define SECONDS 0.005 /* a launch should take at least this long */
#define COPIED  268435456

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

/* ---- copying ---- */

static vox_status time_copy(vox_device *dev, vox_kernel *kernel, vox_buffer *from, vox_buffer *to,
                            double *seconds, vox_error *err)
{
    const int64_t floats = (int64_t)(vox_buffer_bytes(from) / sizeof(float));
    const vox_grid grid = vox_flat_grid(dev, floats);
    const vox_arg args[] = {vox_arg_buffer(from), vox_arg_buffer(to),
                            vox_arg_u64((uint64_t)floats)};
    const double start = vox_now();
    vox_status s = vox_kernel_launch(kernel, &grid, args, 3, err);
    if (s == VOX_OK)
        s = vox_device_finish(dev, err);
    *seconds = vox_now() - start;
    return s;
}

static size_t copy_bytes(const vox_device_desc *d)
{
    uint64_t most = d->global_mem_bytes / 8;
    most = d->max_alloc_bytes < most ? d->max_alloc_bytes : most;
    most = COPIED < most ? COPIED : most;
    return most < 1048576 ? 1048576 : (size_t)(most / 1048576 * 1048576);
}

vox_status vox_peak_copy(vox_device *dev, vox_copy_rate *rate, vox_error *err)
{
    const size_t bytes = copy_bytes(vox_device_get(dev));
    vox_buffer *from = NULL, *to = NULL;
    vox_kernel *kernel = NULL;
    double best = 0;
    vox_status s = vox_buffer_open(&from, dev, bytes, VOX_BUFFER_DEVICE, "peak's copy", err);
    if (s == VOX_OK)
        s = vox_buffer_open(&to, dev, bytes, VOX_BUFFER_DEVICE, "peak's copy", err);
    if (s == VOX_OK) /* pages that were never written may all be one page of zeros */
        s = vox_buffer_fill(from, 0, bytes, 0x3f800000u, err);
    if (s == VOX_OK)
        s = vox_kernel_open(&kernel, dev, "copy.cl", "copy", vox_flat_options(dev), err);
    for (int i = 0; s == VOX_OK && i <= ROUNDS; i++) { /* the first compiles and touches pages */
        double seconds = 0;
        s = time_copy(dev, kernel, from, to, &seconds, err);
        if (i > 0 && s == VOX_OK && 2.0 * (double)bytes / seconds > best)
            best = 2.0 * (double)bytes / seconds;
    }
    if (s == VOX_OK)
        *rate = (vox_copy_rate){best, bytes};
    vox_kernel_free(&kernel);
    vox_buffer_free(&from);
    vox_buffer_free(&to);
    return s;
}
