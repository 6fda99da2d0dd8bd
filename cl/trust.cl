/* trust.cl - by how much the rate of each tensor is multiplied in LARS and LAMB.
 *   trust_norms:   part[s] = (sum of param^2, sum of along^2) over segment s               (=)
 *   trust_ratios:  ratio[t] = trust * |param| / (scale * |along| + decay * |param| + eps)  (=)
 *                  over tensor t, 1 where one of the norms is 0; ratio[0] = 1: not adapted
 *                  scale: the gradients' coefficient (clipping) if SCALED, else 1
 *   param, along [blocks][BLOCK]; used [blocks] as in sgd.cl
 *   segment [segments]: (first block, blocks), each within one tensor, in the tensors' order
 *   first [tensors + 1]: tensor t has the segments first[t]..first[t + 1] - 1; tensor 0 has none
 * Two stages in a fixed order: a work-group of WG items a segment, each item adding every WG-th
 * block 16 at a time, then a tree; and one item a tensor, with Kahan's correction. */
#if !defined(BLOCK) || !defined(WG) || !defined(SCALED)
#error "BLOCK, WG (a power of two) and SCALED must be given"
#endif
#if (WG & (WG - 1)) != 0
#error "WG must be a power of two"
#endif
#include "square_sum.h"

__kernel void trust_norms(__global const float *restrict param, __global const float *restrict along,
                          __global const uint *restrict used, __global const uint2 *restrict segment,
                          __global float2 *restrict part)
{
    __local float2 local_sum[WG];
    const uint s = get_group_id(0), t = get_local_id(0);
    const uint begin = segment[s].x, end = begin + segment[s].y;
    float2 sum = (float2)(0.0f);
    for (uint block = begin + t; block < end; block += WG) {
        const size_t at = (size_t)block * BLOCK;
        sum += (float2)(square_sum(param + at, used[block]), square_sum(along + at, used[block]));
    }
    local_sum[t] = sum;
    for (uint reach = WG / 2; reach > 0; reach /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (t < reach)
            local_sum[t] += local_sum[t + reach];
    }
    if (t == 0)
        part[s] = local_sum[0];
}

__kernel void trust_ratios(__global const float2 *restrict part, __global const uint *restrict first,
                           __global const float *restrict coefficient, __global float *restrict ratio,
                           float trust, float decay, float eps)
{
    const size_t t = get_global_id(0);
    float2 sum = (float2)(0.0f), lost = (float2)(0.0f);
    for (uint s = first[t]; s < first[t + 1]; s++) {
        const float2 y = part[s] - lost, next = sum + y;
        lost = (next - sum) - y;
        sum = next;
    }
    const float scale = SCALED ? *coefficient : 1.0f, param = sqrt(sum.x), along = sqrt(sum.y) * scale;
    ratio[t] = param > 0.0f && along > 0.0f ? trust * param / (along + decay * param + eps) : 1.0f;
}
