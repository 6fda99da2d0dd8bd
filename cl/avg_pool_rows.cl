/* avg_pool_rows.cl - y[o] = mean of x over window o, and its gradient, for CPUs.
 *   x, dx [planes][D][H][W][LANES], y, dy [planes][OD][OH][OW][LANES]; y, dx overwritten (=)
 * The mean divides by the window's elements inside the input, or with INCLUDE_PAD by those inside
 * the padded input (with ceil a window may pass even that): PyTorch's count_include_pad.
 *
 * Forward: RUN rows of y an item, down, then along, as pool_rows.h draws it.
 * Backward: RUN rows of dx an item, by the same steps turned around:
 *     down:    the rows of dy whose windows cover the row of dx are added up
 *     spread:  the sums are put SW apart, zeros between
 *     along:   dx[w] = the sum of the KW of them that lie before w
 * Each number is written once, by one item.
 * A relu before or after may be fused (relu.h): x of the backward kernel is its output. */
#include "pool_rows.h"

#ifndef INCLUDE_PAD
#error "INCLUDE_PAD (0 or 1) must be given"
#endif
#ifndef RUN /* rows an item */
#define RUN 8
#endif

/* Elements of window o along an axis that count in the divisor. */
inline float extent(int o, int s, int p, int k, int n)
{
    const int first = o * s - p, last = min(first + k, n + p);
    return (float)(INCLUDE_PAD ? last - first : min(last, n) - max(first, 0));
}

/* ---- forward ---- */

/* column[i] = the sum over the window's rows of x; `left` floats of the tensor begin at x. */
inline void sum_down(__global const float *x, ulong left, int od, int oh, float *column)
{
    for (int next = 0; next < ROW; next += 16 * DEEP) {
        const int i = BACK(next);
        float16 sum[DEEP];
#pragma unroll
        for (int u = 0; u < DEEP; u++)
            sum[u] = (float16)(0.0f);
        for (int d = POOL_FIRST(od, SD, PD); d < POOL_LAST(od, SD, PD, KD, D); d++)
            for (int h = POOL_FIRST(oh, SH, PH); h < POOL_LAST(oh, SH, PH, KH, H); h++) {
                const int at = ROW_AT(od * SD - PD + d, oh * SH - PH + h) + i;
#pragma unroll
                for (int u = 0; u < DEEP; u++) {
                    sum[u] += load16(x + at + 16 * u, ROW, left - at);
                    PREFETCH(x + at + AHEAD + 16 * u);
                }
            }
#pragma unroll
        for (int u = 0; u < DEEP; u++)
            STORE16(sum[u], column + MARGIN + i + 16 * u);
    }
    for (int i = ROW; i < 16; i++) /* what a short row's vector read beside it */
        column[MARGIN + i] = 0.0f;
}

__kernel void avg_pool_rows(__global const float *restrict x, __global float *restrict y, ulong rows)
{
    float column[COLUMNS], width[ROUND16(OUT_ROW)];
    const ulong first = get_global_id(0) * RUN, planes = rows / (OD * OH);
    for (int i = 0; i < COLUMNS; i++)
        column[i] = 0.0f;
    for (int o = 0; o < ROUND16(OUT_ROW); o++)
        width[o] = CLIP ? extent(o / LANES, SW, PW, KW, W) : (float)KW;
    for (ulong row = first; row < min(first + RUN, rows); row++) {
        const ulong plane = row / (OD * OH);
        const int od = (int)(row / OH % OD), oh = (int)(row % OH);
        const float area = CLIP ? extent(od, SD, PD, KD, D) * extent(oh, SH, PH, KH, H) : (float)(KD * KH);
        __global float *to = y + row * OUT_ROW;
        sum_down(x + plane * IN_FLOATS, (planes - plane) * IN_FLOATS, od, oh, column);
        for (int o = 0; o < OUT_ROW; o += 16) {
            float16 sum = COLUMN(column + COLUMN_OF(o, 0));
#pragma unroll
            for (int k = 1; k < KW; k++)
                sum += COLUMN(column + COLUMN_OF(o, k));
            sum = CLIP ? sum / (area * LOAD16(width + o)) : sum * (1.0f / (float)(KD * KH * KW));
            store16(RELU_Y(sum), to + o, OUT_ROW - o);
        }
    }
}

/* ---- backward ---- */

/* Sums lie SW voxels apart from BEFORE on; dx[w] takes those from w + PW - KW + 1 to w + PW. */
#define BEFORE ROUND16((KW - 1) * LANES)
#define SPREAD                                                                                     \
    (BEFORE + ROUND16(((OW - 1) * SW + 1 > W + PW ? (OW - 1) * SW + 1 : W + PW) * LANES) + 16)

#define SIDE_BY_SIDE (LANES == 16 || SW == 1) /* the 16 of a vector */

/* The sum of dy over the windows that cover row h of slice d, from output float o on. */
inline float16 sum_up(__global const float *dy, ulong left, int d, int h, int o)
{
    float16 sum = (float16)(0.0f);
    for (int od = POOL_COVER_FIRST(d, SD, PD, KD); od < POOL_COVER_LAST(d, SD, PD, OD); od++)
        for (int oh = POOL_COVER_FIRST(h, SH, PH, KH); oh < POOL_COVER_LAST(h, SH, PH, OH); oh++) {
            const int at = (od * OH + oh) * OUT_ROW + o;
            const float16 g = load16(dy + at, OUT_ROW - o, left - at);
            sum += CLIP ? g / (extent(od, SD, PD, KD, D) * extent(oh, SH, PH, KH, H)) : g;
        }
    return sum;
}

__kernel void avg_pool_backward_rows(__global const float *restrict dy, __global float *restrict dx,
                                     __global const float *restrict x, ulong rows)
{
    float spread[SPREAD], width[ROUND16(OUT_ROW)];
    const ulong first = get_global_id(0) * RUN, planes = rows / (D * H);
    for (int i = 0; i < SPREAD; i++)
        spread[i] = 0.0f;
    for (int o = 0; o < ROUND16(OUT_ROW); o++)
        width[o] = CLIP ? extent(min(o / LANES, OW - 1), SW, PW, KW, W) : (float)(KD * KH * KW);
    for (ulong row = first; row < min(first + RUN, rows); row++) {
        const ulong plane = row / (D * H);
        const int d = (int)(row / H % D), h = (int)(row % H);
        __global float *to = dx + row * ROW;
        for (int o = 0; o < OUT_ROW; o += 16) {
            const float16 sum = sum_up(dy + plane * OUT_FLOATS, (planes - plane) * OUT_FLOATS, d, h, o) /
                                LOAD16(width + o);
            if (SIDE_BY_SIDE && OUT_ROW - o >= 16) {
                STORE16(sum, spread + BEFORE + o * SW);
                continue;
            }
            float one[16];
            STORE16(sum, one);
            for (int i = 0; i < min(16, OUT_ROW - o); i++)
                spread[BEFORE + (o + i) * SW] = one[i];
        }
        for (int i = 0; i < ROW; i += 16) {
            float16 sum = (float16)(0.0f);
#pragma unroll
            for (int k = 0; k < KW; k++)
                sum += LOAD16(spread + BEFORE + i + (PW - k) * LANES);
#ifdef RELU_IN
            const float16 v = load16(x + row * ROW + i, ROW - i, (rows - row) * ROW - i);
#endif
            if (ROW % 16 == 0)
                STREAM16(RELU_DX(sum, v), to + i);
            else
                store16(RELU_DX(sum, v), to + i, ROW - i);
        }
    }
    STREAM_END;
}
