/* conv3d_fft.cl - convolution by Fourier transform: volumes in and out, and the products.
 *
 *   Y[f] = sum_c X[c][f] H[o][c][f]         for each frequency f
 *
 * where X is the spectrum of the padded input, H that of the kernel (conjugated in the forward
 * pass, which correlates) and Y becomes the output by the inverse transform.  The transforms of
 * volumes are clFFT's.  The kernels' are not: nearly all of a padded kernel is zeros, so summing
 * its few taps is less work than a transform (conv3d_fft_taps.cl does that for two axes, the third
 * is summed below, where the result is used and never written).
 *
 *   fft_pad       a tensor's volumes into zeros, at OFF_D, OFF_H, OFF_W
 *   fft_product   Y
 *   fft_crop      what lies at OFF_D, OFF_H, OFF_W out of them; bias, relu */
#include "conv_fft.h"
#include "relu.h"

/* Grid: (STEP, ND, channels): one item to a plane on CPUs, STEP neighbours along w on GPUs.
 * x [channels][vd][vh][vw], channels of all samples; the corner wraps round along d only.  Sizes
 * are arguments because the weights' gradient has two kinds of volumes. */
__kernel void fft_pad(__global const float *restrict x, __global float *restrict volumes, int vd,
                      int vh, int vw, int off_d, int off_h, int off_w)
{
    const int plane = get_global_id(1), channel = get_global_id(2);
    const int d = (plane + ND - off_d) % ND;
    __global float *to = volumes + channel * (size_t)VOLUME + plane * (size_t)PLANE;
    __global const float *from = x + (channel * (size_t)vd + d) * (vh * vw);
    for (int row = 0; row < NH; row++, to += 2 * ROW) {
        const int h = row - off_h;
        const bool inside = d < vd && h >= 0 && h < vh;
        for (int i = get_global_id(0); i < 2 * ROW; i += STEP) {
            const int w = i - off_w;
            to[i] = inside && w >= 0 && w < vw ? from[h * vw + w] : 0.0f;
        }
    }
}

/* Grid: (STEP, VD, channels) of sample n: those that begin at `first`, of WRITTEN.  bias may be
 * NULL. y (or dx) and x, what a fused relu looks at: [N][WRITTEN][VD][VH][VW]. */
__kernel void fft_crop(__global const float *restrict volumes, __global const float *restrict bias,
                       __global const float *restrict x, __global float *restrict y, int n,
                       int first)
{
    const int d = get_global_id(1), channel = get_global_id(2);
    const float b = bias ? bias[first + channel] : 0.0f;
    const size_t at = (((size_t)n * WRITTEN + first + channel) * VD + d) * (VH * VW);
    __global const float *from = volumes + channel * (size_t)VOLUME +
                                 (d + OFF_D) % ND * (size_t)PLANE + OFF_H * 2 * ROW + OFF_W;
    for (int h = 0; h < VH; h++)
        for (int w = get_global_id(0); w < VW; w += STEP) {
            const size_t i = at + h * VW + w;
            const float v = from[h * 2 * ROW + w] + b;
#ifdef BACKWARD
            y[i] = RELU_DX(v, x[i]);
#else
            y[i] = RELU_Y(v);
#endif
        }
}

/* Grid: (written channels of this chunk, PLANE / V, pairs of planes): one item makes V floats of
 * the planes +j and -j of one channel; on CPUs, where the third number is 1, of all planes.
 *
 * planes: of the kernels [written][READS][SETS][PLANE] (conv3d_fft_taps.cl), waves: for each j cos
 * and sin of 2 pi j t / ND [ND / 2 + 1][HALF][2].  The written channels begin at `first`; each
 * group of WRITES of them reads READS of the spectrum's READ channels.
 *
 * BLOCK channels are done for all planes before the next, so that on CPUs their taps stay in the
 * first-level cache; in between Y holds the sum so far. */
#define PAIRS (ND / 2 + 1)

__kernel void fft_product(__global const float *restrict spectrum,
                          __global const float *restrict planes,
                          __global const float *restrict waves, __global float *restrict y, int n,
                          int first)
{
    const int w = get_global_id(0);
    const size_t at = get_global_id(1) * V;
    if (at >= PLANE)
        return;
    const int channel = (first + w) / WRITES * READS;
    __global const float *x = spectrum + (n * (size_t)READ + channel) * VOLUME + at;
    __global const float *taps = planes + (size_t)w * READS * SETS * PLANE + at;
    y += w * (size_t)VOLUME + at;
    for (int begin = 0; begin < READS; begin += BLOCK)
        for (int j = get_global_id(2); j < PAIRS; j += get_global_size(2)) {
            const size_t up = j * (size_t)PLANE, down = (ND - j) % ND * (size_t)PLANE;
            __global const float *wave = waves + j * (2 * HALF);
            /* real and imaginary parts of the taps are multiplied apart, and joined at the end */
            floatv up_re = 0.0f, up_im = 0.0f, down_re = 0.0f, down_im = 0.0f;
            for (int c = begin; c < min(begin + BLOCK, READS); c++) {
                __global const float *tap = taps + (size_t)c * SETS * PLANE;
                floatv even = LOAD(tap), odd = 0.0f;
                for (int t = 0; t < HALF; t++) {
                    even = madd(wave[2 * t], LOAD(tap + (2 * t + 1) * PLANE), even);
                    odd = madd(wave[2 * t + 1], LOAD(tap + (2 * t + 2) * PLANE), odd);
                }
                odd = TURN(odd);
                const floatv x_up = LOAD(x + c * (size_t)VOLUME + up);
                const floatv x_down = LOAD(x + c * (size_t)VOLUME + down);
                const floatv h_up = even + odd, h_down = even - odd;
                up_re = madd(x_up, RE(h_up), up_re);
                up_im = madd(x_up, IM(h_up), up_im);
                down_re = madd(x_down, RE(h_down), down_re);
                down_im = madd(x_down, IM(h_down), down_im);
            }
            up_re += TURN(up_im);
            down_re += TURN(down_im);
            if (begin > 0) {
                up_re += LOAD(y + up);
                down_re += LOAD(y + down);
            }
            STORE(up_re, y + up);
            STORE(down_re, y + down);
        }
}
