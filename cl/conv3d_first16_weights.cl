/* conv3d_first16_weights.cl - the weights' gradient of a network's first convolution for CPUs: few
 * plain channels in, blocks of 16 out.
 *
 *   part[s][o,c,k] = sum over split s of the rows (n, od, oh):  dy[n,o,p] * x[n,c,p*S - P + k*L]  (=)
 *   bias_part[s][o] = sum over split s of dy[n,o,p]                                            (=)
 *
 * x [N][CI][ID][IH][IW], dy [N][OB][OD][OH][OW][16].  part has the packed order of
 * conv3d_pack16.cl with BI = 1; unpack16 adds the splits up, always in the same order.
 *
 * Grid: (splits, G), work-groups of ONE item.  A work-group keeps its rows of dy in the second-level
 * cache and passes over them once per (channel, kd, KT rows of taps); the sums of KT x KW taps and
 * Q blocks live in registers.  Per position: Q loads of dy, KT*KW broadcasts of x,
 * KT*KW*Q multiply-adds.
 *
 * Why this method, on CPUs: there are too few weights to share out, so positions are; and the taps of
 * a kernel row are neighbours in x, so that one short stretch of a row serves all of them. */
#pragma OPENCL FP_CONTRACT ON
#include "conv.h"

#ifndef G /* groups of Q blocks of output channels */
#error "give G"
#endif
#ifndef KT /* kernel rows of a register tile (1..KH) */
#define KT 1
#endif
#ifndef KU /* taps of a kernel row in a register tile (1..KW) */
#define KU KW
#endif
#ifndef Q /* blocks of 16 output channels of a register tile (1..4) */
#define Q 2
#endif
#if KT * KU * Q > 28
#error "KT * KU * Q accumulators must leave a few of 32 registers free"
#endif

#define SPAN ((OW - 1) * SW + (KU - 1) * LW + 1) /* voxels of a row that KU taps of OW outputs read */

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
conv3d_first16_weights(__global const float *x, __global const float16 *dy,
                       __global float16 *part, __global float16 *bias_part, int batch, int splits)
{
    const size_t s = get_global_id(0);
    const int g = (int)get_global_id(1);
    const size_t rows = (size_t)batch * OD * OH;
    const size_t begin = rows * s / splits, end = rows * (s + 1) / splits;

    size_t block[Q]; /* blocks past the last repeat it; unpack16 passes over them */
    for (int q = 0; q < Q; q++)
        block[q] = (size_t)min(g * Q + q, OB - 1);

    for (int q = 0; q < Q; q++) {
        float16 sum = (float16)(0.0f);
        for (size_t i = begin; i < end; i++) {
            __global const float16 *v =
                dy + ((i / (OD * OH) * OB + block[q]) * (OD * OH) + i % (OD * OH)) * OW;
            float16 row = (float16)(0.0f);
            for (int ow = 0; ow < OW; ow++)
                row += v[ow];
            sum += row;
        }
        bias_part[(s * G + g) * Q + q] = sum;
    }

    float row[KT][SPAN]; /* rows of x between zeros where they reach over the edge */
    for (int kw0 = 0; kw0 < KW; kw0 += KU) {
        for (int i = 0; i < KT * SPAN; i++)
            row[i / SPAN][i % SPAN] = 0.0f;
        for (int c = 0; c < CI; c++)
            for (int kd = 0; kd < KD; kd++)
                for (int kh0 = 0; kh0 < KH; kh0 += KT) {
                    float16 a[KT * KU * Q];
#pragma unroll
                    for (int i = 0; i < KT * KU * Q; i++)
                        a[i] = (float16)(0.0f);
                    const int first = kw0 * LW - PW;
                    const int low = first < 0 ? -first : 0; /* [low, high) lies inside x */
                    const int high = first + SPAN > IW ? IW - first : SPAN;

                    for (size_t i = begin; i < end; i++) {
                        const size_t n = i / (OD * OH);
                        const int od = (int)(i / OH % OD), oh = (int)(i % OH);
                        const int id = od * SD - PD + kd * LD;
                        if (id < 0 || id >= ID)
                            continue;
#pragma unroll
                        for (int kt = 0; kt < KT; kt++) {
                            const int ih = oh * SH - PH + (kh0 + kt) * LH;
                            __global const float *f =
                                x + ((n * CI + c) * ID + id) * (size_t)(IH * IW) + (ptrdiff_t)ih * IW +
                                first;
                            if (ih >= 0 && ih < IH)
                                for (int j = low; j < high; j++)
                                    row[kt][j] = f[j];
                            else
                                for (int j = low; j < high; j++)
                                    row[kt][j] = 0.0f;
                        }
                        __global const float16 *v[Q];
#pragma unroll
                        for (int q = 0; q < Q; q++)
                            v[q] = dy + ((n * OB + block[q]) * (OD * OH) + i % (OD * OH)) * OW;
                        for (int ow = 0; ow < OW; ow++) {
                            float16 u[Q];
#pragma unroll
                            for (int q = 0; q < Q; q++)
                                u[q] = v[q][ow];
#pragma unroll
                            for (int k = 0; k < KT * KU; k++) {
                                const float16 b =
                                    (float16)(row[k / KU][ow * SW + k % KU * LW]);
#pragma unroll
                                for (int q = 0; q < Q; q++)
                                    a[k * Q + q] = madd(b, u[q], a[k * Q + q]);
                            }
                        }
                    }

                    const size_t at = ((s * G + g) * CI + c) * KD + kd;
#pragma unroll
                    for (int k = 0; k < KT * KU; k++)
                        if (kh0 + k / KU < KH && kw0 + k % KU < KW)
#pragma unroll
                            for (int q = 0; q < Q; q++)
                                part[((at * KH + kh0 + k / KU) * KW + kw0 + k % KU) * Q + q] =
                                    a[k * Q + q];
                }    }
}
