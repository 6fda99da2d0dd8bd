/* conv_fft.c - convolution by Fourier transform, for large kernels.
 *
 * A volume padded to N voxels a side has a spectrum of N numbers; convolving is multiplying spectra
 * (cl/conv3d_fft.cl), so the work does not grow with the kernel.  clFFT transforms the volumes.
 *
 * Circular transforms wrap round.  With N >= input + pad a side the zeros between the end of the
 * input and its beginning, one turn later, are enough for both sides' padding; N must hold the
 * output and the kernel, too.  The same N serves all passes.  Along d kernels are centred, so the
 * input begins at pad - kernel / 2, where that is negative at the end of the turn. */
#include "ops/conv_fft.h"

#include <inttypes.h>
#include <math.h>

#define LEAST_TAPS 64 /* direct methods are faster with fewer */
#define LONGEST    4096
#define ALIGN      (VOX_BUFFER_ALIGN / (int64_t)sizeof(float))

static int64_t round_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b * b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The largest divisor of count for which `each` floats a piece stay within `room`; at least 1. */
static int64_t divisor(int64_t count, int64_t each, int64_t room)
{
    int64_t d = count;
    while (d > 1 && (count % d != 0 || d * each > room))
        d--;
    return d;
}

static void choose_shape(vox_conv_fft *f)
{
    const vox_conv_shape *s = &f->s;
    for (int i = 0; i < 3; i++)
        f->shape.size[i] =
            vox_fft_length(most(s->in[i] + s->pad[i], most(s->out[i], s->kernel[i])));
    f->row = f->shape.size[2] / 2 + 1;
    f->shape.plane = round_up(f->shape.size[1] * 2 * f->row, 16);
    f->shape.volume = round_up(f->shape.size[0] * f->shape.plane, ALIGN);
    f->sets = s->kernel[0] / 2 * 2 + 1;
    f->offset[0] = (s->pad[0] - s->kernel[0] / 2 + f->shape.size[0]) % f->shape.size[0];
    f->offset[1] = s->pad[1];
    f->offset[2] = s->pad[2];
}

vox_conv_fft vox_conv_fft_get(const vox_problem *p, vox_pass pass)
{
    const bool cpu = vox_device_is_cpu(p->dev);
    const int64_t room = cpu ? 4 << 20 : 64 << 20; /* floats: a CPU's cache, a GPU's memory */
    vox_conv_fft f = {.s = vox_conv_shape_get(p->node), .pass = pass, .step = cpu ? 1 : 64};
    const bool back = pass == VOX_BACKWARD_DATA;
    choose_shape(&f);
    f.read = back ? f.s.co : f.s.ci;
    f.written = back ? f.s.ci : f.s.co;
    f.reads = f.read / f.s.groups;
    f.writes = f.written / f.s.groups;
    f.vector = cpu ? 16 : 2;
    while (f.vector > 2 * f.row)
        f.vector /= 2;
    f.chunk = divisor(f.written, most(f.reads * f.sets * f.shape.plane, f.shape.volume), room);
    f.kernels = f.chunk * f.reads;
    f.shape.batch = divisor(f.read, f.shape.volume, 16 << 20);
    f.back_batch = pass == VOX_BACKWARD_WEIGHTS ? divisor(f.written, f.shape.volume, 16 << 20)
                                                : divisor(f.chunk, f.shape.volume, 16 << 20);
    return f;
}

/* ---- what it takes ------------------------------------------------------- */

/* Floats of the scratch buffers. */
static void list_scratch(const vox_conv_fft *f, int64_t n_max, int64_t floats[4])
{
    const bool weights = f->pass == VOX_BACKWARD_WEIGHTS;
    floats[VOX_FFT_READ] = n_max * f->read * f->shape.volume;
    floats[VOX_FFT_WRITTEN] = (weights ? n_max * f->written : f->chunk) * f->shape.volume;
    floats[VOX_FFT_ROWS] = f->kernels * f->sets * f->s.kernel[1] * 2 * f->row;
    floats[VOX_FFT_PLANES] = f->kernels * f->sets * f->shape.plane;
}

