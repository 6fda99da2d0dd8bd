/* bench_conv.c - vox_bench_conv: every algorithm of a convolution, timed and compared with float64.
 *
 * A figure is only given for an algorithm whose result was compared; a run is timed from the call
 * to the end of its work on the device, the packing of weights included. */
#include "base/json.h"
#include "base/log.h"
#include "base/philox.h"
#include "base/text.h"
#include "base/thread.h"
#include "tune/conv_check.h"
#include "tune/conv_trial.h"
#include "tune/peak.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_REPEATS 100
#define HOPELESS     20.0     /* expected seconds of a run not worth waiting for */
#define PATIENCE     2.0      /* seconds for one algorithm's runs; one is always timed */
#define SAMPLE_WORK  50000000 /* products computed on the host for a comparison */
#define SAMPLE_LEAST 64
#define SAMPLE_MOST  20000

static const char *const pass_names[VOX_PASSES] = {"fwd", "bwd_data", "bwd_weights"};

/* ---- arguments ---- */

typedef struct request {
    vox_conv_attr attr;
    vox_shape in;
    vox_node node;
    bool pass[VOX_PASSES];
    int64_t repeat;
    const char *algo; /* borrowed: a name, "chosen", or "all" */
} request;

/* "a,b,c" into out[count]; with `spread`, one number stands for all. */
static bool parse_list(const char *text, int64_t *out, int count, bool spread, int64_t least)
{
    char copy[256], *save = NULL;
    int found = 0;
    if (strlen(text) >= sizeof copy)
        return false;
    strcpy(copy, text);
    for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save))
        if (found == count || !vox_parse_i64(w, &out[found]) || out[found] < least ||
            out[found++] > 1 << 20)
            return false;
    for (; spread && found == 1 && count > 1; count--)
        out[count - 1] = out[0];
    return found == count;
}

static bool parse_pass(const char *text, bool pass[VOX_PASSES])
{
    bool any = false;
    for (int i = 0; i < VOX_PASSES; i++) {
        pass[i] = strcmp(text, "all") == 0 || strcmp(text, pass_names[i]) == 0;
        any = any || pass[i];
    }
    return any;
}

static bool parse_algo(request *r, const char *value)
{
    const vox_op *op = vox_op_find("conv");
    const vox_algo *a;
    r->algo = value;
    bool known = strcmp(value, "all") == 0 || strcmp(value, "chosen") == 0;
    for (int pass = 0; pass < VOX_PASSES; pass++)
        for (int i = 0; !known && (a = vox_op_algo(op, (vox_pass)pass, i)); i++)
            known = strcmp(a->name, value) == 0;
    return known;
}

static bool parse_value(request *r, const char *key, const char *value, bool *known)
{
    *known = true;
    if (strcmp(key, "--in") == 0)
        return parse_list(value, r->in.dim, 5, false, 1);
    if (strcmp(key, "--out") == 0)
        return parse_list(value, &r->attr.out, 1, false, 1);
    if (strcmp(key, "--kernel") == 0)
        return parse_list(value, r->attr.kernel, 3, true, 1);
    if (strcmp(key, "--stride") == 0)
        return parse_list(value, r->attr.stride, 3, true, 1);
    if (strcmp(key, "--pad") == 0)
        return parse_list(value, r->attr.pad, 3, true, 0);
    if (strcmp(key, "--dilation") == 0)
        return parse_list(value, r->attr.dilation, 3, true, 1);
    if (strcmp(key, "--groups") == 0)
        return parse_list(value, &r->attr.groups, 1, false, 1);
    if (strcmp(key, "--pass") == 0)
        return parse_pass(value, r->pass);
    if (strcmp(key, "--repeat") == 0)
        return parse_list(value, &r->repeat, 1, false, 1) && r->repeat <= MOST_REPEATS;
    if (strcmp(key, "--algo") == 0)
        return parse_algo(r, value);
    *known = false;
    return false;
}

