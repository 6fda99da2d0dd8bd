/* image.c - the table of formats, and reading and writing through it.
 *
 * A new format is one file with a vox_file_format, and one line in `formats`. */
#include "data/formats/image.h"

#include "base/file.h"
#include "data/formats/dicom.h"
#include "data/formats/stream.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Asked in this order: strong magic numbers first. */
static const vox_file_format *const formats[] = {
    &vox_format_png, &vox_format_numpy, &vox_format_nifti, &vox_format_dicom, &vox_format_metaimage,
};

enum { FORMATS = sizeof formats / sizeof formats[0] };

/* ---- complaints ---- */

static vox_status complain(vox_error *err, vox_status code, const char *message, const char *path,
                           const char *fmt, va_list args)
{
    char facts[300];
    vsnprintf(facts, sizeof facts, fmt, args);
    vox_fail(err, code, "%s", message);
    size_t n = strlen(path); /* of a very long path the end says most */
    vox_detail(err, "%s%s: %s", n > 160 ? "..." : "", n > 160 ? path + n - 160 : path, facts);
    return code;
}

vox_status vox_image_bad(vox_error *err, const char *format, const char *path, const char *fmt, ...)
{
    va_list args;
    char message[64];
    snprintf(message, sizeof message, "bad %s file", format);
    va_start(args, fmt);
    vox_status s = complain(err, VOX_ERR_INPUT, message, path, fmt, args);
    va_end(args);
    return s;
}

vox_status vox_image_unsupported(vox_error *err, const char *format, const char *path,
                                 const char *fmt, ...)
{
    va_list args;
    char message[64];
    snprintf(message, sizeof message, "unsupported %s file", format);
    va_start(args, fmt);
    vox_status s = complain(err, VOX_ERR_UNSUPPORTED, message, path, fmt, args);
    va_end(args);
    return s;
}

vox_status vox_image_switched_off(vox_error *err, const char *option, const char *path)
{
    vox_fail(err, VOX_ERR_UNSUPPORTED, "this voxcl was built without %s", option);
    vox_detail(err, "%s needs it", path);
    vox_hint(err, "configure with -DVOXCL_WITH_%s=ON", option);
    return VOX_ERR_UNSUPPORTED;
}

/* ---- images ---- */

static vox_status check_size(uint64_t *values, int64_t channels, const int64_t size[3],
                             const char *format, const char *path, vox_error *err)
{
    const int64_t length[4] = {channels, size[0], size[1], size[2]};
    uint64_t n = 1;
    for (int i = 0; i < 4; i++) {
        if (length[i] < 1)
            return vox_image_bad(err, format, path,
                                 "the size is %lld channels of (%lld, %lld, %lld), but every "
                                 "length must be at least 1",
                                 (long long)channels, (long long)size[0], (long long)size[1],
                                 (long long)size[2]);
        if ((uint64_t)length[i] >= (uint64_t)VOX_IMAGE_MAX_VALUES / n)
            return vox_image_bad(err, format, path,
                                 "%lld channels of (%lld, %lld, %lld) are too many: the limit is "
                                 "2^40 values",
                                 (long long)channels, (long long)size[0], (long long)size[1],
                                 (long long)size[2]);
        n *= (uint64_t)length[i];
    }
    *values = n;
    return VOX_OK;
}

vox_status vox_image_make(vox_image **out, int64_t channels, const int64_t size[3],
                          uint64_t value_bytes, uint64_t bytes, const vox_file_format *format,
                          const char *stored_type, const char *path, vox_error *err)
{
    uint64_t values = 0;
    *out = NULL;
    vox_status s = check_size(&values, channels, size, format->name, path, err);
    if (s != VOX_OK)
        return s;
    if (value_bytes && values > bytes / value_bytes) {
        vox_image_bad(err, format->name, path,
                      "%lld channels of (%lld, %lld, %lld) in %s need %llu bytes, but the file "
                      "can hold only %llu",
                      (long long)channels, (long long)size[0], (long long)size[1],
                      (long long)size[2], stored_type, (unsigned long long)(values * value_bytes),
                      (unsigned long long)bytes);
        return vox_hint(err, "the file was cut short, or its header is wrong");
    }
    vox_image *image = vox_calloc(1, sizeof *image, "an image", err);
    if (!image)
        return VOX_ERR_MEMORY;
    image->voxel = vox_calloc(values, sizeof *image->voxel, path, err);
    image->channels = channels;
    for (int i = 0; i < 3; i++) {
        image->size[i] = size[i];
        image->spacing_mm[i] = 1;
        image->direction[i][2 - i] = 1; /* d along z, h along y, w along x */
    }
    snprintf(image->stored_type, sizeof image->stored_type, "%s", stored_type);
    snprintf(image->format, sizeof image->format, "%s", format->name);
    if (!image->voxel) {
        vox_image_free(&image);
        return VOX_ERR_MEMORY;
    }
    *out = image;
    return VOX_OK;
}

void vox_image_free(vox_image **image)
{
    if (!image || !*image)
        return;
    free((*image)->voxel);
    free(*image);
    *image = NULL;
}

size_t vox_image_values(const vox_image *image)
{
    return (size_t)(image->channels * image->size[0] * image->size[1] * image->size[2]);
}

size_t vox_image_count_nonfinite(const vox_image *image)
{
    size_t count = 0, n = vox_image_values(image);
    for (size_t i = 0; i < n; i++)
        count += isfinite(image->voxel[i]) ? 0 : 1;
    return count;
}

