/* trial.c - one layer's pass with made-up numbers. */
#include "tune/trial.h"

#include "base/mem.h"
#include "base/philox.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WHAT      "the tuner's numbers"
#define UNWRITTEN 0x7fc0beefu /* a NaN */

/* ---- numbers on the host ------------------------------------------------ */

static bool is_labels(const vox_node *node, int input)
{
    return node->op->loss && input == node->inputs - 1;
}

/* Shape of the tensor for n_max samples. */
static vox_shape batch_shape(const vox_problem *p, const vox_shape *one)
{
    vox_shape s = *one;
    s.dim[0] = p->n_max;
    return s;
}

static float *draw(size_t count, uint64_t stream, float bound, vox_error *err)
{
    vox_random r;
    float *v = vox_calloc(count, sizeof *v, WHAT, err);
    vox_random_init(&r, 1, VOX_RANDOM_SYNTH, 1, 0, stream);
    for (size_t i = 0; v && i < count; i++)
        v[i] = bound * (2 * vox_random_uniform(&r) - 1);
    return v;
}

static float *draw_tensor(const vox_problem *p, const vox_shape *one, uint64_t stream,
                          vox_error *err)
{
    const vox_shape s = batch_shape(p, one);
    return draw((size_t)vox_shape_count(&s), stream, 1, err);
}

static float *draw_labels(const vox_problem *p, vox_error *err)
{
    const vox_node *node = p->node;
    const vox_shape s = batch_shape(p, &node->in[node->inputs - 1]);
    const size_t count = (size_t)vox_shape_count(&s);
    vox_random r;
    float *v = vox_calloc(count, sizeof *v, WHAT, err);
    vox_random_init(&r, 1, VOX_RANDOM_SYNTH, 1, 0, 1);
    for (size_t i = 0; v && i < count; i++) {
        const int32_t label = (int32_t)vox_random_below(&r, (uint32_t)node->in[0].dim[1]);
        memcpy(&v[i], &label, sizeof label);
    }
    return v;
}

static vox_status draw_params(vox_trial *t, vox_error *err)
{
    const vox_node *node = t->problem->node;
    t->params = node->op->params ? node->op->params(node, t->param) : 0;
    for (int k = 0; k < t->params; k++) {
        const float bound = t->param[k].bound > 0 ? (float)t->param[k].bound : 1;
        t->weight[k] =
            draw((size_t)vox_shape_count(&t->param[k].shape), 100 + (uint64_t)k, bound, err);
        if (!t->weight[k])
            return VOX_ERR_MEMORY;
        const bool about_one =
            t->param[k].init == VOX_INIT_ONE; /* a variance must not be negative */
        for (int64_t i = 0; about_one && i < vox_shape_count(&t->param[k].shape); i++)
            t->weight[k][i] = 1 + t->weight[k][i] / 2;
    }
    return VOX_OK;
}

static vox_status compute_y(vox_trial *t, const vox_problem *p, const vox_algo *forward,
                            vox_error *err)
{
    vox_trial f;
    vox_trial_tensors d = {0};
    vox_trial_result r = {0};
    vox_work w = {0};
    vox_status s = vox_trial_init(&f, p, VOX_FORWARD, NULL, err);
    if (s == VOX_OK)
        s = vox_trial_open(&d, &f, forward, err);
    if (s == VOX_OK)
        s = vox_work_build(&w, p, forward, err);
    if (s == VOX_OK)
        s = vox_trial_run(&d, &w, p->n_max, err);
    if (s == VOX_OK)
        s = vox_trial_read(&r, &f, &d, p->n_max, err);
    if (s == VOX_OK) {
        t->y = r.value[0];
        r.value[0] = NULL;
    }
    vox_trial_result_release(&r);
    vox_work_release(&w);
    vox_trial_close(&d);
    vox_trial_release(&f);
    return s;
}

vox_status vox_trial_init(vox_trial *t, const vox_problem *p, vox_pass pass,
                          const vox_algo *forward, vox_error *err)
{
    const vox_node *node = p->node;
    const bool reads_x = pass == VOX_FORWARD || node->op->backward_reads_x;
    *t = (vox_trial){.problem = p, .pass = pass};
    vox_status s = draw_params(t, err);
    for (int k = 0; k < node->inputs && reads_x && s == VOX_OK; k++) {
        t->x[k] = is_labels(node, k) ? draw_labels(p, err)
                                     : draw_tensor(p, &node->in[k], (uint64_t)k, err);
        s = t->x[k] ? VOX_OK : VOX_ERR_MEMORY;
    }
    if (s == VOX_OK && pass != VOX_FORWARD && node->op->backward_reads_y && forward)
        s = compute_y(t, p, forward, err);
    if (s == VOX_OK && pass != VOX_FORWARD && !node->op->loss) {
        t->dy = draw_tensor(p, &node->out, 50, err);
        s = t->dy ? VOX_OK : VOX_ERR_MEMORY;
    }
    if (s != VOX_OK)
        vox_trial_release(t);
    return s;
}

