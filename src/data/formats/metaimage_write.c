/* metaimage_write.c - MetaImage: .mha, or .mhd with .raw or .zraw beside it.  Images are float32;
 * volumes computed from a MetaImage take over what its header says of the grid. */
#include "data/formats/metaimage.h"

#include "base/file.h"
#include "data/formats/derived.h"
#include "data/formats/image.h"
#include "data/formats/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is written, and the header that it takes over (count 0: none). */
typedef struct content {
    const vox_derived *d;
    int64_t channels;
    vox_meta header;
} content;

/* ITK's order: x, y, z; our axes are d, h, w. */
static void add_grid(vox_str *text, const vox_image *im)
{
    const double(*dir)[3] = im->direction;
    vox_str_add(text, "TransformMatrix =");
    for (int axis = 2; axis >= 0; axis--)
        vox_str_add(text, " %.17g %.17g %.17g", dir[axis][0], dir[axis][1], dir[axis][2]);
    vox_str_add(text, "\nOffset = %.17g %.17g %.17g\n", im->origin_mm[0], im->origin_mm[1],
                im->origin_mm[2]);
    vox_str_add(text, "CenterOfRotation = 0 0 0\nElementSpacing = %.17g %.17g %.17g\n",
                im->spacing_mm[2], im->spacing_mm[1], im->spacing_mm[0]);
}

/* The lines as they are; of a header of another rank, or one that leaves something out, false. */
static bool add_same_grid(vox_str *text, const vox_meta *header)
{
    static const char *const keys[] = {
        "TransformMatrix", "Rotation",         "Orientation",           "Offset",         "Origin",
        "Position",        "CenterOfRotation", "AnatomicalOrientation", "ElementSpacing", NULL};
    const char *rank = header->count ? vox_meta_find(header, "NDims") : NULL;
    if (!rank || strcmp(rank, "3") != 0 || !vox_meta_find(header, "ElementSpacing"))
        return false;
    for (int i = 0; keys[i]; i++)
        if (vox_meta_find(header, keys[i]))
            vox_str_add(text, "%s = %s\n", keys[i], vox_meta_find(header, keys[i]));
    return true;
}

static void add_header(vox_str *text, const content *c, bool compressed, const char *data_name)
{
    const vox_image *im = c->d->grid;
    vox_str_add(text, "ObjectType = Image\nNDims = 3\nBinaryData = True\n");
    vox_str_add(text, "BinaryDataByteOrderMSB = %s\n", vox_host_msb() ? "True" : "False");
    vox_str_add(text, "CompressedData = %s\n", compressed ? "True" : "False");
    if (!add_same_grid(text, &c->header))
        add_grid(text, im);
    vox_str_add(text, "DimSize = %lld %lld %lld\n", (long long)im->size[2], (long long)im->size[1],
                (long long)im->size[0]);
    if (c->channels > 1)
        vox_str_add(text, "ElementNumberOfChannels = %lld\n", (long long)c->channels);
    vox_str_add(text, "ElementType = %s\nElementDataFile = %s\n",
                c->d->label ? "MET_UCHAR" : "MET_FLOAT", data_name);
}

/* Voxel after voxel, the channels of one together. */
static vox_status put_voxels(vox_writer *to, const content *of, vox_error *err)
{
    const int64_t *size = of->d->grid->size;
    size_t channels = (size_t)of->channels, plane = (size_t)(size[0] * size[1] * size[2]);
    const float *value = of->d->value;
    float block[1024];
    size_t filled = 0;
    vox_status s = VOX_OK;
    if (of->d->label)
        return vox_writer_put(to, of->d->label, plane, err);
    if (channels == 1)
        return vox_writer_put(to, value, plane * sizeof *value, err);
    for (size_t i = 0; s == VOX_OK && i < plane; i++)
        for (size_t c = 0; s == VOX_OK && c < channels; c++) {
            block[filled++] = value[c * plane + i];
            if (filled == sizeof block / sizeof *block) {
                s = vox_writer_put(to, block, sizeof block, err);
                filled = 0;
            }
        }
    return s == VOX_OK ? vox_writer_put(to, block, filled * sizeof *block, err) : s;
}

static vox_status put_data(vox_file *f, const content *c, bool compressed, vox_error *err)
{
    vox_writer *to;
    vox_status s = vox_writer_open(&to, f, compressed ? VOX_WRITER_ZLIB : VOX_WRITER_PLAIN, err);
    if (s != VOX_OK)
        return s;
    s = put_voxels(to, c, err);
    return vox_writer_close(&to, s, err);
}

