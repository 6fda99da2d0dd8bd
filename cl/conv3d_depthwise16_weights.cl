/* conv3d_depthwise16_weights.cl - the weights' gradient of a depthwise 3D convolution for CPUs,
 * channels in blocks of 16.  Every input channel has M = CO/CI outputs of its own.
 *
 *   part[s][c*M+j,k] = sum over split s of the rows (n, od, oh):
 *                          dy[n,c*M+j,p] * x[n,c,p*S - P + k*L]                              (=)
 *   bias_part[s][o] = sum over split s of dy[n,o,p]                                          (=)
 *
 * x [N][IB][ID][IH][IW][16], dy [N][OB][OD][OH][OW][16].  part [splits][OB][KD][KH][KW][16]:
 * unpack16 of conv3d_pack16.cl adds the splits up, always in the same order.
 *
 * Grid: (splits, IB*M), work-groups of ONE item: outputs j of 16 input channels.  CHUNK rows of dy
 * stay in the first-level cache while all taps pass over them; for one row of taps, sums of KU
 * taps x A live in registers, A being enough independent sums to hide the latency of the
 * multiply-add where a kernel row is short.  For U positions: U loads of dy and, each shared
 * by the taps that meet it, about U*SW of x, for KU*U multiply-adds.
 *
 * Why this method, on CPUs: see conv3d_depthwise16.cl.  With M > 1 the lanes of dy are first put in
 * the order of x's, once per row and not once per tap. */
#pragma OPENCL FP_CONTRACT ON
#include "conv.h"

#define M (CO / CI) /* outputs of each input channel */
#if GROUPS != CI || CO % CI != 0
#error "depthwise: one group for each input channel"
#endif
#ifndef CHUNK /* rows of dy summed at a time (1..OH) */
#define CHUNK 1
#endif
#ifndef KU /* taps of a kernel row in a register tile (1..KW) */
#define KU KW
#endif
#ifndef U /* positions of a register tile */
#define U 4
#endif
#ifndef A /* sums of a tap (1..U) */
#define A 4
#endif
#if KU * A > 24
#error "KU * A sums must leave a few of 32 registers free"
#endif

#define SPAN ((U - 1) * SW + (KU - 1) * LW + 1) /* positions along W of x that a tile reads */

/* ceil(a / b) for b > 0 and any a */
inline int ceil_div(int a, int b)
{
    return a > 0 ? (a + b - 1) / b : -(-a / b);
}

#if M == 1
#define ROWS __global /* where the rows of dy are read from */
#else
#define ROWS __private
#endif

/* a[KU][A] += U positions; of x only [low, high), of dy only [0, count) lie inside (whole: all). */
inline void __attribute__((always_inline))
multiply_add(float16 *a, __global const float16 *x, ROWS const float16 *dy, int low, int high,
             int count, const bool whole)
{
    float16 f[SPAN], g[U];
#pragma unroll
    for (int i = 0; i < SPAN; i++)
        f[i] = whole || (i >= low && i < high) ? x[i] : (float16)(0.0f);
#pragma unroll
    for (int i = 0; i < U; i++)
        g[i] = whole || i < count ? dy[i] : (float16)(0.0f);
#pragma unroll
    for (int k = 0; k < KU; k++)
#pragma unroll
        for (int i = 0; i < U; i++)
            a[k * A + i % A] = madd(f[i * SW + k * LW], g[i], a[k * A + i % A]);
}

/* sum[KU] += the rows [low, high) of dy, from `dy` on, by taps kw, kw + 1, ... of one kernel row.
 * x: the row that row `low` of dy meets; the next one is SH further. */
