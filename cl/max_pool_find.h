/* max_pool_find.h - where the maxima of windows lie: what both gradients of max pooling on CPUs share.
 *
 * Method as in max_pool_rows.cl: down, then along.  An element's name is a number that grows with
 * its place in the window:
 *   ROW_NAME(od, oh, d, h)   of the first voxel of the window's row (d, h)
 *   WINDOW_NAME(o)           added to those of the windows of output floats o to o + 15
 *   NONE                     no gradient passes */
#ifndef VOX_MAX_POOL_FIND_H
#define VOX_MAX_POOL_FIND_H

#include "pool_rows.h"

#define BEATS(v, best) (((v) > (best)) | isnotequal(v, v)) /* v seen later */
#define NOWHERE        0x40000000 /* the name of columns beside the row: behind all others */

/* column[i] = max over the window's rows of x, of which `left` floats of the tensor begin at x; where[i]:
 * the name of the row that it came from. */
inline void find_down(__global const float *x, ulong left, int od, int oh, float *column, int *where)
{
    const int first = ROW_NAME(od, oh, POOL_FIRST(od, SD, PD), POOL_FIRST(oh, SH, PH));
    for (int next = 0; next < ROW; next += 16 * DEEP) {
        const int i = BACK(next);
        float16 best[DEEP];
        int16 from[DEEP];
#pragma unroll
        for (int u = 0; u < DEEP; u++) {
            best[u] = (float16)(-INFINITY);
            from[u] = (int16)(first);
        }
        for (int d = POOL_FIRST(od, SD, PD); d < POOL_LAST(od, SD, PD, KD, D); d++)
            for (int h = POOL_FIRST(oh, SH, PH); h < POOL_LAST(oh, SH, PH, KH, H); h++) {
                const int at = ROW_AT(od * SD - PD + d, oh * SH - PH + h) + i;
#pragma unroll
                for (int u = 0; u < DEEP; u++) {
                    const float16 v = load16(x + at + 16 * u, ROW, left - at);
                    PREFETCH(x + at + AHEAD + 16 * u);
                    const int16 take = BEATS(v, best[u]);
                    best[u] = select(best[u], v, take);
                    from[u] = select(from[u], (int16)(ROW_NAME(od, oh, d, h)), take);
                }
            }
#pragma unroll
        for (int u = 0; u < DEEP; u++) {
            STORE16(best[u], column + MARGIN + i + 16 * u);
            STORE16_INT(from[u], where + MARGIN + i + 16 * u);
        }
    }
    for (int i = ROW; i < 16; i++) {
        column[MARGIN + i] = -INFINITY;
        where[MARGIN + i] = NOWHERE;
    }
}

/* Names of the maxima of the 16 output floats from o on.  Columns are not in the window's order:
 * of equal ones that with the smallest name is the first.  With a relu fused (relu.h) before the
 * pool, a window whose maximum is not positive passes no gradient on. */
inline int16 find_along(const float *column, const int *where, int o)
{
    float16 best = COLUMN(column + COLUMN_OF(o, 0));
    int16 at = COLUMN_INT(where + COLUMN_OF(o, 0));
#pragma unroll
    for (int k = 1; k < KW; k++) {
        const float16 v = COLUMN(column + COLUMN_OF(o, k));
        const int16 from = COLUMN_INT(where + COLUMN_OF(o, k)) + k;
        const int16 later_nan = isnotequal(v, v) & (isequal(best, best) | (from > at));
        const int16 take = (v > best) | ((v == best) & (from < at)) | later_nan;
        best = select(best, v, take);
        at = select(at, from, take);
    }
    at += WINDOW_NAME(o);
#ifdef RELU_IN
    at = select(at, (int16)(NONE), best <= 0.0f);
#endif
    return at;
}

#endif
