/* bench_conv.c - vox_bench_conv: every algorithm of a convolution, timed and compared with float64.
 */
#include "base/json.h"
#include "base/log.h"
#include "base/thread.h"
#include "tune/conv_trial.h"
#include "tune/peak.h"
#include "tune/roofline.h"
#include "tune/tuner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench {
    const vox_conv_request *r;
    const vox_conv_data *data;
    vox_problem p;
    vox_finddb *times; /* NULL: the rule chooses */
    char *key;
    double peak; /* flop/s */
    vox_json *json;
    vox_roofline *roof; /* of the first device; NULL: none is drawn */
} bench;

/* ---- what a plan would take ---- */

typedef struct method {
    const vox_algo *algo;
    int variant;
    double seconds; /* expected, or measured */
} method;

/* Measured, where the pass was; else by the rule, and then no variants. */
static double expected(const bench *b, const vox_algo *a, const vox_problem *p)
{
    if (!b->times || !vox_finddb_timed(b->times, b->key, a->pass))
        return p->variant ? (double)INFINITY : a->seconds(p);
    const vox_finding *f = vox_finddb_find(b->times, b->key, a, p);
    return f && f->verdict == VOX_VERDICT_TIMED ? f->seconds : (double)INFINITY;
}

static method best_method(const bench *b, vox_pass pass, vox_layout in, vox_layout out)
{
    method best = {.seconds = INFINITY};
    for (const vox_algo *a = b->p.node->op->algos; a->name; a++) {
        if (a->pass != pass || a->in != in || a->out != out || (a->fits && !a->fits(&b->p)))
            continue;
        for (int i = 0; i < vox_algo_variants(a, &b->p); i++) {
            vox_problem p = b->p;
            p.variant = i;
            const double t = expected(b, a, &p);
            if (t < best.seconds)
                best = (method){a, i, t};
        }
    }
    return best;
}

/* For this layer alone: the three passes with equal layouts. */
static void choose(const bench *b, method chosen[VOX_PASSES])
{
    double least = INFINITY;
    for (int in = 0; in < VOX_LAYOUTS; in++)
        for (int out = 0; out < VOX_LAYOUTS; out++) {
            method best[VOX_PASSES];
            double seconds = 0;
            for (int pass = 0; pass < VOX_PASSES; pass++) {
                best[pass] = best_method(b, (vox_pass)pass, (vox_layout)in, (vox_layout)out);
                seconds += best[pass].seconds;
            }
            if (seconds < least) {
                least = seconds;
                memcpy(chosen, best, sizeof best);
            }
        }
}

/* Fills b->times: all three passes, because they are chosen together. */
static vox_status tune(bench *b, vox_error *err)
{
    if (b->r->tune == VOX_TUNE_OFF)
        return VOX_OK;
    vox_status s = vox_finddb_open(&b->times, NULL, err);
    vox_tuner tuner = {.db = b->times,
                       .again = b->r->tune == VOX_TUNE_FULL,
                       .until = vox_now() + b->r->budget_s,
                       .workspace = b->r->workspace,
                       .now = vox_now};
    for (int pass = 0; s == VOX_OK && pass < VOX_PASSES; pass++)
        s = vox_tuner_measure(&tuner, &b->p, (vox_pass)pass, err);
    b->key = s == VOX_OK ? vox_finddb_key(&b->p, err) : NULL;
    return s == VOX_OK && !b->key ? VOX_ERR_MEMORY : s;
}

/* ---- rows ---- */

static void write_row(const bench *b, const vox_algo *a, const vox_problem *p, bool chosen,
                      const vox_conv_timing *t)
{
    char name[VOX_ALGO_TEXT];
    const double seconds = t->time.median;
    vox_json_begin(b->json, NULL, '{');
    vox_json_string(b->json, "device", vox_device_get(p->dev)->name);
    vox_json_string(b->json, "pass", vox_conv_passes[a->pass]);
    vox_json_string(b->json, "algorithm", vox_algo_text(a, p, name));
    vox_json_bool(b->json, "chosen", chosen);
    vox_json_number(b->json, "time_s", seconds);
    vox_json_number(b->json, "least_s", t->time.least);
    vox_json_number(b->json, "most_s", t->time.most);
    vox_json_number(b->json, "device_s", t->time.device);
    vox_json_number(b->json, "gflops", t->flops / seconds * 1e-9);
    vox_json_number(b->json, "peak_share", t->flops / seconds / b->peak);
    vox_json_number(b->json, "flops_per_byte", t->flops / t->bytes);
    vox_json_number(b->json, "rel_rms_error", t->rms_error);
    vox_json_number(b->json, "max_error", t->max_error);
    vox_json_int(b->json, "workspace_bytes", (int64_t)t->workspace);
    vox_json_end(b->json, '}');
}

