/* conv3d_winograd.cl - Winograd's method for GPUs: its transforms, in the plane; depth stays direct.
 *
 *     from --B^T--> V[n][point][c][d][tile]     U[point][k = (c,kd)][o] <--G-- w
 *                                    \             /
 *                  M[n][point][o][d][tile] = U * V        one product for each point
 *                                      |
 *                                     A^T --> to          winograd.h says what B, G and A are
 *
 * A plane of the output is cut into tiles of MH x MW, each made from QH x QW inputs (Q = M + K - 1),
 * so that QH * QW multiplications do the work of MH * MW * KH * KW: 36 that of 144 with 6 points and
 * a kernel of 3.  Along the depth nothing is transformed: for each point V is a volume of the tiles,
 * and the product is a convolution of KD x 1 x 1 with a group for each point: conv3d_tiled.cl does
 * it as it is, stride and dilation along the depth included.
 *
 * Backward-data is that of the depth, with the plane's kernel reversed and pad K - 1 - P.  Weight
 * gradients are the method read the other way:
 *
 *     dw = G^T [ sum over tiles of V * Z ] G,   Z = A dy A^T      the sum: conv3d_tiled_weights.cl
 *
 * Grid: an item to a tile (filter: to a kernel plane) and all its points in registers; neighbours take
 * neighbouring tiles, and V, Z and M have tiles last, so that each point is written coalesced.
 * These kernels do a few operations for each number they move: the memory is their limit. */
#pragma OPENCL FP_CONTRACT ON
#include "conv.h"
#include "relu.h"
#define WINO_T float
#include "winograd.h"

#if !defined(QH) || !defined(QW)
#error "give the points along H and W: QH QW"
#endif
#define MH (QH - KH + 1) /* outputs of a tile */
#define MW (QW - KW + 1)
#if GROUPS != 1 || SH != 1 || SW != 1 || LH != 1 || LW != 1 || MH < 1 || MW < 1
#error "no groups, and in the plane neither stride nor dilation"
#endif

#ifdef BACKWARD
#define FC       CO /* "from": channels and voxels */
#define FD       OD
#define FH       OH
#define FW       OW
#define TC       CI /* "to" */
#define TD       ID
#define TH       IH
#define TW       IW
#define BEFORE_H (KH - 1 - PH) /* padding before the first tile */
#define BEFORE_W (KW - 1 - PW)
#else
#define FC       CI
#define FD       ID
#define FH       IH
#define FW       IW
#define TC       CO
#define TD       OD
#define TH       OH
#define TW       OW
#define BEFORE_H PH
#define BEFORE_W PW
#endif

#define POINTS  (QH * QW)
#define TILES_W ((TW + MW - 1) / MW)
#define TILES   ((TH + MH - 1) / MH * TILES_W)

/* Outputs are written in vectors where rows hold a whole number of them. */
#if MW % 4 == 0 && TW % 4 == 0
#define WIDE 4
typedef float4 wide;
#define TO_WIDE(p) (float4)((p)[0], (p)[1], (p)[2], (p)[3])
#elif MW % 2 == 0 && TW % 2 == 0
#define WIDE 2
typedef float2 wide;
#define TO_WIDE(p) (float2)((p)[0], (p)[1])
#else
#define WIDE 1
typedef float wide;
#define TO_WIDE(p) (p)[0]
#endif

typedef float square[WINO_MAX][WINO_MAX];

/* Item i's tile among `planes` planes (channel, depth) of each sample, and the place of its first
 * point in V, Z or M. */
typedef struct tile {
    int h, w;     /* its first output */
    size_t plane; /* of all samples */
    size_t first;
} tile;

inline tile tile_find(size_t i, int planes)
{
    const int t = (int)(i % TILES);
    const size_t plane = i / TILES;
    const tile at = {t / TILES_W * MH, t % TILES_W * MW, plane,
                     (plane / planes * POINTS * planes + plane % planes) * TILES + t};
    return at;
}

