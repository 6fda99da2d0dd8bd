/* conv3d_direct16.cl - 3D convolution for CPUs, channels in blocks of 16: forward and backward-data.
 *
 *   forward        y[n,o,p]  = bias[o] + sum_{c,k} x[n,c,p*S - P + k*L] * w[o,c,k]         (=)
 *   BACKWARD       dx[n,c,p] = sum_{o,k: (p + P - k*L) % S == 0}
 *                              dy[n,o,(p + P - k*L)/S] * w[o,c,k]                          (=)
 *
 * Both are one kernel: a tensor "from" is gathered into a tensor "to"; only the position that tap k
 * of output p reads differs.  from [N][FB][FD][FH][FW][16], to [N][TB][TD][TH][TW][16]; channels
 * past the last are zeros and stay so, because their weights are.  S, P, L, K (stride, pad,
 * dilation, kernel) are any numbers.
 *
 * Grid: (TH*PARTS, N*TD, G), work-groups of ONE item.  A work-group makes one row (1/PARTS of
 * it) of Q*16 channels:
 *
 *        to, one row of W:  |<-- R -->|<-- R -->|<- tail ->|     R*Q float16 accumulators live in
 *        Q blocks of 16:    [r0 .. rR]                           registers; each loaded weight
 *                           [r0 .. rR]                           vector serves R of them, each
 *                                                                broadcast input value Q of them.
 *
 * Why this method, on CPUs: one float16 is one AVX-512 register, the weights of 16 output channels
 * lie side by side, so that the inner loop is R*Q independent multiply-adds for R + Q loads and
 * needs no shuffles, local memory or barriers.  R*Q of 16 to 28 hides the latency of the
 * multiply-add and still fits into 32 registers.
 * Rows that reach over the edge are first copied between zeros, so that the inner loop never tests
 * a position and nothing is read outside the tensor (it may be asked for, which does no harm). */
#pragma OPENCL FP_CONTRACT ON
#include "conv.h"
#include "cpu.h"
#include "relu.h"

#ifndef R /* positions of a register tile (1..28) */
#define R 8
#endif
#ifndef Q /* blocks of 16 output channels of a register tile (1..4) */
#define Q 2
#endif
#ifndef UNROLL /* input channels unrolled (1..16): longer code, fewer loop steps */
#define UNROLL 4
#endif
#if R * Q > 28
#error "R * Q accumulators must leave a few of 32 registers free"
#endif

/* "from" is gathered into "to": channels C, blocks B, voxels D, H, W of each. */
#ifdef BACKWARD
#define FC     CO
#define TC     CI
#define FB     OB
#define FD     OD
#define FH     OH
#define FW     OW
#define TB     IB
#define TD     ID
#define TH     IH
#define TW     IW
#define REACH  REACH_OUTPUT
#define PHASES SW /* outputs phase, phase + PHASES, ... share their taps */
#define STEP   1  /* from one of them to the next the position read moves so far */
#else
#define FC     CI
#define TC     CO
#define FB     IB
#define FD     ID
#define FH     IH
#define FW     IW
#define TB     OB
#define TD     OD
#define TH     OH
#define TW     OW
#define REACH  REACH_INPUT
#define PHASES 1
#define STEP   SW
#endif
#ifndef PARTS /* work-groups that share a row of outputs (1..) */
#define PARTS 1
#endif

#ifndef NB /* blocks of "from" that Q blocks of "to" read at most; fewer than all with groups */
#define NB FB
#endif

/* With groups of channels, the blocks [first_block, end_block) of "from" that tile g of Q blocks of
 * "to" reads: those of the same groups.  Their weights are packed with zeros between groups. */
inline int first_block(int g)
{
    return GROUPS == 1 ? 0 : g * (Q * 16) / (TC / GROUPS) * (FC / GROUPS) / 16;
}

inline int end_block(int g)
{
    const int last = min((g + 1) * (Q * 16), TC) - 1;
    return GROUPS == 1 ? FB : ((last / (TC / GROUPS) + 1) * (FC / GROUPS) + 15) / 16;
}

/* A tile of R outputs reads SPAN positions along W, from `first` on; tap k of its output 0 reads
 * number tap_offset of them (-1: this phase does not use tap k). */
#ifdef BACKWARD
#define BACK (((KW - 1) * LW) / SW)
#define SPAN (R + BACK)
inline int tap_offset(int phase, int k)
{
    const int down = k * LW - (phase + PW) % SW;
    return down >= 0 && down % SW == 0 ? BACK - down / SW : -1;
}
#else
#define SPAN ((R - 1) * SW + (KW - 1) * LW + 1)
inline int tap_offset(int phase, int k)
{
    return phase * 0 + k * LW;
}
#endif

/* The next row that a tile reads is this much further, or if kernels are one row high, what the
 * next tile reads.  It is asked for while this one is being multiplied: a core looks ahead some hundred
 * instructions at most, which a tile's multiply-adds fill. */
#define AHEAD (KH > 1 ? LH * FW : R * STEP)

