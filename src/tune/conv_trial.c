/* conv_trial.c - one method of a convolution, built, timed and compared with float64.
 *
 * A figure is only given for an algorithm whose result was compared; a run is timed from the call
 * to the end of its work on the device, the packing of weights included. */
#include "tune/conv_trial.h"

#include "base/log.h"
#include "base/philox.h"
#include "tune/op_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_WORK  50000000 /* products computed on the host for a comparison */
#define SAMPLE_LEAST 64
#define SAMPLE_MOST  20000

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

void vox_conv_data_release(vox_conv_data *d)
{
    free((void *)(uintptr_t)d->x);
    free((void *)(uintptr_t)d->dy);
    free((void *)(uintptr_t)d->weight);
    free((void *)(uintptr_t)d->bias);
    memset(d, 0, sizeof *d);
}

vox_status vox_conv_data_open(vox_conv_data *d, const vox_conv_request *r, vox_error *err)
{
    *d = (vox_conv_data){.s = vox_conv_shape_get(&r->node), .n = r->in.dim[0]};
    d->x = random_floats(d->n * vox_shape_count(&r->node.in[0]), 1, 1, err);
    d->dy = random_floats(d->n * vox_shape_count(&r->node.out), 2, 1, err);
    d->weight = random_floats(d->s.co * (d->s.ci / d->s.groups) * d->s.taps, 3, 0.1f, err);
    if (r->attr.bias)
        d->bias = random_floats(d->s.co, 4, 1, err);
    if (d->x && d->dy && d->weight && (d->bias || !r->attr.bias))
        return VOX_OK;
    vox_conv_data_release(d);
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
    const vox_conv_request *r;
    const vox_conv_data *data;
    vox_work work;
    vox_tensor x, y, dy, dx;
    vox_buffer *param[VOX_MAX_PARAMS], *dparam[VOX_MAX_PARAMS];
    vox_io io;
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

static vox_status open_params(trial *t, vox_error *err)
{
    const vox_conv_data *d = t->data;
    const int64_t weights = vox_conv_results(d, VOX_BACKWARD_WEIGHTS);
    vox_status s = param_open(t, &t->param[0], weights, d->weight, err);
    if (s == VOX_OK)
        s = param_open(t, &t->dparam[0], weights, NULL, err);
    if (s == VOX_OK && d->bias)
        s = param_open(t, &t->param[1], d->s.co, d->bias, err);
    if (s == VOX_OK && d->bias)
        s = param_open(t, &t->dparam[1], d->s.co, NULL, err);
    return s;
}

static vox_status open_buffers(trial *t, vox_error *err)
{
    const vox_algo *a = t->work.algo;
    const vox_node *node = &t->r->node;
    const vox_conv_data *d = t->data;
    vox_status s = tensor_open(t, &t->x, &node->in[0], a->in, d->x, err);
    if (s == VOX_OK)
        s = tensor_open(t, &t->dy, &node->out, a->out, d->dy, err);
    if (s == VOX_OK)
        s = tensor_open(t, &t->y, &node->out, a->out, NULL, err);
    if (s == VOX_OK)
        s = tensor_open(t, &t->dx, &node->in[0], a->in, NULL, err);
    if (s == VOX_OK)
        s = open_params(t, err);
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

static vox_status run_once(void *what, vox_error *err)
{
    trial *t = what;
    return t->work.algo->run(&t->work, &t->io, err);
}

static void compare(const trial *t, const float *got, const vox_tensor *out, vox_conv_timing *to)
{
    const vox_pass pass = t->work.algo->pass;
    const int64_t count = vox_conv_results(t->data, pass);
    int64_t sample = SAMPLE_WORK / vox_conv_products(t->data, pass);
    sample = sample < SAMPLE_LEAST ? SAMPLE_LEAST : sample > SAMPLE_MOST ? SAMPLE_MOST : sample;
    const int64_t step = count / sample + 1;
    double wrong = 0, norm = 0, most = 0, seen = 0;
    for (int64_t i = 0; i < count; i += step, seen++) {
        const double want = vox_conv_result(t->data, pass, i);
        const double off = (double)got[place_of(&out->shape, out->layout, i)] - want;
        wrong += off * off;
        norm += want * want;
        most = isnan(off) ? (double)INFINITY : fmax(most, fabs(off));
    }
    to->rms_error = norm > 0 ? sqrt(wrong / norm) : sqrt(wrong);
    to->max_error = norm > 0 ? most / sqrt(norm / seen) : most;
}

static vox_status read_and_compare(trial *t, vox_conv_timing *to, vox_error *err)
{
    const vox_pass pass = t->work.algo->pass;
    const vox_tensor plain = {.buf = t->dparam[0], .layout = VOX_LAYOUT_PLAIN};
    const vox_tensor *out = pass == VOX_FORWARD         ? &t->y
                            : pass == VOX_BACKWARD_DATA ? &t->dx
                                                        : &plain;
    const size_t bytes = vox_buffer_bytes(out->buf);
    float *got = vox_calloc(bytes, 1, "benchmark result", err);
    vox_status s = got ? vox_buffer_read(out->buf, 0, got, bytes, true, err) : VOX_ERR_MEMORY;
    if (s == VOX_OK)
        compare(t, got, out, to);
    free(got);
    return s;
}

vox_status vox_conv_measure(const vox_conv_request *r, const vox_conv_data *d, const vox_problem *p,
                            const vox_algo *a, vox_conv_timing *out, vox_error *err)
{
    trial t = {.r = r, .data = d};
    *out = (vox_conv_timing){.flops = vox_conv_flops(&d->s) * (double)d->n,
                             .bytes = vox_op_bytes(&r->node, a->pass, d->n)};
    if (a->fits && !a->fits(p))
        return VOX_OK;
    vox_error why = {0};
    vox_status s = vox_work_build(&t.work, p, a, &why);
    if (s == VOX_ERR_UNSUPPORTED) {
        vox_log(VOX_LOG_INFO, "left out: %s: %s: %s", a->name, why.message, why.detail);
        return VOX_OK;
    }
    if (s != VOX_OK && err)
        *err = why;
    if (s == VOX_OK)
        s = open_buffers(&t, err);
    if (s == VOX_OK)
        s = vox_time_runs(p->dev, run_once, &t, 0, r->repeat, &out->time, err);
    if (s == VOX_OK)
        s = read_and_compare(&t, out, err);
    out->workspace = vox_work_bytes(&t.work);
    out->done = s == VOX_OK;
    trial_release(&t);
    return s;
}
