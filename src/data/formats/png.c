/* png.c - reading PNG: 8 or 16 bits, grey, colour, palette, with or without alpha; D = 1.
 *
 * libpng reports errors by longjmp: every function that calls it keeps what it needs afterwards
 * in a `reader` of its caller's, never in locals. */
#include "data/formats/png_write.h"

#include "base/file.h"
#include "data/formats/image.h"
#include "data/formats/stream.h"

#include <stdlib.h>
#include <string.h>

#define KIND vox_format_png.name

#ifdef VOXCL_WITH_PNG

#include <png.h>

typedef struct reader {
    png_structp png;
    png_infop info;
    vox_stream *stream;
    const char *path;
    vox_error *err;
    vox_status status; /* of the failure that made libpng jump */
    unsigned char *rows;
    png_bytep *row;
    uint32_t width, height;
    int channels, bits;
    size_t row_bytes;
} reader;

static void on_error(png_structp png, png_const_charp text)
{
    reader *r = png_get_error_ptr(png);
    if (r->status == VOX_OK) /* else the stream has said already what is wrong */
        r->status = vox_image_bad(r->err, KIND, r->path, "%s", text);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void on_read(png_structp png, png_bytep to, size_t bytes)
{
    reader *r = png_get_io_ptr(png);
    r->status = vox_stream_read(r->stream, to, bytes, r->err);
    if (r->status != VOX_OK)
        png_error(png, "short");
}

/* Everything to 8 or 16 bits: 1, 2 and 4 bits of grey become 0..255, a palette becomes colours,
 * a transparent colour becomes alpha. */
static void unify(reader *r)
{
    png_set_expand(r->png);
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    r->width = png_get_image_width(r->png, r->info);
    r->height = png_get_image_height(r->png, r->info);
    r->channels = png_get_channels(r->png, r->info);
    r->bits = png_get_bit_depth(r->png, r->info);
    r->row_bytes = png_get_rowbytes(r->png, r->info);
}

static vox_status read_info(reader *r)
{
    if (setjmp(png_jmpbuf(r->png)))
        return r->status;
    png_set_user_limits(r->png, INT32_MAX, INT32_MAX); /* the file's size is the limit */
    png_set_chunk_malloc_max(r->png, 8 << 20);
    png_set_read_fn(r->png, r, on_read);
    png_read_info(r->png, r->info);
    unify(r);
    return VOX_OK;
}

static vox_status read_rows(reader *r)
{
    if (setjmp(png_jmpbuf(r->png)))
        return r->status;
    png_read_image(r->png, r->row);
    png_read_end(r->png, NULL);
    return VOX_OK;
}

/* Interlaced files need all rows at once.  `most` is what deflate can make of the file. */
static vox_status make_rows(reader *r, vox_image **out, uint64_t most)
{
    const int64_t size[3] = {1, r->height, r->width};
    vox_sample type = r->bits == 16 ? VOX_SAMPLE_U16 : VOX_SAMPLE_U8;
    /* a row of 1-bit pixels grows eightfold when unified, colours of a palette up to 32-fold */
    most = most > UINT64_MAX / 32 ? UINT64_MAX : most * 32;
    vox_status s = vox_image_make(out, r->channels, size, vox_sample_bytes(type), most,
                                  &vox_format_png, vox_sample_name(type), r->path, r->err);
    if (s != VOX_OK)
        return s;
    r->rows = vox_calloc(r->height, r->row_bytes, "rows", r->err);
    r->row = vox_calloc(r->height, sizeof *r->row, "rows", r->err);
    if (!r->rows || !r->row)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < r->height; i++)
        r->row[i] = r->rows + i * r->row_bytes;
    return VOX_OK;
}

static vox_status read_all(reader *r, vox_image **out)
{
    uint64_t most = vox_stream_most(r->stream) * 1032;
    vox_status s = read_info(r);
    if (s == VOX_OK)
        s = make_rows(r, out, most);
    if (s == VOX_OK)
        s = read_rows(r);
    if (s != VOX_OK)
        return s;
    vox_sink sink;
    vox_sink_init(&sink, *out, r->bits == 16 ? VOX_SAMPLE_U16 : VOX_SAMPLE_U8, true,
                  (size_t)r->channels);
    for (size_t i = 0; i < r->height; i++)
        vox_sink_push(&sink, r->row[i], (size_t)r->width * (size_t)r->channels);
    return VOX_OK;
}

static vox_status png_read(vox_image **out, const char *path, vox_error *err)
{
    reader r = {.path = path, .err = err};
    vox_status s = vox_stream_open(&r.stream, path, 0, false, KIND, err);
    if (s != VOX_OK)
        return s;
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    s = r.info ? read_all(&r, out) : vox_fail_memory(err, "libpng", 0);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    if (s != VOX_OK)
        vox_image_free(out);
    free(r.rows);
    free(r.row);
    vox_stream_free(&r.stream);
    return s;
}

#else

static vox_status png_read(vox_image **out, const char *path, vox_error *err)
{
    *out = NULL;
    return vox_image_switched_off(err, "PNG", path);
}

#endif

static bool png_sniff(const unsigned char *head, size_t n, const char *path)
{
    (void)path;
    return n >= 8 && memcmp(head, "\x89PNG\r\n\x1a\n", 8) == 0;
}

static const char *const endings[] = {".png", NULL};
static const char *const written[] = {".png", "/", NULL};
const vox_file_format vox_format_png = {"png",    png_sniff, NULL,         endings,
                                        png_read, written,   vox_png_write};
