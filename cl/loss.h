/* loss.h - what a voxel gives to a loss: LANES voxels at a time, 16 for CPUs, 1 for GPUs.
 *
 *   C        channels of the logits          CLASSES  values a label may have: C, or 2 for one channel
 *   SIGMOID  1: C is 1, p = sigmoid(x) is the probability of label 1; 0: p = softmax(x)
 *   VOXEL    the part that is a mean over voxels, or 0 (with weight w = weight[label], 1 without):
 *     CROSS_ENTROPY  -w log p[label]                       (softmax)
 *     BCE_LOGITS     -w sum_c log(label is c ? sigmoid(x[c]) : 1 - sigmoid(x[c]))
 *     BCE            the same of probabilities x, kept within [1e-7, 1 - 1e-7] as Keras does
 *     FOCAL          -w (1 - p)^gamma log p, p = that of the label's class
 * Probabilities near 1 matter by their distance from 1, which is therefore never computed by
 * subtracting from 1: q below is the sum of the other classes' probabilities, or sigmoid(-x). */
#ifndef VOX_LOSS_H
#define VOX_LOSS_H

#define CROSS_ENTROPY 1
#define BCE_LOGITS    2
#define BCE           3
#define FOCAL         4

#if LANES == 16
#include "voxels.h"
typedef float16 floatv;
typedef int16 intv;
#define GET(p, left)     get16(p, left)
#define PUT(v, p, left)  put16(v, p, left)
#define EXP(x)           exp16(x) /* x <= 0 */
#define LOG(x)           log16(x) /* x >= 1 */
#define ADD_ACROSS(v)    add_across(v)
#define AS_INT(v)        as_int16(v)
#define PAST(left)       ((int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) >= (int)(left))
#elif LANES == 1
typedef float floatv;
typedef int intv;
#define GET(p, left)     (*(p))
#define PUT(v, p, left)  (*(p) = (v))
#define EXP(x)           exp(x)
#define LOG(x)           log(x)
#define ADD_ACROSS(v)    (v)
#define AS_INT(v)        as_int(v)
#define PAST(left)       0
#else
#error "LANES must be 1 or 16"
#endif

/* yes ? a : b, lane by lane */
inline floatv pick(intv yes, floatv a, floatv b)
{
    return select(b, a, yes);
}

/* The voxels' labels are of channel c's class. */
inline intv is_class(intv label, uint c)
{
    return label == (int)(CLASSES > C ? 1 : c);
}

inline intv is_none(intv label)
{
    return (label < 0) | (label >= CLASSES);
}

/* log(1 + exp(-z)), for any z */
inline floatv softplus_minus(floatv z)
{
    return pick(z < 0.0f, -z, (floatv)(0.0f)) + LOG(1.0f + EXP(-fabs(z)));
}

inline floatv sigmoid(floatv z)
{
    const floatv e = EXP(-fabs(z));
    return pick(z < 0.0f, e, (floatv)(1.0f)) / (1.0f + e);
}

/* p[c] = the probabilities; returns log(sum_c exp x[c]), of use with a softmax only. */
inline floatv probabilities(const floatv *x, floatv *p)
{
#if SIGMOID
    p[0] = sigmoid(x[0]);
    return (floatv)(0.0f);
#else
    floatv m = x[0], sum = (floatv)(0.0f);
    for (uint c = 1; c < C; c++)
        m = fmax(m, x[c]);
    for (uint c = 0; c < C; c++) {
        p[c] = EXP(x[c] - m);
        sum += p[c];
    }
    const floatv each = 1.0f / sum;
    for (uint c = 0; c < C; c++)
        p[c] *= each;
    return LOG(sum) + m;
#endif
}

/* weight[label]; 1 if there are none. */
inline floatv weight_of(__global const float *weight, intv label)
{
    floatv w = (floatv)(1.0f);
#if WEIGHTED
    for (uint c = 0; c < CLASSES; c++)
        w = pick(label == (int)c, (floatv)(weight[c]), w);
#endif
    return w;
}

