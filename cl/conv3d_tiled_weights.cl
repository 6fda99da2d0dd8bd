/* conv3d_tiled_weights.cl - the weights' gradient for GPUs as an implicit matrix product, its long
 * dimension split over work-groups.
 *
 *   part[s][o, (c,tap)] = sum over split s of (n,p):  dy[n,o,p] * x[n,c,p*S - P + tap*L]    (=)
 *
 * conv3d_sums.cl then adds the parts up, and makes the bias's gradient.
 *
 * The tiles are those of conv3d_tiled.cl: rows are output channels, columns (input channel, tap),
 * and the sum runs over the positions of all samples.
 *
 * Why split, and how: weights are few and positions many, so that tiles of weights alone would
 * leave most of a GPU idle.  The splits are summed by a second kernel in their order, where
 * atomics would give other bits on every run. */
#pragma OPENCL FP_CONTRACT ON
#include "conv.h"

#ifndef TM /* rows (output channels) of a work-group's tile */
#define TM 64
#endif
#ifndef TN /* columns (input channel, tap) of a work-group's tile */
#define TN 64
#endif
#ifndef TK /* positions between two barriers */
#define TK 16
#endif
#ifndef RM /* rows of an item (divides TM) */
#define RM 4
#endif
#ifndef RN /* columns of an item (divides TN) */
#define RN 4
#endif
#define WX (TN / RN)
#define WY (TM / RM)
#define WG (WX * WY)
#if TM % RM != 0 || TN % RN != 0
#error "RM divides TM and RN divides TN"
#endif

#define TAPS    (KD * KH * KW)
#define CIG     (CI / GROUPS)
#define COG     (CO / GROUPS)
#define COLUMNS (CIG * TAPS)
#define VOXELS  ((size_t)OD * OH * OW)

/* x at position (n, p) for column (c, tap) of group g; zero outside. */
inline float input_at(__global const float *x, int g, int column, size_t n, size_t p)
{
    const int tap = column % TAPS;
    const size_t c = (size_t)g * CIG + column / TAPS;
    const int id = REACH_INPUT((int)(p / OW / OH), tap / KW / KH, SD, PD, LD, ID);
    const int ih = REACH_INPUT((int)(p / OW % OH), tap / KW % KH, SH, PH, LH, IH);
    const int iw = REACH_INPUT((int)(p % OW), tap % KW, SW, PW, LW, IW);
    if (column >= COLUMNS || id < 0 || ih < 0 || iw < 0)
        return 0.0f;
    return x[(((n * CI + c) * ID + id) * IH + ih) * IW + iw];
}

/* Grid: (ceil(COLUMNS / TN) * WX, ceil(COG / TM) * WY, GROUPS * splits). */
__kernel __attribute__((reqd_work_group_size(WX, WY, 1))) void
conv3d_tiled_weights(__global const float *x, __global const float *dy, __global float *part,
                     int batch, int splits)
{
    __local float a[TK][TM + 1], b[TK][TN + 1]; /* + 1: items write a column, not one bank */
    const int lx = (int)get_local_id(0), ly = (int)get_local_id(1), l = ly * WX + lx;
    const int m0 = (int)get_group_id(1) * TM, column0 = (int)get_group_id(0) * TN;
    const int g = (int)(get_group_id(2) % GROUPS);
    const size_t s = get_group_id(2) / GROUPS, positions = VOXELS * batch;
    const size_t begin = positions * s / splits, end = positions * (s + 1) / splits;

    float acc[RM][RN];
    for (int i = 0; i < RM; i++)
        for (int j = 0; j < RN; j++)
            acc[i][j] = 0.0f;

    for (size_t p0 = begin; p0 < end; p0 += TK) {
        for (int i = l; i < TM * TK; i += WG) {
            const size_t at = p0 + i % TK;
            const int m = m0 + i / TK;
            const size_t row = at / VOXELS * CO + (size_t)g * COG + m;
            a[i % TK][i / TK] = at < end && m < COG ? dy[row * VOXELS + at % VOXELS] : 0.0f;
        }
        for (int i = l; i < TN * TK; i += WG) {
            const size_t at = p0 + i % TK;
            b[i % TK][i / TK] =
                at < end ? input_at(x, g, column0 + i / TK, at / VOXELS, at % VOXELS) : 0.0f;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int k = 0; k < TK; k++) {
            float u[RM], v[RN];
#pragma unroll
            for (int i = 0; i < RM; i++)
                u[i] = a[k][ly + i * WY];
#pragma unroll
            for (int j = 0; j < RN; j++)
                v[j] = b[k][lx + j * WX];
#pragma unroll
            for (int i = 0; i < RM; i++)
#pragma unroll
                for (int j = 0; j < RN; j++)
                    acc[i][j] += u[i] * v[j];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }

    for (int i = 0; i < RM; i++)
        for (int j = 0; j < RN; j++) {
            const int m = m0 + ly + i * WY, column = column0 + lx + j * WX;
            if (m < COG && column < COLUMNS)
                part[(s * CO + (size_t)g * COG + m) * COLUMNS + column] = acc[i][j];
        }
}
