/* dicom_file.c - one DICOM file: opened (headers only), then its frames as floats.
 *
 * Uncompressed pixels are read here, straight from the place that the outline found; compressed
 * ones go through GDCM, but for RLE (dicom_rle.c). */
#include "data/formats/dicom_file.h"

#include "data/formats/dicom_apart.h"
#include "data/formats/image.h"
#include "data/formats/stream.h"

#include <stdlib.h>
#include <string.h>

#define KIND "DICOM"

/* What a compressed file may grow to beyond a thousandfold. */
#define SMALL_BYTES (UINT64_C(64) << 20)

/* ---- headers ---- */

static vox_status read_bytes(char **out, const char *path, uint64_t bytes, vox_error *err)
{
    vox_stream *stream;
    vox_status s = vox_stream_open(&stream, path, 0, false, KIND, err);
    if (s != VOX_OK)
        return s;
    *out = vox_calloc(bytes, 1, path, err);
    s = *out ? vox_stream_read(stream, *out, bytes, err) : VOX_ERR_MEMORY;
    vox_stream_free(&stream);
    if (s != VOX_OK) {
        free(*out);
        *out = NULL;
    }
    return s;
}

static vox_status get_colour(vox_dicom_pixels *p, const char *photometric, const char *path,
                             vox_error *err)
{
    static const struct {
        const char *name;
        vox_dicom_colour colour;
        int64_t samples;
    } known[] = {
        {"MONOCHROME1", VOX_DICOM_GREY_INVERSE, 1},
        {"MONOCHROME2", VOX_DICOM_GREY, 1},
        {"RGB", VOX_DICOM_RGB, 3},
        {"YBR_FULL", VOX_DICOM_YBR, 3},
        {"YBR_FULL_422", VOX_DICOM_YBR_422, 3},
        {"PALETTE COLOR", VOX_DICOM_PALETTE, 1},
        {"YBR_RCT", VOX_DICOM_RGB, 3},
        {"YBR_ICT", VOX_DICOM_RGB, 3},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(photometric, known[i].name) == 0) {
            p->colour = known[i].colour;
            if (p->samples == known[i].samples)
                return VOX_OK;
            return vox_image_bad(err, KIND, path, "%s with %lld samples per pixel", photometric,
                                 (long long)p->samples);
        }
    return vox_image_unsupported(err, KIND, path, "PhotometricInterpretation is \"%s\"",
                                 photometric);
}

static vox_status check_bits(const vox_dicom_pixels *p, const char *path, vox_error *err)
{
    int64_t a = p->allocated;
    if (a != 1 && a != 8 && a != 16 && a != 32 && a != 64)
        return vox_image_unsupported(err, KIND, path, "BitsAllocated is %lld", (long long)a);
    if (p->stored < 1 || p->stored > a || p->high_bit >= a || p->high_bit + 1 < p->stored)
        return vox_image_bad(err, KIND, path,
                             "BitsAllocated %lld, BitsStored %lld and HighBit %lld do not go "
                             "together",
                             (long long)a, (long long)p->stored, (long long)p->high_bit);
    bool plain = p->colour == VOX_DICOM_GREY || p->colour == VOX_DICOM_GREY_INVERSE;
    bool ybr = p->colour == VOX_DICOM_YBR || p->colour == VOX_DICOM_YBR_422;
    if ((a == 1 && !plain) || (ybr && a != 8) || (p->is_float && p->colour != VOX_DICOM_GREY))
        return vox_image_unsupported(err, KIND, path, "%lld bits allocated for such colours",
                                     (long long)a);
    return VOX_OK;
}

