/* max_pool.cl - y[o] = max of x over window o, and its gradient, for GPUs.
 *   x, dx [planes][D][H][W], y, dy [planes][OD][OH][OW] as pool.h says; y, dx overwritten (=)
 * The first of equal values wins, a NaN wins over numbers and the last NaN over others: PyTorch's
 * rule, (v > best || isnan(v)).  Indices are not kept from the forward pass but found again.
 * With a relu fused (relu.h) before the pool, a window whose maximum is not positive passes no
 * gradient on: it is as if its maximum lay nowhere.
 *
 * One element an item, neighbours next to each other; backward in two kernels: where each window's
 * maximum lies, and then, for each input, the sum over the few windows that cover it.  What CPUs
 * do is in max_pool_rows.cl. */
#include "pool.h"

/* ---- forward ---- */

inline float max_of(__global const float *x, int od, int oh, int ow)
{
    float best = -INFINITY;
    POOL_WINDOW(od, oh, ow)
    {
        const float v = x[POOL_AT(od, oh, ow)];
        best = v > best || isnan(v) ? v : best;
    }
    return best;
}

__kernel void max_pool_items(__global const float *restrict x, __global float *restrict y, ulong items)
{
    const size_t id = get_global_id(0);
    if (id >= items)
        return;
    const size_t plane = id / OUT_PLANE;
    const int lane = (int)(id % STEP), o = (int)(id % OUT_PLANE / STEP);
    const float v = max_of(x + plane * IN_PLANE + lane, o / (OH * OW), o / OW % OH, o % OW);
    y[id] = RELU_Y(v);
}

/* ---- backward ---- */

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
