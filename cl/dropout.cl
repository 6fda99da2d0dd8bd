/* dropout.cl - y = x * (kept ? 1 / (1 - p) : 0), and the same with gradients.
 *   x, y tensors of n samples; y overwritten (=)
 *   kept = uniform >= p, where the uniform of an element is number e of the stream (seed, dropout,
 *   lane, step, global sample), e = (c*D + d)*H*W + h*W + w within the sample, whatever the layout;
 *   with whole channels e = c.  The mask is not kept but drawn again by the backward pass, where a
 *   relu before it may be fused: relu.h, `relu` being its output.
 *
 * dropout_plain: four elements, one block of the generator, at a time (CPUs: sixteen blocks); ROW
 *   blocks an item.
 * dropout_lanes: BLOCK16 (LANES 16) and whole channels: ROW voxels of a plane an item; a voxel's 16
 *   channels lie V elements apart in the stream, so each takes a block of its own. */
#include "common.h"
#include "relu.h"

#if !defined(C) || !defined(V)
#error "C (channels) and V (voxels) must be given"
#endif
#ifndef ROW /* blocks or voxels per item */
#define ROW 1
#endif
#ifndef LANES /* channels that lie side by side: 1 or 16 */
#define LANES 1
#endif
#ifndef WHOLE /* 1: whole channels */
#define WHOLE 0
#endif
#define PURPOSE 3u /* VOX_RANDOM_DROPOUT */
#define PLANES  ((C + LANES - 1) / LANES)

inline float factor(uint bits, float p, float scale)
{
    return vox_uniform(bits) >= p ? scale : 0.0f;
}

inline float16 factor16(uint16 bits, float p, float scale)
{
    return select((float16)(0.0f), (float16)(scale), vox_uniform16(bits) >= (float16)(p));
}

__kernel void dropout_plain(__global const float *restrict x, __global float *restrict y,
                            __global const float *restrict relu, float p, float scale, ulong seed,
                            uint lane, uint step, uint sample)
{
    const ulong count = (ulong)C * V, i = get_global_id(1);
    const ulong first = get_global_id(0) * (ulong)ROW, last = min(first + ROW, (count + 3) / 4);
    x += i * count;
    y += i * count;
    relu += i * count;
    ulong block = first;
#if ROW >= 16
    for (; block + 16 <= last && 4 * (block + 16) <= count; block += 16) {
        uint16 r[4];
        float16 f[4];
        vox_random_blocks16(seed, PURPOSE, lane, step, sample + (uint)i, (uint)block + VOX_STEPS16, r);
        for (uint j = 0; j < 4; j++)
            f[j] = factor16(r[j], p, scale);
        vox_element_order(f);
        for (uint j = 0; j < 4; j++)
            vstore16(RELU_DX(vload16(j, x + 4 * block) * f[j], vload16(j, relu + 4 * block)), j,
                     y + 4 * block);
    }
#endif
    for (; block < last; block++) {
        const uint4 r = vox_random_block(seed, PURPOSE, lane, step, sample + (uint)i, (uint)block);
        const float4 f = (float4)(factor(r.x, p, scale), factor(r.y, p, scale),
                                  factor(r.z, p, scale), factor(r.w, p, scale));
        const ulong at = 4 * block;
        if (at + 4 <= count) {
            vstore4(RELU_DX(vload4(0, x + at) * f, vload4(0, relu + at)), 0, y + at);
        } else {
            y[at] = RELU_DX(x[at] * f.x, relu[at]);
            if (at + 1 < count)
                y[at + 1] = RELU_DX(x[at + 1] * f.y, relu[at + 1]);
            if (at + 2 < count)
                y[at + 2] = RELU_DX(x[at + 2] * f.z, relu[at + 2]);
        }
    }
}

/* Number e of the stream. */
inline uint number(ulong seed, uint lane, uint step, uint sample, ulong e)
{
    const uint4 r = vox_random_block(seed, PURPOSE, lane, step, sample, (uint)(e / 4));
    const uint low = e & 1 ? r.y : r.x, high = e & 1 ? r.w : r.z;
    return e & 2 ? high : low;
}

__kernel void dropout_lanes(__global const float *restrict x, __global float *restrict y,
                            __global const float *restrict relu, float p, float scale, ulong seed,
                            uint lane, uint step, uint sample)
{
    const uint first = (uint)get_global_id(0) * ROW, last = min(first + ROW, (uint)V);
    const uint channel = (uint)get_global_id(1) * LANES;
    const ulong i = get_global_id(2), plane = i * PLANES + get_global_id(1);
    x += plane * V * LANES;
    y += plane * V * LANES;
    relu += plane * V * LANES;
#if LANES == 16 && WHOLE == 0 && ROW >= 4
    /* Channels past C have x = 0, whatever they draw. */
    const uint16 channels = channel + VOX_STEPS16;
    uint16 r[4];
#if V % 4 == 0 && ROW % 4 == 0
    for (uint v = first; v < last; v += 4) { /* four voxels share the blocks of their channels */
        vox_random_blocks16(seed, PURPOSE, lane, step, sample + (uint)i, channels * (V / 4) + v / 4, r);
        for (uint j = 0; j < 4; j++)
            vstore16(RELU_DX(vload16(v + j, x) * factor16(r[j], p, scale), vload16(v + j, relu)),
                     v + j, y);
    }
#else
    for (uint v = first; v < last; v++) {
        const ulong16 e = convert_ulong16(channels) * V + v;
        const uint16 word = convert_uint16(e);
        vox_random_blocks16(seed, PURPOSE, lane, step, sample + (uint)i, convert_uint16(e / 4), r);
        const uint16 low = select(r[0], r[1], (word & 1) != 0);
        const uint16 high = select(r[2], r[3], (word & 1) != 0);
        const uint16 bits = select(low, high, (word & 2) != 0);
        vstore16(RELU_DX(vload16(v, x) * factor16(bits, p, scale), vload16(v, relu)), v, y);
    }
#endif
    return;
#endif
#if LANES == 16 && WHOLE == 1
    float f[16];
    for (uint k = 0; k < 16; k++)
        f[k] = channel + k < C
                   ? factor(number(seed, lane, step, sample + (uint)i, channel + k), p, scale)
                   : 0.0f;
    const float16 kept = vload16(0, f);
    for (uint v = first; v < last; v++)
        vstore16(RELU_DX(vload16(v, x) * kept, vload16(v, relu)), v, y);
    return;
#endif
    for (uint k = 0; k < LANES; k++) {
        const uint c = channel + k;
        float f = WHOLE == 1 ? factor(number(seed, lane, step, sample + (uint)i, c), p, scale) : 0.0f;
        for (uint v = first; v < last; v++) {
            if (WHOLE == 0 && c < C)
                f = factor(number(seed, lane, step, sample + (uint)i, (ulong)c * V + v), p, scale);
            const size_t at = (size_t)v * LANES + k;
            y[at] = RELU_DX(x[at] * f, relu[at]);
        }
    }
}