static vox_status get_layout(vox_dicom_file *f, vox_error *err)
{
    const vox_dicom_header *h = &f->header;
    const uint16_t kind = f->outline.pixel_kind;
    vox_dicom_pixels *p = &f->layout;
    *p = (vox_dicom_pixels){.rows = h->rows,
                            .columns = h->columns,
                            .samples = h->samples,
                            .allocated = kind == 8   ? 32
                                         : kind == 9 ? 64
                                                     : h->allocated,
                            .is_signed = h->is_signed,
                            .is_float = kind != 0x10,
                            .planar = h->planar,
                            .msb = f->outline.coding == VOX_DICOM_BIG,
                            .palette = h->palette,
                            .palette_first = h->palette_first,
                            .palette_count = h->palette_count};
    p->stored = p->is_float ? p->allocated : h->stored;
    p->high_bit = p->is_float ? p->allocated - 1 : h->high_bit;
    if (h->rows < 1 || h->columns < 1)
        return vox_image_bad(err, KIND, f->path, "Rows or Columns are missing or 0");
    vox_status s = get_colour(p, h->photometric, f->path, err);
    if (s == VOX_OK)
        s = check_bits(p, f->path, err);
    if (s == VOX_OK && f->outline.encapsulated && (p->is_float || p->allocated == 1))
        s = vox_image_unsupported(err, KIND, f->path, "compressed floats or single bits");
    if (s == VOX_OK && p->colour == VOX_DICOM_PALETTE && !h->palette)
        s = vox_image_unsupported(err, KIND, f->path,
                                  h->has_segmented_palette ? "a segmented palette"
                                                           : "a palette without its tables");
    if (s == VOX_OK && h->has_modality_lut && vox_dicom_file_channels(f) == 1)
        s = vox_image_unsupported(err, KIND, f->path,
                                  "a ModalityLUTSequence (values by table, not by slope)");
    return s;
}

/* The pixels must have the bytes that the header describes; less than a row more is padding. */
static vox_status check_plain_size(const vox_dicom_file *f, vox_error *err)
{
    const vox_dicom_pixels *p = &f->layout;
    uint64_t bits = vox_dicom_frame_bits(p), frames = (uint64_t)f->header.frames;
    uint64_t have = f->outline.pixel_bytes; /* below 2^32 */
    if (bits <= UINT64_MAX / frames) {
        uint64_t want = (bits * frames + 7) / 8;
        uint64_t row = bits / (uint64_t)p->rows / 8;
        if (have >= want && have - want < (row > 2 ? row : 2))
            return VOX_OK;
    }
    vox_image_bad(err, KIND, f->path,
                  "%lld frames of %lld x %lld with %lld x %lld bits do not make the %llu bytes of "
                  "pixels that are there",
                  (long long)frames, (long long)p->rows, (long long)p->columns,
                  (long long)p->samples, (long long)p->allocated, (unsigned long long)have);
    return vox_hint(err, "the file was cut short, or its header is wrong");
}

vox_status vox_dicom_file_open(vox_dicom_file *f, const char *path, vox_error *err)
{
    memset(f, 0, sizeof *f);
    f->path = vox_strdup(path, err);
    vox_status s =
        f->path ? vox_dicom_header_read(&f->header, &f->outline, path, err) : VOX_ERR_MEMORY;
    if (s == VOX_OK && f->outline.pixel_kind) {
        s = get_layout(f, err);
        if (s == VOX_OK && !f->outline.encapsulated)
            s = check_plain_size(f, err);
    }
    if (s != VOX_OK)
        vox_dicom_file_release(f);
    return s;
}

void vox_dicom_file_release(vox_dicom_file *f)
{
    vox_dicom_header_release(&f->header);
    free(f->path);
    memset(f, 0, sizeof *f);
}

int64_t vox_dicom_file_channels(const vox_dicom_file *f)
{
    return f->layout.colour == VOX_DICOM_PALETTE ? 3 : f->layout.samples;
}

const char *vox_dicom_file_type(const vox_dicom_file *f)
{
    const vox_dicom_pixels *p = &f->layout;
    if (p->is_float)
        return p->allocated == 32 ? "float32" : "float64";
    switch (p->allocated) {
    case 1:
        return "bool";
    case 8:
        return p->is_signed ? "int8" : "uint8";
    case 16:
        return p->is_signed ? "int16" : "uint16";
    case 32:
        return p->is_signed ? "int32" : "uint32";
    default:
        return p->is_signed ? "int64" : "uint64";
    }
}

/* ---- pixels ---- */

/* Frames lie one behind the other; those of 1-bit pixels may share a byte. */
static vox_status decode_frames(const vox_dicom_file *f, vox_stream *stream, unsigned char *frame,
                                float *(*place)(void *user, size_t frame), void *user,
                                size_t stride, vox_error *err)
{
    const uint64_t bits = vox_dicom_frame_bits(&f->layout);
    vox_status s = VOX_OK;
    uint64_t done = 0; /* bytes read so far */
    size_t length = 0; /* of the frame before */
    for (uint64_t i = 0; s == VOX_OK && i < (uint64_t)f->header.frames; i++) {
        const vox_dicom_frame *g = &f->header.frame[i];
        const uint64_t first = bits * i / 8, last = (bits * (i + 1) + 7) / 8;
        const size_t shared = first < done; /* a byte of the frame before goes on */
        if (shared)
            frame[0] = frame[length - 1];
        length = (size_t)(last - first);
        s = vox_stream_read(stream, frame + shared, length - shared, err);
        done = last;
        if (s == VOX_OK)
            vox_dicom_convert(&f->layout, frame, (unsigned)(bits * i % 8), g->slope, g->intercept,
                              place(user, (size_t)i), stride);
    }
    return s;
}

