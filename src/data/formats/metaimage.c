/* metaimage.c - reading .mhd (data beside it) and .mha (data behind the header). */
#include "data/formats/metaimage.h"

#include "base/file.h"
#include "base/text.h"
#include "data/formats/image.h"
#include "data/formats/stream.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define KIND vox_format_metaimage.name

/* The files that hold the data, each with the same number of samples. */
typedef struct sources {
    vox_names files;
    bool local; /* the header's own file */
    size_t each;
} sources;

/* ---- where the data lie ---- */

static vox_status add_source(sources *src, const char *dir, const char *name, vox_error *err)
{
    char *path = vox_path_join(dir, name, err);
    vox_status s = path ? vox_names_add(&src->files, path, err) : VOX_ERR_MEMORY;
    free(path);
    return s;
}

/* "LIST" or "LIST 2": the lines that follow name files of that many dimensions each. */
static vox_status find_list(sources *src, const vox_meta *m, const vox_meta_layout *l,
                            const char *dir, const char *value, vox_error *err)
{
    int64_t rank = l->rank - 1;
    size_t needed = 1;
    vox_status s = VOX_OK;
    if (value[4] && (!vox_parse_i64(value + 4, &rank) || rank < 1 || rank > l->rank))
        return vox_image_bad(err, KIND, m->path, "ElementDataFile = %.40s makes no sense", value);
    for (int64_t i = rank; i < l->rank; i++) {
        src->each /= (size_t)l->dim[i];
        needed *= (size_t)l->dim[i];
    }
    for (const char *line = m->text + m->data; s == VOX_OK && *line;) {
        size_t n = strcspn(line, "\n");
        char *name = vox_format(err, "%.*s", (int)n, line);
        if (!name)
            return VOX_ERR_MEMORY;
        if (*vox_meta_trim(name))
            s = add_source(src, dir, vox_meta_trim(name), err);
        free(name);
        line += n + (line[n] == '\n');
    }
    if (s == VOX_OK && src->files.count != needed)
        s = vox_image_bad(err, KIND, m->path, "LIST names %zu files, %zu are needed",
                          src->files.count, needed);
    return s;
}

static vox_status find_sources(sources *src, const vox_meta *m, const vox_meta_layout *l,
                               vox_error *err)
{
    const char *value = vox_meta_find(m, "ElementDataFile");
    src->each = (size_t)(l->channels * l->dim[0] * l->dim[1] * l->dim[2] * l->dim[3]);
    src->local =
        strcmp(value, "LOCAL") == 0 || strcmp(value, "Local") == 0 || strcmp(value, "local") == 0;
    if (src->local)
        return vox_names_add(&src->files, m->path, err);
    if (!*value)
        return vox_image_bad(err, KIND, m->path, "ElementDataFile is empty");
    if (strchr(value, '%'))
        return vox_image_unsupported(err, KIND, m->path, "ElementDataFile is a pattern, \"%.60s\"",
                                     value);
    char *dir = vox_path_dir(m->path, err);
    if (!dir)
        return VOX_ERR_MEMORY;
    bool list = strncmp(value, "LIST", 4) == 0 && (!value[4] || isspace((unsigned char)value[4]));
    vox_status s = list ? find_list(src, m, l, dir, value, err) : add_source(src, dir, value, err);
    free(dir);
    return s;
}

/* ---- reading them ---- */

/* Where the data of one file begin. */
static vox_status find_offset(const vox_meta *m, const vox_meta_layout *l, const sources *src,
                              uint64_t size, uint64_t *offset, const char *path, vox_error *err)
{
    uint64_t bytes = (uint64_t)src->each * vox_sample_bytes(l->type);
    if (l->compressed && l->skip == -1 && !l->compressed_bytes)
        return vox_image_bad(err, KIND, m->path,
                             "HeaderSize -1 with compressed data needs a CompressedDataSize");
    if (l->compressed)
        bytes = (uint64_t)l->compressed_bytes; /* 0 asks nothing below */
    if (l->skip == -1)
        *offset = bytes <= size ? size - bytes : 0;
    else
        *offset = l->skip ? (uint64_t)l->skip : src->local ? m->data : 0;
    if (*offset > size || bytes > size - *offset) {
        vox_image_bad(err, KIND, path,
                      "%llu bytes of data are described from byte %llu on, but the file has %llu",
                      (unsigned long long)bytes, (unsigned long long)*offset,
                      (unsigned long long)size);
        return vox_hint(err,
                        "the file was cut short, or the sizes or type in the header are wrong");
    }
    return VOX_OK;
}

