/* dense_stream.cl - dense for CPUs: the weights stream through once, everything else stays cached.
 *   formulas, shapes and names as in dense_naive.cl
 * A dense layer at a small batch is bound by reading W (or writing dW) from memory, so each item
 * takes ROWS rows of W, in work-groups of one, and works on float16 vectors:
 *
 *          W [OUT][IN]                   x [n][IN], in the second cache
 *   item ->| row 0  ................ |   | sample 0 ............. |
 *          | ...    16 at a time ->  |   | ...  NB at a time      |
 *          | row R-1 ............... |   | sample NB-1 .......... |
 *
 * forward: ROWS x NB vector sums, added across at the end.  For more samples than NB the ROWS rows
 *   are walked again, from the cache.
 * backward_data: item g adds its rows' dy * W into part[g][n][IN]; then the parts are added in order.
 *   A relu before it may be fused (relu.h; x is its output) where dx is written.
 * backward_weights: each vector of dW is the sum over samples of one dy and one vector of x. */
#include "relu.h"
#if !defined(IN) || !defined(OUT) || !defined(BIAS)
#error "IN, OUT and BIAS (0 or 1) must be given"
#endif
#ifndef ROWS /* rows of W an item has (ROWS * NB vector registers) */
#define ROWS 4
#endif
#ifndef NB /* samples at a time */
#define NB 4
#endif
#ifndef SHARE /* rows of W an item has in backward_data, a multiple of ROWS */
#define SHARE 64
#endif
#define WHOLE (IN / 16 * 16)

inline float add_across(float16 v)
{
    const float8 a = v.lo + v.hi;
    const float4 b = a.lo + a.hi;
    const float2 c = b.lo + b.hi;
    return c.x + c.y;
}

__kernel void dense_stream_forward(__global const float *restrict x, __global const float *restrict w,
                                   __global const float *restrict b, __global float *restrict y,
                                   uint n)
{
    const uint o = (uint)get_global_id(0) * ROWS;
    __global const float *row[ROWS], *sample[NB];
    for (uint r = 0; r < ROWS; r++) /* rows and samples past the end: the last one again, not stored */
        row[r] = w + (size_t)min(o + r, OUT - 1u) * IN;
    for (uint first = 0; first < n; first += NB) {
        float16 sum[ROWS][NB];
        for (uint s = 0; s < NB; s++) {
            sample[s] = x + (size_t)min(first + s, n - 1) * IN;
            for (uint r = 0; r < ROWS; r++)
                sum[r][s] = (float16)(0.0f);
        }
        for (uint i = 0; i < WHOLE; i += 16)
            for (uint s = 0; s < NB; s++) {
                const float16 v = vload16(0, sample[s] + i);
                for (uint r = 0; r < ROWS; r++)
                    sum[r][s] = fma(vload16(0, row[r] + i), v, sum[r][s]);
            }
        for (uint r = 0; r < ROWS && o + r < OUT; r++)
            for (uint s = 0; s < NB && first + s < n; s++) {
                float total = add_across(sum[r][s]);
                for (uint i = WHOLE; i < IN; i++)
                    total += row[r][i] * sample[s][i];
                total = BIAS ? total + b[o + r] : total;
                y[(size_t)(first + s) * OUT + o + r] = RELU_Y(total);
            }
    }
}

/* to[i] += sum over `count` rows of g[r] * W[o + r, i]; count is a constant where it is called. */
inline void add_rows(__global const float *w, const float *g, uint count, __global float *to)
{
    for (uint i = 0; i < WHOLE; i += 16) {
        float16 sum = vload16(0, to + i);
        for (uint r = 0; r < count; r++)
            sum = fma((float16)(g[r]), vload16(0, w + (size_t)r * IN + i), sum);
        vstore16(sum, 0, to + i);
    }
    for (uint i = WHOLE; i < IN; i++)
        for (uint r = 0; r < count; r++)
            to[i] += g[r] * w[(size_t)r * IN + i];
}

/* part[g][n][IN], overwritten (=); with one part that is dx. */
__kernel void dense_stream_backward_data(__global const float *restrict dy,
                                         __global const float *restrict w,
                                         __global float *restrict part,
                                         __global const float *restrict x, uint n)
{
    const uint begin = (uint)get_global_id(0) * SHARE, end = min(begin + SHARE, (uint)OUT);
    part += get_global_id(0) * n * IN;
    for (size_t i = 0; i < (size_t)n * IN; i++)
        part[i] = 0.0f;
    for (uint o = begin; o < end;) {
        const bool full = o + ROWS <= end;
        const uint count = full ? ROWS : 1;
        for (uint s = 0; s < n; s++) {
            float g[ROWS];
            for (uint r = 0; r < count; r++)
                g[r] = dy[(size_t)s * OUT + o + r];
            if (full)
                add_rows(w + (size_t)o * IN, g, ROWS, part + (size_t)s * IN);
            else
                add_rows(w + (size_t)o * IN, g, 1, part + (size_t)s * IN);
        }
        o += count;
    }
#if OUT <= SHARE
    for (size_t i = 0; i < (size_t)n * IN; i++)
        part[i] = RELU_DX(part[i], x[i]);
#endif
}

__kernel void dense_stream_backward_weights(__global const float *restrict x,
                                            __global const float *restrict dy,
                                            __global float *restrict dw, __global float *restrict db,
                                            uint n, uint accumulate)
{
    const uint o = (uint)get_global_id(0) * ROWS, rows = min((uint)ROWS, OUT - o);
    dw += (size_t)o * IN;
    dy += o;
    for (uint r = 0; r < rows; r++) {
        __global float *to = dw + (size_t)r * IN;
        for (uint i = 0; i < WHOLE; i += 16) {
            float16 sum = accumulate ? vload16(0, to + i) : (float16)(0.0f);
            for (uint s = 0; s < n; s++)
                sum = fma((float16)(dy[(size_t)s * OUT + r]), vload16(0, x + (size_t)s * IN + i), sum);
            vstore16(sum, 0, to + i);
        }
        for (uint i = WHOLE; i < IN; i++) {
            float sum = accumulate ? to[i] : 0.0f;
            for (uint s = 0; s < n; s++)
                sum += dy[(size_t)s * OUT + r] * x[(size_t)s * IN + i];
            to[i] = sum;
        }
        if (BIAS) {
            float sum = accumulate ? db[o + r] : 0.0f;
            for (uint s = 0; s < n; s++)
                sum += dy[(size_t)s * OUT + r];
            db[o + r] = sum;
        }
    }
}

/* dx[count] = part[0][count] + part[1][count] + ...; flat, 16 at a time. */
__kernel void dense_stream_add_parts(__global const float *restrict part, __global float *restrict dx,
                                     __global const float *restrict x, uint parts, ulong count)
{
    const size_t first = get_global_id(0) * 16;
    if (first + 16 <= count) {
        float16 sum = vload16(0, part + first);
        for (uint g = 1; g < parts; g++)
            sum += vload16(0, part + g * count + first);
        vstore16(RELU_DX(sum, vload16(0, x + first)), 0, dx + first);
        return;
    }
    for (size_t i = first; i < count; i++) {
        float sum = part[i];
        for (uint g = 1; g < parts; g++)
            sum += part[g * count + i];
        dx[i] = RELU_DX(sum, x[i]);
    }
}
