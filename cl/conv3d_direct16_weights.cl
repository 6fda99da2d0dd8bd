/* conv3d_direct16_weights.cl - the weights' gradient of a 3D convolution for CPUs, channels in
 * blocks of 16.
 *
 *   part[s][o,c,k] = sum over split s of (n, od):  dy[n,o,p] * x[n,c,p*S - P + k*L]      (=)
 *   bias_part[s][o] = sum over split s of dy[n,o,p]                                      (=)
 *
 * x [N][IB][ID][IH][IW][16], dy [N][OB][OD][OH][OW][16].  part has the packed order of
 * conv3d_pack16.cl with BI = CR; unpack16 adds the splits up, always in the same order.
 *
 * Grid: (KD*KH, NB*16/CR, G*splits), work-groups of ONE item: CR input channels, Q blocks of 16
 * output channels, one row of taps; CR*Q float16 accumulators in registers.  Per position: Q loads
 * of dy, CR broadcasts of x, CR*Q multiply-adds.
 *
 * Why this method, on CPUs: no column buffer, no transposes, no atomics.  A few rows of x and dy
 * (CHUNK) stay in the first-level cache while the taps of the row pass over them.  Sums are taken
 * per chunk first: in long volumes a single running sum would lose digits. */
#pragma OPENCL FP_CONTRACT ON
#include "conv.h"

#ifndef G /* groups of Q blocks of output channels */
#error "give G"
#endif
#ifndef CR /* input channels of a register tile (1, 2, 4, 8, 16) */
#define CR 8
#endif
#ifndef Q /* blocks of 16 output channels of a register tile (1..4) */
#define Q 2
#endif
#if CR * Q > 28 || 16 % CR != 0
#error "CR divides 16, and CR * Q accumulators leave a few of 32 registers free"
#endif
#ifndef CHUNK /* rows of dy summed at a time (1..OH) */
#define CHUNK 8
#endif

#ifndef NB /* blocks of x that Q blocks of dy meet at most; fewer than all with groups */
#define NB IB
#endif

/* The first of them for tile g of Q blocks of dy. */
inline int first_block(int g)
{
    return GROUPS == 1 ? 0 : g * (Q * 16) / (CO / GROUPS) * (CI / GROUPS) / 16;
}

/* ceil(a / b) for b > 0 and any a */
inline int ceil_div(int a, int b)
{
    return a > 0 ? (a + b - 1) / b : -(-a / b);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
conv3d_direct16_weights(__global const float *x, __global const float16 *dy,
                        __global float16 *part, __global float16 *bias_part, int batch, int splits)
{
    const int kd = (int)get_global_id(0) / KH, kh = (int)get_global_id(0) % KH;
    const int g = (int)get_global_id(2) % G, s = (int)get_global_id(2) / G;
    const int from_first = (int)get_global_id(1) * CR, c = first_block(g) * 16 + from_first;
    if (c >= IB * 16)
        return;
    const size_t planes = (size_t)batch * OD;
    const size_t begin = planes * s / splits, end = planes * (s + 1) / splits;
    const bool with_bias = kd == 0 && kh == 0 && from_first == 0;

    size_t block[Q]; /* blocks past the last repeat it; unpack16 passes over them */
    float16 sum[KW][CR * Q], bias[Q];
    for (int q = 0; q < Q; q++) {
        block[q] = (size_t)min(g * Q + q, OB - 1);
        bias[q] = (float16)(0.0f);
    }
    for (int kw = 0; kw < KW; kw++)
        for (int i = 0; i < CR * Q; i++)
            sum[kw][i] = (float16)(0.0f);

    /* rows of dy whose tap kh lies inside x */
    const int oh_low = max(0, ceil_div(PH - kh * LH, SH));
    const int oh_high = min(OH, ceil_div(IH + PH - kh * LH, SH));

    for (size_t plane = begin; plane < end; plane++) {
        const size_t n = plane / OD;
        const int od = (int)(plane % OD), id = od * SD - PD + kd * LD;
        if (with_bias)
            for (int q = 0; q < Q; q++) {
                __global const float16 *v = dy + ((n * OB + block[q]) * OD + od) * (OH * OW);
                for (int h = 0; h < OH; h++) {
                    float16 row = (float16)(0.0f);
                    for (int w = 0; w < OW; w++)
                        row += v[h * OW + w];
                    bias[q] += row;
                }
            }
        if (id < 0 || id >= ID)
            continue;
        __global const float *xp =
            x + ((n * IB + c / 16) * ID + id) * (size_t)(IH * IW * 16) + c % 16;
        for (int oh0 = oh_low; oh0 < oh_high; oh0 += CHUNK)
            for (int kw = 0; kw < KW; kw++) {
                const int low = max(0, ceil_div(PW - kw * LW, SW));
                const int high = min(OW, ceil_div(IW + PW - kw * LW, SW));
                const int last = min(oh0 + CHUNK, oh_high);
                float16 a[CR * Q];
#pragma unroll
                for (int i = 0; i < CR * Q; i++)
                    a[i] = (float16)(0.0f);
                for (int oh = oh0; oh < last; oh++) {
                    const int ih = oh * SH - PH + kh * LH;
                    __global const float *xr =
                        xp + ((size_t)ih * IW + low * SW - PW + kw * LW) * 16;
                    __global const float16 *dr[Q];
#pragma unroll
                    for (int q = 0; q < Q; q++)
                        dr[q] = dy + (((n * OB + block[q]) * OD + od) * OH + oh) * OW;
                    for (int w = low; w < high; w++, xr += SW * 16) {
                        float16 v[Q];
#pragma unroll
                        for (int q = 0; q < Q; q++)
                            v[q] = dr[q][w];
#pragma unroll
                        for (int i = 0; i < CR; i++) {
                            const float16 b = (float16)(xr[i]);
#pragma unroll
                            for (int q = 0; q < Q; q++)
                                a[i * Q + q] = madd(b, v[q], a[i * Q + q]);
                        }
                    }
                }
#pragma unroll
                for (int i = 0; i < CR * Q; i++)
                    sum[kw][i] += a[i];
            }
    }

    const size_t at = (((size_t)s * G + g) * (NB * 16 / CR) + from_first / CR) * (KD * KH) + kd * KH + kh;
    for (int kw = 0; kw < KW; kw++)
        for (int i = 0; i < CR * Q; i++)
            part[(at * KW + kw) * (CR * Q) + i] = sum[kw][i];
    if (with_bias)
        for (int q = 0; q < Q; q++)
            bias_part[((size_t)s * G + g) * Q + q] = bias[q];
}
