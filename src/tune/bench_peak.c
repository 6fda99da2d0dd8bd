/* bench_peak.c - vox_bench_peak: what each device can do at most, in arithmetic and in copying.
 *
 * Other programs on the machine can only make the figures smaller, so the best of several rounds is
 * the ceiling; the median is given beside it, to show how quiet the machine was. */
#include "tune/peak.h"

#include "base/json.h"

#include <stdlib.h>

#define ROUNDS 5

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Both ceilings in turns, so that a busy moment hits both. */
static vox_status measure(vox_device *dev, double flops[ROUNDS], vox_copy_rate *copy,
                          double bytes_per_s[ROUNDS], vox_error *err)
{
    vox_status s = VOX_OK;
    for (int i = 0; s == VOX_OK && i < ROUNDS; i++) {
        s = vox_peak_flops(dev, &flops[i], err);
        if (s == VOX_OK)
            s = vox_peak_copy(dev, copy, err);
        bytes_per_s[i] = copy->bytes_per_s;
    }
    qsort(flops, ROUNDS, sizeof *flops, by_value);
    qsort(bytes_per_s, ROUNDS, sizeof *bytes_per_s, by_value);
    return s;
}

static vox_status put_device(vox_json *j, vox_device *dev, vox_error *err)
{
    const vox_device_desc *d = vox_device_get(dev);
    double flops[ROUNDS], rate[ROUNDS];
    vox_copy_rate copy;
    vox_status s = measure(dev, flops, &copy, rate, err);
    if (s != VOX_OK)
        return s;
    const double best = flops[ROUNDS - 1], fastest = rate[ROUNDS - 1];
    vox_json_begin(j, NULL, '{');
    vox_json_int(j, "index", d->index);
    vox_json_string(j, "device", d->name);
    vox_json_int(j, "compute_units", d->compute_units);
    vox_json_number(j, "gflops", best / 1e9);
    vox_json_number(j, "median_gflops", flops[ROUNDS / 2] / 1e9);
    vox_json_number(j, "copy_gb_per_s", fastest / 1e9);
    vox_json_number(j, "median_copy_gb_per_s", rate[ROUNDS / 2] / 1e9);
    vox_json_int(j, "copied_bytes", (int64_t)copy.bytes);
    vox_json_number(j, "flops_per_byte", best / fastest);
    vox_json_end(j, '}');
    return VOX_OK;
}

vox_status vox_bench_peak(vox_ctx *ctx, char **json, vox_error *err)
{
    vox_json j = {0};
    vox_status s = VOX_OK;
    *json = NULL;
    vox_json_begin(&j, NULL, '[');
    for (size_t i = 0; s == VOX_OK && i < vox_ctx_device_count(ctx); i++)
        s = put_device(&j, vox_ctx_get(ctx, i), err);
    vox_json_end(&j, ']');
    if (s != VOX_OK) {
        vox_str_release(&j.text);
        return s;
    }
    *json = vox_json_take(&j, err);
    return *json ? VOX_OK : VOX_ERR_MEMORY;
}
