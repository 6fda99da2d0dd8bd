/* dicom_pixels.c - stored pixels of one frame turned into values.
 *
 * Source: DICOM PS3.3, C.7.6.3.1 (photometric interpretations, palettes), PS3.5 chapter 8. */
#include "data/formats/dicom_pixels.h"

#include <string.h>

uint64_t vox_dicom_frame_bits(const vox_dicom_pixels *p)
{
    uint64_t pixels = (uint64_t)p->rows * (uint64_t)p->columns; /* below 2^32 */
    uint64_t samples = p->colour == VOX_DICOM_YBR_422 ? 2 : (uint64_t)p->samples;
    return pixels * samples * (uint64_t)p->allocated;
}

/* Sample k of the frame: the stored bits alone, sign extended; floats as they are. */
static double stored(const vox_dicom_pixels *p, const unsigned char *bytes, unsigned bit, size_t k)
{
    if (p->allocated == 1) {
        size_t at = bit + k; /* the first pixel is the lowest bit */
        return bytes[at / 8] >> (at % 8) & 1;
    }
    size_t n = (size_t)p->allocated / 8;
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)bytes[k * n + (p->msb ? n - 1 - i : i)] << (8 * i);
    if (p->is_float && n == 4) {
        uint32_t low = (uint32_t)v;
        float f;
        memcpy(&f, &low, sizeof f);
        return (double)f;
    }
    if (p->is_float) {
        double d;
        memcpy(&d, &v, sizeof d);
        return d;
    }
    v >>= p->high_bit + 1 - p->stored;
    if (p->stored < 64)
        v &= (UINT64_C(1) << p->stored) - 1;
    if (p->is_signed && v >> (p->stored - 1) & 1)
        return (double)(int64_t)(p->stored < 64 ? v | UINT64_MAX << p->stored : v);
    return (double)v;
}

static double turned_round(const vox_dicom_pixels *p, double v)
{
    double range = 1;
    for (int64_t i = 0; i < p->stored; i++)
        range *= 2;
    return p->is_signed ? -1 - v : range - 1 - v;
}

static float clamp(double v)
{
    return v < 0 ? 0.0f : v > 255 ? 255.0f : (float)(int)(v + 0.5);
}

static void to_rgb(const double ybr[3], float *out, size_t stride)
{
    double y = ybr[0], cb = ybr[1] - 128, cr = ybr[2] - 128;
    out[0] = clamp(y + 1.402 * cr);
    out[stride] = clamp(y - 0.344136 * cb - 0.714136 * cr);
    out[2 * stride] = clamp(y + 1.772 * cb);
}

static void convert_colour(const vox_dicom_pixels *p, const unsigned char *bytes, float *out,
                           size_t stride)
{
    size_t n = (size_t)(p->rows * p->columns);
    bool half = p->colour == VOX_DICOM_YBR_422;
    for (size_t i = 0; i < n; i++) {
        double v[3];
        for (size_t c = 0; c < 3; c++) {
            size_t k = p->planar ? c * n + i : i * 3 + c;
            if (half) /* Y Y Cb Cr */
                k = c == 0 ? i / 2 * 4 + i % 2 : i / 2 * 4 + 1 + c;
            v[c] = stored(p, bytes, 0, k);
        }
        if (p->colour == VOX_DICOM_RGB)
            for (size_t c = 0; c < 3; c++)
                out[c * stride + i] = (float)v[c];
        else
            to_rgb(v, out + i, stride);
    }
}

static void convert_palette(const vox_dicom_pixels *p, const unsigned char *bytes, float *out,
                            size_t stride)
{
    size_t n = (size_t)(p->rows * p->columns);
    for (size_t i = 0; i < n; i++) {
        double at = stored(p, bytes, 0, i) - (double)p->palette_first;
        double last = (double)(p->palette_count - 1);
        size_t entry = (size_t)(at < 0 ? 0 : at > last ? last : at);
        for (size_t c = 0; c < 3; c++)
            out[c * stride + i] = (float)p->palette[c * (size_t)p->palette_count + entry];
    }
}

void vox_dicom_convert(const vox_dicom_pixels *p, const unsigned char *bytes, unsigned bit,
                       double slope, double intercept, float *out, size_t stride)
{
    size_t n = (size_t)(p->rows * p->columns);
    if (p->colour == VOX_DICOM_PALETTE) {
        convert_palette(p, bytes, out, stride);
        return;
    }
    if (p->samples == 3) {
        convert_colour(p, bytes, out, stride);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        double v = stored(p, bytes, bit, i);
        if (p->colour == VOX_DICOM_GREY_INVERSE)
            v = turned_round(p, v);
        out[i] = (float)(v * slope + intercept);
    }
}

/* ---- sizes in compressed streams ---- */

static int64_t be16(const unsigned char *p)
{
    return (int64_t)p[0] << 8 | p[1];
}

/* Source: ITU-T T.81 annex B; T.87 (JPEG-LS) uses the same markers with SOF55. */
static bool jpeg_fits(const vox_dicom_pixels *want, const unsigned char *p, size_t n)
{
    size_t at = 2;
    while (at + 4 <= n) {
        if (p[at] != 0xff)
            return false;
        unsigned char marker = p[at + 1];
        if (marker == 0xff) { /* fill bytes */
            at++;
            continue;
        }
        bool frame = (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 &&
                      marker != 0xcc) ||
                     marker == 0xf7;
        if (frame)
            return at + 10 <= n && be16(p + at + 5) == want->rows &&
                   be16(p + at + 7) == want->columns && p[at + 9] == want->samples;
        at += 2 + (size_t)be16(p + at + 2);
    }
    return false;
}

/* Source: ITU-T T.800 A.5.1: SIZ follows SOC; the image is (Xsiz - XOsiz) by (Ysiz - YOsiz). */
static bool jpeg2000_fits(const vox_dicom_pixels *want, const unsigned char *p, size_t n)
{
    if (n < 42 || p[2] != 0xff || p[3] != 0x51)
        return false;
    int64_t v[4];
    for (int i = 0; i < 4; i++)
        v[i] = be16(p + 8 + 4 * i) << 16 | be16(p + 10 + 4 * i);
    return v[0] - v[2] == want->columns && v[1] - v[3] == want->rows &&
           be16(p + 40) == want->samples;
}

bool vox_dicom_codestream_fits(const vox_dicom_pixels *want, const unsigned char *p, size_t n)
{
    if (n >= 2 && p[0] == 0xff && p[1] == 0xd8)
        return jpeg_fits(want, p, n);
    if (n >= 2 && p[0] == 0xff && p[1] == 0x4f)
        return jpeg2000_fits(want, p, n);
    return true;
}
