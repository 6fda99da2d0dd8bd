/* loss.cl - losses of segmentations (and of classifiers: one voxel): sums over the voxels first, then
 * each sample's loss and the factors of its gradient, then the gradient.
 *   x, dx [n][C][V] logits (bce: probabilities), label [n][V] of 0..CLASSES-1; loss [n]
 * Of a sample, over its voxels v whose label is not `ignore` (loss.h has p and the voxels' losses):
 *   inside[c]  = sum_v p[c,v] (label[v] is c)       all[c] = sum_v p[c,v]
 *   truth[c]   = sum_v (label[v] is c)              S = sum_v w_v voxel_loss(v),  W = sum_v norm_v
 *   overlap[c] = (inside + smooth) / (inside + alpha (all - inside) + beta (truth - inside) + smooth)
 *   loss       = level * (region * mean_{c >= first} (1 - overlap[c]) + voxel * S / W)
 * alpha = beta = 1/2 is soft Dice, others Tversky's index; norm_v is w_v (cross entropy), 1 (focal) or
 * C (binary cross entropy).  W = 0, nothing but ignored voxels: S / W counts as 0, and so does dx.
 * With t[c,v] = d loss / d p[c,v] = along[c] + (label[v] is c) across[c]:
 *   dx[c,v] = scale * (p[c] (t[c] - sum_k p[k] t[k])  (softmax)  or  p (1 - p) t  (sigmoid)
 *             + level * voxel / W * d voxel_loss / dx[c,v])
 * A label outside 0..CLASSES-1 gives NaN (the host refuses such labels before).
 *
 *        v ->   .----------.----------.----------.
 *   sample n    | chunk 0  | chunk 1  | chunk 2  |   part[n][chunk][SUMS]: a work-group each, from `at` on
 *               '----------'----------'----------'   loss_finish adds the chunks in order
 *
 * The overlap may also be of the batch as one volume (`per: batch`): then loss_totals adds up inside, all and
 * truth over all samples, these totals are joined with other devices' between the two kernels, and
 * loss_finish takes them in place of each sample's.
 *
 * Why three kernels: the gradient of a voxel needs the sums over all of them.  V is an argument, so that
 * the outputs of deep supervision, of several sizes, share the kernels.  PLAIN only. */
#if !defined(C) || !defined(CLASSES) || !defined(SIGMOID) || !defined(VOXEL) || !defined(REGION)
#error "C, CLASSES, SIGMOID, VOXEL and REGION (1: with overlap) must be given"
#endif
#ifndef WEIGHTED /* 1: classes have weights */
#define WEIGHTED 0
#endif
#ifndef LANES /* voxels an item has in hand: 16 for CPUs, 1 for GPUs */
#define LANES 1
#endif
#ifndef WG /* items per work-group, power of two */
#define WG 64
#endif
#if (WG & (WG - 1)) != 0
#error "WG must be a power of two"
#endif
#include "loss.h"

#define REGION_SUMS (REGION ? 3 * C : 0) /* inside[C], all[C], truth[C] */
#define SUMS        (REGION_SUMS + 2)    /* ... S, W */
#define FACTORS     (2 * C + 1)          /* along[C], across[C], of voxel_loss */

/* Of the voxels from v on: logits, probabilities, log of the sum of exp of the logits, label, and whether
 * they count nowhere. */
inline void read_voxels(__global const float *x, __global const int *label, uint v, uint V, uint left,
                        int ignore, floatv *logit, floatv *p, floatv *lse, intv *l, intv *out)
{
    for (uint c = 0; c < C; c++)
        logit[c] = GET(x + (size_t)c * V + v, left);
    *l = AS_INT(GET((__global const float *)label + v, left));
    *out = (*l == ignore) | PAST(left);
#if VOXEL != BCE
    *lse = probabilities(logit, p);
#endif
}

