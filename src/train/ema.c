/* ema.c - an exponential moving average of the weights. */
#include "train/ema.h"

#include "base/mem.h"
#include "ops/flat.h"

#include <stdlib.h>

struct vox_ema {
    vox_device *dev;
    vox_ema_spec spec;
    size_t floats;
    vox_buffer *average;
    vox_kernel *kernel;
};

double vox_ema_decay(const vox_ema_spec *spec, int64_t step)
{
    const double soon = (1 + (double)step) / (10 + (double)step);
    return spec->ramp && soon < spec->decay ? soon : spec->decay;
}

vox_status vox_ema_open(vox_ema **out, vox_device *dev, size_t floats, const vox_ema_spec *spec,
                        vox_error *err)
{
    *out = NULL;
    vox_ema *e = vox_calloc(1, sizeof *e, "the average of the weights", err);
    if (!e)
        return VOX_ERR_MEMORY;
    *e = (vox_ema){.dev = dev, .spec = *spec, .floats = floats};
    vox_status s = vox_buffer_open(&e->average, dev, (floats ? floats : 1) * sizeof(float),
                                   VOX_BUFFER_DEVICE, "the average of the weights", err);
    if (s == VOX_OK)
        s = vox_kernel_open(&e->kernel, dev, "ema.cl", "ema", vox_flat_options(dev), err);
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
    free(*ema);
    *ema = NULL;
}

vox_status vox_ema_set(vox_ema *ema, const float *flat, vox_error *err)
{
    return vox_buffer_write(ema->average, 0, flat, ema->floats * sizeof(float), true, err);
}

vox_status vox_ema_get(vox_ema *ema, float *flat, vox_error *err)
{
    return vox_buffer_read(ema->average, 0, flat, ema->floats * sizeof(float), true, err);
}

vox_status vox_ema_step(vox_ema *ema, vox_buffer *params, int64_t step, vox_error *err)
{
    const vox_grid grid = vox_flat_grid(ema->dev, (int64_t)ema->floats);
    const double share = 1 - vox_ema_decay(&ema->spec, step);
    const vox_arg args[] = {vox_arg_buffer(ema->average), vox_arg_buffer(params),
                            vox_arg_f32((float)share), vox_arg_u64(ema->floats)};
    return vox_kernel_launch(ema->kernel, &grid, args, 4, err);
}
