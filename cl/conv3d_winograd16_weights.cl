/* conv3d_winograd16_weights.cl - the weights' gradient of a 3D convolution for CPUs by Winograd's
 * method in h and w (depth by definition), channels in blocks of 16.
 *
 *   dw[o,c,k] = (or +=) sum over n, p of  dy[n,o,p] * x[n,c,p - P + k]      stride 1, dilation 1 in
 * h, w
 *
 * In a plane, dy is cut into tiles of MH x MW.  A tile and the window of x that its taps reach, of
 * NH x NW voxels (N = M + K - 1), make KH x KW numbers of dw.  winograd.h turns that into NH x NW
 * products at points; as what follows them is linear, it is done once, after the sum over all
 * tiles:
 *
 *   spread_x    V[plane of x][p][tile][c]  = B^T x B of the window
 *   spread_dy   Y[plane of dy][p][tile][o] = A dy A^T of the tile
 *   multiply    U[kd][p][c][o] (+)= sum over planes od and tiles of  V[id(od, kd)][p] * Y[od][p]
 *   filter_back dw[o,c,kd] = (or +=) G^T U G
 *
 * multiply is NH*NW*KD matrix products: for 3x3 taps and 6 points, 36 multiplications where the
 * definition has 144.  The host chooses the points.
 *
 * V and Y are a few times as large as x and dy, so the layer is cut into units (some samples x a
 * strip of rows of tiles x some planes), for which Y of 16 channels and V of 16 more stay in the
 * second-level cache of one core: a slab.  What several units or blocks of channels need is made
 * again, which takes a tenth of the time of the products; keeping V and Y of all channels, shared
 * by all cores in the third-level cache, was three times slower where others use that too.  A plane
 * is [p][tile][16] with STRIDE tiles from p to p, an odd number, or all p would fall into the same
 * few sets of a cache.
 *
 * Grid: work-groups of ONE item, each with a part of the tasks: a task is a split of the units, 16
 * channels of dy and a share of the blocks of x (multiply: 16 float16 accumulators, each number of
 * V is broadcast); for collect 16 outputs and a channel.  The order of all sums is fixed. */
#pragma OPENCL FP_CONTRACT ON
#include "conv.h"
#include "winograd.h"

#if !defined(NH) || !defined(NW) /* points along h and w (1..8) */
#error "give NH and NW"
#endif
#if !defined(SAMPLES) || !defined(PLANES) || !defined(STRIP)
#error "give the size of a unit: SAMPLES, PLANES of dy, STRIP (rows of tiles)"
#endif
#ifndef SHARES /* of the blocks of x */
#define SHARES 1
#endif
#if SH != 1 || SW != 1 || LH != 1 || LW != 1 || GROUPS != 1
#error "stride and dilation 1 in h and w, one group"
#endif

#define MH     (NH - KH + 1) /* a tile of dy */
#define MW     (NW - KW + 1)
#define COLS   ((OW + MW - 1) / MW) /* tiles in a row */
#define ROWS   ((OH + MH - 1) / MH) /* rows of them */
#define STRIDE (STRIP * COLS | 1)
#define POINTS (NH * NW)
#define PLANE  (POINTS * STRIDE)
#define REACH  ((PLANES - 1) * SD + (KD - 1) * LD + 1) /* planes of x that a unit's of dy reach */
#define XMOST  (REACH < ID ? REACH : ID)
#define SLAB   (SAMPLES * (PLANES + XMOST) * PLANE + KD * POINTS * 16)
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

/* One row of tiles of one plane and block to the points: of x (windows of NH x NW, `left` columns
 * of padding before the first) or of dy (tiles of MH x MW).  The first row is `top`; what lies
 * outside the plane of height x width is zero.  Along h first, as neighbouring windows share
 * columns. */
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

typedef struct unit {
    int n, samples, od, planes, row, rows;
    int id, reach; /* planes of x: the first, and how many */
} unit;

inline unit unit_of(size_t i, int batch)
{
    const int strips = (ROWS + STRIP - 1) / STRIP, pieces = (OD + PLANES - 1) / PLANES;
    unit u;
    u.row = (int)(i % strips) * STRIP;
    u.rows = min(STRIP, ROWS - u.row);
    u.od = (int)(i / strips % pieces) * PLANES;
    u.planes = min(PLANES, OD - u.od);
    u.n = (int)(i / strips / pieces) * SAMPLES;
    u.samples = min(SAMPLES, batch - u.n);
    const int low = u.od * SD - PD, high = low + (u.planes - 1) * SD + (KD - 1) * LD + 1;
    u.id = max(low, 0);
    u.reach = max(min(high, ID) - u.id, 0);
    return u;
}

/* Y of block ob: [samples][planes][POINTS][STRIDE]. */
inline void spread_dy(__global const float16 *dy, unit u, int ob, __global float16 *y)
{
    for (int i = 0; i < u.samples * u.planes; i++)
        for (int r = 0; r < u.rows; r++)
            spread_row(dy + (((size_t)(u.n + i / u.planes) * OB + ob) * OD + u.od + i % u.planes) *
                                (OH * OW),
                       OH, OW, (u.row + r) * MH, 0, false, y + i * PLANE + r * COLS);
}

/* V of block ib: [samples][reach][POINTS][STRIDE]. */
inline void spread_x(__global const float16 *x, unit u, int ib, __global float16 *v)
{
    for (int i = 0; i < u.samples * u.reach; i++)
        for (int r = 0; r < u.rows; r++)
            spread_row(x + (((size_t)(u.n + i / u.reach) * IB + ib) * ID + u.id + i % u.reach) *
                               (IH * IW),
                       IH, IW, (u.row + r) * MH - PH, PW, true, v + i * PLANE + r * COLS);
}

