/* adam.c - Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019) as torch.optim has
 * them. */
#include "train/optimizer_method.h"

#include <math.h>
#include <stdio.h>

static size_t parts(const vox_optimizer_spec *spec, const char *name[VOX_OPTIMIZER_MAX_PARTS])
{
    name[0] = "exp_avg";
    name[1] = "exp_avg_sq";
    name[2] = "max_exp_avg_sq";
    return spec->amsgrad ? 3 : 2;
}

static vox_status build(vox_optimizer *o, vox_error *err)
{
    char options[128];
    snprintf(options, sizeof options, "%s -DDECOUPLED=%d -DAMSGRAD=%d",
             vox_optimizer_options(o->dev), o->spec.kind == VOX_OPTIMIZER_ADAMW, o->spec.amsgrad);
    return vox_kernel_open(&o->kernel, o->dev, "adam.cl", "adam", options, err);
}

static vox_status step_adam(vox_optimizer *o, vox_buffer *params, vox_buffer *grads, double lr,
                            int64_t step, vox_error *err)
{
    const vox_optimizer_spec *s = &o->spec;
    const double t = (double)step + 1; /* the averages began at 0, t steps ago */
    const double correct1 = 1 - pow(s->beta1, t), correct2 = 1 - pow(s->beta2, t);
    const vox_grid grid = vox_optimizer_grid(o);
    const vox_arg args[] = {
        vox_arg_buffer(params),
        vox_arg_buffer(grads),
        vox_arg_buffer(o->part[0]),
        vox_arg_buffer(o->part[1]),
        vox_arg_buffer(o->part[s->amsgrad ? 2 : 1]),
        vox_arg_buffer(o->used),
        vox_arg_buffer(o->coefficient),
        vox_arg_u32((uint32_t)o->blocks),
        vox_arg_f32((float)(lr / correct1)),
        vox_arg_f32(
            (float)(s->kind == VOX_OPTIMIZER_ADAMW ? 1 - lr * s->weight_decay : s->weight_decay)),
        vox_arg_f32((float)s->beta1),
        vox_arg_f32((float)(1 - s->beta1)),
        vox_arg_f32((float)s->beta2),
        vox_arg_f32((float)(1 - s->beta2)),
        vox_arg_f32((float)(1 / sqrt(correct2))),
        vox_arg_f32((float)s->eps)};
    return vox_kernel_launch(o->kernel, &grid, args, sizeof args / sizeof *args, err);
}

/* As cl/adam.cl has it; shrink is 1 and decay the weight decay, or, decoupled, decay 0. */
static void host(const vox_optimizer *o, const vox_host_update *u, size_t at, size_t count,
                 const float *restrict grad)
{
    const vox_optimizer_spec *s = &o->spec;
    const bool decoupled = s->kind == VOX_OPTIMIZER_ADAMW;
    const double t = (double)u->step + 1;
    const float rate = (float)(u->lr / (1 - pow(s->beta1, t))),
                root = (float)(1 / sqrt(1 - pow(s->beta2, t))),
                shrink = decoupled ? (float)(1 - u->lr * s->weight_decay) : 1,
                decay = decoupled ? 0 : (float)s->weight_decay, scale = u->scale,
                beta1 = (float)s->beta1, take1 = (float)(1 - s->beta1), beta2 = (float)s->beta2,
                take2 = (float)(1 - s->beta2), eps = (float)s->eps;
    float *restrict p = u->param + at, *restrict m = o->host_part[0] + at,
                    *restrict v = o->host_part[1] + at;
    float *restrict most = s->amsgrad ? o->host_part[2] + at : NULL;
    for (size_t i = 0; i < count; i++) {
        const float w = p[i] * shrink, g = scale * grad[i] + decay * w;
        m[i] = beta1 * m[i] + take1 * g;
        v[i] = beta2 * v[i] + take2 * g * g;
        float top = v[i];
        if (most)
            most[i] = top = most[i] > top ? most[i] : top;
        p[i] = w - rate * m[i] / (sqrtf(top) * root + eps);
    }
}

const vox_optimizer_method vox_optimizer_adam = {parts, build, step_adam, host};
