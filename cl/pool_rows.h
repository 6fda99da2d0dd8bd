/* pool_rows.h - the frame of pooling on CPUs: whole rows at a time, in vectors of 16 floats.
 *
 * A row of W voxels is ROW = W * LANES floats in a line, whether they are voxels of one channel
 * (PLAIN, LANES 1) or voxels of 16 channels (BLOCK16, LANES 16).  A window is taken in two steps:
 *
 *     rows of x     a a a a a a a a      1. down: all rows of a window, float by float, into one
 *     of a window   b b b b b b b b         row of columns; vectors, whatever the layout
 *                   | | | | | | | |
 *     columns       c c c c c c c c      2. along: K neighbouring columns, S apart, give an output
 *                   \___/ \___/
 *     row of y        y     y            (PLAIN: 16 outputs a vector; BLOCK16: 16 channels of one)
 *
 * so that neighbouring windows share what is done down the columns.  Columns lie in private memory,
 * in the first cache, between margins for what padding and whole vectors read beside a row. */
#ifndef VOX_POOL_ROWS_H
#define VOX_POOL_ROWS_H

#include "cpu.h"
#include "pool.h"

#ifndef LANES /* channels side by side: 1 or 16 */
#define LANES 1
#endif
#define ROW        (W * LANES)
#define OUT_ROW    (OW * LANES)
#define ROW_AT(d, h) (((d) * H + (h)) * ROW) /* in its plane */
#define IN_FLOATS  ((ulong)D * H * ROW)      /* of a plane */
#define OUT_FLOATS ((ulong)OD * OH * OUT_ROW)

#define ROUND16(n) (((n) + 15) / 16 * 16)
/* Where voxel 0 lies among the columns, and how many floats they are in all: outputs are made 16 at
 * a time, and the last 16 of them read this far. */
#define MARGIN  ROUND16(PW * LANES)
#define READ    ((ROUND16(OUT_ROW) / LANES * SW + KW) * LANES + 16)
#define COLUMNS (MARGIN + ROUND16(READ > ROW + 16 ? READ : ROW + 16))

/* Vectors at a time down the columns: independent of each other, so that none waits. */
#define DEEP (ROW >= 64 ? 4 : 1)
/* What is asked for ahead of x while it is read: the rows of a later window below, at least 4 KiB on. */
#define AHEAD ((1024 + SH * ROW - 1) / (SH * ROW) * SH * ROW)
/* The vectors' first floats: the last one is moved back to end where the row ends; what it covers
 * twice is the same both times. */
#define BACK(i) (ROW >= 16 * DEEP ? min(i, ROW - 16 * DEEP) : 0)

/* 16 floats at p: `row` of them belong to the row, what is beyond does not matter, but nothing is
 * read beyond the tensor, of which `left` begin at p. */
inline float16 load16(__global const float *p, int row, ulong left)
{
    if (row >= 16 || left >= 16)
        return vload16(0, p);
    float some[16];
    for (uint i = 0; i < 16; i++)
        some[i] = i < left ? p[i] : 0.0f;
    return vload16(0, some);
}

/* The first n of 16 floats, if n is less. */
inline void store16(float16 v, __global float *p, int n)
{
    if (n >= 16) {
        STORE16_GLOBAL(v, p);
        return;
    }
    float some[16];
    STORE16(v, some);
    for (int i = 0; i < n; i++)
        p[i] = some[i];
}

/* Column k of the windows of output float o (a multiple of 16): c[(o / LANES * SW + k) * LANES ...],
 * for PLAIN of 16 windows, SW floats apart. */
#define APART(p)                                                                                   \
    ((p)[0], (p)[SW], (p)[2 * SW], (p)[3 * SW], (p)[4 * SW], (p)[5 * SW], (p)[6 * SW], (p)[7 * SW], \
     (p)[8 * SW], (p)[9 * SW], (p)[10 * SW], (p)[11 * SW], (p)[12 * SW], (p)[13 * SW],             \
     (p)[14 * SW], (p)[15 * SW])
#if LANES == 16 || SW == 1
#define COLUMN(p)     LOAD16(p)
#define COLUMN_INT(p) LOAD16_INT(p)
#elif SW == 2
#define COLUMN(p)     ((float16)EVENS(LOAD16(p), LOAD16((p) + 16)))
#define COLUMN_INT(p) ((int16)EVENS(LOAD16_INT(p), LOAD16_INT((p) + 16)))
#else
#define COLUMN(p)     ((float16)APART(p))
#define COLUMN_INT(p) ((int16)APART(p))
#endif
#define COLUMN_OF(o, k) (((o) / LANES * SW + (k)) * LANES + MARGIN - PW * LANES)

#define COUNT16 (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

#endif