void vox_trial_release(vox_trial *t)
{
    for (int k = 0; k < VOX_MAX_INPUTS; k++)
        free(t->x[k]);
    for (int k = 0; k < VOX_MAX_PARAMS; k++)
        free(t->weight[k]);
    free(t->y);
    free(t->dy);
    memset(t, 0, sizeof *t);
}

/* ---- layouts ------------------------------------------------------------ */

static int64_t voxels_of(const vox_shape *s)
{
    return s->dim[2] * s->dim[3] * s->dim[4];
}

/* Where a plain element (channel c, voxel v of sample i) is in BLOCK16. */
static size_t block_index(const vox_shape *s, int64_t i, int64_t c, int64_t v)
{
    const int64_t blocks = (s->dim[1] + 15) / 16;
    return (size_t)((((i * blocks + c / 16) * voxels_of(s)) + v) * 16 + c % 16);
}

static float *to_layout(const vox_shape *s, vox_layout layout, const float *plain, vox_error *err)
{
    const int64_t voxels = voxels_of(s);
    const size_t count = (size_t)(s->dim[0] * vox_sample_floats(s, layout));
    float *to = vox_calloc(count, sizeof *to, WHAT, err);
    for (int64_t i = 0; to && i < s->dim[0]; i++)
        for (int64_t c = 0; c < s->dim[1]; c++)
            for (int64_t v = 0; v < voxels; v++)
                to[block_index(s, i, c, v)] = plain[(i * s->dim[1] + c) * voxels + v];
    return to;
}

static float *from_layout(const vox_shape *s, int64_t n, const float *from, bool *dirty,
                          vox_error *err)
{
    const int64_t voxels = voxels_of(s), channels = (s->dim[1] + 15) / 16 * 16;
    float *to = vox_calloc((size_t)(n * s->dim[1] * voxels), sizeof *to, WHAT, err);
    for (int64_t i = 0; to && i < n; i++)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t v = 0; v < voxels; v++) {
                const float value = from[block_index(s, i, c, v)];
                if (c < s->dim[1])
                    to[(i * s->dim[1] + c) * voxels + v] = value;
                else
                    *dirty = *dirty || !(value == 0);
            }
    return to;
}

/* ---- tensors on the device ---------------------------------------------- */

/* host NULL: an output. */
static vox_status open_tensor(vox_tensor *d, const vox_problem *p, const vox_shape *one,
                              vox_layout layout, const float *host, vox_error *err)
{
    *d = (vox_tensor){.shape = batch_shape(p, one), .layout = layout};
    const size_t floats = (size_t)(d->shape.dim[0] * vox_sample_floats(&d->shape, layout));
    size_t bytes;
    if (!vox_mul(floats, sizeof(float), &bytes))
        return vox_fail_memory(err, WHAT, SIZE_MAX);
    vox_status s = vox_buffer_open(&d->buf, p->dev, bytes, VOX_BUFFER_DEVICE, WHAT, err);
    if (s != VOX_OK || !host)
        return s;
    if (layout == VOX_LAYOUT_PLAIN)
        return vox_buffer_write(d->buf, 0, host, bytes, true, err);
    float *there = to_layout(&d->shape, layout, host, err);
    s = there ? vox_buffer_write(d->buf, 0, there, bytes, true, err) : VOX_ERR_MEMORY;
    free(there);
    return s;
}

static vox_status open_params(vox_trial_tensors *d, const vox_trial *t, vox_error *err)
{
    vox_status s = VOX_OK;
    for (int k = 0; k < t->params && s == VOX_OK; k++) {
        const size_t bytes = (size_t)vox_shape_count(&t->param[k].shape) * sizeof(float);
        s = vox_buffer_open(&d->param[k], t->problem->dev, bytes, VOX_BUFFER_DEVICE, WHAT, err);
        if (s == VOX_OK)
            s = vox_buffer_write(d->param[k], 0, t->weight[k], bytes, true, err);
        if (s == VOX_OK && t->pass == VOX_BACKWARD_WEIGHTS && t->param[k].trainable)
            s = vox_buffer_open(&d->dparam[k], t->problem->dev, bytes, VOX_BUFFER_DEVICE, WHAT,
                                err);
        d->io.param[k] = d->param[k];
        d->io.dparam[k] = d->dparam[k];
    }
    return s;
}

