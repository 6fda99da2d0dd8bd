/* check.c - one algorithm, one batch: guarded buffers up, two runs, everything compared. */
#include "ops/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

/* One tensor of the run. */
typedef struct slot {
    const char *name;
    vt_buffer b;
    vox_tensor tensor;
    const double *from;   /* input: its values; output: what is wanted */
    const double *prior;  /* output under +=: what it holds before */
    const double *start;  /* output that changes: likewise */
    vox_buffer **place;   /* where in io the buffer goes, unless with its tensor */
    const vox_op *keeper; /* of what `pass` keeps: its size depends on n in a way of its own */
    vox_pass pass;
    const double
        *relu; /* output with a relu fused: where this is not positive, it is 0 or scaled */
    bool output;
    bool batched;             /* dim[0] of its shape is the batch */
    uint32_t *result, *again; /* outputs: words after the first and the second run */
} slot;

#define MAX_SLOTS (2 * VOX_MAX_INPUTS + 2 + 2 * VOX_MAX_PARAMS + VOX_PASSES)

typedef struct run {
    vt_check *check;
    slot slot[MAX_SLOTS];
    int slots;
    vox_io io;
} run;

static size_t slot_words(const run *r, const slot *s, int64_t n)
{
    if (s->keeper)
        return (size_t)s->keeper->keeps(&r->check->layer->node, s->pass, n);
    if (!s->batched)
        return (size_t)vox_shape_count(&s->tensor.shape);
    return (size_t)(n * vox_sample_floats(&s->tensor.shape, s->tensor.layout));
}

static slot *add_slot(run *r, const char *name, const vox_shape *shape, vox_layout layout,
                      const double *from, bool output)
{
    slot *s = &r->slot[r->slots++];
    *s = (slot){.name = name, .from = from, .output = output};
    s->tensor.shape = *shape;
    s->tensor.layout = layout;
    return s;
}

static slot *add_activation(run *r, const char *name, const vox_shape *shape, vox_layout layout,
                            const double *from, bool output)
{
    slot *s = add_slot(r, name, shape, layout, from, output);
    s->batched = true;
    s->tensor.shape.dim[0] = r->check->n_max;
    return s;
}

static void add_inputs(run *r, vox_pass pass)
{
    const vt_check *c = r->check;
    const vox_node *node = &c->layer->node;
    for (int i = 0; i < node->inputs; i++) {
        bool label = c->suite->labels && i == node->inputs - 1;
        const bool relu = c->work->problem.relu_in >> i & 1;
        if (pass == VOX_FORWARD || node->op->backward_reads_x || relu) {
            vox_layout layout = label ? VOX_LAYOUT_PLAIN : c->work->algo->in;
            slot *s = add_activation(r, "x", &node->in[i], layout, c->data->x[i], false);
            s->tensor.dtype = label ? VOX_I32 : VOX_F32;
            r->io.x[i] = &s->tensor;
        }
        if (pass == VOX_BACKWARD_DATA && !label) {
            slot *s =
                add_activation(r, "dx", &node->in[i], c->work->algo->in, c->data->dx[i], true);
            s->relu = relu ? c->data->x[i] : NULL;
            r->io.dx[i] = &s->tensor;
        }
    }
}

static void add_outputs(run *r, vox_pass pass)
{
    const vt_check *c = r->check;
    const vox_node *node = &c->layer->node;
    vox_layout out = c->work->algo->out;
    if (pass == VOX_FORWARD || node->op->backward_reads_y) {
        slot *s = add_activation(r, "y", &node->out, out, c->data->y, pass == VOX_FORWARD);
        s->relu = c->work->problem.relu_out ? c->data->y : NULL;
        r->io.y = &s->tensor;
    }
    if (pass != VOX_FORWARD && !node->op->loss)
        r->io.dy = &add_activation(r, "dy", &node->out, out, c->data->dy, false)->tensor;
}

/* A parameter that is not trainable is what the forward pass may change. */
static void add_param(run *r, vox_pass pass, int i)
{
    const vt_check *c = r->check;
    const vox_shape *shape = &c->layer->param[i].shape;
    const bool trainable = c->layer->param[i].trainable;
    const bool state = pass == VOX_FORWARD && !trainable;
    slot *s = add_slot(r, "param", shape, VOX_LAYOUT_PLAIN,
                       state ? c->data->state[i] : c->data->param[i], state);
    s->start = state ? c->data->param[i] : NULL;
    s->place = &r->io.param[i];
    if (pass != VOX_BACKWARD_WEIGHTS || !trainable)
        return;
    s = add_slot(r, "dparam", shape, VOX_LAYOUT_PLAIN, c->data->dparam[i], true);
    s->prior = c->accumulate ? c->data->prior[i] : NULL;
    s->place = &r->io.dparam[i];
}

/* What the pass keeps, and what those before it kept: backward-weights runs before backward-data.
 */
