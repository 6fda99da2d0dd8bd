/* bench.c - timing an algorithm beside a copy of as many bytes, turn by turn, so that what else the
 * machine does, and how much fits its caches, hits both alike. */
#include "ops/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "ops/flat.h"

enum { MOST = 100 }; /* runs */

typedef struct copier {
    vox_buffer *from, *to;
    vox_kernel *kernel;
    int64_t floats;
} copier;

static void close_copier(copier *c)
{
    vox_kernel_free(&c->kernel);
    vox_buffer_free(&c->from);
    vox_buffer_free(&c->to);
}

static vox_status open_copier(copier *c, vox_device *dev, double bytes, vox_error *err)
{
    memset(c, 0, sizeof *c);
    c->floats = (int64_t)(bytes / 8) + 1; /* read and written once each */
    const size_t size = 4 * (size_t)c->floats;
    vox_status s = vox_buffer_open(&c->from, dev, size, VOX_BUFFER_DEVICE, "copy", err);
    if (s == VOX_OK)
        s = vox_buffer_open(&c->to, dev, size, VOX_BUFFER_DEVICE, "copy", err);
    if (s == VOX_OK)
        s = vox_buffer_fill(c->from, 0, size, 0x3f800000u, err);
    if (s == VOX_OK)
        s = vox_kernel_open(&c->kernel, dev, "copy.cl", "copy", vox_flat_options(dev), err);
    return s;
}

static vox_status run_copy(copier *c, vox_device *dev, vox_error *err)
{
    const vox_grid grid = vox_flat_grid(dev, c->floats);
    const vox_arg args[] = {vox_arg_buffer(c->from), vox_arg_buffer(c->to),
                            vox_arg_u64((uint64_t)c->floats)};
    return vox_kernel_launch(c->kernel, &grid, args, 3, err);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
}

vox_status vt_time(vox_work *w, const vox_io *io, double bytes, double *seconds,
                   double *copy_seconds, vox_error *err)
{
    double run[MOST], copy[MOST], begun = vox_now();
    vox_device *dev = w->problem.dev;
    copier c;
    vox_status s = open_copier(&c, dev, bytes, err);
    int count = 0;
    while (s == VOX_OK && count < MOST && (count < 7 || vox_now() - begun < 0.6)) {
        const double t0 = vox_now();
        s = w->algo->run(w, io, err);
        if (s == VOX_OK)
            s = vox_device_finish(dev, err);
        const double t1 = vox_now();
        if (s == VOX_OK)
            s = run_copy(&c, dev, err);
        if (s == VOX_OK)
            s = vox_device_finish(dev, err);
        run[count] = t1 - t0;
        copy[count++] = vox_now() - t1;
    }
    close_copier(&c);
    if (s == VOX_OK) {
        *seconds = median(run, count);
        *copy_seconds = median(copy, count);
    }
    return s;
}
