/* max_pool_rows.cl - y[o] = max of x over window o, and its gradient, for CPUs.
 *   x, dx [planes][D][H][W][LANES], y, dy [planes][OD][OH][OW][LANES]; y, dx overwritten (=)
 * The first of equal values wins, a NaN wins over numbers and the last NaN over others: PyTorch's
 * rule, (v > best || isnan(v)).  Method: down, then along, as pool_rows.h draws it.
 *
 * Forward: RUN rows of y an item.  Backward: an item owns a slab of dx (DEPTH slices of a plane, or
 * of a 2D image HEIGHT rows), finds for every window that reaches into it where the maximum lies, and
 * adds dy there.  Only the item writes its slab, so the order of additions is fixed without
 * atomics; windows that reach into two slabs are looked at twice.
 * With a relu fused (relu.h) before the pool, a window whose maximum is not positive passes no
 * gradient on: it is as if its maximum lay nowhere. */
#include "pool_rows.h"

#ifndef RUN /* rows of y an item, forward */
#define RUN 8
#endif
#ifndef DEPTH /* slices of dx an item, backward */
#define DEPTH D
#endif
#ifndef HEIGHT /* rows of dx an item, backward; H unless D is 1 */
#define HEIGHT H
#endif

/* Every maximum lies in the slab: no window reaches out of the one it begins in. */
#ifdef RELU_IN
#define WITHIN 0
#else
#define WITHIN                                                                                     \
    ((DEPTH >= D || (KD <= SD && PD == 0 && DEPTH % SD == 0)) &&                                   \
     (HEIGHT >= H || (KH <= SH && PH == 0 && HEIGHT % SH == 0)))
#endif

/* Whether v beats best, seen later. */
#define BEATS(v, best) (((v) > (best)) | isnotequal(v, v))

/* ---- forward ---- */

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

/* ---- backward ---- */

#define NOWHERE 0x40000000 /* the offset of columns beside the row: behind all others */