static vox_status decode_plain(const vox_dicom_file *f, float *(*place)(void *user, size_t frame),
                               void *user, size_t stride, vox_error *err)
{
    vox_stream *stream = NULL;
    size_t bytes = (size_t)(vox_dicom_frame_bits(&f->layout) / 8 + 2); /* 1-bit: two broken bytes */
    unsigned char *frame = vox_calloc(bytes, 1, f->path, err);
    vox_status s = frame ? VOX_OK : VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = vox_stream_open(&stream, f->path, f->outline.pixel_offset, false, KIND, err);
    if (s == VOX_OK)
        s = decode_frames(f, stream, frame, place, user, stride, err);
    vox_stream_free(&stream);
    free(frame);
    return s;
}

/* Calls fn for every fragment but the offset table; the outline has checked their lengths. */
static vox_status each_fragment(const vox_dicom_file *f, const unsigned char *bytes,
                                vox_status (*fn)(void *user, uint64_t i, uint64_t at, uint64_t n),
                                void *user)
{
    uint64_t at = f->outline.pixel_offset;
    vox_status s = VOX_OK;
    for (uint64_t i = 0; s == VOX_OK && i <= f->outline.fragments; i++) {
        const unsigned char *p = bytes + at;
        uint64_t n = p[4] | (uint64_t)p[5] << 8 | (uint64_t)p[6] << 16 | (uint64_t)p[7] << 24;
        if (i > 0)
            s = fn(user, i - 1, at + 8, n);
        at += 8 + n;
    }
    return s;
}

/* The compressed bytes of a file, and what is done with them. */
typedef struct compressed {
    const vox_dicom_file *file;
    unsigned char *bytes; /* the file up to the end of its pixels */
    unsigned char *frame; /* one decoded frame (RLE) */
    float *(*place)(void *user, size_t frame);
    void *user;
    size_t stride;
    vox_error *err;
} compressed;

/* Every fragment that begins a stream must describe a frame of the header's size. */
static vox_status check_fragment(void *user, uint64_t i, uint64_t at, uint64_t n)
{
    const compressed *c = user;
    const vox_dicom_pixels *p = &c->file->layout;
    (void)i;
    if (vox_dicom_codestream_fits(p, c->bytes + at, (size_t)n))
        return VOX_OK;
    return vox_image_bad(
        c->err, KIND, c->file->path,
        "the compressed stream at byte %llu is damaged or not of %lld x %lld pixels",
        (unsigned long long)at, (long long)p->rows, (long long)p->columns);
}

static vox_status decode_rle_fragment(void *user, uint64_t i, uint64_t at, uint64_t n)
{
    const compressed *c = user;
    vox_dicom_pixels p = c->file->layout;
    const vox_dicom_frame *g = &c->file->header.frame[i];
    p.planar = p.msb = false;
    if (!vox_dicom_rle_decode(&p, c->bytes + at, (size_t)n, c->frame))
        return vox_image_bad(c->err, KIND, c->file->path,
                             "frame %llu: the RLE-compressed pixels at byte %llu are damaged",
                             (unsigned long long)i + 1, (unsigned long long)at);
    vox_dicom_convert(&p, c->frame, 0, g->slope, g->intercept, c->place(c->user, (size_t)i),
                      c->stride);
    return VOX_OK;
}

static vox_status decode_rle(compressed *c)
{
    const vox_dicom_file *f = c->file;
    if ((int64_t)f->outline.fragments != f->header.frames)
        return vox_image_bad(c->err, KIND, f->path, "%llu RLE fragments for %lld frames",
                             (unsigned long long)f->outline.fragments, (long long)f->header.frames);
    if (f->layout.colour == VOX_DICOM_YBR_422)
        return vox_image_unsupported(c->err, KIND, f->path, "YBR_FULL_422 in RLE");
    c->frame = vox_calloc(vox_dicom_frame_bits(&f->layout) / 8, 1, f->path, c->err);
    vox_status s = c->frame ? each_fragment(f, c->bytes, decode_rle_fragment, c) : VOX_ERR_MEMORY;
    free(c->frame);
    return s;
}

