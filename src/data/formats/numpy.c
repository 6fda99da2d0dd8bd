/* numpy.c - .npy files, versions 1 to 3: [H,W], [D,H,W] or [C,D,H,W].
 *
 * Source: numpy/lib/format.py's description, "NEP 1: a simple file format for NumPy arrays". */
#include "base/file.h"
#include "data/formats/image.h"
#include "data/formats/stream.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KIND vox_format_numpy.name

enum { HEADER_MAX = 1 << 20 };

typedef struct header {
    vox_sample type;
    char stored[16];
    bool msb, fortran;
    bool seen_descr, seen_order, seen_shape;
    int rank;
    int64_t shape[4];
} header;

/* ---- the header: a Python dictionary with three keys ---- */

typedef struct parser {
    const char *at, *path;
    vox_error *err;
} parser;

static vox_status bad(const parser *p, const char *what)
{
    return vox_image_bad(p->err, KIND, p->path, "header: %s at \"%.20s\"", what, p->at);
}

static void skip_space(parser *p)
{
    while (isspace((unsigned char)*p->at))
        p->at++;
}

static bool take(parser *p, char c)
{
    skip_space(p);
    if (*p->at != c)
        return false;
    p->at++;
    return true;
}

static bool take_word(parser *p, const char *word)
{
    size_t n = strlen(word);
    if (strncmp(p->at, word, n) != 0)
        return false;
    p->at += n;
    return true;
}

static bool take_text(parser *p, char *text, size_t size)
{
    char quote = take(p, '\'') ? '\'' : take(p, '"') ? '"' : '\0';
    size_t n = quote ? strcspn(p->at, quote == '"' ? "\"" : "'") : 0;
    if (!quote || p->at[n] != quote || n >= size)
        return false;
    memcpy(text, p->at, n);
    text[n] = '\0';
    p->at += n + 1;
    return true;
}

static vox_status parse_descr(parser *p, header *h)
{
    static const struct {
        const char *code;
        vox_sample type;
    } types[] = {
        {"b1", VOX_SAMPLE_U8},  {"u1", VOX_SAMPLE_U8},  {"i1", VOX_SAMPLE_I8},
        {"u2", VOX_SAMPLE_U16}, {"i2", VOX_SAMPLE_I16}, {"u4", VOX_SAMPLE_U32},
        {"i4", VOX_SAMPLE_I32}, {"u8", VOX_SAMPLE_U64}, {"i8", VOX_SAMPLE_I64},
        {"f2", VOX_SAMPLE_F16}, {"f4", VOX_SAMPLE_F32}, {"f8", VOX_SAMPLE_F64},
    };
    char descr[32];
    skip_space(p);
    if (*p->at == '[')
        return vox_image_unsupported(p->err, KIND, p->path, "descr: arrays of records");
    if (!take_text(p, descr, sizeof descr))
        return bad(p, "descr is not a short text");
    const char *code = strchr("<>|=", descr[0]) && descr[0] ? descr + 1 : descr;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(code, types[i].code) == 0) {
            h->type = types[i].type;
            h->msb = descr[0] == '>';
            snprintf(h->stored, sizeof h->stored, "%s",
                     code[0] == 'b' ? "bool" : vox_sample_name(h->type));
            return VOX_OK;
        }
    return vox_image_unsupported(p->err, KIND, p->path,
                                 "descr: type '%s' (numbers of 1 to 8 bytes that are not complex "
                                 "can be read)",
                                 descr);
}

static vox_status parse_shape(parser *p, header *h)
{
    if (!take(p, '('))
        return bad(p, "shape is not a tuple");
    while (!take(p, ')')) {
        char *end;
        errno = 0;
        long long n = strtoll(p->at, &end, 10);
        if (end == p->at || errno)
            return bad(p, "shape holds something else than numbers");
        if (h->rank == 4)
            return vox_image_bad(p->err, KIND, p->path,
                                 "shape has more than 4 dimensions; [H,W], [D,H,W] and [C,D,H,W] "
                                 "can be read");
        h->shape[h->rank++] = n;
        p->at = end;
        if (!take(p, ',') && *p->at != ')')
            return bad(p, "no comma or bracket in shape");
    }
    return VOX_OK;
}

