/* augment_intensity.cl - brightness, contrast and gamma, in place, each channel of a sample by itself.
 *   x [n][C][D][H][W]; a sample takes part if number 0 of its decision has uniform < p; channel c draws
 *   its factor f, uniform in low .. high, from number c of the stream (seed, PURPOSE, lane, step, sample)
 *
 *   brightness:  f x
 *   contrast:    mean + f (x - mean), not beyond the channel's least and greatest value
 *   gamma:       least + range ((x - least) / range)^f,  range = greatest - least
 *
 * Grid: augment_plane one work-group of WG items a channel: it finds what the values depend on;
 * augment_intensity ROW blocks of 16 voxels of one channel an item. */
#include "augment.h"

#define BRIGHTNESS 0
#define CONTRAST   1
#define GAMMA      2

#ifndef WG /* items per channel in augment_plane, power of two */
#define WG 1
#endif
#if (WG & (WG - 1)) != 0
#error "WG must be a power of two"
#endif
#define PART 64 /* blocks whose sum is one summand: 16 lanes of 64 values, then a sum of these */

inline float sum16(float16 a)
{
    const float8 b = a.lo + a.hi;
    const float4 c = b.lo + b.hi;
    return (c.x + c.y) + (c.z + c.w);
}

inline float least16(float16 a)
{
    const float8 b = fmin(a.lo, a.hi);
    const float4 c = fmin(b.lo, b.hi);
    return fmin(fmin(c.x, c.y), fmin(c.z, c.w));
}

/* plane[n][C] = (least, greatest, mean, f); f NaN: the sample takes no part. */
__kernel void augment_plane(__global const float *restrict x, __global float4 *restrict plane,
                            uint kind, float p, float low, float high, ulong seed, uint lane,
                            uint step, uint sample)
{
    __local float4 part[WG];
    const uint t = get_local_id(0), n = (uint)(get_group_id(0) / C), c = (uint)(get_group_id(0) % C);
    const uint4 block = vox_random_block(seed, PURPOSE, lane, step, sample + n, c / 4);
    const uint draw[4] = {block.x, block.y, block.z, block.w};
    const float f = vox_uniform(decision(seed, lane, step, sample + n).x) < p
                        ? low + (high - low) * vox_uniform(draw[c % 4])
                        : NAN;
    float least = INFINITY, most = -INFINITY, sum = 0;
    x += get_group_id(0) * VOXELS;
    if (kind != BRIGHTNESS && !isnan(f)) {
        const ulong blocks = VOXELS / 16;
        for (ulong first = t * PART; first < blocks; first += WG * PART) {
            const ulong last = min(first + PART, blocks);
            float16 a = vload16(first, x), least_a = a, most_a = a;
            for (ulong b = first + 1; b < last; b++) {
                const float16 v = vload16(b, x);
                a += v;
                least_a = fmin(least_a, v);
                most_a = fmax(most_a, v);
            }
            sum += sum16(a);
            least = fmin(least, least16(least_a));
            most = fmax(most, -least16(-most_a));
        }
        for (ulong v = blocks * 16 + t; v < VOXELS; v += WG) {
            sum += x[v];
            least = fmin(least, x[v]);
            most = fmax(most, x[v]);
        }
    }
    part[t] = (float4)(least, most, sum, f);
    for (uint reach = WG / 2; reach > 0; reach /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (t < reach) {
            const float4 a = part[t], b = part[t + reach];
            part[t] = (float4)(fmin(a.x, b.x), fmax(a.y, b.y), a.z + b.z, f);
        }
    }
    if (t == 0)
        plane[get_group_id(0)] = (float4)(part[0].x, part[0].y, part[0].z / (float)VOXELS, f);
}

/* q: the channel's (least, greatest, mean, f). */
inline float16 change(float16 x, float4 q, uint kind)
{
    const float range = q.y - q.x;
    if (kind == BRIGHTNESS)
        return q.w * x;
    if (kind == CONTRAST)
        return fmin(fmax(q.z + q.w * (x - q.z), q.x), q.y);
    if (range > 0) /* a constant channel stays */
        return q.x + range * powr(fmax((x - q.x) / range, 0.0f), (float16)(q.w));
    return x;
}

__kernel void augment_intensity(__global float *restrict x, __global const float4 *restrict plane,
                                uint kind)
{
    const ulong blocks = (VOXELS + 15) / 16;
    const ulong first = get_global_id(0) * (ulong)ROW, last = min(first + ROW, blocks);
    const size_t at = get_global_id(2) * C + get_global_id(1);
    const float4 q = plane[at];
    if (isnan(q.w))
        return;
    x += at * VOXELS;
    for (ulong b = first; b < last; b++) {
        if (16 * b + 16 <= VOXELS) {
            vstore16(change(vload16(b, x), q, kind), b, x);
            continue;
        }
        for (ulong v = 16 * b; v < VOXELS; v++)
            x[v] = change((float16)(x[v]), q, kind).s0;
    }
}
