/* bench_ladder.c - vox_bench_ladder: from the naive method to the tuned one, each rung with what it
 * changed and what that bought.
 *
 * Rungs take turns, so that a busy moment of the machine hits all of them. */
#include "base/json.h"
#include "base/text.h"
#include "tune/ladder.h"
#include "tune/peak.h"
#include "tune/roofline.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS    3
#define MOST_ARGS 32

static const vox_ladder *const ladders[] = {&vox_ladder_conv, &vox_ladder_gemm, &vox_ladder_reduce,
                                            &vox_ladder_softmax};
#define LADDERS (sizeof ladders / sizeof *ladders)

/* ---- measuring ---- */

typedef struct climb {
    const vox_ladder *ladder;
    void *state;
    vox_rung_figure figure[VOX_MOST_RUNGS][ROUNDS];
    double peak, copy; /* flop/s and bytes/s, the best of the rounds */
} climb;

static size_t count_rungs(const vox_ladder *l)
{
    size_t n = 0;
    while (l->rung[n].name)
        n++;
    return n;
}

static vox_status measure_ceilings(climb *c, vox_device *dev, vox_error *err)
{
    double peak = 0;
    vox_copy_rate copy = {0};
    vox_status s = vox_peak_flops(dev, &peak, err);
    if (s == VOX_OK)
        s = vox_peak_copy(dev, &copy, err);
    c->peak = fmax(c->peak, peak);
    c->copy = fmax(c->copy, copy.bytes_per_s);
    return s;
}

static vox_status measure(climb *c, vox_device *dev, vox_error *err)
{
    const size_t rungs = count_rungs(c->ladder);
    memset(c->figure, 0, sizeof c->figure);
    c->peak = c->copy = 0;
    vox_status s = c->ladder->enter(c->state, dev, err);
    for (int round = 0; s == VOX_OK && round < ROUNDS; round++) {
        s = measure_ceilings(c, dev, err);
        for (size_t i = 0; s == VOX_OK && i < rungs; i++)
            s = c->ladder->measure(c->state, i, &c->figure[i][round], err);
    }
    c->ladder->leave(c->state);
    return s;
}

/* ---- the document ---- */

static int by_time(const void *a, const void *b)
{
    const double x = ((const vox_rung_figure *)a)->time.median;
    const double y = ((const vox_rung_figure *)b)->time.median;
    return (x > y) - (x < y);
}

/* sorted: the rung's rounds. */
static void put_rung(vox_json *j, const climb *c, const char *device, const vox_rung *rung,
                     const vox_rung_figure sorted[ROUNDS], double first)
{
    const double seconds = sorted[ROUNDS / 2].time.median;
    double flops, bytes;
    c->ladder->work(c->state, &flops, &bytes);
    vox_json_begin(j, NULL, '{');
    vox_json_string(j, "device", device);
    vox_json_string(j, "rung", rung->name);
    vox_json_string(j, "made_for", rung->made_for);
    vox_json_begin(j, "time_s", '{');
    vox_json_number(j, "median", seconds);
    vox_json_number(j, "min", sorted[0].time.median);
    vox_json_number(j, "max", sorted[ROUNDS - 1].time.median);
    vox_json_end(j, '}');
    vox_json_number(j, "device_s", sorted[ROUNDS / 2].time.device);
    if (c->ladder->memory) {
        vox_json_number(j, "gb_per_s", bytes / seconds * 1e-9);
        vox_json_number(j, "copy_share", bytes / seconds / c->copy);
    } else {
        vox_json_number(j, "gflops", flops / seconds * 1e-9);
        vox_json_number(j, "peak_share", flops / seconds / c->peak);
    }
    vox_json_number(j, "times_first", first / seconds);
    vox_json_number(j, "rel_rms_error", sorted[ROUNDS / 2].error);
    vox_json_string(j, "changed", rung->changed);
    vox_json_end(j, '}');
}

/* roof: NULL, or where the rungs become points; rungs of GPUs have a colour of their own. */
static vox_status put_device(vox_json *j, climb *c, const vox_device_desc *d, vox_roofline *roof,
                             vox_error *err)
{
    double first = 0, flops, bytes;
    vox_status s = VOX_OK;
    c->ladder->work(c->state, &flops, &bytes);
    if (roof) {
        roof->peak = c->peak;
        roof->copy = c->copy;
        snprintf(roof->title, sizeof roof->title, "ladder %s, on %s", c->ladder->kind, d->name);
    }
    for (size_t i = 0; s == VOX_OK && c->ladder->rung[i].name; i++) {
        const vox_rung *rung = &c->ladder->rung[i];
        vox_rung_figure *f = c->figure[i];
        if (!f[0].done)
            continue;
        qsort(f, ROUNDS, sizeof *f, by_time);
        first = first > 0 ? first : f[ROUNDS / 2].time.median;
        put_rung(j, c, d->name, rung, f, first);
        if (roof)
            s = vox_roofline_add(roof, rung->name, strcmp(rung->made_for, "GPU") == 0, flops, bytes,
                                 f[ROUNDS / 2].time.median, err);
    }
    return s;
}