/* As max_down, and where[i]: the offset in the plane of the row that it came from. */
inline void find_down(__global const float *x, ulong left, int od, int oh, float *column, int *where)
{
    const int first =
        ROW_AT(od * SD - PD + POOL_FIRST(od, SD, PD), oh * SH - PH + POOL_FIRST(oh, SH, PH));
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
                const int at = ROW_AT(od * SD - PD + d, oh * SH - PH + h);
#pragma unroll
                for (int u = 0; u < DEEP; u++) {
                    const float16 v = load16(x + at + i + 16 * u, ROW, left - at - i);
                    PREFETCH(x + at + AHEAD + i + 16 * u);
                    const int16 take = BEATS(v, best[u]);
                    best[u] = select(best[u], v, take);
                    from[u] = select(from[u], (int16)(at), take);
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

/* Offsets of the maxima of the 16 output floats from o on, the channel left out; -1: no gradient
 * passes.  Columns are not in the window's order: of equal ones that with the smallest offset is
 * the first. */
inline int16 find_along(const float *column, const int *where, int o)
{
    float16 best = COLUMN(column + COLUMN_OF(o, 0));
    int16 at = COLUMN_INT(where + COLUMN_OF(o, 0));
#pragma unroll
    for (int k = 1; k < KW; k++) {
        const float16 v = COLUMN(column + COLUMN_OF(o, k));
        const int16 from = COLUMN_INT(where + COLUMN_OF(o, k)) + k * LANES;
        const int16 later_nan = isnotequal(v, v) & (isequal(best, best) | (from > at));
        const int16 take = (v > best) | ((v == best) & (from < at)) | later_nan;
        best = select(best, v, take);
        at = select(at, from, take);
    }
    at += (LANES == 16 ? 0 : COUNT16 * SW) + (o / LANES * SW - PW) * LANES;
#ifdef RELU_IN
    at = select(at, (int16)(-1), best <= 0.0f);
#endif
    return at;
}

inline void zero_rows(__global float *dx, int d0, int d1, int h0, int h1)
{
    for (int d = d0; d < d1; d++)
        for (int i = ROW_AT(d, h0); i < ROW_AT(d, h1); i++)
            dx[i] = 0.0f;
}

/* dx[at] += dy, number by number. */
inline void give(const int *at, __global const float *dy, __global float *dx, int begin, int size)
{
    for (int o = 0; o < OUT_ROW; o++)
        if (WITHIN || (uint)(at[o] - begin) < (uint)size)
            dx[at[o]] += dy[o];
}

/* BLOCK16: one row of dx, 16 channels at a time; `fresh`: =, else +=.  sum[k] belongs to the voxel
 * k on from the window's first and goes along with it: what is complete is written, the rest
 * moves down by SW. */
inline void give_row(const int *at, __global const float *dy, __global float *dx, int offset, bool fresh)
{
    float16 sum[KW + SW];
#pragma unroll
    for (int k = 0; k < KW + SW; k++)
        sum[k] = (float16)(0.0f);
    for (int w = -PW; w < W; w += SW, at += 16, dy += 16) {
        if (w < OW * SW - PW) {
            const int16 from = LOAD16_INT(at);
            const float16 g = vload16(0, dy);
#pragma unroll
            for (int k = 0; k < KW; k++)
                sum[k] += select((float16)(0.0f), g, from == offset + (w + k) * 16);
        }
#pragma unroll
        for (int r = 0; r < SW; r++)
            if (w + r >= 0 && w + r < W) {
                __global float *to = dx + (w + r) * 16;
                STORE16_GLOBAL(fresh ? sum[r] : sum[r] + vload16(0, to), to);
            }
#pragma unroll
        for (int k = 0; k < KW; k++)
            sum[k] = sum[k + SW];
    }
}

#define SLABS_D ((D + DEPTH - 1) / DEPTH)
#define SLABS_H ((H + HEIGHT - 1) / HEIGHT)

__kernel void max_pool_backward_slabs(__global const float *restrict x, __global const float *restrict dy,
                                      __global float *restrict dx, ulong planes)
{
    float column[COLUMNS];
    int where[COLUMNS], at[ROUND16(OUT_ROW)];
    const ulong plane = get_global_id(0) / (SLABS_D * SLABS_H);
    if (plane >= planes)
        return;
    const int d0 = (int)(get_global_id(0) / SLABS_H % SLABS_D) * DEPTH, d1 = min(d0 + DEPTH, D);
    const int h0 = (int)(get_global_id(0) % SLABS_H) * HEIGHT, h1 = min(h0 + HEIGHT, H);
    /* the first and the last window that reach into the slab */
    const int od0 = POOL_COVER_FIRST(d0, SD, PD, KD), od1 = POOL_COVER_LAST(d1 - 1, SD, PD, OD) - 1;
    const int oh0 = POOL_COVER_FIRST(h0, SH, PH, KH), oh1 = POOL_COVER_LAST(h1 - 1, SH, PH, OH) - 1;
    x += plane * IN_FLOATS;
    dy += plane * OUT_FLOATS;
    dx += plane * IN_FLOATS;
    if (od0 > od1 || oh0 > oh1) {
        zero_rows(dx, d0, d1, h0, h1);
        return;
    }
    for (int i = 0; i < COLUMNS; i++) {
        column[i] = -INFINITY;
        where[i] = NOWHERE;
    }
    for (int od = od0; od <= od1; od++)
        for (int oh = oh0; oh <= oh1; oh++) {
            find_down(x, (planes - plane) * IN_FLOATS, od, oh, column, where);
            for (int o = 0; o < OUT_ROW; o += 16)
                STORE16_INT(find_along(column, where, o), at + o);
            /* the rows of the slab that no window reached before, and those that this one does */
            const int nd0 = od == od0 ? d0 : max(d0, (od - 1) * SD - PD + KD);
            const int nh0 = oh == oh0 ? h0 : max(h0, (oh - 1) * SH - PH + KH);
            const int wd0 = max(d0, od * SD - PD), wd1 = min(d1, od * SD - PD + KD);
            const int wh0 = max(h0, oh * SH - PH), wh1 = min(h1, oh * SH - PH + KH);
            const int nd1 = od == od1 ? d1 : wd1, nh1 = oh == oh1 ? h1 : wh1;
            __global const float *g = dy + (od * OH + oh) * OUT_ROW;
#if LANES == 16
            zero_rows(dx, nd0, wd0, nh0, nh1);
            zero_rows(dx, wd1, nd1, nh0, nh1);
            zero_rows(dx, max(nd0, wd0), wd1, nh0, wh0);
            zero_rows(dx, max(nd0, wd0), wd1, wh1, nh1);
            for (int d = wd0; d < wd1; d++)
                for (int h = wh0; h < wh1; h++)
                    give_row(at, g, dx + ROW_AT(d, h), ROW_AT(d, h), d >= nd0 && h >= nh0);
#else
            zero_rows(dx, nd0, nd1, nh0, nh1);
            give(at, g, dx, ROW_AT(d0, h0), ROW_AT(d1 - 1, h1) - ROW_AT(d0, h0));
#endif
        }
}
