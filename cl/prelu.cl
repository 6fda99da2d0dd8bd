/* prelu.cl - y = x > 0 ? x : a * x with a learnt, one for all channels or one for each:
 *   prelu_forward    y  = x > 0 ? x : a*x                                        (=)
 *   prelu_backward   dx = x > 0 ? dy : a*dy                                      (=)
 *   prelu_parts      part[s][c] = sum of (x > 0 ? 0 : x*dy) over n and share s of the voxels
 *   prelu_weights    da = or += the parts of a channel, or of all of them, in order
 *   x, y, dy, dx [N][planes][V][LANES], LANES 1 (PLAIN) or 16 (BLOCK16, padding channels zero);
 *   a, da [C] with -DEACH, else [1].  NaN passes.
 * CPUs: work-groups of one that stream through ROW voxels of a plane.  GPUs: ROW 1, neighbouring
 * items take neighbouring voxels, also those of prelu_parts (-DAPART).  No atomics: the order in which
 * numbers are added is fixed. */
#if !defined(C) || !defined(V)
#error "C (channels) and V (voxels of a plane) must be given"
#endif
#ifndef LANES /* channels that lie side by side: 1 or 16 */
#define LANES 1
#endif
#ifndef ROW /* voxels of an item */
#define ROW 1
#endif
#define PLANES ((C + LANES - 1) / LANES)
#ifdef EACH
#define WEIGHT(c) a[min(c, C - 1)]
#else
#define WEIGHT(c) a[0]
#endif
#define STRETCH 64 /* voxels summed before they join a longer sum, which would lose their digits */

#if LANES == 16
#define lanes                float16
#define READ(v, p)           vload16(v, p)
#define WRITE(r, v, p)       vstore16(r, v, p)
#define CHOOSE(x, yes, no)   select(no, yes, (x) > 0.0f)
#else
#define lanes                float
#define READ(v, p)           (p)[v]
#define WRITE(r, v, p)       (p)[v] = (r)
#define CHOOSE(x, yes, no)   ((x) > 0.0f ? (yes) : (no))
#endif

/* The weights of a plane's channels. */
inline lanes weights_of(__global const float *a, int plane)
{
#if LANES == 16
    float lane[16];
    for (int k = 0; k < 16; k++)
        lane[k] = WEIGHT(plane * 16 + k);
    return vload16(0, lane);
#else
    return WEIGHT(plane);
#endif
}

/* Grid: (rows of ROW voxels, planes, n). */
__kernel void prelu_forward(__global const float *restrict x, __global const float *restrict a,
                            __global float *restrict y)
{
    const size_t plane = get_global_id(2) * PLANES + get_global_id(1);
    const uint first = (uint)get_global_id(0) * ROW, last = min(first + ROW, (uint)V);
    const lanes w = weights_of(a, (int)get_global_id(1));
    x += plane * V * LANES;
    y += plane * V * LANES;
    for (uint v = first; v < last; v++) {
        const lanes from = READ(v, x);
        WRITE(CHOOSE(from, from, w * from), v, y);
    }
}

__kernel void prelu_backward(__global const float *restrict x, __global const float *restrict dy,
                             __global const float *restrict a, __global float *restrict dx)
{
    const size_t plane = get_global_id(2) * PLANES + get_global_id(1);
    const uint first = (uint)get_global_id(0) * ROW, last = min(first + ROW, (uint)V);
    const lanes w = weights_of(a, (int)get_global_id(1));
    x += plane * V * LANES;
    dy += plane * V * LANES;
    dx += plane * V * LANES;
    for (uint v = first; v < last; v++) {
        const lanes from = READ(v, x), g = READ(v, dy);
        WRITE(CHOOSE(from, g, w * g), v, dx);
    }
}

/* Grid: (shares, planes).  part [shares][C]. */
__kernel void prelu_parts(__global const float *restrict x, __global const float *restrict dy,
                          __global float *restrict part, int batch)
{
    const uint s = (uint)get_global_id(0), shares = (uint)get_global_size(0);
    const int plane = (int)get_global_id(1);
#ifdef APART
    const uint first = s, last = V, step = shares;
#else
    const uint first = (uint)((ulong)V * s / shares), last = (uint)((ulong)V * (s + 1) / shares);
    const uint step = 1;
#endif
    lanes total = (lanes)(0.0f);
    for (int n = 0; n < batch; n++) {
        const size_t at = ((size_t)n * PLANES + plane) * V * LANES;
        for (uint begin = first; begin < last; begin += STRETCH * step) {
            const uint end = last - begin > STRETCH * step ? begin + STRETCH * step : last;
            lanes sum = (lanes)(0.0f);
            for (uint v = begin; v < end; v += step) {
                const lanes from = READ(v, x + at), g = READ(v, dy + at);
                sum += CHOOSE(from, (lanes)(0.0f), from * g);
            }
            total += sum;
        }
    }
#if LANES == 16
    float lane[16];
    vstore16(total, 0, lane);
    for (int k = 0; k < 16 && plane * 16 + k < C; k++)
        part[(size_t)s * C + plane * 16 + k] = lane[k];
#else
    part[(size_t)s * C + plane] = total;
#endif
}

/* Grid: the weights. */
__kernel void prelu_weights(__global const float *part, __global float *da, int shares, int accumulate)
{
    const int i = (int)get_global_id(0);
    float sum = 0.0f;
#ifdef EACH
    for (int s = 0; s < shares; s++)
        sum += part[(size_t)s * C + i];
#else
    for (int s = 0; s < shares; s++) {
        float all = 0.0f;
        for (int c = 0; c < C; c++)
            all += part[(size_t)s * C + c];
        sum += all;
    }
#endif
    da[i] = accumulate ? da[i] + sum : sum;
}
