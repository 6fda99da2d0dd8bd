/* metaimage_write.c - float32 MetaImage: .mha, or .mhd with .raw or .zraw beside it. */
#include "data/formats/metaimage.h"

#include "base/file.h"
#include "data/formats/image.h"
#include "data/formats/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ITK's order: x, y, z; our axes are d, h, w. */
static void add_header(vox_str *text, const vox_image *im, bool compressed, const char *data_name)
{
    const double(*dir)[3] = im->direction;
    vox_str_add(text, "ObjectType = Image\nNDims = 3\nBinaryData = True\n");
    vox_str_add(text, "BinaryDataByteOrderMSB = %s\n", vox_host_msb() ? "True" : "False");
    vox_str_add(text, "CompressedData = %s\n", compressed ? "True" : "False");
    vox_str_add(text, "TransformMatrix =");
    for (int axis = 2; axis >= 0; axis--)
        vox_str_add(text, " %.17g %.17g %.17g", dir[axis][0], dir[axis][1], dir[axis][2]);
    vox_str_add(text, "\nOffset = %.17g %.17g %.17g\n", im->origin_mm[0], im->origin_mm[1],
                im->origin_mm[2]);
    vox_str_add(text, "CenterOfRotation = 0 0 0\nElementSpacing = %.17g %.17g %.17g\n",
                im->spacing_mm[2], im->spacing_mm[1], im->spacing_mm[0]);
    vox_str_add(text, "DimSize = %lld %lld %lld\n", (long long)im->size[2], (long long)im->size[1],
                (long long)im->size[0]);
    if (im->channels > 1)
        vox_str_add(text, "ElementNumberOfChannels = %lld\n", (long long)im->channels);
    vox_str_add(text, "ElementType = MET_FLOAT\nElementDataFile = %s\n", data_name);
}

/* Voxel after voxel, the channels of one together. */
static vox_status put_voxels(vox_writer *to, const vox_image *im, vox_error *err)
{
    size_t channels = (size_t)im->channels, plane = vox_image_values(im) / channels;
    float block[1024];
    size_t filled = 0;
    vox_status s = VOX_OK;
    if (channels == 1)
        return vox_writer_put(to, im->voxel, plane * sizeof *im->voxel, err);
    for (size_t i = 0; s == VOX_OK && i < plane; i++)
        for (size_t c = 0; s == VOX_OK && c < channels; c++) {
            block[filled++] = im->voxel[c * plane + i];
            if (filled == sizeof block / sizeof *block) {
                s = vox_writer_put(to, block, sizeof block, err);
                filled = 0;
            }
        }
    return s == VOX_OK ? vox_writer_put(to, block, filled * sizeof *block, err) : s;
}

static vox_status put_data(vox_file *f, const vox_image *im, bool compressed, vox_error *err)
{
    vox_writer *to;
    vox_status s = vox_writer_open(&to, f, compressed ? VOX_WRITER_ZLIB : VOX_WRITER_PLAIN, err);
    if (s != VOX_OK)
        return s;
    s = put_voxels(to, im, err);
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

static vox_status write_mha(const vox_image *im, const char *path, vox_error *err)
{
    vox_str text = {0};
    vox_file f;
    vox_status s = vox_file_begin(&f, path, err);
    if (s != VOX_OK)
        return s;
    add_header(&text, im, false, "LOCAL");
    s = put_text(&f, &text, err);
    if (s == VOX_OK)
        s = put_data(&f, im, false, err);
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

static vox_status write_pair(vox_file *header, vox_file *data, const vox_image *im, bool compressed,
                             vox_error *err)
{
    vox_str text = {0};
    add_header(&text, im, compressed, vox_path_base(data->path));
    vox_status s = put_text(header, &text, err);
    vox_str_release(&text);
    if (s == VOX_OK)
        s = put_data(data, im, compressed, err);
    return s == VOX_OK ? commit_pair(header, data, err) : s;
}

/* stem: the path without its ending. */
static vox_status write_stem(const vox_image *im, const char *stem, bool compressed, vox_error *err)
{
    vox_file header = {0}, data = {0};
    char *mhd = vox_format(err, "%s.mhd", stem);
    char *raw = mhd ? vox_format(err, "%s.%s", stem, compressed ? "zraw" : "raw") : NULL;
    vox_status s = raw ? vox_file_begin(&header, mhd, err) : VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = vox_file_begin(&data, raw, err);
    if (s == VOX_OK)
        s = write_pair(&header, &data, im, compressed, err);
    vox_file_abandon(&data); /* released already after a commit: then these do nothing */
    vox_file_abandon(&header);
    free(mhd);
    free(raw);
    return s;
}

vox_status vox_metaimage_write(const vox_image *image, const char *path, bool compressed,
                               vox_error *err)
{
    const char *dot = strrchr(path, '.');
    char *stem = vox_format(err, "%.*s", (int)(dot ? dot - path : (long)strlen(path)), path);
    if (!stem)
        return VOX_ERR_MEMORY;
    vox_status s = write_stem(image, stem, compressed, err);
    free(stem);
    return s;
}

vox_status vox_meta_write_by_name(const vox_image *image, const char *path, vox_error *err)
{
    if (vox_path_ends(path, ".mha"))
        return write_mha(image, path, err);
    return vox_metaimage_write(image, path, vox_path_ends(path, ".zraw"), err);
}
