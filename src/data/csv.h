/* csv.h - comma-separated tables as people's tools write them.
 *
 * RFC 4180 and what is found in the wild: LF, CRLF and lone CR line ends, a UTF-8 byte order mark,
 * blank lines, spaces around fields.  Every row knows the line it begins on. */
#ifndef VOX_DATA_CSV_H
#define VOX_DATA_CSV_H

#include "base/error.h"

typedef struct vox_csv vox_csv;

/* Reads the whole table; its first line that is not blank is the header.  Fails on bad quoting, on
 * rows with more or fewer fields than the header, and on a column named twice. */
vox_status vox_csv_open(vox_csv **out, const char *path, vox_error *err);
void vox_csv_free(vox_csv **csv);

const char *vox_csv_path(const vox_csv *csv);
size_t vox_csv_rows(const vox_csv *csv);                                /* without the header */
size_t vox_csv_line(const vox_csv *csv, size_t row);                    /* from 1 */
bool vox_csv_find(const vox_csv *csv, const char *column, size_t *out); /* case ignored */
/* Like find, but a missing column is an error that lists those there are. */
vox_status vox_csv_need(const vox_csv *csv, const char *column, size_t *out, vox_error *err);
/* A field without the spaces around it; never NULL. */
const char *vox_csv_field(const vox_csv *csv, size_t row, size_t column);

/* An error at a row: message from fmt, detail "path:line". */
vox_status vox_csv_fail(vox_error *err, const vox_csv *csv, size_t row, const char *fmt, ...)
    VOX_PRINTF(4, 5);

#endif
