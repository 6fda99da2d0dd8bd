/* relu.cl - y = x <= 0 ? 0 : x, and its gradient dx = y <= 0 ? 0 : dy; flat arrays.
 *   x, y, dy, dx [count]; y and dx overwritten (=)
 * Written with <= so that NaN passes both ways, as in PyTorch.  Works on any layout: BLOCK16's
 * padding zeros stay zeros.  With -DRELU_SLOPE the gradient is a leaky_relu's (relu.h), for copies
 * backward that do its work. */
#include "flat.h"
#include "relu.h"

__kernel void relu_forward(__global const float *restrict x, __global float *restrict y,
                           ulong count)
{
    FLAT_BEGIN(count)
    x += first;
    y += first;
    FLAT_VECTORS
    {
        const floatv v = LOAD(x + i);
        STORE(select(v, (floatv)(0.0f), v <= (floatv)(0.0f)), y + i);
    }
    FLAT_REST y[i] = x[i] <= 0.0f ? 0.0f : x[i];
}

__kernel void relu_backward(__global const float *restrict y, __global const float *restrict dy,
                            __global float *restrict dx, ulong count)
{
    FLAT_BEGIN(count)
    y += first;
    dy += first;
    dx += first;
    FLAT_VECTORS
    {
        const floatv g = LOAD(dy + i);
        STORE(select(g, (floatv)(RELU_REST(g)), LOAD(y + i) <= (floatv)(0.0f)), dx + i);
    }
    FLAT_REST dx[i] = y[i] <= 0.0f ? RELU_REST(dy[i]) : dy[i];
}
