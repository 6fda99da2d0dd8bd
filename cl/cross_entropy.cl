/* cross_entropy.cl - per sample, the mean over voxels of -log softmax(x)[label], and its gradient.
 *   x, dx [n][C][V] logits, label [n][V], loss [n]; all overwritten (=)
 *   loss[n]     = 1/V * sum_v (log(sum_c exp(x[c,v] - m)) - (x[label,v] - m)),  m = max_c x[c,v]
 *   dx[n,c,v]   = scale * (exp(x[c,v] - m) / sum_c exp(x[c,v] - m) - (c == label)),
 *                 the host has divided scale by V
 * Subtracting m keeps exp in range for any logits; a NaN or +inf logit gives NaN, as in PyTorch.  A
 * label outside 0..C-1 gives NaN and reads nothing (the host refuses such labels before).
 * Forward: a sample's voxels are shared out in runs of RUN over work-groups of WG items; each item
 * adds its voxels with Kahan's correction, so that millions keep their digits, then a tree:
 * part[n][p] = the sum of run p, and loss_sum.cl adds these; with one run the loss itself.
 * Backward: an item per voxel.  PLAIN only: neighbouring items read neighbouring voxels of one channel. */
#if !defined(C) || !defined(V)
#error "C (classes) and V (voxels) must be given"
#endif
#ifndef WG /* items per work-group, power of two */
#define WG 64
#endif
#ifndef RUN /* voxels of a work-group */
#define RUN V
#endif
#if (WG & (WG - 1)) != 0
#error "WG must be a power of two"
#endif

/* m and the sum of exp(x - m) over the channels of one voxel. */
inline float2 max_and_sum(__global const float *x)
{
    float m = x[0], sum = 0.0f;
    for (uint c = 1; c < C; c++)
        m = fmax(m, x[(size_t)c * V]);
    for (uint c = 0; c < C; c++)
        sum += exp(x[(size_t)c * V] - m);
    return (float2)(m, sum);
}

__kernel void cross_entropy_forward(__global const float *restrict x,
                                    __global const int *restrict label, __global float *restrict part_sum)
{
    __local float part[WG];
    const uint item = get_local_id(0), first = (uint)get_group_id(0) * RUN, end = min(first + RUN, (uint)V);
    const size_t n = get_global_id(1);
    x += n * C * V;
    label += n * V;
    float total = 0.0f, lost = 0.0f;
    for (uint v = first + item; v < end; v += WG) {
        const float2 ms = max_and_sum(x + v);
        const int l = label[v];
        const float one = (uint)l < C ? log(ms.y) - (x[(size_t)l * V + v] - ms.x) : NAN;
        const float y = one - lost, t = total + y;
        lost = isinf(t) ? 0.0f : (t - total) - y; /* inf - inf would make NaN of an infinite loss */
        total = t;
    }
    part[item] = total;
    for (uint half_ = WG / 2; half_ > 0; half_ /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (item < half_)
            part[item] += part[item + half_];
    }
    if (item == 0)
        part_sum[n * get_num_groups(0) + get_group_id(0)] = RUN >= V ? part[0] / (float)V : part[0];
}

__kernel void cross_entropy_backward(__global const float *restrict x,
                                     __global const int *restrict label, __global float *restrict dx,
                                     float scale)
{
    const size_t v = get_global_id(0), n = get_global_id(1);
    if (v >= V)
        return;
    x += n * C * V + v;
    dx += n * C * V + v;
    const int l = label[n * V + v];
    const float2 ms = max_and_sum(x);
    for (uint c = 0; c < C; c++) {
        const float p = exp(x[(size_t)c * V] - ms.x) / ms.y;
        dx[(size_t)c * V] = (uint)l < C ? scale * (p - (c == (uint)l ? 1.0f : 0.0f)) : NAN;
    }
}
