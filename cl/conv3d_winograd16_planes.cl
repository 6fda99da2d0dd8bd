/* conv3d_winograd16_planes.cl - 3D convolution of stride 1 by Winograd's method, for CPUs, one
 * plane of points after the other: forward and backward-data, channels in blocks of 16.
 *
 * The formulas, tensors and transforms are those of conv3d_winograd16.cl; what differs is the
 * order. There a few tiles go through all points, and the transformed weights of all of them, which
 * for many channels are more than a cache holds (14 MB for 128 -> 128 and 6 points), are written
 * once and read again for every few tiles.  Here a plane of the points, those of one point along d,
 * is done for all tiles before the next one:
 *
 *     for each point p along d:
 *         V[h,w][tile][c] <- B^T (row p of B^T along d, of "from")
 *         for each Q blocks of output channels:
 *             U[h,w][c][o]    <- G (row p of G along d, of w)     just before it is used
 *             M[h,w][tile][o]  = V * U                            one matrix product per point
 *             to              += (column p of A^T along d) * A^T M
 *
 * so that all three stay in the second-level cache or near it, and no transformed weights in
 * memory. It pays where few tiles share the weights of many channels; where many tiles do, the
 * other order does, as "to" is not gone through again and again.
 *
 * Grid: (parts * shares), work-groups of ONE item: a part of the tiles and a share of the output
 * channels, with a slab each.  Every part transforms its weights, every share its inputs, again. */
#pragma OPENCL FP_CONTRACT ON
#include "relu.h"
#include "winograd16.h"

#ifndef ROUND /* tiles whose V is in the slab at a time: a multiple of R */
#define ROUND R
#endif
#ifndef T /* tiles whose M is: a multiple of R */
#define T R
#endif
#define POINTS (NH * NW) /* of a plane */
/* From a point to the next.  The odd line keeps the points of a tile from falling on few sets of
 * the caches. */
#define V_STEP (ROUND * FB | 1)
#define U_STEP (FC * Q | 1)
#define M_STEP (T * Q | 1)
#define SLAB   (POINTS * (V_STEP + U_STEP + M_STEP))

/* The matrices of the depth axis: rows of B^T and G, columns of A^T, of each point. */
typedef struct depth {
    float b[ND][ND], g[ND][KD], a[ND][MD];
} depth;

inline void depth_matrices(depth *m)
{
    for (int j = 0; j < ND; j++) {
        float16 e[WINO_MAX], v[WINO_MAX];
        for (int i = 0; i < ND; i++)
            e[i] = (float16)(i == j ? 1.0f : 0.0f);
        wino_input(e, v, ND);
        for (int i = 0; i < ND; i++)
            m->b[i][j] = v[i].s0;
        wino_output(e, v, ND, MD);
        for (int i = 0; i < MD; i++)
            m->a[j][i] = v[i].s0;
        if (j < KD) {
            wino_filter(e, v, ND, KD);
            for (int i = 0; i < ND; i++)
                m->g[i][j] = v[i].s0;
        }
    }
}

/* d[x] += c * f[x], x < NW; inside: all of f[0..NW) exists, else those with 0 <= fw + x < FW. */
inline void __attribute__((always_inline))
add_row(float16 *d, float c, __global const float16 *f, int fw, bool inside)
{
    if (inside) {
#pragma unroll
        for (int x = 0; x < NW; x++)
            d[x] = madd((float16)(c), f[x], d[x]);
        return;
    }
#pragma unroll
    for (int x = 0; x < NW; x++)
        if (fw + x >= 0 && fw + x < FW)
            d[x] = madd((float16)(c), f[x], d[x]);
}

/* One tile and block of channels into V of the plane whose row of B^T is b.  from: the block of the
 * tile's sample.  What lies outside it is zero. */
inline void __attribute__((always_inline))
input_tile(__global const float16 *from, place at, const float *b, __global float16 *to)
{
    const int fd = at.d - LEAD(KD, PD), fh = at.h - LEAD(KH, PH), fw = at.w - LEAD(KW, PW);
    const bool inside = fw >= 0 && fw + NW <= FW;
    float16 a[POINTS];
    for (int y = 0; y < NH; y++) {
        float16 d[NW], v[NW];
#pragma unroll
        for (int x = 0; x < NW; x++)
            d[x] = (float16)(0.0f);
        for (int z = 0; z < ND && fh + y >= 0 && fh + y < FH; z++)
            if (b[z] != 0.0f && fd + z >= 0 && fd + z < FD)
                add_row(d, b[z], from + ((fd + z) * FH + fh + y) * FW + fw, fw, inside);
        wino_input(d, v, NW);
        SCATTER(a + y * NW, v, 1, NW);
    }
    for (int x = 0; x < NW; x++) {
        float16 d[NH], v[NH];
        GATHER(d, a + x, NW, NH);
        wino_input(d, v, NH);
        SCATTER(to + x * V_STEP, v, NW * V_STEP, NH);
    }
}

/* The kernels from channel c to a block of sixteen into U of the plane whose row of G is g.  w:
 * their packed weights, [TAPS]. */
