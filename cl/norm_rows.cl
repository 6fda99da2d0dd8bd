/* norm_rows.cl - batch, instance and group norm on CPUs: the four passes over the tensors.
 *
 *   norm_stats_rows     part = statistics of a chunk of a plane (norm.h)
 *   norm_apply_rows     y = (x - mean) * rstd * weight + bias
 *   norm_sums_rows      part = (sum dy, sum dy * (x - mean)) of a chunk
 *   norm_backward_rows  dx = rstd * (weight * dy - A - (x - mean) * rstd * B)
 *                       A = mean of weight * dy, B = mean of weight * dy * (x - mean) * rstd
 *
 *   x, y, dy, dx   [samples][planes][floats]; y and dx overwritten (=)
 *   stat           [samples or 1][C] float4 (norm.h): stat_step is C, or 0 where all samples share it
 *   weight, bias   [C], or NULL: 1 and 0
 *   part           [samples * planes][chunks][LANES] float4, or float2 of sums
 *   PLAIN:   LANES 1, a plane is one channel, floats its voxels, planes = C
 *   BLOCK16: LANES 16, a plane is 16 channels, floats 16 times the voxels; channels past C get 0
 * Grid: (chunks, samples * planes), work-groups of one.  An item has `run` vectors of 16 floats, which
 * it goes through from one end to the other, so that the cores stream; a plane's last floats, fewer than
 * 16, are the last chunk's.  The chunks' parts are joined by norm_finish.cl.  A relu before or after may
 * be fused (relu.h).  Sizes are arguments: memory is the limit, and one build serves all layers. */
#include "cpu.h"
#include "norm.h"
#include "relu.h"

#if LANES != 1 && LANES != 16
#error "LANES must be 1 (PLAIN) or 16 (BLOCK16)"
#endif
#ifndef GROUPED /* norm_backward_rows: sums are A and B of several channels, weights counted */
#define GROUPED 0
#endif
#define BATCH 256 /* vectors that are added up before their sum goes to the total */

/* This item's place: its plane's first float, its vectors [first, last), its plane's first channel
 * and how many channels that has, and where those channels' statistics begin. */
#define PLACE                                                                                      \
    const uint chunk = get_global_id(0);                                                           \
    const size_t plane = get_global_id(1), begin = plane * floats;                                 \
    const uint first = chunk * run, last = (uint)min((ulong)first + run, floats / 16);             \
    const uint channel = (uint)(plane % planes) * LANES, channels = min(C - channel, (uint)LANES); \
    const size_t at = plane / planes * stat_step + channel;

/* Floats [TAIL_BEGIN, floats) of a plane belong to its last chunk. */
#define TAIL (LANES == 1 && chunk + 1 == chunks)
#define FOR_TAIL(i) for (ulong i = floats / 16 * 16; i < floats; i++)

/* p[0], p[step], ... one for each lane: of a plane's channels, 0 past them; PLAIN: p[0] in all. */
inline float16 lanes(__global const float *p, uint step, uint channels)
{
#if LANES == 1
    return (float16)(p[0]);
#else
    float v[16];
    for (uint k = 0; k < 16; k++)
        v[k] = k < channels ? p[k * step] : 0.0f;
    return vload16(0, v);
#endif
}

__kernel void norm_stats_rows(__global const float *restrict x, __global float4 *restrict part,
                              ulong floats, uint run, uint chunks)
{
    const uint chunk = get_global_id(0);
    const size_t plane = get_global_id(1);
    const uint first = chunk * run, last = (uint)min((ulong)first + run, floats / 16);
    float16 mean = (float16)(0.0f), rest = mean, squares = mean;
    float count = 0.0f;
    x += plane * floats;
    for (uint r = first; r < last; r += BATCH) {
        /* Deviations from the mean so far, or from the first vector: what cancels is small. */
        const float16 pivot = r == first ? vload16(r, x) : mean;
        const uint n = min(last - r, (uint)BATCH);
        float16 sum[2] = {(float16)(0.0f), (float16)(0.0f)}, square[2] = {sum[0], sum[0]};
        uint i = r;
        for (; i + 2 <= r + n; i += 2) {
            const float16 d = vload16(i, x) - pivot, e = vload16(i + 1, x) - pivot;
            sum[0] += d;
            sum[1] += e;
            square[0] += d * d;
            square[1] += e * e;
        }
        if (i < r + n) {
            const float16 d = vload16(i, x) - pivot;
            sum[0] += d;
            square[0] += d * d;
        }
        const float16 all = sum[0] + sum[1], off = all / (float)n;
        NORM_JOIN(float16, mean, rest, squares, count, pivot, off,
                  square[0] + square[1] - all * off, (float)n)
    }
    part += (plane * chunks + chunk) * LANES;
#if LANES == 16
    float m[16], s[16], q[16];
    vstore16(mean, 0, m);
    vstore16(rest, 0, s);
    vstore16(squares, 0, q);
    for (uint k = 0; k < 16; k++)
        part[k] = (float4)(m[k], s[k], q[k], count);
#else
    float8 m8 = mean.lo, s8 = rest.lo, q8 = squares.lo;
    float n = count;
    NORM_JOIN(float8, m8, s8, q8, n, mean.hi, rest.hi, squares.hi, count)
    float4 m4 = m8.lo, s4 = s8.lo, q4 = q8.lo;
    count = n;
    NORM_JOIN(float4, m4, s4, q4, n, m8.hi, s8.hi, q8.hi, count)
    float2 m2 = m4.lo, s2 = s4.lo, q2 = q4.lo;
    count = n;
    NORM_JOIN(float2, m2, s2, q2, n, m4.hi, s4.hi, q4.hi, count)
    float m1 = m2.lo, s1 = s2.lo, q1 = q2.lo;
    count = n;
    NORM_JOIN(float, m1, s1, q1, n, m2.hi, s2.hi, q2.hi, count)
    if (TAIL)
        FOR_TAIL(i)
            NORM_JOIN(float, m1, s1, q1, n, x[i], 0.0f, 0.0f, 1.0f)
    part[0] = (float4)(m1, s1, q1, n);
#endif
}