/* ---- arguments ---- */

vox_status vox_ladder_read(const char *kind, const char *const *args, size_t count, int64_t *size,
                           int sizes, int64_t *repeat, vox_error *err)
{
    for (size_t i = 0; i < count; i += 2) {
        const char *value = i + 1 < count ? args[i + 1] : "";
        bool good = false;
        if (strcmp(args[i], "--repeat") == 0) {
            good = vox_parse_i64(value, repeat) && *repeat >= 1 && *repeat <= VOX_TIMING_MOST;
        } else if (strcmp(args[i], "--size") == 0) {
            good = vox_parse_list(value, size, sizes) == sizes;
            for (int k = 0; k < sizes; k++)
                good = good && size[k] >= 1 && size[k] <= INT64_C(1) << 30;
        } else {
            vox_fail(err, VOX_ERR_USAGE, "bench ladder %s does not take %s", kind, args[i]);
            vox_hint(err, "it takes --size and --repeat");
            return VOX_ERR_USAGE;
        }
        if (!good) {
            vox_fail(err, VOX_ERR_USAGE, "bench ladder %s: %s cannot be \"%s\"", kind, args[i],
                     value);
            vox_hint(err, "--size takes %d number%s, --repeat 1 to %d", sizes,
                     sizes == 1 ? "" : "s", VOX_TIMING_MOST);
            return VOX_ERR_USAGE;
        }
    }
    return VOX_OK;
}

static const vox_ladder *find_ladder(const char *kind, vox_error *err)
{
    char names[100] = "";
    size_t used = 0;
    for (size_t i = 0; i < LADDERS; i++) {
        if (strcmp(ladders[i]->kind, kind) == 0)
            return ladders[i];
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "",
                                 ladders[i]->kind);
    }
    vox_fail(err, VOX_ERR_USAGE, "there is no ladder \"%s\"", kind);
    vox_hint(err, "there are: %s", names);
    return NULL;
}

/* "--roofline" is for all kinds; the rest are the kind's own. */
static vox_status take_roofline(const char *const *args, size_t *count, const char **rest,
                                const char **roofline, vox_error *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        if (i % 2 == 0 && strcmp(args[i], "--roofline") == 0 && i + 1 < *count) {
            *roofline = args[++i];
            continue;
        }
        if (kept == MOST_ARGS)
            return vox_fail(err, VOX_ERR_USAGE, "bench ladder: too many arguments");
        rest[kept++] = args[i];
    }
    *count = kept;
    return VOX_OK;
}

vox_status vox_bench_ladder(vox_ctx *ctx, const char *kind, const char *const *args, size_t count,
                            char **json, vox_error *err)
{
    const char *rest[MOST_ARGS], *roofline = NULL;
    vox_json j = {0};
    vox_roofline roof = {.count = 0};
    climb c = {.ladder = find_ladder(kind, err)};
    *json = NULL;
    if (!c.ladder)
        return VOX_ERR_USAGE;
    vox_status s = take_roofline(args, &count, rest, &roofline, err);
    if (s == VOX_OK)
        s = c.ladder->open(&c.state, rest, count, err);
    if (s != VOX_OK)
        return s;
    vox_json_begin(&j, NULL, '[');
    for (size_t i = 0; s == VOX_OK && i < vox_ctx_device_count(ctx); i++) {
        s = measure(&c, vox_ctx_get(ctx, i), err);
        if (s == VOX_OK)
            s = put_device(&j, &c, vox_ctx_device(ctx, i), roofline && i == 0 ? &roof : NULL, err);
    }
    vox_json_end(&j, ']');
    if (s == VOX_OK && roofline)
        s = vox_roofline_write(&roof, roofline, err);
    vox_roofline_release(&roof);
    c.ladder->close(c.state);
    if (s != VOX_OK) {
        vox_str_release(&j.text);
        return s;
    }
    *json = vox_json_take(&j, err);
    return *json ? VOX_OK : VOX_ERR_MEMORY;
}
