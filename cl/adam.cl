/* adam.cl - one step of torch.optim.Adam or, DECOUPLED, AdamW over the whole flat parameter vector.
 *   g     = coefficient * grad + weight_decay * param      (DECOUPLED: param *= 1 - lr * weight_decay
 *                                                           and g = coefficient * grad)
 *   avg   = beta1 * avg + (1 - beta1) * g
 *   avg2  = beta2 * avg2 + (1 - beta2) * g^2
 *   most  = max(most, avg2)                                (AMSGRAD; without it most is avg2)
 *   param -= rate * avg / (sqrt(most) * root + eps)
 *   rate = lr / (1 - beta1^t), root = 1 / sqrt(1 - beta2^t), t = 1, 2, ... counts the steps
 *   coefficient: gradient clipping; negative: nothing is to change
 *   param, grad, avg, avg2, most [blocks][BLOCK]; used [blocks]: elements of each block that belong
 *   to a trainable tensor, the rest is left alone
 * Grid and blocks: update.h. */
#if !defined(DECOUPLED) || !defined(AMSGRAD)
#error "DECOUPLED and AMSGRAD must be given"
#endif
#include "update.h"

/* The update of one vector or float, written for both; decay: see DECOUPLED. */
#define ADAM_UPDATE(type, load, store)                                                             \
    {                                                                                              \
        type p = load(param + i);                                                                  \
        type g = scale * load(grad + i);                                                           \
        if (DECOUPLED)                                                                             \
            p *= decay;                                                                            \
        else                                                                                       \
            g += decay * p;                                                                        \
        const type m = beta1 * load(avg + i) + take1 * g;                                          \
        const type s = beta2 * load(avg2 + i) + take2 * g * g;                                     \
        type top = s;                                                                              \
        store(m, avg + i);                                                                         \
        store(s, avg2 + i);                                                                        \
        if (AMSGRAD) {                                                                             \
            top = fmax(load(most + i), s);                                                         \
            store(top, most + i);                                                                  \
        }                                                                                          \
        store(p - rate * m / (sqrt(top) * root + eps), param + i);                                 \
    }

__kernel void adam(__global float *restrict param, __global const float *restrict grad,
                   __global float *restrict avg, __global float *avg2, __global float *most,
                   __global const uint *restrict used, __global const float *restrict coefficient,
                   uint blocks, float rate, float decay, float beta1, float take1, float beta2,
                   float take2, float root, float eps)
{
    const float scale = *coefficient;
    if (scale < 0.0f)
        return;
    FOR_USED(used, blocks, ADAM_UPDATE)
}
