/* concat.cl - one input's channels into their place among those of the concatenation, and back:
 *   concat_plain   y[n][AT + c][v] = x[n][c][v]                 in PLAIN [n][channels][V]
 *   concat_block   the same                                     in BLOCK16 [n][blocks][V][16]
 *   BACK           dx[n][c][v] = RELU_DX(dy[n][AT + c][v], x)   the other way, with either kernel
 *   C channels of the input, from channel AT of TOTAL on; overwritten (=), in BLOCK16 together with
 *   the zeros of the channels past the last (forward: the last input writes those of y)
 * Grid: PLAIN: (rows of ROW floats of a sample's C * V, n).  BLOCK16: (rows of ROW voxels, blocks of
 * the input, n).  Where AT is a multiple of 16 a block is copied whole, 16 channels at a time; else
 * its channels go one by one into two blocks.  Inputs are written one after the other, so that a
 * block of y that two of them share is whole after the second. */
#if !defined(C) || !defined(AT) || !defined(TOTAL) || !defined(V) || !defined(ROW)
#error "C, AT, TOTAL, V and ROW must be given"
#endif
#include "relu.h"
#define IB   ((C + 15) / 16)
#define OB   ((TOTAL + 15) / 16)
#define LAST (AT + C == TOTAL)

/* one: an input or its gradient; all: the concatenation or its gradient; x: see RELU_DX. */
__kernel void concat_plain(__global float *restrict one, __global float *restrict all,
                           __global const float *x)
{
    const size_t n = get_global_id(1), from = get_global_id(0) * ROW;
    const size_t end = min(from + ROW, (size_t)C * V);
    one += n * C * V;
    all += (n * TOTAL + AT) * V;
#ifdef RELU_IN
    x += n * C * V;
#endif
    for (size_t i = from; i < end; i++) {
#ifdef BACK
        const float g = all[i];
        one[i] = RELU_DX(g, x[i]);
#else
        all[i] = one[i];
#endif
    }
}

/* Voxel v of a block whose place begins a block of y. */
inline void move_block(__global float *one, __global float *all, __global const float *x, size_t v,
                       uint channels)
{
#ifdef BACK
    const float16 g = vload16(v, all);
    const int16 lane = (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#ifdef RELU_IN
    const float16 mask = vload16(v, x);
    vstore16(select(RELU_DX(g, mask), (float16)(0.0f), lane >= (int16)(channels)), v, one);
#else
    vstore16(select(g, (float16)(0.0f), lane >= (int16)(channels)), v, one);
#endif
#else
    vstore16(vload16(v, one), v, all);
#endif
}

__kernel void concat_block(__global float *restrict one, __global float *restrict all,
                           __global const float *x)
{
    const size_t n = get_global_id(2), block = get_global_id(1), from = get_global_id(0) * ROW;
    const size_t end = min(from + ROW, (size_t)V);
    const uint channels = min(16u, (uint)(C - block * 16));
    const size_t plane = (n * IB + block) * V;
    one += plane * 16;
#ifdef RELU_IN
    x += plane * 16;
#endif
    all += n * OB * V * 16;
    for (size_t v = from; v < end; v++) {
        if (AT % 16 == 0) {
            move_block(one, all + (AT / 16 + block) * V * 16, x, v, channels);
            continue;
        }
        for (uint c = 0; c < channels; c++) {
            const size_t at = AT + block * 16 + c, there = ((at / 16) * V + v) * 16 + at % 16;
#ifdef BACK
            const float g = all[there];
            one[v * 16 + c] = RELU_DX(g, x[v * 16 + c]);
#else
            all[there] = one[v * 16 + c];
#endif
        }
#ifdef BACK
        for (uint c = channels; c < 16; c++)
            one[v * 16 + c] = 0.0f;
#else
        if (LAST && block == IB - 1)
            for (uint c = TOTAL; c < OB * 16; c++)
                all[((size_t)(c / 16) * V + v) * 16 + c % 16] = 0.0f;
#endif
    }
}