static vox_status open_source(vox_stream **stream, const vox_meta *m, const vox_meta_layout *l,
                              const sources *src, size_t i, vox_error *err)
{
    const char *path = src->files.name[i];
    uint64_t size = 0, offset = 0;
    vox_status s = vox_file_size(&size, path, err);
    if (s != VOX_OK) {
        vox_error_at(err, "ElementDataFile of %.160s", m->path);
        return s;
    }
    s = find_offset(m, l, src, size, &offset, path, err);
    return s == VOX_OK ? vox_stream_open(stream, path, offset, l->compressed, KIND, err) : s;
}

/* Each file must be able to hold its share: asked before memory is. */
static vox_status most_bytes(const vox_meta *m, const vox_meta_layout *l, const sources *src,
                             uint64_t *most, vox_error *err)
{
    *most = 0;
    for (size_t i = 0; i < src->files.count; i++) {
        vox_stream *stream;
        vox_status s = open_source(&stream, m, l, src, i, err);
        if (s != VOX_OK)
            return s;
        uint64_t n = vox_stream_most(stream);
        *most = n > UINT64_MAX - *most ? UINT64_MAX : *most + n;
        vox_stream_free(&stream);
    }
    return VOX_OK;
}

static vox_status read_sources(const vox_meta *m, const vox_meta_layout *l, const sources *src,
                               vox_image *image, vox_error *err)
{
    vox_sink sink;
    const uint64_t row = (uint64_t)(l->dim[0] * l->channels) * vox_sample_bytes(l->type);
    vox_sink_init(&sink, image, l->type, l->msb, (size_t)l->channels);
    for (size_t i = 0; i < src->files.count; i++) {
        vox_stream *stream;
        vox_status s = open_source(&stream, m, l, src, i, err);
        if (s != VOX_OK)
            return s;
        s = vox_stream_samples(stream, &sink, src->each, err);
        if (s == VOX_OK)
            s = vox_stream_end(stream, row, err);
        vox_stream_free(&stream);
        if (s != VOX_OK)
            return s;
    }
    return VOX_OK;
}

static vox_status read_image(vox_image **out, const vox_meta *m, sources *src, vox_error *err)
{
    vox_meta_layout l;
    uint64_t most = 0;
    vox_status s = vox_meta_get_layout(m, &l, err);
    if (s == VOX_OK)
        s = find_sources(src, m, &l, err);
    if (s == VOX_OK)
        s = most_bytes(m, &l, src, &most, err);
    if (s != VOX_OK)
        return s;
    const int64_t size[3] = {l.dim[2], l.dim[1], l.dim[0]};
    s = vox_image_make(out, l.channels * l.dim[3], size, vox_sample_bytes(l.type), most,
                       &vox_format_metaimage, vox_sample_name(l.type), m->path, err);
    if (s == VOX_OK)
        s = vox_meta_get_geometry(m, &l, *out, err);
    if (s == VOX_OK)
        s = read_sources(m, &l, src, *out, err);
    return s;
}

static vox_status meta_read(vox_image **out, const char *path, vox_error *err)
{
    vox_meta m;
    sources src = {0};
    vox_status s = vox_meta_read(&m, path, err);
    if (s != VOX_OK)
        return s;
    s = read_image(out, &m, &src, err);
    if (s != VOX_OK)
        vox_image_free(out);
    vox_names_release(&src.files);
    vox_meta_release(&m);
    return s;
}

/* The first line is "Key = value" with a key that MetaImage has. */
static bool meta_sniff(const unsigned char *head, size_t n, const char *path)
{
    static const char *const keys[] = {
        "ObjectType", "ObjectSubType", "NDims",         "DimSize",        "Comment", "ModalityID",
        "BinaryData", "ElementType",   "TransformType", "ElementSpacing", "Offset",  "ID",
        "Name",       "ObjectName",
    };
    size_t i = 0, length = 0;
    (void)path;
    while (i < n && isspace(head[i]))
        i++;
    while (i + length < n && isalnum(head[i + length]))
        length++;
    size_t equals = i + length;
    while (equals < n && (head[equals] == ' ' || head[equals] == '\t'))
        equals++;
    if (equals >= n || head[equals] != '=')
        return false;
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        if (strlen(keys[k]) == length && memcmp(keys[k], head + i, length) == 0)
            return true;
    return false;
}

static const char *const endings[] = {".mhd", ".mha", NULL};
static const char *const written[] = {".mhd", ".mha", ".raw", ".zraw", NULL};
const vox_file_format vox_format_metaimage = {
    "metaimage", meta_sniff, NULL, endings, meta_read, written, vox_meta_write_by_name};