static vox_status fail_argument(const char *key, const char *value, bool known, vox_error *err)
{
    if (!known) {
        vox_fail(err, VOX_ERR_USAGE, "bench conv does not know %s", key);
        vox_hint(err, "it takes --in --out --kernel --stride --pad --dilation --groups --pass "
                      "--repeat --algo");
        return VOX_ERR_USAGE;
    }
    vox_fail(err, VOX_ERR_USAGE, "bench conv: %s cannot be \"%s\"", key, value ? value : "");
    vox_hint(err,
             "--in N,C,D,H,W; --out C; --kernel, --stride, --pad, --dilation d,h,w or one "
             "number; --pass fwd|bwd_data|bwd_weights|all; --repeat 1 to %d; --algo all, chosen or "
             "a name that bench conv prints",
             MOST_REPEATS);
    return VOX_ERR_USAGE;
}

static vox_status read_request(request *r, const char *const *args, size_t count, vox_error *err)
{
    *r = (request){.attr = {.stride = {1, 1, 1}, .dilation = {1, 1, 1}, .groups = 1, .bias = true},
                   .in = {.rank = 5},
                   .pass = {true, true, true},
                   .repeat = 7,
                   .algo = "all"};
    for (size_t i = 0; i < count; i += 2) {
        bool known;
        const char *value = i + 1 < count ? args[i + 1] : "";
        if (!parse_value(r, args[i], value, &known))
            return fail_argument(args[i], value, known, err);
    }
    if (!r->in.dim[0] || !r->attr.out || !r->attr.kernel[0]) {
        vox_fail(err, VOX_ERR_USAGE, "bench conv needs --in, --out and --kernel");
        vox_hint(err, "for example --in 2,16,64,64,64 --out 16 --kernel 3 --pad 1");
        return VOX_ERR_USAGE;
    }
    r->node = (vox_node){.op = vox_op_find("conv"), .name = "bench", .attr = &r->attr, .inputs = 1};
    r->node.in[0] = r->in;
    r->node.in[0].dim[0] = 1;
    return r->node.op->infer(&r->node, r->node.in, &r->node.out, err);
}

/* ---- data ---- */

static float *random_floats(int64_t count, uint64_t sample, float scale, vox_error *err)
{
    float *f = vox_calloc((size_t)count, sizeof *f, "benchmark data", err);
    vox_random random;
    vox_random_init(&random, 1, VOX_RANDOM_INIT, 0, 0, sample);
    for (int64_t i = 0; f && i < count; i++)
        f[i] = scale * (2 * vox_random_uniform(&random) - 1);
    return f;
}

static void data_release(vox_conv_data *d)
{
    free((void *)(uintptr_t)d->x);
    free((void *)(uintptr_t)d->dy);
    free((void *)(uintptr_t)d->weight);
    free((void *)(uintptr_t)d->bias);
    memset(d, 0, sizeof *d);
}

static vox_status data_open(vox_conv_data *d, const request *r, vox_error *err)
{
    *d = (vox_conv_data){.s = vox_conv_shape_get(&r->node), .n = r->in.dim[0]};
    d->x = random_floats(d->n * vox_shape_count(&r->node.in[0]), 1, 1, err);
    d->dy = random_floats(d->n * vox_shape_count(&r->node.out), 2, 1, err);
    d->weight = random_floats(d->s.co * (d->s.ci / d->s.groups) * d->s.taps, 3, 0.1f, err);
    d->bias = random_floats(d->s.co, 4, 1, err);
    if (d->x && d->dy && d->weight && d->bias)
        return VOX_OK;
    data_release(d);
    return VOX_ERR_MEMORY;
}

/* Where element i of a PLAIN tensor lies in a layout. */
static int64_t place_of(const vox_shape *shape, vox_layout layout, int64_t i)
{
    if (layout == VOX_LAYOUT_PLAIN)
        return i;
    const int64_t voxels = shape->dim[2] * shape->dim[3] * shape->dim[4];
    const int64_t c = i / voxels % shape->dim[1], n = i / voxels / shape->dim[1];
    const int64_t blocks = (shape->dim[1] + 15) / 16;
    return ((n * blocks + c / 16) * voxels + i % voxels) * 16 + c % 16;
}