/* Every buffer can be had, and together they take no more than a quarter of the memory. */
static bool has_room(const vox_problem *p, const vox_conv_fft *f)
{
    const vox_device_desc *d = vox_device_get(p->dev);
    int64_t floats[4];
    /* clFFT's intermediate results are as large as what it transforms. */
    double sum = (double)(f->shape.batch + f->back_batch) * (double)f->shape.volume;
    list_scratch(f, p->n_max, floats);
    for (int i = 0; i < 4; i++) {
        sum += (double)floats[i];
        if (4 * (double)floats[i] > (double)d->max_alloc_bytes)
            return false;
    }
    return 4 * sum <= (double)d->global_mem_bytes / 4;
}

bool vox_conv_fft_fits(const vox_problem *p)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    bool fits = vox_fft_available() && s.taps >= LEAST_TAPS;
    for (int i = 0; i < 3; i++)
        fits = fits && s.stride[i] == 1 && s.dilation[i] == 1 && s.in[i] + 2 * s.pad[i] <= LONGEST;
    for (int pass = 0; pass < VOX_PASSES && fits; pass++) {
        const vox_conv_fft f = vox_conv_fft_get(p, (vox_pass)pass);
        fits = f.sets * f.shape.plane < INT32_MAX / 2 && has_room(p, &f);
    }
    return fits;
}

double vox_conv_fft_seconds(const vox_problem *p)
{
    const vox_conv_fft f = vox_conv_fft_get(p, VOX_FORWARD);
    const bool cpu = vox_device_is_cpu(p->dev);
    const double n = (double)p->n_max, volume = (double)f.shape.volume;
    const double kernels = (double)f.written * (double)f.reads, sets = (double)f.sets;
    const double transforms = 2.5 * volume * log2(volume) * n * (double)(f.read + f.written);
    const double products = kernels * volume * n * (sets + 6);
    const double taps =
        kernels * sets * (double)f.shape.plane * (double)(f.s.kernel[1] + f.s.kernel[2]);
    return vox_rule_seconds(p->dev, transforms, cpu ? 0.01 : 0.1, 8 * n * volume, 1) +
           vox_rule_seconds(p->dev, products + taps, cpu ? 0.15 : 0.3,
                            4 * kernels * sets * (double)f.shape.plane, 0.5);
}

/* ---- building blocks ----------------------------------------------------- */

static void list_options(vox_str *o, const vox_work *w, const vox_conv_fft *f)
{
    static const char axis[] = "DHW";
    const vox_conv_shape *s = &f->s;
    const bool back = f->pass == VOX_BACKWARD_DATA;
    const int64_t block = vox_device_is_cpu(w->problem.dev) ? 8 : f->reads;
    for (int i = 0; i < 3; i++)
        vox_str_add(o,
                    "-DN%c=%" PRId64 " -DK%c=%" PRId64 " -DV%c=%" PRId64 " -DOFF_%c=%" PRId64 " ",
                    axis[i], f->shape.size[i], axis[i], s->kernel[i], axis[i],
                    back ? s->in[i] : s->out[i], axis[i], back ? f->offset[i] : (int64_t)0);
    vox_str_add(o, "-DROW=%" PRId64 " -DPLANE=%" PRId64 " -DVOLUME=%" PRId64, f->row,
                f->shape.plane, f->shape.volume);
    vox_str_add(o,
                " -DREAD=%" PRId64 " -DWRITTEN=%" PRId64 " -DREADS=%" PRId64 " -DWRITES=%" PRId64,
                f->read, f->written, f->reads, f->writes);
    vox_str_add(o, " -DCI=%" PRId64 " -DCO=%" PRId64 " -DCIG=%" PRId64 " -DCOG=%" PRId64, s->ci,
                s->co, s->ci / s->groups, s->co / s->groups);
    vox_str_add(o, " -DBLOCK=%" PRId64 " -DV=%" PRId64 " -DSTEP=%" PRId64 "%s%s", block, f->vector,
                f->step, back ? " -DBACKWARD" : "", vox_relu_options(w));
}

