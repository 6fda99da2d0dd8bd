/* common.h - what every kernel may use: the counter-based generator.
 *
 * vox_random_block is the twin of the host's (src/base/philox.c), bit for bit:
 *   counter = { block, sample, step, purpose << 16 | lane }, key = seed
 * so that a mask depends on (seed, purpose, step, global sample, element) and
 * never on the device.
 * Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11. */
#ifndef VOX_COMMON_H
#define VOX_COMMON_H

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

/* Sixteen blocks at once, for CPUs: word j of block k of the caller's is component k of r[j].  The
 * products are of 64 bits, for which CPUs have vector instructions, unlike for mul_hi. */
inline void vox_random_blocks16(ulong seed, uint purpose, uint lane, uint step, uint sample,
                                uint16 block, uint16 r[4])
{
    uint16 c0 = block, c1 = (uint16)(sample), c2 = (uint16)(step);
    uint16 c3 = (uint16)(purpose << 16 | (lane & 0xffffu));
    uint2 k = (uint2)((uint)seed, (uint)(seed >> 32));
    for (int round = 0; round < 10; round++) {
        const ulong16 a = convert_ulong16(c0) * 0xD2511F53ul, b = convert_ulong16(c2) * 0xCD9E8D57ul;
        c0 = convert_uint16(b >> 32) ^ c1 ^ k.x;
        c2 = convert_uint16(a >> 32) ^ c3 ^ k.y;
        c1 = convert_uint16(b);
        c3 = convert_uint16(a);
        k += (uint2)(0x9E3779B9u, 0xBB67AE85u);
    }
    r[0] = c0;
    r[1] = c1;
    r[2] = c2;
    r[3] = c3;
}

/* From word order, w[j].k, to element order: element 4k + j is component (4k + j) % 16 of
 * w[(4k + j) / 16]. */
#define VOX_ZIP(a, b)                                                                              \
    (float16)(a.s0, b.s0, a.s1, b.s1, a.s2, b.s2, a.s3, b.s3, a.s4, b.s4, a.s5, b.s5, a.s6, b.s6,  \
              a.s7, b.s7)

inline void vox_element_order(float16 w[4])
{
    const float16 even_low = VOX_ZIP(w[0].lo, w[2].lo), odd_low = VOX_ZIP(w[1].lo, w[3].lo);
    const float16 even_high = VOX_ZIP(w[0].hi, w[2].hi), odd_high = VOX_ZIP(w[1].hi, w[3].hi);
    w[0] = VOX_ZIP(even_low.lo, odd_low.lo);
    w[1] = VOX_ZIP(even_low.hi, odd_low.hi);
    w[2] = VOX_ZIP(even_high.lo, odd_high.lo);
    w[3] = VOX_ZIP(even_high.hi, odd_high.hi);
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