/* rows x columns of a plane from (h, w) on; zeros outside. */
WINO_INLINE void square_read(square s, __global const float *plane, int h, int w, int rows,
                             int columns, int height, int width)
{
#pragma unroll
    for (int i = 0; i < rows; i++)
#pragma unroll
        for (int j = 0; j < columns; j++) {
            const bool is = h + i >= 0 && h + i < height && w + j >= 0 && w + j < width;
            const float v = plane[is ? (h + i) * width + w + j : 0];
            s[i][j] = is ? v : 0.0f;
        }
}

/* V = B^T from B.  Grid: (n * FC * FD * TILES rounded up). */
__kernel void winograd_input(__global const float *from, __global float *v, ulong items, int sample)
{
    if (get_global_id(0) >= items)
        return;
    const tile at = tile_find(get_global_id(0), FC * FD);
    square s, t;
    float column[WINO_MAX];
    square_read(s, from + (sample * (size_t)(FC * FD) + at.plane) * (FH * FW), at.h - BEFORE_H,
                at.w - BEFORE_W, QH, QW, FH, FW);
#pragma unroll
    for (int j = 0; j < QW; j++) {
#pragma unroll
        for (int i = 0; i < QH; i++)
            column[i] = s[i][j];
        wino_input(column, t[j], QH); /* t is turned: [w][h] */
    }
#pragma unroll
    for (int i = 0; i < QH; i++) {
        float row[WINO_MAX], out[WINO_MAX];
#pragma unroll
        for (int j = 0; j < QW; j++)
            row[j] = t[j][i];
        wino_input(row, out, QW);
#pragma unroll
        for (int j = 0; j < QW; j++)
            v[at.first + (size_t)(i * QW + j) * (FC * FD * TILES)] = out[j];
    }
}

/* to = A^T M A + bias.  Grid: (n * TC * TD * TILES rounded up). */
__kernel void winograd_output(__global const float *m, __global const float *bias,
                              __global const float *behind, __global float *to, ulong items,
                              int sample)
{
    if (get_global_id(0) >= items)
        return;
    const tile at = tile_find(get_global_id(0), TC * TD);
    square t;
#pragma unroll
    for (int j = 0; j < QW; j++) {
        float column[WINO_MAX];
#pragma unroll
        for (int i = 0; i < QH; i++)
            column[i] = m[at.first + (size_t)(i * QW + j) * (TC * TD * TILES)];
        wino_output(column, t[j], QH, MH);
    }
    const float start = bias ? bias[at.plane / TD % TC] : 0.0f;
    const size_t first = (sample * (size_t)(TC * TD) + at.plane) * (TH * TW);
#pragma unroll
    for (int i = 0; i < MH; i++) {
        float row[WINO_MAX], out[WINO_MAX];
#pragma unroll
        for (int j = 0; j < QW; j++)
            row[j] = t[j][i];
        wino_output(row, out, QW, MW);
#pragma unroll
        for (int j = 0; j < MW; j += WIDE) {
            const size_t place = first + (at.h + i) * TW + at.w + j;
            const wide sum = TO_WIDE(out + j) + start;
            if (at.h + i < TH && at.w + j < TW)
#ifdef BACKWARD
                *(__global wide *)(to + place) =
                    RELU_DX(sum, *(__global const wide *)(behind + place));
#else
                *(__global wide *)(to + place) = RELU_Y(sum);
#endif
        }
    }
}

/* U = G g G^T, in the order of conv3d_tiled_pack.cl: source [depth] numbers the kernel planes of
 * row 0, those of row m lie m * stride planes on.  Grid: (pitch rounded up, depth). */
