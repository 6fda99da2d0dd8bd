/* augment_noise.cl - Gaussian and salt-and-pepper noise, in place.
 *   x [n][C][D][H][W]; element e of a sample draws number e of the stream (seed, PURPOSE, lane, step,
 *   global sample); a sample takes part if number 0 of its decision has uniform < p
 *
 * gaussian_noise: x += std * z; Box-Muller turns two numbers a, b into two normals
 *     sqrt(-2 log u) * (cos, sin)(2 pi v),  u = ((a >> 9) + 0.5) / 2^23 > 0,  v = uniform(b)
 * salt_pepper: uniform < amount / 2 sets low, else < amount sets high, of the element's channel
 * Grid: ROW blocks of four elements an item, sixteen blocks at once on CPUs (augment_range: a work-group of WG items a channel). */
#include "augment.h"

#define COUNT (C * VOXELS)

/* ---- Gaussian ---- */

inline float2 box_muller(uint a, uint b)
{
    const float u = ((float)(a >> 9) + 0.5f) * (1.0f / 8388608.0f), v = 2.0f * vox_uniform(b);
    return sqrt(-2.0f * log(u)) * (float2)(cospi(v), sinpi(v));
}

inline void box_muller16(uint16 a, uint16 b, float16 *first, float16 *second)
{
    const float16 u = (convert_float16(a >> 9) + 0.5f) * (1.0f / 8388608.0f);
    const float16 v = 2.0f * vox_uniform16(b), radius = sqrt(-2.0f * log(u));
    *first = radius * cospi(v);
    *second = radius * sinpi(v);
}

__kernel void augment_gaussian_noise(__global float *x, float p, float std, ulong seed, uint lane,
                                     uint step, uint sample)
{
    const ulong first = get_global_id(0) * (ulong)ROW, last = min(first + ROW, (COUNT + 3) / 4);
    const uint i = (uint)get_global_id(1);
    if (vox_uniform(decision(seed, lane, step, sample + i).x) >= p)
        return;
    x += i * COUNT;
    ulong block = first;
#if ROW >= 16
    for (; block + 16 <= last && 4 * (block + 16) <= COUNT; block += 16) {
        uint16 r[4];
        float16 z[4];
        vox_random_blocks16(seed, PURPOSE, lane, step, sample + i, (uint)block + VOX_STEPS16, r);
        box_muller16(r[0], r[1], &z[0], &z[1]);
        box_muller16(r[2], r[3], &z[2], &z[3]);
        vox_element_order(z);
#pragma unroll
        for (uint j = 0; j < 4; j++)
            vstore16(vload16(j, x + 4 * block) + std * z[j], j, x + 4 * block);
    }
#endif
    for (; block < last; block++) {
        const uint4 r = vox_random_block(seed, PURPOSE, lane, step, sample + i, (uint)block);
        const float4 z = std * (float4)(box_muller(r.x, r.y), box_muller(r.z, r.w));
        const ulong at = 4 * block;
        if (at + 4 <= COUNT) {
            vstore4(vload4(0, x + at) + z, 0, x + at);
        } else {
            x[at] += z.x;
            if (at + 1 < COUNT)
                x[at + 1] += z.y;
            if (at + 2 < COUNT)
                x[at + 2] += z.z;
        }
    }
}

/* ---- salt and pepper ---- */

#ifndef WG /* items per channel in augment_range, power of two */
#define WG 1
#endif
#if (WG & (WG - 1)) != 0
#error "WG must be a power of two"
#endif

/* range[n][C] = (low, high) where these are numbers, else the channel's least and greatest value; of
 * samples that take part. */
__kernel void augment_range(__global const float *restrict x, __global float2 *restrict range,
                            float low, float high, float p, ulong seed, uint lane, uint step, uint sample)
{
    __local float2 part[WG];
    const uint t = get_local_id(0);
    const size_t plane = get_group_id(0);
    if (vox_uniform(decision(seed, lane, step, sample + (uint)(plane / C)).x) >= p)
        return; /* the whole group */
    float least = INFINITY, most = -INFINITY;
    x += plane * VOXELS;
    if (isnan(low) || isnan(high)) {
        float16 a = (float16)(INFINITY), b = (float16)(-INFINITY);
        ulong v = t * 16;
        for (; v + 16 <= VOXELS; v += WG * 16) {
            const float16 k = vload16(0, x + v);
            a = fmin(a, k);
            b = fmax(b, k);
        }
        for (; v < VOXELS && v / 16 == VOXELS / 16; v++) {
            least = fmin(least, x[v]);
            most = fmax(most, x[v]);
        }
        const float8 a8 = fmin(a.lo, a.hi), b8 = fmax(b.lo, b.hi);
        const float4 a4 = fmin(a8.lo, a8.hi), b4 = fmax(b8.lo, b8.hi);
        least = fmin(least, fmin(fmin(a4.x, a4.y), fmin(a4.z, a4.w)));
        most = fmax(most, fmax(fmax(b4.x, b4.y), fmax(b4.z, b4.w)));
    }
    part[t] = (float2)(least, most);
    for (uint reach = WG / 2; reach > 0; reach /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (t < reach)
            part[t] = (float2)(fmin(part[t].x, part[t + reach].x), fmax(part[t].y, part[t + reach].y));
    }
    if (t == 0)
        range[plane] = (float2)(isnan(low) ? part[0].x : low, isnan(high) ? part[0].y : high);
}

__kernel void augment_salt_pepper(__global float *restrict x, __global const float2 *restrict range,
                                  float p, float amount, ulong seed, uint lane, uint step, uint sample)
{
    const ulong first = get_global_id(0) * (ulong)ROW, last = min(first + ROW, (COUNT + 3) / 4);
    const uint i = (uint)get_global_id(1);
    if (vox_uniform(decision(seed, lane, step, sample + i).x) >= p)
        return;
    x += i * COUNT;
    range += i * C;
    for (ulong block = first; block < last; block++) {
#if ROW >= 16
        if (block + 16 <= last && 4 * block / VOXELS == (4 * block + 63) / VOXELS &&
            4 * (block + 16) <= COUNT) { /* 64 elements of one channel */
            uint16 r[4];
            const float2 bounds = range[4 * block / VOXELS];
            vox_random_elements64(seed, PURPOSE, lane, step, sample + i, (uint)block, r);
#pragma unroll
            for (uint j = 0; j < 4; j++) {
                const float16 u = vox_uniform16(r[j]);
                const float16 v = vload16(j, x + 4 * block);
                const float16 set = select((float16)(bounds.y), (float16)(bounds.x),
                                           u < (float16)(0.5f * amount));
                vstore16(select(v, set, u < (float16)(amount)), j, x + 4 * block);
            }
            block += 15;
            continue;
        }
#endif
        const uint4 r = vox_random_block(seed, PURPOSE, lane, step, sample + i, (uint)block);
        const float u[4] = {vox_uniform(r.x), vox_uniform(r.y), vox_uniform(r.z), vox_uniform(r.w)};
        for (uint k = 0; k < 4 && 4 * block + k < COUNT; k++)
            if (u[k] < amount) {
                const float2 bounds = range[(4 * block + k) / VOXELS];
                x[4 * block + k] = u[k] < 0.5f * amount ? bounds.x : bounds.y;
            }
    }
}
