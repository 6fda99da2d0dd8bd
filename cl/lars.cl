/* lars.cl - one step of LARS (You, Gitman, Ginsburg 2017) over the whole flat parameter vector.
 *   buf   = momentum * buf + lr * ratio * (coefficient * grad + weight_decay * param)
 *   param -= buf
 *   ratio [tensors]: of each tensor (trust.cl); tensor [blocks]: each block's, 0: not adapted, whose
 *   ratio is 1 and which does not decay
 *   coefficient: gradient clipping; negative: nothing is to change
 *   param, grad, buf [blocks][BLOCK]; param and buf updated; used [blocks]: elements of each block
 *   that belong to a trainable tensor, the rest is left alone
 * Grid and blocks: update.h. */
#include "update.h"

/* The update of one vector or float, written for both. */
#define LARS_UPDATE(type, load, store)                                                             \
    {                                                                                              \
        const uint t = tensor[block];                                                              \
        const type p = load(param + i);                                                            \
        const type g = scale * load(grad + i) + (t ? decay : 0.0f) * p;                            \
        const type m = momentum * load(buf + i) + lr * ratio[t] * g;                               \
        store(m, buf + i);                                                                         \
        store(p - m, param + i);                                                                   \
    }

__kernel void lars(__global float *restrict param, __global const float *restrict grad,
                   __global float *restrict buf, __global const uint *restrict used,
                   __global const uint *restrict tensor, __global const float *restrict ratio,
                   __global const float *restrict coefficient, uint blocks, float lr, float decay,
                   float momentum)
{
    const float scale = *coefficient;
    if (scale < 0.0f)
        return;
    FOR_USED(used, blocks, LARS_UPDATE)
}
