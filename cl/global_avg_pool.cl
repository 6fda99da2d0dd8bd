/* global_avg_pool.cl - y[plane, lane] = mean over the voxels of x, and its gradient dx = dy / V.
 *   x, dx [planes][V][LANES], y, dy [planes][LANES]; y and dx overwritten (=)
 *   PLAIN: LANES 1, planes n * C; BLOCK16: LANES 16, planes n * C/16
 * Grid, forward: a work-group of WG items (1 on CPUs) per plane; every item adds runs of 256 vectors
 * and then the runs' sums, so that a volume of millions with an offset keeps its digits, then a
 * tree.  Backward: ROW floats an item.  A relu before or after may be fused (relu.h). */
#include "cpu.h"
#include "relu.h"
#if !defined(V) || !defined(LANES)
#error "V (voxels) and LANES (1 or 16) must be given"
#endif
#ifndef WG /* items per plane, power of two */
#define WG 1
#endif
#ifndef ROW /* floats per item in the backward pass */
#define ROW 1
#endif
#if (WG & (WG - 1)) != 0
#error "WG must be a power of two"
#endif
#define RUN 256
#define FLOATS ((ulong)V * LANES)

__kernel void global_avg_pool_forward(__global const float *restrict x, __global float *restrict y)
{
    __local float16 part[WG];
    const uint t = get_local_id(0);
    const size_t plane = get_group_id(0);
    float16 total = (float16)(0.0f);
    x += plane * FLOATS;
    for (ulong first = t * 16ul * RUN; first + 16 <= FLOATS; first += WG * 16ul * RUN) {
        const ulong last = min(first + 16ul * RUN, FLOATS / 16 * 16);
        float16 sum = (float16)(0.0f);
        for (ulong i = first; i < last; i += 16)
            sum += vload16(0, x + i);
        total += sum;
    }
    part[t] = total;
    for (uint reach = WG / 2; reach > 0; reach /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (t < reach)
            part[t] += part[t + reach];
    }
    if (t != 0)
        return;
    total = part[0];
#if LANES == 16
    total /= (float)V;
    vstore16(RELU_Y(total), plane, y);
#else
    const float8 a = total.lo + total.hi;
    const float4 b = a.lo + a.hi;
    float sum = b.x + b.y + b.z + b.w;
    for (ulong i = FLOATS / 16 * 16; i < FLOATS; i++)
        sum += x[i];
    sum /= (float)V;
    y[plane] = RELU_Y(sum);
#endif
}

__kernel void global_avg_pool_backward(__global const float *restrict dy, __global float *restrict dx,
                                       __global const float *restrict x, ulong count)
{
    const ulong first = get_global_id(0) * (ulong)ROW, last = min(first + ROW, count);
    for (ulong i = first; i < last;) {
        const ulong plane = i / FLOATS, end = min(last, (plane + 1) * FLOATS);
#if ROW % 16 == 0
#if LANES == 16
        const float16 g = vload16(plane, dy) / (float)V;
#else
        const float16 g = (float16)(dy[plane] / (float)V);
#endif
        for (; i + 16 <= end; i += 16)
            if (FLOATS % 16 == 0)
                STREAM16(RELU_DX(g, vload16(0, x + i)), dx + i);
            else
                STORE16_GLOBAL(RELU_DX(g, vload16(0, x + i)), dx + i);
#endif
        for (; i < end; i++)
            dx[i] = RELU_DX(dy[plane * LANES + i % LANES] / (float)V, x[i]);
    }
    STREAM_END;
}