inline void add_voxels(__global const float *x, __global const int *label, __global const float *weight,
                       uint v, uint V, uint left, int ignore, float gamma, floatv *sum)
{
    const floatv zero = (floatv)(0.0f);
    floatv logit[C], p[C], lse = zero;
    intv l, out;
    read_voxels(x, label, v, V, left, ignore, logit, p, &lse, &l, &out);
#if REGION
    const intv none = is_none(l) & !out;
    for (uint c = 0; c < C; c++) {
        const floatv one = pick(out, zero, pick(none, (floatv)(NAN), p[c]));
        sum[c] += pick(is_class(l, c), one, zero);
        sum[C + c] += one;
        sum[2 * C + c] += pick(is_class(l, c) & !out, (floatv)(1.0f), zero);
    }
#endif
#if VOXEL
    const floatv w = weight_of(weight, l);
    const floatv value = pick(is_none(l), (floatv)(NAN), voxel_loss(logit, p, lse, l, gamma));
    const floatv norm = VOXEL == FOCAL ? (floatv)(1.0f) : VOXEL == CROSS_ENTROPY ? w : w * C;
    sum[REGION_SUMS] += pick(out, zero, w * value);
    sum[REGION_SUMS + 1] += pick(out, zero, norm);
#endif
}

/* part[n][chunk][SUMS] =.  Grid: (chunks * WG, n). */
__kernel void loss_sums(__global const float *restrict x, __global const int *restrict label,
                        __global const float *restrict weight, __global float *restrict part, uint at,
                        uint V, uint chunk, int ignore, float gamma)
{
    __local float shared[WG];
    const uint item = get_local_id(0), first = (uint)get_group_id(0) * chunk, end = min(first + chunk, V);
    const size_t n = get_global_id(1);
    floatv sum[SUMS];
    for (uint k = 0; k < SUMS; k++)
        sum[k] = (floatv)(0.0f);
    for (uint v = first + item * LANES; v < end; v += WG * LANES)
        add_voxels(x + n * C * V, label + n * V, weight, v, V, end - v, ignore, gamma, sum);
    part += at + (n * get_num_groups(0) + get_group_id(0)) * SUMS;
    for (uint k = 0; k < SUMS; k++) {
        shared[item] = ADD_ACROSS(sum[k]);
        for (uint reach = WG / 2; reach > 0; reach /= 2) {
            barrier(CLK_LOCAL_MEM_FENCE);
            if (item < reach)
                shared[item] += shared[item + reach];
        }
        if (item == 0)
            part[k] = shared[0];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}

/* The sum of part[k], part[k + SUMS] ..., `count` of them, with Kahan's correction. */
inline float add_parts(__global const float *part, size_t count)
{
    float total = 0.0f, lost = 0.0f;
    for (size_t i = 0; i < count; i++) {
        const float y = part[i * SUMS] - lost, t = total + y;
        lost = isinf(t) ? 0.0f : (t - total) - y; /* inf - inf would make NaN of an infinite loss */
        total = t;
    }
    return total;
}

/* total[k] = inside, all and truth of `count` chunks, those of all samples.  Grid: an item a sum. */
__kernel void loss_totals(__global const float *restrict part, __global float *restrict total, uint at,
                          uint total_at, uint count)
{
    const uint k = get_global_id(0);
    if (k < REGION_SUMS)
        total[total_at + k] = add_parts(part + at + k, count);
}

/* 1 - the mean overlap; factor: along and across, times `times`. */
inline float region_loss(__local const float *sum, uint first, float alpha, float beta, float smooth,
                         float times, __global float *factor)
{
    float loss = 0.0f;
    for (uint c = 0; c < C; c++) {
        const float inside = sum[c], over = inside + smooth;
        const float under = over + alpha * (sum[C + c] - inside) + beta * (sum[2 * C + c] - inside);
        const float overlap = over / under, d = (c >= first ? times : 0.0f) / ((C - first) * under);
        if (c >= first)
            loss += 1.0f - overlap;
        if (factor) {
            factor[c] = d * alpha * overlap;
            factor[C + c] = -d * (1.0f - (1.0f - alpha - beta) * overlap);
        }
    }
    return loss / (C - first);
}

/* loss[n] = (or += with `more`) and factor[n][FACTORS] =, either of which may be NULL.  total: of the
 * batch of so many samples, which share its overlap; NULL: each has its own, and samples is 1.
 * Grid: (WG, n), a work-group per sample. */
__kernel void loss_finish(__global const float *restrict part, __global const float *restrict total,
                          __global float *restrict loss, __global float *restrict factor, uint at,
                          uint total_at, uint chunks, float samples, uint first,
                          float alpha, float beta, float smooth, float region, float voxel, float level,
                          float scale, int more)
{
    __local float sum[SUMS];
    const uint item = get_local_id(0);
    const size_t n = get_global_id(1);
    for (uint k = item; k < SUMS; k += WG)
        sum[k] = total && k < REGION_SUMS ? total[total_at + k]
                                          : add_parts(part + at + n * chunks * SUMS + k, chunks);
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item != 0)
        return;
    float value = 0.0f;
    if (factor)
        factor += n * FACTORS;
#if REGION
    value += region * region_loss(sum, first, alpha, beta, smooth, scale * level * region * samples, factor);
#endif
#if VOXEL
    const float each = sum[SUMS - 1] == 0.0f ? 0.0f : voxel / sum[SUMS - 1];
    value += sum[SUMS - 1] == 0.0f ? 0.0f : each * sum[SUMS - 2];
    if (factor)
        factor[2 * C] = scale * level * each;
#endif
    if (loss)
        loss[n] = (more ? loss[n] : 0.0f) + level * value;
}

