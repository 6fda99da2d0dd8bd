/* peak.cl - as many fused multiply-adds as the device can do, to give other figures as shares.
 *   x_k = x_k * a + b, ten chains of vectors, `loops` times; out[item] = the sum of all (=)
 * Grid: any number of work-items, each with out[item] of its own.
 * Why ten chains: a multiply-add takes 4 cycles and two start in each, so at least 8 must be under
 * way; with a and b ten chains still fit the 16 registers of AVX2.
 * Why not mad(): PoCL 3.1 does not inline it, a fifth of the speed; the compiler contracts x*a+b. */
#ifndef WIDTH /* floats of a vector: 1, 4, 8, 16 */
#define WIDTH 1
#endif
#if WIDTH == 1
#define VEC    float
#define SUM(x) (x)
#elif WIDTH == 4
#define VEC    float4
#define SUM(x) dot(x, (float4)(1.0f))
#elif WIDTH == 8
#define VEC    float8
#define SUM(x) (dot((x).lo, (float4)(1.0f)) + dot((x).hi, (float4)(1.0f)))
#elif WIDTH == 16
#define VEC     float16
#define SUM4(x) dot(x, (float4)(1.0f))
#define SUM(x)  (SUM4((x).lo.lo) + SUM4((x).lo.hi) + SUM4((x).hi.lo) + SUM4((x).hi.hi))
#else
#error "WIDTH must be 1, 4, 8 or 16"
#endif

__kernel void peak(__global float *out, int loops, float a, float b)
{
    const float start = (float)(get_global_id(0) % 7);
    const VEC va = (VEC)(a), vb = (VEC)(b);
    VEC x0 = (VEC)(start), x1 = x0 + 1, x2 = x0 + 2, x3 = x0 + 3, x4 = x0 + 4;
    VEC x5 = x0 + 5, x6 = x0 + 6, x7 = x0 + 7, x8 = x0 + 8, x9 = x0 + 9;
    for (int i = 0; i < loops; i++) {
        x0 = x0 * va + vb;
        x1 = x1 * va + vb;
        x2 = x2 * va + vb;
        x3 = x3 * va + vb;
        x4 = x4 * va + vb;
        x5 = x5 * va + vb;
        x6 = x6 * va + vb;
        x7 = x7 * va + vb;
        x8 = x8 * va + vb;
        x9 = x9 * va + vb;
    }
    out[get_global_id(0)] = SUM(x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9);
}
