/* conv3d_tiled.cl - 3D convolution for GPUs as an implicit matrix product: forward, backward-data.
 *
 *   to[m, v] = bias[m] + sum_k A[m, k] * B[k, v]                                             (=)
 *
 *   forward   m = output channel,  v = output voxel,  k = (input channel, tap):
 *             A = w[m,c,tap],      B = x[n,c,p*S - P + tap*L]
 *   BACKWARD  m = input channel,   v = input voxel,   k = (output channel, tap):
 *             A = w[o,m,tap],      B = dy[n,o,(p + P - tap*L)/S] where that is whole
 *
 * B is never written down ("im2col" would take taps times the memory of x): tiles of it are gathered
 * straight into local memory.  v runs over the voxels of all samples, so that small volumes fill the
 * tiles too.  x [N][CI][ID][IH][IW], y [N][CO][OD][OH][OW]; conv3d_tiled_pack.cl has put w in the
 * order of A's tiles.  tiles.h has the product itself, and how the items share a tile.
 *
 * Where to read is looked up: `table` holds for each k the offset from a voxel's first tap and the
 * tap's place in the kernel, so that the loop neither divides nor compares with the volume's edges.
 * Neighbouring items gather neighbouring voxels (coalesced), and all of them read the same entry.
 *
 * A relu before or after may be fused (relu.h): behind is its output, x, in BACKWARD.
 *
 * BACKWARD with a stride: voxels S apart are reached by the same taps, so they form a phase, which
 * is a convolution without stride, over those taps only.  Each phase has its records in the table.
 *
 * Grid: (row tiles * column tiles * WG, PHASES * GROUPS), work-groups of WG items.  The row tiles
 * of the same columns come one after the other: they find the inputs in the cache.
 * Why this method, on GPUs: arithmetic per load grows with the tile, and local memory shares the
 * loads between items.  Expected, not measured: with 128 x 128 tiles of 8 x 8 an item needs about 130
 * registers, so two groups share a multiprocessor of 64 Ki registers, and the reads from local memory take
 * half the time of the multiply-adds; with 4 x 4 they take about as long.  On CPUs local memory is
 * only more memory: use conv3d_direct16.cl. */
#pragma OPENCL FP_CONTRACT ON
#include "conv.h"
#include "relu.h"
#include "tiles.h"

#define CIG (CI / GROUPS)
#define COG (CO / GROUPS)

#ifdef BACKWARD
#if !defined(GD) || !defined(GH) || !defined(GW)
#error "give the greatest common divisors of stride and dilation: GD GH GW"
#endif
#define PHASES (SD * SH * SW)
#define ROWS   CIG
#define FC     CO /* "from": channels and voxels */
#define FD     OD
#define FH     OH
#define FW     OW
#define FCG    COG
#define TC     CI /* "to" */
#define TD     ID
#define TH     IH
#define TW     IW
/* one voxel of a phase further: so many voxels of "to", one of "from"; its taps go backwards */
#define TO_STEP(S)                    (S)
#define FROM_STEP(S)                  1
#define INSIDE(first, S, L, G, K, n) taps_inside((n)-1 - (first), (L) / (G), K, n)
#else
#define PHASES 1
#define ROWS   COG
#define FC     CI
#define FD     ID
#define FH     IH
#define FW     IW
#define FCG    CIG
#define TC     CO
#define TD     OD
#define TH     OH
#define TW     OW
#define GD     1
#define GH     1
#define GW     1
#define TO_STEP(S)                    1
#define FROM_STEP(S)                  (S)
#define INSIDE(first, S, L, G, K, n) taps_inside(first, L, K, n)
#endif
#define VOXELS    (TD * TH * TW)
#define ROW_TILES ((ROWS + TM - 1) / TM)
#define ROW_PITCH (ROW_TILES * TM) /* of packed weights */