/* From t[c] = d loss / d p[c] to d loss / dx[c].  A softmax's does not change if all t do by the same
 * number: that of the likeliest class, taken off, leaves nothing to cancel where p is close to 1. */
inline void through_probabilities(const floatv *x, const floatv *p, floatv *t)
{
#if SIGMOID
    t[0] *= p[0] * sigmoid(-x[0]);
#else
    floatv base = t[0], most = p[0], along = (floatv)(0.0f);
    for (uint c = 1; c < C; c++) {
        base = pick(p[c] > most, t[c], base);
        most = fmax(most, p[c]);
    }
    for (uint c = 0; c < C; c++)
        along += p[c] * (t[c] - base);
    for (uint c = 0; c < C; c++)
        t[c] = p[c] * ((t[c] - base) - along);
#endif
}

/* dx =.  Grid: (chunks * WG, n). */
__kernel void loss_gradient(__global const float *restrict x, __global const int *restrict label,
                            __global const float *restrict weight, __global const float *restrict factor,
                            __global float *restrict dx, uint V, uint chunk, int ignore, float gamma)
{
    const uint first = (uint)get_group_id(0) * chunk, end = min(first + chunk, V);
    const size_t n = get_global_id(1);
    const floatv zero = (floatv)(0.0f);
    factor += n * FACTORS;
    for (uint v = first + (uint)get_local_id(0) * LANES; v < end; v += WG * LANES) {
        floatv logit[C], p[C], slope[C], lse = zero;
        intv l, out;
        read_voxels(x + n * C * V, label + n * V, v, V, end - v, ignore, logit, p, &lse, &l, &out);
        for (uint c = 0; c < C; c++)
            slope[c] = zero;
#if REGION
        for (uint c = 0; c < C; c++)
            slope[c] = factor[c] + pick(is_class(l, c), (floatv)(factor[C + c]), zero);
        through_probabilities(logit, p, slope);
#endif
#if VOXEL
        voxel_gradient(logit, p, lse, l, gamma, factor[2 * C] * weight_of(weight, l), slope);
#endif
        for (uint c = 0; c < C; c++)
            PUT(pick(out, zero, pick(is_none(l), (floatv)(NAN), slope[c])), dx + (n * C + c) * V + v, end - v);
    }
}

/* Labels of a coarser grid of d x h x w voxels: coarse[n][v] = label[n][nearest voxel of D x H x W], that at
 * floor((i + 1/2) * D / d) along each axis (PyTorch's "nearest-exact").  Grid: (d * h * w, n). */
__kernel void loss_labels(__global const int *restrict label, __global int *restrict coarse, uint D, uint H,
                          uint W, uint d, uint h, uint w)
{
    const size_t v = get_global_id(0), n = get_global_id(1);
    if (v >= (size_t)d * h * w)
        return;
    const size_t z = (2 * (v / w / h) + 1) * D / (2 * d), y = (2 * (v / w % h) + 1) * H / (2 * h);
    const size_t x = (2 * (v % w) + 1) * W / (2 * w);
    coarse[n * d * h * w + v] = label[((n * D + z) * H + y) * W + x];
}
