/* sgd.c - stochastic gradient descent as torch.optim.SGD. */
#include "train/optimizer_method.h"

#include <stdio.h>

static size_t parts(const vox_optimizer_spec *spec, const char *name[VOX_OPTIMIZER_MAX_PARTS])
{
    name[0] = "momentum";
    return spec->momentum != 0 ? 1 : 0;
}

static vox_status build(vox_optimizer *o, vox_error *err)
{
    char options[128];
    snprintf(options, sizeof options, "%s -DMOMENTUM=%d -DNESTEROV=%d",
             vox_optimizer_options(o->dev), o->spec.momentum != 0, o->spec.nesterov);
    return vox_kernel_open(&o->kernel, o->dev, "sgd.cl", "sgd", options, err);
}

/* PyTorch's first step makes the momentum the gradient itself, undamped. */
static double keep_of(const vox_optimizer *o, int64_t step)
{
    return step == 0 ? 0 : o->spec.momentum;
}

static double take_of(const vox_optimizer *o, int64_t step)
{
    return step == 0 ? 1 : 1 - o->spec.dampening;
}

static vox_status step_sgd(vox_optimizer *o, vox_buffer *params, vox_buffer *grads, double lr,
                           int64_t step, vox_error *err)
{
    const vox_grid grid = vox_optimizer_grid(o);
    const vox_arg args[] = {vox_arg_buffer(params),
                            vox_arg_buffer(grads),
                            vox_arg_buffer(o->part[0]),
                            vox_arg_buffer(o->used),
                            vox_arg_buffer(o->coefficient),
                            vox_arg_u32((uint32_t)o->blocks),
                            vox_arg_f32((float)lr),
                            vox_arg_f32((float)o->spec.weight_decay),
                            vox_arg_f32((float)o->spec.momentum),
                            vox_arg_f32((float)keep_of(o, step)),
                            vox_arg_f32((float)take_of(o, step))};
    return vox_kernel_launch(o->kernel, &grid, args, sizeof args / sizeof *args, err);
}

/* As cl/sgd.cl has it: the step is along look * momentum + now * gradient. */
static void host(const vox_optimizer *o, const vox_host_update *u, size_t at, size_t count,
                 const float *restrict grad)
{
    const float lr = (float)u->lr, decay = (float)o->spec.weight_decay, scale = u->scale,
                keep = (float)keep_of(o, u->step), take = (float)take_of(o, u->step),
                look = o->spec.nesterov ? (float)o->spec.momentum : 1,
                now = o->spec.nesterov ? 1 : 0;
    float *restrict p = u->param + at;
    float *restrict m = o->parts ? o->host_part[0] + at : NULL;
    for (size_t i = 0; i < count; i++) {
        const float g = scale * grad[i] + decay * p[i];
        float along = g;
        if (m) {
            m[i] = keep * m[i] + take * g;
            along = look * m[i] + now * g;
        }
        p[i] -= lr * along;
    }
}

const vox_optimizer_method vox_optimizer_sgd = {parts, build, step_sgd, host};