/* ---- one algorithm ---- */

typedef struct trial {
    const request *r;
    const vox_conv_data *data;
    vox_work work;
    vox_tensor x, y, dy, dx;
    vox_buffer *param[VOX_MAX_PARAMS], *dparam[VOX_MAX_PARAMS];
    vox_io io;
    double seconds, error;
} trial;

static vox_status tensor_open(trial *t, vox_tensor *out, const vox_shape *shape, vox_layout layout,
                              const float *from, vox_error *err)
{
    *out = (vox_tensor){.shape = *shape, .layout = layout};
    out->shape.dim[0] = t->data->n;
    const int64_t floats = t->data->n * vox_sample_floats(shape, layout);
    vox_status s = vox_buffer_open(&out->buf, t->work.problem.dev, (size_t)floats * sizeof(float),
                                   VOX_BUFFER_DEVICE, "benchmark data", err);
    if (s != VOX_OK || !from)
        return s;
    float *host = vox_calloc((size_t)floats, sizeof *host, "benchmark data", err);
    if (!host)
        return VOX_ERR_MEMORY;
    for (int64_t i = 0; i < vox_shape_count(&out->shape); i++)
        host[place_of(&out->shape, layout, i)] = from[i];
    s = vox_buffer_write(out->buf, 0, host, (size_t)floats * sizeof(float), true, err);
    free(host);
    return s;
}

static vox_status param_open(trial *t, vox_buffer **out, int64_t floats, const float *from,
                             vox_error *err)
{
    const size_t bytes = (size_t)floats * sizeof(float);
    vox_status s = vox_buffer_open(out, t->work.problem.dev, bytes, VOX_BUFFER_DEVICE,
                                   "benchmark weights", err);
    return s == VOX_OK && from ? vox_buffer_write(*out, 0, from, bytes, true, err) : s;
}

static vox_status trial_buffers(trial *t, vox_error *err)
{
    const vox_algo *a = t->work.algo;
    const vox_node *node = &t->r->node;
    const vox_conv_data *d = t->data;
    const int64_t weights = vox_conv_results(d, VOX_BACKWARD_WEIGHTS);
    vox_status s = tensor_open(t, &t->x, &node->in[0], a->in, d->x, err);
    if (s == VOX_OK)
        s = tensor_open(t, &t->dy, &node->out, a->out, d->dy, err);
    if (s == VOX_OK)
        s = tensor_open(t, &t->y, &node->out, a->out, NULL, err);
    if (s == VOX_OK)
        s = tensor_open(t, &t->dx, &node->in[0], a->in, NULL, err);
    if (s == VOX_OK)
        s = param_open(t, &t->param[0], weights, d->weight, err);
    if (s == VOX_OK)
        s = param_open(t, &t->param[1], d->s.co, d->bias, err);
    if (s == VOX_OK)
        s = param_open(t, &t->dparam[0], weights, NULL, err);
    if (s == VOX_OK)
        s = param_open(t, &t->dparam[1], d->s.co, NULL, err);
    t->io = (vox_io){
        .n = d->n, .training = true, .x = {&t->x}, .y = &t->y, .dy = &t->dy, .dx = {&t->dx}};
    memcpy(t->io.param, t->param, sizeof t->param);
    memcpy(t->io.dparam, t->dparam, sizeof t->dparam);
    return s;
}