bool vox_image_set_axis(vox_image *image, int axis, const double step_mm[3])
{
    /* hypot: a tiny or huge step neither underflows nor overflows when squared */
    double length = hypot(hypot(step_mm[0], step_mm[1]), step_mm[2]);
    if (!(length > 0) || !isfinite(length) || !isfinite(1 / length))
        return false;
    image->spacing_mm[axis] = length;
    for (int i = 0; i < 3; i++)
        image->direction[axis][i] = step_mm[i] / length;
    return true;
}

double vox_image_determinant(const vox_image *image)
{
    const double *a = image->direction[0], *b = image->direction[1], *c = image->direction[2];
    return a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) +
           a[2] * (b[0] * c[1] - b[1] * c[0]);
}

/* ---- reading ---- */

static bool has_ending(const char *const *endings, const char *path)
{
    for (; endings && *endings; endings++)
        if (vox_path_ends(path, *endings))
            return true;
    return false;
}

static vox_status unknown_format(const char *path, const unsigned char *head, size_t n,
                                 vox_error *err)
{
    vox_fail(err, VOX_ERR_INPUT, "unknown image format");
    if (n == 0)
        vox_detail(err, "%s: the file is empty", path);
    else
        vox_detail(err, "%s: begins with the bytes %02x %02x %02x %02x", path, head[0], head[1],
                   head[2], head[3]);
    if (vox_path_ends(path, ".raw") || vox_path_ends(path, ".zraw"))
        return vox_hint(err, "name the .mhd header beside it");
    return vox_hint(err, "readable are DICOM (a file or a series' folder), NIfTI, MetaImage, .npy "
                         "and PNG");
}

static vox_status read_head(unsigned char head[VOX_SNIFF_BYTES], size_t *n, const char *path,
                            vox_error *err)
{
    uint64_t size = 0;
    vox_stream *stream;
    vox_status s = vox_file_size(&size, path, err);
    if (s == VOX_OK)
        s = vox_stream_open(&stream, path, 0, false, "image", err);
    if (s != VOX_OK)
        return s;
    *n = size < VOX_SNIFF_BYTES ? (size_t)size : VOX_SNIFF_BYTES;
    s = vox_stream_read(stream, head, *n, err);
    vox_stream_free(&stream);
    return s;
}

static vox_status read_file(vox_image **out, const char *path, vox_error *err)
{
    unsigned char head[VOX_SNIFF_BYTES] = {0};
    size_t n = 0;
    vox_status s = read_head(head, &n, path, err);
    if (s != VOX_OK)
        return s;
    for (int i = 0; i < FORMATS; i++)
        if (formats[i]->sniff && formats[i]->sniff(head, n, path))
            return formats[i]->read(out, path, err);
    for (int i = 0; n > 0 && i < FORMATS; i++)
        if (has_ending(formats[i]->endings, path))
            return formats[i]->read(out, path, err);
    for (int i = 0; i < FORMATS; i++)
        if (formats[i]->guess && formats[i]->guess(head, n, path))
            return formats[i]->read(out, path, err);
    return unknown_format(path, head, n, err);
}

vox_status vox_image_read(vox_image **out, const char *path, vox_error *err)
{
    *out = NULL;
    const char *hash = strrchr(path, '#');
    if (vox_path_is_dir(path))
        return vox_dicom_read_dir(out, path, NULL, err);
    if (!hash || vox_path_exists(path))
        return read_file(out, path, err);
    char *dir = vox_format(err, "%.*s", (int)(hash - path), path);
    if (!dir)
        return VOX_ERR_MEMORY;
    vox_status s = vox_path_is_dir(dir) ? vox_dicom_read_dir(out, dir, hash + 1, err)
                                        : read_file(out, path, err);
    free(dir);
    return s;
}

/* ---- writing ---- */

static vox_status check_writable(const vox_image *image, const char *path, vox_error *err)
{
    uint64_t values = 0;
    vox_status s = check_size(&values, image->channels, image->size, image->format, path, err);
    bool good = s == VOX_OK && image->voxel;
    for (int i = 0; i < 3 && good; i++) {
        good = image->spacing_mm[i] > 0 && isfinite(image->spacing_mm[i]) &&
               isfinite(image->origin_mm[i]);
        for (int j = 0; j < 3; j++)
            good = good && isfinite(image->direction[i][j]);
    }
    if (good)
        return VOX_OK;
    vox_fail(err, VOX_ERR_USAGE, "image cannot be written");
    vox_detail(err, "%s: voxels are missing, or size, spacing, origin or direction make no sense",
               path);
    return VOX_ERR_USAGE;
}

vox_status vox_image_write(const vox_image *image, const char *path, vox_error *err)
{
    vox_status s = check_writable(image, path, err);
    if (s != VOX_OK)
        return s;
    for (int i = 0; i < FORMATS; i++)
        if (has_ending(formats[i]->written, path))
            return formats[i]->write(image, path, err);
    vox_fail(err, VOX_ERR_USAGE, "cannot tell the format to write by the name");
    vox_detail(err, "%s", path);
    vox_hint(err, "end it in .npy, .nii, .nii.gz, .mhd, .mha or .png, or in / for a folder of PNG "
                  "slices");
    return VOX_ERR_USAGE;
}
