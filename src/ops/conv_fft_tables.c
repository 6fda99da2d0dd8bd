/* conv_fft_tables.c - cosines and sines for the kernels of the Fourier method, computed in double.
 */
#include "ops/conv_fft.h"

#include <math.h>
#include <stdlib.h>

#define WHAT "tables of cosines and sines"

/* The angle of frequency f at position k of an axis of n; the product is reduced first, so that
 * large ones lose no digits. */
static double angle(int64_t f, int64_t k, int64_t n)
{
    return 2 * acos(-1.0) * (double)(f * k % n) / (double)n;
}

static vox_status upload(vox_work *w, int scratch, const float *table, int64_t floats,
                         vox_error *err)
{
    vox_status s = vox_conv_scratch(w, scratch, floats, WHAT, err);
    return s == VOX_OK ? vox_buffer_write(w->scratch[scratch], 0, table,
                                          (size_t)floats * sizeof *table, true, err)
                       : s;
}

/* [n / 2 + 1][count][2]: cos and sign * sin for positions from, from + 1 ... */
static vox_status make_waves(vox_work *w, int scratch, int64_t n, int64_t from, int64_t count,
                             int sign, vox_error *err)
{
    const int64_t floats = (n / 2 + 1) * count * 2;
    /* a kernel of one tap along d needs no waves, but a buffer has at least one float */
    float *table = vox_calloc((size_t)floats + 1, sizeof *table, WHAT, err);
    if (!table)
        return VOX_ERR_MEMORY;
    for (int64_t f = 0; f <= n / 2; f++)
        for (int64_t k = 0; k < count; k++) {
            const double a = angle(f, from + k, n);
            table[(f * count + k) * 2] = (float)cos(a);
            table[(f * count + k) * 2 + 1] = (float)(sign * sin(a));
        }
    vox_status s = upload(w, scratch, table, floats + 1, err);
    free(table);
    return s;
}

/* [kw][2 * row]: e^(sign i angle) */
static void fill_forms(float *table, const vox_conv_fft *f, int sign)
{
    for (int64_t k = 0; k < f->s.kernel[2]; k++)
        for (int64_t i = 0; i < f->row; i++) {
            const double a = angle(i, k, f->shape.size[2]);
            table[(k * f->row + i) * 2] = (float)cos(a);
            table[(k * f->row + i) * 2 + 1] = (float)(sign * sin(a));
        }
}

/* [2 * row][kw rounded up to 16]: what a frequency adds to each tap.  The mirror images of all but
 * the first and, with an even number, the middle one are not stored: those count twice. */
static void fill_lag_forms(float *table, const vox_conv_fft *f, int64_t lanes)
{
    const int64_t n = f->shape.size[2];
    const double voxels = (double)f->shape.size[0] * (double)f->shape.size[1] * (double)n;
    for (int64_t i = 0; i < f->row; i++)
        for (int64_t k = 0; k < f->s.kernel[2]; k++) {
            const double a = angle(i, k, n), times = i == 0 || 2 * i == n ? 1 : 2;
            table[2 * i * lanes + k] = (float)(times * cos(a) / voxels);
            table[(2 * i + 1) * lanes + k] = (float)(-times * sin(a) / voxels);
        }
}

static vox_status make_forms(vox_work *w, const vox_conv_fft *f, int sign, vox_error *err)
{
    const bool weights = f->pass == VOX_BACKWARD_WEIGHTS;
    const int64_t lanes = weights ? (f->s.kernel[2] + 15) / 16 * 16 : f->s.kernel[2];
    const int64_t floats = 2 * f->row * lanes;
    float *table = vox_calloc((size_t)floats, sizeof *table, WHAT, err);
    if (!table)
        return VOX_ERR_MEMORY;
    if (weights)
        fill_lag_forms(table, f, lanes);
    else
        fill_forms(table, f, sign);
    vox_status s = upload(w, VOX_FFT_FORMS, table, floats, err);
    free(table);
    return s;
}

vox_status vox_conv_fft_tables(vox_work *w, const vox_conv_fft *f, int sign, vox_error *err)
{
    const int64_t *n = f->shape.size;
    vox_status s = make_forms(w, f, sign, err);
    if (s == VOX_OK)
        s = make_waves(w, VOX_FFT_WAVES_H, n[1], 0, f->s.kernel[1], sign, err);
    if (s == VOX_OK)
        s = make_waves(w, VOX_FFT_WAVES_D, n[0], 1, f->s.kernel[0] / 2, sign, err);
    return s;
}
