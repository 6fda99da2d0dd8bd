/* conv3d_tiled_weights.cl - the weights' gradient for GPUs as an implicit matrix product, its long
 * dimension split over work-groups.
 *
 *   part[first + s][o, (c,tap)] = sum over split s of (n,p):
 *                                                   dy[n,o,p] * x[n,c,p*S - P + tap*L]       (=)
 *   bias_part[first + s][o]     = sum over split s of (n,p):  dy[n,o,p]    if there is a bias (=)
 *
 * conv3d_sums.cl then adds the parts up.  x [N][CI][ID][IH][IW], dy [N][CO][OD][OH][OW].
 *
 * Rows are output channels, columns (input channel, tap), and the sum runs over the positions of all
 * samples, TK a step; tiles.h has the product.  Both operands lie along the positions in memory, so
 * neighbouring items read neighbouring positions of one row (of dy) or column (of x), and write
 * columns of the tiles: PAD moves those to different banks.
 *
 * Where the TK positions of a step lie is worked out by TK of the items, one step ahead, and left
 * in local memory for the others; an item's columns stay the same throughout, so it knows their
 * offsets and taps.  The bias's gradient comes for nothing: the items that bring dy add it up.
 *
 * Grid: (row tiles * column tiles * WG, GROUPS * splits), work-groups of WG items.
 * Why split, and how: weights are few and positions many, so that tiles of weights alone would
 * leave most of a GPU idle.  The splits are summed by a second kernel in their order, where
 * atomics would give other bits on every run. */
#pragma OPENCL FP_CONTRACT ON
#include "conv.h"
#ifndef PAD /* rows shifted by four banks: items that write a column meet two to a bank at most */
#define PAD 1
#endif
#include "tiles.h"

#define TAPS      (KD * KH * KW)
#define CIG       (CI / GROUPS)
#define COG       (CO / GROUPS)
#define COLUMNS   (CIG * TAPS)
#define VOXELS    (OD * OH * OW)
#define ROW_TILES ((COG + TM - 1) / TM)

#define ROWS_A (TM * TK / WG) /* words that an item brings into a tile of dy, and of x */
#define COLS_B (TN * TK / WG)
#define APART  (WG / TK) /* rows (columns) between them */
#if WG % TK != 0 || TM % APART != 0 || TN % APART != 0
#error "TK divides the work-group, and the rows that it covers at once divide TM and TN"
#endif

/* The positions of a step. */
typedef struct positions {
    long dy[TK];       /* index of the group's first output channel there, -1: past the end */
    long x[TK];        /* index of the group's first input channel where the first tap reads */
    tapset inside[TK]; /* the taps that lie inside */
} positions;

/* pos: position number p of the split's. */
inline void position_find(__local positions *at, int i, size_t p, size_t end, int g)
{
    const size_t n = p / VOXELS;
    const int v = (int)(p % VOXELS), d = v / OW / OH, h = v / OW % OH, w = v % OW;
    const int id = d * SD - PD, ih = h * SH - PH, iw = w * SW - PW;
    at->dy[i] = p < end ? (long)(n * CO + g * COG) * VOXELS + v : -1;
    at->x[i] = (long)(n * CI + g * CIG) * (ID * IH * IW) + (id * IH + ih) * IW + iw;
    at->inside[i] = p < end ? taps_join(taps_inside(id, LD, KD, ID), taps_inside(ih, LH, KH, IH),
                                        taps_inside(iw, LW, KW, IW))
                            : (tapset)0;
}

/* Sums of the items that brought a row of dy, by the rows' own items in order. */
inline void bias_put(__global float *bias_part, __local float *all, const float sum[ROWS_A], int l,
                     int rows)
{
    for (int i = 0; i < ROWS_A; i++)
        all[(l / TK + i * APART) * TK + l % TK] = sum[i];
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int m = l; m < min(TM, rows); m += WG) {
        float total = 0.0f;
        for (int k = 0; k < TK; k++)
            total += all[m * TK + k];
        bias_part[m] = total;
    }
}

/* Writes four neighbouring columns of a row. */
inline void put(__global float *row, int column, float4 v)
{
#if COLUMNS % 4 == 0
    if (column < COLUMNS)
        *(__global float4 *)(row + column) = v;
#else
    if (column < COLUMNS)
        row[column] = v.x;
    if (column + 1 < COLUMNS)
        row[column + 1] = v.y;
    if (column + 2 < COLUMNS)
        row[column + 2] = v.z;
    if (column + 3 < COLUMNS)
        row[column + 3] = v.w;
#endif
}

