/* pad.cl - the layers pad and crop, forward and backward: a window on a volume, in another volume.
 *   to[n][c][p] = from[n][c][p + SHIFT] where that lies in from, else value       (=)
 *   from [.][FD][FH][FW], to [.][TD][TH][TW], one voxel a float or, LANES 16, 16 channels of BLOCK16,
 *   of which those past C stay 0
 * A relu before may be fused into the gradient: relu.h, x being its output.
 * Grid: (voxels of to in runs of ROW, planes of a sample, n). */
#include "relu.h"
#if !defined(FD) || !defined(FH) || !defined(FW) || !defined(TD) || !defined(TH) ||                 \
    !defined(TW) || !defined(SHIFT_D) || !defined(SHIFT_H) || !defined(SHIFT_W)
#error "give the voxels of from and to, and the shifts"
#endif
#if !defined(C) || !defined(LANES) || !defined(ROW)
#error "give the channels C, LANES (1 or 16) and ROW"
#endif
#define PLANES ((C + LANES - 1) / LANES)
#define FROM   ((size_t)FD * FH * FW)
#define TO     ((size_t)TD * TH * TW)

#if LANES == 16
#define voxel float16
#define GET(p, i)      vload16(i, p)
#define PUT(v, i, p)   vstore16(v, i, p)
#define FILL(v, plane)                                                                             \
    select((float16)(0.0f), (float16)(v),                                                          \
           (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) <                         \
               (int16)(C - 16 * (int)(plane)))
#else
#define voxel float
#define GET(p, i)      (p)[i]
#define PUT(v, i, p)   (p)[i] = (v)
#define FILL(v, plane) (v)
#endif

__kernel void pad(__global const float *restrict from, __global float *restrict to,
                  __global const float *restrict x, float value)
{
    const size_t plane = get_global_id(1), n = get_global_id(2), first = get_global_id(0) * ROW;
    const size_t end = min(first + ROW, TO);
    const voxel fill = FILL(value, plane);
    from += (n * PLANES + plane) * FROM * LANES;
    to += (n * PLANES + plane) * TO * LANES;
    x += (n * PLANES + plane) * TO * LANES;
    for (size_t i = first; i < end; i++) {
        const int w = (int)(i % TW) + SHIFT_W, h = (int)(i / TW % TH) + SHIFT_H;
        const int d = (int)(i / TW / TH) + SHIFT_D;
        voxel v = fill;
        if (w >= 0 && w < FW && h >= 0 && h < FH && d >= 0 && d < FD)
            v = GET(from, ((size_t)d * FH + h) * FW + w);
        PUT(RELU_DX(v, GET(x, i)), i, to);
    }
}
