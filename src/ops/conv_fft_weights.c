/* conv_fft_weights.c - the weights' gradient by Fourier transform (cl/conv3d_fft_weights.cl). */
#include "ops/conv_fft.h"

enum { PAD, LAGS, LAG_ROWS, LAG_TAPS, SUMS };

static const int64_t corner[3] = {0, 0, 0};

vox_status vox_conv_fft_weights_build(vox_work *w, vox_error *err)
{
    static const char file[] = "conv3d_fft_weights.cl";
    const vox_conv_fft f = vox_conv_fft_get(&w->problem, VOX_BACKWARD_WEIGHTS);
    vox_status s = vox_conv_fft_scratch(w, &f, err);
    if (s == VOX_OK)
        s = vox_conv_fft_transform(w, 0, &f, false, err);
    if (s == VOX_OK)
        s = vox_conv_fft_transform(w, 1, &f, false, err);
    if (s == VOX_OK)
        s = vox_conv_fft_kernel(w, PAD, "conv3d_fft.cl", "fft_pad", &f, err);
    if (s == VOX_OK)
        s = vox_conv_fft_kernel(w, LAGS, file, "fft_lags", &f, err);
    if (s == VOX_OK)
        s = vox_conv_fft_kernel(w, LAG_ROWS, file, "fft_lag_rows", &f, err);
    if (s == VOX_OK)
        s = vox_conv_fft_kernel(w, LAG_TAPS, file, "fft_lag_taps", &f, err);
    if (s == VOX_OK)
        s = vox_conv_sums_build(w, SUMS, 0, &f.s, err);
    return s == VOX_OK ? vox_conv_fft_tables(w, &f, 1, err) : s;
}

/* The weights of a chunk of output channels. */
static vox_status make_weights(vox_work *w, const vox_conv_fft *f, const vox_io *io, int64_t first,
                               vox_error *err)
{
    const vox_grid lags = vox_conv_fft_grid(w, f->kernels, f->shape.plane / f->vector, 1, 1);
    const vox_arg lag_args[] = {vox_arg_buffer(w->scratch[VOX_FFT_READ]),
                                vox_arg_buffer(w->scratch[VOX_FFT_WRITTEN]),
                                vox_arg_buffer(w->scratch[VOX_FFT_WAVES_D]),
                                vox_arg_buffer(w->scratch[VOX_FFT_PLANES]),
                                vox_arg_i32((int32_t)io->n),
                                vox_arg_i32((int32_t)first)};
    vox_status s = vox_kernel_launch(w->kernel[LAGS], &lags, lag_args, 6, err);
    if (s != VOX_OK)
        return s;
    const vox_grid rows = vox_conv_fft_grid(w, f->step, f->sets, f->kernels, 0);
    const vox_arg row_args[] = {vox_arg_buffer(w->scratch[VOX_FFT_PLANES]),
                                vox_arg_buffer(w->scratch[VOX_FFT_WAVES_H]),
                                vox_arg_buffer(w->scratch[VOX_FFT_ROWS])};
    s = vox_kernel_launch(w->kernel[LAG_ROWS], &rows, row_args, 3, err);
    if (s != VOX_OK)
        return s;
    const int64_t sides = f->s.kernel[0] / 2 + 1;
    const vox_grid taps = {
        {(size_t)(f->s.kernel[2] + 15) / 16, (size_t)(f->s.kernel[1] * sides), (size_t)f->kernels},
        {1, 1, 1}};
    const vox_arg tap_args[] = {
        vox_arg_buffer(w->scratch[VOX_FFT_ROWS]), vox_arg_buffer(w->scratch[VOX_FFT_FORMS]),
        vox_arg_buffer(io->dparam[0]), vox_arg_i32((int32_t)first), vox_arg_i32(io->accumulate)};
    return vox_kernel_launch(w->kernel[LAG_TAPS], &taps, tap_args, 5, err);
}

vox_status vox_conv_fft_weights_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_conv_fft f = vox_conv_fft_get(&w->problem, VOX_BACKWARD_WEIGHTS);
    const vox_conv_volumes x = {io->x[0]->buf, f.s.in, f.offset, io->n * f.read};
    const vox_conv_volumes dy = {io->dy->buf, f.s.out, corner, io->n * f.written};
    vox_status s = vox_conv_fft_spectra(w, 0, &f, &x, err);
    if (s == VOX_OK)
        s = vox_conv_fft_spectra(w, 1, &f, &dy, err);
    for (int64_t first = 0; first < f.written && s == VOX_OK; first += f.chunk)
        s = make_weights(w, &f, io, first, err);
    return s == VOX_OK ? vox_conv_sums_run(w, SUMS, 0, &f.s, io, err) : s;
}
