/* dense_group.cl - dense for GPUs: work-groups that share a sum through local memory.
 *   formulas, shapes and names as in dense_naive.cl; NB samples at a time, for each of which an
 *   item keeps a sum in a register, so that a weight is read once for NB samples
 *
 * forward: a work-group of WG items has one row o; item t adds columns t, t + WG, ...:
 *            W row  | t0 t1 t2 ... | t0 t1 t2 ... |      coalesced, then a tree over the items
 * backward_data: a work-group of WG x SLICES items has WG columns; slice k adds rows k, k + SLICES,
 *          ...; neighbours have neighbouring columns (coalesced), then the slices are added in order
 * backward_weights: an item per weight; n is small beside IN and OUT, so nothing is shared.
 * A barrier at every step of a reduction; the order of additions never changes. */
#include "relu.h"
#if !defined(IN) || !defined(OUT) || !defined(BIAS)
#error "IN, OUT and BIAS (0 or 1) must be given"
#endif
#ifndef NB /* samples at a time */
#define NB 4
#endif
#ifndef WG /* items along the columns, power of two */
#define WG 64
#endif
#ifndef SLICES /* row slices in backward_data */
#define SLICES 4
#endif
#if (WG & (WG - 1)) != 0
#error "WG must be a power of two"
#endif

__kernel void dense_group_forward(__global const float *restrict x, __global const float *restrict w,
                                  __global const float *restrict b, __global float *restrict y, uint n)
{
    __local float part[NB][WG];
    const uint t = get_local_id(0), first = get_group_id(1) * NB;
    const size_t o = get_group_id(0);
    float sum[NB];
    for (uint s = 0; s < NB; s++)
        sum[s] = 0.0f;
    for (uint i = t; i < IN; i += WG) {
        const float weight = w[o * IN + i];
        for (uint s = 0; s < NB; s++)
            sum[s] += weight * x[(size_t)min(first + s, n - 1) * IN + i];
    }
    for (uint s = 0; s < NB; s++)
        part[s][t] = sum[s];
    for (uint reach = WG / 2; reach > 0; reach /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (t < reach)
            for (uint s = 0; s < NB; s++)
                part[s][t] += part[s][t + reach];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (t < NB && first + t < n) {
        const float total = BIAS ? part[t][0] + b[o] : part[t][0];
        y[(size_t)(first + t) * OUT + o] = RELU_Y(total);
    }
}

__kernel void dense_group_backward_data(__global const float *restrict dy,
                                        __global const float *restrict w, __global float *restrict dx,
                                        __global const float *restrict x, uint n)
{
    __local float part[SLICES][NB][WG];
    const uint t = get_local_id(0), slice = get_local_id(1), first = get_group_id(2) * NB;
    const uint i = get_group_id(0) * WG + t;
    float sum[NB];
    for (uint s = 0; s < NB; s++)
        sum[s] = 0.0f;
    for (uint o = slice; o < OUT && i < IN; o += SLICES) {
        const float weight = w[(size_t)o * IN + i];
        for (uint s = 0; s < NB; s++)
            sum[s] += weight * dy[(size_t)min(first + s, n - 1) * OUT + o];
    }
    for (uint s = 0; s < NB; s++)
        part[slice][s][t] = sum[s];
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint s = slice; s < NB; s += SLICES) {
        float total = 0.0f;
        for (uint k = 0; k < SLICES; k++)
            total += part[k][s][t];
        const size_t at = (size_t)(first + s) * IN + i;
        if (i < IN && first + s < n)
            dx[at] = RELU_DX(total, x[at]);
    }
}

__kernel void dense_group_backward_weights(__global const float *restrict x,
                                           __global const float *restrict dy,
                                           __global float *restrict dw, __global float *restrict db,
                                           uint n, uint accumulate)
{
    const size_t i = get_global_id(0), o = get_global_id(1);
    if (i >= IN)
        return;
    float sum = 0.0f, bias = 0.0f;
    for (uint s = 0; s < n; s++) {
        const float g = dy[(size_t)s * OUT + o];
        sum += g * x[(size_t)s * IN + i];
        bias += g;
    }
    dw[o * IN + i] = accumulate ? dw[o * IN + i] + sum : sum;
    if (BIAS && i == 0)
        db[o] = accumulate ? db[o] + bias : bias;
}