static vox_status parse_order(parser *p, header *h)
{
    skip_space(p);
    h->fortran = take_word(p, "True");
    return h->fortran || take_word(p, "False") ? VOX_OK
                                               : bad(p, "fortran_order is neither True nor False");
}

static vox_status parse_pair(parser *p, header *h)
{
    char key[32];
    bool *seen;
    vox_status (*parse)(parser *, header *);
    if (!take_text(p, key, sizeof key) || !take(p, ':'))
        return bad(p, "no 'key': value");
    if (strcmp(key, "descr") == 0) {
        seen = &h->seen_descr;
        parse = parse_descr;
    } else if (strcmp(key, "fortran_order") == 0) {
        seen = &h->seen_order;
        parse = parse_order;
    } else if (strcmp(key, "shape") == 0) {
        seen = &h->seen_shape;
        parse = parse_shape;
    } else {
        return bad(p, "unknown key");
    }
    if (*seen)
        return bad(p, "a key stands there twice");
    *seen = true;
    return parse(p, h);
}

static vox_status parse_header(header *h, const char *text, const char *path, vox_error *err)
{
    parser p = {text, path, err};
    if (!take(&p, '{'))
        return bad(&p, "no {");
    while (!take(&p, '}')) {
        vox_status s = parse_pair(&p, h);
        if (s != VOX_OK)
            return s;
        if (!take(&p, ',') && *p.at != '}')
            return bad(&p, "no comma or }");
    }
    skip_space(&p);
    if (*p.at)
        return bad(&p, "something follows");
    if (!h->seen_descr || !h->seen_order || !h->seen_shape)
        return bad(&p, "descr, fortran_order or shape is missing");
    if (h->rank < 2)
        return vox_image_bad(err, KIND, path,
                             "shape has %d dimensions; [H,W], [D,H,W] and [C,D,H,W] can be read",
                             h->rank);
    return VOX_OK;
}

static vox_status read_header(header *h, vox_stream *stream, const char *path, vox_error *err)
{
    unsigned char head[12] = {0};
    vox_status s = vox_stream_read(stream, head, 10, err);
    if (s != VOX_OK)
        return s;
    if (memcmp(head, "\x93NUMPY", 6) != 0)
        return vox_image_bad(err, KIND, path, "does not begin with \\x93NUMPY");
    if (head[6] < 1 || head[6] > 3)
        return vox_image_unsupported(err, KIND, path, "version %d.%d", head[6], head[7]);
    size_t length = head[8] | (size_t)head[9] << 8;
    if (head[6] > 1) {
        s = vox_stream_read(stream, head + 10, 2, err);
        if (s != VOX_OK)
            return s;
        length |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
    }
    if (length > HEADER_MAX || length > vox_stream_most(stream))
        return vox_image_bad(err, KIND, path, "the header is said to have %zu bytes", length);
    char *text = vox_calloc(length + 1, 1, "a header", err);
    if (!text)
        return VOX_ERR_MEMORY;
    s = vox_stream_read(stream, text, length, err);
    if (s == VOX_OK && strlen(text) != length)
        s = vox_image_bad(err, KIND, path, "header: a NUL byte at %zu", strlen(text));
    if (s == VOX_OK)
        s = parse_header(h, text, path, err);
    free(text);
    return s;
}

/* ---- the data ---- */

