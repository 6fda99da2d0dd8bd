/* norm_finish.cl - batch, instance and group norm: from the parts of norm_rows.cl or norm_group.cl to
 * statistics and gradients of a channel.  They move little; sizes are arguments.
 *
 *   norm_finish_stats  stat = statistics over `shared` samples and `group` channels
 *   norm_follow        running statistics follow: r = (1 - momentum) * r + momentum * new, where the new
 *                      variance is the unbiased one, `unbiased` = count / (count - 1) times the other
 *   norm_finish_sums   sums = (sum dy, sum dy * (x - mean) * rstd) of each channel of each sample, or
 *                      of all samples; dweight, dbias (if given) = or += those over all samples
 *   norm_group_sums    to = weight * sums, added up over the channels of each one's group
 *   norm_running       stat = the running statistics, for evaluation
 *
 *   part [samples * planes][chunks][lanes], stat, sums, to [samples or 1][C]
 * Grid: a work-group of WG items (1 on CPUs) for each statistic or channel; parts are joined in a
 * fixed order.  norm_follow, norm_group_sums, norm_running: an item a number. */
#include "norm.h"

#ifndef WG /* items of a work-group, a power of two */
#define WG 1
#endif
#if (WG & (WG - 1)) != 0
#error "WG must be a power of two"
#endif

/* Where the parts of channel c of sample n begin, each `lanes` apart. */
#define PARTS(n, c) ((((size_t)(n) * planes + (c) / lanes) * chunks) * lanes + (c) % lanes)

/* Statistic s: batch norm has one for each channel, over shared = n samples and a group of 1; the
 * others one for each group of each sample, shared = 1. */
__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void
norm_finish_stats(__global const float4 *restrict part, __global float4 *restrict stat,
                  uint C, uint group, uint shared, uint planes, uint lanes, uint chunks, float eps)
{
    __local float4 joined[WG];
    const uint t = get_local_id(0), groups = C / group;
    const uint n0 = get_group_id(0) / groups, c0 = get_group_id(0) % groups * group;
    float mean = 0.0f, rest = 0.0f, squares = 0.0f, count = 0.0f;
    for (uint j = t; j < shared * group * chunks; j += WG) {
        const uint k = j % chunks, c = c0 + j / chunks % group, n = n0 + j / chunks / group;
        const float4 p = part[PARTS(n, c) + (size_t)k * lanes];
        NORM_JOIN(float, mean, rest, squares, count, p.x, p.y, p.z, p.w)
    }
    joined[t] = (float4)(mean, rest, squares, count);
    for (uint reach = WG / 2; reach > 0; reach /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (t < reach) {
            const float4 other = joined[t + reach];
            NORM_JOIN(float, mean, rest, squares, count, other.x, other.y, other.z, other.w)
            joined[t] = (float4)(mean, rest, squares, count);
        }
    }
    if (t != 0)
        return;
    const float variance = squares / count;
    for (uint i = 0; i < group; i++)
        stat[(size_t)n0 * C + c0 + i] =
            (float4)(mean, rest, 1.0f / sqrt(variance + eps), variance);
}

__kernel void norm_follow(__global const float4 *restrict stat, __global float *restrict running_mean,
                          __global float *restrict running_var, uint C, float momentum,
                          float unbiased)
{
    const uint c = get_global_id(0);
    if (c >= C)
        return;
    running_mean[c] += momentum * (stat[c].x - running_mean[c]);
    running_var[c] += momentum * (stat[c].w * unbiased - running_var[c]);
}

__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void
norm_finish_sums(__global const float2 *restrict part, __global const float4 *restrict stat,
                 __global float2 *restrict sums, __global float *restrict dweight,
                 __global float *restrict dbias, uint samples, uint stat_step, uint planes,
                 uint lanes, uint chunks, int accumulate)
{
    __local float2 joined[WG];
    const uint t = get_local_id(0), c = get_group_id(0);
    float2 total = (float2)(0.0f);
    for (uint n = 0; n < samples; n++) {
        float2 sum = (float2)(0.0f);
        for (uint k = t; k < chunks; k += WG)
            sum += part[PARTS(n, c) + (size_t)k * lanes];
        joined[t] = sum;
        for (uint reach = WG / 2; reach > 0; reach /= 2) {
            barrier(CLK_LOCAL_MEM_FENCE);
            if (t < reach)
                joined[t] += joined[t + reach];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        const size_t at = (size_t)n * stat_step + c;
        sum = joined[0] * (float2)(1.0f, stat[at].z);
        total += sum;
        if (t == 0 && stat_step > 0)
            sums[at] = sum;
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (t != 0)
        return;
    if (stat_step == 0)
        sums[c] = total;
    if (dweight) {
        dweight[c] = accumulate ? dweight[c] + total.y : total.y;
        dbias[c] = accumulate ? dbias[c] + total.x : total.x;
    }
}

__kernel void norm_group_sums(__global const float2 *restrict sums,
                              __global const float *restrict weight, __global float2 *restrict to,
                              uint C, uint group, uint count)
{
    const uint i = get_global_id(0), c = i % C, first = c / group * group;
    if (i >= count)
        return;
    float2 total = (float2)(0.0f);
    for (uint k = first; k < first + group; k++)
        total += (weight ? weight[k] : 1.0f) * sums[i - c + k];
    to[i] = total;
}

__kernel void norm_running(__global const float *restrict running_mean,
                           __global const float *restrict running_var,
                           __global float4 *restrict stat, uint C, float eps)
{
    const uint c = get_global_id(0);
    if (c < C)
        stat[c] = (float4)(running_mean[c], 0.0f, 1.0f / sqrt(running_var[c] + eps),
                           running_var[c]);
}
