/* ladder_softmax.cl - a segmentation's loss from its logits, rung by rung.
 *
 *   p[c,v]  = exp(x[c,v] - m[v]) / s[v],   m[v] = max_c x[c,v],  s[v] = sum_c exp(x[c,v] - m[v])
 *   loss[n] = 1/V sum_v -log p[label[v],v]
 *
 * x, p [n][C][V], label [n][V]; all outputs overwritten (=).  For reading and for `voxcl bench
 * ladder softmax`; training has cross_entropy.cl.  The least that has to move is x and label, once:
 * what the rungs differ in is how often they go over x, and what they write between.
 * Grid, but for the mean: (V rounded up, n); items are voxels, neighbours read neighbouring words. */
#if !defined(C) || !defined(V)
#error "C (channels) and V (voxels) must be given"
#endif
#ifndef WG /* items of a group of the mean, a power of two */
#define WG 64
#endif

/* Rung 1: three kernels, x read three times. */
__kernel void softmax_max(__global const float *restrict x, __global float *restrict m)
{
    const size_t v = get_global_id(0), n = get_global_id(1);
    if (v >= V)
        return;
    float most = x[n * C * V + v];
    for (uint c = 1; c < C; c++)
        most = fmax(most, x[(n * C + c) * V + v]);
    m[n * V + v] = most;
}

__kernel void softmax_sum(__global const float *restrict x, __global const float *restrict m,
                          __global float *restrict s)
{
    const size_t v = get_global_id(0), n = get_global_id(1);
    if (v >= V)
        return;
    float sum = 0.0f;
    for (uint c = 0; c < C; c++)
        sum += exp(x[(n * C + c) * V + v] - m[n * V + v]);
    s[n * V + v] = sum;
}

__kernel void softmax_divide(__global const float *restrict x, __global const float *restrict m,
                             __global const float *restrict s, __global float *restrict p)
{
    const size_t v = get_global_id(0), n = get_global_id(1);
    if (v >= V)
        return;
    for (uint c = 0; c < C; c++)
        p[(n * C + c) * V + v] = exp(x[(n * C + c) * V + v] - m[n * V + v]) / s[n * V + v];
}

/* Rung 3: the largest so far and the sum relative to it in one pass; when a larger one comes, the sum
 * is brought down to it.  (Milakov and Gimelshein: "Online normalizer calculation for softmax".)
 * x is read twice instead of three times, for a second exp where the largest changes. */
__kernel void softmax_online(__global const float *restrict x, __global float *restrict p)
{
    const size_t v = get_global_id(0), n = get_global_id(1);
    if (v >= V)
        return;
    x += n * C * V + v;
    p += n * C * V + v;
    float m = x[0], s = 1.0f;
    for (uint c = 1; c < C; c++) {
        const float one = x[(size_t)c * V], most = fmax(m, one);
        s = s * exp(m - most) + exp(one - most);
        m = most;
    }
    for (uint c = 0; c < C; c++)
        p[(size_t)c * V] = exp(x[(size_t)c * V] - m) / s;
}

/* What rungs 1 to 3 do with the probabilities. */
__kernel void softmax_pick(__global const float *restrict p, __global const int *restrict label,
                           __global float *restrict l)
{
    const size_t v = get_global_id(0), n = get_global_id(1);
    if (v < V)
        l[n * V + v] = -log(p[(n * C + label[n * V + v]) * V + v]);
}

/* loss[n] = the sum of the n-th `count` numbers of l, by V.  Grid: (WG, n) in groups of (WG, 1). */
__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void
softmax_mean(__global const float *restrict l, __global float *restrict loss, uint count)
{
    __local float part[WG];
    const uint item = get_local_id(0);
    const size_t n = get_global_id(1);
    float sum = 0.0f, lost = 0.0f; /* Kahan's correction: V may be millions */
    for (uint v = item; v < count; v += WG) {
        const float y = l[n * count + v] - lost, t = sum + y;
        lost = (t - sum) - y;
        sum = t;
    }
    part[item] = sum;
    for (uint reach = WG / 2; reach > 0; reach /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (item < reach)
            part[item] += part[item + reach];
    }
    if (item == 0)
        loss[n] = part[0] / (float)V;
}

/* Rung 4, for CPUs: 16 voxels side by side in vectors, for which exp is as quick as for one number,
 * and a run of voxels for each item; softmax and loss in one: x is read once from memory (again from
 * the cache), and but for a part an item nothing is written.  V is a multiple of 16 here.
 * Grid: (V / RUN rounded up, n), groups of one; part [n][that many]. */
#ifndef RUN /* voxels of an item, a multiple of 16 */
#define RUN 1024
#endif
#if RUN % 16 != 0
#error "RUN must be a multiple of 16"
#endif
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
softmax_vectors(__global const float *restrict x, __global const int *restrict label,
                __global float *restrict part)
{
    const size_t n = get_global_id(1), first = get_global_id(0) * RUN;
    const size_t end = min(first + RUN, (size_t)V);
    float16 sum = (float16)(0.0f);
    x += n * C * V;
    for (size_t v = first; v < end; v += 16) {
        const int16 l = vload16(0, label + n * V + v);
        float16 m = vload16(0, x + v), s = (float16)(0.0f), mine = (float16)(0.0f);
        for (uint c = 1; c < C; c++)
            m = fmax(m, vload16(0, x + (size_t)c * V + v));
        for (uint c = 0; c < C; c++) {
            const float16 one = vload16(0, x + (size_t)c * V + v) - m;
            s += exp(one);
            mine = select(mine, one, l == (int16)((int)c));
        }
        sum += log(s) - mine;
    }
    const float8 a = sum.lo + sum.hi;
    const float4 b = a.lo + a.hi;
    part[n * get_global_size(0) + get_global_id(0)] = (b.x + b.y) + (b.z + b.w);
}