vox_status vox_conv_fft_kernel(vox_work *w, int i, const char *file, const char *entry,
                               const vox_conv_fft *f, vox_error *err)
{
    vox_str options = {0};
    list_options(&options, w, f);
    vox_status s = options.failed ? vox_fail_memory(err, "kernel options", options.capacity)
                                  : vox_kernel_open(&w->kernel[i], w->problem.dev, file, entry,
                                                    options.text, err);
    vox_str_release(&options);
    return s;
}

vox_status vox_conv_fft_scratch(vox_work *w, const vox_conv_fft *f, vox_error *err)
{
    static const char *const what[4] = {"spectra", "spectra", "transformed kernels",
                                        "transformed kernels"};
    int64_t floats[4];
    vox_status s = VOX_OK;
    list_scratch(f, w->problem.n_max, floats);
    for (int i = 0; i < 4 && s == VOX_OK; i++)
        s = vox_conv_scratch(w, i, floats[i], what[i], err);
    return s;
}

vox_grid vox_conv_fft_grid(const vox_work *w, int64_t x, int64_t y, int64_t z, int axis)
{
    vox_grid g = {{(size_t)x, (size_t)y, (size_t)z}, {1, 1, 1}};
    if (!vox_device_is_cpu(w->problem.dev))
        g.local[axis] = 64;
    return g;
}

vox_status vox_conv_fft_spectra(vox_work *w, int i, const vox_conv_fft *f,
                                const vox_conv_volumes *v, vox_error *err)
{
    const int64_t batch = i == 0 ? f->shape.batch : f->back_batch;
    const vox_grid grid = vox_conv_fft_grid(w, f->step, f->shape.size[0], v->channels, 0);
    const vox_arg args[] = {vox_arg_buffer(v->from),
                            vox_arg_buffer(w->scratch[i]),
                            vox_arg_i32((int32_t)v->voxels[0]),
                            vox_arg_i32((int32_t)v->voxels[1]),
                            vox_arg_i32((int32_t)v->voxels[2]),
                            vox_arg_i32((int32_t)v->offset[0]),
                            vox_arg_i32((int32_t)v->offset[1]),
                            vox_arg_i32((int32_t)v->offset[2])};
    vox_status s = vox_kernel_launch(w->kernel[0], &grid, args, 8, err);
    for (int64_t first = 0; first < v->channels && s == VOX_OK; first += batch)
        s = vox_fft_run(w->fft[i], w->scratch[i], first, err);
    return s;
}

/* ---- forward and backward-data ------------------------------------------- */

enum { PAD, ROWS, PLANES, PRODUCT, CROP };

static const int64_t corner[3] = {0, 0, 0};

vox_status vox_conv_fft_build(vox_work *w, vox_error *err)
{
    static const char file[] = "conv3d_fft.cl", taps[] = "conv3d_fft_taps.cl";
    const vox_conv_fft f = vox_conv_fft_get(&w->problem, w->algo->pass);
    const int sign = f.pass == VOX_FORWARD ? 1 : -1; /* forward correlates: conjugated */
    vox_status s = vox_conv_fft_scratch(w, &f, err);
    if (s == VOX_OK)
        s = vox_conv_fft_transform(w, 0, &f, false, err);
    if (s == VOX_OK)
        s = vox_conv_fft_transform(w, 1, &f, true, err);
    if (s == VOX_OK)
        s = vox_conv_fft_kernel(w, PAD, file, "fft_pad", &f, err);
    if (s == VOX_OK)
        s = vox_conv_fft_kernel(w, ROWS, taps, "fft_rows", &f, err);
    if (s == VOX_OK)
        s = vox_conv_fft_kernel(w, PLANES, taps, "fft_planes", &f, err);
    if (s == VOX_OK)
        s = vox_conv_fft_kernel(w, PRODUCT, file, "fft_product", &f, err);
    if (s == VOX_OK)
        s = vox_conv_fft_kernel(w, CROP, file, "fft_crop", &f, err);
    return s == VOX_OK ? vox_conv_fft_tables(w, &f, sign, err) : s;
}

