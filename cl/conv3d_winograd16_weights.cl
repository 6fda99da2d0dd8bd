/* conv3d_winograd16_weights.cl - the weights' gradient of a 3D convolution for CPUs by Winograd's
 * method in h and w (depth by definition), channels in blocks of 16.
 *
 *   dw[o,c,k] = (or +=) sum over n, p of  dy[n,o,p] * x[n,c,p - P + k]      stride 1, dilation 1 in h, w
 *
 * In a plane, dy is cut into tiles of MH x MW.  A tile and the window of x that its taps reach, of
 * NH x NW voxels (N = M + K - 1), make KH x KW numbers of dw.  winograd.h turns that into NH x NW
 * products at points; as what follows them is linear, it is done once, after the sum over all tiles:
 *
 *   spread_x    V[plane of x][p][tile][c]  = B^T x B of the window
 *   spread_dy   Y[plane of dy][p][tile][o] = A dy A^T of the tile
 *   multiply    U[kd][p][c][o] (+)= sum over planes od and tiles of  V[id(od, kd)][p] * Y[od][p]
 *   collect     dw[o,c,kd] = (or +=) G^T U G
 *
 * multiply is NH*NW*KD matrix products: for 3x3 taps and 6 points, 36 multiplications where the
 * definition has 144.  The host chooses the points.
 *
 * V and Y are a few times as large as x and dy, so the host goes over the layer in pieces that stay
 * in a cache: some samples x a strip of rows of tiles x some planes.  V is a ring of RING planes a
 * sample, so that planes which the depth taps of two pieces need are made once.  A plane is
 * [block][p][tile][16] with STRIDE tiles from p to p, an odd number, or all p would fall into the
 * same few sets of a cache.
 *
 * Grid: work-groups of ONE item, each with a row of tiles of 16 channels (spread_x, spread_dy); a
 * point, a kd and 16 x 16 channels (multiply: 16 float16 accumulators, each number of V is
 * broadcast); 16 outputs and a channel (collect).  The order of all sums is fixed. */
#pragma OPENCL FP_CONTRACT ON
#include "conv.h"
#include "winograd.h"

#if !defined(NH) || !defined(NW) /* points along h and w (1..8) */
#error "give NH and NW"
#endif
#if !defined(RING) || !defined(STRIP) || !defined(SPLITS)
#error "give RING (planes of V a sample), STRIP (rows of tiles at a time), SPLITS (of the planes)"
#endif
#if SH != 1 || SW != 1 || LH != 1 || LW != 1 || GROUPS != 1
#error "stride and dilation 1 in h and w, one group"
#endif

#define MH     (NH - KH + 1) /* a tile of dy */
#define MW     (NW - KW + 1)
#define COLS   ((OW + MW - 1) / MW) /* tiles in a row */
#define STRIDE (STRIP * COLS | 1)
#define POINTS (NH * NW)
#ifndef SPAN /* tiles whose columns are transformed together */
#define SPAN 4
#endif

/* By value, like madd in conv.h and for the same reason. */
WINO_INLINE float16 voxel(__global const float16 *v, bool inside)
{
    return inside ? *v : (float16)(0.0f);
}

WINO_INLINE void along(const float16 *d, float16 *v, int points, int tile, bool is_x)
{
    if (is_x)
        wino_input(d, v, points);
    else
        wino_values(d, v, points, tile);
}

/* One row of tiles of one plane and block to the points: of x (windows of NH x NW, `left` columns of
 * padding before the first) or of dy (tiles of MH x MW).  The first row is `top`; what lies outside
 * the plane of height x width is zero.  Along h first, as neighbouring windows share columns. */
WINO_INLINE void spread_row(__global const float16 *from, int height, int width, int top, int left,
                            bool is_x, __global float16 *to)
{
    const int rows = is_x ? NH : MH, columns = is_x ? NW : MW;
    for (int t0 = 0; t0 < COLS; t0 += SPAN) {
        float16 column[(SPAN - 1) * MW + NW][NH];
        for (int i = 0; i < (SPAN - 1) * MW + columns; i++) {
            const int w = t0 * MW - left + i;
            float16 d[NH];
#pragma unroll
            for (int j = 0; j < rows; j++)
                d[j] = voxel(from + (top + j) * width + w,
                             w >= 0 && w < width && top + j >= 0 && top + j < height);
            along(d, column[i], NH, MH, is_x);
        }
        for (int t = t0; t < t0 + SPAN && t < COLS; t++)
            for (int p = 0; p < NH; p++) {
                float16 d[NW], v[NW];
#pragma unroll
                for (int j = 0; j < columns; j++)
                    d[j] = column[(t - t0) * MW + j][p];
                along(d, v, NW, MW, is_x);
#pragma unroll
                for (int j = 0; j < NW; j++)
                    to[(p * NW + j) * STRIDE + t] = v[j];
            }
    }
}

