/* lamb.cl - one step of LAMB (You et al. 2020) over the whole flat parameter vector, in two kernels;
 * between them the norms of each tensor's parameters and direction are taken (trust.cl).
 *   lamb_direction:  g     = coefficient * grad
 *                    avg   = beta1 * avg + (1 - beta1) * g
 *                    avg2  = beta2 * avg2 + (1 - beta2) * g^2
 *                    grad  = unbias * avg / (sqrt(avg2) * root + eps) + weight_decay * param    (=)
 *                    unbias = 1 / (1 - beta1^t), root = 1 / sqrt(1 - beta2^t), t = 1, 2, ...
 *   lamb_step:       param -= lr * ratio * grad
 *   ratio [tensors]: of each tensor; tensor [blocks]: each block's, 0: not adapted, whose ratio is 1
 *   and which does not decay
 *   coefficient: gradient clipping; negative: nothing is to change
 *   param, grad, avg, avg2 [blocks][BLOCK]; used [blocks]: elements of each block that belong to a
 *   trainable tensor, the rest is left alone
 * Grid and blocks: update.h. */
#include "update.h"

/* Of one vector or float, written for both. */
#define LAMB_DIRECTION(type, load, store)                                                          \
    {                                                                                              \
        const type g = scale * load(grad + i);                                                     \
        const type m = beta1 * load(avg + i) + take1 * g;                                          \
        const type s = beta2 * load(avg2 + i) + take2 * g * g;                                     \
        const float d = tensor[block] ? decay : 0.0f;                                              \
        store(m, avg + i);                                                                         \
        store(s, avg2 + i);                                                                        \
        store(unbias * m / (sqrt(s) * root + eps) + d * load(param + i), grad + i);                \
    }

__kernel void lamb_direction(__global const float *restrict param, __global float *restrict grad,
                             __global float *restrict avg, __global float *restrict avg2,
                             __global const uint *restrict used, __global const uint *restrict tensor,
                             __global const float *restrict coefficient, uint blocks, float unbias,
                             float decay, float beta1, float take1, float beta2, float take2,
                             float root, float eps)
{
    const float scale = *coefficient;
    if (scale < 0.0f)
        return;
    FOR_USED(used, blocks, LAMB_DIRECTION)
}

#define LAMB_STEP(type, load, store)                                                               \
    store(load(param + i) - lr * ratio[tensor[block]] * load(grad + i), param + i);

__kernel void lamb_step(__global float *restrict param, __global const float *restrict grad,
                        __global const uint *restrict used, __global const uint *restrict tensor,
                        __global const float *restrict ratio,
                        __global const float *restrict coefficient, uint blocks, float lr)
{
    if (*coefficient < 0.0f)
        return;
    FOR_USED(used, blocks, LAMB_STEP)
}
