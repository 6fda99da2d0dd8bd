/* dense_bias.cl - the bias beside a matrix product.
 *   forward:  y[s,o] += b[o]                      after the product; b may be NULL
 *   backward: db[o] = or += sum_s dy[s,o]         by `accumulate`
 *   y, dy [n][OUT], b, db [OUT].  A relu after may be fused: relu.h. */
#include "relu.h"
#ifndef OUT
#error "OUT must be given"
#endif

__kernel void dense_bias_forward(__global const float *restrict b, __global float *restrict y)
{
    const size_t o = get_global_id(0), at = get_global_id(1) * OUT + o;
    const float sum = y[at] + (b ? b[o] : 0.0f);
    y[at] = RELU_Y(sum);
}

__kernel void dense_bias_backward(__global const float *restrict dy, __global float *restrict db,
                                  uint n, uint accumulate)
{
    const size_t o = get_global_id(0);
    float sum = accumulate ? db[o] : 0.0f;
    for (uint s = 0; s < n; s++)
        sum += dy[(size_t)s * OUT + o];
    db[o] = sum;
}