__kernel void norm_apply_rows(__global const float *restrict x, __global float *restrict y,
                              __global const float4 *restrict stat,
                              __global const float *restrict weight,
                              __global const float *restrict bias, ulong floats, uint run,
                              uint chunks, uint planes, uint C, uint stat_step)
{
    PLACE
    __global const float *of = (__global const float *)(stat + at);
    const float16 mean = lanes(of, 4, channels), rest = lanes(of + 1, 4, channels);
    float16 slope = lanes(of + 2, 4, channels), shift = (float16)(0.0f);
    if (weight) {
        slope *= lanes(weight + channel, 1, channels);
        shift = lanes(bias + channel, 1, channels);
    }
    x += begin;
    y += begin;
    for (uint i = first; i < last; i++) {
        const float16 v = (vload16(i, x) - mean - rest) * slope + shift;
        STREAM16(RELU_Y(v), y + 16 * (size_t)i);
    }
    STREAM_END;
    if (TAIL)
        FOR_TAIL(i)
        {
            const float v = (x[i] - mean.s0 - rest.s0) * slope.s0 + shift.s0;
            y[i] = RELU_Y(v);
        }
}

__kernel void norm_sums_rows(__global const float *restrict x, __global const float *restrict dy,
                             __global const float4 *restrict stat, __global float2 *restrict part,
                             ulong floats, uint run, uint chunks, uint planes, uint C, uint stat_step)
{
    PLACE
    __global const float *of = (__global const float *)(stat + at);
    const float16 mean = lanes(of, 4, channels), rest = lanes(of + 1, 4, channels);
    float16 sum = (float16)(0.0f), product = sum;
    x += begin;
    dy += begin;
    for (uint r = first; r < last; r += BATCH) {
        const uint end = min(last, r + BATCH);
        float16 s = (float16)(0.0f), p = s;
        for (uint i = r; i < end; i++) {
            const float16 g = vload16(i, dy);
            s += g;
            p += g * (vload16(i, x) - mean - rest);
        }
        sum += s;
        product += p;
    }
    part += (plane * chunks + chunk) * LANES;
#if LANES == 16
    float s[16], p[16];
    vstore16(sum, 0, s);
    vstore16(product, 0, p);
    for (uint k = 0; k < 16; k++)
        part[k] = (float2)(s[k], p[k]);
#else
    const float8 s8 = sum.lo + sum.hi, p8 = product.lo + product.hi;
    const float4 s4 = s8.lo + s8.hi, p4 = p8.lo + p8.hi;
    float s = s4.x + s4.y + (s4.z + s4.w), p = p4.x + p4.y + (p4.z + p4.w);
    if (TAIL)
        FOR_TAIL(i)
        {
            s += dy[i];
            p += dy[i] * (x[i] - mean.s0 - rest.s0);
        }
    part[0] = (float2)(s, p);
#endif
}

/* sums [samples or 1][C] float2: sum dy, sum dy * (x - mean) * rstd of the numbers that share a
 * statistic, times share (1 / their count) A and B. */
__kernel void norm_backward_rows(__global const float *restrict x, __global const float *restrict dy,
                                 __global float *restrict dx, __global const float4 *restrict stat,
                                 __global const float *restrict weight,
                                 __global const float2 *restrict sums, float share, ulong floats,
                                 uint run, uint chunks, uint planes, uint C, uint stat_step)
{
    PLACE
    __global const float *of = (__global const float *)(stat + at);
    __global const float *total = (__global const float *)(sums + at);
    const float16 mean = lanes(of, 4, channels), rest = lanes(of + 1, 4, channels);
    const float16 rstd = lanes(of + 2, 4, channels);
    const float16 slope = weight ? rstd * lanes(weight + channel, 1, channels) : rstd;
    const float16 common = share * (GROUPED ? rstd : slope);
    const float16 a = common * lanes(total, 2, channels);
    const float16 b = common * rstd * lanes(total + 1, 2, channels);
    x += begin;
    dy += begin;
    dx += begin;
    for (uint i = first; i < last; i++) {
        const float16 v = vload16(i, x);
        const float16 g = vload16(i, dy) * slope - a - (v - mean - rest) * b;
        STREAM16(RELU_DX(g, v), dx + 16 * (size_t)i);
    }
    STREAM_END;
    if (TAIL)
        FOR_TAIL(i)
            dx[i] = RELU_DX(dy[i] * slope.s0 - a.s0 - (x[i] - mean.s0 - rest.s0) * b.s0, x[i]);
}
