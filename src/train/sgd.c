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

static vox_status step_sgd(vox_optimizer *o, vox_buffer *params, vox_buffer *grads, double lr,
                           int64_t step, vox_error *err)
{
    /* PyTorch's first step makes the momentum the gradient itself, undamped. */
    const double keep = step == 0 ? 0 : o->spec.momentum;
    const double take = step == 0 ? 1 : 1 - o->spec.dampening;
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
                            vox_arg_f32((float)keep),
                            vox_arg_f32((float)take)};
    return vox_kernel_launch(o->kernel, &grid, args, sizeof args / sizeof *args, err);
}

const vox_optimizer_method vox_optimizer_sgd = {parts, build, step_sgd};