__kernel void winograd_filter(__global const float *w, __global const int *source,
                              __global float *packed, int rows, int depth, int pitch, int stride)
{
    const int m = (int)get_global_id(0), k = (int)get_global_id(1);
    if (m >= pitch)
        return;
    const bool is = m < rows && source[k] >= 0;
    __global const float *g = w + (is ? source[k] + (size_t)m * stride : 0) * (KH * KW);
    square t;
#pragma unroll
    for (int j = 0; j < KW; j++) {
        float column[WINO_MAX];
#pragma unroll
        for (int i = 0; i < KH; i++) {
#ifdef BACKWARD
            column[i] = g[(KH - 1 - i) * KW + KW - 1 - j];
#else
            column[i] = g[i * KW + j];
#endif
        }
        wino_filter(column, t[j], QH, KH);
    }
#pragma unroll
    for (int i = 0; i < QH; i++) {
        float row[WINO_MAX], out[WINO_MAX];
#pragma unroll
        for (int j = 0; j < KW; j++)
            row[j] = t[j][i];
        wino_filter(row, out, QW, KW);
#pragma unroll
        for (int j = 0; j < QW; j++)
            packed[((size_t)(i * QW + j) * depth + k) * pitch + m] = is ? out[j] : 0.0f;
    }
}

/* Z = A dy A^T.  Grid: (n * CO * OD * TILES rounded up). */
__kernel void winograd_values(__global const float *dy, __global float *z, ulong items, int sample)
{
    if (get_global_id(0) >= items)
        return;
    const tile at = tile_find(get_global_id(0), TC * TD);
    square s, t;
    square_read(s, dy + (sample * (size_t)(TC * TD) + at.plane) * (TH * TW), at.h, at.w, MH, MW, TH,
                TW);
#pragma unroll
    for (int j = 0; j < MW; j++) {
        float column[WINO_MAX];
#pragma unroll
        for (int i = 0; i < MH; i++)
            column[i] = s[i][j];
        wino_values(column, t[j], QH, MH);
    }
#pragma unroll
    for (int i = 0; i < QH; i++) {
        float row[WINO_MAX], out[WINO_MAX];
#pragma unroll
        for (int j = 0; j < MW; j++)
            row[j] = t[j][i];
        wino_values(row, out, QW, MW);
#pragma unroll
        for (int j = 0; j < QW; j++)
            z[at.first + (size_t)(i * QW + j) * (TC * TD * TILES)] = out[j];
    }
}

/* dw = or += G^T [ sum of parts ] G.  part [parts][POINTS][CO][CI * KD].
 * Grid: (CO * CI * KD rounded up), an item to a kernel plane; the parts are added in their order. */
__kernel void winograd_filter_back(__global const float *part, __global float *dw, int parts,
                                   int accumulate)
{
    const size_t planes = (size_t)CO * CI * KD, plane = get_global_id(0);
    if (plane >= planes)
        return;
    square t;
#pragma unroll
    for (int j = 0; j < QW; j++) {
        float column[WINO_MAX];
#pragma unroll
        for (int i = 0; i < QH; i++)
            column[i] = 0.0f;
        for (int s = 0; s < parts; s++)
#pragma unroll
            for (int i = 0; i < QH; i++)
                column[i] += part[((size_t)s * POINTS + i * QW + j) * planes + plane];
        wino_filter_back(column, t[j], QH, KH);
    }
#pragma unroll
    for (int i = 0; i < KH; i++) {
        float row[WINO_MAX], out[WINO_MAX];
#pragma unroll
        for (int j = 0; j < QW; j++)
            row[j] = t[j][i];
        wino_filter_back(row, out, QW, KW);
#pragma unroll
        for (int j = 0; j < KW; j++) {
            __global float *to = dw + plane * (KH * KW) + i * KW + j;
            *to = accumulate ? *to + out[j] : out[j];
        }
    }
}

/* db = or += the sum of dy: that of Z at the point 1 along both axes, where a tile's value is the
 * sum of its dy.  part [parts][POINTS][CO].  Grid: (CO rounded up). */
__kernel void winograd_bias_back(__global const float *part, __global float *db, int parts,
                                 int accumulate)
{
    const int o = (int)get_global_id(0), point = (QH > 1) * QW + (QW > 1);
    if (o >= CO)
        return;
    float sum = 0.0f;
    for (int s = 0; s < parts; s++)
        sum += part[((size_t)s * POINTS + point) * CO + o];
    db[o] = accumulate ? db[o] + sum : sum;
}
