/* csv.c - one pass over the text; fields are cut in place, so that every field is a pointer into
 * the file's own bytes. */
#include "data/csv.h"

#include "base/file.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CSV_LIMIT ((size_t)256 << 20) /* far beyond any table of cases */

struct vox_csv {
    char *path, *text;
    char **field; /* [rows + 1][columns]; row 0 is the header */
    size_t fields, field_capacity;
    size_t *line; /* [rows + 1] */
    size_t lines, line_capacity;
    size_t columns;
};

/* Where the reader is. */
typedef struct cursor {
    char *p, *end;
    size_t line;
    bool row_ends; /* the field just read was its row's last */
} cursor;

static vox_status fail_line(vox_error *err, const vox_csv *csv, size_t line, const char *what)
{
    vox_fail(err, VOX_ERR_INPUT, "bad CSV: %s", what);
    vox_detail(err, "%s:%zu", csv->path, line);
    return VOX_ERR_INPUT;
}

static bool at_line_end(const cursor *c)
{
    return c->p == c->end || *c->p == '\n' || *c->p == '\r';
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_spaces(cursor *c)
{
    while (c->p < c->end && is_space(*c->p))
        c->p++;
}

static void skip_line_end(cursor *c)
{
    if (c->p == c->end)
        return;
    if (*c->p == '\r' && c->p + 1 < c->end && c->p[1] == '\n')
        c->p++;
    c->p++;
    c->line++;
}

/* The comma or line end after a field, which is overwritten to end the field's text. */
static void end_field(cursor *c, char *field_end)
{
    c->row_ends = at_line_end(c);
    if (c->row_ends)
        skip_line_end(c);
    else
        c->p++;
    *field_end = '\0';
}

static void trim(char *begin, char **end)
{
    while (*end > begin && is_space((*end)[-1]))
        --*end;
}

static vox_status read_quoted(const vox_csv *csv, cursor *c, char **out, vox_error *err)
{
    size_t begin_line = c->line;
    char *to = ++c->p;
    *out = to;
    for (;; c->p++) {
        if (c->p == c->end)
            return fail_line(err, csv, begin_line, "the quote that begins here is never closed");
        if (*c->p == '"') {
            if (c->p + 1 == c->end || c->p[1] != '"')
                break;
            c->p++;
        } else if (*c->p == '\n' || (*c->p == '\r' && (c->p + 1 == c->end || c->p[1] != '\n'))) {
            c->line++;
        }
        *to++ = *c->p;
    }
    c->p++;
    skip_spaces(c);
    if (!at_line_end(c) && *c->p != ',')
        return fail_line(err, csv, c->line, "text after a closing quote");
    trim(*out, &to);
    end_field(c, to);
    while (is_space(**out))
        ++*out;
    return VOX_OK;
}

static vox_status read_plain(const vox_csv *csv, cursor *c, char **out, vox_error *err)
{
    *out = c->p;
    while (!at_line_end(c) && *c->p != ',') {
        if (*c->p == '"') {
            fail_line(err, csv, c->line, "a quote inside an unquoted field");
            return vox_hint(err,
                            "put the whole field in quotes and double the quote: \"a \"\"b\"\"\"");
        }
        c->p++;
    }
    char *end = c->p;
    trim(*out, &end);
    end_field(c, end);
    return VOX_OK;
}

static vox_status read_row(vox_csv *csv, cursor *c, vox_error *err)
{
    size_t line = c->line, count = 0;
    if (!vox_grow(&csv->line, &csv->line_capacity, csv->lines + 1, sizeof *csv->line, err))
        return VOX_ERR_MEMORY;
    csv->line[csv->lines] = line;
    do {
        char *field;
        skip_spaces(c);
        vox_status s = c->p < c->end && *c->p == '"' ? read_quoted(csv, c, &field, err)
                                                     : read_plain(csv, c, &field, err);
        if (s != VOX_OK)
            return s;
        if (!vox_grow(&csv->field, &csv->field_capacity, csv->fields + 1, sizeof *csv->field, err))
            return VOX_ERR_MEMORY;
        csv->field[csv->fields++] = field;
        count++;
    } while (!c->row_ends);
    if (csv->lines++ == 0)
        csv->columns = count;
    if (count == csv->columns)
        return VOX_OK;
    vox_fail(err, VOX_ERR_INPUT, "bad CSV: a row has %zu fields, its header %zu", count,
             csv->columns);
    vox_detail(err, "%s:%zu", csv->path, line);
    return vox_hint(err, "a field that holds a comma must be quoted");
}

static vox_status check_header(const vox_csv *csv, vox_error *err)
{
    for (size_t i = 0; i < csv->columns; i++)
        for (size_t j = 0; j < i; j++)
            if (csv->field[i][0] && strcasecmp(csv->field[i], csv->field[j]) == 0) {
                vox_fail(err, VOX_ERR_INPUT, "bad CSV: two columns are named \"%s\"",
                         csv->field[i]);
                return vox_detail(err, "%s:%zu", csv->path, csv->line[0]);
            }
    return VOX_OK;
}

static vox_status read_table(vox_csv *csv, size_t size, vox_error *err)
{
    cursor c = {csv->text, csv->text + size, 1, false};
    if (size >= 3 && memcmp(c.p, "\xEF\xBB\xBF", 3) == 0)
        c.p += 3;
    char *nul = memchr(c.p, '\0', (size_t)(c.end - c.p));
    if (nul) {
        size_t line = 1;
        for (const char *q = c.p; q < nul; q++)
            line += *q == '\n';
        fail_line(err, csv, line, "a NUL byte, so this is no text in UTF-8");
        return vox_hint(err, "save it as CSV in UTF-8, not as UTF-16 or a spreadsheet");
    }
    while (c.p < c.end) {
        skip_spaces(&c);
        if (c.p < c.end && at_line_end(&c)) {
            skip_line_end(&c);
            continue;
        }
        if (c.p == c.end)
            break;
        vox_status s = read_row(csv, &c, err);
        if (s != VOX_OK)
            return s;
    }
    if (csv->lines == 0) {
        vox_fail(err, VOX_ERR_INPUT, "bad CSV: the file is empty");
        return vox_detail(err, "%s", csv->path);
    }
    return check_header(csv, err);
}

vox_status vox_csv_open(vox_csv **out, const char *path, vox_error *err)
{
    *out = NULL;
    vox_csv *csv = vox_calloc(1, sizeof *csv, path, err);
    if (!csv)
        return VOX_ERR_MEMORY;
    size_t size = 0;
    vox_status s = VOX_ERR_MEMORY;
    csv->path = vox_strdup(path, err);
    if (csv->path)
        s = vox_file_read(&csv->text, &size, path, CSV_LIMIT, err);
    if (s == VOX_OK)
        s = read_table(csv, size, err);
    if (s != VOX_OK)
        vox_csv_free(&csv);
    *out = csv;
    return s;
}

void vox_csv_free(vox_csv **csvp)
{
    if (!csvp || !*csvp)
        return;
    vox_csv *csv = *csvp;
    free(csv->path);
    free(csv->text);
    free(csv->field);
    free(csv->line);
    free(csv);
    *csvp = NULL;
}

const char *vox_csv_path(const vox_csv *csv)
{
    return csv->path;
}

size_t vox_csv_rows(const vox_csv *csv)
{
    return csv->lines - 1;
}

size_t vox_csv_line(const vox_csv *csv, size_t row)
{
    return csv->line[row + 1];
}

const char *vox_csv_field(const vox_csv *csv, size_t row, size_t column)
{
    return csv->field[(row + 1) * csv->columns + column];
}

bool vox_csv_find(const vox_csv *csv, const char *column, size_t *out)
{
    for (size_t i = 0; i < csv->columns; i++)
        if (strcasecmp(csv->field[i], column) == 0) {
            *out = i;
            return true;
        }
    return false;
}

vox_status vox_csv_need(const vox_csv *csv, const char *column, size_t *out, vox_error *err)
{
    if (vox_csv_find(csv, column, out))
        return VOX_OK;
    vox_str names = {0};
    for (size_t i = 0; i < csv->columns; i++)
        vox_str_add(&names, "%s%s", i ? ", " : "", csv->field[i]);
    vox_fail(err, VOX_ERR_INPUT, "there is no column \"%s\"", column);
    vox_detail(err, "%s:%zu: the columns are: %s", csv->path, csv->line[0],
               names.text ? names.text : "");
    vox_str_release(&names);
    return VOX_ERR_INPUT;
}

vox_status vox_csv_fail(vox_error *err, const vox_csv *csv, size_t row, const char *fmt, ...)
{
    char text[sizeof err->message];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    vox_fail(err, VOX_ERR_INPUT, "%s", text);
    vox_detail(err, "%s:%zu", csv->path, vox_csv_line(csv, row));
    return VOX_ERR_INPUT;
}
