/* sgd.cl - one step of torch.optim.SGD over the whole flat parameter vector.
 *   g    = coefficient * grad + weight_decay * param       (coefficient: gradient clipping;
 *                                                           negative: nothing is to change)
 *   buf  = keep * buf + take * g                           (first step: keep 0, take 1)
 *   param -= lr * (NESTEROV ? g + momentum * buf : MOMENTUM ? buf : g)
 *   param, grad, buf [blocks][BLOCK]; param and buf updated; used [blocks]: elements of each block
 *   that belong to a trainable tensor, the rest is left alone
 * Grid: CPUs give an item BLOCKS blocks and float16 vectors; GPUs an item V floats of a block. */
#if !defined(BLOCK) || !defined(BLOCKS) || !defined(V) || !defined(MOMENTUM) || !defined(NESTEROV)
#error "BLOCK, BLOCKS, V, MOMENTUM and NESTEROV must be given"
#endif
#define ITEM (BLOCKS == 1 ? V : BLOCK * BLOCKS) /* floats per item */
#include "flat.h"

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
#define LOAD1(p)     (*(p))
#define STORE1(v, p) *(p) = (v)

__kernel void sgd(__global float *restrict param, __global const float *restrict grad,
                  __global float *restrict buf, __global const uint *restrict used,
                  __global const float *restrict coefficient, uint blocks, float lr, float decay,
                  float momentum, float keep, float take)
{
    const size_t begin = get_global_id(0) * ITEM;
    const float scale = *coefficient;
    if (scale < 0.0f)
        return;
    for (size_t at = begin; at < begin + ITEM && at < (size_t)blocks * BLOCK;
         at += min(ITEM, BLOCK)) {
        const size_t block = at / BLOCK;
        /* Of this item's part of the block, the elements in use. */
        const size_t end = min(at + min(ITEM, BLOCK), block * BLOCK + used[block]);
        size_t i = at;
        for (; i + V <= end; i += V)
            SGD_UPDATE(floatv, LOAD, STORE)
        for (; i < end; i++)
            SGD_UPDATE(float, LOAD1, STORE1)
    }
}
