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
 *   channels lie V elements apart in the stream, so each takes a block of its own, which serves four
 *   voxels. */
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

/* The least bits of which the uniform is >= p, as a multiple of 2^-24; with p = 1 scale is 0. */
inline uint least_kept(float p)
{
    return (uint)ceil(p * 16777216.0f) << 8;
}

inline float16 factor16(uint16 bits, uint least, float scale)
{
    return select((float16)(0.0f), (float16)(scale), bits >= least);
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
    const uint least = least_kept(p);
    for (; block + 16 <= last && 4 * (block + 16) <= count; block += 16) {
        uint16 r[4];
        vox_random_elements64(seed, PURPOSE, lane, step, sample + (uint)i, (uint)block, r);
#pragma unroll
        for (uint j = 0; j < 4; j++) {
            const ulong at = 4 * block + 16 * j;
            const float16 v = vload16(0, x + at) * factor16(r[j], least, scale);
            STORE16_GLOBAL(RELU_DX(v, vload16(0, relu + at)), y + at);
        }
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

/* Word phase + j of the eight of two blocks, the phase being each lane's own, 0 to 3. */
inline uint16 __attribute__((always_inline))
word_at(const uint16 now[4], const uint16 next[4], uint16 phase, uint j)
{
    const uint16 p1 = j + 1 < 4 ? now[j + 1] : next[j - 3], p2 = j + 2 < 4 ? now[j + 2] : next[j - 2];
    const uint16 p3 = j + 3 < 4 ? now[j + 3] : next[j - 1];
    const int16 odd = (phase & 1u) != 0u, high = phase >= 2u;
    return select(select(now[j], p1, odd), select(p2, p3, odd), high);
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
#if ROW % 4 != 0
#error "ROW must be a multiple of 4"
#endif
    /* Channels past C have x = 0, whatever they draw.  Four voxels take four numbers of each
     * channel's stream; unless V % 4 is 0 they begin within a block, at `phase`, and end in the next. */
    const uint least = least_kept(p);
    const ulong16 e = convert_ulong16(channel + VOX_STEPS16) * V + first;
    const uint16 phase = convert_uint16(e) & 3u;
    uint16 block = convert_uint16(e / 4), now[4], next[4];
    vox_random_blocks16(seed, PURPOSE, lane, step, sample + (uint)i, block, now);
    for (uint v = first; v < last; v += 4) {
        block += 1u;
        vox_random_blocks16(seed, PURPOSE, lane, step, sample + (uint)i, block, next);
#pragma unroll
        for (uint j = 0; j < 4; j++) {
            const uint16 bits = V % 4 == 0 ? now[j] : word_at(now, next, phase, j);
            if (V % 4 == 0 || v + j < last) {
                const float16 kept = vload16(v + j, x) * factor16(bits, least, scale);
                STORE16_GLOBAL(RELU_DX(kept, vload16(v + j, relu)), y + 16 * (v + j));
            }
            now[j] = next[j];
        }
    }
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
