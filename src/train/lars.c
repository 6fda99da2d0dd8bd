/* lars.c - layer-wise adaptive rate scaling: You, Gitman, Ginsburg, "Large batch training of
 * convolutional networks", arXiv 1708.03888 (2017), algorithm 1.  As there, the rate is part of
 * what the momentum keeps. */
#include "train/optimizer_method.h"

static size_t parts(const vox_optimizer_spec *spec, const char *name[VOX_OPTIMIZER_MAX_PARTS])
{
    (void)spec;
    name[0] = "momentum";
    return 1;
}

static vox_status build(vox_optimizer *o, vox_error *err)
{
    return vox_kernel_open(&o->kernel, o->dev, "lars.cl", "lars", vox_optimizer_options(o->dev),
                           err);
}

static vox_status step_lars(vox_optimizer *o, vox_buffer *params, vox_buffer *grads, double lr,
                            int64_t step, vox_error *err)
{
    const vox_grid grid = vox_optimizer_grid(o);
    const vox_arg args[] = {vox_arg_buffer(params),
                            vox_arg_buffer(grads),
                            vox_arg_buffer(o->part[0]),
                            vox_arg_buffer(o->used),
                            vox_arg_buffer(o->trust.tensor),
                            vox_arg_buffer(o->trust.ratio),
                            vox_arg_buffer(o->coefficient),
                            vox_arg_u32((uint32_t)o->blocks),
                            vox_arg_f32((float)lr),
                            vox_arg_f32((float)o->spec.weight_decay),
                            vox_arg_f32((float)o->spec.momentum)};
    (void)step;
    vox_status s = vox_trust_enqueue(o, params, grads, err);
    return s == VOX_OK ? vox_kernel_launch(o->kernel, &grid, args, sizeof args / sizeof *args, err)
                       : s;
}

static void host(const vox_optimizer *o, const vox_host_update *u, size_t at, size_t count,
                 const float *restrict grad)
{
    const uint32_t tensor = o->trust.host_tensor[at / VOX_OPTIMIZER_BLOCK];
    const float rate = (float)u->lr * o->trust.host_ratio[tensor], scale = u->scale,
                decay = tensor ? (float)o->spec.weight_decay : 0,
                momentum = (float)o->spec.momentum;
    float *restrict p = u->param + at, *restrict m = o->host_part[0] + at;
    for (size_t i = 0; i < count; i++) {
        m[i] = momentum * m[i] + rate * (scale * grad[i] + decay * p[i]);
        p[i] -= m[i];
    }
}

const vox_optimizer_method vox_optimizer_lars = {parts, build, step_lars, host, true, NULL};