inline void __attribute__((always_inline))
sum_rows(float16 *sum, __global const float16 *x, ROWS const float16 *dy, int low, int high, int kw)
{
    float16 a[KU * A];
#pragma unroll
    for (int i = 0; i < KU * A; i++)
        a[i] = (float16)(0.0f);
    for (int oh = low; oh < high; oh++, x += SH * IW, dy += OW)
        for (int ow = 0; ow < OW; ow += U) {
            const int first = ow * SW - PW + kw * LW;
            const int left = first < 0 ? -first : 0, right = min(SPAN, IW - first);
            if (left == 0 && right == SPAN && ow + U <= OW)
                multiply_add(a, x + first, dy + ow, left, right, U, true);
            else
                multiply_add(a, x + first, dy + ow, left, right, OW - ow, false);
        }
#pragma unroll
    for (int k = 0; k < KU; k++) {
        float16 total = a[k * A];
#pragma unroll
        for (int i = 1; i < A; i++)
            total += a[k * A + i];
        sum[k] += total;
    }
}

#define TAPS ((KW + KU - 1) / KU * KU) /* room for those of a kernel row */

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
conv3d_depthwise16_weights(__global const float16 *x, __global const float16 *dy,
                           __global float *part, __global float *bias_part, int batch, int splits)
{
    const int s = (int)get_global_id(0);
    const int b = (int)get_global_id(1) / M, j = (int)get_global_id(1) % M;
    const size_t rows = (size_t)batch * OD * OH;
    const size_t begin = rows * s / splits, end = rows * (s + 1) / splits;
    float16 sum[KD * KH][TAPS], bias = (float16)(0.0f);
    for (int i = 0; i < KD * KH * TAPS; i++)
        sum[i / TAPS][i % TAPS] = (float16)(0.0f);

    for (size_t row = begin, next; row < end; row = next) {
        const size_t n = row / (OD * OH);
        const int od = (int)(row / OH % OD), oh0 = (int)(row % OH);
        const int oh1 = (int)min((size_t)min(oh0 + CHUNK, OH), oh0 + (end - row));
        next = row + (oh1 - oh0);
#if M == 1
        __global const float16 *g = dy + ((n * OB + b) * OD + od) * (OH * OW) + oh0 * OW;
#else
        float16 g[CHUNK * OW];
        __global const float *v = (__global const float *)(dy + n * OB * (size_t)(OD * OH * OW) +
                                                           (od * OH + oh0) * OW);
        for (int c = 0; c < 16; c++) {
            const int o = (b * 16 + c) * M + j;
            for (int i = 0; i < (oh1 - oh0) * OW; i++)
                ((float *)g)[i * 16 + c] =
                    o < CO ? v[((size_t)(o / 16) * (OD * OH * OW) + i) * 16 + o % 16] : 0.0f;
        }
#endif
        float16 total = (float16)(0.0f);
        for (int i = 0; i < (oh1 - oh0) * OW; i++)
            total += g[i];
        bias += total;

        for (int kd = 0; kd < KD; kd++) {
            const int id = od * SD - PD + kd * LD;
            if (id < 0 || id >= ID)
                continue;
            __global const float16 *f = x + ((n * IB + b) * ID + id) * (IH * IW);
            for (int kh = 0; kh < KH; kh++) {
                const int low = max(oh0, ceil_div(PH - kh * LH, SH));
                const int high = min(oh1, ceil_div(IH + PH - kh * LH, SH));
                if (low < high)
                    for (int kw = 0; kw < KW; kw += KU)
                        sum_rows(sum[kd * KH + kh] + kw, f + (low * SH - PH + kh * LH) * IW,
                                 g + (low - oh0) * OW, low, high, kw);
            }
        }
    }

    for (int c = 0; c < 16; c++) {
        const int o = (b * 16 + c) * M + j;
        if (o >= OB * 16)
            break;
        for (int k = 0; k < KD * KH * KW; k++)
            part[(((size_t)s * OB + o / 16) * (KD * KH * KW) + k) * 16 + o % 16] =
                ((const float *)&sum[k / KW][k % KW])[c];
        bias_part[(size_t)s * (OB * 16) + o] = ((const float *)&bias)[c];
    }
}