/* Grid: (rows of tiles, planes, samples * IB).  x's samples from `sample` on, planes from `plane`
 * on. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
spread_x(__global const float16 *x, __global float16 *v, int sample, int plane, int row)
{
    const int r = (int)get_global_id(0), id = plane + (int)get_global_id(1);
    const int n = (int)get_global_id(2) / IB, b = (int)get_global_id(2) % IB;
    spread_row(x + (((size_t)(sample + n) * IB + b) * ID + id) * (IH * IW), IH, IW,
               (row + r) * MH - PH, PW, true,
               v + (((size_t)n * RING + id % RING) * IB + b) * (POINTS * STRIDE) + r * COLS);
}

/* Grid: (rows of tiles, planes, samples * OB).  Y: [samples][planes][OB] of a piece. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
spread_dy(__global const float16 *dy, __global float16 *y, int sample, int plane, int row)
{
    const int r = (int)get_global_id(0), od = (int)get_global_id(1);
    const int n = (int)get_global_id(2) / OB, b = (int)get_global_id(2) % OB;
    spread_row(dy + (((size_t)(sample + n) * OB + b) * OD + plane + od) * (OH * OW), OH, OW,
               (row + r) * MH, 0, false,
               y + (((size_t)n * get_global_size(1) + od) * OB + b) * (POINTS * STRIDE) +
                      r * COLS);
}

/* Grid: (KD*IB*OB, POINTS, SPLITS).  u: [SPLITS][OB][IB][KD][POINTS][16 c][16 o]. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
multiply(__global const float *v, __global const float16 *y, __global float16 *u,
         __global float16 *bias, int samples, int plane, int planes, int tiles, int add)
{
    const int kd = (int)get_global_id(0) % KD, ib = (int)get_global_id(0) / KD % IB;
    const int ob = (int)get_global_id(0) / (KD * IB), p = (int)get_global_id(1);
    const int s = (int)get_global_id(2);
    const int begin = samples * planes * s / SPLITS, end = samples * planes * (s + 1) / SPLITS;

    float16 a[16];
#pragma unroll
    for (int i = 0; i < 16; i++)
        a[i] = (float16)(0.0f);
    for (int i = begin; i < end; i++) {
        const int n = i / planes, id = (plane + i % planes) * SD - PD + kd * LD;
        if (id < 0 || id >= ID)
            continue;
        __global const float *vp =
            v + ((((size_t)n * RING + id % RING) * IB + ib) * POINTS + p) * (STRIDE * 16);
        __global const float16 *yp = y + (((size_t)i * OB + ob) * POINTS + p) * STRIDE;
        for (int t = 0; t < tiles; t++) {
            const float16 g = yp[t];
#pragma unroll
            for (int c = 0; c < 16; c++)
                a[c] = madd((float16)(vp[t * 16 + c]), g, a[c]);
        }
    }
    __global float16 *up = u + (((size_t)s * OB * IB * KD + get_global_id(0)) * POINTS + p) * 16;
#pragma unroll
    for (int c = 0; c < 16; c++)
        up[c] = add ? up[c] + a[c] : a[c];

    /* At the point 1 of both axes a tile's value is the sum of the tile. */
    if (p == (NH > 1 ? NW : 0) + (NW > 1 ? 1 : 0) && get_global_id(0) % (KD * IB) == 0) {
        float16 sum = (float16)(0.0f);
        for (int i = begin; i < end; i++)
            for (int t = 0; t < tiles; t++)
                sum += y[(((size_t)i * OB + ob) * POINTS + p) * STRIDE + t];
        bias[s * OB + ob] = add ? bias[s * OB + ob] + sum : sum;
    }
}

/* Grid: (16 c * IB, OB). */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
collect(__global const float16 *u, __global const float16 *bias, __global float *dw,
        __global float *db, int accumulate)
{
    const int c = (int)get_global_id(0), ob = (int)get_global_id(1);
    if (c == 0 && db) {
        float16 sum = (float16)(0.0f);
        for (int s = 0; s < SPLITS; s++)
            sum += bias[s * OB + ob];
        for (int i = 0; i < 16 && ob * 16 + i < CO; i++)
            db[ob * 16 + i] = (accumulate ? db[ob * 16 + i] : 0.0f) + ((const float *)&sum)[i];
    }
    if (c >= CI)
        return;
    for (int kd = 0; kd < KD; kd++) {
        float16 w[KW][NH], g[KH][KW];
        for (int i = 0; i < NH; i++) {
            float16 d[NW], e[KW];
            for (int j = 0; j < NW; j++) {
                d[j] = (float16)(0.0f);
                for (int s = 0; s < SPLITS; s++)
                    d[j] += u[((((size_t)s * OB + ob) * IB + c / 16) * KD + kd) * (POINTS * 16) +
                              (i * NW + j) * 16 + c % 16];
            }
            wino_filter_back(d, e, NW, KW);
            for (int j = 0; j < KW; j++)
                w[j][i] = e[j];
        }
        for (int j = 0; j < KW; j++) {
            float16 e[KH];
            wino_filter_back(w[j], e, NH, KH);
            for (int i = 0; i < KH; i++)
                g[i][j] = e[i];
        }
        for (int i = 0; i < 16 && ob * 16 + i < CO; i++) {
            __global float *to = dw + (((size_t)(ob * 16 + i) * CI + c) * KD + kd) * (KH * KW);
            for (int k = 0; k < KH * KW; k++)
                to[k] = (accumulate ? to[k] : 0.0f) + ((const float *)g)[k * 16 + i];
        }
    }
}