#define FOURS_A (TM * TK / 4 / WG) /* float4s that an item brings into a tile of A, and of B */
#define FOURS_B (TN * TK / 4 / WG)
#if TM * TK % (4 * WG) != 0 || TN * TK % (4 * WG) != 0 || WG % TN != 0
#error "the items share out the tiles in float4s, and TN divides their number"
#endif

/* The table: for each phase three int4s, then entries for four k at a time: four offsets, four
 * sets of taps.  k are padded to whole steps with a tap that lies nowhere. */
typedef struct phase {
    int4 to;   /* first voxel of "to" (d, h, w); its first four k */
    int4 size; /* voxels of one sample (d, h, w); steps */
    int4 from; /* voxel of "from" that the first tap of the first voxel reads (d, h, w) */
} phase;

#ifdef WIDE_TAPSET
#define ENTRY 3
#define SET(e) (tapset4)(as_ulong2((e)[1]), as_ulong2((e)[2]))
#else
#define ENTRY  2
#define SET(e) as_uint4((e)[1])
#endif

/* The column of B that an item gathers. */
typedef struct column {
    __global const float *from; /* the group's first channel of the sample */
    int base;                   /* index there of the first tap, which may lie outside */
    tapset inside;
    long to; /* index of the group's first channel at this voxel, -1: no such voxel */
} column;

inline column column_find(__global const float *from, phase ph, uint v, int batch, int g)
{
    column c = {from, 0, 0, -1};
    const uint nd = PHASES == 1 ? TD : ph.size.x, nh = PHASES == 1 ? TH : ph.size.y;
    const uint nw = PHASES == 1 ? TW : ph.size.z, voxels = nd * nh * nw;
    if (v >= voxels * batch)
        return c;
    const uint n = v / voxels, p = v % voxels;
    const int d = p / nw / nh, h = p / nw % nh, w = p % nw;
    const int fd = ph.from.x + d * FROM_STEP(SD), fh = ph.from.y + h * FROM_STEP(SH);
    const int fw = ph.from.z + w * FROM_STEP(SW);
    c.from += ((size_t)n * FC + g * FCG) * (FD * FH * FW);
    c.base = (fd * FH + fh) * FW + fw;
    c.inside = taps_join(INSIDE(fd, SD, LD, GD, KD, FD), INSIDE(fh, SH, LH, GH, KH, FH),
                         INSIDE(fw, SW, LW, GW, KW, FW));
    const int td = ph.to.x + d * TO_STEP(SD), th = ph.to.y + h * TO_STEP(SH);
    c.to = ((long)n * TC + g * ROWS) * VOXELS + (td * TH + th) * TW + ph.to.z + w * TO_STEP(SW);
    return c;
}

/* The column at four k.  Outside it reads another place, and takes 0 for it: without branches
 * the loads are all on their way at once. */
inline float4 column_read(column c, __global const int4 *entry)
{
    const tapset4 tap = SET(entry);
    const int4 at = entry[0] + c.base;
    const bool x = (c.inside & tap.x) == tap.x, y = (c.inside & tap.y) == tap.y;
    const bool z = (c.inside & tap.z) == tap.z, w = (c.inside & tap.w) == tap.w;
    const float4 v = (float4)(c.from[x ? at.x : 0], c.from[y ? at.y : 0], c.from[z ? at.z : 0],
                              c.from[w ? at.w : 0]);
    return (float4)(x ? v.x : 0.0f, y ? v.y : 0.0f, z ? v.z : 0.0f, w ? v.w : 0.0f);
}

#ifdef RELU_IN
#define RESULT(v, behind) RELU_DX(v, behind)
#else
#define RESULT(v, behind) RELU_Y(v)
#endif

inline void put_one(__global float *row, __global const float *behind, long at, float v)
{
    if (at >= 0)
        row[at] = RESULT(v, behind[at]);
}

