/* winograd16.h - what conv3d_winograd16.cl and conv3d_winograd16_planes.cl share: the tiles that
 * the tensor written, "to", is cut into, where they lie, and the product at one point. */
#ifndef VOX_WINOGRAD16_H
#define VOX_WINOGRAD16_H

#include "conv.h"
#include "winograd.h"

#if !defined(ND) || !defined(NH) || !defined(NW)
#error "give the points of each axis: ND NH NW (K to 8)"
#endif
#ifndef R /* tiles of a register tile (1..28) */
#define R 8
#endif
#ifndef Q /* blocks of 16 output channels of a register tile (1..4) */
#define Q 2
#endif
#if R * Q > 28
#error "R * Q accumulators must leave a few of 32 registers free"
#endif

#ifdef BACKWARD
#define FC         CO
#define TC         CI
#define FD         OD
#define FH         OH
#define FW         OW
#define TD         ID
#define TH         IH
#define TW         IW
#define OUT_STEP   TAPS /* in w, from one channel of "to" to the next */
#define IN_STEP    (CI * TAPS)
#define FLIP(tap)  (TAPS - 1 - (tap))
#define LEAD(K, P) ((K)-1 - (P)) /* inputs that output 0 reads before input 0 */
#else
#define FC         CI
#define TC         CO
#define FD         ID
#define FH         IH
#define FW         IW
#define TD         OD
#define TH         OH
#define TW         OW
#define OUT_STEP   (CI * TAPS)
#define IN_STEP    TAPS
#define FLIP(tap)  (tap)
#define LEAD(K, P) (P)
#endif
#define FB     ((FC + 15) / 16)
#define TB     ((TC + 15) / 16)
#define TAPS   (KD * KH * KW)
#define MD     (ND + 1 - KD) /* outputs of a tile */
#define MH     (NH + 1 - KH)
#define MW     (NW + 1 - KW)
#define TILESD ((TD + MD - 1) / MD)
#define TILESH ((TH + MH - 1) / MH)
#define TILESW ((TW + MW - 1) / MW)

/* n elements, `step` apart in v, into d, and back. */
#define GATHER(d, v, step, n)                                                                      \
    _Pragma("unroll") for (int i_ = 0; i_ < (n); i_++)(d)[i_] = (v)[i_ * (step)]
#define SCATTER(v, d, step, n)                                                                     \
    _Pragma("unroll") for (int i_ = 0; i_ < (n); i_++)(v)[i_ * (step)] = (d)[i_]

/* A tile: its sample, and its first output along each axis. */
typedef struct place {
    size_t n;
    int d, h, w;
} place;

inline place place_of(size_t tile)
{
    place p;
    p.n = tile / (TILESD * TILESH * TILESW);
    p.d = (int)(tile / (TILESH * TILESW) % TILESD) * MD;
    p.h = (int)(tile / TILESW % TILESH) * MH;
    p.w = (int)(tile % TILESW) * MW;
    return p;
}

/* M[R tiles][Q] = V[R tiles][FC] * U[FC][Q] at one point. */
inline void __attribute__((always_inline))
multiply(__global const float *v, __global const float16 *u, __global float16 *m)
{
    float16 a[R * Q];
#pragma unroll
    for (int i = 0; i < R * Q; i++)
        a[i] = (float16)(0.0f);
#pragma unroll 2
    for (int c = 0; c < FC; c++) {
        float16 w[Q];
#pragma unroll
        for (int q = 0; q < Q; q++)
            w[q] = u[c * Q + q];
#pragma unroll
        for (int r = 0; r < R; r++) {
            const float16 b = (float16)(v[r * (FB * 16) + c]);
#pragma unroll
            for (int q = 0; q < Q; q++)
                a[r * Q + q] = madd(b, w[q], a[r * Q + q]);
        }
    }
#pragma unroll
    for (int i = 0; i < R * Q; i++)
        m[i] = a[i];
}

#endif
