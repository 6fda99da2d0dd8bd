/* avg_pool.cl - y[o] = mean of x over window o, and its gradient, for GPUs.
 *   x, dx [planes][D][H][W], y, dy [planes][OD][OH][OW] as pool.h says; y, dx overwritten (=)
 * The mean divides by the window's elements inside the input, or with INCLUDE_PAD by those inside
 * the padded input (with ceil a window may pass even that): PyTorch's count_include_pad.
 * One element an item; both passes gather, so that no two items write the same place.  What CPUs
 * do is in avg_pool_rows.cl.
 * A relu before or after may be fused (relu.h): x of the backward kernels is its output. */
#include "pool.h"

#ifndef INCLUDE_PAD
#error "INCLUDE_PAD (0 or 1) must be given"
#endif

/* Elements of window o along an axis that count in the divisor. */
inline int extent(int o, int s, int p, int k, int n)
{
    const int first = o * s - p, last = min(first + k, n + p);
    return INCLUDE_PAD ? last - first : min(last, n) - max(first, 0);
}

inline float share(int od, int oh, int ow)
{
    if (CLIP == 0) /* all windows are whole: a constant */
        return 1.0f / (float)(KD * KH * KW);
    return 1.0f / (float)(extent(od, SD, PD, KD, D) * extent(oh, SH, PH, KH, H) *
                          extent(ow, SW, PW, KW, W));
}

inline float mean_of(__global const float *x, int od, int oh, int ow)
{
    float sum = 0.0f;
    POOL_WINDOW(od, oh, ow)
    sum += x[POOL_AT(od, oh, ow)];
    return sum * share(od, oh, ow);
}

inline float gradient_of(__global const float *dy, int d, int h, int w)
{
    float sum = 0.0f;
    for (int od = POOL_COVER_FIRST(d, SD, PD, KD); od < POOL_COVER_LAST(d, SD, PD, OD); od++)
        for (int oh = POOL_COVER_FIRST(h, SH, PH, KH); oh < POOL_COVER_LAST(h, SH, PH, OH); oh++)
            for (int ow = POOL_COVER_FIRST(w, SW, PW, KW); ow < POOL_COVER_LAST(w, SW, PW, OW); ow++)
                sum += dy[((od * OH + oh) * OW + ow) * STEP] * share(od, oh, ow);
    return sum;
}

__kernel void avg_pool_items(__global const float *restrict x, __global float *restrict y, ulong items)
{
    const size_t id = get_global_id(0);
    if (id >= items)
        return;
    const size_t plane = id / OUT_PLANE;
    const int lane = (int)(id % STEP), o = (int)(id % OUT_PLANE / STEP);
    const float v = mean_of(x + plane * IN_PLANE + lane, o / (OH * OW), o / OW % OH, o % OW);
    y[id] = RELU_Y(v);
}

__kernel void avg_pool_backward_items(__global const float *restrict dy, __global float *restrict dx,
                                      __global const float *restrict x, ulong items)
{
    const size_t id = get_global_id(0);
    if (id >= items)
        return;
    const size_t plane = id / IN_PLANE;
    const int lane = (int)(id % STEP), i = (int)(id % IN_PLANE / STEP);
    const float g = gradient_of(dy + plane * OUT_PLANE + lane, i / (H * W), i / W % H, i % W);
    dx[id] = RELU_DX(g, x[id]);
}