/* Writes four neighbouring columns of a row. */
inline void put(__global float *row, __global const float *behind, __local const long *place,
                float4 v)
{
#if PHASES == 1 && VOXELS % 4 == 0
    if (place[0] >= 0)
        *(__global float4 *)(row + place[0]) =
            RESULT(v, *(__global const float4 *)(behind + place[0]));
#else
    put_one(row, behind, place[0], v.x);
    put_one(row, behind, place[1], v.y);
    put_one(row, behind, place[2], v.z);
    put_one(row, behind, place[3], v.w);
#endif
}

__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void
conv3d_tiled(__global const float *from, __global const float4 *packed,
             __global const int4 *table, __global const float *bias, __global const float *behind,
             __global float *to, int batch, int depth)
{
    __local float4 a[2][TK * PITCH_A], b[2][TK * PITCH_B];
    __local long place[TN];
    const int l = (int)get_local_id(0), x = item_x(l), y = item_y(l);
    const int m0 = (int)(get_group_id(0) % ROW_TILES) * TM, g = (int)(get_group_id(1) % GROUPS);
    const uint v0 = (uint)(get_group_id(0) / ROW_TILES) * TN;
    __global const int4 *record = table + 3 * (get_group_id(1) / GROUPS);
    const phase ph = {record[0], record[1], record[2]};
    const int steps = ph.size.w;

    const column mine = column_find(from, ph, v0 + l % TN, batch, g);
    if (l < TN)
        place[l] = mine.to;

    /* where this item's share of the first step's tiles comes from and goes to */
    const int row_a = l / (TM / 4), row_b = l / TN * (4 * FOURS_B); /* its first k */
    __global const float4 *weights =
        packed + ((size_t)g * depth + 4 * ph.to.w + row_a) * (ROW_PITCH / 4) + m0 / 4 + l % (TM / 4);
    __global const int4 *entry = table + 3 * PHASES + (ph.to.w + row_b / 4) * ENTRY;

    float4 sum[RM][RN / 4], next_a[FOURS_A], next_b[FOURS_B];
    sums_clear(sum);
    for (int step = -1; step < steps; step++) {
        if (step + 1 < steps) {
#pragma unroll
            for (int i = 0; i < FOURS_A; i++)
                next_a[i] = weights[i * (4 * WG / TM) * (ROW_PITCH / 4)];
#pragma unroll
            for (int i = 0; i < FOURS_B; i++)
                next_b[i] = column_read(mine, entry + i * ENTRY);
            weights += TK * (ROW_PITCH / 4);
            entry += TK / 4 * ENTRY;
        }
        if (step >= 0)
            tiles_multiply(sum, a[step & 1], b[step & 1], x, y);
        if (step + 1 < steps) {
            __local float4 *to_a = a[(step + 1) & 1];
            __local float *to_b = (__local float *)(b[(step + 1) & 1] + row_b * PITCH_B) + l % TN;
#pragma unroll
            for (int i = 0; i < FOURS_A; i++)
                to_a[l + i * WG] = next_a[i];
#pragma unroll
            for (int i = 0; i < FOURS_B; i++) {
                to_b[(4 * i + 0) * 4 * PITCH_B] = next_b[i].x;
                to_b[(4 * i + 1) * 4 * PITCH_B] = next_b[i].y;
                to_b[(4 * i + 2) * 4 * PITCH_B] = next_b[i].z;
                to_b[(4 * i + 3) * 4 * PITCH_B] = next_b[i].w;
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }

#pragma unroll
    for (int i = 0; i < RM; i++) {
        const int m = m0 + ROW_OF(y, i);
        if (m >= ROWS)
            continue;
        const float start = bias ? bias[g * ROWS + m] : 0.0f;
#pragma unroll
        for (int j = 0; j < RN / 4; j++)
            put(to + (size_t)m * VOXELS, behind + (size_t)m * VOXELS, place + FOURS_OF(x, j),
                sum[i][j] + start);
    }
}
