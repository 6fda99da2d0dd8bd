/* sample.h - numbers as files hold them, turned into the floats of an image. */
#ifndef VOX_DATA_FORMATS_SAMPLE_H
#define VOX_DATA_FORMATS_SAMPLE_H

#include "base/error.h"

typedef enum vox_sample {
    VOX_SAMPLE_U8,
    VOX_SAMPLE_I8,
    VOX_SAMPLE_U16,
    VOX_SAMPLE_I16,
    VOX_SAMPLE_U32,
    VOX_SAMPLE_I32,
    VOX_SAMPLE_U64,
    VOX_SAMPLE_I64,
    VOX_SAMPLE_F16,
    VOX_SAMPLE_F32,
    VOX_SAMPLE_F64
} vox_sample;

size_t vox_sample_bytes(vox_sample type);
const char *vox_sample_name(vox_sample type); /* "uint8", "float32", ... */

/* count samples at `in` (any alignment; msb: most significant byte first) as doubles.  64-bit
 * integers over 2^53 are rounded to the nearest double. */
void vox_sample_decode(double *out, const void *in, size_t count, vox_sample type, bool msb);

/* true on machines that store the most significant byte first. */
bool vox_host_msb(void);

/* Takes samples in a file's order and puts them where the image wants them. */
typedef struct vox_sink {
    vox_image *image; /* borrowed; channels must be a multiple of interleave */
    vox_sample type;
    bool msb;
    size_t interleave; /* samples stored together for each voxel; they become channels */
    double slope, intercept;
    size_t done, total; /* samples so far, and channels * d * h * w */
} vox_sink;

void vox_sink_init(vox_sink *sink, vox_image *image, vox_sample type, bool msb, size_t interleave);

/* The next count samples; those past the total are left out. */
void vox_sink_push(vox_sink *sink, const void *samples, size_t count);

#endif