#if VOXEL == BCE
inline floatv clipped(floatv x) /* NaN passes */
{
    return pick(x < 1e-7f, (floatv)(1e-7f), pick(x > 1.0f - 1e-7f, (floatv)(1.0f - 1e-7f), x));
}
#endif

/* What focal needs of the label's class: 1 - p, and log p. */
inline floatv other_classes(const floatv *x, const floatv *p, floatv lse, intv label, floatv *log_p)
{
#if SIGMOID
    const floatv z = pick(is_class(label, 0), x[0], -x[0]);
    *log_p = -softplus_minus(z);
    return sigmoid(-z);
#else
    floatv q = (floatv)(0.0f), mine = (floatv)(NAN);
    for (uint c = 0; c < C; c++) {
        q += pick(is_class(label, c), (floatv)(0.0f), p[c]);
        mine = pick(is_class(label, c), x[c], mine);
    }
    *log_p = mine - lse;
    return q;
#endif
}

/* q^gamma, q in [0, 1] */
inline floatv power(floatv q, float gamma)
{
    return EXP(-gamma * LOG(1.0f / fmax(q, (floatv)(1e-37f))));
}

/* The loss of the voxels, before the weight. */
inline floatv voxel_loss(const floatv *x, const floatv *p, floatv lse, intv label, float gamma)
{
    floatv sum = (floatv)(0.0f);
#if VOXEL == CROSS_ENTROPY
    floatv mine = (floatv)(NAN);
    for (uint c = 0; c < C; c++)
        mine = pick(is_class(label, c), x[c], mine);
    sum = lse - mine;
#elif VOXEL == BCE_LOGITS
    for (uint c = 0; c < C; c++)
        sum += softplus_minus(pick(is_class(label, c), x[c], -x[c]));
#elif VOXEL == BCE
    for (uint c = 0; c < C; c++) {
        const floatv q = clipped(x[c]);
        sum -= log(pick(is_class(label, c), q, 1.0f - q));
    }
#elif VOXEL == FOCAL
    floatv log_p;
    const floatv q = other_classes(x, p, lse, label, &log_p);
    sum = -power(q, gamma) * log_p;
#endif
    return sum;
}

/* dx[c] += u * d voxel_loss / dx[c] */
inline void voxel_gradient(const floatv *x, const floatv *p, floatv lse, intv label, float gamma,
                           floatv u, floatv *dx)
{
#if VOXEL == CROSS_ENTROPY
    for (uint c = 0; c < C; c++)
        dx[c] += u * pick(is_class(label, c), p[c] - 1.0f, p[c]);
#elif VOXEL == BCE_LOGITS
    for (uint c = 0; c < C; c++) {
        const intv mine = is_class(label, c);
        const floatv q = sigmoid(pick(mine, -x[c], x[c]));
        dx[c] += u * pick(mine, -q, q);
    }
#elif VOXEL == BCE
    for (uint c = 0; c < C; c++) {
        const floatv q = clipped(x[c]);
        const floatv slope = pick(is_class(label, c), -1.0f / q, 1.0f / (1.0f - q));
        dx[c] += u * pick((q == x[c]) | isnan(q), slope, (floatv)(0.0f));
    }
#elif VOXEL == FOCAL
    /* d/dlog p of -q^gamma log p is gamma p q^(gamma-1) log p - q^gamma; log p's own derivative is
     * q (of the label's x) or -p[c], so that q^(gamma-1) never stands without a factor below q. */
    floatv log_p;
    const floatv q = other_classes(x, p, lse, label, &log_p), f = power(q, gamma);
    const floatv rise = gamma * EXP(log_p) * log_p;
#if SIGMOID
    const floatv slope = rise * f - f * q;
    dx[0] += u * pick(is_class(label, 0), slope, -slope);
#else
    const floatv slope = u * (rise * (f / fmax(q, (floatv)(FLT_MIN))) - f);
    for (uint c = 0; c < C; c++)
        dx[c] += slope * pick(is_class(label, c), q, -p[c]);
#endif
#endif
}

#endif
