/* derived.c - a volume computed from an image, written on that image's own grid. */
#include "data/formats/derived.h"

#include "base/file.h"
#include "data/formats/image.h"

#include <stdio.h>
#include <string.h>

static bool has_ending(const char *const *endings, const char *path)
{
    for (; *endings; endings++)
        if (vox_path_ends(path, *endings))
            return true;
    return false;
}

/* Any other format, through an image of its own. */
static vox_status write_image(const vox_derived *d, const char *path, vox_error *err)
{
    vox_image *image;
    const int64_t channels = d->label || d->channels < 1 ? 1 : d->channels;
    vox_status s = vox_image_make(&image, channels, d->grid->size, 0, 0, &vox_format_numpy,
                                  d->label ? "uint8" : "float32", path, err);
    if (s != VOX_OK)
        return s;
    const size_t n = vox_image_values(image);
    for (size_t i = 0; i < n; i++)
        image->voxel[i] = d->label ? (float)d->label[i] : d->value[i];
    s = vox_image_write(image, path, err);
    vox_image_free(&image);
    return s;
}

vox_status vox_derived_write(const vox_derived *d, const char *path, vox_error *err)
{
    if (has_ending(vox_format_nifti.written, path))
        return vox_nifti_derive(d, path, err);
    if (has_ending(vox_format_metaimage.written, path))
        return vox_metaimage_derive(d, path, err);
    return write_image(d, path, err);
}

vox_status vox_derived_check(const char *path, vox_error *err)
{
    static const vox_file_format *const formats[] = {&vox_format_nifti, &vox_format_metaimage,
                                                     &vox_format_numpy, &vox_format_png};
    vox_file f;
    bool known = false;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        known = known || has_ending(formats[i]->written, path);
    if (!known) {
        vox_fail(err, VOX_ERR_USAGE, "cannot tell the format to write by the name");
        vox_detail(err, "%s", path);
        return vox_hint(err, "end it in .nii.gz, .nii, .mhd, .mha, .npy or .png");
    }
    if (path[strlen(path) - 1] == '/') /* a folder of PNG slices, made when it is written */
        return VOX_OK;
    vox_status s = vox_file_begin(&f, path, err);
    if (s == VOX_OK)
        vox_file_abandon(&f);
    return s;
}
