/* lamb.c - LAMB: You et al., "Large batch optimization for deep learning: training BERT in 76
 * minutes", arXiv 1904.00962 (ICLR 2020), algorithm 2, with phi(z) = z. */
#include "train/optimizer_method.h"

#include <math.h>

static size_t parts(const vox_optimizer_spec *spec, const char *name[VOX_OPTIMIZER_MAX_PARTS])
{
    (void)spec;
    name[0] = "exp_avg";
    name[1] = "exp_avg_sq";
    return 2;
}

static vox_status build(vox_optimizer *o, vox_error *err)
{
    const char *options = vox_optimizer_options(o->dev);
    vox_status s =
        vox_kernel_open(&o->direction_kernel, o->dev, "lamb.cl", "lamb_direction", options, err);
    return s == VOX_OK ? vox_kernel_open(&o->kernel, o->dev, "lamb.cl", "lamb_step", options, err)
                       : s;
}

/* The averages began at 0, step + 1 steps ago: 1 / (1 - beta^t). */
static double unbias(double beta, int64_t step)
{
    return 1 / (1 - pow(beta, (double)step + 1));
}

static vox_status find_direction(vox_optimizer *o, vox_buffer *params, vox_buffer *grads,
                                 int64_t step, vox_error *err)
{
    const vox_optimizer_spec *s = &o->spec;
    const vox_grid grid = vox_optimizer_grid(o);
    const vox_arg args[] = {vox_arg_buffer(params),
                            vox_arg_buffer(grads),
                            vox_arg_buffer(o->part[0]),
                            vox_arg_buffer(o->part[1]),
                            vox_arg_buffer(o->used),
                            vox_arg_buffer(o->trust.tensor),
                            vox_arg_buffer(o->coefficient),
                            vox_arg_u32((uint32_t)o->blocks),
                            vox_arg_f32((float)unbias(s->beta1, step)),
                            vox_arg_f32((float)s->weight_decay),
                            vox_arg_f32((float)s->beta1),
                            vox_arg_f32((float)(1 - s->beta1)),
                            vox_arg_f32((float)s->beta2),
                            vox_arg_f32((float)(1 - s->beta2)),
                            vox_arg_f32((float)sqrt(unbias(s->beta2, step))),
                            vox_arg_f32((float)s->eps)};
    return vox_kernel_launch(o->direction_kernel, &grid, args, sizeof args / sizeof *args, err);
}

static vox_status step_lamb(vox_optimizer *o, vox_buffer *params, vox_buffer *grads, double lr,
                            int64_t step, vox_error *err)
{
    const vox_grid grid = vox_optimizer_grid(o);
    const vox_arg args[] = {vox_arg_buffer(params),           vox_arg_buffer(grads),
                            vox_arg_buffer(o->used),          vox_arg_buffer(o->trust.tensor),
                            vox_arg_buffer(o->trust.ratio),   vox_arg_buffer(o->coefficient),
                            vox_arg_u32((uint32_t)o->blocks), vox_arg_f32((float)lr)};
    vox_status s = find_direction(o, params, grads, step, err);
    if (s == VOX_OK)
        s = vox_trust_enqueue(o, params, grads, err);
    return s == VOX_OK ? vox_kernel_launch(o->kernel, &grid, args, sizeof args / sizeof *args, err)
                       : s;
}

/* As cl/lamb.cl has them. */
static void host_direction(const vox_optimizer *o, const vox_host_update *u, size_t at,
                           size_t count)
{
    const vox_optimizer_spec *s = &o->spec;
    const bool adapted = o->trust.host_tensor[at / VOX_OPTIMIZER_BLOCK] != 0;
    const float beta1 = (float)s->beta1, take1 = (float)(1 - s->beta1), beta2 = (float)s->beta2,
                take2 = (float)(1 - s->beta2), eps = (float)s->eps,
                whole = (float)unbias(s->beta1, u->step),
                root = (float)sqrt(unbias(s->beta2, u->step)), scale = u->scale,
                decay = adapted ? (float)s->weight_decay : 0;
    const float *restrict p = u->param + at;
    float *restrict m = o->host_part[0] + at, *restrict v = o->host_part[1] + at;
    float *restrict grad = u->grad + at;
    for (size_t i = 0; i < count; i++) {
        const float g = scale * grad[i];
        m[i] = beta1 * m[i] + take1 * g;
        v[i] = beta2 * v[i] + take2 * g * g;
        grad[i] = whole * m[i] / (sqrtf(v[i]) * root + eps) + decay * p[i];
    }
}

static void host(const vox_optimizer *o, const vox_host_update *u, size_t at, size_t count,
                 const float *restrict grad)
{
    const uint32_t tensor = o->trust.host_tensor[at / VOX_OPTIMIZER_BLOCK];
    const float rate = (float)u->lr * o->trust.host_ratio[tensor];
    float *restrict p = u->param + at;
    for (size_t i = 0; i < count; i++)
        p[i] -= rate * grad[i];
}

const vox_optimizer_method vox_optimizer_lamb = {parts, build, step_lamb,
                                                 host,  true,  host_direction};
