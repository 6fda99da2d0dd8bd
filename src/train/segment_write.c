/* segment_write.c - vox_model_segment: a scan's files in, files on the scan's own grid out. */
#include "data/formats/derived.h"
#include "data/formats/image.h"
#include "data/input.h"
#include "train/montage.h"
#include "train/segment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct job {
    vox_model *model;
    const vox_segment_options *opt;
    vox_names files; /* of the input */
    vox_pool *pool;
    vox_segmentation seg;
    uint8_t *label; /* [grid]; or NULL */
} job;

/* ---- paths ---------------------------------------------------------------- */

/* "p_1.nii.gz" of "p.nii.gz". */
static char *class_path(const char *path, int64_t k, vox_error *err)
{
    const char *base = vox_path_base(path), *dot = strrchr(base, '.');
    if (dot && vox_path_ends(path, ".nii.gz"))
        dot -= 4;
    const int stem = (int)(dot ? dot - path : (long)strlen(path));
    return vox_format(err, "%.*s_%lld%s", stem, path, (long long)k, path + stem);
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Whether the two name one file, be it there or not. */
static bool same_path(const char *a, const char *b)
{
    return a && b && (strcmp(a, b) == 0 || same_file(a, b));
}

/* A path that can be written to, and is none of the input's nor the mask's. */
static vox_status check_path(const job *j, const char *path, vox_error *err)
{
    if (path != j->opt->mask && same_path(path, j->opt->mask)) {
        vox_fail(err, VOX_ERR_USAGE, "two outputs would go to one file");
        vox_detail(err, "%s", path);
        return vox_hint(err, "the probabilities' names have _0, _1 ... before their ending"),
               VOX_ERR_USAGE;
    }
    for (size_t i = 0; i < j->files.count; i++)
        if (same_file(path, j->files.name[i])) {
            vox_fail(err, VOX_ERR_USAGE, "the output would overwrite the input");
            return vox_detail(err, "%s", path);
        }
    return vox_derived_check(path, err);
}

static vox_status check_paths(const job *j, vox_error *err)
{
    const vox_segment_options *opt = j->opt;
    vox_status s = VOX_OK;
    if (!opt->mask && !opt->probabilities && !opt->png)
        return vox_fail(err, VOX_ERR_USAGE, "no file to write the segmentation to");
    if (opt->mask)
        s = check_path(j, opt->mask, err);
    if (opt->png && s == VOX_OK && !vox_path_ends(opt->png, ".png")) {
        s = vox_fail(err, VOX_ERR_USAGE, "the picture's name must end in .png");
        vox_detail(err, "%s", opt->png);
    }
    if (opt->png && s == VOX_OK)
        s = check_path(j, opt->png, err);
#ifndef VOXCL_WITH_PNG
    if (opt->png && s == VOX_OK)
        s = vox_image_switched_off(err, "PNG", opt->png);
#endif
    for (int64_t k = 0; opt->probabilities && s == VOX_OK && k < j->model->classes; k++) {
        char *path = class_path(opt->probabilities, k, err);
        s = path ? check_path(j, path, err) : VOX_ERR_MEMORY;
        free(path);
    }
    return s;
}

/* ---- results -------------------------------------------------------------- */

static vox_status write_class(const job *j, int64_t k, float *value, vox_error *err)
{
    const vox_derived d = {.grid = &j->seg.grid, .source = j->files.name[0], .value = value};
    char *path = class_path(j->opt->probabilities, k, err);
    if (!path)
        return VOX_ERR_MEMORY;
    vox_restore_class(&j->seg.restore, k, j->pool, value);
    vox_status s = vox_derived_write(&d, path, err);
    free(path);
    return s;
}

/* One class's volume in memory at a time. */
static vox_status write_probabilities(const job *j, vox_error *err)
{
    float *value = vox_calloc(vox_volume_voxels(&j->seg.grid), sizeof *value, "probabilities", err);
    vox_status s = value ? VOX_OK : VOX_ERR_MEMORY;
    for (int64_t k = 0; k < j->seg.classes && s == VOX_OK; k++)
        s = write_class(j, k, value, err);
    free(value);
    return s;
}

static vox_status write_mask(const job *j, vox_error *err)
{
    const vox_derived d = {.grid = &j->seg.grid, .source = j->files.name[0], .label = j->label};
    return vox_derived_write(&d, j->opt->mask, err);
}

static vox_status write_picture(const job *j, vox_error *err)
{
    const vox_class_names *names = &j->model->saved.classes;
    const vox_montage m = {.image = &j->seg.grid,
                           .label = j->label,
                           .classes = j->seg.classes,
                           .name = (const char *const *)names->name,
                           .names = names->count,
                           .title = vox_path_base(j->files.name[0])};
    return vox_montage_write(&m, j->opt->png, err);
}

static void count_classes(const job *j, vox_segment_result *result)
{
    const vox_image *g = &j->seg.grid;
    const size_t n = vox_volume_voxels(g);
    const double mm3 = g->spacing_mm[0] * g->spacing_mm[1] * g->spacing_mm[2];
    memcpy(result->size, g->size, sizeof result->size);
    result->windows = j->seg.times.windows;
    result->network_s = j->seg.times.network_s;
    result->classes = j->seg.classes;
    for (size_t i = 0; i < n; i++)
        result->voxels[j->label[i]]++;
    for (int64_t k = 0; k < j->seg.classes; k++)
        result->volume_ml[k] = g->has_geometry ? (double)result->voxels[k] * mm3 / 1000 : NAN;
}

static vox_status make_labels(job *j, vox_error *err)
{
    j->label = vox_calloc(vox_volume_voxels(&j->seg.grid), 1, "the mask", err);
    if (!j->label)
        return VOX_ERR_MEMORY;
    vox_restore_labels(&j->seg.restore, j->pool, j->label);
    return VOX_OK;
}

/* ---- the whole ------------------------------------------------------------ */

static vox_status predict(job *j, vox_error *err)
{
    const vox_segment_options *opt = j->opt;
    vox_sliding_options sliding = {.overlap = vox_segment_overlap(opt->overlap),
                                   .on_progress = opt->on_progress,
                                   .should_stop = opt->should_stop,
                                   .user = opt->user};
    vox_prepare *steps = NULL;
    vox_prepared p = {0};
    vox_status s = vox_segment_mirror(j->model, opt->mirror, &sliding.mirror, err);
    if (s == VOX_OK)
        s = vox_prepare_open(&steps, j->model->exp->data.prepare, err);
    if (s == VOX_OK)
        s = vox_input_read(&j->files, &p.image, err);
    if (s == VOX_OK) {
        vox_prepare_set_stats(steps, &j->model->saved.stats);
        s = vox_segment_run(&j->seg, j->model, &p, steps, &sliding, opt->png != NULL, j->pool, err);
    }
    vox_image_free(&p.image);
    vox_prepare_free(&steps);
    return s == VOX_OK ? make_labels(j, err) : s;
}

static vox_status run(job *j, const char *input, vox_segment_result *result, vox_error *err)
{
    const double begun = vox_now();
    vox_status s = vox_segment_check(j->model, err);
    if (s == VOX_OK)
        s = vox_input_paths(&j->files, NULL, input, err);
    if (s == VOX_OK)
        s = check_paths(j, err);
    if (s == VOX_OK)
        s = vox_pool_open(&j->pool, 0, err);
    if (s == VOX_OK)
        s = predict(j, err);
    if (s != VOX_OK)
        return s;
    count_classes(j, result);
    result->time_s = vox_now() - begun;
    if (j->opt->mask)
        s = write_mask(j, err);
    if (s == VOX_OK && j->opt->png)
        s = write_picture(j, err);
    if (s == VOX_OK && j->opt->probabilities)
        s = write_probabilities(j, err);
    return s;
}

vox_status vox_model_segment(vox_model *model, const char *input, const vox_segment_options *opt,
                             vox_segment_result *result, vox_error *err)
{
    vox_error local = {0};
    vox_segment_result r = {0};
    job j = {.model = model, .opt = opt};
    vox_status s = run(&j, input, &r, &local);
    if (s == VOX_OK && result)
        *result = r;
    if (s != VOX_OK && err) {
        if ((s == VOX_ERR_INPUT || s == VOX_ERR_NONFINITE) && !strstr(local.detail, input))
            vox_error_at(&local, "%s", input);
        *err = local;
    }
    free(j.label);
    vox_segmentation_release(&j.seg);
    vox_pool_free(&j.pool);
    vox_names_release(&j.files);
    return s;
}
