/* tiles.h - the matrix product on tiles that the GPU convolutions share: who works on what.
 *
 *   result[TM][TN] += sum over TK products of a[k][m] * b[k][n]
 *
 *                  TN                A work-group makes TM x TN results, an item RM x RN of them in
 *            +------------+          registers.  Tiles of a and b lie in local memory, k by k, as
 *         TK |     b      |          float4s: for each k an item reads RM/4 + RN/4 of them and does
 *       TK   +------------+          RM * RN multiply-adds (8 x 8: 64 for 4 reads; 4 x 4: 16 for 2).
 *     +----+ |            |
 *     |    | |            |          Items: 32 neighbours, which GPUs run in lock-step, form a block
 *  TM | a  | |            |          8 wide and 4 high.  For each k such a block reads 8 + 4 different
 *     |    | |            |          float4s of 8 + 4 rows and columns; as one line of 32 it would
 *     +----+ +------------+          read 32 + 1.  Fours of rows (columns) of one item lie WY (WX)
 *                                    fours apart, so that the block's reads are neighbours: no two
 *                                    of its items want different words of one bank.
 *
 * There are two of each tile: while one is multiplied, the next one is on its way from memory into
 * registers, and then goes to the other.  So one barrier a step is enough. */
#ifndef VOX_TILES_H
#define VOX_TILES_H

#if !defined(TM) || !defined(TN) || !defined(TK) || !defined(RM) || !defined(RN)
#error "give the tiles: TM x TN results, TK products a step, RM x RN results of an item"
#endif
#ifndef PAD /* float4s added to a tile's rows, where items write columns: other rows, other banks */
#define PAD 0
#endif
#define WX      (TN / RN)
#define WY      (TM / RM)
#define WG      (WX * WY) /* items of a work-group */
#define PITCH_A (TM / 4 + PAD)
#define PITCH_B (TN / 4 + PAD)
#if RM % 4 != 0 || RN % 4 != 0 || TM % RM != 0 || TN % RN != 0
#error "RM and RN are multiples of 4 that divide TM and TN"
#endif
#if WX % 8 != 0 || WY % 4 != 0
#error "items come in blocks of 8 x 4"
#endif

/* The place of item l among WX x WY. */
inline int item_x(int l)
{
    return l % 8 + 8 * (l / 32 % (WX / 8));
}
inline int item_y(int l)
{
    return l / 8 % 4 + 4 * (l / 32 / (WX / 8));
}

/* The tile's row of an item's row i, and its column of the item's four columns j. */
#define ROW_OF(y, i)   (4 * ((y) + (i) / 4 * WY) + (i) % 4)
#define FOURS_OF(x, j) (4 * ((x) + (j)*WX))

inline void sums_clear(float4 sum[RM][RN / 4])
{
#pragma unroll
    for (int i = 0; i < RM; i++)
#pragma unroll
        for (int j = 0; j < RN / 4; j++)
            sum[i][j] = (float4)(0.0f);
}

/* a [TK][PITCH_A], b [TK][PITCH_B] */
inline void tiles_multiply(float4 sum[RM][RN / 4], __local const float4 *a,
                           __local const float4 *b, int x, int y)
{
#pragma unroll
    for (int k = 0; k < TK; k++) {
        float4 u[RM / 4], v[RN / 4];
#pragma unroll
        for (int i = 0; i < RM / 4; i++)
            u[i] = a[k * PITCH_A + y + i * WY];
#pragma unroll
        for (int j = 0; j < RN / 4; j++)
            v[j] = b[k * PITCH_B + x + j * WX];
#pragma unroll
        for (int i = 0; i < RM / 4; i++)
#pragma unroll
            for (int j = 0; j < RN / 4; j++) {
                sum[4 * i][j] += u[i].x * v[j];
                sum[4 * i + 1][j] += u[i].y * v[j];
                sum[4 * i + 2][j] += u[i].z * v[j];
                sum[4 * i + 3][j] += u[i].w * v[j];
            }
    }
}

/* ---- which taps of a kernel lie inside ---- */

/* A set of taps has a bit for each of the KD + KH + KW positions along the axes; a tap has three.  So
 * "does this tap lie inside" is one AND and one comparison, whatever the padding. */
#if KD + KH + KW <= 31
typedef uint tapset;
typedef uint4 tapset4;
#elif KD + KH + KW <= 63
#define WIDE_TAPSET
typedef ulong tapset;
typedef ulong4 tapset4;
#else
#error "a kernel's sizes add up to 63 at most"
#endif

/* The t of 0 .. count-1 for which first + t * leap lies in [0, n), as bits. */
inline tapset taps_inside(int first, int leap, int count, int n)
{
    const int begin = first < 0 ? min((leap - 1 - first) / leap, count) : 0;
    const int end = first < n ? min((n - first + leap - 1) / leap, count) : 0;
    return begin < end ? ((tapset)1 << end) - ((tapset)1 << begin) : (tapset)0;
}

inline tapset taps_join(tapset d, tapset h, tapset w)
{
    return d | h << KD | w << (KD + KH);
}

#endif
