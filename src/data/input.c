/* input.c - files of one case: found, read, checked, their channels stacked. */
#include "data/input.h"

#include "data/prepare.h"
#include "data/volume.h"

#include <stdlib.h>
#include <string.h>

/* "DIR#SERIES" names one of the DICOM series in a folder. */
static bool is_there(const char *path)
{
    const char *hash = strrchr(path, '#');
    if (vox_path_exists(path) || !hash)
        return vox_path_exists(path);
    char *dir = vox_format(NULL, "%.*s", (int)(hash - path), path);
    const bool there = dir && vox_path_is_dir(dir);
    free(dir);
    return there;
}

static vox_status add_path(vox_names *out, const char *dir, const char *text, size_t length,
                           vox_error *err)
{
    char *name = vox_format(err, "%.*s", (int)length, text);
    char *path = name ? vox_path_join(dir, name, err) : NULL;
    vox_status s = VOX_ERR_MEMORY;
    if (path && is_there(path)) {
        s = vox_names_add(out, path, err);
    } else if (path) {
        vox_fail(err, VOX_ERR_INPUT, "an image does not exist");
        vox_detail(err, "%s", path);
        if (dir)
            vox_hint(err, "paths in a manifest are relative to its folder");
        s = VOX_ERR_INPUT;
    }
    free(path);
    free(name);
    return s;
}

vox_status vox_input_paths(vox_names *out, const char *dir, const char *text, vox_error *err)
{
    for (;;) {
        text += strspn(text, " ");
        size_t length = strcspn(text, ";"), used = length;
        while (used > 0 && text[used - 1] == ' ')
            used--;
        if (used == 0)
            return vox_fail(err, VOX_ERR_INPUT, "an image path is empty");
        vox_status s = add_path(out, dir, text, used, err);
        if (s != VOX_OK || text[length] == '\0')
            return s;
        text += length + 1;
    }
}

/* Appends the channels of `more` to *all (NULL: becomes it); both are consumed. */
static vox_status stack(vox_image **all, vox_image **more, const char *path, vox_error *err)
{
    if (!*all) {
        *all = *more;
        *more = NULL;
        return VOX_OK;
    }
    vox_image *a = *all, *b = *more;
    if (!vox_volume_same_grid(a, b)) {
        vox_fail(err, VOX_ERR_INPUT, "the channels of a case lie on different grids");
        vox_detail(err, "%s: %lld x %lld x %lld voxels, the first channel %lld x %lld x %lld", path,
                   (long long)b->size[0], (long long)b->size[1], (long long)b->size[2],
                   (long long)a->size[0], (long long)a->size[1], (long long)a->size[2]);
        return vox_hint(err, "resample them onto one grid first");
    }
    vox_image *both;
    vox_status s = vox_volume_alloc(&both, a->channels + b->channels, a->size, err);
    if (s != VOX_OK)
        return s;
    size_t n = vox_volume_voxels(a);
    memcpy(both->voxel, a->voxel, (size_t)a->channels * n * sizeof(float));
    memcpy(both->voxel + (size_t)a->channels * n, b->voxel,
           (size_t)b->channels * n * sizeof(float));
    float *old = a->voxel;
    a->voxel = both->voxel;
    a->channels = both->channels;
    both->voxel = old;
    vox_image_free(&both);
    vox_image_free(more);
    return VOX_OK;
}

vox_status vox_input_read(const vox_names *files, vox_image **out, vox_error *err)
{
    vox_image *all = NULL, *one = NULL;
    vox_status s = VOX_OK;
    for (size_t i = 0; i < files->count && s == VOX_OK; i++) {
        s = vox_image_read(&one, files->name[i], err);
        if (s == VOX_OK)
            s = vox_volume_finite(one, files->name[i], err);
        if (s == VOX_OK)
            s = stack(&all, &one, files->name[i], err);
    }
    vox_image_free(&one);
    if (s != VOX_OK)
        vox_image_free(&all);
    *out = all;
    return s;
}

