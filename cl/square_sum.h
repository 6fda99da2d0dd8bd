/* square_sum.h - the sum of `count` squares, 16 at a time, by one item in a fixed order. */
#ifndef VOX_SQUARE_SUM_H
#define VOX_SQUARE_SUM_H

inline float square_sum(__global const float *g, uint count)
{
    float16 sum = (float16)(0.0f);
    float rest = 0.0f;
    uint i = 0;
    for (; i + 16 <= count; i += 16) {
        const float16 v = vload16(0, g + i);
        sum = fma(v, v, sum);
    }
    for (; i < count; i++)
        rest += g[i] * g[i];
    const float8 a = sum.lo + sum.hi;
    const float4 b = a.lo + a.hi;
    return b.x + b.y + b.z + b.w + rest;
}

#endif
