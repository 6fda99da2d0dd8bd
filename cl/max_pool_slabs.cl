/* max_pool_slabs.cl - max pooling's gradient for CPUs, PLAIN: dx[i] = the sum of dy over the windows whose
 * maximum is i.
 *   x, dx [planes][D][H][W], dy [planes][OD][OH][OW]; dx overwritten (=)
 * An item owns a slab of dx (DEPTH slices of a plane, or of a 2D image HEIGHT rows), finds for every
 * window that reaches into it where the maximum lies, and adds dy there.  Only the item writes its
 * slab, so the order of additions is fixed without atomics; windows that reach into two slabs are looked
 * at twice.  An element's name is its offset in the plane. */
#define LANES                  1
#define ROW_NAME(od, oh, d, h) ROW_AT((od) * SD - PD + (d), (oh) * SH - PH + (h))
#define WINDOW_NAME(o)         (COUNT16 * SW + ((o) * SW - PW))
#define NONE                   (-1)
#include "max_pool_find.h"

#ifndef DEPTH /* slices of dx an item */
#define DEPTH D
#endif
#ifndef HEIGHT /* rows of dx an item; H unless D is 1 */
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
            const int nd1 = od == od1 ? d1 : min(d1, od * SD - PD + KD);
            const int nh1 = oh == oh1 ? h1 : min(h1, oh * SH - PH + KH);
            __global const float *g = dy + (od * OH + oh) * OUT_ROW;
            zero_rows(dx, nd0, nd1, nh0, nh1);
            give(at, g, dx, ROW_AT(d0, h0), ROW_AT(d1 - 1, h1) - ROW_AT(d0, h0));
        }
}