vox_status vox_input_channels(const int64_t n[4], const vox_image *image, vox_error *err)
{
    vox_fail(err, VOX_ERR_INPUT, "a case has %lld channels, the network takes %lld",
             (long long)image->channels, (long long)n[0]);
    vox_detail(err, "it is %lld x %lld x %lld voxels", (long long)image->size[0],
               (long long)image->size[1], (long long)image->size[2]);
    return vox_hint(err, "set network.input.channels to %lld, or name as many files per case",
                    (long long)image->channels);
}

vox_status vox_input_shape(const int64_t n[4], const vox_image *image, vox_error *err)
{
    if (image->channels == n[0] && memcmp(image->size, n + 1, sizeof image->size) == 0)
        return VOX_OK;
    vox_fail(err, VOX_ERR_INPUT, "a case does not have the network's input shape");
    vox_detail(err,
               "it is %lld x %lld x %lld x %lld (c,d,h,w), the network takes %lld x %lld x "
               "%lld x %lld",
               (long long)image->channels, (long long)image->size[0], (long long)image->size[1],
               (long long)image->size[2], (long long)n[0], (long long)n[1], (long long)n[2],
               (long long)n[3]);
    if (image->channels != n[0])
        return vox_hint(err, "set network.input.channels to %lld, or name as many files per case",
                        (long long)image->channels);
    return vox_hint(err,
                    "add this to data.prepare: - resize: {size: [%lld, %lld, %lld]}; or pad and "
                    "center_crop to that size, or let data.patch cut patches from larger cases",
                    (long long)n[1], (long long)n[2], (long long)n[3]);
}

static vox_status prepare_files(vox_image **image, vox_voxel_map *map, const char *files,
                                const vox_yaml_node *prepare, const vox_prepare_stats *stats,
                                vox_error *err)
{
    vox_names names = {0};
    vox_prepare *steps = NULL;
    vox_prepared p = {0};
    vox_status s = vox_input_paths(&names, NULL, files, err);
    if (s == VOX_OK)
        s = vox_prepare_open(&steps, prepare, err);
    if (s == VOX_OK && stats)
        vox_prepare_set_stats(steps, stats);
    if (s == VOX_OK)
        s = vox_input_read(&names, &p.image, err);
    if (s == VOX_OK)
        s = vox_prepare_apply(steps, &p, err);
    if (s == VOX_OK && map)
        *map = p.map;
    if (s != VOX_OK)
        vox_image_free(&p.image);
    *image = p.image;
    vox_prepare_free(&steps);
    vox_names_release(&names);
    return s;
}

vox_status vox_input_prepare(vox_image **image, vox_voxel_map *map, const char *files,
                             const vox_yaml_node *prepare, const vox_prepare_stats *stats,
                             vox_error *err)
{
    vox_error local = {0};
    vox_status s = prepare_files(image, map, files, prepare, stats, &local);
    if (s == VOX_OK)
        return VOX_OK;
    if (!strstr(local.detail, files))
        vox_error_at(&local, "%s", files);
    if (err)
        *err = local;
    return s;
}

/* What a network takes is settled once it is trained. */
static void hint_for_trained(const int64_t shape[4], const vox_image *image, const char *files,
                             vox_error *err)
{
    vox_error_at(err, "%s", files);
    if (image->channels != shape[0])
        vox_hint(err,
                 "the network was trained on cases of %lld channel%s: name their files as there",
                 (long long)shape[0], shape[0] == 1 ? "" : "s");
    else
        vox_hint(err,
                 "the network was trained on cases of that size: bring the input to it, or train "
                 "with steps in data.prepare that do (resize; pad and center_crop)");
}

vox_status vox_dataset_read_input(const char *files, const vox_yaml_node *prepare,
                                  const vox_prepare_stats *stats, const int64_t shape[4],
                                  float *out, vox_error *err)
{
    vox_image *image;
    vox_status s = vox_input_prepare(&image, NULL, files, prepare, stats, err);
    if (s != VOX_OK)
        return s;
    s = vox_input_shape(shape, image, err);
    if (s == VOX_OK)
        memcpy(out, image->voxel, (size_t)shape[0] * vox_volume_voxels(image) * sizeof *out);
    else
        hint_for_trained(shape, image, files, err);
    vox_image_free(&image);
    return s;
}
