/* sum.cl - y = x0 + x1 + ... over INPUTS arrays, added in that order; flat arrays.
 *   x*, y [count]; y overwritten (=) and may be the same buffer as any x
 * The layer add, and the planner's sum of gradients of a tensor that several layers read.  Unused
 * inputs are null.  A relu after add may be fused: RELU_Y.
 *   add_backward: dx = RELU_DX(dy, x) for one input; x as relu.h says */
#include "flat.h"
#include "relu.h"

#ifndef INPUTS /* 2..8 */
#define INPUTS 2
#endif

#define ADD(k, from, to)                                                                           \
    if (INPUTS > k)                                                                                \
        to += from;

__kernel void sum(__global const float *x0, __global const float *x1, __global const float *x2,
                  __global const float *x3, __global const float *x4, __global const float *x5,
                  __global const float *x6, __global const float *x7, __global float *y,
                  ulong count)
{
    FLAT_BEGIN(count)
    FLAT_VECTORS
    {
        const ulong at = first + i;
        floatv total = LOAD(x0 + at) + LOAD(x1 + at);
        ADD(2, LOAD(x2 + at), total)
        ADD(3, LOAD(x3 + at), total)
        ADD(4, LOAD(x4 + at), total)
        ADD(5, LOAD(x5 + at), total)
        ADD(6, LOAD(x6 + at), total)
        ADD(7, LOAD(x7 + at), total)
        STORE(RELU_Y(total), y + at);
    }
    FLAT_REST
    {
        const ulong at = first + i;
        float total = x0[at] + x1[at];
        ADD(2, x2[at], total)
        ADD(3, x3[at], total)
        ADD(4, x4[at], total)
        ADD(5, x5[at], total)
        ADD(6, x6[at], total)
        ADD(7, x7[at], total)
        y[at] = RELU_Y(total);
    }
}

__kernel void add_backward(__global const float *restrict dy, __global const float *x,
                           __global float *restrict dx, ulong count)
{
    FLAT_BEGIN(count)
    dy += first;
    dx += first;
#ifdef RELU_IN
    x += first;
#endif
    FLAT_VECTORS
    {
        const floatv g = LOAD(dy + i);
#ifdef RELU_IN
        const floatv before = LOAD(x + i);
        STORE(RELU_DX(g, before), dx + i);
#else
        STORE(g, dx + i);
#endif
    }
    FLAT_REST dx[i] = RELU_DX(dy[i], x[i]);
}
