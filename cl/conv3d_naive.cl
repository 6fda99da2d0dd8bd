/* conv3d_naive.cl - 3D convolution, one work-item per number wanted: the first rung of the ladder.
 *
 *   forward   y[n,o,p]  =      bias[o] + sum_{c,k} x[n,c,p*S - P + k*L] * w[o,c,k]
 *   data      dx[n,c,p] =      sum_{o,k: (p + P - k*L) % S == 0} dy[n,o,(p + P - k*L)/S] * w[o,c,k]
 *   weights   dw[o,c,k] = or += sum_{n,p} dy[n,o,p] * x[n,c,p*S - P + k*L]
 *
 *            kernel row over x, S = 2, P = 1, L = 1          p = (d,h,w), k = (kd,kh,kw)
 *      x:  0 |a b c d e f g| 0                               c: channels of o's group
 *          [k0 k1 k2]            y[0] = 0*k0 + a*k1 + b*k2
 *               [k0 k1 k2]       y[1] = b*k0 + c*k1 + d*k2
 *
 * A relu before or after may be fused (relu.h): x of data is the output of one before.  A transposed
 * convolution takes the first two the other way round: its forward pass is data with a bias, and its
 * backward-data is forward, `before` being the output of a relu before it.
 *
 * x [N][CI][ID][IH][IW], y [N][CO][OD][OH][OW], w [CO][CI/GROUPS][KD][KH][KW], all plain.
 *
 * Why this method: it is the definition, takes every shape, and what the other kernels are compared
 * with.  Each product costs two loads from memory or cache, which is why it reaches only a per cent
 * or two of a device's peak.  data gathers (each item collects what reached its voxel) rather than
 * scatters, which would need atomics and lose repeatability. */
#include "conv.h"
#include "relu.h"

#define CIG  (CI / GROUPS) /* channels of a group */
#define COG  (CO / GROUPS)
#define TAPS (KD * KH * KW)

/* Grid: (OD*OH*OW rounded up, CO, N). */
__kernel void conv3d_naive_forward(__global const float *x, __global const float *w,
                                   __global const float *bias, __global float *y,
                                   __global const float *before)
{
    const size_t p = get_global_id(0), o = get_global_id(1), n = get_global_id(2);
    if (p >= (size_t)OD * OH * OW)
        return;
    const int ow = (int)(p % OW), oh = (int)(p / OW % OH), od = (int)(p / OW / OH);
    float sum = bias ? bias[o] : 0.0f;
    for (int c = 0; c < CIG; c++) {
        __global const float *xc = x + (n * CI + o / COG * CIG + c) * ((size_t)ID * IH * IW);
        __global const float *wc = w + (o * CIG + c) * TAPS;
        for (int kd = 0; kd < KD; kd++) {
            const int id = REACH_INPUT(od, kd, SD, PD, LD, ID);
            for (int kh = 0; kh < KH; kh++) {
                const int ih = REACH_INPUT(oh, kh, SH, PH, LH, IH);
                if (id < 0 || ih < 0)
                    continue;
                for (int kw = 0; kw < KW; kw++) {
                    const int iw = REACH_INPUT(ow, kw, SW, PW, LW, IW);
                    if (iw >= 0)
                        sum += xc[((size_t)id * IH + ih) * IW + iw] * wc[(kd * KH + kh) * KW + kw];
                }
            }
        }
    }
    const size_t at = (n * CO + o) * ((size_t)OD * OH * OW) + p;
    y[at] = RELU_DX(RELU_Y(sum), before[at]);
}

/* Grid: (ID*IH*IW rounded up, CI, N). */
__kernel void conv3d_naive_data(__global const float *dy, __global const float *w,
                                __global const float *bias, __global float *dx,
                                __global const float *x)
{
    const size_t p = get_global_id(0), c = get_global_id(1), n = get_global_id(2);
    if (p >= (size_t)ID * IH * IW)
        return;
    const int iw = (int)(p % IW), ih = (int)(p / IW % IH), id = (int)(p / IW / IH);
    float sum = bias ? bias[c] : 0.0f;
    for (int i = 0; i < COG; i++) {
        const size_t o = c / CIG * COG + i;
        __global const float *g = dy + (n * CO + o) * ((size_t)OD * OH * OW);
        __global const float *wc = w + (o * CIG + c % CIG) * TAPS;
        for (int kd = FIRST_TAP(id, SD, PD, LD); kd < KD; kd += TAP_STEP(SD, LD)) {
            const int od = REACH_OUTPUT(id, kd, SD, PD, LD, OD);
            for (int kh = FIRST_TAP(ih, SH, PH, LH); kh < KH; kh += TAP_STEP(SH, LH)) {
                const int oh = REACH_OUTPUT(ih, kh, SH, PH, LH, OH);
                if (od < 0 || oh < 0)
                    continue;
                for (int kw = FIRST_TAP(iw, SW, PW, LW); kw < KW; kw += TAP_STEP(SW, LW)) {
                    const int ow = REACH_OUTPUT(iw, kw, SW, PW, LW, OW);
                    if (ow >= 0)
                        sum += g[((size_t)od * OH + oh) * OW + ow] * wc[(kd * KH + kh) * KW + kw];
                }
            }
        }
    }
    const size_t at = (n * CI + c) * ((size_t)ID * IH * IW) + p;
    dx[at] = RELU_DX(RELU_Y(sum), x[at]);
}

/* Grid: (TAPS rounded up, CI/GROUPS, CO).  Sums row by row and plane by plane: one running sum over
 * a large volume would lose digits. */
__kernel void conv3d_naive_weights(__global const float *x, __global const float *dy,
                                   __global float *dw, int batch, int accumulate)
{
    const size_t t = get_global_id(0), c = get_global_id(1), o = get_global_id(2);
    if (t >= TAPS)
        return;
    const int kw = (int)(t % KW), kh = (int)(t / KW % KH), kd = (int)(t / KW / KH);
    float sum = 0.0f;
    for (int n = 0; n < batch; n++)
        for (int od = 0; od < OD; od++) {
            const int id = REACH_INPUT(od, kd, SD, PD, LD, ID);
            if (id < 0)
                continue;
            __global const float *xp =
                x + ((n * (size_t)CI + o / COG * CIG + c) * ID + id) * ((size_t)IH * IW);
            __global const float *g = dy + ((n * (size_t)CO + o) * OD + od) * ((size_t)OH * OW);
            float plane = 0.0f;
            for (int oh = 0; oh < OH; oh++) {
                const int ih = REACH_INPUT(oh, kh, SH, PH, LH, IH);
                if (ih < 0)
                    continue;
                float row = 0.0f;
                for (int ow = 0; ow < OW; ow++) {
                    const int iw = REACH_INPUT(ow, kw, SW, PW, LW, IW);
                    if (iw >= 0)
                        row += g[(size_t)oh * OW + ow] * xp[(size_t)ih * IW + iw];
                }
                plane += row;
            }
            sum += plane;
        }
    __global float *to = dw + (o * CIG + c) * TAPS + t;
    *to = accumulate ? *to + sum : sum;
}