static void trial_release(trial *t)
{
    vox_tensor *tensor[] = {&t->x, &t->y, &t->dy, &t->dx};
    for (size_t i = 0; i < 4; i++)
        vox_buffer_free(&tensor[i]->buf);
    for (int i = 0; i < 2; i++) {
        vox_buffer_free(&t->param[i]);
        vox_buffer_free(&t->dparam[i]);
    }
    vox_work_release(&t->work);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median of the runs after the first, which compiles. */
static vox_status time_runs(trial *t, vox_error *err)
{
    double seconds[MOST_REPEATS], begun = vox_now();
    int64_t done = 0;
    vox_status s = VOX_OK;
    for (int64_t i = 0; s == VOX_OK && i <= t->r->repeat; i++) {
        const double start = vox_now();
        s = t->work.algo->run(&t->work, &t->io, err);
        if (s == VOX_OK)
            s = vox_device_finish(t->work.problem.dev, err);
        const bool late = vox_now() - begun > PATIENCE;
        if (i > 0 || late) /* so slow a first run stands for itself */
            seconds[done++] = vox_now() - start;
        if (late)
            break;
    }
    if (s != VOX_OK)
        return s;
    qsort(seconds, (size_t)done, sizeof *seconds, by_value);
    t->seconds = seconds[done / 2];
    return VOX_OK;
}

/* The relative RMS error over elements spread evenly. */
static vox_status compare(trial *t, vox_error *err)
{
    const vox_pass pass = t->work.algo->pass;
    const vox_tensor plain = {.buf = t->dparam[0], .layout = VOX_LAYOUT_PLAIN};
    const vox_tensor *out = pass == VOX_FORWARD         ? &t->y
                            : pass == VOX_BACKWARD_DATA ? &t->dx
                                                        : &plain;
    const size_t bytes = vox_buffer_bytes(out->buf);
    float *got = vox_calloc(bytes, 1, "benchmark result", err);
    vox_status s = got ? vox_buffer_read(out->buf, 0, got, bytes, true, err) : VOX_ERR_MEMORY;
    const int64_t count = vox_conv_results(t->data, pass);
    int64_t sample = SAMPLE_WORK / vox_conv_products(t->data, pass);
    sample = sample < SAMPLE_LEAST ? SAMPLE_LEAST : sample > SAMPLE_MOST ? SAMPLE_MOST : sample;
    const int64_t step = count / sample + 1;
    double wrong = 0, norm = 0;
    for (int64_t i = 0; s == VOX_OK && i < count; i += step) {
        const double want = vox_conv_result(t->data, pass, i);
        const double off = (double)got[place_of(&out->shape, out->layout, i)] - want;
        wrong += off * off;
        norm += want * want;
    }
    free(got);
    t->error = norm > 0 ? sqrt(wrong / norm) : sqrt(wrong);
    return s;
}

static vox_status trial_run(trial *t, const vox_problem *p, const vox_algo *a, vox_error *err)
{
    vox_status s = vox_work_build(&t->work, p, a, err);
    if (s == VOX_OK)
        s = trial_buffers(t, err);
    if (s == VOX_OK)
        s = time_runs(t, err);
    return s == VOX_OK ? compare(t, err) : s;
}

/* ---- all of them ---- */

static double expected(const vox_problem *p, vox_pass pass, vox_layout in, vox_layout out,
                       const vox_algo **best)
{
    double least = INFINITY;
    const vox_algo *a;
    for (int i = 0; (a = vox_op_algo(p->node->op, pass, i)); i++)
        if (a->in == in && a->out == out && (!a->fits || a->fits(p)) && a->seconds(p) < least) {
            least = a->seconds(p);
            *best = a;
        }
    return least;
}

/* What a plan would take for this layer alone: the three passes with equal layouts. */
static void choose(const vox_problem *p, const vox_algo *chosen[VOX_PASSES])
{
    double least = INFINITY;
    for (int in = 0; in < VOX_LAYOUTS; in++)
        for (int out = 0; out < VOX_LAYOUTS; out++) {
            const vox_algo *best[VOX_PASSES] = {0};
            double seconds = 0;
            for (int pass = 0; pass < VOX_PASSES; pass++)
                seconds +=
                    expected(p, (vox_pass)pass, (vox_layout)in, (vox_layout)out, &best[pass]);
            if (seconds < least) {
                least = seconds;
                memcpy(chosen, best, sizeof best);
            }
        }
}

static void write_row(vox_json *j, const trial *t, bool chosen, double peak)
{
    const vox_algo *a = t->work.algo;
    const double flops = vox_conv_flops(&t->data->s) * (double)t->data->n;
    vox_json_begin(j, NULL, '{');
    vox_json_string(j, "device", vox_device_get(t->work.problem.dev)->name);
    vox_json_string(j, "pass", pass_names[a->pass]);
    vox_json_string(j, "algorithm", a->name);
    vox_json_bool(j, "chosen", chosen);
    vox_json_number(j, "time_s", t->seconds);
    vox_json_number(j, "gflops", flops / t->seconds * 1e-9);
    vox_json_number(j, "peak_share", flops / t->seconds / peak);
    vox_json_number(j, "rel_rms_error", t->error);
    vox_json_int(j, "workspace_bytes", (int64_t)vox_work_bytes(&t->work));
    vox_json_end(j, '}');
}

static bool wanted(const request *r, const vox_algo *a, bool chosen)
{
    if (strcmp(r->algo, "chosen") == 0)
        return chosen;
    return strcmp(r->algo, "all") == 0 || strcmp(r->algo, a->name) == 0;
}

static vox_status bench_device(vox_json *j, const request *r, const vox_conv_data *d,
                               vox_device *dev, vox_error *err)
{
    const vox_problem p = {&r->node, dev, d->n, true};
    const vox_algo *chosen[VOX_PASSES] = {0}, *a;
    double peak;
    vox_status s = vox_peak_flops(dev, &peak, err);
    choose(&p, chosen);
    for (int pass = 0; pass < VOX_PASSES; pass++)
        for (int i = 0; s == VOX_OK && (a = vox_op_algo(r->node.op, (vox_pass)pass, i)); i++) {
            if (!r->pass[pass] || (a->fits && !a->fits(&p)) || !wanted(r, a, a == chosen[pass]))
                continue;
            if (a->seconds(&p) > HOPELESS && a != chosen[pass]) {
                vox_log(VOX_LOG_INFO, "bench conv: %s %s left out: about %.0f s a run", a->name,
                        pass_names[pass], a->seconds(&p));
                continue;
            }
            trial t = {.r = r, .data = d};
            s = trial_run(&t, &p, a, err);
            if (s == VOX_OK)
                write_row(j, &t, a == chosen[pass], peak);
            trial_release(&t);
        }
    return s;
}

vox_status vox_bench_conv(vox_ctx *ctx, const char *const *args, size_t count, char **json,
                          vox_error *err)
{
    request r;
    vox_conv_data data;
    vox_json j = {0};
    vox_status s = read_request(&r, args, count, err);
    if (s == VOX_OK)
        s = data_open(&data, &r, err);
    if (s != VOX_OK)
        return s;
    vox_json_begin(&j, NULL, '[');
    for (size_t i = 0; s == VOX_OK && i < vox_ctx_device_count(ctx); i++)
        s = bench_device(&j, &r, &data, vox_ctx_get(ctx, i), err);
    vox_json_end(&j, ']');
    data_release(&data);
    if (s != VOX_OK) {
        vox_str_release(&j.text);
        return s;
    }
    *json = vox_json_take(&j, err);
    return *json ? VOX_OK : VOX_ERR_MEMORY;
}

vox_status vox_conv_measure(vox_device *dev, const char *const *args, size_t count,
                            const vox_algo *method, vox_conv_timing *timing, vox_error *err)
{
    request r;
    vox_conv_data data;
    *timing = (vox_conv_timing){.done = false};
    vox_status s = read_request(&r, args, count, err);
    if (s != VOX_OK)
        return s;
    const vox_problem p = {&r.node, dev, r.in.dim[0], true};
    if ((method->fits && !method->fits(&p)) || method->seconds(&p) > HOPELESS)
        return VOX_OK;
    s = data_open(&data, &r, err);
    if (s != VOX_OK)
        return s;
    trial t = {.r = &r, .data = &data};
    s = trial_run(&t, &p, method, err);
    if (s == VOX_OK)
        *timing =
            (vox_conv_timing){true, t.seconds, t.error, vox_conv_flops(&data.s) * (double)data.n};
    trial_release(&t);
    data_release(&data);
    return s;
}
