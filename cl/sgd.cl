/* sgd.cl - one step of torch.optim.SGD over the whole flat parameter vector.
 *   g    = coefficient * grad + weight_decay * param       (coefficient: gradient clipping;
 *                                                           negative: nothing is to change)
 *   buf  = keep * buf + take * g                           (first step: keep 0, take 1)
 *   param -= lr * (NESTEROV ? g + momentum * buf : MOMENTUM ? buf : g)
 *   param, grad, buf [blocks][BLOCK]; param and buf updated; used [blocks]: elements of each block
 *   that belong to a trainable tensor, the rest is left alone
 * Grid and blocks: update.h. */
#if !defined(MOMENTUM) || !defined(NESTEROV)
#error "MOMENTUM and NESTEROV must be given"
#endif
#include "update.h"

/* The update of one vector or float, written for both. */
#define SGD_UPDATE(type, load, store)                                                              \
    {                                                                                              \
        const type p = load(param + i);                                                            \
        type g = scale * load(grad + i) + decay * p;                                               \
        if (MOMENTUM) {                                                                            \
            /* keep 0 must not touch buf: it may hold anything before the first step */            \
            const type m = keep == 0.0f ? take * g : keep * load(buf + i) + take * g;              \
            store(m, buf + i);                                                                     \
            g = NESTEROV ? g + momentum * m : m;                                                   \
        }                                                                                          \
        store(p - lr * g, param + i);                                                              \
    }

__kernel void sgd(__global float *restrict param, __global const float *restrict grad,
                  __global float *restrict buf, __global const uint *restrict used,
                  __global const float *restrict coefficient, uint blocks, float lr, float decay,
                  float momentum, float keep, float take)
{
    const float scale = *coefficient;
    if (scale < 0.0f)
        return;
    FOR_USED(used, blocks, SGD_UPDATE)
}
