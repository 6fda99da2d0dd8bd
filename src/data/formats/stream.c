/* stream.c - reading a file's bytes from an offset on, plain or deflated. */
#include "data/formats/stream.h"

#include "base/file.h"
#include "base/log.h"
#include "data/formats/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#ifdef VOXCL_WITH_ZLIB
#include <zlib.h>
#endif

enum { INPUT_BYTES = 1 << 16 };

struct vox_stream {
    FILE *file;
    char *path;
    const char *format;
    uint64_t left;  /* bytes of the file not yet read from it */
    uint64_t given; /* bytes handed out */
    bool deflated, ended;
#ifdef VOXCL_WITH_ZLIB
    z_stream z;
    bool z_open;
    unsigned char input[INPUT_BYTES];
#endif
};

vox_status vox_file_size(uint64_t *size, const char *path, vox_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return vox_fail_errno(err, "open", path);
    if (!S_ISREG(st.st_mode)) { /* asked before opening: a pipe would make us wait */
        vox_fail(err, VOX_ERR_IO, "not a regular file");
        vox_detail(err, "%s", path);
        return VOX_ERR_IO;
    }
    *size = (uint64_t)st.st_size;
    return VOX_OK;
}

static vox_status inflate_begin(vox_stream *s, vox_error *err)
{
#ifdef VOXCL_WITH_ZLIB
    if (inflateInit2(&s->z, 15 + 32) != Z_OK) /* 32: zlib or gzip, whichever it is */
        return vox_fail_memory(err, "zlib", sizeof s->z);
    s->z_open = true;
    return VOX_OK;
#else
    return vox_image_switched_off(err, "ZLIB", s->path);
#endif
}

static vox_status open_at(vox_stream *s, uint64_t offset, vox_error *err)
{
    uint64_t size = 0;
    vox_status status = vox_file_size(&size, s->path, err);
    if (status != VOX_OK)
        return status;
    if (offset > size)
        return vox_image_bad(err, s->format, s->path,
                             "the data begin at byte %llu, but the file has only %llu",
                             (unsigned long long)offset, (unsigned long long)size);
    s->left = size - offset;
    s->file = fopen(s->path, "rbe");
    if (!s->file || fseeko(s->file, (off_t)offset, SEEK_SET) != 0)
        return vox_fail_errno(err, "read", s->path);
    return s->deflated ? inflate_begin(s, err) : VOX_OK;
}

vox_status vox_stream_open(vox_stream **out, const char *path, uint64_t offset, bool deflated,
                           const char *format, vox_error *err)
{
    *out = NULL;
    vox_stream *s = vox_calloc(1, sizeof *s, "a file buffer", err);
    if (!s)
        return VOX_ERR_MEMORY;
    s->deflated = deflated;
    s->format = format;
    s->path = vox_strdup(path, err);
    vox_status status = s->path ? open_at(s, offset, err) : VOX_ERR_MEMORY;
    if (status == VOX_OK)
        *out = s;
    else
        vox_stream_free(&s);
    return status;
}

void vox_stream_free(vox_stream **stream)
{
    vox_stream *s = stream ? *stream : NULL;
    if (!s)
        return;
#ifdef VOXCL_WITH_ZLIB
    if (s->z_open)
        inflateEnd(&s->z);
#endif
    if (s->file)
        fclose(s->file);
    free(s->path);
    free(s);
    *stream = NULL;
}

uint64_t vox_stream_most(const vox_stream *s)
{
    if (!s->deflated)
        return s->left;
    uint64_t input = s->left;
#ifdef VOXCL_WITH_ZLIB
    input += s->z.avail_in;
#endif
    return input > UINT64_MAX / 1032 - 512 ? UINT64_MAX : (input + 512) * 1032;
}

/* Fewer bytes than asked for: a read error, or an end that came too early. */
static vox_status too_short(const vox_stream *s, uint64_t missing, vox_error *err)
{
    if (ferror(s->file))
        return vox_fail_errno(err, "read", s->path);
    vox_image_bad(err, s->format, s->path, "%s end after %llu bytes, at least %llu more are needed",
                  s->deflated ? "the compressed data" : "the data", (unsigned long long)s->given,
                  (unsigned long long)missing);
    return vox_hint(err, "the file was cut short, or its header is wrong");
}

#ifdef VOXCL_WITH_ZLIB