static vox_status add_point(const bench *b, const vox_algo *a, const vox_problem *p,
                            const vox_conv_timing *t, vox_error *err)
{
    char name[VOX_ALGO_TEXT], label[80];
    if (!b->roof)
        return VOX_OK;
    snprintf(label, sizeof label, "%s %s", vox_conv_passes[a->pass], vox_algo_text(a, p, name));
    return vox_roofline_add(b->roof, label, (int)a->pass, t->flops, t->bytes, t->time.median, err);
}

static bool is_wanted(const bench *b, const vox_algo *a, const vox_problem *p, bool chosen)
{
    char name[VOX_ALGO_TEXT];
    const char *wanted = b->r->algo;
    if (strcmp(wanted, "chosen") == 0)
        return chosen;
    if (strcmp(wanted, vox_algo_text(a, p, name)) == 0)
        return true;
    if (strcmp(wanted, "all") != 0 && strcmp(wanted, a->name) != 0)
        return false;
    return p->variant == 0 || chosen || b->r->variants;
}

static vox_status bench_method(const bench *b, const vox_algo *a, int variant, bool chosen,
                               vox_error *err)
{
    vox_problem p = b->p;
    vox_conv_timing t;
    p.variant = variant;
    if (!b->r->pass[a->pass] || !is_wanted(b, a, &p, chosen))
        return VOX_OK;
    if (a->seconds(&p) > VOX_CONV_HOPELESS && !chosen) {
        vox_log(VOX_LOG_INFO, "bench conv: %s %s left out: about %.0f s a run", a->name,
                vox_conv_passes[a->pass], a->seconds(&p));
        return VOX_OK;
    }
    vox_status s = vox_conv_measure(b->r, b->data, &p, a, &t, err);
    if (s != VOX_OK || !t.done)
        return s;
    write_row(b, a, &p, chosen, &t);
    return add_point(b, a, &p, &t, err);
}

/* The ceilings and the words of the picture. */
static vox_status begin_roofline(const bench *b, vox_error *err)
{
    char in[96], kernel[96];
    vox_copy_rate copy;
    const int64_t *k = b->r->attr.kernel;
    const vox_shape taps = {3, {k[0], k[1], k[2]}};
    vox_status s = vox_peak_copy(b->p.dev, &copy, err);
    if (s != VOX_OK)
        return s;
    b->roof->peak = b->peak;
    b->roof->copy = copy.bytes_per_s;
    snprintf(b->roof->title, sizeof b->roof->title, "conv %s to %lld, kernel %s, on %s",
             vox_shape_text(&b->r->in, in), (long long)b->r->attr.out,
             vox_shape_text(&taps, kernel), vox_device_get(b->p.dev)->name);
    return VOX_OK;
}

static vox_status bench_device(vox_json *j, const vox_conv_request *r, const vox_conv_data *d,
                               vox_device *dev, vox_roofline *roof, vox_error *err)
{
    bench b = {.r = r,
               .data = d,
               .p = {.node = &r->node, .dev = dev, .n_max = d->n, .training = true},
               .json = j,
               .roof = roof};
    method chosen[VOX_PASSES] = {{0}};
    vox_status s = vox_peak_flops(dev, &b.peak, err);
    if (s == VOX_OK && roof)
        s = begin_roofline(&b, err);
    if (s == VOX_OK)
        s = tune(&b, err);
    if (s == VOX_OK)
        choose(&b, chosen);
    for (int pass = 0; pass < VOX_PASSES; pass++)
        for (const vox_algo *a = r->node.op->algos; s == VOX_OK && a->name; a++) {
            if (a->pass != (vox_pass)pass || (a->fits && !a->fits(&b.p)))
                continue;
            for (int i = 0; s == VOX_OK && i < vox_algo_variants(a, &b.p); i++)
                s = bench_method(&b, a, i, a == chosen[pass].algo && i == chosen[pass].variant,
                                 err);
        }
    vox_finddb_free(&b.times);
    free(b.key);
    return s;
}

vox_status vox_bench_conv(vox_ctx *ctx, const char *const *args, size_t count, char **json,
                          vox_error *err)
{
    vox_conv_request r;
    vox_conv_data data;
    vox_json j = {0};
    vox_roofline roof = {.count = 0};
    vox_status s = vox_conv_request_read(&r, args, count, err);
    if (s == VOX_OK)
        s = vox_conv_data_open(&data, &r, err);
    if (s != VOX_OK)
        return s;
    vox_json_begin(&j, NULL, '[');
    for (size_t i = 0; s == VOX_OK && i < vox_ctx_device_count(ctx); i++)
        s = bench_device(&j, &r, &data, vox_ctx_get(ctx, i), r.roofline && i == 0 ? &roof : NULL,
                         err);
    vox_json_end(&j, ']');
    if (s == VOX_OK && r.roofline)
        s = vox_roofline_write(&roof, r.roofline, err);
    vox_roofline_release(&roof);
    vox_conv_data_release(&data);
    if (s != VOX_OK) {
        vox_str_release(&j.text);
        return s;
    }
    *json = vox_json_take(&j, err);
    return *json ? VOX_OK : VOX_ERR_MEMORY;
}