/* The file runs through its last index slowest; ours is the other way round. */
static vox_status from_fortran(vox_image *image, vox_error *err)
{
    size_t c = (size_t)image->channels, d = (size_t)image->size[0], h = (size_t)image->size[1],
           w = (size_t)image->size[2];
    float *out = vox_calloc(vox_image_values(image), sizeof *out, "a transposed array", err);
    if (!out)
        return VOX_ERR_MEMORY;
    const float *in = image->voxel;
    for (size_t x = 0; x < w; x++)
        for (size_t y = 0; y < h; y++)
            for (size_t z = 0; z < d; z++)
                for (size_t k = 0; k < c; k++)
                    out[((k * d + z) * h + y) * w + x] = *in++;
    free(image->voxel);
    image->voxel = out;
    return VOX_OK;
}

static vox_status read_values(vox_image *image, const header *h, vox_stream *stream, vox_error *err)
{
    vox_sink sink;
    vox_sink_init(&sink, image, h->type, h->msb, 1);
    vox_status s = vox_stream_samples(stream, &sink, sink.total, err);
    if (s == VOX_OK)
        s = vox_stream_end(stream, 1, err);
    if (s == VOX_OK && h->fortran)
        s = from_fortran(image, err);
    return s;
}

static vox_status npy_read(vox_image **out, const char *path, vox_error *err)
{
    header h = {0};
    vox_stream *stream;
    vox_status s = vox_stream_open(&stream, path, 0, false, KIND, err);
    if (s != VOX_OK)
        return s;
    s = read_header(&h, stream, path, err);
    if (s == VOX_OK) {
        int64_t size[3] = {1, 1, 1};
        for (int i = 0; i < h.rank && i < 3; i++)
            size[2 - i] = h.shape[h.rank - 1 - i];
        s = vox_image_make(out, h.rank == 4 ? h.shape[0] : 1, size, vox_sample_bytes(h.type),
                           vox_stream_most(stream), &vox_format_numpy, h.stored, path, err);
    }
    if (s == VOX_OK)
        s = read_values(*out, &h, stream, err);
    if (s != VOX_OK)
        vox_image_free(out);
    vox_stream_free(&stream);
    return s;
}

/* ---- writing ---- */

static size_t make_header(char text[256], const vox_image *image)
{
    const int64_t *size = image->size;
    char channels[32] = "";
    if (image->channels > 1)
        snprintf(channels, sizeof channels, "%lld, ", (long long)image->channels);
    /* ten bytes of magic, version and length; the whole a multiple of 64, ending in a newline */
    int n = snprintf(
        text, 256,
        "..........{'descr': '%sf4', 'fortran_order': False, 'shape': (%s%lld, %lld, %lld), }",
        vox_host_msb() ? ">" : "<", channels, (long long)size[0], (long long)size[1],
        (long long)size[2]);
    size_t length = ((size_t)n / 64 + 1) * 64;
    memset(text + n, ' ', length - (size_t)n);
    text[length - 1] = '\n';
    memcpy(text, "\x93NUMPY\x01\x00", 8);
    text[8] = (char)((length - 10) & 255);
    text[9] = (char)((length - 10) >> 8);
    return length;
}

static vox_status npy_write(const vox_image *image, const char *path, vox_error *err)
{
    char text[256];
    size_t length = make_header(text, image), n = vox_image_values(image);
    vox_file f;
    vox_status s = vox_file_begin(&f, path, err);
    if (s != VOX_OK)
        return s;
    if (fwrite(text, 1, length, f.stream) != length ||
        fwrite(image->voxel, sizeof *image->voxel, n, f.stream) != n) {
        s = vox_fail_errno(err, "write", path);
        vox_file_abandon(&f);
        return s;
    }
    return vox_file_commit(&f, err);
}

static bool npy_sniff(const unsigned char *head, size_t n, const char *path)
{
    (void)path;
    return n >= 6 && memcmp(head, "\x93NUMPY", 6) == 0;
}

static const char *const endings[] = {".npy", NULL};
const vox_file_format vox_format_numpy = {"numpy",  npy_sniff, NULL,     endings,
                                          npy_read, endings,   npy_write};
