/* timing.c - how long something takes on a device. */
#include "tune/timing.h"

#include "base/thread.h"
#include "ops/flat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE  3.0 /* seconds, after which the runs that there are must do */
#define ENOUGH    0.5 /* seconds of runs, when their number is left open */
#define LEAST     5
#define PROFILED  10
#define COPY_MOST 268435456.0 /* bytes; more than that is reckoned from this */

/* ---- the copy ---- */

typedef struct copier {
    vox_buffer *from, *to;
    vox_kernel *kernel;
    int64_t floats;
    double scale; /* of its time, to stand for all the bytes */
} copier;

static void copier_close(copier *c)
{
    vox_kernel_free(&c->kernel);
    vox_buffer_free(&c->from);
    vox_buffer_free(&c->to);
}

static vox_status copier_open(copier *c, vox_device *dev, double bytes, vox_error *err)
{
    const double most = bytes < COPY_MOST ? bytes : COPY_MOST;
    memset(c, 0, sizeof *c);
    c->floats = (int64_t)(most / 8) + 1; /* read and written once each */
    c->scale = bytes > most ? bytes / most : 1;
    const size_t size = sizeof(float) * (size_t)c->floats;
    vox_status s = vox_buffer_open(&c->from, dev, size, VOX_BUFFER_DEVICE, "a copy", err);
    if (s == VOX_OK)
        s = vox_buffer_open(&c->to, dev, size, VOX_BUFFER_DEVICE, "a copy", err);
    if (s == VOX_OK) /* pages that were never written may all be one page of zeros */
        s = vox_buffer_fill(c->from, 0, size, 0x3f800000u, err);
    if (s == VOX_OK)
        s = vox_kernel_open(&c->kernel, dev, "copy.cl", "copy", vox_flat_options(dev), err);
    return s;
}

static vox_status copier_run(copier *c, vox_device *dev, vox_error *err)
{
    const vox_grid grid = vox_flat_grid(dev, c->floats);
    const vox_arg args[] = {vox_arg_buffer(c->from), vox_arg_buffer(c->to),
                            vox_arg_u64((uint64_t)c->floats)};
    return vox_kernel_launch(c->kernel, &grid, args, 3, err);
}

/* ---- runs ---- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* copy NULL: the run itself. */
static vox_status once(vox_device *dev, vox_timed run, void *what, copier *copy, double *seconds,
                       vox_error *err)
{
    const double start = vox_now();
    vox_status s = copy ? copier_run(copy, dev, err) : run(what, err);
    if (s == VOX_OK)
        s = vox_device_finish(dev, err);
    *seconds = vox_now() - start;
    return s;
}

static bool is_enough(int64_t done, int64_t repeat, double spent)
{
    if (done == VOX_TIMING_MOST || spent > PATIENCE)
        return done > 0;
    return repeat ? done == repeat : done >= LEAST && spent > ENOUGH;
}

static vox_status by_clock(vox_device *dev, vox_timed run, void *what, copier *copy, int64_t repeat,
                           vox_timing *out, vox_error *err)
{
    double seconds[VOX_TIMING_MOST], copied[VOX_TIMING_MOST];
    int64_t done;
    vox_status s = copy ? once(dev, run, what, copy, &copied[0], err) : VOX_OK;
    if (s == VOX_OK)
        s = once(dev, run, what, NULL, &seconds[0], err);
    const double begun = vox_now();
    const bool slow = s == VOX_OK && seconds[0] > PATIENCE; /* it stands for itself */
    for (done = slow; s == VOX_OK && !slow && !is_enough(done, repeat, vox_now() - begun); done++) {
        if (copy)
            s = once(dev, run, what, copy, &copied[done], err);
        if (s == VOX_OK)
            s = once(dev, run, what, NULL, &seconds[done], err);
    }
    if (s != VOX_OK)
        return s;
    qsort(seconds, (size_t)done, sizeof *seconds, by_value);
    qsort(copied, (size_t)done, sizeof *copied, by_value);
    out->median = seconds[done / 2];
    out->least = seconds[0];
    out->most = seconds[done - 1];
    out->copy_seconds = copy ? copied[done / 2] * copy->scale : (double)NAN;
    return VOX_OK;
}

static vox_status by_events(vox_device *dev, vox_timed run, void *what, vox_timing *out,
                            vox_error *err)
{
    double seconds = 0, spent = 0;
    int64_t done = 0, launches;
    vox_status s = vox_device_profile(dev, true, err);
    vox_device_label(dev, 0);
    for (; s == VOX_OK && done < PROFILED && spent < ENOUGH; done++) {
        double one;
        s = once(dev, run, what, NULL, &one, err);
        spent += one;
    }
    if (s == VOX_OK)
        s = vox_device_profile_take(dev, 0, &seconds, &launches, err);
    vox_status off = vox_device_profile(dev, false, s == VOX_OK ? err : NULL);
    out->device = seconds / (double)(done ? done : 1);
    return s == VOX_OK ? off : s;
}

vox_status vox_time_runs(vox_device *dev, vox_timed run, void *what, double bytes, int64_t repeat,
                         vox_timing *out, vox_error *err)
{
    copier copy = {0};
    vox_status s = bytes > 0 ? copier_open(&copy, dev, bytes, err) : VOX_OK;
    if (s == VOX_OK)
        s = by_clock(dev, run, what, bytes > 0 ? &copy : NULL, repeat, out, err);
    copier_close(&copy);
    out->device = NAN;
    return s == VOX_OK && out->least <= PATIENCE ? by_events(dev, run, what, out, err) : s;
}
