/* norm_group.cl - batch, instance and group norm on GPUs: the four passes over the tensors.  What they
 * compute and in which arrays is told in norm_rows.cl, the kernels for CPUs.
 *
 * Grid: a work-group of WG items for each chunk of `run` floats (a multiple of WG) of each plane:
 * (chunks * WG, samples * planes).  Item t takes floats t, t + WG, ..., so neighbours read neighbouring
 * memory and, as 16 divides WG, an item stays in one channel whatever the layout.  Statistics and
 * sums of a chunk: each item its own, then by halves in local memory, down to one for each lane. */
#include "norm.h"
#include "relu.h"

#if LANES != 1 && LANES != 16
#error "LANES must be 1 (PLAIN) or 16 (BLOCK16)"
#endif
#ifndef WG /* items of a work-group, a power of two, 16 or more */
#define WG 128
#endif
#if (WG & (WG - 1)) != 0 || WG < 16
#error "WG must be a power of two, 16 or more"
#endif
#ifndef GROUPED /* norm_backward_group: sums are A and B of several channels, weights counted */
#define GROUPED 0
#endif
#define BATCH 64 /* numbers that are added up before their sum goes to the total */

/* This item's floats [first, last) of its plane in steps of WG, its channel (used: it is one), and
 * where the statistics of that are. */
#define PLACE                                                                                      \
    const uint t = get_local_id(0), chunk = get_group_id(0);                                       \
    const size_t plane = get_global_id(1), begin = plane * floats;                                 \
    const ulong first = (ulong)chunk * run + t, last = min((ulong)chunk * run + run, floats);      \
    const uint channel = (uint)(plane % planes) * LANES + t % LANES;                               \
    const bool used = channel < C;                                                                 \
    const size_t at = plane / planes * stat_step + channel;

__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void
norm_stats_group(__global const float *restrict x, __global float4 *restrict part, ulong floats,
                 uint run, uint chunks)
{
    __local float4 joined[WG];
    const uint t = get_local_id(0), chunk = get_group_id(0);
    const size_t plane = get_global_id(1);
    const ulong first = (ulong)chunk * run + t, last = min((ulong)chunk * run + run, floats);
    float mean = 0.0f, rest = 0.0f, squares = 0.0f, count = 0.0f;
    x += plane * floats;
    for (ulong r = first; r < last; r += BATCH * WG) {
        const ulong end = min(last, r + BATCH * WG);
        const float pivot = r == first ? x[r] : mean;
        float sum = 0.0f, square = 0.0f, n = 0.0f;
        for (ulong i = r; i < end; i += WG) {
            const float d = x[i] - pivot;
            sum += d;
            square += d * d;
            n += 1.0f;
        }
        const float off = sum / n;
        NORM_JOIN(float, mean, rest, squares, count, pivot, off, square - sum * off, n)
    }
    joined[t] = (float4)(mean, rest, squares, count);
    for (uint reach = WG / 2; reach >= LANES; reach /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (t < reach) {
            const float4 other = joined[t + reach];
            NORM_JOIN(float, mean, rest, squares, count, other.x, other.y, other.z, other.w)
            joined[t] = (float4)(mean, rest, squares, count);
        }
    }
    if (t < LANES)
        part[(plane * chunks + chunk) * LANES + t] = (float4)(mean, rest, squares, count);
}

__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void
norm_apply_group(__global const float *restrict x, __global float *restrict y,
                 __global const float4 *restrict stat, __global const float *restrict weight,
                 __global const float *restrict bias, ulong floats, uint run, uint chunks,
                 uint planes, uint C, uint stat_step)
{
    PLACE
    const float4 s = used ? stat[at] : (float4)(0.0f);
    const float slope = used && weight ? s.z * weight[channel] : s.z;
    const float shift = used && weight ? bias[channel] : 0.0f;
    x += begin;
    y += begin;
    for (ulong i = first; i < last; i += WG) {
        const float v = (x[i] - s.x - s.y) * slope + shift;
        y[i] = RELU_Y(v);
    }
}

__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void
norm_sums_group(__global const float *restrict x, __global const float *restrict dy,
                __global const float4 *restrict stat, __global float2 *restrict part, ulong floats,
                uint run, uint chunks, uint planes, uint C, uint stat_step)
{
    __local float2 joined[WG];
    PLACE
    const float4 of = used ? stat[at] : (float4)(0.0f);
    float2 total = (float2)(0.0f);
    x += begin;
    dy += begin;
    for (ulong r = first; r < last; r += BATCH * WG) {
        const ulong end = min(last, r + BATCH * WG);
        float2 sum = (float2)(0.0f);
        for (ulong i = r; i < end; i += WG)
            sum += dy[i] * (float2)(1.0f, x[i] - of.x - of.y);
        total += sum;
    }
    joined[t] = total;
    for (uint reach = WG / 2; reach >= LANES; reach /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (t < reach)
            joined[t] += joined[t + reach];
    }
    if (t < LANES)
        part[(plane * chunks + chunk) * LANES + t] = joined[t];
}

__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void
norm_backward_group(__global const float *restrict x, __global const float *restrict dy,
                    __global float *restrict dx, __global const float4 *restrict stat,
                    __global const float *restrict weight, __global const float2 *restrict sums,
                    float share, ulong floats, uint run, uint chunks, uint planes, uint C,
                    uint stat_step)
{
    PLACE
    const float4 s = used ? stat[at] : (float4)(0.0f);
    const float2 total = used ? share * sums[at] : (float2)(0.0f);
    const float slope = used && weight ? s.z * weight[channel] : s.z;
    const float common = GROUPED ? s.z : slope;
    const float a = common * total.x, b = common * s.z * total.y;
    x += begin;
    dy += begin;
    dx += begin;
    for (ulong i = first; i < last; i += WG)
        dx[i] = RELU_DX(dy[i] * slope - a - (x[i] - s.x - s.y) * b, x[i]);
}