__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void
conv3d_tiled_weights(__global const float *x, __global const float *dy, __global float *part,
                     __global float *bias_part, int batch, int splits, int first)
{
    __local float4 a[2][TK * PITCH_A], b[2][TK * PITCH_B];
    __local positions at[2];
    const int l = (int)get_local_id(0), lx = item_x(l), ly = item_y(l), k = l % TK;
    const int m0 = (int)(get_group_id(0) % ROW_TILES) * TM;
    const int c0 = (int)(get_group_id(0) / ROW_TILES) * TN, g = (int)(get_group_id(1) % GROUPS);
    const size_t s = get_group_id(1) / GROUPS, count = (size_t)VOXELS * batch;
    const size_t begin = count * s / splits, end = count * (s + 1) / splits;
    const int steps = (int)((end - begin + TK - 1) / TK);

    /* this item's columns: where they read from a position's first tap, and their tap */
    int offset[COLS_B];
    tapset tap[COLS_B];
#pragma unroll
    for (int j = 0; j < COLS_B; j++) {
        const int column = c0 + l / TK + j * APART, t = column % TAPS;
        const int d = t / KW / KH, h = t / KW % KH, w = t % KW;
        offset[j] = column / TAPS * (ID * IH * IW) + (d * LD * IH + h * LH) * IW + w * LW;
        tap[j] = column < COLUMNS ? taps_join((tapset)1 << d, (tapset)1 << h, (tapset)1 << w)
                                  : ~(tapset)0; /* lies nowhere */
    }

    float4 sum[RM][RN / 4];
    float next_a[ROWS_A], next_b[COLS_B], bias_sum[ROWS_A];
    sums_clear(sum);
#pragma unroll
    for (int i = 0; i < ROWS_A; i++)
        bias_sum[i] = 0.0f;
    if (l < TK)
        position_find(&at[0], l, begin + l, end, g);
    barrier(CLK_LOCAL_MEM_FENCE);

    for (int step = -1; step < steps; step++) {
        const int next = (step + 1) & 1;
        if (step + 1 < steps) {
            const long p = at[next].dy[k], q = at[next].x[k];
            const tapset inside = at[next].inside[k];
            /* outside they read another place and take 0 for it: no branches, all loads at once */
#pragma unroll
            for (int i = 0; i < ROWS_A; i++) {
                const int m = l / TK + i * APART;
                const bool is = p >= 0 && (COG % TM == 0 || m0 + m < COG);
                const float v = dy[is ? p + (long)(m0 + m) * VOXELS : 0];
                next_a[i] = is ? v : 0.0f;
                bias_sum[i] += next_a[i];
            }
#pragma unroll
            for (int j = 0; j < COLS_B; j++) {
                const bool is = (inside & tap[j]) == tap[j];
                const float v = x[is ? q + offset[j] : 0];
                next_b[j] = is ? v : 0.0f;
            }
            if (l < TK)
                position_find(&at[step & 1], l, begin + (size_t)(step + 2) * TK + l, end, g);
        }
        if (step >= 0)
            tiles_multiply(sum, a[step & 1], b[step & 1], lx, ly);
        if (step + 1 < steps) {
            __local float *to_a = (__local float *)(a[next] + k * PITCH_A) + l / TK;
            __local float *to_b = (__local float *)(b[next] + k * PITCH_B) + l / TK;
#pragma unroll
            for (int i = 0; i < ROWS_A; i++)
                to_a[i * APART] = next_a[i];
#pragma unroll
            for (int j = 0; j < COLS_B; j++)
                to_b[j * APART] = next_b[j];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }

    const size_t row0 = (first + s) * CO + (size_t)g * COG + m0;
#pragma unroll
    for (int i = 0; i < RM; i++) {
        const int m = ROW_OF(ly, i);
        if (m0 + m >= COG)
            continue;
#pragma unroll
        for (int j = 0; j < RN / 4; j++)
            put(part + (row0 + m) * COLUMNS, c0 + FOURS_OF(lx, j), sum[i][j]);
    }
    if (bias_part && c0 == 0)
        bias_put(bias_part + row0, (__local float *)a[0], bias_sum, l, COG - m0);
}
