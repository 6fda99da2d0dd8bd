/* writer.c - writing into a vox_file, plain or deflated. */
#include "data/formats/image.h"
#include "data/formats/stream.h"

#include <stdlib.h>

#ifdef VOXCL_WITH_ZLIB
#include <zlib.h>
#endif

enum { OUTPUT_BYTES = 1 << 16 };

struct vox_writer {
    vox_file *file;
    bool deflated;
#ifdef VOXCL_WITH_ZLIB
    z_stream z;
    unsigned char output[OUTPUT_BYTES];
#endif
};

static vox_status deflate_begin(vox_writer *w, vox_writer_kind kind, vox_error *err)
{
#ifdef VOXCL_WITH_ZLIB
    w->deflated = true;
    int bits = kind == VOX_WRITER_GZIP ? 15 + 16 : 15;
    if (deflateInit2(&w->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return vox_fail_memory(err, "zlib", sizeof w->z);
    return VOX_OK;
#else
    (void)kind;
    return vox_image_switched_off(err, "ZLIB", w->file->path);
#endif
}

vox_status vox_writer_open(vox_writer **out, vox_file *file, vox_writer_kind kind, vox_error *err)
{
    *out = NULL;
    vox_writer *w = vox_calloc(1, sizeof *w, "a file buffer", err);
    if (!w)
        return VOX_ERR_MEMORY;
    w->file = file;
    vox_status s = kind == VOX_WRITER_PLAIN ? VOX_OK : deflate_begin(w, kind, err);
    if (s == VOX_OK)
        *out = w;
    else
        free(w);
    return s;
}

static vox_status put_plain(vox_writer *w, const void *data, size_t bytes, vox_error *err)
{
    if (fwrite(data, 1, bytes, w->file->stream) != bytes)
        return vox_fail_errno(err, "write", w->file->path);
    return VOX_OK;
}

#ifdef VOXCL_WITH_ZLIB
/* Deflates what z.next_in holds; with Z_FINISH, all that is still inside comes out. */
static vox_status drain(vox_writer *w, int flush, vox_error *err)
{
    vox_status s = VOX_OK;
    do {
        w->z.next_out = w->output;
        w->z.avail_out = OUTPUT_BYTES;
        deflate(&w->z, flush);
        s = put_plain(w, w->output, OUTPUT_BYTES - w->z.avail_out, err);
    } while (s == VOX_OK && w->z.avail_out == 0);
    return s;
}
#endif

vox_status vox_writer_put(vox_writer *w, const void *data, size_t bytes, vox_error *err)
{
#ifdef VOXCL_WITH_ZLIB
    const unsigned char *p = data;
    vox_status s = VOX_OK;
    while (w->deflated && s == VOX_OK && bytes > 0) {
        size_t n = bytes < (1 << 30) ? bytes : 1 << 30;
        w->z.next_in = (z_const Bytef *)(uintptr_t)p;
        w->z.avail_in = (uInt)n;
        s = drain(w, Z_NO_FLUSH, err);
        p += n;
        bytes -= n;
    }
    if (w->deflated)
        return s;
#endif
    return put_plain(w, data, bytes, err);
}

vox_status vox_writer_close(vox_writer **writer, vox_status status, vox_error *err)
{
    vox_writer *w = *writer;
#ifdef VOXCL_WITH_ZLIB
    if (w->deflated) {
        if (status == VOX_OK)
            status = drain(w, Z_FINISH, err);
        deflateEnd(&w->z);
    }
#else
    (void)err;
#endif
    free(w);
    *writer = NULL;
    return status;
}
