/* common.h - what every kernel may use: the counter-based generator.
 *
 * vox_random_block is the twin of the host's (src/base/philox.c), bit for bit:
 *   counter = { block, sample, step, purpose << 16 | lane }, key = seed
 * so that a mask depends on (seed, purpose, step, global sample, element) and
 * never on the device.
 * Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11. */
#ifndef VOX_COMMON_H
#define VOX_COMMON_H

#include "cpu.h"

inline uint4 vox_philox4x32_10(uint4 c, uint2 k)
{
    for (int round = 0; round < 10; round++) {
        const uint hi0 = mul_hi(0xD2511F53u, c.x), lo0 = 0xD2511F53u * c.x;
        const uint hi1 = mul_hi(0xCD9E8D57u, c.z), lo1 = 0xCD9E8D57u * c.z;
        c = (uint4)(hi1 ^ c.y ^ k.x, lo1, hi0 ^ c.w ^ k.y, lo0);
        k += (uint2)(0x9E3779B9u, 0xBB67AE85u);
    }
    return c;
}

/* Elements 4*block .. 4*block+3 of the stream of one sample. */
inline uint4 vox_random_block(ulong seed, uint purpose, uint lane, uint step, uint sample, uint block)
{
    return vox_philox4x32_10((uint4)(block, sample, step, purpose << 16 | (lane & 0xffffu)),
                             (uint2)((uint)seed, (uint)(seed >> 32)));
}

/* ---- sixteen blocks at once, for CPUs ----
 * CPUs have no vector instruction for mul_hi, but one for 64-bit products of the lower halves of
 * 64-bit lanes.  So each word of eight blocks has eight such lanes; their upper halves hold what the
 * product before left there, and nobody looks at them. */
#define VOX_LOW(v)       ((v) & 0xffffffffu)
#define VOX_PAIR(v, w)   as_uint16(VOX_LOW(v) | (w) << 32) /* v.0 w.0 v.1 w.1 ... */
#define VOX_ALWAYS_INLINE inline void __attribute__((always_inline))

VOX_ALWAYS_INLINE vox_random_lanes(ulong seed, uint purpose, uint lane, uint step, uint sample,
                                   ulong8 block, ulong8 c[4])
{
    ulong8 kx = (ulong8)(seed), ky = (ulong8)(seed >> 32);
    c[0] = block;
    c[1] = (ulong8)(sample);
    c[2] = (ulong8)(step);
    c[3] = (ulong8)(purpose << 16 | (lane & 0xffffu));
#pragma unroll
    for (int round = 0; round < 10; round++) {
        const ulong8 a = VOX_LOW(c[0]) * 0xD2511F53ul, b = VOX_LOW(c[2]) * 0xCD9E8D57ul;
        c[0] = (b >> 32) ^ c[1] ^ kx;
        c[1] = b;
        c[2] = (a >> 32) ^ c[3] ^ ky;
        c[3] = a;
        kx += 0x9E3779B9u;
        ky += 0xBB67AE85u;
    }
}

/* Word j of block k of the caller's is component k of r[j]. */
VOX_ALWAYS_INLINE vox_random_blocks16(ulong seed, uint purpose, uint lane, uint step, uint sample,
                                      uint16 block, uint16 r[4])
{
    ulong8 even[4], odd[4];
    vox_random_lanes(seed, purpose, lane, step, sample, as_ulong8(block), even);
    vox_random_lanes(seed, purpose, lane, step, sample, as_ulong8(block) >> 32, odd);
#pragma unroll
    for (int j = 0; j < 4; j++)
        r[j] = VOX_PAIR(even[j], odd[j]);
}

/* The 64 elements of the blocks from `block` on, in their order. */
VOX_ALWAYS_INLINE vox_random_elements64(ulong seed, uint purpose, uint lane, uint step, uint sample,
                                        uint block, uint16 r[4])
{
#pragma unroll
    for (uint half_ = 0; half_ < 2; half_++) {
        ulong8 c[4];
        vox_random_lanes(seed, purpose, lane, step, sample,
                         block + 8 * half_ + (ulong8)(0, 1, 2, 3, 4, 5, 6, 7), c);
        const ulong8 first = as_ulong8(VOX_PAIR(c[0], c[1])), last = as_ulong8(VOX_PAIR(c[2], c[3]));
        r[2 * half_] = as_uint16((ulong8)ZIP8_LOW(first, last));
        r[2 * half_ + 1] = as_uint16((ulong8)ZIP8_HIGH(first, last));
    }
}

/* From word order, w[j].k, to element order: element 4k + j is component (4k + j) % 16 of
 * w[(4k + j) / 16]. */
inline void vox_element_order(float16 w[4])
{
    const float16 even_low = (float16)ZIP_LOW(w[0], w[2]), odd_low = (float16)ZIP_LOW(w[1], w[3]);
    const float16 even_high = (float16)ZIP_HIGH(w[0], w[2]), odd_high = (float16)ZIP_HIGH(w[1], w[3]);
    w[0] = (float16)ZIP_LOW(even_low, odd_low);
    w[1] = (float16)ZIP_HIGH(even_low, odd_low);
    w[2] = (float16)ZIP_LOW(even_high, odd_high);
    w[3] = (float16)ZIP_HIGH(even_high, odd_high);
}

/* 0, 1, ... 15 */
#define VOX_STEPS16 (uint16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

inline float16 vox_uniform16(uint16 bits)
{
    return convert_float16(bits >> 8) * (1.0f / 16777216.0f);
}

/* [0, 1), exact in float: the same value as the host's vox_uniform. */
inline float vox_uniform(uint bits)
{
    return (float)(bits >> 8) * (1.0f / 16777216.0f);
}

#endif