/* u16: [16 c][16 o] of one point and kd. */
inline void __attribute__((always_inline))
multiply(__global const float16 *v, __global const float16 *y, __global float16 *u16, unit u,
         int kd, bool add)
{
    float16 a[16];
#pragma unroll
    for (int i = 0; i < 16; i++)
        a[i] = (float16)(0.0f);
    for (int i = 0; i < u.samples * u.planes; i++) {
        const int id = (u.od + i % u.planes) * SD - PD + kd * LD;
        if (id < 0 || id >= ID)
            continue;
        __global const float *vp =
            (__global const float *)(v + (i / u.planes * u.reach + id - u.id) * PLANE);
        __global const float16 *yp = y + i * PLANE;
        for (int t = 0; t < u.rows * COLS; t++) {
            const float16 g = yp[t];
#pragma unroll
            for (int c = 0; c < 16; c++)
                a[c] = madd((float16)(vp[t * 16 + c]), g, a[c]);
        }
    }
#pragma unroll
    for (int c = 0; c < 16; c++)
        u16[c] = add ? u16[c] + a[c] : a[c];
}

/* At the point 1 of both axes a tile's value is the sum of the tile. */
inline float16 sum_of(__global const float16 *y, unit u)
{
    float16 sum = (float16)(0.0f);
    y += ((NH > 1 ? NW : 0) + (NW > 1 ? 1 : 0)) * STRIDE;
    for (int i = 0; i < u.samples * u.planes; i++)
        for (int t = 0; t < u.rows * COLS; t++)
            sum += y[i * PLANE + t];
    return sum;
}

/* dw of channel c and 16 outputs from the sum of `splits` U, `step` apart.  u: of the first, at c.
 */
inline void __attribute__((always_inline))
filter_back(__global const float16 *u, size_t step, int splits, __global float *dw, int ob, int c,
            int accumulate)
{
    for (int kd = 0; kd < KD && c < CI; kd++) {
        float16 w[KW][NH], g[KH][KW];
        for (int i = 0; i < NH; i++) {
            float16 d[NW], e[KW];
            for (int j = 0; j < NW; j++) {
                d[j] = (float16)(0.0f);
                for (int s = 0; s < splits; s++)
                    d[j] += u[s * step + (kd * POINTS + i * NW + j) * 16];
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

inline void put_bias(float16 sum, __global float *db, int ob, int accumulate)
{
    for (int i = 0; i < 16 && ob * 16 + i < CO && db; i++)
        db[ob * 16 + i] = (accumulate ? db[ob * 16 + i] : 0.0f) + ((const float *)&sum)[i];
}

/* u: [splits][OB][IB][KD][POINTS][16 c][16 o], bias: [splits][OB], of which there are no more than
 * units.  slab: SLAB for each group.  With one split dw and db are made here, from a U that is
 * still in the cache (and, with one unit, the only one: it lies in the group's place in the slab);
 * else they are collect's. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
winograd16_weights(__global const float16 *x, __global const float16 *dy, __global float16 *u,
                   __global float16 *bias, __global float16 *slab, __global float *dw,
                   __global float *db, int batch, int splits, int accumulate)
{
    const size_t group = get_global_id(0), groups = get_global_size(0);
    const size_t units = (size_t)((batch + SAMPLES - 1) / SAMPLES) * ((OD + PLANES - 1) / PLANES) *
                         ((ROWS + STRIP - 1) / STRIP);
    const size_t tasks = (size_t)splits * OB * SHARES;
    __global float16 *y = slab + group * SLAB, *v = y + SAMPLES * PLANES * PLANE,
                     *own = v + SAMPLES * XMOST * PLANE;

    for (size_t task = tasks * group / groups; task < tasks * (group + 1) / groups; task++) {
        const int share = (int)(task % SHARES), ob = (int)(task / SHARES % OB);
        const size_t s = task / SHARES / OB, first = units * s / splits;
        float16 sum = (float16)(0.0f);
        for (size_t i = first; i < units * (s + 1) / splits; i++) {
            const unit at = unit_of(i, batch);
            spread_dy(dy, at, ob, y);
            sum += sum_of(y, at);
            for (int ib = IB * share / SHARES; ib < IB * (share + 1) / SHARES; ib++) {
                spread_x(x, at, ib, v);
                __global float16 *to =
                    units == 1 ? own : u + ((s * OB + ob) * IB + ib) * (KD * POINTS * 16);
                for (int p = 0; p < POINTS; p++)
                    for (int kd = 0; kd < KD; kd++)
                        multiply(v + p * STRIDE, y + p * STRIDE, to + (kd * POINTS + p) * 16, at,
                                 kd, i > first);
                for (int c = 0; c < 16 && splits == 1 && i == units - 1; c++)
                    filter_back(to + c, 0, 1, dw, ob, ib * 16 + c, accumulate);
            }
        }
        if (share == 0 && splits == 1)
            put_bias(sum, db, ob, accumulate);
        else if (share == 0)
            bias[s * OB + ob] = sum;
    }
}

/* Grid: (16 c * IB, OB). */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
collect(__global const float16 *u, __global const float16 *bias, __global float *dw,
        __global float *db, int splits, int accumulate)
{
    const int c = (int)get_global_id(0), ob = (int)get_global_id(1);
    float16 sum = (float16)(0.0f);
    for (int s = 0; s < splits && c == 0; s++)
        sum += bias[s * OB + ob];
    if (c == 0)
        put_bias(sum, db, ob, accumulate);
    filter_back(u + ((size_t)ob * IB + c / 16) * (KD * POINTS * 16) + c % 16,
                (size_t)OB * IB * (KD * POINTS * 16), splits, dw, ob, c, accumulate);
}
