/* conv3d_depthwise16.cl - depthwise 3D convolution for CPUs, channels in blocks of 16: forward and
 * backward-data.  Every input channel has M = CO/CI outputs of its own (M is mostly 1).
 *
 *   forward        y[n,c*M+j,p] = bias[c*M+j] + sum_k x[n,c,p*S - P + k*L] * w[c*M+j,k]     (=)
 *   BACKWARD       dx[n,c,p] = sum_{j,k: (p + P - k*L) % S == 0}
 *                                  dy[n,c*M+j,(p + P - k*L)/S] * w[c*M+j,k]                 (=)
 *
 * x, dx [N][IB][ID][IH][IW][16], y, dy [N][OB][OD][OH][OW][16].  w, packed by conv3d_pack16.cl:
 * forward [IB][M][KD][KH][KW][16 of CI], backward [OB][KD][KH][KW][16 of CO].
 *
 * Grid: (rows H of the result, N * its planes D, IB), work-groups of ONE item: one row of all M
 * outputs of 16 input channels.  R positions live in float16 registers:
 *
 *      x, one row:   | x0 | x1 | x2 | x3 | x4 | ...     each is loaded once for all KW taps of the
 *      KW = 3:         └────┴────┤    |                 row: R + KW - 1 loads for R*KW
 *                           └────┴────┤                 multiply-adds
 *      registers:         | a0 | a1 | a2 | ...
 *
 * Why this method, on CPUs: a channel meets only itself, so all operands are vectors as they lie in
 * memory.  There is little to compute for each number read; rows come from the caches, where the
 * neighbouring work-groups left them, and nothing is copied.
 * With M > 1 the channels of x and y lie apart: forward sums with the lanes of x, backward with
 * those of dy, and lanes move once per result, not once per tap. */
#pragma OPENCL FP_CONTRACT ON
#include "conv.h"
#include "relu.h"

#define M (CO / CI) /* outputs of each input channel */
#if GROUPS != CI || CO % CI != 0
#error "depthwise: one group for each input channel"
#endif
#ifndef BIAS /* whether bias is given */
#define BIAS 0
#endif
#ifndef R /* positions of a register tile (1..24) */
#define R 8
#endif

/* What is gathered from: its voxels, and which of them tap k of result p reads. */
#ifdef BACKWARD
#define FD     OD
#define FH     OH
#define FW     OW
#define REACH  REACH_OUTPUT
#define PHASES SW /* results phase, phase + PHASES, ... share their taps */
#define STEP   1  /* from one of them to the next the position read moves so far */
#define BACK   (((KW - 1) * LW) / SW)
#define SPAN   (R + BACK) /* positions along W that R results read, from `first` on */
#else
#define FD     ID
#define FH     IH
#define FW     IW
#define REACH  REACH_INPUT
#define PHASES 1
#define STEP   SW
#define SPAN   ((R - 1) * SW + (KW - 1) * LW + 1)
#endif

/* Result 0 of a tile reads number tap_offset of its span by tap k; -1: this phase does not. */
inline int __attribute__((always_inline)) tap_offset(int phase, int k)
{
#ifdef BACKWARD
    const int down = k * LW - (phase + PW) % SW;
    return down >= 0 && down % SW == 0 ? BACK - down / SW : -1;
#else
    return phase * 0 + k * LW;
#endif
}

/* a[R] += one row of taps; only positions [low, high) of the span lie inside (whole: all do). */
inline void __attribute__((always_inline))
multiply_add(float16 *a, __global const float16 *f, __global const float16 *w, int phase, int low,
             int high, const bool whole)
{
#if PHASES == 1 && R + SPAN <= 30
    float16 x[SPAN];
#pragma unroll
    for (int i = 0; i < SPAN; i++)
        x[i] = whole || (i >= low && i < high) ? f[i] : (float16)(0.0f);
#pragma unroll
    for (int k = 0; k < KW; k++) {
        const float16 v = w[k];
#pragma unroll
        for (int r = 0; r < R; r++)
            a[r] = madd(x[tap_offset(phase, k) + r * STEP], v, a[r]);
    }
#else
    for (int k = 0; k < KW; k++) {
        const int at = tap_offset(phase, k);
        if (at < 0)
            continue;
        const float16 v = w[k];
#pragma unroll
        for (int r = 0; r < R; r++) {
            const int i = at + r * STEP;
            if (whole || (i >= low && i < high))
                a[r] = madd(f[i], v, a[r]);
        }
    }
#endif
}

/* Tile R x 16 of sums, of all taps of one block of "from": results j0, j0 + 1, ... of a phase, from
 * `start` on. */
