/* conv3d_fft_taps.cl - the transform of a convolution's kernels along w and h, by summing their
 * taps:
 *
 *   rows    r[t][kh][fw] = sum_kw s[t][kh][kw] e^(i a fw kw)
 *   planes  p[t][fh][fw] = sum_kh r[t][kh][fw] e^(i a fh kh)
 *
 * where t runs over the SETS of conv_fft.h (s: middle tap, sums and differences along d), and the
 * sign of a, +-2 pi / N, is in the tables: `forms` [KW][2 * ROW], e^(i a fw kw), and `waves`
 * [NH / 2 + 1][KH][2], cos and sin of a fh kh.
 *
 * The kernels of a chunk are those of `writes` channels of the output of this pass, READS channels
 * of its input for each; BACKWARD (the gradient of the data) writes the input's channels and
 * reads the output's. */
#include "conv_fft.h"

#define VECTORS ((2 * ROW + V - 1) / V)

/* Where vector u of a row begins; the last overlaps the one before it, and writes the same there.
 */
inline int begin_of(int u)
{
    return min(u * V, 2 * ROW - V);
}

/* The kernel between a written channel and the read channel r of its group: weight [CO][CIG][taps].
 */
inline size_t kernel_between(int written, int r)
{
#ifdef BACKWARD
    const size_t o = written / CIG * COG + r, c = written % CIG;
#else
    const size_t o = written, c = r;
#endif
    return (o * CIG + c) * (KD * KH * KW);
}

/* Tap (t, kh, kw) of a kernel, t as in conv_fft.h. */
inline float set_of(__global const float *kernel_, int t, int at)
{
    const int away = (t + 1) / 2, up = HALF + away, down = HALF - away;
    const float w_down = kernel_[down * (KH * KW) + at];
    if (t == 0)
        return w_down;
    const float w_up = up < KD ? kernel_[up * (KH * KW) + at] : 0.0f;
    return t % 2 ? w_up + w_down : w_up - w_down;
}

/* Grid: (STEP, SETS * KH, written * READS): an item makes whole rows on CPUs, V floats on GPUs.
 * rows [written][READS][SETS][KH][2 * ROW]. */
__kernel void fft_rows(__global const float *restrict weight, __global const float *restrict forms,
                       __global float *restrict rows, int first)
{
    const int t = get_global_id(1) / KH, kh = get_global_id(1) % KH, pair = get_global_id(2);
    __global const float *kernel_ = weight + kernel_between(first + pair / READS, pair % READS);
    __global float *row = rows + ((size_t)pair * SETS * KH + get_global_id(1)) * (2 * ROW);
    float s[KW];
    for (int kw = 0; kw < KW; kw++)
        s[kw] = set_of(kernel_, t, kh * KW + kw);
    for (int u = get_global_id(0); u < VECTORS; u += STEP) {
        floatv sum = 0.0f;
        for (int kw = 0; kw < KW; kw++)
            sum = madd(s[kw], LOAD(forms + kw * (2 * ROW) + begin_of(u)), sum);
        STORE(sum, row + begin_of(u));
    }
}

/* Grid: (STEP, SETS, written * READS): an item makes V floats of all rows of a plane, on CPUs the
 * whole plane.  planes [written][READS][SETS][PLANE]. */
__kernel void fft_planes(__global const float *restrict rows, __global const float *restrict waves,
                         __global float *restrict planes)
{
    const size_t number = (size_t)get_global_id(2) * SETS + get_global_id(1);
    for (int u = get_global_id(0); u < VECTORS; u += STEP) {
        __global const float *from = rows + number * KH * (2 * ROW) + begin_of(u);
        __global float *to = planes + number * PLANE + begin_of(u);
        floatv row[KH];
        for (int kh = 0; kh < KH; kh++)
            row[kh] = LOAD(from + kh * (2 * ROW));
        for (int j = 0; j <= NH / 2; j++) {
            __global const float *wave = waves + j * (2 * KH);
            floatv even = row[0], odd = 0.0f;
            for (int kh = 1; kh < KH; kh++) {
                even = madd(wave[2 * kh], row[kh], even);
                odd = madd(wave[2 * kh + 1], row[kh], odd);
            }
            odd = TURN(odd);
            STORE(even + odd, to + j * (2 * ROW));
            STORE(even - odd, to + (NH - j) % NH * (2 * ROW));
        }
    }
}
