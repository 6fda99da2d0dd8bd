/* metaimage_header.c - a MetaImage header: read, cut into keys and values, understood.
 *
 * Directions as ITK takes them: row i of TransformMatrix is the direction of axis i, axes in the
 * file's order x, y, z.  Source: itk.org, "MetaIO/Documentation", and its metaTypes.h for sizes
 * (MET_LONG has 4 bytes). */
#include "data/formats/metaimage.h"

#include "base/file.h"
#include "base/text.h"
#include "data/formats/image.h"
#include "data/formats/stream.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KIND vox_format_metaimage.name

enum { HEADER_MAX = 4 << 20 };

/* ---- keys and values ---- */

char *vox_meta_trim(char *p)
{
    while (isspace((unsigned char)*p))
        p++;
    for (size_t n = strlen(p); n > 0 && isspace((unsigned char)p[n - 1]); n--)
        p[n - 1] = '\0';
    return p;
}

/* Cuts the line at `line` into a pair; the value may be empty. */
static vox_status add_pair(vox_meta *h, char *line, vox_error *err)
{
    char *equals = strchr(line, '=');
    if (!equals)
        return vox_image_bad(err, KIND, h->path, "header: no \"key = value\" in \"%.40s\"", line);
    *equals = '\0';
    const char *key = vox_meta_trim(line);
    for (size_t i = 0; i < h->count; i++)
        if (strcmp(h->pair[i].key, key) == 0)
            return vox_image_bad(err, KIND, h->path, "header: %.40s is given twice", key);
    if (h->count == VOX_META_KEYS_MAX)
        return vox_image_bad(err, KIND, h->path, "header: more than %d keys", VOX_META_KEYS_MAX);
    h->pair[h->count].key = key;
    h->pair[h->count].value = vox_meta_trim(equals + 1);
    h->count++;
    return VOX_OK;
}

/* The header ends with the line of ElementDataFile. */
static vox_status split_header(vox_meta *h, vox_error *err)
{
    for (char *line = h->text; line < h->text + h->length;) {
        char *end = memchr(line, '\n', h->length - (size_t)(line - h->text));
        char *next = end ? end + 1 : h->text + h->length;
        if (end)
            *end = '\0';
        if (strlen(line) < (size_t)((end ? end : next) - line))
            return vox_image_bad(err, KIND, h->path, "header: a NUL byte after \"%.40s\"", line);
        if (*vox_meta_trim(line)) {
            vox_status s = add_pair(h, line, err);
            if (s != VOX_OK)
                return s;
            if (strcmp(h->pair[h->count - 1].key, "ElementDataFile") == 0) {
                h->data = (size_t)(next - h->text);
                return VOX_OK;
            }
        }
        line = next;
    }
    return vox_image_bad(err, KIND, h->path, "header: the key ElementDataFile is missing");
}

void vox_meta_release(vox_meta *h)
{
    free(h->text);
    memset(h, 0, sizeof *h);
}

vox_status vox_meta_read(vox_meta *h, const char *path, vox_error *err)
{
    vox_stream *stream;
    memset(h, 0, sizeof *h);
    h->path = path;
    vox_status s = vox_stream_open(&stream, path, 0, false, KIND, err);
    if (s != VOX_OK)
        return s;
    uint64_t size = vox_stream_most(stream);
    h->length = size < HEADER_MAX ? (size_t)size : HEADER_MAX;
    h->text = vox_calloc(h->length + 1, 1, "a header", err);
    s = h->text ? vox_stream_read(stream, h->text, h->length, err) : VOX_ERR_MEMORY;
    vox_stream_free(&stream);
    if (s == VOX_OK)
        s = split_header(h, err);
    if (s != VOX_OK)
        vox_meta_release(h);
    return s;
}

/* The value of the first of the keys (ends with NULL) that is there; NULL if none. */
static const char *find(const vox_meta *h, const char *const *keys)
{
    for (; *keys; keys++)
        for (size_t i = 0; i < h->count; i++)
            if (strcmp(h->pair[i].key, *keys) == 0)
                return h->pair[i].value;
    return NULL;
}

const char *vox_meta_find(const vox_meta *h, const char *key)
{
    const char *const keys[] = {key, NULL};
    return find(h, keys);
}

/* The i-th word of text into word; false when there are fewer or it is too long. */
static bool nth_word(const char *text, size_t i, char *word, size_t size)
{
    for (;; i--) {
        while (isspace((unsigned char)*text))
            text++;
        size_t n = 0;
        while (text[n] && !isspace((unsigned char)text[n]))
            n++;
        if (n == 0 || n >= size)
            return false;
        if (i == 0) {
            memcpy(word, text, n);
            word[n] = '\0';
            return true;
        }
        text += n;
    }
}

/* Exactly count numbers. */
static vox_status get_doubles(const vox_meta *h, const char *key, const char *value, size_t count,
                              double *out, vox_error *err)
{
    char word[64];
    for (size_t i = 0; i < count; i++)
        if (!nth_word(value, i, word, sizeof word) || !vox_parse_double(word, &out[i]) ||
            !isfinite(out[i]))
            return vox_image_bad(err, KIND, h->path, "%s must be %zu numbers, it is \"%.60s\"", key,
                                 count, value);
    if (nth_word(value, count, word, sizeof word))
        return vox_image_bad(err, KIND, h->path, "%s must be %zu numbers, it is \"%.60s\"", key,
                             count, value);
    return VOX_OK;
}

