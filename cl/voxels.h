/* voxels.h - sixteen voxels at once, for CPUs: what softmax and the losses over voxels share.
 *
 *   get16(p, left)      vload16 of what there is, `left` numbers (>= 1); zeros after them
 *   put16(v, p, left)   vstore16 of as many
 *   add_across(v)       the sum of the sixteen, in a fixed order
 *   exp16(x)            exp for x <= 0: what is left after the largest was subtracted; NaN passes.
 *                       Below -87 it is 0 (exp would be smaller than 1.7e-38)
 *   log16(s)            log for finite s >= 1: a sum of exp16 of which one is 1; NaN passes
 * exp16 and log16 are good to 2 ulp.  They are written out because exp and log, which serve all numbers,
 * take longer: with PoCL 3.1's the loss of two classes takes half as long again. */
#ifndef VOX_VOXELS_H
#define VOX_VOXELS_H

#include "cpu.h"

inline float16 get16(__global const float *p, uint left)
{
    if (left >= 16)
        return vload16(0, p);
    float part[16];
    for (uint i = 0; i < 16; i++)
        part[i] = i < left ? p[i] : 0.0f;
    return LOAD16(part);
}

inline void put16(float16 v, __global float *p, uint left)
{
    if (left >= 16) {
        STORE16_GLOBAL(v, p);
        return;
    }
    float part[16];
    STORE16(v, part);
    for (uint i = 0; i < left; i++)
        p[i] = part[i];
}

inline float add_across(float16 v)
{
    const float8 a = v.lo + v.hi;
    const float4 b = a.lo + a.hi;
    return (b.x + b.y) + (b.z + b.w);
}

/* x = k log 2 + r with a whole k and |r| <= log 2 / 2, so exp(x) = 2^k exp(r).  Adding 1.5 * 2^23 to
 * x / log 2 leaves k in the lowest bits, rounded; log 2 comes in two pieces, of which the first has few
 * bits, so that k times it is exact.  exp(r) = 1 + r + r^2 q(r): Cephes' polynomial. */
inline float16 exp16(float16 x)
{
    const float16 shifted = x * 1.44269504f + 12582912.0f, k = shifted - 12582912.0f;
    const float16 r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
    float16 q = r * 1.9875691500e-4f + 1.3981999507e-3f;
    q = q * r + 8.3334519073e-3f;
    q = q * r + 4.1665795894e-2f;
    q = q * r + 1.6666665459e-1f;
    q = q * r + 5.0000001201e-1f;
    const float16 e = q * (r * r) + r + 1.0f;
    const float16 power = as_float16((as_int16(shifted) << 23) + (127 << 23));
    return select(e * power, (float16)(0.0f), x < -87.0f);
}

/* s = 2^k m with sqrt(1/2) <= m < sqrt(2), so log(s) = k log 2 + log(m), and log(m) = log(1 + f) by
 * Cephes' polynomial. */
inline float16 log16(float16 s)
{
    const int16 up = as_int16(s) - 0x3f3504f3; /* of sqrt(1/2) */
    const float16 k = convert_float16(up >> 23);
    const float16 f = as_float16((up & 0x7fffff) + 0x3f3504f3) - 1.0f, square = f * f;
    float16 q = f * 7.0376836292e-2f - 1.1514610310e-1f;
    q = q * f + 1.1676998740e-1f;
    q = q * f - 1.2420140846e-1f;
    q = q * f + 1.4249322787e-1f;
    q = q * f - 1.6668057665e-1f;
    q = q * f + 2.0000714765e-1f;
    q = q * f - 2.4999993993e-1f;
    q = q * f + 3.3333331174e-1f;
    const float16 low = q * (square * f) + (k * -2.12194440e-4f - 0.5f * square);
    return select((f + low) + k * 0.693359375f, s, isnan(s));
}

#endif