static vox_status transform_kernels(vox_work *w, const vox_conv_fft *f, vox_buffer *weight,
                                    int64_t first, vox_error *err)
{
    const vox_grid rows = vox_conv_fft_grid(w, f->step, f->sets * f->s.kernel[1], f->kernels, 0);
    const vox_arg row_args[] = {vox_arg_buffer(weight), vox_arg_buffer(w->scratch[VOX_FFT_FORMS]),
                                vox_arg_buffer(w->scratch[VOX_FFT_ROWS]),
                                vox_arg_i32((int32_t)first)};
    vox_status s = vox_kernel_launch(w->kernel[ROWS], &rows, row_args, 4, err);
    if (s != VOX_OK)
        return s;
    const vox_grid planes = vox_conv_fft_grid(w, f->step, f->sets, f->kernels, 0);
    const vox_arg plane_args[] = {vox_arg_buffer(w->scratch[VOX_FFT_ROWS]),
                                  vox_arg_buffer(w->scratch[VOX_FFT_WAVES_H]),
                                  vox_arg_buffer(w->scratch[VOX_FFT_PLANES])};
    return vox_kernel_launch(w->kernel[PLANES], &planes, plane_args, 3, err);
}

/* A chunk of one sample's channels. */
static vox_status make_channels(vox_work *w, const vox_conv_fft *f, const vox_io *io, int64_t n,
                                int64_t first, vox_error *err)
{
    const bool cpu = vox_device_is_cpu(w->problem.dev), forward = f->pass == VOX_FORWARD;
    const vox_grid grid = vox_conv_fft_grid(w, f->chunk, f->shape.plane / f->vector,
                                            cpu ? 1 : f->shape.size[0] / 2 + 1, 1);
    const vox_arg args[] = {vox_arg_buffer(w->scratch[VOX_FFT_READ]),
                            vox_arg_buffer(w->scratch[VOX_FFT_PLANES]),
                            vox_arg_buffer(w->scratch[VOX_FFT_WAVES_D]),
                            vox_arg_buffer(w->scratch[VOX_FFT_WRITTEN]),
                            vox_arg_i32((int32_t)n),
                            vox_arg_i32((int32_t)first)};
    vox_status s = vox_kernel_launch(w->kernel[PRODUCT], &grid, args, 6, err);
    for (int64_t i = 0; i < f->chunk && s == VOX_OK; i += f->back_batch)
        s = vox_fft_run(w->fft[1], w->scratch[VOX_FFT_WRITTEN], i, err);
    if (s != VOX_OK)
        return s;
    const vox_grid crop =
        vox_conv_fft_grid(w, f->step, forward ? f->s.out[0] : f->s.in[0], f->chunk, 0);
    const vox_arg crop_args[] = {vox_arg_buffer(w->scratch[VOX_FFT_WRITTEN]),
                                 vox_arg_buffer(forward ? vox_conv_bias(&f->s, io->param) : NULL),
                                 vox_arg_buffer(vox_relu_input(w, io)),
                                 vox_arg_buffer(forward ? io->y->buf : io->dx[0]->buf),
                                 vox_arg_i32((int32_t)n),
                                 vox_arg_i32((int32_t)first)};
    return vox_kernel_launch(w->kernel[CROP], &crop, crop_args, 6, err);
}

vox_status vox_conv_fft_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_conv_fft f = vox_conv_fft_get(&w->problem, w->algo->pass);
    const bool forward = f.pass == VOX_FORWARD;
    const vox_conv_volumes read = {.from = forward ? io->x[0]->buf : io->dy->buf,
                                   .voxels = forward ? f.s.in : f.s.out,
                                   .offset = forward ? f.offset : corner,
                                   .channels = io->n * f.read};
    vox_status s = vox_conv_fft_spectra(w, 0, &f, &read, err);
    for (int64_t first = 0; first < f.written && s == VOX_OK; first += f.chunk) {
        s = transform_kernels(w, &f, io->param[0], first, err);
        for (int64_t n = 0; n < io->n && s == VOX_OK; n++)
            s = make_channels(w, &f, io, n, first, err);
    }
    return s;
}
