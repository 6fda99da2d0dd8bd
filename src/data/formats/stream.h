/* stream.h - reading a file's bytes from an offset on, plain or deflated, where every short
 * read is an error that names the file. */
#ifndef VOX_DATA_FORMATS_STREAM_H
#define VOX_DATA_FORMATS_STREAM_H

#include "base/file.h"
#include "data/formats/sample.h"

typedef struct vox_stream vox_stream;

/* deflated: the bytes are a zlib or gzip stream (several gzip members count as one); then a
 * build without zlib fails.  offset past the end fails.  format names the kind in messages. */
vox_status vox_stream_open(vox_stream **out, const char *path, uint64_t offset, bool deflated,
                           const char *format, vox_error *err);
void vox_stream_free(vox_stream **stream);

/* Bytes that can still come: exact for plain files; for deflated ones the most that deflate
 * can make of what is there (1032 for each byte). */
uint64_t vox_stream_most(const vox_stream *stream);

/* Exactly `bytes` bytes, else an error. */
vox_status vox_stream_read(vox_stream *stream, void *to, size_t bytes, vox_error *err);
vox_status vox_stream_skip(vox_stream *stream, uint64_t bytes, vox_error *err);

/* The next `samples` samples into the sink. */
vox_status vox_stream_samples(vox_stream *stream, vox_sink *sink, size_t samples, vox_error *err);

/* Fails if `padding` bytes or more are left over (callers give the length of a row: less cannot
 * come from a wrong size; 1 allows none).  A deflated stream's checksum is checked here. */
vox_status vox_stream_end(vox_stream *stream, uint64_t padding, vox_error *err);

/* The size of a regular file. */
vox_status vox_file_size(uint64_t *size, const char *path, vox_error *err);

/* ---- writing into a vox_file, plain or deflated ---- */

typedef struct vox_writer vox_writer;

typedef enum vox_writer_kind { VOX_WRITER_PLAIN, VOX_WRITER_ZLIB, VOX_WRITER_GZIP } vox_writer_kind;

/* file is borrowed and stays the caller's to commit or abandon. */
vox_status vox_writer_open(vox_writer **out, vox_file *file, vox_writer_kind kind, vox_error *err);
vox_status vox_writer_put(vox_writer *writer, const void *data, size_t bytes, vox_error *err);
/* Flushes, unless `status` is a failure already (then err is left alone), and frees; returns the
 * first failure. */
vox_status vox_writer_close(vox_writer **writer, vox_status status, vox_error *err);

#endif