static vox_status put_text(vox_file *f, const vox_str *text, vox_error *err)
{
    if (text->failed)
        return vox_fail_memory(err, "a header", text->length);
    if (fwrite(text->text, 1, text->length, f->stream) != text->length)
        return vox_fail_errno(err, "write", f->path);
    return VOX_OK;
}

static vox_status write_mha(const content *c, const char *path, vox_error *err)
{
    vox_str text = {0};
    vox_file f;
    vox_status s = vox_file_begin(&f, path, err);
    if (s != VOX_OK)
        return s;
    add_header(&text, c, false, "LOCAL");
    s = put_text(&f, &text, err);
    if (s == VOX_OK)
        s = put_data(&f, c, false, err);
    vox_str_release(&text);
    if (s == VOX_OK)
        return vox_file_commit(&f, err);
    vox_file_abandon(&f);
    return s;
}

/* Both are complete on disk before either gets its name; an old header goes first, so that a kill
 * in between never leaves a header with another image's data. */
static vox_status commit_pair(vox_file *header, vox_file *data, vox_error *err)
{
    char *old = vox_strdup(header->path, err);
    vox_status s = old && fflush(header->stream) == 0 && fsync(fileno(header->stream)) == 0
                       ? VOX_OK
                       : VOX_ERR_IO;
    if (s != VOX_OK && old)
        vox_fail_errno(err, "write", old);
    if (s == VOX_OK && (fflush(data->stream) != 0 || fsync(fileno(data->stream)) != 0))
        s = vox_fail_errno(err, "write", data->path);
    if (s == VOX_OK && unlink(old) != 0 && errno != ENOENT)
        s = vox_fail_errno(err, "replace", old);
    if (s == VOX_OK)
        s = vox_file_commit(data, err);
    if (s == VOX_OK)
        s = vox_file_commit(header, err);
    free(old);
    return s;
}

static vox_status write_pair(vox_file *header, vox_file *data, const content *c, bool compressed,
                             vox_error *err)
{
    vox_str text = {0};
    add_header(&text, c, compressed, vox_path_base(data->path));
    vox_status s = put_text(header, &text, err);
    vox_str_release(&text);
    if (s == VOX_OK)
        s = put_data(data, c, compressed, err);
    return s == VOX_OK ? commit_pair(header, data, err) : s;
}

/* stem: the path without its ending. */
static vox_status write_stem(const content *c, const char *stem, bool compressed, vox_error *err)
{
    vox_file header = {0}, data = {0};
    char *mhd = vox_format(err, "%s.mhd", stem);
    char *raw = mhd ? vox_format(err, "%s.%s", stem, compressed ? "zraw" : "raw") : NULL;
    vox_status s = raw ? vox_file_begin(&header, mhd, err) : VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = vox_file_begin(&data, raw, err);
    if (s == VOX_OK)
        s = write_pair(&header, &data, c, compressed, err);
    vox_file_abandon(&data); /* released already after a commit: then these do nothing */
    vox_file_abandon(&header);
    free(mhd);
    free(raw);
    return s;
}

/* path: of the header or of the data. */
static vox_status write_beside(const content *c, const char *path, bool compressed, vox_error *err)
{
    const char *dot = strrchr(path, '.');
    char *stem = vox_format(err, "%.*s", (int)(dot ? dot - path : (long)strlen(path)), path);
    if (!stem)
        return VOX_ERR_MEMORY;
    vox_status s = write_stem(c, stem, compressed, err);
    free(stem);
    return s;
}

vox_status vox_metaimage_write(const vox_image *image, const char *path, bool compressed,
                               vox_error *err)
{
    const vox_derived d = {.grid = image, .value = image->voxel};
    const content c = {.d = &d, .channels = image->channels};
    return write_beside(&c, path, compressed, err);
}

static vox_status write_by_name(const content *c, const char *path, vox_error *err)
{
    if (vox_path_ends(path, ".mha"))
        return write_mha(c, path, err);
    return write_beside(c, path, vox_path_ends(path, ".zraw"), err);
}

vox_status vox_meta_write_by_name(const vox_image *image, const char *path, vox_error *err)
{
    const vox_derived d = {.grid = image, .value = image->voxel};
    const content c = {.d = &d, .channels = image->channels};
    return write_by_name(&c, path, err);
}

vox_status vox_metaimage_derive(const vox_derived *d, const char *path, vox_error *err)
{
    content c = {.d = d, .channels = d->label || d->channels < 1 ? 1 : d->channels};
    vox_status s = VOX_OK;
    if (d->source && strcmp(d->grid->format, vox_format_metaimage.name) == 0)
        s = vox_meta_read(&c.header, d->source, err);
    if (s == VOX_OK)
        s = write_by_name(&c, path, err);
    vox_meta_release(&c.header);
    return s;
}