/* a[R][Q] += the products of one row of taps over 16 input channels.  x: the SPAN positions.
 *
 * Where neighbouring outputs read neighbouring inputs, and the weights of a whole row of taps find
 * room in registers, each input is broadcast once for all taps: KW*Q + SPAN loads for KW*R*Q
 * multiply-adds instead of KW*(Q + R).  With Q = 1 the loads were what it waited for (16 to 16
 * channels, 3x3x3: a fifth faster). */
#if KW > 1 && SW == 1 && LW == 1 && (R + KW) * Q <= 30
inline void __attribute__((always_inline))
multiply_add(float16 *a, const float *x, __global const float16 *w, int phase)
{
#pragma unroll 1
    for (int c = 0; c < 16; c++) {
        float16 v[KW * Q];
#pragma unroll
        for (int i = 0; i < KW * Q; i++)
            v[i] = w[(i / Q * 16 + c) * Q + i % Q];
#pragma unroll
        for (int i = 0; i < SPAN; i++) {
            const float16 b = (float16)(x[i * 16 + c]);
#pragma unroll
            for (int k = 0; k < KW; k++) {
                const int r = i - tap_offset(0, k);
#pragma unroll
                for (int q = 0; q < Q; q++)
                    if (r >= 0 && r < R)
                        a[r * Q + q] = madd(b, v[k * Q + q], a[r * Q + q]);
            }
        }
    }
}
#else
inline void __attribute__((always_inline))
multiply_add(float16 *a, const float *x, __global const float16 *w, int phase)
{
    for (int k = 0; k < KW; k++) {
        const int at = tap_offset(phase, k) * 16;
        if (at < 0)
            continue;
#pragma unroll UNROLL
        for (int c = 0; c < 16; c++) {
            float16 v[Q];
#pragma unroll
            for (int q = 0; q < Q; q++)
                v[q] = w[(k * 16 + c) * Q + q];
#pragma unroll
            for (int r = 0; r < R; r++) {
                const float16 b = (float16)(x[at + r * STEP * 16 + c]);
#pragma unroll
                for (int q = 0; q < Q; q++)
                    a[r * Q + q] = madd(b, v[q], a[r * Q + q]);
            }
        }
    }
}
#endif

/* w: packed by conv3d_pack16.cl, [G][NB][KD][KH][KW][16 in][Q][16 out].  bias: [G*Q*16] packed
 * likewise (zeros for backward-data).  x: with -DRELU_IN, as `to`. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
conv3d_direct16(__global const float16 *from, __global const float16 *w,
                __global const float16 *bias, __global float16 *to, __global const float16 *x)
{
    const int th = (int)get_global_id(0) / PARTS, part = (int)get_global_id(0) % PARTS;
    const int td = (int)(get_global_id(1) % TD);
    const size_t n = get_global_id(1) / TD;
    const int g = (int)get_global_id(2);
    float16 row[SPAN];

    for (int phase = 0; phase < PHASES && phase < TW; phase++) {
        const int count = (TW - phase + PHASES - 1) / PHASES; /* outputs of this phase */
        const int tiles = (count + R - 1) / R;
        for (int tile = tiles * part / PARTS; tile < tiles * (part + 1) / PARTS; tile++) {
            const int j0 = tile * R;
#ifdef BACKWARD
            const int first = j0 + (phase + PW) / SW - BACK;
#else
            const int first = j0 * SW - PW;
#endif
            const int low = first < 0 ? -first : 0; /* [low, high) of the row lies inside */
            const int high = first + SPAN > FW ? FW - first : SPAN;
            for (int i = 0; i < SPAN; i++)
                row[i] = (float16)(0.0f);
            float16 a[R * Q];
#pragma unroll
            for (int i = 0; i < R * Q; i++)
                a[i] = bias[g * Q + i % Q];

            for (int b = first_block(g); b < end_block(g); b++) {
                const int wb = g * NB + b - first_block(g); /* its block of weights */
                for (int kd = 0; kd < KD; kd++) {
                    const int fd = REACH(td, kd, SD, PD, LD, FD);
                    if (fd < 0)
                        continue;
                    for (int kh = 0; kh < KH; kh++) {
                        const int fh = REACH(th, kh, SH, PH, LH, FH);
                        if (fh < 0)
                            continue;
                        __global const float16 *f =
                            from + (((n * FB + b) * FD + fd) * FH + fh) * FW + first;
                        for (int i = low; i < high; i++)
                            row[i] = f[i];
                        for (int i = 0; i < SPAN; i++)
                            PREFETCH_NEAR(f + AHEAD + i);
                        __global const float16 *v =
                            w + (size_t)((wb * KD + kd) * KH + kh) * (KW * 16 * Q);
                        multiply_add(a, (const float *)row, v, phase);
                    }
                }
            }

#pragma unroll
            for (int q = 0; q < Q; q++)
                if (g * Q + q < TB) {
                    const size_t t = (((n * TB + g * Q + q) * TD + td) * TH + th) * TW + phase;
#pragma unroll
                    for (int r = 0; r < R; r++)
                        if (j0 + r < count) {
                            const size_t at = t + (j0 + r) * PHASES;
                            to[at] = RELU_DX(RELU_Y(a[r * Q + q]), x[at]);
                        }
                }
        }
    }
}
