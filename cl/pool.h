/* pool.h - the frame of pooling kernels: shapes, and the windows clipped to the input.
 *
 * Tensors are planes [planes][D][H][W][STEP]:
 *   PLAIN     STEP 1,  planes n * C
 *   BLOCK16   STEP 16, planes n * C/16; an item has one lane of 16
 * Output o covers inputs o*S - P .. o*S - P + K - 1 along each axis; CLIP 0 promises that no
 * window leaves the input, so that all bounds are constants and loops unroll. */
#ifndef VOX_POOL_H
#define VOX_POOL_H

#include "relu.h"

#if !defined(D) || !defined(H) || !defined(W) || !defined(OD) || !defined(OH) || !defined(OW)
#error "D H W (input) and OD OH OW (output) must be given"
#endif
#if !defined(KD) || !defined(KH) || !defined(KW) || !defined(SD) || !defined(SH) || !defined(SW)
#error "KD KH KW (kernel) and SD SH SW (stride) must be given"
#endif
#if !defined(PD) || !defined(PH) || !defined(PW) || !defined(CLIP)
#error "PD PH PW (padding) and CLIP must be given"
#endif
#ifndef STEP /* floats per voxel */
#define STEP 1
#endif

/* In-window offsets [first, last) of window `o` along an axis. */
#if CLIP
#define POOL_FIRST(o, S, P)      max(0, (P) - (int)(o) * (S))
#define POOL_LAST(o, S, P, K, N) min((K), (N) + (P) - (int)(o) * (S))
#else
#define POOL_FIRST(o, S, P)      0
#define POOL_LAST(o, S, P, K, N) (K)
#endif

/* The windows [first, last) that cover input i along an axis. */
#define POOL_COVER_FIRST(i, S, P, K)  ((i) + (P) < (K) ? 0 : ((i) + (P) - (K)) / (S) + 1)
#define POOL_COVER_LAST(i, S, P, ON) min(((i) + (P)) / (S) + 1, (ON))

/* Loops over a window's elements; d, h, w count from its start. */
#define POOL_WINDOW(od, oh, ow)                                                                    \
    for (int d = POOL_FIRST(od, SD, PD); d < POOL_LAST(od, SD, PD, KD, D); d++)                    \
        for (int h = POOL_FIRST(oh, SH, PH); h < POOL_LAST(oh, SH, PH, KH, H); h++)                \
            for (int w = POOL_FIRST(ow, SW, PW); w < POOL_LAST(ow, SW, PW, KW, W); w++)

/* The place of a window's element in its plane. */
#define POOL_AT(od, oh, ow)                                                                        \
    ((((od) * SD - PD + d) * H + ((oh) * SH - PH + h)) * W + ((ow) * SW - PW + w)) * STEP

#define IN_PLANE  ((size_t)D * H * W * STEP)
#define OUT_PLANE ((size_t)OD * OH * OW * STEP)

#endif
