/* max_pool_gather.cl - max pooling's gradient for CPUs, BLOCK16: dx[i] = the sum of dy over the windows
 * whose maximum is i.
 *   x, dx [planes][D][H][W][16], dy, where [planes][OD][OH][OW][16]; dx, where overwritten (=)
 * Two steps, each with RUN rows of what it writes an item:
 *   max_pool_where    where[o] = the number of the maximum in window o
 *   max_pool_gather   each of dx gets what comes from the windows that chose it, and is written
 *                     once, by one item: the order of additions is fixed without atomics
 * A row of dx is covered by the windows of a few rows of dy, OVER at most; in each of these it is
 * the windows' row number `base` / KW, so that dy belongs to the k-th voxel on from the window's
 * first if where == base + k.  16 channels go along the windows together: sum[k] belongs to the voxel
 * k on from a window's first and moves along with it; what is complete is written. */
#define LANES                  16
#define ROW_NAME(od, oh, d, h) (((d) * KH + (h)) * KW)
#define WINDOW_NAME(o)         0
#if KD * KH * KW < 255
#define NONE             255
#define number           uchar
#define number16         uchar16
#define convert_number16 convert_uchar16
#else
#define NONE             65535
#define number           ushort
#define number16         ushort16
#define convert_number16 convert_ushort16
#endif
#include "max_pool_find.h"

#ifdef __clang__ /* PoCL 3.1 makes 16 stores of vstore16 */
typedef number16 __attribute__((aligned(1))) number16_anywhere;
#define STORE16_NUMBER(v, p) (*(__global number16_anywhere *)(p) = (v))
#else
#define STORE16_NUMBER(v, p) vstore16(v, 0, p)
#endif

#ifndef RUN /* rows an item */
#define RUN 8
#endif

#define OVER (((KD + SD - 1) / SD) * ((KH + SH - 1) / SH))

__kernel void max_pool_where(__global const float *restrict x, __global number *restrict to, ulong rows)
{
    float column[COLUMNS];
    int where[COLUMNS];
    const ulong first = get_global_id(0) * RUN, planes = rows / (OD * OH);
    for (int i = 0; i < COLUMNS; i++) {
        column[i] = -INFINITY;
        where[i] = NOWHERE;
    }
    for (ulong row = first; row < min(first + RUN, rows); row++) {
        const ulong plane = row / (OD * OH);
        __global number *y = to + row * OUT_ROW;
        find_down(x + plane * IN_FLOATS, (planes - plane) * IN_FLOATS, (int)(row / OH % OD),
                  (int)(row % OH), column, where);
        for (int o = 0; o < OUT_ROW; o += 16)
            STORE16_NUMBER(convert_number16(find_along(column, where, o)), y + o);
    }
}

/* The rows of dy whose windows cover a row of dx: where they begin and what row of theirs it is. */
typedef struct cover {
    int count, at[OVER], base[OVER];
} cover;

inline void find_cover(int d, int h, cover *c)
{
    c->count = 0;
    for (int od = POOL_COVER_FIRST(d, SD, PD, KD); od < POOL_COVER_LAST(d, SD, PD, OD); od++)
        for (int oh = POOL_COVER_FIRST(h, SH, PH, KH); oh < POOL_COVER_LAST(h, SH, PH, OH); oh++) {
            c->at[c->count] = (od * OH + oh) * OUT_ROW;
            c->base[c->count++] = ROW_NAME(od, oh, d - (od * SD - PD), h - (oh * SH - PH));
        }
}

inline void gather_row(const cover *c, __global const number *where, __global const float *dy,
                       __global float *dx)
{
    float16 sum[KW + SW];
#pragma unroll
    for (int k = 0; k < KW + SW; k++)
        sum[k] = (float16)(0.0f);
    for (int w = -PW, o = 0; w < W; w += SW, o += 16) {
        for (int t = 0; o < OUT_ROW && t < c->count; t++) {
            const int16 from = convert_int16(vload16(0, where + c->at[t] + o)) - c->base[t];
            const float16 g = vload16(0, dy + c->at[t] + o);
#pragma unroll
            for (int k = 0; k < KW; k++)
                sum[k] += select((float16)(0.0f), g, from == k);
        }
#pragma unroll
        for (int r = 0; r < SW; r++)
            if (w + r >= 0 && w + r < W)
                STREAM16(sum[r], dx + (w + r) * 16);
#pragma unroll
        for (int k = 0; k < KW; k++)
            sum[k] = sum[k + SW];
    }
}

__kernel void max_pool_gather(__global const number *restrict where, __global const float *restrict dy,
                              __global float *restrict dx, ulong rows)
{
    const ulong first = get_global_id(0) * RUN;
    for (ulong row = first; row < min(first + RUN, rows); row++) {
        const ulong plane = row / (D * H) * OUT_FLOATS;
        cover c;
        find_cover((int)(row / H % D), (int)(row % H), &c);
        gather_row(&c, where + plane, dy + plane, dx + row * ROW);
    }
    STREAM_END;
}