static vox_status get_ints(const vox_meta *h, const char *key, size_t count, int64_t *out,
                           vox_error *err)
{
    char word[32];
    const char *value = vox_meta_find(h, key);
    if (!value)
        return vox_image_bad(err, KIND, h->path, "header: the key %s is missing", key);
    for (size_t i = 0; i < count; i++)
        if (!nth_word(value, i, word, sizeof word) || !vox_parse_i64(word, &out[i]))
            return vox_image_bad(err, KIND, h->path,
                                 "%s must be %zu whole number%s, it is \"%.60s\"", key, count,
                                 count == 1 ? "" : "s", value);
    if (nth_word(value, count, word, sizeof word))
        return vox_image_bad(err, KIND, h->path, "%s must be %zu whole number%s, it is \"%.60s\"",
                             key, count, count == 1 ? "" : "s", value);
    return VOX_OK;
}

/* As get_ints for one number that may be absent. */
static vox_status get_int(const vox_meta *h, const char *key, int64_t absent, int64_t *out,
                          vox_error *err)
{
    *out = absent;
    return vox_meta_find(h, key) ? get_ints(h, key, 1, out, err) : VOX_OK;
}

static vox_status get_bool(const vox_meta *h, const char *key, const char *value, bool absent,
                           bool *out, vox_error *err)
{
    *out = absent;
    if (!value)
        return VOX_OK;
    if (!strchr("TtYy1FfNn0", value[0]) || !value[0])
        return vox_image_bad(err, KIND, h->path, "%s must be True or False, it is \"%.40s\"", key,
                             value);
    *out = strchr("TtYy1", value[0]) != NULL;
    return VOX_OK;
}

/* ---- meaning ---- */

static vox_status get_type(const vox_meta *h, vox_meta_layout *l, vox_error *err)
{
    static const struct {
        const char *name;
        vox_sample type;
    } types[] = {
        {"MET_CHAR", VOX_SAMPLE_I8},        {"MET_ASCII_CHAR", VOX_SAMPLE_I8},
        {"MET_UCHAR", VOX_SAMPLE_U8},       {"MET_SHORT", VOX_SAMPLE_I16},
        {"MET_USHORT", VOX_SAMPLE_U16},     {"MET_INT", VOX_SAMPLE_I32},
        {"MET_UINT", VOX_SAMPLE_U32},       {"MET_LONG", VOX_SAMPLE_I32},
        {"MET_ULONG", VOX_SAMPLE_U32},      {"MET_LONG_LONG", VOX_SAMPLE_I64},
        {"MET_ULONG_LONG", VOX_SAMPLE_U64}, {"MET_FLOAT", VOX_SAMPLE_F32},
        {"MET_DOUBLE", VOX_SAMPLE_F64},
    };
    const char *value = vox_meta_find(h, "ElementType");
    if (!value)
        return vox_image_bad(err, KIND, h->path, "header: the key ElementType is missing");
    size_t n = strlen(value);
    if (vox_path_ends(value, "_ARRAY")) /* what some writers say of several channels */
        n -= 6;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strlen(types[i].name) == n && strncmp(value, types[i].name, n) == 0) {
            l->type = types[i].type;
            return VOX_OK;
        }
    return vox_image_unsupported(err, KIND, h->path, "ElementType is \"%.40s\"", value);
}

/* What this reader would get wrong if it went on. */
static vox_status check_unsupported(const vox_meta *h, vox_error *err)
{
    static const char *const slope_keys[] = {"ElementToIntensityFunctionSlope", NULL};
    static const char *const offset_keys[] = {"ElementToIntensityFunctionOffset", NULL};
    const char *type = vox_meta_find(h, "ObjectType");
    const char *slope = find(h, slope_keys), *offset = find(h, offset_keys);
    bool binary = true;
    double a = 1, b = 0;
    if (type && strcmp(type, "Image") != 0)
        return vox_image_unsupported(err, KIND, h->path, "ObjectType is \"%.40s\", not Image",
                                     type);
    vox_status s = get_bool(h, "BinaryData", vox_meta_find(h, "BinaryData"), true, &binary, err);
    if (s == VOX_OK && !binary)
        return vox_image_unsupported(err, KIND, h->path, "BinaryData is False: data as text");
    if (s == VOX_OK && slope)
        s = get_doubles(h, slope_keys[0], slope, 1, &a, err);
    if (s == VOX_OK && offset)
        s = get_doubles(h, offset_keys[0], offset, 1, &b, err);
    if (s == VOX_OK && (a != 1 || b != 0))
        return vox_image_unsupported(err, KIND, h->path, "an ElementToIntensityFunction");
    return s;
}

