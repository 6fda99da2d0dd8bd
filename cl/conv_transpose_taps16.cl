/* conv_transpose_taps16.cl - transposed convolution of a kernel as large as its stride, for CPUs:
 * each input voxel fills a box of the output that no other reaches.
 *
 *   y[n,o,p*K + k] = bias[o] + sum_i x[n,i,p] * w[i,o,k]          0 <= k < K                (=)
 *
 *          x, a row:     p0          p1          p2         K = 2: w0, w1 are 16 x 16 matrices
 *                       /  \        /  \        /  \
 *          y, a row:  w0p0 w1p0   w0p1 w1p1   w0p2 w1p2     and so two (KD*KH) more rows
 *
 * In the names of the convolution whose gradient this is (conv.h): x is [N][OB][OD][OH][OW][16], y
 * [N][IB][ID][IH][IW][16], K = S; channels of y past the last are zeros because their weights are.
 *
 * Grid: (OH, N*OD, IB), work-groups of ONE item: a row of x to KD*KH rows of 16 channels of y.
 *
 * Why this method: R positions and the KW taps of a row make R*KW sums in registers for R broadcasts
 * and KW weight vectors, and end as R*KW neighbours of y, written one after the other.  The general
 * method takes the taps one by one: as many broadcasts as multiply-adds, and writes that leave
 * gaps. */
#pragma OPENCL FP_CONTRACT ON
#include "conv.h"
#include "relu.h"

#ifndef R /* positions of a tile (1..OW); R * KW <= 28 */
#define R 8
#endif
#if R > OW || R * KW > 28
#error "R positions must lie in a row, and their sums in registers"
#endif
#if KD != SD || KH != SH || KW != SW || ID != OD * KD || IH != OH * KH || IW != OW * KW
#error "the kernel must be as large as the stride, and cover the output"
#endif

/* The tile of y that the R positions at x make with one row of taps. */
inline void __attribute__((always_inline))
tile(__global const float *x, __global const float16 *w, float16 bias, __global float16 *y)
{
    float16 a[R * KW];
#pragma unroll
    for (int i = 0; i < R * KW; i++)
        a[i] = bias;
    for (int b = 0; b < OB; b++) {
#pragma unroll 2
        for (int c = 0; c < 16; c++) {
            float16 v[KW];
#pragma unroll
            for (int k = 0; k < KW; k++)
                v[k] = w[k * 16 + c];
#pragma unroll
            for (int r = 0; r < R; r++) {
                const float16 p = (float16)(x[r * 16 + c]);
#pragma unroll
                for (int k = 0; k < KW; k++)
                    a[r * KW + k] = madd(p, v[k], a[r * KW + k]);
            }
        }
        x += OD * OH * OW * 16;
        w += KD * KH * KW * 16;
    }
#pragma unroll
    for (int i = 0; i < R * KW; i++)
        y[i] = RELU_Y(a[i]);
}

/* w, bias: packed by conv3d_pack16.cl, [IB][OB][KD][KH][KW][16 in][16 out] and [IB][16]. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
conv_transpose_taps16(__global const float *x, __global const float16 *w,
                      __global const float16 *bias, __global float16 *y)
{
    const int h = (int)get_global_id(0), d = (int)(get_global_id(1) % OD), o = (int)get_global_id(2);
    const size_t n = get_global_id(1) / OD;
    __global const float *row = x + ((n * OB * OD + d) * OH + h) * (size_t)(OW * 16);

    for (int kd = 0; kd < KD; kd++)
        for (int kh = 0; kh < KH; kh++) {
            __global float16 *to =
                y + (((n * IB + o) * ID + d * KD + kd) * IH + h * KH + kh) * (size_t)IW;
            __global const float16 *taps =
                w + ((size_t)o * OB * KD * KH + kd * KH + kh) * (KW * 16);
            /* the last tile ends with the row: some of it is made twice, and the same */
            for (int p = 0; p < OW; p += R) {
                const int at = min(p, OW - R);
                tile(row + at * 16, taps, bias[o], to + at * KW);
            }
        }
}
