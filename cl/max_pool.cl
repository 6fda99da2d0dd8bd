/* max_pool.cl - y[o] = max of x over window o, and its gradient.
 *   x, dx [planes][D][H][W], y, dy [planes][OD][OH][OW] as pool.h says; y, dx overwritten (=)
 * The first of equal values wins, a NaN wins over numbers and the last NaN over others: PyTorch's
 * rule, (v > best || isnan(v)).  Indices are not kept from the forward pass but found again.
 * With a relu fused (relu.h) before the pool, a window whose maximum is not positive passes no
 * gradient on: it is as if its maximum lay nowhere.
 *
 * CPUs: _rows and _slabs.  An item has a depth slice (or a slab of them) of one plane; in BLOCK16
 *   every step works on 16 channels.  The backward pass scatters, but only inside the slab that
 *   its item owns, so that the order of additions is fixed without atomics.
 * GPUs: _items.  One element an item; backward in two kernels, where each window's maximum lies
 *   and then, for each input, the sum over the few windows that cover it. */
#include "pool.h"

/* ---- forward ---- */

inline T max_of(__global const T *x, int od, int oh, int ow)
{
    T best = (T)(-INFINITY);
    POOL_WINDOW(od, oh, ow)
    {
        const T v = x[POOL_AT(od, oh, ow)];
        best = select(best, v, (v > best) | isnotequal(v, v));
    }
    return best;
}

__kernel void max_pool_rows(__global const T *restrict x, __global T *restrict y, ulong items)
{
    const size_t plane = get_global_id(0) / OD;
    const int od = (int)(get_global_id(0) % OD);
    if (get_global_id(0) >= items)
        return;
    x += plane * IN_PLANE;
    y += plane * OUT_PLANE + od * OH * OW;
    for (int oh = 0; oh < OH; oh++)
        for (int ow = 0; ow < OW; ow++) {
            const T v = max_of(x, od, oh, ow);
            y[oh * OW + ow] = RELU_Y(v);
        }
}

__kernel void max_pool_items(__global const T *restrict x, __global T *restrict y, ulong items)
{
    const size_t id = get_global_id(0);
    if (id >= items)
        return;
    const size_t plane = id / OUT_PLANE;
    const int lane = (int)(id % STEP), o = (int)(id % OUT_PLANE / STEP);
    const T v = max_of(x + plane * IN_PLANE + lane, o / (OH * OW), o / OW % OH, o % OW);
    y[id] = RELU_Y(v);
}

/* ---- backward: slabs ---- */

#ifndef SLAB /* windows along D that start in one slab */
#define SLAB 1
#endif
#define SLABS ((D + PD + SLAB * SD - 1) / (SLAB * SD))

/* The in-window number (d*KH + h)*KW + w of the maximum; -1: no gradient passes. */
inline TI index_of(__global const T *x, int od, int oh, int ow)
{
    T best = (T)(-INFINITY);
    TI at = (TI)((POOL_FIRST(od, SD, PD) * KH + POOL_FIRST(oh, SH, PH)) * KW +
                 POOL_FIRST(ow, SW, PW));
    POOL_WINDOW(od, oh, ow)
    {
        const T v = x[POOL_AT(od, oh, ow)];
        const TI take = (v > best) | isnotequal(v, v);
        best = select(best, v, take);
        at = select(at, (TI)((d * KH + h) * KW + w), take);
    }
#ifdef RELU_IN
    at = select(at, (TI)(-1), best <= (T)(0.0f));
#endif
    return at;
}

__kernel void max_pool_backward_slabs(__global const T *restrict x, __global const T *restrict dy,
                                      __global T *restrict dx, ulong items)
{
    if (get_global_id(0) >= items)
        return;
    const size_t plane = get_global_id(0) / SLABS;
    const int slab = (int)(get_global_id(0) % SLABS);
    /* Its inputs along D; the first and the last slab take what padding cuts off. */
    const int begin = max(0, slab * SLAB * SD - PD), end = min(D, (slab + 1) * SLAB * SD - PD);
    x += plane * IN_PLANE;
    dy += plane * OUT_PLANE;
    dx += plane * IN_PLANE;
    for (int i = begin * H * W; i < end * H * W; i++)
        dx[i] = (T)(0.0f);
    if (begin >= end)
        return;
    const int last = POOL_COVER_LAST(end - 1, SD, PD, OD);
    for (int od = POOL_COVER_FIRST(begin, SD, PD, KD); od < last; od++)
        for (int oh = 0; oh < OH; oh++)
            for (int ow = 0; ow < OW; ow++) {
                const TI at = index_of(x, od, oh, ow);
                const T g = dy[(od * OH + oh) * OW + ow];
                POOL_WINDOW(od, oh, ow)
                {
#if KD > SD || SLABS > 1 /* else no window leaves its slab */
                    if (od * SD - PD + d < begin || od * SD - PD + d >= end)
                        continue;
#endif
                    __global T *to = dx + POOL_AT(od, oh, ow);
                    *to += select((T)(0.0f), g, at == (TI)((d * KH + h) * KW + w));
                }
            }
}

/* ---- backward: items ---- */

/* at[planes][OD][OH][OW][STEP]: the input voxel (d*H + h)*W + w of each window's maximum; -1: no
 * gradient passes. */
__kernel void max_pool_index_items(__global const float *restrict x, __global int *restrict at,
                                   ulong items)
{
    const size_t id = get_global_id(0);
    if (id >= items)
        return;
    const size_t plane = id / OUT_PLANE;
    const int lane = (int)(id % STEP), o = (int)(id % OUT_PLANE / STEP);
    const int od = o / (OH * OW), oh = o / OW % OH, ow = o % OW;
    x += plane * IN_PLANE + lane;
    float best = -INFINITY;
    int found = -1;
    POOL_WINDOW(od, oh, ow)
    {
        const int i = POOL_AT(od, oh, ow);
        const float v = x[i];
        if (v > best || isnan(v) || found < 0) {
            best = v;
            found = i / STEP;
        }
    }
#ifdef RELU_IN
    found = best <= 0.0f ? -1 : found;
#endif
    at[id] = found;
}

__kernel void max_pool_backward_items(__global const int *restrict at,
                                      __global const float *restrict dy,
                                      __global float *restrict dx, ulong items)
{
    const size_t id = get_global_id(0);
    if (id >= items)
        return;
    const size_t plane = id / IN_PLANE;
    const int lane = (int)(id % STEP), i = (int)(id % IN_PLANE / STEP);
    const int d = i / (H * W), h = i / W % H, w = i % W;
    at += plane * OUT_PLANE + lane;
    dy += plane * OUT_PLANE + lane;
    float sum = 0.0f;
    for (int od = POOL_COVER_FIRST(d, SD, PD, KD); od < POOL_COVER_LAST(d, SD, PD, OD); od++)
        for (int oh = POOL_COVER_FIRST(h, SH, PH, KH); oh < POOL_COVER_LAST(h, SH, PH, OH); oh++)
            for (int ow = POOL_COVER_FIRST(w, SW, PW, KW); ow < POOL_COVER_LAST(w, SW, PW, OW);
                 ow++) {
                const int o = ((od * OH + oh) * OW + ow) * STEP;
                if (at[o] == i)
                    sum += dy[o];
            }
    dx[id] = sum;
}
