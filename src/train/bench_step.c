/* bench_step.c - vox_bench_step: how long a training step takes, and which layers take it.
 *
 * The input is made up, so no data is needed; augmentation is left out.  The step is timed without
 * profiling; the layers' times come from device events in steps of their own. */
#include "base/json.h"
#include "parallel/shard.h"
#include "train/made_up.h"
#include "tune/op_rows.h"
#include "tune/peak.h"
#include "tune/roofline.h"
#include "tune/tuner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define WARM_UP   3
#define SETTLED   16  /* steps with the same shares, after which these are taken for final */
#define UNSETTLED 200 /* steps before the timed ones, at most */
#define PROFILED  3

typedef struct step_bench {
    const vox_experiment *exp;
    vox_made_up made;
    int64_t batch, steps, untimed; /* untimed: steps before the timed ones */
    const char *shard;             /* NULL: equal, or the figures would be of several shares */
    bool adapts;                   /* the shares follow the devices' speeds */
    double *weight;                /* [devices] */
    int64_t *share, *was;          /* [devices] */
    float *output;
    double *step_s, *forward_s; /* [steps], sorted in the end */
    double first_step_s;        /* from nothing opened to the first step's end */
    double peak;                /* flop/s of the first device */
    vox_roofline roof;          /* likewise */
} step_bench;

static vox_status make_room(step_bench *b, size_t devices, vox_error *err)
{
    const char *what = "a benchmark";
    const vox_shape *out = vox_graph_edge_shape(b->exp->graph, b->exp->graph->layers);
    const size_t steps = (size_t)b->steps;
    b->output =
        vox_calloc((size_t)b->batch, (size_t)vox_shape_count(out) * sizeof(float), what, err);
    b->step_s = vox_calloc(steps, sizeof(double), what, err);
    b->forward_s = vox_calloc(steps, sizeof(double), what, err);
    b->weight = vox_calloc(devices, sizeof *b->weight, what, err);
    b->share = vox_calloc(devices, sizeof *b->share, what, err);
    b->was = vox_calloc(devices, sizeof *b->was, what, err);
    const bool all = b->output && b->step_s && b->forward_s && b->weight && b->share && b->was;
    return all ? VOX_OK : VOX_ERR_MEMORY;
}

static vox_status bench_open(step_bench *b, vox_ctx *ctx, const vox_methods *methods,
                             vox_error *err)
{
    const size_t devices = vox_ctx_device_count(ctx);
    vox_team_options opt = {.parts = b->exp->train.accumulate};
    vox_status s = make_room(b, devices, err);
    for (size_t i = 0; s == VOX_OK && i < devices; i++)
        b->weight[i] = 1;
    if (s == VOX_OK)
        s = vox_shard_parse(&opt.shard, b->weight, b->shard ? b->shard : "equal", devices, err);
    opt.weight = b->weight;
    b->adapts = opt.shard == VOX_SHARD_AUTO && devices > 1;
    return s == VOX_OK ? vox_made_up_open(&b->made, b->exp, ctx, b->batch, methods, opt, err) : s;
}

