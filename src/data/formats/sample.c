/* sample.c - numbers as files hold them, turned into the floats of an image. */
#include "data/formats/sample.h"

#include "data/formats/image.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    size_t bytes;
} samples[] = {
    {"uint8", 1},  {"int8", 1},  {"uint16", 2},  {"int16", 2},   {"uint32", 4},  {"int32", 4},
    {"uint64", 8}, {"int64", 8}, {"float16", 2}, {"float32", 4}, {"float64", 8},
};

size_t vox_sample_bytes(vox_sample type)
{
    return samples[type].bytes;
}

const char *vox_sample_name(vox_sample type)
{
    return samples[type].name;
}

bool vox_host_msb(void)
{
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return first == 0;
}

/* Bytes are put together by value, so that neither alignment nor this machine's order matters. */
static uint64_t load(const unsigned char *p, size_t bytes, bool msb)
{
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++)
        v |= (uint64_t)p[msb ? bytes - 1 - i : i] << (8 * i);
    return v;
}

/* IEEE 754 half precision: 1 sign, 5 exponent, 10 fraction bits. */
static double half(uint64_t bits)
{
    int exponent = (int)(bits >> 10 & 31);
    double fraction = (double)(bits & 1023), v;
    if (exponent == 31)
        v = bits & 1023 ? (double)NAN : (double)INFINITY;
    else if (exponent == 0)
        v = ldexp(fraction, -24);
    else
        v = ldexp(fraction + 1024, exponent - 25);
    return bits >> 15 & 1 ? -v : v;
}

static double single(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float v;
    memcpy(&v, &low, sizeof v);
    return (double)v;
}

static double twice(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

#define DECODE(expression)                                                                         \
    for (size_t i = 0; i < count; i++) {                                                           \
        uint64_t bits = load(p + i * bytes, bytes, msb);                                           \
        out[i] = (expression);                                                                     \
    }                                                                                              \
    break

void vox_sample_decode(double *out, const void *in, size_t count, vox_sample type, bool msb)
{
    const unsigned char *p = in;
    size_t bytes = vox_sample_bytes(type);
    switch (type) {
    case VOX_SAMPLE_U8:
    case VOX_SAMPLE_U16:
    case VOX_SAMPLE_U32:
    case VOX_SAMPLE_U64:
        DECODE((double)bits);
    case VOX_SAMPLE_I8:
        DECODE((double)(int8_t)bits);
    case VOX_SAMPLE_I16:
        DECODE((double)(int16_t)bits);
    case VOX_SAMPLE_I32:
        DECODE((double)(int32_t)bits);
    case VOX_SAMPLE_I64:
        DECODE((double)(int64_t)bits);
    case VOX_SAMPLE_F16:
        DECODE(half(bits));
    case VOX_SAMPLE_F32:
        DECODE(single(bits));
    case VOX_SAMPLE_F64:
        DECODE(twice(bits));
    }
}

void vox_sink_init(vox_sink *sink, vox_image *image, vox_sample type, bool msb, size_t interleave)
{
    *sink = (vox_sink){.image = image,
                       .type = type,
                       .msb = msb,
                       .interleave = interleave,
                       .slope = 1,
                       .total = vox_image_values(image)};
}

/* Sample k belongs to voxel k / interleave of a run of volumes, and to channel k % interleave
 * within its volume's group of channels. */
static size_t place(const vox_sink *sink, size_t k)
{
    size_t n = sink->interleave, plane = sink->total / (size_t)sink->image->channels;
    size_t voxel = k / n;
    return (voxel / plane * n + k % n) * plane + voxel % plane;
}

void vox_sink_push(vox_sink *sink, const void *in, size_t count)
{
    enum { BLOCK = 512 };
    double value[BLOCK];
    const unsigned char *p = in;
    bool scaled = sink->slope != 1 || sink->intercept != 0;
    float *out = sink->image->voxel;
    if (count > sink->total - sink->done)
        count = sink->total - sink->done;
    while (count > 0) {
        size_t n = count < BLOCK ? count : BLOCK;
        vox_sample_decode(value, p, n, sink->type, sink->msb);
        for (size_t i = 0; scaled && i < n; i++)
            value[i] = value[i] * sink->slope + sink->intercept;
        if (sink->interleave == 1)
            for (size_t i = 0; i < n; i++)
                out[sink->done + i] = (float)value[i];
        else
            for (size_t i = 0; i < n; i++)
                out[place(sink, sink->done + i)] = (float)value[i];
        sink->done += n;
        count -= n;
        p += n * vox_sample_bytes(sink->type);
    }
}