static vox_status open_inputs(vox_trial_tensors *d, const vox_trial *t, const vox_algo *a,
                              vox_error *err)
{
    const vox_problem *p = t->problem;
    vox_status s = VOX_OK;
    for (int k = 0; k < p->node->inputs && s == VOX_OK; k++) {
        const bool labels = is_labels(p->node, k);
        const vox_layout layout = labels ? VOX_LAYOUT_PLAIN : a->in;
        if (t->x[k]) {
            s = open_tensor(&d->x[k], p, &p->node->in[k], layout, t->x[k], err);
            d->x[k].dtype = labels ? VOX_I32 : VOX_F32;
            d->io.x[k] = &d->x[k];
        }
        if (s == VOX_OK && t->pass == VOX_BACKWARD_DATA && !labels) {
            s = open_tensor(&d->dx[k], p, &p->node->in[k], layout, NULL, err);
            d->io.dx[k] = &d->dx[k];
        }
    }
    return s;
}

/* What the passes keep: made up too, as all algorithms read the same. */
static vox_status open_keeps(vox_trial_tensors *d, const vox_trial *t, vox_error *err)
{
    const vox_problem *p = t->problem;
    vox_status s = VOX_OK;
    for (int pass = 0; p->node->op->keeps && pass < VOX_PASSES && s == VOX_OK; pass++) {
        const int64_t floats = p->node->op->keeps(p->node, (vox_pass)pass, p->n_max);
        float *made_up = floats ? draw((size_t)floats, 200 + (uint64_t)pass, 1, err) : NULL;
        if (!floats)
            continue;
        s = made_up ? vox_buffer_open(&d->keep[pass], p->dev, (size_t)floats * sizeof(float),
                                      VOX_BUFFER_DEVICE, WHAT, err)
                    : VOX_ERR_MEMORY;
        if (s == VOX_OK)
            s = vox_buffer_write(d->keep[pass], 0, made_up, (size_t)floats * sizeof(float), true,
                                 err);
        d->io.keep[pass] = d->keep[pass];
        free(made_up);
    }
    return s;
}

vox_status vox_trial_open(vox_trial_tensors *d, const vox_trial *t, const vox_algo *a,
                          vox_error *err)
{
    const vox_problem *p = t->problem;
    *d = (vox_trial_tensors){.pass = t->pass,
                             .io = {.training = p->training, .scale = 1, .step = {.seed = 1}}};
    vox_status s = open_params(d, t, err);
    if (s == VOX_OK)
        s = open_keeps(d, t, err);
    if (s == VOX_OK)
        s = open_inputs(d, t, a, err);
    if (s == VOX_OK && (t->pass == VOX_FORWARD || t->y)) {
        s = open_tensor(&d->y, p, &p->node->out, a->out, t->y, err);
        d->io.y = &d->y;
    }
    if (s == VOX_OK && t->dy) {
        s = open_tensor(&d->dy, p, &p->node->out, a->out, t->dy, err);
        d->io.dy = &d->dy;
    }
    if (s != VOX_OK)
        vox_trial_close(d);
    return s;
}

void vox_trial_close(vox_trial_tensors *d)
{
    for (int k = 0; k < VOX_MAX_INPUTS; k++) {
        vox_buffer_free(&d->x[k].buf);
        vox_buffer_free(&d->dx[k].buf);
    }
    for (int k = 0; k < VOX_MAX_PARAMS; k++) {
        vox_buffer_free(&d->param[k]);
        vox_buffer_free(&d->dparam[k]);
    }
    for (int pass = 0; pass < VOX_PASSES; pass++)
        vox_buffer_free(&d->keep[pass]);
    vox_buffer_free(&d->y.buf);
    vox_buffer_free(&d->dy.buf);
    memset(d, 0, sizeof *d);
}

/* ---- running ------------------------------------------------------------ */

/* The outputs' buffers, in the order of vox_trial_result. */
static int list_outputs(const vox_trial_tensors *d, vox_buffer *out[VOX_TRIAL_RESULTS])
{
    int n = 0;
    if (d->pass == VOX_FORWARD)
        out[n++] = d->y.buf;
    for (int k = 0; k < VOX_MAX_INPUTS; k++)
        if (d->io.dx[k])
            out[n++] = d->dx[k].buf;
    for (int k = 0; k < VOX_MAX_PARAMS; k++)
        if (d->dparam[k])
            out[n++] = d->dparam[k];
    return n;
}

