/* cross_entropy_vectors.cl - the cross entropy of segmentations, for CPUs.
 *   formulas, shapes and special values as in cross_entropy.cl
 * An exp of one number costs a core as much as an exp of sixteen, so that an item takes RUN voxels
 * of a sample in work-groups of one, sixteen side by side:
 *
 *        x [C][V]            v ->
 *                      .---------.---------.---
 *     class 0          | 16      |         |        largest, exp and sum over the classes are
 *           1          | 16      |         |        vector operations; the C vectors stay in
 *           2          | 16      |         |        registers, so that x is read once
 *
 * Forward: part[n][p] = the sum of item p's losses, which loss_sum.cl adds in order; with one item
 * to a sample the loss itself.  PLAIN only. */
#include "voxels.h"

#if !defined(C) || !defined(V)
#error "C (classes) and V (voxels) must be given"
#endif
#ifndef RUN /* voxels of an item, a multiple of 16 */
#define RUN 4096
#endif
#if RUN % 16 != 0
#error "RUN must be a multiple of 16"
#endif

/* from[c] = x[c] - m, up to 16 of `left` voxels; returns the sum of their exp, e[c] (=) being those. */
inline float16 shifted_sum(__global const float *x, uint left, float16 *from, float16 *e)
{
    float16 m = from[0] = get16(x, left), sum = (float16)(0.0f);
    for (uint c = 1; c < C; c++) {
        from[c] = get16(x + (size_t)c * V, left);
        m = fmax(m, from[c]);
    }
    for (uint c = 0; c < C; c++) {
        from[c] -= m;
        e[c] = exp16(from[c]);
        sum += e[c];
    }
    return sum;
}

inline int16 get_labels(__global const int *label, uint left)
{
    return as_int16(get16((__global const float *)label, left));
}

#define STEPS16 (uint16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

__kernel void cross_entropy_vectors_forward(__global const float *restrict x,
                                            __global const int *restrict label,
                                            __global float *restrict part)
{
    const size_t n = get_global_id(1);
    const uint first = (uint)get_global_id(0) * RUN, end = min(first + RUN, (uint)V);
    float16 total = (float16)(0.0f);
    x += n * C * V;
    label += n * V;
    for (uint v = first; v < end; v += 16) {
        float16 from[C], e[C], mine = (float16)(NAN);
        const float16 sum = shifted_sum(x + v, end - v, from, e);
        const int16 l = get_labels(label + v, end - v);
        for (uint c = 0; c < C; c++)
            mine = select(mine, from[c], l == (int)c);
        const float16 one = log16(sum) - mine;
        total += end - v >= 16 ? one : select((float16)(0.0f), one, STEPS16 < end - v);
    }
    const float sum = add_across(total);
    part[n * get_global_size(0) + get_global_id(0)] = RUN >= V ? sum / (float)V : sum;
}

__kernel void cross_entropy_vectors_backward(__global const float *restrict x,
                                             __global const int *restrict label,
                                             __global float *restrict dx, float scale)
{
    const size_t n = get_global_id(1);
    const uint first = (uint)get_global_id(0) * RUN, end = min(first + RUN, (uint)V);
    x += n * C * V;
    dx += n * C * V;
    label += n * V;
    for (uint v = first; v < end; v += 16) {
        float16 from[C], e[C];
        const float16 sum = shifted_sum(x + v, end - v, from, e);
        const int16 l = get_labels(label + v, end - v);
        const float16 each = select(scale / sum, (float16)(NAN), as_uint16(l) >= (uint)C);
        for (uint c = 0; c < C; c++)
            put16(e[c] * each - select((float16)(0.0f), (float16)(scale), l == (int)c),
                  dx + (size_t)c * V + v, end - v);
    }
}
