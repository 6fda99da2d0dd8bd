/* softmax_vectors.cl - softmax over the channels of a volume's voxels, for CPUs.
 *   formulas, shapes and special values as in softmax.cl
 * Method as in cross_entropy_vectors.cl: an item takes RUN voxels of a sample in work-groups of one,
 * sixteen side by side, whose channels stay in registers.  PLAIN only. */
#include "voxels.h"

#if !defined(C) || !defined(V)
#error "C (channels) and V (voxels) must be given"
#endif
#ifndef RUN /* voxels of an item, a multiple of 16 */
#define RUN 4096
#endif
#if RUN % 16 != 0
#error "RUN must be a multiple of 16"
#endif

__kernel void softmax_vectors_forward(__global const float *restrict x, __global float *restrict y)
{
    const size_t sample = get_global_id(1) * C * V;
    const uint first = (uint)get_global_id(0) * RUN, end = min(first + RUN, (uint)V);
    x += sample;
    y += sample;
    for (uint v = first; v < end; v += 16) {
        float16 e[C], m = e[0] = get16(x + v, end - v), sum = (float16)(0.0f);
        for (uint c = 1; c < C; c++) {
            e[c] = get16(x + (size_t)c * V + v, end - v);
            m = fmax(m, e[c]);
        }
        for (uint c = 0; c < C; c++) {
            e[c] = exp16(e[c] - m);
            sum += e[c];
        }
        sum = 1.0f / sum;
        for (uint c = 0; c < C; c++)
            put16(e[c] * sum, y + (size_t)c * V + v, end - v);
    }
}

__kernel void softmax_vectors_backward(__global const float *restrict y, __global const float *restrict dy,
                                       __global float *restrict dx)
{
    const size_t sample = get_global_id(1) * C * V;
    const uint first = (uint)get_global_id(0) * RUN, end = min(first + RUN, (uint)V);
    y += sample;
    dy += sample;
    dx += sample;
    for (uint v = first; v < end; v += 16) {
        float16 p[C], g[C], sum = (float16)(0.0f);
        for (uint c = 0; c < C; c++) {
            p[c] = get16(y + (size_t)c * V + v, end - v);
            g[c] = get16(dy + (size_t)c * V + v, end - v);
            sum += g[c] * p[c];
        }
        for (uint c = 0; c < C; c++)
            put16(p[c] * (g[c] - sum), dx + (size_t)c * V + v, end - v);
    }
}