inline void __attribute__((always_inline))
filter(__global const float16 *w, const float *g, __global float16 *to)
{
    float16 a[KH * NW];
    for (int h = 0; h < KH; h++) {
        float16 d[KW], v[NW];
#pragma unroll
        for (int x = 0; x < KW; x++)
            d[x] = (float16)(0.0f);
        for (int z = 0; z < KD; z++) {
            if (g[z] == 0.0f)
                continue;
#pragma unroll
            for (int x = 0; x < KW; x++) {
                const int tap = (z * KH + h) * KW + x;
                d[x] = madd((float16)(g[z]), w[FLIP(tap)], d[x]);
            }
        }
        wino_filter(d, v, NW, KW);
        SCATTER(a + h * NW, v, 1, NW);
    }
    for (int x = 0; x < NW; x++) {
        float16 d[KH], v[NH];
        GATHER(d, a + x, NW, KH);
        wino_filter(d, v, NH, KH);
        SCATTER(to + x * U_STEP, v, NW * U_STEP, NH);
    }
}

/* What a plane adds to one tile and block of channels, out of M.  a: the plane's column of A^T;
 * first, last: of the planes.  to: the block of the tile's sample.  x: likewise, the layer's input,
 * for a relu before it (relu.h). */
inline void __attribute__((always_inline))
output_tile(__global const float16 *from, float16 bias, place at, const float *a, bool first,
            bool last, __global float16 *to, __global const float16 *x)
{
    float16 r[NW * MH];
    for (int w = 0; w < NW; w++) {
        float16 v[NH], y[NH];
        GATHER(v, from + w * M_STEP, NW * M_STEP, NH);
        wino_output(v, y, NH, MH);
        SCATTER(r + w, y, NW, MH);
    }
    for (int h = 0; h < MH && at.h + h < TH; h++) {
        float16 v[NW], y[NW];
        GATHER(v, r + h * NW, 1, NW);
        wino_output(v, y, NW, MW);
        for (int d = 0; d < MD && at.d + d < TD; d++) {
            if (a[d] == 0.0f && !first && !last)
                continue;
            const int row = ((at.d + d) * TH + at.h + h) * TW + at.w;
#pragma unroll
            for (int w = 0; w < MW; w++)
                if (at.w + w < TW) {
                    const float16 before = first ? bias : to[row + w];
                    const float16 sum = madd((float16)(a[d]), y[w], before);
#ifdef RELU_IN
                    to[row + w] = last ? RELU_DX(sum, x[row + w]) : sum;
#else
                    to[row + w] = last ? RELU_Y(sum) : sum;
#endif
                }
        }
    }
}

/* w, bias: from pack16, [TB rounded up to Q][FC][TAPS][16] and [TB rounded up to Q][16].  x: for a
 * relu before this layer, else a null pointer.  slab: SLAB for each group. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
conv3d_winograd16_planes(__global const float16 *from, __global const float16 *w,
                         __global const float16 *bias, __global float16 *to,
                         __global const float16 *x, __global float16 *slab, int samples, int shares)
{
    const size_t tiles = (size_t)samples * (TILESD * TILESH * TILESW), rounds = (tiles + R - 1) / R;
    const size_t share = get_global_id(0) % shares, part = get_global_id(0) / shares,
                 parts = get_global_size(0) / shares;
    const size_t end = min(rounds * (part + 1) / parts * R, tiles);
    const int groups = (TB + Q - 1) / Q;
    __global float16 *v = slab + get_global_id(0) * SLAB, *u = v + POINTS * V_STEP,
                     *m = u + POINTS * U_STEP;
    depth matrix;
    depth_matrices(&matrix);

    for (size_t start = rounds * part / parts * R; start < end; start += ROUND) {
        const int count = start + ROUND > end ? (int)(end - start) : ROUND;
        for (int p = 0; p < ND; p++) {
            for (int i = 0; i < count; i++) {
                const place at = place_of(start + i);
                for (int b = 0; b < FB; b++)
                    input_tile(from + (at.n * FB + b) * (FD * FH * FW), at, matrix.b[p],
                               v + i * FB + b);
            }
            for (int g = groups * share / shares; g < (int)(groups * (share + 1) / shares); g++) {
                for (int c = 0; c < FC; c++)
                    for (int q = 0; q < Q; q++)
                        filter(w + ((size_t)(g * Q + q) * FC + c) * TAPS, matrix.g[p],
                               u + c * Q + q);
                for (int t = 0; t < count; t += T) {
                    const int some = min(T, count - t);
                    for (int k = 0; k < POINTS; k++)
                        for (int i = 0; i < some; i += R)
                            multiply((__global const float *)(v + k * V_STEP + (t + i) * FB),
                                     u + k * U_STEP, m + k * M_STEP + i * Q);
                    for (int i = 0; i < some; i++) {
                        const place at = place_of(start + t + i);
                        for (int q = 0; q < Q && g * Q + q < TB; q++) {
                            const size_t block = (at.n * TB + g * Q + q) * (TD * TH * TW);
                            output_tile(m + i * Q + q, bias[g * Q + q], at, matrix.a[p], p == 0,
                                        p == ND - 1, to + block, x + block);
                        }
                    }
                }
            }
        }
    }
}
