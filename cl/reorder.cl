/* reorder.cl - between the layouts PLAIN [n][C][V] and BLOCK16 [n][ceil(C/16)][V][16].
 *   overwritten (=); channels past C become zeros in BLOCK16 and are left out of PLAIN
 * Grid: one item per ROW voxels of one block of one sample.  GPUs take ROW 1: neighbours have
 * neighbouring voxels, so PLAIN is coalesced and BLOCK16 goes in whole 64-byte lines.  CPUs take long
 * rows, 16 voxels of 16 channels at a time, which are transposed in registers:
 *
 *     a b c d      Put the rows one after the other, cut them in the middle, and zip the halves:
 *     e f g h      a i b j c k d l e m f n g o h p.  Each time the place of a number, in bits, turns
 *     i j k l      round by one: row number to the left, column number from the right.  After as many
 *     m n o p      times as a row number has bits (here two, of 16 rows four) rows are columns.
 *
 * x: the output of a relu before flatten, whose gradient is fused: relu.h, in the layout written. */
#include "cpu.h"
#include "relu.h"
#if !defined(C) || !defined(V)
#error "C (channels) and V (voxels) must be given"
#endif
#ifndef ROW /* voxels per item */
#define ROW 1
#endif
#define BLOCKS ((C + 15) / 16)
#define ROWS   ((V + ROW - 1) / ROW)

/* This item's block of 16 channels and first voxel. */
#define REORDER_BEGIN                                                                              \
    const size_t id = get_global_id(0), plane = id / ROWS;                                         \
    if (id >= items)                                                                               \
        return;                                                                                    \
    const uint first = (uint)(id % ROWS) * ROW, count = min((uint)ROW, V - first);                 \
    const uint channel = (uint)(plane % BLOCKS) * 16, channels = min(16u, C - channel);            \
    plain += ((plane / BLOCKS) * C + channel) * V + first;                                         \
    block += (plane * V + first) * 16;

#if ROW >= 16
inline void __attribute__((always_inline)) transpose(float16 a[16])
{
#pragma unroll
    for (int bit = 0; bit < 4; bit++) {
        float16 b[16];
#pragma unroll
        for (int i = 0; i < 8; i++) {
            b[2 * i] = (float16)ZIP_LOW(a[i], a[i + 8]);
            b[2 * i + 1] = (float16)ZIP_HIGH(a[i], a[i + 8]);
        }
#pragma unroll
        for (int i = 0; i < 16; i++)
            a[i] = b[i];
    }
}
#endif

__kernel void block_from_plain(__global const float *restrict plain, __global float *restrict block,
                               __global const float *restrict x, ulong items)
{
    REORDER_BEGIN
    x += (plane * V + first) * 16;
    uint v = 0;
#if ROW >= 16
    for (; v + 16 <= count; v += 16) {
        float16 a[16];
#pragma unroll
        for (uint c = 0; c < 16; c++)
            a[c] = c < channels ? vload16(0, plain + (size_t)c * V + v) : (float16)(0.0f);
        transpose(a);
#pragma unroll
        for (uint i = 0; i < 16; i++)
            STREAM16(RELU_DX(a[i], vload16(v + i, x)), block + (v + i) * 16);
    }
    STREAM_END;
#endif
    for (; v < count; v++)
        for (uint c = 0; c < 16; c++)
            block[v * 16 + c] =
                c < channels ? RELU_DX(plain[(size_t)c * V + v], x[v * 16 + c]) : 0.0f;
}

__kernel void plain_from_block(__global const float *restrict block, __global float *restrict plain,
                               __global const float *restrict x, ulong items)
{
    REORDER_BEGIN
    x += ((plane / BLOCKS) * C + channel) * V + first;
    uint whole = 0;
#if ROW >= 16
    for (; whole + 16 <= count; whole += 16) {
        float16 a[16];
#pragma unroll
        for (uint i = 0; i < 16; i++)
            a[i] = vload16(whole + i, block);
        transpose(a);
#pragma unroll
        for (uint c = 0; c < 16; c++)
            if (c < channels) {
                const size_t at = (size_t)c * V + whole;
                if (V % 16 == 0)
                    STREAM16(RELU_DX(a[c], vload16(0, x + at)), plain + at);
                else
                    STORE16_GLOBAL(RELU_DX(a[c], vload16(0, x + at)), plain + at);
            }
    }
    STREAM_END;
#endif
    for (uint c = 0; c < channels; c++)
        for (uint v = whole; v < count; v++)
            plain[(size_t)c * V + v] = RELU_DX(block[v * 16 + c], x[(size_t)c * V + v]);
}