vox_status vox_trial_clear(vox_trial_tensors *d, vox_error *err)
{
    vox_buffer *out[VOX_TRIAL_RESULTS];
    vox_status s = VOX_OK;
    const int n = list_outputs(d, out);
    for (int i = 0; i < n && s == VOX_OK; i++)
        s = vox_buffer_fill(out[i], 0, vox_buffer_bytes(out[i]), UNWRITTEN, err);
    return s;
}

vox_status vox_trial_run(vox_trial_tensors *d, vox_work *w, int64_t n, vox_error *err)
{
    d->io.n = n;
    vox_status s = w->algo->run(w, &d->io, err);
    vox_status end = vox_device_finish(w->problem.dev, s == VOX_OK ? err : NULL);
    return s == VOX_OK ? end : s;
}

static vox_status read_tensor(vox_trial_result *r, const vox_tensor *d, int64_t n, vox_error *err)
{
    const size_t floats = (size_t)(n * vox_sample_floats(&d->shape, d->layout));
    float *raw = vox_calloc(floats, sizeof *raw, WHAT, err);
    if (!raw)
        return VOX_ERR_MEMORY;
    vox_status s = vox_buffer_read(d->buf, 0, raw, floats * sizeof *raw, true, err);
    if (s == VOX_OK && d->layout == VOX_LAYOUT_BLOCK16) {
        float *plain = from_layout(&d->shape, n, raw, &r->dirty, err);
        free(raw);
        raw = plain;
        s = plain ? VOX_OK : VOX_ERR_MEMORY;
    }
    if (s != VOX_OK) {
        free(raw);
        return s;
    }
    r->value[r->tensors] = raw;
    r->count[r->tensors++] = (size_t)(n * d->shape.dim[1] * voxels_of(&d->shape));
    return VOX_OK;
}

static vox_status read_flat(vox_trial_result *r, vox_buffer *buf, vox_error *err)
{
    const size_t bytes = vox_buffer_bytes(buf);
    float *raw = vox_calloc(1, bytes, WHAT, err);
    vox_status s = raw ? vox_buffer_read(buf, 0, raw, bytes, true, err) : VOX_ERR_MEMORY;
    if (s != VOX_OK) {
        free(raw);
        return s;
    }
    r->value[r->tensors] = raw;
    r->count[r->tensors++] = bytes / sizeof(float);
    return VOX_OK;
}

vox_status vox_trial_read(vox_trial_result *r, const vox_trial *t, vox_trial_tensors *d, int64_t n,
                          vox_error *err)
{
    vox_status s = VOX_OK;
    *r = (vox_trial_result){0};
    if (t->pass == VOX_FORWARD)
        s = read_tensor(r, &d->y, n, err);
    for (int k = 0; k < VOX_MAX_INPUTS && s == VOX_OK; k++)
        if (d->io.dx[k])
            s = read_tensor(r, &d->dx[k], n, err);
    for (int k = 0; k < VOX_MAX_PARAMS && s == VOX_OK; k++)
        if (d->dparam[k])
            s = read_flat(r, d->dparam[k], err);
    if (s != VOX_OK)
        vox_trial_result_release(r);
    return s;
}

void vox_trial_result_release(vox_trial_result *r)
{
    for (int i = 0; i < VOX_TRIAL_RESULTS; i++)
        free(r->value[i]);
    memset(r, 0, sizeof *r);
}

static double tensor_error(const float *got, const float *want, size_t count)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(got[i]) && isfinite(want[i]))
            return INFINITY;
        const double d = (double)got[i] - (double)want[i];
        if (isfinite(want[i])) {
            difference += d * d;
            norm += (double)want[i] * (double)want[i];
        }
    }
    if (difference == 0)
        return 0;
    return norm > 0 ? sqrt(difference / norm) : INFINITY;
}

double vox_trial_error(const vox_trial_result *got, const vox_trial_result *want)
{
    double most = got->dirty || got->tensors != want->tensors ? INFINITY : 0;
    for (int i = 0; i < want->tensors && !isinf(most); i++)
        most = got->count[i] != want->count[i]
                   ? INFINITY
                   : fmax(most, tensor_error(got->value[i], want->value[i], want->count[i]));
    return most;
}
