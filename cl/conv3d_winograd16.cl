/* conv3d_winograd16.cl - 3D convolution of stride 1 by Winograd's method, for CPUs, channels in
 * blocks of 16: forward and backward-data.
 *
 *   forward     y[n,o,p]  = bias[o] + sum_{c,k} x[n,c,p - P + k] * w[o,c,k]          (=)
 *   BACKWARD    dx[n,c,p] = sum_{o,k} dy[n,o,p + P - k] * w[o,c,k]                   (=)
 *
 * Backward is a forward convolution too, of dy with the kernel reversed and pad K - 1 - P.  A
 * tensor "from" [N][FB][FD][FH][FW][16] is gathered into "to" [N][TB][TD][TH][TW][16]; channels
 * past the last are zeros and stay so, because their weights are.
 *
 * The output is cut into tiles of MD x MH x MW, each made from ND x NH x NW inputs (N = M + K - 1):
 *
 *     from --B^T--> V[point][tile][c]     U[point][c][o] <--G-- w
 *                             \            /
 *                     M[point][tile][o] = V * U       one matrix product per point
 *                                 |
 *                                A^T --> to           winograd.h says what B, G and A are
 *
 * Multiplications for one output and pair of channels: N/M along each axis instead of K: 3.4
 * instead of 27 for a kernel of 3x3x3 with 6 points.  The transforms cost some 20 operations for
 * each input and output, whatever the number of channels they then serve.
 *
 * Grid: (groups), work-groups of ONE item, each with a part of the tiles, T at a time: V and M
 * of T tiles lie in a slab of its own that stays in the second-level cache.  The products are the
 * direct method's inner loop: R tiles x Q blocks of output channels in registers, a vector of U
 * serves R of them, a broadcast number of V serves Q. */
#pragma OPENCL FP_CONTRACT ON
#include "relu.h"
#include "winograd16.h"

#ifndef T /* tiles in the slab at a time: a multiple of R */
#define T R
#endif
#define POINTS (ND * NH * NW)
/* From a point to the next.  The odd line keeps the points of a tile from falling on few sets of
 * the caches. */
#define V_STEP (T * FB + 1)
#define M_STEP (T * Q + 1)
#define SLAB   (POINTS * (V_STEP + M_STEP))

/* u: U of [TB rounded up to Q / Q][POINTS][FC][Q].  packed_bias: [TB rounded up to Q][16], zeros
 * past the last and for a bias that is a null pointer.  Grid: (blocks of "to" rounded up to Q, FC),
 * one item each: it transforms the kernels from one channel to sixteen. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
winograd16_filter(__global const float *w, __global const float *bias, __global float16 *u,
                  __global float *packed_bias)
{
    const int block = (int)get_global_id(0), c = (int)get_global_id(1);
    float16 a[POINTS], g[WINO_MAX], v[WINO_MAX];
    for (int o = block * 16; o < block * 16 + 16 && c == 0; o++)
        packed_bias[o] = bias && o < TC ? bias[o] : 0.0f;
    for (int lane = 0; lane < 16; lane++) {
        const int o = block * 16 + lane;
        __global const float *from = w + (size_t)o * OUT_STEP + (size_t)c * IN_STEP;
        for (int d = 0; d < KD; d++)
            for (int h = 0; h < KH; h++)
                for (int x = 0; x < KW; x++) {
                    const int tap = (d * KH + h) * KW + x;
                    ((float *)a)[((d * NH + h) * NW + x) * 16 + lane] =
                        o < TC ? from[FLIP(tap)] : 0.0f;
                }
    }
    for (int d = 0; d < KD; d++) {
        for (int h = 0; h < KH; h++) {
            float16 *row = a + (d * NH + h) * NW;
            GATHER(g, row, 1, KW);
            wino_filter(g, v, NW, KW);
            SCATTER(row, v, 1, NW);
        }
        for (int x = 0; x < NW; x++) {
            float16 *column = a + d * NH * NW + x;
            GATHER(g, column, NW, KH);
            wino_filter(g, v, NH, KH);
            SCATTER(column, v, NW, NH);
        }
    }
    for (int i = 0; i < NH * NW; i++) {
        __global float16 *to = u + (((size_t)(block / Q) * POINTS + i) * FC + c) * Q + block % Q;
        GATHER(g, a + i, NH * NW, KD);
        wino_filter(g, v, ND, KD);
        SCATTER(to, v, (size_t)NH * NW * FC * Q, ND);
    }
}

/* One tile and block of channels into V.  from: the block of the tile's sample.  What lies outside
 * it is zero. */
