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
 * backward_data: item g adds its rows' dy * W into part[g][n][IN], ROWS rows and NB samples at a time;
 *   then the parts are added in order.  A relu before it may be fused (relu.h; x is its output) where dx is written.
 * backward_weights: each vector of dW is the sum over samples of one dy and one vector of x; ROWS x
 *   WIDE floats of dW are kept while the samples go by. */
#include "cpu.h"
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
#define CHUNK 1024 /* floats of each sample's part at a time, in backward_data */
#define WIDE  64   /* floats of each of its rows at a time, in backward_weights */

/* b*v + c; taking vectors by value keeps PoCL's compiler from splitting them in two. */
inline float16 __attribute__((always_inline)) madd(float16 b, float16 v, float16 c)
{
    return b * v + c;
}

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
        for (uint i = 0; i < WHOLE; i += 16) {
            float16 v[NB];
#pragma unroll
            for (uint s = 0; s < NB; s++)
                v[s] = vload16(0, sample[s] + i);
#pragma unroll
            for (uint r = 0; r < ROWS; r++) {
                const float16 k = vload16(0, row[r] + i);
#pragma unroll
                for (uint s = 0; s < NB; s++)
                    sum[r][s] = madd(k, v[s], sum[r][s]);
            }
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

/* to[s][i] += sum over `rows` rows of dy[s][r] * W[r, i], i below `count`, a multiple of 16, for `samples`
 * samples; rows and samples are constants where it is called.  static:
 * else a body for all numbers of them would be kept, of which the compiler complains. */
static inline void __attribute__((always_inline))
add_tile(__global const float *w, __global const float *dy, uint rows, uint samples, uint count,
         __global float *to)
{
    float g[NB][ROWS];
    for (uint s = 0; s < samples; s++)
        for (uint r = 0; r < rows; r++)
            g[s][r] = dy[(size_t)s * OUT + r];
    for (uint i = 0; i < count; i += 16) {
        float16 sum[NB];
#pragma unroll
        for (uint s = 0; s < samples; s++)
            sum[s] = vload16(0, to + (size_t)s * IN + i);
#pragma unroll
        for (uint r = 0; r < rows; r++) {
            const float16 k = vload16(0, w + (size_t)r * IN + i);
#pragma unroll
            for (uint s = 0; s < samples; s++)
                sum[s] = madd((float16)(g[s][r]), k, sum[s]);
        }
#pragma unroll
        for (uint s = 0; s < samples; s++)
            STORE16_GLOBAL(sum[s], to + (size_t)s * IN + i);
    }
}

/* The same for rows and samples that need not fill a tile. */
inline void add_rows(__global const float *w, __global const float *dy, uint rows, uint n, uint count,
                     __global float *to)
{
    uint s = 0;
    for (; rows == ROWS && s + NB <= n; s += NB)
        add_tile(w, dy + (size_t)s * OUT, ROWS, NB, count, to + (size_t)s * IN);
    for (; s < n; s++)
        if (rows == ROWS)
            add_tile(w, dy + (size_t)s * OUT, ROWS, 1, count, to + (size_t)s * IN);
        else
            for (uint r = 0; r < rows; r++)
                add_tile(w + (size_t)r * IN, dy + (size_t)s * OUT + r, 1, 1, count, to + (size_t)s * IN);
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
    for (uint i = 0; i < WHOLE; i += CHUNK) /* so much of every sample's part stays in the cache */
        for (uint o = begin; o < end; o += ROWS)
            add_rows(w + (size_t)o * IN + i, dy + o, min((uint)ROWS, end - o), n,
                     min((uint)CHUNK, (uint)WHOLE - i), part + i);
    for (uint s = 0; s < n; s++)
        for (uint i = WHOLE; i < IN; i++)
            for (uint o = begin; o < end; o++)
                part[(size_t)s * IN + i] += dy[(size_t)s * OUT + o] * w[(size_t)o * IN + i];
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
    const uint tiled = rows == ROWS ? WHOLE / WIDE * WIDE : 0;
    for (uint i = 0; i < tiled; i += WIDE) {
        float16 sum[ROWS][WIDE / 16];
#pragma unroll
        for (uint r = 0; r < ROWS; r++)
#pragma unroll
            for (uint k = 0; k < WIDE / 16; k++)
                sum[r][k] = accumulate ? vload16(k, dw + (size_t)r * IN + i) : (float16)(0.0f);
        for (uint s = 0; s < n; s++) {
            float16 v[WIDE / 16];
#pragma unroll
            for (uint k = 0; k < WIDE / 16; k++)
                v[k] = vload16(k, x + (size_t)s * IN + i);
#pragma unroll
            for (uint r = 0; r < ROWS; r++) {
                const float16 g = (float16)(dy[(size_t)s * OUT + r]);
#pragma unroll
                for (uint k = 0; k < WIDE / 16; k++)
                    sum[r][k] = madd(g, v[k], sum[r][k]);
            }
        }
#pragma unroll
        for (uint r = 0; r < ROWS; r++)
#pragma unroll
            for (uint k = 0; k < WIDE / 16; k++)
                STORE16_GLOBAL(sum[r][k], dw + (size_t)r * IN + i + 16 * k);
    }
    for (uint r = 0; r < rows; r++) {
        __global float *to = dw + (size_t)r * IN;
        for (uint i = tiled; i < WHOLE; i += 16) {
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
