/* reorder.cl - between the layouts PLAIN [n][C][V] and BLOCK16 [n][ceil(C/16)][V][16].
 *   overwritten (=); channels past C become zeros in BLOCK16 and are left out of PLAIN
 * Grid: one item per ROW voxels of one block of one sample.  CPUs take long rows, so that 16
 * streams of one side and one of the other go through a core's cache; GPUs take ROW 1: neighbours
 * have neighbouring voxels, so PLAIN is coalesced and BLOCK16 goes in whole 64-byte lines.
 * x: the output of a relu before flatten, whose gradient is fused: relu.h, in the layout written. */
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

__kernel void block_from_plain(__global const float *restrict plain, __global float *restrict block,
                               __global const float *restrict x, ulong items)
{
    REORDER_BEGIN
    x += (plane * V + first) * 16;
    if (channels == 16) {
        for (uint v = 0; v < count; v++) {
            __global const float *p = plain + v;
#define AT(c) p[(size_t)(c) * V]
            const float16 row =
                (float16)(AT(0), AT(1), AT(2), AT(3), AT(4), AT(5), AT(6), AT(7), AT(8), AT(9),
                          AT(10), AT(11), AT(12), AT(13), AT(14), AT(15));
            vstore16(RELU_DX(row, vload16(v, x)), v, block);
        }
        return;
    }
    for (uint v = 0; v < count; v++)
        for (uint c = 0; c < 16; c++)
            block[v * 16 + c] =
                c < channels ? RELU_DX(plain[(size_t)c * V + v], x[v * 16 + c]) : 0.0f;
}

__kernel void plain_from_block(__global const float *restrict block, __global float *restrict plain,
                               __global const float *restrict x, ulong items)
{
    REORDER_BEGIN
    x += ((plane / BLOCKS) * C + channel) * V + first;
    for (uint c = 0; c < channels; c++)
        for (uint v = 0; v < count; v++)
            plain[(size_t)c * V + v] = RELU_DX(block[v * 16 + c], x[(size_t)c * V + v]);
}
