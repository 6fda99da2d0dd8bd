/* bench.c - the yardstick of memory-bound operations: how quickly a device copies. */
#include "ops/run.h"

#include <math.h>

#include "base/thread.h"
#include "ops/flat.h"

#define FLOATS (UINT32_C(1) << 24)

static vox_status time_copies(vox_kernel *k, vox_device *dev, vox_buffer *from, vox_buffer *to,
                              double *best, vox_error *err)
{
    const vox_grid grid = vox_flat_grid(dev, FLOATS);
    const vox_arg args[] = {vox_arg_buffer(from), vox_arg_buffer(to), vox_arg_u64(FLOATS)};
    *best = INFINITY;
    for (int i = 0; i < 12; i++) {
        double t = vox_now();
        vox_status s = vox_kernel_launch(k, &grid, args, 3, err);
        if (s == VOX_OK)
            s = vox_device_finish(dev, err);
        if (s != VOX_OK)
            return s;
        *best = fmin(*best, vox_now() - t);
    }
    return VOX_OK;
}

vox_status vt_copy_bandwidth(vox_device *dev, double *bytes_per_s, vox_error *err)
{
    static const vox_device *known; /* asked for each case: measured once per device in a row */
    static double figure;
    if (known == dev) {
        *bytes_per_s = figure;
        return VOX_OK;
    }
    vox_buffer *from = NULL, *to = NULL;
    vox_kernel *k = NULL;
    double best;
    vox_status s = vox_buffer_open(&from, dev, 4u * FLOATS, VOX_BUFFER_DEVICE, "copy", err);
    if (s == VOX_OK)
        s = vox_buffer_open(&to, dev, 4u * FLOATS, VOX_BUFFER_DEVICE, "copy", err);
    if (s == VOX_OK)
        s = vox_buffer_fill(from, 0, 4u * FLOATS, 0x3f800000u, err);
    if (s == VOX_OK)
        s = vox_kernel_open(&k, dev, "copy.cl", "copy", vox_flat_options(dev), err);
    if (s == VOX_OK)
        s = time_copies(k, dev, from, to, &best, err);
    if (s == VOX_OK) {
        *bytes_per_s = figure = 8.0 * FLOATS / best;
        known = dev;
    }
    vox_kernel_free(&k);
    vox_buffer_free(&from);
    vox_buffer_free(&to);
    return s;
}
