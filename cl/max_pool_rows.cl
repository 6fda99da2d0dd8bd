/* max_pool_rows.cl - y[o] = max of x over window o, for CPUs.
 *   x [planes][D][H][W][LANES], y [planes][OD][OH][OW][LANES]; y overwritten (=)
 * The first of equal values wins, a NaN wins over numbers and the last NaN over others: PyTorch's
 * rule, (v > best || isnan(v)).  Method: down, then along, as pool_rows.h draws it;
 * RUN rows of y an item.  The gradient: max_pool_slabs.cl (PLAIN), max_pool_gather.cl (BLOCK16). */
#include "pool_rows.h"

#ifndef RUN /* rows of y an item */
#define RUN 8
#endif

/* Whether v beats best, seen later. */
#define BEATS(v, best) (((v) > (best)) | isnotequal(v, v))

/* column[i] = max over the window's rows of x; `left` floats of the tensor begin at x. */
inline void max_down(__global const float *x, ulong left, int od, int oh, float *column)
{
    for (int next = 0; next < ROW; next += 16 * DEEP) {
        const int i = BACK(next);
        float16 best[DEEP];
#pragma unroll
        for (int u = 0; u < DEEP; u++)
            best[u] = (float16)(-INFINITY);
        for (int d = POOL_FIRST(od, SD, PD); d < POOL_LAST(od, SD, PD, KD, D); d++)
            for (int h = POOL_FIRST(oh, SH, PH); h < POOL_LAST(oh, SH, PH, KH, H); h++) {
                const int at = ROW_AT(od * SD - PD + d, oh * SH - PH + h) + i;
#pragma unroll
                for (int u = 0; u < DEEP; u++) {
                    const float16 v = load16(x + at + 16 * u, ROW, left - at);
                    PREFETCH(x + at + AHEAD + 16 * u);
                    best[u] = select(best[u], v, BEATS(v, best[u]));
                }
            }
#pragma unroll
        for (int u = 0; u < DEEP; u++)
            STORE16(best[u], column + MARGIN + i + 16 * u);
    }
    for (int i = ROW; i < 16; i++) /* what a short row's vector read beside it */
        column[MARGIN + i] = -INFINITY;
}

__kernel void max_pool_rows(__global const float *restrict x, __global float *restrict y, ulong rows)
{
    float column[COLUMNS];
    const ulong first = get_global_id(0) * RUN, planes = rows / (OD * OH);
    for (int i = 0; i < COLUMNS; i++)
        column[i] = -INFINITY;
    for (ulong row = first; row < min(first + RUN, rows); row++) {
        const ulong plane = row / (OD * OH);
        __global float *to = y + row * OUT_ROW;
        max_down(x + plane * IN_FLOATS, (planes - plane) * IN_FLOATS, (int)(row / OH % OD),
                 (int)(row % OH), column);
        for (int o = 0; o < OUT_ROW; o += 16) {
            float16 best = COLUMN(column + COLUMN_OF(o, 0));
#pragma unroll
            for (int k = 1; k < KW; k++) {
                const float16 v = COLUMN(column + COLUMN_OF(o, k));
                best = select(best, v, BEATS(v, best));
            }
            store16(RELU_Y(best), to + o, OUT_ROW - o);
        }
    }
}
