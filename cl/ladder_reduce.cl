/* ladder_reduce.cl - the sum of squares of a long vector, rung by rung: sum = sum_i x[i]^2 (=).
 *
 * For reading and for `voxcl bench ladder reduce`; training has grad_norm.cl.  Every word is read
 * once and two operations are done with it, so that the rate of memory is the ceiling, if only
 * there are enough reads under way.  Each rung but the first gives parts, one for an item or a
 * group, which reduce_parts adds in their order: no atomics, so that two runs give the same bits. */
#ifndef WG /* items of a group, a power of two */
#define WG 256
#endif
#if (WG & (WG - 1)) != 0
#error "WG must be a power of two"
#endif

/* Rung 1.  One item adds everything: each addition waits for the one before it, one core works, and
 * the sum becomes so large that the small terms lose their digits.
 * Grid: (1). */
__kernel void reduce_serial(__global const float *restrict x, __global float *restrict sum, ulong count)
{
    float s = 0.0f;
    for (ulong i = 0; i < count; i++)
        s += x[i] * x[i];
    *sum = s;
}

/* The parts of the other rungs, by one item. */
__kernel void reduce_parts(__global const float *restrict part, __global float *restrict sum, uint parts)
{
    float s = 0.0f;
    for (uint i = 0; i < parts; i++)
        s += part[i];
    *sum = s;
}

/* Rung 2, for CPUs.  Each item has a run of its own: all cores work, each reading straight ahead.
 * Grid: (parts), groups of one. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
reduce_runs(__global const float *restrict x, __global float *restrict part, ulong count)
{
    const ulong p = get_global_id(0), parts = get_global_size(0);
    float s = 0.0f;
    for (ulong i = count * p / parts; i < count * (p + 1) / parts; i++)
        s += x[i] * x[i];
    part[p] = s;
}

/* Rung 3, for CPUs.  Four vectors of 16 sums instead of one number: 64 additions that do not wait
 * for each other.  (A compiler may not do this by itself: it changes the order of the additions.)
 * Grid: (parts), groups of one. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
reduce_vectors(__global const float *restrict x, __global float *restrict part, ulong count)
{
    const ulong p = get_global_id(0), parts = get_global_size(0);
    const ulong first = count * p / parts, end = count * (p + 1) / parts;
    float16 s[4];
    for (int k = 0; k < 4; k++)
        s[k] = (float16)(0.0f);
    ulong i = first;
    for (; i + 64 <= end; i += 64)
        for (int k = 0; k < 4; k++) {
            const float16 v = vload16(0, x + i + 16 * k);
            s[k] += v * v;
        }
    const float16 a = (s[0] + s[1]) + (s[2] + s[3]);
    const float8 b = a.lo + a.hi;
    const float4 c = b.lo + b.hi;
    float rest = 0.0f;
    for (; i < end; i++)
        rest += x[i] * x[i];
    part[p] = (c.x + c.y) + (c.z + c.w) + rest;
}

/* Rung 4, for GPUs.  Neighbouring items read neighbouring words, which come in one piece; then all
 * step on together.  (With runs, as above, each item of a group would touch a line of its own.)
 * Grid: (parts) in groups of WG. */
__kernel void reduce_neighbours(__global const float *restrict x, __global float *restrict part,
                                ulong count)
{
    float s = 0.0f;
    for (ulong i = get_global_id(0); i < count; i += get_global_size(0))
        s += x[i] * x[i];
    part[get_global_id(0)] = s;
}

/* Rung 5, for GPUs.  The items of a group add their sums by a tree in local memory, so that only one
 * part for each group is left to the single item at the end.  Halves, not neighbours: the items that
 * still work stay side by side.
 * Grid: (parts * WG) in groups of WG. */
__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void
reduce_tree(__global const float *restrict x, __global float *restrict part, ulong count)
{
    __local float t[WG];
    const uint l = get_local_id(0);
    float s = 0.0f;
    for (ulong i = get_global_id(0); i < count; i += get_global_size(0))
        s += x[i] * x[i];
    t[l] = s;
    for (uint reach = WG / 2; reach > 0; reach /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (l < reach)
            t[l] += t[l + reach];
    }
    if (l == 0)
        part[get_group_id(0)] = t[0];
}