/* The layout of what GDCM made of the pixels, which is not always what the header says. */
static vox_status decoded_layout(const vox_dicom_file *f, const vox_gdcm_pixels *px,
                                 vox_dicom_pixels *p, vox_error *err)
{
    *p = f->layout;
    p->samples = px->samples;
    p->allocated = px->allocated;
    p->stored = px->stored;
    p->high_bit = px->high_bit;
    p->is_signed = px->is_signed;
    p->planar = px->planar;
    p->msb = vox_host_msb();
    vox_status s = get_colour(p, px->photometric, f->path, err);
    if (p->colour == VOX_DICOM_YBR_422)
        p->colour = VOX_DICOM_YBR; /* decoders give every pixel its own Cb and Cr */
    if (s == VOX_OK)
        s = check_bits(p, f->path, err);
    if (s == VOX_OK && px->size != vox_dicom_frame_bits(p) / 8 * (uint64_t)f->header.frames)
        s = vox_image_bad(err, KIND, f->path,
                          "decompression gave %zu bytes, which are not %lld frames of %lld x %lld",
                          px->size, (long long)f->header.frames, (long long)p->rows,
                          (long long)p->columns);
    if (s == VOX_OK && p->samples != f->layout.samples)
        s = vox_image_bad(err, KIND, f->path, "the compressed pixels have %lld samples, not %lld",
                          (long long)p->samples, (long long)f->layout.samples);
    return s;
}

static vox_status check_growth(const vox_dicom_file *f, vox_error *err)
{
    uint64_t bytes = vox_dicom_frame_bits(&f->layout) / 8, frames = (uint64_t)f->header.frames;
    uint64_t limit = f->outline.pixel_bytes * 1000;
    limit = limit > SMALL_BYTES ? limit : SMALL_BYTES;
    if (bytes <= limit / frames)
        return VOX_OK;
    return vox_image_bad(err, KIND, f->path,
                         "%llu compressed bytes are said to hold %llu frames of %llu bytes",
                         (unsigned long long)f->outline.pixel_bytes, (unsigned long long)frames,
                         (unsigned long long)bytes);
}

static vox_status decode_with_gdcm(const compressed *c)
{
    const vox_dicom_file *f = c->file;
    const size_t frames = (size_t)f->header.frames;
    vox_dicom_apart apart;
    vox_dicom_pixels p;
    /* a decoder may use more bits than the header says: twice is enough */
    const size_t most = (size_t)(vox_dicom_frame_bits(&f->layout) / 4 + 4) * frames;
    vox_status s =
        vox_dicom_apart_decompress(&apart, (const char *)c->bytes, (size_t)f->outline.pixel_end,
                                   &f->header, most, f->path, c->err);
    if (s != VOX_OK)
        return s;
    const vox_gdcm_pixels *px = &apart.pixels;
    s = decoded_layout(f, px, &p, c->err);
    for (size_t i = 0; s == VOX_OK && i < frames; i++)
        vox_dicom_convert(&p, px->data + i * (size_t)(vox_dicom_frame_bits(&p) / 8), 0,
                          f->header.frame[i].slope, f->header.frame[i].intercept,
                          c->place(c->user, i), c->stride);
    vox_dicom_apart_release(&apart);
    return s;
}

static vox_status decode_compressed(compressed *c)
{
    const vox_dicom_file *f = c->file;
    char *bytes = NULL;
    vox_status s = check_growth(f, c->err);
    if (s == VOX_OK)
        s = read_bytes(&bytes, f->path, f->outline.pixel_end, c->err);
    c->bytes = (unsigned char *)bytes;
    if (s == VOX_OK && strcmp(f->outline.syntax, "1.2.840.10008.1.2.5") == 0) {
        s = decode_rle(c);
    } else if (s == VOX_OK) {
        s = each_fragment(f, c->bytes, check_fragment, c);
        if (s == VOX_OK)
            s = decode_with_gdcm(c);
    }
    free(bytes);
    return s;
}

vox_status vox_dicom_file_decode(const vox_dicom_file *f, float *(*place)(void *user, size_t frame),
                                 void *user, size_t stride, vox_error *err)
{
    compressed c = {.file = f, .place = place, .user = user, .stride = stride, .err = err};
    return f->outline.encapsulated ? decode_compressed(&c)
                                   : decode_plain(f, place, user, stride, err);
}
