/* dicom_rle.c - RLE-compressed frames.
 *
 * Not through GDCM: its 3.0 mixes up the bytes of 16-bit colours.  A frame is up to 15 PackBits
 * segments, one for each byte of each sample, the most significant first.
 * Source: DICOM PS3.5, annex G. */
#include "data/formats/dicom_pixels.h"

static uint32_t u32(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Unpacks into out[0], out[step], ...: `count` bytes; false when there are fewer. */
static bool unpack(const unsigned char *p, const unsigned char *end, unsigned char *out,
                   size_t count, size_t step)
{
    size_t done = 0;
    while (done < count) {
        if (end - p < 2)
            return false;
        unsigned code = *p++;
        if (code == 128)
            continue;
        bool literal = code < 128;
        size_t n = literal ? code + 1 : 257 - code;
        if (literal && (size_t)(end - p) < n)
            return false;
        for (size_t i = 0; i < n && done < count; i++)
            out[step * done++] = literal ? p[i] : *p;
        p += literal ? n : 1;
    }
    return true;
}

bool vox_dicom_rle_decode(const vox_dicom_pixels *p, const unsigned char *bytes, size_t size,
                          unsigned char *out)
{
    size_t pixels = (size_t)(p->rows * p->columns), samples = (size_t)p->samples;
    size_t each = (size_t)p->allocated / 8, segments = samples * each;
    if (p->allocated % 8 || size < 64 || segments > 15 || u32(bytes) != segments)
        return false;
    for (size_t i = 0; i < segments; i++) {
        size_t from = u32(bytes + 4 + 4 * i), to = i + 1 < segments ? u32(bytes + 8 + 4 * i) : size;
        size_t sample = i / each, byte = each - 1 - i % each;
        if (from < 64 || from > to || to > size)
            return false;
        if (!unpack(bytes + from, bytes + to, out + sample * each + byte, pixels, segments))
            return false;
    }
    return true;
}