static void add_keeps(run *r, vox_pass pass)
{
    static const int turn[VOX_PASSES] = {0, 2, 1};
    const vt_check *c = r->check;
    for (int k = 0; k < VOX_PASSES; k++) {
        if (!c->data->keep[k] || turn[k] > turn[pass])
            continue;
        const int64_t words = c->layer->node.op->keeps(&c->layer->node, (vox_pass)k, c->data->n);
        const vox_shape shape = {1, {words}};
        slot *s = add_slot(r, "keep", &shape, VOX_LAYOUT_PLAIN, c->data->keep[k], k == (int)pass);
        s->keeper = c->layer->node.op;
        s->pass = (vox_pass)k;
        s->place = &r->io.keep[k];
    }
}

/* Lists the tensors that the pass gets; their buffers come later. */
static void list_slots(run *r)
{
    const vt_check *c = r->check;
    const vox_pass pass = c->work->algo->pass;
    add_inputs(r, pass);
    add_outputs(r, pass);
    for (int i = 0; i < c->layer->params; i++)
        add_param(r, pass, i);
    add_keeps(r, pass);
    r->io.n = c->data->n;
    r->io.training = c->training;
    r->io.accumulate = c->accumulate;
    r->io.scale = (float)c->data->io.scale;
    r->io.step = c->data->io.step;
}

static uint32_t word_of(const slot *s, double value)
{
    uint32_t w;
    float f = (float)value;
    int32_t i = s->tensor.dtype == VOX_I32 ? (int32_t)value : 0;
    memcpy(&w, s->tensor.dtype == VOX_I32 ? (void *)&i : (void *)&f, 4);
    return w;
}

/* The shadow: an input's values in its layout and canaries past sample n; an output's filling. */
static vox_status fill_slot(run *r, slot *s, vox_error *err)
{
    const int64_t n = r->check->data->n;
    size_t words = s->b.bytes / 4, used = slot_words(r, s, n);
    const double *from = !s->output ? s->from : s->start ? s->start : s->prior;
    for (size_t i = 0; i < words; i++)
        s->b.shadow[i] = s->output ? VT_UNWRITTEN : VT_CANARY;
    if (!from)
        return VOX_OK;
    if (s->tensor.layout == VOX_LAYOUT_PLAIN) {
        for (size_t i = 0; i < used; i++)
            s->b.shadow[i] = word_of(s, from[i]);
        return VOX_OK;
    }
    size_t plain_count = (size_t)(n * vox_sample_floats(&s->tensor.shape, VOX_LAYOUT_PLAIN));
    float *plain = vox_calloc(plain_count, sizeof *plain, "test tensor", err);
    if (!plain)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < plain_count; i++)
        plain[i] = (float)from[i];
    vt_block(&s->tensor.shape, n, plain, (float *)s->b.shadow);
    free(plain);
    return VOX_OK;
}

static vox_status open_slots(run *r, vox_error *err)
{
    vox_status status = VOX_OK;
    for (int i = 0; i < r->slots && status == VOX_OK; i++) {
        slot *s = &r->slot[i];
        size_t words = slot_words(r, s, r->check->n_max);
        status = vt_buffer_open(&s->b, r->check->work->problem.dev, words, err);
        if (status != VOX_OK)
            break;
        s->tensor.buf = s->b.window;
        s->result = vox_calloc(words, 4, "test tensor", err);
        s->again = vox_calloc(words, 4, "test tensor", err);
        if (!s->result || !s->again)
            return VOX_ERR_MEMORY;
        if (s->place)
            *s->place = s->b.window;
        status = fill_slot(r, s, err);
    }
    return status;
}

static void close_run(run *r)
{
    for (int i = 0; i < r->slots; i++) {
        vt_buffer_release(&r->slot[i].b);
        free(r->slot[i].result);
        free(r->slot[i].again);
    }
}

static bool failed(run *r, const char *fmt, const slot *s, int64_t a)
{
    size_t used = strlen(r->check->failure);
    used += (size_t)snprintf(r->check->failure + used, sizeof r->check->failure - used,
                             "%s: ", s->name);
    if (used < sizeof r->check->failure)
        snprintf(r->check->failure + used, sizeof r->check->failure - used, "%s (word %" PRId64 ")",
                 fmt, a);
    return false;
}

static bool failed_call(run *r, const char *what, const vox_error *err)
{
    snprintf(r->check->failure, sizeof r->check->failure, "%s: %s | %s | %s", what, err->message,
             err->detail, err->hint);
    return false;
}

/* Uploads all, runs, downloads all into result or again, checks the margins. */
static bool run_once(run *r, bool second)
{
    vox_error err = {0};
    vox_device *dev = r->check->work->problem.dev;
    for (int i = 0; i < r->slots; i++)
        if (vt_buffer_upload(&r->slot[i].b, &err) != VOX_OK)
            return failed_call(r, "upload", &err);
    if (r->check->work->algo->run(r->check->work, &r->io, &err) != VOX_OK)
        return failed_call(r, "run", &err);
    if (vox_device_finish(dev, &err) != VOX_OK)
        return failed_call(r, "finish", &err);
    for (int i = 0; i < r->slots; i++) {
        slot *s = &r->slot[i];
        int64_t broken;
        if (vt_buffer_download(&s->b, second ? s->again : s->result, &broken, &err) != VOX_OK)
            return failed_call(r, "download", &err);
        if (broken >= 0)
            return failed(r, "written outside its buffer", s, broken);
    }
    return true;
}

