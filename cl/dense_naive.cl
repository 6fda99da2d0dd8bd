/* dense_naive.cl - y = x W^T + b and its gradients, one output per item: the reference on devices.
 *   y[s,o]   = b[o] + sum_i x[s,i] W[o,i]          overwritten (=)
 *   dx[s,i]  = sum_o dy[s,o] W[o,i]                overwritten (=)
 *   dW[o,i]  = or += sum_s dy[s,o] x[s,i],  db[o] = or += sum_s dy[s,o]   by `accumulate`
 *   x, dx [n][IN], y, dy [n][OUT], W, dW [OUT][IN], b, db [OUT]
 *   a relu before or after may be fused (relu.h): x of backward_data is its output */
#include "relu.h"
#if !defined(IN) || !defined(OUT) || !defined(BIAS)
#error "IN, OUT and BIAS (0 or 1) must be given"
#endif

__kernel void dense_naive_forward(__global const float *restrict x, __global const float *restrict w,
                                  __global const float *restrict b, __global float *restrict y)
{
    const size_t o = get_global_id(0), s = get_global_id(1);
    float sum = 0.0f;
    for (uint i = 0; i < IN; i++)
        sum += x[s * IN + i] * w[o * IN + i];
    sum = BIAS ? sum + b[o] : sum;
    y[s * OUT + o] = RELU_Y(sum);
}

__kernel void dense_naive_backward_data(__global const float *restrict dy,
                                        __global const float *restrict w,
                                        __global float *restrict dx,
                                        __global const float *restrict x)
{
    const size_t i = get_global_id(0), s = get_global_id(1);
    float sum = 0.0f;
    for (uint o = 0; o < OUT; o++)
        sum += dy[s * OUT + o] * w[(size_t)o * IN + i];
    dx[s * IN + i] = RELU_DX(sum, x[s * IN + i]);
}

__kernel void dense_naive_backward_weights(__global const float *restrict x,
                                           __global const float *restrict dy,
                                           __global float *restrict dw, __global float *restrict db,
                                           uint n, uint accumulate)
{
    const size_t i = get_global_id(0), o = get_global_id(1);
    float sum = 0.0f, bias = 0.0f;
    for (uint s = 0; s < n; s++) {
        sum += dy[s * OUT + o] * x[(size_t)s * IN + i];
        bias += dy[s * OUT + o];
    }
    dw[o * IN + i] = accumulate ? dw[o * IN + i] + sum : sum;
    if (BIAS && i == 0)
        db[o] = accumulate ? db[o] + bias : bias;
}
