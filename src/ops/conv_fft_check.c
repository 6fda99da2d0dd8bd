/* conv_fft_check.c - makes a transform and checks it on the device at hand, on volumes of the size
 * wanted: clFFT generates its kernels, and there are drivers that get some of them wrong.
 *
 * A few impulses are a volume whose spectrum can be written down: a sum of waves. */
#include "ops/conv_fft.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define WHAT      "checking a Fourier transform"
#define IMPULSES  5
#define TOLERANCE 1e-5 /* relative RMS; some 1e-7 is usual */

/* Impulse number i: where it is, and how high. */
static int64_t impulse_at(const vox_conv_fft *f, int i, int axis)
{
    static const int64_t start[3] = {1, 2, 3}, step[3] = {7, 11, 5};
    return (start[axis] + i * step[axis]) % f->shape.size[axis];
}

static float impulse_height(int i)
{
    return (i % 2 ? -1.0f : 1.0f) * (float)(i + 1);
}

static void add_impulses(float *volume, const vox_conv_fft *f)
{
    for (int i = 0; i < IMPULSES; i++)
        volume[impulse_at(f, i, 0) * f->shape.plane + impulse_at(f, i, 1) * 2 * f->row +
               impulse_at(f, i, 2)] += impulse_height(i);
}

/* Row (d, h) of one impulse's spectrum. */
static void add_wave(float *row, const vox_conv_fft *f, int i, int64_t d, int64_t h)
{
    const int64_t *n = f->shape.size;
    double start = (double)(d * impulse_at(f, i, 0) % n[0]) / (double)n[0] +
                   (double)(h * impulse_at(f, i, 1) % n[1]) / (double)n[1];
    for (int64_t w = 0; w < f->row; w++) {
        const double turns = start + (double)(w * impulse_at(f, i, 2) % n[2]) / (double)n[2];
        row[2 * w] += impulse_height(i) * (float)cos(-2 * acos(-1.0) * turns);
        row[2 * w + 1] += impulse_height(i) * (float)sin(-2 * acos(-1.0) * turns);
    }
}

static void add_spectrum(float *volume, const vox_conv_fft *f)
{
    for (int64_t d = 0; d < f->shape.size[0]; d++)
        for (int64_t h = 0; h < f->shape.size[1]; h++)
            for (int i = 0; i < IMPULSES; i++)
                add_wave(volume + d * f->shape.plane + h * 2 * f->row, f, i, d, h);
}

/* Relative RMS over what of the volume is in use. */
static double error_of(const float *got, const float *want, const vox_conv_fft *f, bool inverse)
{
    const int64_t used = inverse ? f->shape.size[2] : 2 * f->row;
    double difference = 0, norm = 0;
    for (int64_t d = 0; d < f->shape.size[0]; d++)
        for (int64_t h = 0; h < f->shape.size[1]; h++)
            for (int64_t w = 0; w < used; w++) {
                const int64_t i = d * f->shape.plane + h * 2 * f->row + w;
                difference += pow((double)got[i] - (double)want[i], 2);
                norm += pow((double)want[i], 2);
            }
    return sqrt(difference / norm);
}

/* Transforms the last volume of a batch, among zeros. */
static vox_status transform_last(vox_work *w, int i, const vox_conv_fft *f, int64_t batch,
                                 float *volume, vox_error *err)
{
    const size_t bytes = (size_t)f->shape.volume * sizeof(float);
    const size_t last = (size_t)(batch - 1) * bytes;
    vox_status s = vox_buffer_fill(w->scratch[i], 0, (size_t)batch * bytes, 0, err);
    if (s == VOX_OK)
        s = vox_buffer_write(w->scratch[i], last, volume, bytes, true, err);
    if (s == VOX_OK)
        s = vox_fft_run(w->fft[i], w->scratch[i], 0, err);
    return s == VOX_OK ? vox_buffer_read(w->scratch[i], last, volume, bytes, true, err) : s;
}

static vox_status check(vox_work *w, int i, const vox_conv_fft *f, int64_t batch, bool inverse,
                        float *volume, float *want, vox_error *err)
{
    const int64_t *n = f->shape.size;
    (inverse ? add_spectrum : add_impulses)(volume, f);
    (inverse ? add_impulses : add_spectrum)(want, f);
    vox_status s = transform_last(w, i, f, batch, volume, err);
    if (s != VOX_OK)
        return s;
    const double error = error_of(volume, want, f, inverse);
    if (error <= TOLERANCE)
        return VOX_OK;
    vox_fail(err, VOX_ERR_UNSUPPORTED, "clFFT's results are wrong on this device");
    vox_detail(err, "%s of %" PRId64 "x%" PRId64 "x%" PRId64 ": relative error %.2g",
               inverse ? "inverse transform" : "transform", n[0], n[1], n[2], error);
    return VOX_ERR_UNSUPPORTED;
}

vox_status vox_conv_fft_transform(vox_work *w, int i, const vox_conv_fft *f, bool inverse,
                                  vox_error *err)
{
    vox_fft_shape shape = f->shape;
    if (i == 1)
        shape.batch = f->back_batch;
    vox_status s = vox_fft_open(&w->fft[i], w->problem.dev, &shape, inverse, err);
    if (s != VOX_OK)
        return s;
    float *volume = vox_calloc((size_t)shape.volume, sizeof *volume, WHAT, err);
    float *want = vox_calloc((size_t)shape.volume, sizeof *want, WHAT, err);
    s = volume && want ? check(w, i, f, shape.batch, inverse, volume, want, err) : VOX_ERR_MEMORY;
    free(volume);
    free(want);
    return s;
}