static bool check_input(run *r, const slot *s)
{
    for (size_t i = 0; i < s->b.bytes / 4; i++)
        if (s->result[i] != s->b.shadow[i])
            return failed(r, "an input was overwritten", s, (int64_t)i);
    return true;
}

static void coordinates(const vox_shape *shape, int64_t index, char out[96])
{
    int64_t at[5];
    for (int i = shape->rank - 1; i >= 0; i--) {
        at[i] = index % shape->dim[i];
        index /= shape->dim[i];
    }
    size_t used = 0;
    for (int i = 0; i < shape->rank && used < 96; i++)
        used += (size_t)snprintf(out + used, 96 - used, "%s%" PRId64, i ? "," : "", at[i]);
}

/* The suite's, or what the algorithm says of itself, ten times as much for single elements. */
static vt_tolerance tolerance_of(const vt_check *c)
{
    const vox_algo *a = c->work->algo;
    if (a->rms_error > 0)
        return (vt_tolerance){a->rms_error, 10 * a->rms_error};
    return c->suite->tolerance[a->pass];
}

static bool check_values(run *r, const slot *s, const float *got, const double *want, int64_t count)
{
    vt_difference d;
    const vt_tolerance tol = tolerance_of(r->check);
    if (vt_compare(got, want, count, &tol, r->check->suite->floor[r->check->work->algo->pass], &d))
        return true;
    char at[96], shape[96];
    coordinates(&s->tensor.shape, d.worst, at);
    snprintf(r->check->failure, sizeof r->check->failure,
             "%s %s at [%s] of %s: got %.9g, want %.9g; max %.3g (tolerance %.3g), rms %.3g (%.3g)",
             s->name, d.what, at, vox_shape_text(&s->tensor.shape, shape), d.got, d.want, d.max,
             tol.max, d.rms, tol.rms);
    return false;
}

static bool check_output(run *r, slot *s)
{
    const int64_t n = r->check->data->n;
    size_t words = s->b.bytes / 4, used = slot_words(r, s, n);
    for (size_t i = used; i < words; i++)
        if (s->result[i] != VT_UNWRITTEN)
            return failed(r, "written past sample n", s, (int64_t)i);
    for (size_t i = 0; i < used; i++)
        if (s->result[i] != s->again[i])
            return failed(r, "a second run gives other bits", s, (int64_t)i);
    int64_t count =
        s->batched ? n * vox_sample_floats(&s->tensor.shape, VOX_LAYOUT_PLAIN) : (int64_t)used;
    float *got = vox_calloc((size_t)count, sizeof *got, "test tensor", NULL);
    double *want = vox_calloc((size_t)count, sizeof *want, "test tensor", NULL);
    bool ok = got && want;
    int64_t dirty = -1;
    const double slope = (double)r->check->work->problem.relu_slope;
    for (int64_t i = 0; ok && i < count; i++) {
        want[i] = s->from[i] + (s->prior ? s->prior[i] : 0);
        if (s->relu && s->relu[i] <= 0)
            want[i] = slope > 0 ? slope * want[i] : 0;
    }
    if (ok && s->tensor.layout == VOX_LAYOUT_BLOCK16)
        dirty = vt_unblock(&s->tensor.shape, n, (const float *)s->result, got);
    else if (ok)
        memcpy(got, s->result, (size_t)count * 4);
    ok = ok && check_values(r, s, got, want, count);
    if (ok && dirty >= 0)
        ok = failed(r, "a padding channel of BLOCK16 is not zero", s, dirty);
    free(got);
    free(want);
    return ok;
}

/* What must be read and written at least: weights are no part of their own gradient. */
static double least_bytes(const run *r)
{
    const bool weights = r->check->work->algo->pass == VOX_BACKWARD_WEIGHTS;
    double bytes = 0;
    for (int i = 0; i < r->slots; i++)
        if (r->slot[i].batched || r->slot[i].output || !weights)
            bytes += 4.0 * (double)slot_words(r, &r->slot[i], r->check->data->n);
    return bytes;
}

static bool time_run(run *r)
{
    vt_check *c = r->check;
    vox_error err = {0};
    c->bytes = least_bytes(r);
    return vt_time(c->work, &r->io, c->bytes, &c->seconds, &c->copy_seconds, &err) == VOX_OK ||
           failed_call(r, "timed run", &err);
}

bool vt_check_run(vt_check *c)
{
    run *r = vox_calloc(1, sizeof *r, "test run", NULL);
    if (!r)
        return false;
    vox_error err = {0};
    c->failure[0] = '\0';
    r->check = c;
    list_slots(r);
    bool ok = open_slots(r, &err) == VOX_OK || failed_call(r, "buffers", &err);
    ok = ok && run_once(r, false) && run_once(r, true);
    for (int i = 0; ok && i < r->slots; i++)
        ok = r->slot[i].output ? check_output(r, &r->slot[i]) : check_input(r, &r->slot[i]);
    if (ok && c->time)
        ok = time_run(r);
    close_run(r);
    free(r);
    return ok;
}
