/* ladder_methods.c - ladders whose rungs are methods of a convolution's forward pass. */
#include "tune/ladder_methods.h"

#include "tune/op_rows.h"

#include <stdlib.h>
#include <string.h>

vox_status vox_methods_open(void **state, const vox_rung *rung, const vox_algo *own, bool bias,
                            const char *const *args, size_t count, vox_error *err)
{
    vox_ladder_methods *m = *state = vox_calloc(1, sizeof *m, "a ladder", err);
    if (!m)
        return VOX_ERR_MEMORY;
    m->rung = rung;
    m->own = own;
    vox_status s = vox_conv_request_read(&m->r, args, count, err);
    m->r.attr.bias = bias;
    if (s == VOX_OK)
        s = vox_conv_data_open(&m->data, &m->r, err);
    if (s != VOX_OK) {
        free(m);
        *state = NULL;
    }
    return s;
}

void vox_methods_close(void *state)
{
    vox_ladder_methods *m = state;
    vox_conv_data_release(&m->data);
    free(m);
}

void vox_methods_work(const void *state, double *flops, double *bytes)
{
    const vox_ladder_methods *m = state;
    *flops = vox_conv_flops(&m->data.s) * (double)m->data.n;
    *bytes = vox_op_bytes(&m->r.node, VOX_FORWARD, m->data.n);
}

vox_status vox_methods_enter(void *state, vox_device *dev, vox_error *err)
{
    (void)err;
    ((vox_ladder_methods *)state)->dev = dev;
    return VOX_OK;
}

void vox_methods_leave(void *state)
{
    ((vox_ladder_methods *)state)->dev = NULL;
}

static const vox_algo *find_algo(const vox_ladder_methods *m, const char *name)
{
    for (const vox_algo *a = m->own; a->name; a++)
        if (strcmp(a->name, name) == 0)
            return a;
    for (const vox_algo *a = m->r.node.op->algos; a->name; a++)
        if (a->pass == VOX_FORWARD && strcmp(a->name, name) == 0)
            return a;
    return NULL;
}

vox_status vox_methods_measure(void *state, size_t rung, vox_rung_figure *out, vox_error *err)
{
    const vox_ladder_methods *m = state;
    const vox_algo *a = find_algo(m, m->rung[rung].name);
    const vox_problem p = {.node = &m->r.node, .dev = m->dev, .n_max = m->data.n, .training = true};
    vox_conv_timing t;
    if (!a || (a->fits && !a->fits(&p)) || a->seconds(&p) > VOX_CONV_HOPELESS)
        return VOX_OK;
    vox_status s = vox_conv_measure(&m->r, &m->data, &p, a, &t, err);
    *out = (vox_rung_figure){t.done, t.time, t.rms_error};
    return s;
}