inline void __attribute__((always_inline))
gather(float16 *a, float16 start, __global const float16 *from, __global const float16 *w, int td,
       int th, int j0, int phase)
{
#ifdef BACKWARD
    const int first = j0 + (phase + PW) / SW - BACK;
#else
    const int first = j0 * SW - PW;
#endif
    const int low = first < 0 ? -first : 0;
    const int high = first + SPAN > FW ? FW - first : SPAN;
#pragma unroll
    for (int r = 0; r < R; r++)
        a[r] = start;
    for (int kd = 0; kd < KD; kd++) {
        const int fd = REACH(td, kd, SD, PD, LD, FD);
        if (fd < 0)
            continue;
        for (int kh = 0; kh < KH; kh++) {
            const int fh = REACH(th, kh, SH, PH, LH, FH);
            if (fh < 0)
                continue;
            __global const float16 *f = from + (fd * FH + fh) * FW + first;
            __global const float16 *v = w + (kd * KH + kh) * KW;
            if (low == 0 && high == SPAN)
                multiply_add(a, f, v, phase, low, high, true);
            else
                multiply_add(a, f, v, phase, low, high, false);
        }
    }
}

/* Writes results [0, count) of a tile, `apart` voxels from each other, from voxel `at` on.  x: with
 * -DRELU_IN, as `to`. */
inline void __attribute__((always_inline))
put(__global float16 *to, size_t at, const float16 *a, int count, int apart,
    __global const float16 *x)
{
#pragma unroll
    for (int r = 0; r < R; r++)
        if (r < count)
            to[at + r * apart] = RELU_DX(RELU_Y(a[r]), x[at + r * apart]);
}

#ifndef BACKWARD
/* Lane c of these results is output channel (16*b + c)*M + j: each goes to its place, by floats. */
inline void put_apart(__global float *t, const float *sums, int count, int b, int j)
{
    for (int c = 0; c < 16; c++) {
        const int o = (16 * b + c) * M + j;
        for (int r = 0; r < count && o < OB * 16; r++)
            t[((size_t)(o / 16) * (OD * OH * OW) + r) * 16 + o % 16] = RELU_Y(sums[r * 16 + c]);
    }
}

/* bias [CO] in PyTorch's order, read only if BIAS. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
conv3d_depthwise16(__global const float16 *x, __global const float16 *w,
                   __global const float *bias, __global float16 *y)
{
    const int oh = (int)get_global_id(0), od = (int)(get_global_id(1) % OD);
    const size_t n = get_global_id(1) / OD;
    const int b = (int)get_global_id(2);
    __global const float16 *f = x + (n * IB + b) * (ID * IH * IW);
    const size_t row = n * OB * (size_t)(OD * OH * OW) + (od * OH + oh) * OW;
    float start[M][16]; /* the biases, in the lanes of x */
    for (int i = 0; i < 16 * M; i++)
        start[i % M][i / M] = BIAS && b * 16 * M + i < CO ? bias[b * 16 * M + i] : 0.0f;

    for (int j0 = 0; j0 < OW; j0 += R)
        for (int j = 0; j < M; j++) {
            float16 a[R];
            gather(a, vload16(0, start[j]), f, w + (b * M + j) * (KD * KH * KW), od, oh, j0, 0);
            if (M == 1) {
                put(y, row + b * (size_t)(OD * OH * OW) + j0, a, OW - j0, 1, 0);
            } else {
                float sums[R * 16];
#pragma unroll
                for (int r = 0; r < R; r++)
                    vstore16(a[r], r, sums);
                put_apart((__global float *)(y + row + j0), sums, min(R, OW - j0), b, j);
            }
        }
}

#else
/* x: read only with -DRELU_IN */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
conv3d_depthwise16_data(__global const float16 *dy, __global const float16 *w,
                        __global float16 *dx, __global const float16 *x)
{
    const int ih = (int)get_global_id(0), id = (int)(get_global_id(1) % ID);
    const size_t n = get_global_id(1) / ID;
    const int b = (int)get_global_id(2);
    const size_t row = (((n * IB + b) * ID + id) * IH + ih) * IW;

    for (int phase = 0; phase < PHASES && phase < IW; phase++) {
        const int count = (IW - phase + PHASES - 1) / PHASES; /* results of this phase */
        for (int j0 = 0; j0 < count; j0 += R) {
            float sums[R * 16]; /* over the outputs of each channel; M > 1 */
            float16 a[R];
            for (int i = 0; M > 1 && i < R * 16; i++)
                sums[i] = 0.0f;
            for (int j = 0; j < M && b * M + j < OB; j++) {
                gather(a, (float16)(0.0f), dy + (n * OB + b * M + j) * (OD * OH * OW),
                       w + (b * M + j) * (KD * KH * KW), id, ih, j0, phase);
                if (M == 1)
                    break;
                float lane[R * 16];
#pragma unroll
                for (int r = 0; r < R; r++)
                    vstore16(a[r], r, lane);
                for (int i = 0; i < R * 16; i++) /* lane i of block j: channel (16*j + i) / M */
                    sums[i / 16 * 16 + (16 * j + i % 16) / M] += lane[i];
            }
            if (M > 1)
#pragma unroll
                for (int r = 0; r < R; r++)
                    a[r] = vload16(r, sums);
            put(dx, row + j0 * PHASES + phase, a, count - j0, PHASES, x);
        }
    }
}
#endif
