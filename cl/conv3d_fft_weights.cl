/* conv3d_fft_weights.cl - the weights' gradient by Fourier transform:
 *
 *   dW[o][c][k] = = or += 1/N sum_f e^(i a f k) sum_n X[n][c][f] conj(G[n][o][f])
 *
 * X and G are the spectra of the padded inputs and of the output's gradients (clFFT's); of the
 * inverse transform only the few taps k are wanted, so it is summed axis by axis, each axis
 * as soon as what it needs is there: d together with the products, then h, then w.
 *
 *   fft_lags     p[t][fh][fw] = sum_fd ...   the SETS of conv_fft.h: cosine and sine parts apart
 *   fft_lag_rows r[t][kh][fw] = sum_fh p[t][fh][fw] e^(i a fh kh)
 *   fft_lag_taps dW = 1/N sum_fw Re(r e^(i a fw kw)), cosine and sine parts put together */
#include "conv_fft.h"

/* Grid: (pairs of channels of this chunk, PLANE / V).  planes [o - first][CIG][SETS][PLANE]; waves
 * as for fft_product, of a = 2 pi / ND. */
__kernel void fft_lags(__global const float *restrict x, __global const float *restrict g,
                       __global const float *restrict waves, __global float *restrict planes,
                       int batch, int first)
{
    const int pair = get_global_id(0), o = first + pair / CIG;
    const size_t at = get_global_id(1) * V, sample = (size_t)VOLUME;
    if (at >= PLANE)
        return;
    x += (o / COG * CIG + pair % CIG) * sample + at;
    g += o * sample + at;
    floatv sum[SETS];
    for (int t = 0; t < SETS; t++)
        sum[t] = 0.0f;
    for (int j = 0; j <= ND / 2; j++) {
        const size_t up = j * (size_t)PLANE, down = (ND - j) % ND * (size_t)PLANE;
        __global const float *wave = waves + j * (2 * HALF);
        floatv up_re = 0.0f, up_im = 0.0f, down_re = 0.0f, down_im = 0.0f;
        for (int n = 0; n < batch; n++) {
            const floatv x_up = LOAD(x + n * CI * sample + up);
            const floatv x_down = LOAD(x + n * CI * sample + down);
            const floatv g_up = LOAD(g + n * CO * sample + up);
            const floatv g_down = LOAD(g + n * CO * sample + down);
            up_re = madd(x_up, RE(g_up), up_re);
            up_im = madd(x_up, IM(g_up), up_im);
            down_re = madd(x_down, RE(g_down), down_re);
            down_im = madd(x_down, IM(g_down), down_im);
        }
        up_re -= TURN(up_im);
        down_re -= TURN(down_im);
        if (up == down) /* frequency 0 and the middle one are their own mirrors */
            down_re = 0.0f;
        const floatv even = up_re + down_re, odd = TURN(up_re - down_re);
        sum[0] += even;
        for (int t = 0; t < HALF; t++) {
            sum[2 * t + 1] = madd(wave[2 * t], even, sum[2 * t + 1]);
            sum[2 * t + 2] = madd(wave[2 * t + 1], odd, sum[2 * t + 2]);
        }
    }
    planes += (size_t)pair * SETS * PLANE + at;
    for (int t = 0; t < SETS; t++)
        STORE(sum[t], planes + t * (size_t)PLANE);
}

/* Grid: (STEP, SETS, pairs): as fft_planes.  rows [pairs][SETS][KH][2 * ROW], waves as there. */
__kernel void fft_lag_rows(__global const float *restrict planes,
                           __global const float *restrict waves, __global float *restrict rows)
{
    const size_t number = (size_t)get_global_id(2) * SETS + get_global_id(1);
    for (int u = get_global_id(0); u < (2 * ROW + V - 1) / V; u += STEP) {
        const int begin = min(u * V, 2 * ROW - V);
        __global const float *from = planes + number * PLANE + begin;
        __global float *to = rows + number * KH * (2 * ROW) + begin;
        floatv sum[KH];
        for (int kh = 0; kh < KH; kh++)
            sum[kh] = 0.0f;
        for (int j = 0; j <= NH / 2; j++) {
            __global const float *wave = waves + j * (2 * KH);
            const int mirror = (NH - j) % NH;
            const floatv up = LOAD(from + j * (2 * ROW));
            const floatv down = mirror == j ? 0.0f : LOAD(from + mirror * (2 * ROW));
            const floatv even = up + down, odd = TURN(up - down);
            for (int kh = 0; kh < KH; kh++)
                sum[kh] = madd(wave[2 * kh], even, madd(wave[2 * kh + 1], odd, sum[kh]));
        }
        for (int kh = 0; kh < KH; kh++)
            STORE(sum[kh], to + kh * (2 * ROW));
    }
}

/* Grid: (KW / 16 rounded up, KH * (HALF + 1), pairs): an item makes up to 16 neighbouring weights
 * for +t and -t.  forms [2 * ROW][KW rounded up to 16]: what the real and the imaginary part of a
 * frequency and its mirror image add to each tap, divided by the number of voxels. */
inline void put(__global float *to, float16 v, int count, int accumulate)
{
    float lane[16];
    vstore16(v, 0, lane);
    for (int i = 0; i < count; i++)
        to[i] = accumulate ? to[i] + lane[i] : lane[i];
}

inline float16 sum_row(__global const float *row, __global const float *forms)
{
    float16 sum = 0.0f;
    for (int f = 0; f < 2 * ROW; f++)
        sum += row[f] * vload16(0, forms + f * ((KW + 15) / 16 * 16));
    return sum;
}

__kernel void fft_lag_taps(__global const float *restrict rows,
                           __global const float *restrict forms, __global float *restrict dw,
                           int first, int accumulate)
{
    const int begin = get_global_id(0) * 16, kh = get_global_id(1) % KH;
    const int t = get_global_id(1) / KH, count = min(16, KW - begin);
    __global const float *row = rows + (size_t)get_global_id(2) * SETS * KH * (2 * ROW);
    __global float *to =
        dw + ((size_t)first * CIG + get_global_id(2)) * (KD * KH * KW) + kh * KW + begin;
    if (t == 0) {
        put(to + HALF * KH * KW, sum_row(row + kh * (2 * ROW), forms + begin), count, accumulate);
        return;
    }
    const float16 even = sum_row(row + ((2 * t - 1) * KH + kh) * (2 * ROW), forms + begin);
    const float16 odd = sum_row(row + (2 * t * KH + kh) * (2 * ROW), forms + begin);
    if (HALF + t < KD)
        put(to + (HALF + t) * KH * KW, even + odd, count, accumulate);
    put(to + (HALF - t) * KH * KW, even - odd, count, accumulate);
}
