/* conv_transpose_taps16_weights.cl - the gradients of conv_transpose_taps16.cl's weights and bias.
 *
 *   part[s][i,o,k]  = sum over rows p of share s:  x[n,i,p] * dy[n,o,p*K + k]               (=)
 *   bias_part[s][o] = sum over them and k:         dy[n,o,p*K + k]                          (=)
 *   taps16_collect    dw[i,o,k], db[o] = or += the parts, in their order
 *
 * x is [N][OB][OD][OH][OW][16], dy [N][IB][ID][IH][IW][16]; PyTorch's dw [CO][CI][KD*KH*KW].
 *
 * Grid: (splits, IB), work-groups of ONE item: 16 channels of dy, over a share of the rows of x.
 * Each CHUNK of rows of x and the KD*KH as long ones of dy are brought to the first-level cache
 * once; there all channels of x meet them, CR at a time with the KW taps of a row: CR*KW sums in
 * registers for CR broadcasts and KW vectors.  After each chunk they join sums in memory, so that no
 * running sum is so long that it loses digits. */
#pragma OPENCL FP_CONTRACT ON
#include "conv.h"

#ifndef CR /* channels of x of a register tile: 1, 2, 4, 8 or 16; CR * KW <= 28 */
#define CR 8
#endif
#ifndef CHUNK /* rows of x, of one plane, at a time */
#define CHUNK 4
#endif
#if 16 % CR != 0 || CR * KW > 28
#error "CR must divide 16, and its sums must fit into registers"
#endif
#define TAPS  (KD * KH * KW)
#define TILES (OB * 16 / CR)

/* sum[CR][KW] += the products of `rows` rows of CR channels of x and of one row of taps of dy. */
inline void __attribute__((always_inline))
chunk_products(float16 *sum, __global const float *x, __global const float16 *dy, int rows)
{
    float16 a[CR * KW];
#pragma unroll
    for (int i = 0; i < CR * KW; i++)
        a[i] = (float16)(0.0f);
    for (int h = 0; h < rows; h++)
        for (int w = 0; w < OW; w++) {
            __global const float *at = x + (h * OW + w) * 16;
            float16 v[KW];
#pragma unroll
            for (int k = 0; k < KW; k++)
                v[k] = dy[h * (KH * IW) + w * KW + k];
#pragma unroll
            for (int c = 0; c < CR; c++) {
                const float16 b = (float16)(at[c]);
#pragma unroll
                for (int k = 0; k < KW; k++)
                    a[c * KW + k] = madd(b, v[k], a[c * KW + k]);
            }
        }
#pragma unroll
    for (int i = 0; i < CR * KW; i++)
        sum[i] += a[i];
}

inline float16 row_sum(__global const float16 *dy)
{
    float16 s0 = (float16)(0.0f), s1 = s0;
    for (int w = 0; w + 1 < IW; w += 2) {
        s0 += dy[w];
        s1 += dy[w + 1];
    }
    return IW % 2 ? s0 + s1 + dy[IW - 1] : s0 + s1;
}

/* part [splits][IB][KD*KH][OB*16 of x][KW][16], bias_part [splits][IB][16]. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
conv_transpose_taps16_weights(__global const float *x, __global const float16 *dy,
                              __global float16 *part, __global float16 *bias_part, int batch)
{
    const size_t s = get_global_id(0), splits = get_global_size(0), o = get_global_id(1);
    const size_t chunks = (OH + CHUNK - 1) / CHUNK, all = (size_t)batch * OD * chunks;
    float16 sum[KD * KH * TILES * CR * KW], bias = (float16)(0.0f);
    for (int i = 0; i < KD * KH * TILES * CR * KW; i++)
        sum[i] = (float16)(0.0f);

    for (size_t chunk = all * s / splits; chunk < all * (s + 1) / splits; chunk++) {
        const int h = (int)(chunk % chunks) * CHUNK, rows = min(CHUNK, OH - h);
        const size_t d = chunk / chunks % OD, n = chunk / chunks / OD;
        __global const float *from = x + ((n * OB * OD + d) * OH + h) * (size_t)(OW * 16);
        for (int t = 0; t < KD * KH; t++) {
            __global const float16 *g =
                dy + (((n * IB + o) * ID + d * KD + t / KH) * IH + h * KH + t % KH) * (size_t)IW;
            for (int i = 0; i < TILES; i++)
                chunk_products(sum + (t * TILES + i) * (CR * KW),
                               from + (size_t)(i * CR / 16) * (OD * OH * OW * 16) + i * CR % 16, g,
                               rows);
            for (int i = 0; i < rows; i++)
                bias += row_sum(g + i * (KH * IW));
        }
    }
    __global float16 *to = part + (s * IB + o) * (KD * KH * TILES * CR * KW);
    for (int i = 0; i < KD * KH * TILES * CR * KW; i++)
        to[i] = sum[i];
    bias_part[s * IB + o] = bias;
}

/* Grid: (CI, CO, TAPS).  The first items also add up the bias (db may be NULL). */
__kernel void taps16_collect(__global const float *part, __global const float *bias_part,
                             __global float *dw, __global float *db, int splits, int accumulate)
{
    const size_t o = get_global_id(0), i = get_global_id(1), k = get_global_id(2);
    const size_t row = o / 16 * (KD * KH) + k / KW;
    const size_t at = ((row * (OB * 16) + i) * KW + k % KW) * 16 + o % 16;
    __global float *to = dw + (i * CI + o) * TAPS + k;
    float sum = accumulate ? *to : 0.0f;
    for (int s = 0; s < splits; s++)
        sum += part[s * (size_t)(IB * OB * 256 * TAPS) + at];
    *to = sum;
    if (db && i == 0 && k == 0) {
        sum = accumulate ? db[o] : 0.0f;
        for (int s = 0; s < splits; s++)
            sum += bias_part[s * (IB * 16) + o];
        db[o] = sum;
    }
}