static void bench_close(step_bench *b)
{
    vox_roofline_release(&b->roof);
    vox_made_up_close(&b->made);
    free(b->weight);
    free(b->share);
    free(b->was);
    free(b->output);
    free(b->step_s);
    free(b->forward_s);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Steps until all is as it will be. */
static vox_status warm_up(step_bench *b, vox_error *err)
{
    const size_t devices = vox_team_size(b->made.team);
    const int64_t wanted = b->adapts ? SETTLED : WARM_UP;
    vox_status s = VOX_OK;
    vox_team_shares(b->made.team, b->was);
    for (int64_t same = 0; s == VOX_OK && same < wanted && b->untimed < UNSETTLED; b->untimed++) {
        s = vox_made_up_step(&b->made, err);
        vox_team_shares(b->made.team, b->share);
        same = memcmp(b->share, b->was, devices * sizeof *b->was) == 0 ? same + 1 : 0;
        memcpy(b->was, b->share, devices * sizeof *b->was);
    }
    return s;
}

static vox_status time_steps(step_bench *b, vox_error *err)
{
    const vox_team_batch batch = {.voxel = b->made.voxel, .n = b->batch};
    vox_status s = warm_up(b, err);
    for (int64_t i = 0; s == VOX_OK && i < b->steps; i++) {
        double start = vox_now();
        s = vox_made_up_step(&b->made, err);
        b->step_s[i] = vox_now() - start;
    }
    for (int64_t i = -1; s == VOX_OK && i < b->steps; i++) {
        double start = vox_now();
        s = vox_team_eval(b->made.team, &batch, b->output, NULL, err);
        if (i >= 0)
            b->forward_s[i] = vox_now() - start;
    }
    qsort(b->step_s, (size_t)b->steps, sizeof(double), by_value);
    qsort(b->forward_s, (size_t)b->steps, sizeof(double), by_value);
    return s;
}

/* ---- the layers ------------------------------------------------------------------ */

static void put_times(vox_json *j, const char *key, const double *sorted, int64_t n)
{
    vox_json_begin(j, key, '{');
    vox_json_number(j, "median", (sorted[(n - 1) / 2] + sorted[n / 2]) / 2);
    vox_json_number(j, "min", sorted[0]);
    vox_json_number(j, "max", sorted[n - 1]);
    vox_json_end(j, '}');
}

typedef struct layer_row {
    const char *layer, *op, *pass, *algo;
    double flops; /* 0: not counted */
    double bytes; /* that have to move at least */
    int label;
    bool relu; /* a relu layer is fused into it */
} layer_row;

static vox_status add_point(step_bench *b, const layer_row *row, double seconds, vox_error *err)
{
    static const char *const shorter[] = {"fwd", "bwd data", "bwd weights"};
    char label[80];
    int pass = 0;
    while (pass < VOX_PASSES - 1 && strcmp(vox_pass_names[pass], row->pass) != 0)
        pass++;
    snprintf(label, sizeof label, "%s %s", row->layer, shorter[pass]);
    return vox_roofline_add(&b->roof, label, pass, row->flops, row->bytes, seconds, err);
}

/* One row of the document; seconds of a step. */
static vox_status put_seconds(step_bench *b, vox_json *j, const layer_row *row, double seconds,
                              double *sum, vox_error *err)
{
    char op[64];
    *sum += seconds;
    vox_json_begin(j, NULL, '{');
    vox_json_string(j, "layer", row->layer);
    snprintf(op, sizeof op, "%s%s", row->op, row->relu ? "+relu" : "");
    vox_json_string(j, "op", op);
    vox_json_string(j, "pass", row->pass);
    vox_json_string(j, "algorithm", row->algo);
    vox_json_number(j, "time_s", seconds);
    if (row->flops > 0 && seconds > 0) {
        vox_json_number(j, "gflops", row->flops / seconds / 1e9);
        vox_json_number(j, "peak_share", row->flops / seconds / b->peak);
    }
    vox_json_number(j, "share_of_step", seconds / b->step_s[b->steps / 2]);
    vox_json_end(j, '}');
    return add_point(b, row, seconds, err);
}

/* Books a label's time on the device since the last call. */
static vox_status put_row(step_bench *b, vox_json *j, const layer_row *row, double *sum,
                          vox_error *err)
{
    double seconds = 0;
    int64_t launches = 0;
    vox_status s = vox_device_profile_take(vox_replica_device(vox_team_replica(b->made.team, 0)),
                                           row->label, &seconds, &launches, err);
    if (s != VOX_OK || launches == 0)
        return s;
    return put_seconds(b, j, row, seconds / PROFILED, sum, err);
}

/* What the host did in the last step, if the model is there. */
static vox_status put_host(step_bench *b, vox_json *j, double *sum, vox_error *err)
{
    static const layer_row reduction = {"(reduction)", "sum", "reduction", "", 0, 0, 0, false},
                           update = {"(update)", "optimizer", "update", "", 0, 0, 0, false};
    const vox_team_times times = vox_team_last_times(b->made.team);
    if (vox_team_home(b->made.team))
        return VOX_OK;
    vox_status s = put_seconds(b, j, &reduction, times.reduce_s, sum, err);
    return s == VOX_OK ? put_seconds(b, j, &update, times.update_s, sum, err) : s;
}

static vox_status put_layers(step_bench *b, vox_json *j, int64_t samples, vox_error *err)
{
    static const layer_row others[] = {
        {"(update)", "optimizer", "update", "", 0, 0, VOX_LABEL_UPDATE, false},
        {"(transfer)", "copy", "transfer", "", 0, 0, VOX_LABEL_TRANSFER, false},
    };
    const vox_plan *plan = vox_replica_plan(vox_team_replica(b->made.team, 0));
    double sum = 0;
    vox_status s = VOX_OK;
    vox_json_begin(j, "layers", '[');
    for (size_t i = 0; s == VOX_OK && i < vox_plan_rows(plan); i++) {
        vox_plan_row r = vox_plan_row_get(plan, i);
        const layer_row row = {r.layer,
                               r.op,
                               vox_pass_names[r.pass],
                               r.algo,
                               r.flops * (double)samples,
                               vox_op_bytes(r.node, r.pass, samples),
                               r.label,
                               r.relu};
        s = put_row(b, j, &row, &sum, err);
    }
    for (size_t i = 0; s == VOX_OK && i < sizeof others / sizeof *others; i++)
        s = put_row(b, j, &others[i], &sum, err);
    if (s == VOX_OK)
        s = put_host(b, j, &sum, err);
    vox_json_end(j, ']');
    vox_json_number(j, "profile_share", sum / b->step_s[b->steps / 2]);
    return s;
}

/* Measured before and after the steps: another program on the machine can only make it smaller. */
static vox_status measure_peak(step_bench *b, vox_error *err)
{
    double peak = 0;
    vox_status s =
        vox_peak_flops(vox_replica_device(vox_team_replica(b->made.team, 0)), &peak, err);
    b->peak = peak > b->peak ? peak : b->peak;
    return s;
}

static vox_status profile(step_bench *b, vox_json *j, int64_t samples, vox_error *err)
{
    vox_device *dev = vox_replica_device(vox_team_replica(b->made.team, 0));
    vox_status s = vox_device_profile(dev, true, err);
    for (int i = 0; s == VOX_OK && i < PROFILED; i++)
        s = vox_made_up_step(&b->made, err);
    if (s == VOX_OK)
        s = put_layers(b, j, samples, err);
    vox_status off = vox_device_profile(dev, false, s == VOX_OK ? err : NULL);
    return s == VOX_OK ? off : s;
}

/* ---- the document ---------------------------------------------------------------- */

static void put_devices(const step_bench *b, vox_json *j, const vox_ctx *ctx)
{
    const size_t n = vox_ctx_device_count(ctx);
    vox_team_shares(b->made.team, b->share);
    vox_json_begin(j, "devices", '[');
    for (size_t i = 0; i < n; i++) {
        vox_json_begin(j, NULL, '{');
        vox_json_int(j, "index", vox_ctx_device(ctx, i)->index);
        vox_json_string(j, "name", vox_ctx_device(ctx, i)->name);
        vox_json_int(j, "samples", b->share[i]);
        if (n > 1)
            vox_json_number(j, "busy_s", vox_team_busy(b->made.team, i));
        vox_json_int(j, "peak_device_bytes", (int64_t)vox_device_peak_bytes(vox_ctx_get(ctx, i)));
        vox_json_end(j, '}');
    }
    vox_json_end(j, ']');
}

static vox_status report(step_bench *b, vox_ctx *ctx, vox_json *j, vox_error *err)
{
    struct rusage usage;
    vox_status s = VOX_OK;
    getrusage(RUSAGE_SELF, &usage);
    vox_json_begin(j, NULL, '{');
    vox_json_string(j, "experiment", b->exp->name);
    vox_json_int(j, "batch", b->batch);
    vox_json_int(j, "steps", b->steps);
    vox_json_string(j, "shard", b->shard ? b->shard : "equal");
    vox_json_int(j, "untimed_steps", b->untimed + 1);
    put_devices(b, j, ctx);
    vox_json_number(j, "first_step_s", b->first_step_s);
    put_times(j, "step_s", b->step_s, b->steps);
    put_times(j, "forward_s", b->forward_s, b->steps);
    vox_json_number(j, "samples_per_s", (double)b->batch / b->step_s[b->steps / 2]);
    vox_json_int(j, "peak_rss_bytes", (int64_t)usage.ru_maxrss * 1024);
    vox_json_begin(j, "peak", '{');
    vox_json_number(j, "gflops", b->peak / 1e9);
    vox_json_end(j, '}');
    s = profile(b, j, b->share[0], err);
    vox_json_end(j, '}');
    return s;
}

static vox_status draw_roofline(step_bench *b, const char *path, vox_error *err)
{
    vox_device *dev = vox_replica_device(vox_team_replica(b->made.team, 0));
    vox_copy_rate copy;
    vox_status s = vox_peak_copy(dev, &copy, err);
    if (s != VOX_OK)
        return s;
    b->roof.peak = b->peak;
    b->roof.copy = copy.bytes_per_s;
    snprintf(b->roof.title, sizeof b->roof.title, "%s, batch %lld, on %s", b->exp->name,
             (long long)b->batch, vox_device_get(dev)->name);
    return vox_roofline_write(&b->roof, path, err);
}

vox_status vox_bench_step(const vox_experiment *exp, vox_ctx *ctx, int64_t steps,
                          const vox_methods *methods, const char *roofline, const char *shard,
                          char **json, vox_error *err)
{
    const vox_methods defaults = {0};
    step_bench b = {.exp = exp, .batch = exp->train.batch, .steps = steps, .shard = shard};
    vox_json j = {0};
    *json = NULL;
    if (steps < 1 || steps > 1000000)
        return vox_fail(err, VOX_ERR_USAGE, "cannot time %lld steps", (long long)steps);
    const double start = vox_now();
    vox_status s = bench_open(&b, ctx, methods ? methods : &defaults, err);
    if (s == VOX_OK)
        s = vox_made_up_step(&b.made, err);
    b.first_step_s = vox_now() - start;
    if (s == VOX_OK)
        s = measure_peak(&b, err);
    if (s == VOX_OK)
        s = time_steps(&b, err);
    if (s == VOX_OK)
        s = measure_peak(&b, err);
    if (s == VOX_OK)
        s = report(&b, ctx, &j, err);
    if (s == VOX_OK && roofline)
        s = draw_roofline(&b, roofline, err);
    if (s == VOX_OK) {
        *json = vox_json_take(&j, err);
        s = *json ? VOX_OK : VOX_ERR_MEMORY;
    } else {
        vox_str_release(&j.text);
    }
    bench_close(&b);
    return s;
}