/* Every length at least 1, all together within the limit. */
static vox_status check_lengths(const vox_meta *h, const vox_meta_layout *l, vox_error *err)
{
    int64_t n = l->channels;
    if (n < 1)
        return vox_image_bad(err, KIND, h->path, "ElementNumberOfChannels is %lld", (long long)n);
    for (int i = 0; i < l->rank; i++) {
        if (l->dim[i] < 1)
            return vox_image_bad(err, KIND, h->path, "DimSize holds %lld", (long long)l->dim[i]);
        if (l->dim[i] > VOX_IMAGE_MAX_VALUES / n)
            return vox_image_bad(
                err, KIND, h->path,
                "DimSize is \"%.60s\" with %lld channels: the limit is 2^40 values",
                vox_meta_find(h, "DimSize"), (long long)l->channels);
        n *= l->dim[i];
    }
    return VOX_OK;
}

vox_status vox_meta_get_layout(const vox_meta *h, vox_meta_layout *l, vox_error *err)
{
    static const char *const msb_keys[] = {"BinaryDataByteOrderMSB", "ElementByteOrderMSB", NULL};
    memset(l, 0, sizeof *l);
    vox_status s = check_unsupported(h, err);
    if (s == VOX_OK)
        s = get_ints(h, "NDims", 1, &l->rank, err);
    if (s == VOX_OK && (l->rank < 2 || l->rank > 4))
        return vox_image_bad(err, KIND, h->path, "NDims is %lld; 2, 3 and 4 can be read",
                             (long long)l->rank);
    for (int i = 0; i < 4; i++)
        l->dim[i] = 1;
    if (s == VOX_OK)
        s = get_ints(h, "DimSize", (size_t)l->rank, l->dim, err);
    if (s == VOX_OK)
        s = get_type(h, l, err);
    if (s == VOX_OK)
        s = get_int(h, "ElementNumberOfChannels", 1, &l->channels, err);
    if (s == VOX_OK)
        s = get_bool(h, msb_keys[0], find(h, msb_keys), false, &l->msb, err);
    if (s == VOX_OK)
        s = get_bool(h, "CompressedData", vox_meta_find(h, "CompressedData"), false, &l->compressed,
                     err);
    if (s == VOX_OK)
        s = get_int(h, "HeaderSize", 0, &l->skip, err);
    if (s == VOX_OK)
        s = get_int(h, "CompressedDataSize", 0, &l->compressed_bytes, err);
    if (s == VOX_OK && (l->skip < -1 || l->compressed_bytes < 0))
        s = vox_image_bad(err, KIND, h->path, "HeaderSize or CompressedDataSize is negative");
    return s == VOX_OK ? check_lengths(h, l, err) : s;
}

/* ---- geometry ---- */

static vox_status set_axes(const vox_meta *h, const vox_meta_layout *l, const double *spacing,
                           const double *matrix, vox_image *image, vox_error *err)
{
    size_t rank = (size_t)l->rank, axes = rank < 3 ? rank : 3;
    for (size_t i = 0; i < axes; i++) {
        double step[3] = {0, 0, 0};
        for (size_t j = 0; j < axes; j++)
            step[j] = spacing[i] * matrix[i * rank + j];
        if (!(spacing[i] > 0))
            return vox_image_bad(err, KIND, h->path, "ElementSpacing %g is not positive",
                                 spacing[i]);
        if (!vox_image_set_axis(image, 2 - (int)i, step))
            return vox_image_bad(err, KIND, h->path, "TransformMatrix: row %zu is zero", i);
    }
    double volume = vox_image_determinant(image);
    if (!(volume > 1e-6 || volume < -1e-6))
        return vox_image_bad(err, KIND, h->path, "TransformMatrix: the axes lie in one plane");
    return VOX_OK;
}

vox_status vox_meta_get_geometry(const vox_meta *h, const vox_meta_layout *l, vox_image *image,
                                 vox_error *err)
{
    static const char *const matrix_keys[] = {"TransformMatrix", "Orientation", "Rotation", NULL};
    static const char *const origin_keys[] = {"Offset", "Position", "Origin", NULL};
    static const char *const spacing_keys[] = {"ElementSpacing", "ElementSize", NULL};
    const char *matrix = find(h, matrix_keys), *origin = find(h, origin_keys),
               *spacing = find(h, spacing_keys);
    size_t rank = (size_t)l->rank;
    double m[16] = {0}, o[4] = {0}, step[4] = {1, 1, 1, 1};
    vox_status s = VOX_OK;
    for (size_t i = 0; i < rank; i++)
        m[i * rank + i] = 1;
    if (matrix)
        s = get_doubles(h, matrix_keys[0], matrix, rank * rank, m, err);
    if (s == VOX_OK && origin)
        s = get_doubles(h, origin_keys[0], origin, rank, o, err);
    if (s == VOX_OK && spacing)
        s = get_doubles(h, spacing_keys[0], spacing, rank, step, err);
    if (s != VOX_OK)
        return s;
    image->has_geometry = matrix || origin || spacing;
    for (size_t i = 0; i < 3 && i < rank; i++)
        image->origin_mm[i] = o[i];
    return set_axes(h, l, step, m, image, err);
}
