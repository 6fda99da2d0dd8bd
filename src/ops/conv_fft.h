/* conv_fft.h - the convolution by Fourier transform: its numbers, shared by its passes. */
#ifndef VOX_OPS_CONV_FFT_H
#define VOX_OPS_CONV_FFT_H

#include "ops/conv.h"

/* Volumes of all passes are padded to the same size.  A pass reads one tensor's channels and writes
 * another's (the weights' gradient: kernels); the transformed kernels take much room, so
 * they are made for `chunk` written channels at a time. */
typedef struct vox_conv_fft {
    vox_conv_shape s;
    vox_pass pass;
    vox_fft_shape shape;   /* of a transform; batch: of what is read (x; dy) */
    int64_t row;           /* complex numbers of a transformed row */
    int64_t sets;          /* planes of a kernel transformed along w and h (cl/conv_fft.h) */
    int64_t vector;        /* floats */
    int64_t step;          /* items along a row */
    int64_t read, written; /* channels of a sample; weights: in and out */
    int64_t reads, writes; /* those of a group */
    int64_t chunk;         /* of written */
    int64_t kernels;       /* chunk * reads */
    int64_t back_batch;    /* of the inverse transform; weights: of dy's */
    int64_t offset[3];     /* of the input within its padded volume */
} vox_conv_fft;

/* What w->scratch holds. */
enum {
    VOX_FFT_READ,    /* spectra of what is read, all samples */
    VOX_FFT_WRITTEN, /* spectra of a chunk of one sample; weights: of dy, all samples */
    VOX_FFT_ROWS,    /* kernels transformed along w ... */
    VOX_FFT_PLANES,  /* ... and h */
    VOX_FFT_FORMS,   /* tables of cosines and sines: along w */
    VOX_FFT_WAVES_H,
    VOX_FFT_WAVES_D
};

vox_conv_fft vox_conv_fft_get(const vox_problem *p, vox_pass pass);

/* Opens w->kernel[i]. */
vox_status vox_conv_fft_kernel(vox_work *w, int i, const char *file, const char *entry,
                               const vox_conv_fft *f, vox_error *err);
/* Opens the first four scratch buffers. */
vox_status vox_conv_fft_scratch(vox_work *w, const vox_conv_fft *f, vox_error *err);
/* The others: sign is that of the exponent in the kernels' transform. */
vox_status vox_conv_fft_tables(vox_work *w, const vox_conv_fft *f, int sign, vox_error *err);
/* Opens w->fft[i], which transforms scratch buffer i (0 or 1), and checks there that its results
 * are right: VOX_ERR_UNSUPPORTED if not. */
vox_status vox_conv_fft_transform(vox_work *w, int i, const vox_conv_fft *f, bool inverse,
                                  vox_error *err);

/* On GPUs 64 items side by side along `axis`, on CPUs each alone. */
vox_grid vox_conv_fft_grid(const vox_work *w, int64_t x, int64_t y, int64_t z, int axis);

/* What is to be padded and transformed. */
typedef struct vox_conv_volumes {
    vox_buffer *from;
    const int64_t *voxels, *offset; /* [3]: of a volume, and of its corner in the padded one */
    int64_t channels;               /* of all samples */
} vox_conv_volumes;
/* Into scratch buffer i (0 or 1), by kernel 0, fft_pad, and w->fft[i]. */
vox_status vox_conv_fft_spectra(vox_work *w, int i, const vox_conv_fft *f,
                                const vox_conv_volumes *v, vox_error *err);

#endif