inline void __attribute__((always_inline))
input_tile(__global const float16 *from, place at, __global float16 *to)
{
    const int fd = at.d - LEAD(KD, PD), fh = at.h - LEAD(KH, PH), fw = at.w - LEAD(KW, PW);
    const bool inside = fw >= 0 && fw + NW <= FW;
    float16 a[POINTS], d[WINO_MAX], v[WINO_MAX];
    for (int z = 0; z < ND; z++) {
        for (int y = 0; y < NH; y++) {
            float16 *row = a + (z * NH + y) * NW;
            if (fd + z < 0 || fd + z >= FD || fh + y < 0 || fh + y >= FH) {
                for (int x = 0; x < NW; x++)
                    row[x] = (float16)(0.0f);
                continue;
            }
            __global const float16 *f = from + ((fd + z) * FH + fh + y) * FW;
            if (inside) {
                GATHER(d, f + fw, 1, NW);
            } else {
#pragma unroll
                for (int x = 0; x < NW; x++)
                    d[x] = fw + x >= 0 && fw + x < FW ? f[fw + x] : (float16)(0.0f);
            }
            wino_input(d, v, NW);
            SCATTER(row, v, 1, NW);
        }
        for (int x = 0; x < NW; x++) {
            float16 *column = a + z * NH * NW + x;
            GATHER(d, column, NW, NH);
            wino_input(d, v, NH);
            SCATTER(column, v, NW, NH);
        }
    }
    for (int i = 0; i < NH * NW; i++) {
        GATHER(d, a + i, NH * NW, ND);
        wino_input(d, v, ND);
        SCATTER(to + i * V_STEP, v, NH * NW * V_STEP, ND);
    }
}

/* One tile and block of channels out of M.  to: the block of the tile's sample.  x: likewise, the
 * layer's input, for a relu before it (relu.h). */
inline void __attribute__((always_inline))
output_tile(__global const float16 *from, float16 bias, place at, __global float16 *to,
            __global const float16 *x)
{
    float16 a[MD * NH * NW], v[WINO_MAX], y[WINO_MAX];
    for (int i = 0; i < NH * NW; i++) {
        GATHER(v, from + i * M_STEP, NH * NW * M_STEP, ND);
        wino_output(v, y, ND, MD);
        SCATTER(a + i, y, NH * NW, MD);
    }
    for (int d = 0; d < MD && at.d + d < TD; d++) {
        for (int w = 0; w < NW; w++) {
            float16 *column = a + d * NH * NW + w;
            GATHER(v, column, NW, NH);
            wino_output(v, y, NH, MH);
            SCATTER(column, y, NW, MH);
        }
        for (int h = 0; h < MH && at.h + h < TH; h++) {
            const int row = ((at.d + d) * TH + at.h + h) * TW + at.w;
            GATHER(v, a + (d * NH + h) * NW, 1, NW);
            wino_output(v, y, NW, MW);
#pragma unroll
            for (int w = 0; w < MW; w++)
                if (at.w + w < TW) {
                    const float16 sum = y[w] + bias;
#ifdef RELU_IN
                    to[row + w] = RELU_DX(sum, x[row + w]);
#else
                    to[row + w] = RELU_Y(sum);
#endif
                }
        }
    }
}

/* u, bias: from winograd16_filter.  x: for a relu before this layer, else a null pointer.  slab:
 * SLAB for each group. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
conv3d_winograd16(__global const float16 *from, __global const float16 *u,
                  __global const float16 *bias, __global float16 *to, __global const float16 *x,
                  __global float16 *slab, int samples)
{
    const size_t tiles = (size_t)samples * (TILESD * TILESH * TILESW), chunks = (tiles + T - 1) / T;
    const size_t group = get_global_id(0), groups = get_global_size(0);
    __global float16 *v = slab + group * SLAB, *m = v + POINTS * V_STEP;

    for (size_t chunk = chunks * group / groups; chunk < chunks * (group + 1) / groups; chunk++) {
        const size_t first = chunk * T;
        const int count = first + T > tiles ? (int)(tiles - first) : T;
        for (int i = 0; i < count; i++) {
            const place at = place_of(first + i);
            for (int b = 0; b < FB; b++)
                input_tile(from + (at.n * FB + b) * (FD * FH * FW), at, v + i * FB + b);
        }
        for (int g = 0; g < (TB + Q - 1) / Q; g++) {
            for (int p = 0; p < POINTS; p++)
                for (int i = 0; i < count; i += R)
                    multiply((__global const float *)(v + p * V_STEP + i * FB),
                             u + ((size_t)g * POINTS + p) * (FC * Q), m + p * M_STEP + i * Q);
            for (int i = 0; i < count; i++) {
                const place at = place_of(first + i);
                for (int q = 0; q < Q && g * Q + q < TB; q++) {
                    const size_t block = (at.n * TB + g * Q + q) * (TD * TH * TW);
                    output_tile(m + i * Q + q, bias[g * Q + q], at, to + block, x + block);
                }
            }
        }
    }
}