static void refill(vox_stream *s)
{
    size_t want = s->left < INPUT_BYTES ? (size_t)s->left : INPUT_BYTES;
    size_t got = fread(s->input, 1, want, s->file);
    s->left = got < want ? 0 : s->left - got;
    s->z.next_in = s->input;
    s->z.avail_in = (uInt)got;
}

/* After the end of a stream: true if another gzip member follows. */
static bool next_member(vox_stream *s)
{
    if (s->z.avail_in == 0 && s->left > 0)
        refill(s);
    return s->z.avail_in > 0 && s->z.next_in[0] == 0x1f && inflateReset(&s->z) == Z_OK;
}

/* Up to `bytes` bytes; fewer at the end of the stream. */
static vox_status inflate_some(vox_stream *s, unsigned char *to, size_t bytes, size_t *got,
                               vox_error *err)
{
    *got = 0;
    while (*got < bytes && !s->ended) {
        size_t room = bytes - *got < INPUT_BYTES ? bytes - *got : INPUT_BYTES;
        if (s->z.avail_in == 0 && s->left > 0)
            refill(s);
        if (s->z.avail_in == 0)
            return VOX_OK;
        s->z.next_out = to + *got;
        s->z.avail_out = (uInt)room;
        int result = inflate(&s->z, Z_NO_FLUSH);
        *got += room - s->z.avail_out;
        if (result == Z_STREAM_END)
            s->ended = !next_member(s);
        else if (result != Z_OK && result != Z_BUF_ERROR)
            return vox_image_bad(err, s->format, s->path,
                                 "the compressed data are damaged after %llu bytes: %s",
                                 (unsigned long long)(s->given + *got),
                                 s->z.msg ? s->z.msg : "not a zlib or gzip stream");
    }
    return VOX_OK;
}

#endif

static vox_status read_some(vox_stream *s, void *to, size_t bytes, size_t *got, vox_error *err)
{
#ifdef VOXCL_WITH_ZLIB
    if (s->deflated)
        return inflate_some(s, to, bytes, got, err);
#endif
    (void)err;
    *got = fread(to, 1, bytes, s->file);
    s->left -= *got < s->left ? *got : s->left;
    return VOX_OK;
}

vox_status vox_stream_read(vox_stream *s, void *to, size_t bytes, vox_error *err)
{
    size_t got = 0;
    vox_status status = read_some(s, to, bytes, &got, err);
    s->given += got;
    if (status == VOX_OK && got < bytes)
        status = too_short(s, bytes - got, err);
    return status;
}

vox_status vox_stream_skip(vox_stream *s, uint64_t bytes, vox_error *err)
{
    char scratch[4096];
    vox_status status = VOX_OK;
    while (status == VOX_OK && bytes > 0) {
        size_t n = bytes < sizeof scratch ? (size_t)bytes : sizeof scratch;
        status = vox_stream_read(s, scratch, n, err);
        bytes -= n;
    }
    return status;
}

vox_status vox_stream_samples(vox_stream *s, vox_sink *sink, size_t samples, vox_error *err)
{
    enum { CHUNK = 1 << 16 };
    size_t each = vox_sample_bytes(sink->type);
    unsigned char *chunk = vox_calloc(CHUNK, 1, "a file buffer", err);
    if (!chunk)
        return VOX_ERR_MEMORY;
    vox_status status = VOX_OK;
    while (status == VOX_OK && samples > 0) {
        size_t n = samples < CHUNK / each ? samples : CHUNK / each;
        status = vox_stream_read(s, chunk, n * each, err);
        if (status == VOX_OK)
            vox_sink_push(sink, chunk, n);
        samples -= n;
    }
    free(chunk);
    return status;
}

vox_status vox_stream_end(vox_stream *s, uint64_t padding, vox_error *err)
{
    unsigned char scratch[512];
    uint64_t more = 0;
    size_t got = 0;
    do {
        vox_status status = read_some(s, scratch, sizeof scratch, &got, err);
        if (status != VOX_OK)
            return status;
        more += got;
    } while (got > 0 && more < padding);
    if (more >= padding && more > 0) {
        vox_image_bad(err, s->format, s->path, "there are more data than the %llu bytes described",
                      (unsigned long long)s->given);
        return vox_hint(err, "the header's sizes or type are wrong");
    }
    if (s->deflated && !s->ended)
        return too_short(s, 1, err);
    if (more > 0)
        vox_log(VOX_LOG_WARN, "%s: %llu bytes behind the data are left out", s->path,
                (unsigned long long)more);
    return VOX_OK;
}
