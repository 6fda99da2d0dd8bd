/* grad_norm.cl - the coefficient of torch.nn.utils.clip_grad_norm_, without leaving the device.
 *   part[p]     = sum of grad^2 over share p of the blocks          (=)
 *   coefficient = min(1, clip / (sqrt(sum part) + 1e-6))            (=); NaN stays NaN
 *   grad [blocks][BLOCK], used [blocks] as in sgd.cl
 * Two stages in a fixed order: PARTS work-groups of WG items, each item adding every WG-th block
 * of its share 16 at a time, then a tree; and one item for the parts, with Kahan's correction. */
#if !defined(BLOCK) || !defined(PARTS) || !defined(WG)
#error "BLOCK, PARTS and WG (a power of two) must be given"
#endif
#if (WG & (WG - 1)) != 0
#error "WG must be a power of two"
#endif

#include "square_sum.h"

__kernel void grad_norm_parts(__global const float *restrict grad, __global const uint *restrict used,
                              __global float *restrict part, uint blocks)
{
    __local float local_sum[WG];
    const uint p = get_group_id(0), t = get_local_id(0), share = (blocks + PARTS - 1) / PARTS;
    const uint end = min((p + 1) * share, blocks);
    float sum = 0.0f;
    for (uint block = p * share + t; block < end; block += WG)
        sum += square_sum(grad + (size_t)block * BLOCK, used[block]);
    local_sum[t] = sum;
    for (uint reach = WG / 2; reach > 0; reach /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (t < reach)
            local_sum[t] += local_sum[t + reach];
    }
    if (t == 0)
        part[p] = local_sum[0];
}

__kernel void grad_norm_coefficient(__global const float *restrict part,
                                    __global float *restrict coefficient, float clip)
{
    float sum = 0.0f, lost = 0.0f;
    for (uint p = 0; p < PARTS; p++) {
        const float y = part[p] - lost, t = sum + y;
        lost = isinf(t) ? 0.0f : (t - sum) - y;
        sum = t;
    }
    const float c = clip / (sqrt(sum) + 1e-6f);
    *coefficient = c > 1.0f ? 1.0f : c;
}
