/* conv3d_tiled.cl - 3D convolution for GPUs as an implicit matrix product: forward, backward-data.
 *
 *   to[m, v] = bias[m] + sum_k A[m, k] * B[k, v]                                             (=)
 *
 *   forward   m = output channel,  v = output voxel,  k = (input channel, tap):
 *             A = w[m,c,tap],      B = x[n,c,p*S - P + tap*L]
 *   BACKWARD  m = input channel,   v = input voxel,   k = (output channel, tap):
 *             A = w[o,m,tap],      B = dy[n,o,(p + P - tap*L)/S] where that is whole
 *
 * A and B are never written down ("im2col" would take taps times the memory of x): tiles of them
 * are gathered straight into local memory.  v runs over the voxels of all samples, so that small
 * volumes fill the tiles too.  x [N][CI][ID][IH][IW], y [N][CO][OD][OH][OW], w as PyTorch has it.
 *
 *                 v  <------- TN ------->
 *             +-------+-------------------+     each work-group: TM x TN of the result;
 *          k  |       |  B tile  TK x TN  |     each item: RM x RN of them in registers, WX and WY
 *     m       +-------+-------------------+     apart, so that neighbouring items touch
 *     ^       |   A   |                   |     neighbouring words;
 *     TM      | TM x  |      TM x TN      |     each word of a tile is loaded once from memory and
 *     v       |   TK  |                   |     used TN (A) or TM (B) times.
 *             +-------+-------------------+
 *
 * Grid: (ceil(N*voxels / TN) * WX, ceil(rows / TM) * WY, GROUPS), work-groups of WX x WY x 1.
 * Why this method, on GPUs: arithmetic per load grows with the tile, and local memory shares the
 * loads between items.  On CPUs local memory is only more memory: use conv3d_direct16.cl. */
#pragma OPENCL FP_CONTRACT ON
#include "conv.h"

#ifndef TM /* rows (channels) of a work-group's tile (16, 32, 64, 128) */
#define TM 64
#endif
#ifndef TN /* columns (voxels) of a work-group's tile (32, 64, 128) */
#define TN 64
#endif
#ifndef TK /* products between two barriers (8, 16, 32) */
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
#if TM % RM != 0 || TN % RN != 0 || WG % TN != 0
#error "RM divides TM, RN divides TN, and TN divides the work-group"
#endif

#define TAPS (KD * KH * KW)
#define CIG  (CI / GROUPS)
#define COG  (CO / GROUPS)

#ifdef BACKWARD
#define ROWS  CIG
#define DEPTH (COG * TAPS)
#define FC    CO /* "from": channels and voxels */
#define FD    OD
#define FH    OH
#define FW    OW
#define FCG   COG
#define TC    CI /* "to" */
#define TD    ID
#define TH    IH
#define TW    IW
#define REACH REACH_OUTPUT
#else
#define ROWS  COG
#define DEPTH (CIG * TAPS)
#define FC    CI
#define FD    ID
#define FH    IH
#define FW    IW
#define FCG   CIG
#define TC    CO
#define TD    OD
#define TH    OH
#define TW    OW
#define REACH REACH_INPUT
#endif
#define VOXELS ((size_t)TD * TH * TW)

/* A[m, k] of group g; zero outside. */
inline float weight_at(__global const float *w, int g, int m, int k)
{
    if (m >= ROWS || k >= DEPTH)
        return 0.0f;
#ifdef BACKWARD
    const size_t o = (size_t)g * COG + k / TAPS;
    return w[(o * CIG + m) * TAPS + k % TAPS];
#else
    return w[((size_t)g * COG + m) * DEPTH + k];
#endif
}

/* B[k, v] for output voxel (td, th, tw); f: the group's first channel of the sample. */
inline float input_at(__global const float *f, int k, int td, int th, int tw)
{
    const int c = k / TAPS, tap = k % TAPS;
    const int fd = REACH(td, tap / KW / KH, SD, PD, LD, FD);
    const int fh = REACH(th, tap / KW % KH, SH, PH, LH, FH);
    const int fw = REACH(tw, tap % KW, SW, PW, LW, FW);
    if (k >= DEPTH || fd < 0 || fh < 0 || fw < 0)
        return 0.0f;
    return f[(((size_t)c * FD + fd) * FH + fh) * FW + fw];
}

__kernel __attribute__((reqd_work_group_size(WX, WY, 1))) void
conv3d_tiled(__global const float *from, __global const float *w, __global const float *bias,
             __global float *to, int batch)
{
    __local float a[TK][TM + 1], b[TK][TN]; /* + 1: items write a column of a, not one bank */
    const int lx = (int)get_local_id(0), ly = (int)get_local_id(1), l = ly * WX + lx;
    const int m0 = (int)get_group_id(1) * TM, g = (int)get_group_id(2);
    const size_t v0 = get_group_id(0) * TN, columns = VOXELS * batch;

    /* the one column of B that this item gathers */
    const size_t mine = v0 + l % TN;
    const bool valid = mine < columns;
    const size_t n = valid ? mine / VOXELS : 0, p = valid ? mine % VOXELS : 0;
    const int tw = (int)(p % TW), th = (int)(p / TW % TH), td = (int)(p / TW / TH);
    __global const float *f = from + (n * FC + (size_t)g * FCG) * ((size_t)FD * FH * FW);

    float acc[RM][RN];
    for (int i = 0; i < RM; i++)
        for (int j = 0; j < RN; j++)
            acc[i][j] = 0.0f;

    for (int k0 = 0; k0 < DEPTH; k0 += TK) {
        for (int i = l; i < TM * TK; i += WG)
            a[i % TK][i / TK] = weight_at(w, g, m0 + i / TK, k0 + i % TK);
        for (int k = l / TN; k < TK; k += WG / TN)
            b[k][l % TN] = valid ? input_at(f, k0 + k, td, th, tw) : 0.0f;
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

    for (int j = 0; j < RN; j++) {
        const size_t column = v0 + lx + j * WX;
        if (column >= columns)
            continue;
        const size_t sample = column / VOXELS, voxel = column % VOXELS;
        for (int i = 0; i < RM; i++) {
            const int m = m0 + ly + i * WY;
            if (m >= ROWS)
                continue;
            const size_t c = (size_t)g * ROWS + m;
            to[(sample * TC + c) * VOXELS + voxel] = acc[i][j] + (bias ? bias[c] : 0.0f);
        }
    }
}
