/* softmax.cl - y[c] = exp(x[c] - m) / sum_c exp(x[c] - m), m = max_c x[c], over the channels of a
 * voxel, and its gradient dx[c] = y[c] * (dy[c] - sum_k dy[k] * y[k]).
 *   x, y, dy, dx [n][C][V]; y and dx overwritten (=)
 * Subtracting m keeps exp in range for any x; NaN and +inf give NaN, as in PyTorch.
 * Grid: an item per voxel; neighbours read neighbouring voxels of one channel. */
#if !defined(C) || !defined(V)
#error "C (channels) and V (voxels) must be given"
#endif

__kernel void softmax_forward(__global const float *restrict x, __global float *restrict y)
{
    const size_t v = get_global_id(0), n = get_global_id(1);
    if (v >= V)
        return;
    x += n * C * V + v;
    y += n * C * V + v;
    float m = x[0], sum = 0.0f;
    for (uint c = 1; c < C; c++)
        m = fmax(m, x[(size_t)c * V]);
    for (uint c = 0; c < C; c++) {
        const float e = exp(x[(size_t)c * V] - m);
        y[(size_t)c * V] = e;
        sum += e;
    }
    for (uint c = 0; c < C; c++)
        y[(size_t)c * V] /= sum;
}

__kernel void softmax_backward(__global const float *restrict y, __global const float *restrict dy,
                               __global float *restrict dx)
{
    const size_t v = get_global_id(0), n = get_global_id(1);
    if (v >= V)
        return;
    y += n * C * V + v;
    dy += n * C * V + v;
    dx += n * C * V + v;
    float sum = 0.0f;
    for (uint c = 0; c < C; c++)
        sum += dy[(size_t)c * V] * y[(size_t)c * V];
    for (uint c = 0; c < C; c++)
        dx[(size_t)c * V] = y[(size_t)c * V] * (dy[(size_t)c * V] - sum);
}
