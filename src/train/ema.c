/* ema.c - an exponential moving average of the weights. */
#include "train/ema.h"

#include "base/mem.h"
#include "ops/flat.h"

#include <stdlib.h>
#include <string.h>

struct vox_ema {
    vox_device *dev; /* NULL: host memory */
    vox_ema_spec spec;
    size_t floats;
    float *host_average; /* on the host; else average */
    bool shared;         /* that is somebody else's, and this process has a portion of it */
    const vox_portion *portion;
    vox_buffer *average;
    vox_kernel *kernel;
};

double vox_ema_decay(const vox_ema_spec *spec, int64_t step)
{
    const double soon = (1 + (double)step) / (10 + (double)step);
    return spec->ramp && soon < spec->decay ? soon : spec->decay;
}

static vox_status open_device(vox_ema *e, vox_error *err)
{
    vox_status s = vox_buffer_open(&e->average, e->dev, (e->floats ? e->floats : 1) * sizeof(float),
                                   VOX_BUFFER_DEVICE, "the average of the weights", err);
    return s == VOX_OK
               ? vox_kernel_open(&e->kernel, e->dev, "ema.cl", "ema", vox_flat_options(e->dev), err)
               : s;
}

static vox_status open_host(vox_ema *e, vox_error *err)
{
    e->host_average = vox_calloc(e->floats, sizeof *e->host_average, "the averaged weights", err);
    return e->host_average ? VOX_OK : VOX_ERR_MEMORY;
}

vox_status vox_ema_open(vox_ema **out, vox_device *dev, size_t floats, const vox_ema_spec *spec,
                        vox_error *err)
{
    *out = NULL;
    vox_ema *e = vox_calloc(1, sizeof *e, "the average of the weights", err);
    if (!e)
        return VOX_ERR_MEMORY;
    *e = (vox_ema){.dev = dev, .spec = *spec, .floats = floats};
    vox_status s = dev ? open_device(e, err) : open_host(e, err);
    if (s == VOX_OK)
        *out = e;
    else
        vox_ema_free(&e);
    return s;
}

void vox_ema_free(vox_ema **ema)
{
    if (!ema || !*ema)
        return;
    vox_kernel_free(&(*ema)->kernel);
    vox_buffer_free(&(*ema)->average);
    if (!(*ema)->shared)
        free((*ema)->host_average);
    free(*ema);
    *ema = NULL;
}

vox_status vox_ema_set(vox_ema *ema, const float *flat, vox_error *err)
{
    if (ema->dev)
        return vox_buffer_write(ema->average, 0, flat, ema->floats * sizeof(float), true, err);
    memcpy(ema->host_average, flat, ema->floats * sizeof(float));
    return VOX_OK;
}

vox_status vox_ema_get(vox_ema *ema, float *flat, vox_error *err)
{
    if (ema->dev)
        return vox_buffer_read(ema->average, 0, flat, ema->floats * sizeof(float), true, err);
    memcpy(flat, ema->host_average, ema->floats * sizeof(float));
    return VOX_OK;
}

vox_status vox_ema_step(vox_ema *ema, vox_buffer *params, int64_t step, vox_error *err)
{
    const vox_grid grid = vox_flat_grid(ema->dev, (int64_t)ema->floats);
    const double share = 1 - vox_ema_decay(&ema->spec, step);
    const vox_arg args[] = {vox_arg_buffer(ema->average), vox_arg_buffer(params),
                            vox_arg_f32((float)share), vox_arg_u64(ema->floats)};
    return vox_kernel_launch(ema->kernel, &grid, args, 4, err);
}

/* ---- in host memory ---- */

#define PIECE 16384 /* floats that a thread takes at a time */

typedef struct job {
    vox_ema *ema;
    const float *params;
    float share;
    size_t first; /* piece of this process */
} job;

vox_status vox_ema_share(vox_ema *ema, vox_room *room, const vox_portion *portion, vox_error *err)
{
    float *average = vox_room_take(room, ema->floats * sizeof *average);
    if (!average)
        return vox_fail_memory(err, "the averaged weights", ema->floats * sizeof *average);
    free(ema->host_average);
    ema->host_average = average;
    ema->shared = true;
    ema->portion = portion;
    return VOX_OK;
}

static void average_item(void *user, size_t item)
{
    const job *j = user;
    const size_t at = (j->first + item) * PIECE, left = j->ema->floats - at,
                 count = left < PIECE ? left : PIECE;
    float *restrict average = j->ema->host_average + at;
    const float *restrict weight = j->params + at;
    for (size_t i = 0; i < count; i++)
        average[i] += j->share * (weight[i] - average[i]);
}

vox_status vox_ema_step_host(vox_ema *ema, const float *params, int64_t step, vox_pool *pool,
                             vox_error *err)
{
    job j = {.ema = ema, .params = params};
    const size_t end = vox_portion_items(ema->portion, (ema->floats + PIECE - 1) / PIECE, &j.first);
    j.share = (float)(1 - vox_ema_decay(&ema->spec, step));
    vox_status s = vox_portion_meet(ema->portion, err);
    if (s == VOX_OK)
        vox_pool_for(pool, end - j.first, average_item, &j);
    return s;
}
