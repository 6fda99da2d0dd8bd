/* conv3d_first16.cl - a network's first convolution for CPUs: few plain channels in, blocks of 16
 * out; forward and backward-data.
 *
 *   conv3d_first16       y[n,o,p]  = bias[o] + sum_{c,k} x[n,c,p*S - P + k*L] * w[o,c,k]   (=)
 *   conv3d_first16_data  dx[n,c,p] = sum_{o,k: (p + P - k*L) % S == 0}
 *                                    dy[n,o,(p + P - k*L)/S] * w[o,c,k]                    (=)
 *
 * x [N][CI][ID][IH][IW], y [N][OB][OD][OH][OW][16], w packed by conv3d_pack16.cl with BI = 1:
 * [G][CI][KD][KH][KW][Q][16].
 *
 * Grid: (OH, N*OD, G), work-groups of ONE item, one row of Q*16 output channels each: R positions
 * x Q float16 accumulators in registers as in conv3d_direct16.cl, the inner loop running over the
 * taps of a kernel row instead of over 16 input channels.
 *
 * Why this method, on CPUs: with one input channel a blocked input would be 15/16 zeros.  Large
 * kernels with large strides (11 x 11, stride 4) are where libraries fall back to something slow. */
#pragma OPENCL FP_CONTRACT ON
#include "conv.h"
#include "relu.h"

#ifndef G /* groups of Q blocks of output channels */
#error "give G"
#endif
#ifndef R /* positions of a register tile (1..28) */
#define R 14
#endif
#ifndef Q /* blocks of 16 output channels of a register tile (1..4) */
#define Q 2
#endif
#if R * Q > 28
#error "R * Q accumulators must leave a few of 32 registers free"
#endif
#ifndef UNROLL /* taps unrolled: longer code, fewer loop steps */
#define UNROLL 4
#endif

#define SPAN ((R - 1) * SW + (KW - 1) * LW + 1) /* voxels of a row that a tile reads */

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
conv3d_first16(__global const float *x, __global const float16 *w, __global const float16 *bias,
               __global float16 *y)
{
    const int oh = (int)get_global_id(0);
    const int od = (int)(get_global_id(1) % OD);
    const size_t n = get_global_id(1) / OD;
    const int g = (int)get_global_id(2);
    float row[SPAN]; /* the tile's voxels between zeros where it reaches over the edge */

    for (int ow0 = 0; ow0 < OW; ow0 += R) {
        const int first = ow0 * SW - PW;
        const int low = first < 0 ? -first : 0;
        const int high = first + SPAN > IW ? IW - first : SPAN;
        for (int i = 0; i < SPAN; i++)
            row[i] = 0.0f;
        float16 a[R * Q];
#pragma unroll
        for (int i = 0; i < R * Q; i++)
            a[i] = bias[g * Q + i % Q];

        for (int c = 0; c < CI; c++)
            for (int kd = 0; kd < KD; kd++) {
                const int id = REACH_INPUT(od, kd, SD, PD, LD, ID);
                if (id < 0)
                    continue;
                for (int kh = 0; kh < KH; kh++) {
                    const int ih = REACH_INPUT(oh, kh, SH, PH, LH, IH);
                    if (ih < 0)
                        continue;
                    __global const float *f =
                        x + (((n * CI + c) * ID + id) * IH + ih) * IW + first;
                    for (int i = low; i < high; i++)
                        row[i] = f[i];
                    __global const float16 *v =
                        w + (size_t)(((g * CI + c) * KD + kd) * KH + kh) * (KW * Q);
#pragma unroll UNROLL
                    for (int kw = 0; kw < KW; kw++) {
                        float16 u[Q];
#pragma unroll
                        for (int q = 0; q < Q; q++)
                            u[q] = v[kw * Q + q];
#pragma unroll
                        for (int r = 0; r < R; r++) {
                            const float16 b = (float16)(row[r * SW + kw * LW]);
#pragma unroll
                            for (int q = 0; q < Q; q++)
                                a[r * Q + q] = madd(b, u[q], a[r * Q + q]);
                        }
                    }
                }
            }

#pragma unroll
        for (int q = 0; q < Q; q++)
            if (g * Q + q < OB) {
                __global float16 *t =
                    y + (((n * OB + g * Q + q) * OD + od) * OH + oh) * OW + ow0;
#pragma unroll
                for (int r = 0; r < R; r++)
                    if (ow0 + r < OW)
                        t[r] = RELU_Y(a[r * Q + q]);
            }
    }
}

/* One item per voxel of x: grid (IW, IH, N*CI*ID), any work-group.  Rarely wanted (a first layer's
 * input has no use for a gradient), hence plain: 16 products at a time, one sum per voxel.  Items
 * beyond the row compute what nobody stores: with a return at the beginning, kernels of one tap stop
 * the compiler of PoCL 6.0 with LLVM 18 (its issue 1608). */
__kernel void conv3d_first16_data(__global const float16 *dy, __global const float16 *w,
                                  __global float *dx, __global const float *x)
{
    const int iw = (int)get_global_id(0), ih = (int)get_global_id(1);
    const size_t plane = get_global_id(2);
    const int id = (int)(plane % ID), c = (int)(plane / ID % CI);
    const size_t n = plane / ((size_t)ID * CI);
    float16 sum = (float16)(0.0f);
    for (int b = 0; b < OB; b++)
        for (int kd = FIRST_TAP(id, SD, PD, LD); kd < KD; kd += TAP_STEP(SD, LD)) {
            const int od = REACH_OUTPUT(id, kd, SD, PD, LD, OD);
            if (od < 0)
                continue;
            for (int kh = FIRST_TAP(ih, SH, PH, LH); kh < KH; kh += TAP_STEP(SH, LH)) {
                const int oh = REACH_OUTPUT(ih, kh, SH, PH, LH, OH);
                if (oh < 0)
                    continue;
                for (int kw = FIRST_TAP(iw, SW, PW, LW); kw < KW; kw += TAP_STEP(SW, LW)) {
                    const int ow = REACH_OUTPUT(iw, kw, SW, PW, LW, OW);
                    if (ow < 0)
                        continue;
                    const size_t tap =
                        ((((size_t)(b / Q) * CI + c) * KD + kd) * KH + kh) * KW + kw;
                    sum += dy[(((n * OB + b) * OD + od) * OH + oh) * OW + ow] * w[tap * Q + b % Q];
                }
            }
        }
    const float8 s8 = sum.lo + sum.hi;
    const float4 s4 = s8.lo + s8.hi;
    if (iw < IW && ih < IH) {
        const size_t at = (plane * IH + ih) * IW + iw;
        dx[at] = RELU_DX((s4.x + s4.y) + (s4.z + s4.w), x[at]);
    }
}
