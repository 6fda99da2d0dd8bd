/* prepare_grid.c - the prepare steps that move voxels: reorient, resample, resize, crop,
 * center_crop and pad.  A mask goes the image's way, its values nearest. */
#include "data/prepare_step.h"

#include <math.h>
#include <string.h>

/* ---- reorient: RAS ---- */

static vox_status reorient_parse(vox_prepare_step *s, const vox_yaml_node *node, vox_error *err)
{
    const char *code = vox_yaml_text(node);
    if (!code || !vox_volume_axes_known(code)) {
        vox_yaml_fail(err, node, "reorient takes three letters, one of each pair RL, AP, SI");
        return vox_hint(err, "RAS: w grows to the right, h to the front, d upwards");
    }
    memcpy(s->axes, code, sizeof s->axes);
    return VOX_OK;
}

static vox_status reorient_apply(const vox_prepare_step *s, vox_prepared *p, vox_error *err)
{
    if (!p->image->has_geometry) {
        vox_fail(err, VOX_ERR_INPUT, "reorient, but the case's file has no orientation");
        return vox_hint(err, "use a format with geometry (NIfTI, MetaImage, DICOM)");
    }
    vox_status status = vox_volume_reorient(p->image, s->axes, err);
    return status == VOX_OK && p->mask ? vox_volume_reorient(p->mask, s->axes, err) : status;
}

static void unknown_extent(const vox_prepare_step *s, int64_t low[3], int64_t high[3])
{
    (void)s;
    for (int a = 0; a < 3; a++) {
        low[a] = 1;
        high[a] = INT64_MAX;
    }
}

const vox_prepare_kind vox_prepare_reorient = {"reorient", reorient_parse, reorient_apply,
                                               unknown_extent};

/* ---- resample: {spacing_mm: [d, h, w]} ---- */

static vox_status resample_parse(vox_prepare_step *s, const vox_yaml_node *node, vox_error *err)
{
    static const char *const keys[] = {"spacing_mm", NULL};
    const vox_yaml_node *value;
    vox_status status = vox_yaml_keys(node, "resample", keys, err);
    if (status == VOX_OK)
        status = vox_prepare_need(node, "resample", "spacing_mm", &value, err);
    return status == VOX_OK ? vox_yaml_triple_double(value, 1e-3, 1e3, s->spacing_mm, err) : status;
}

static vox_status resize_both(vox_prepared *p, const int64_t size[3], vox_interpolation image,
                              vox_interpolation mask, vox_error *err)
{
    vox_status status = vox_volume_resize(p->image, size, image, err);
    return status == VOX_OK && p->mask ? vox_volume_resize(p->mask, size, mask, err) : status;
}

static vox_status resample_apply(const vox_prepare_step *s, vox_prepared *p, vox_error *err)
{
    int64_t size[3];
    if (!p->image->has_geometry) {
        vox_fail(err, VOX_ERR_INPUT, "resample, but the case's file has no spacing");
        return vox_hint(err, "use resize, or a format with geometry (NIfTI, MetaImage, DICOM)");
    }
    for (int a = 0; a < 3; a++) {
        double n =
            floor((double)p->image->size[a] * p->image->spacing_mm[a] / s->spacing_mm[a] + 0.5);
        if (n > VOX_PREPARE_SIZE_LIMIT) {
            vox_fail(err, VOX_ERR_INPUT, "resample would make %.0f voxels along %c", n, "dhw"[a]);
            return vox_detail(err, "from %lld of %g mm", (long long)p->image->size[a],
                              p->image->spacing_mm[a]);
        }
        size[a] = n > 1 ? (int64_t)n : 1;
    }
    return resize_both(p, size, VOX_LINEAR, VOX_NEAREST, err);
}

const vox_prepare_kind vox_prepare_resample = {"resample", resample_parse, resample_apply,
                                               unknown_extent};

/* ---- resize ---- */

static vox_status resize_parse(vox_prepare_step *s, const vox_yaml_node *node, vox_error *err)
{
    static const char *const keys[] = {"size", "mode", NULL};
    static const char *const words[] = {"linear", "nearest", NULL};
    vox_status status = vox_prepare_size_key(s, node, "resize", keys, err);
    const vox_yaml_node *mode = vox_yaml_find(node, "mode");
    return status == VOX_OK && mode ? vox_yaml_word(mode, words, &s->word, err) : status;
}

static vox_status resize_apply(const vox_prepare_step *s, vox_prepared *p, vox_error *err)
{
    return s->word == 1 ? resize_both(p, s->size, VOX_NEAREST_LOW, VOX_NEAREST_LOW, err)
                        : resize_both(p, s->size, VOX_LINEAR, VOX_NEAREST, err);
}

static void exact_extent(const vox_prepare_step *s, int64_t low[3], int64_t high[3])
{
    memcpy(low, s->size, sizeof s->size);
    memcpy(high, s->size, sizeof s->size);
}

const vox_prepare_kind vox_prepare_resize = {"resize", resize_parse, resize_apply, exact_extent};

/* ---- crop ---- */

enum { CROP_MIDDLE, CROP_CENTER, CROP_POINT, CROP_START };

static vox_status crop_anchor(vox_prepare_step *s, const vox_yaml_node *node, vox_error *err)
{
    const vox_yaml_node *center = vox_yaml_find(node, "center"), *at = vox_yaml_find(node, "at");
    const char *word = vox_yaml_text(center);
    if (center && at)
        return vox_yaml_fail(err, at, "crop takes center or at, not both");
    if (at) {
        s->word = CROP_START;
        return vox_yaml_triple(at, 0, VOX_PREPARE_SIZE_LIMIT, s->at, err);
    }
    if (word && strcmp(word, "point") == 0) {
        s->word = CROP_POINT;
        return VOX_OK;
    }
    s->word = center ? CROP_CENTER : CROP_MIDDLE;
    return center ? vox_yaml_triple(center, 0, VOX_PREPARE_SIZE_LIMIT, s->at, err) : VOX_OK;
}

static vox_status crop_parse(vox_prepare_step *s, const vox_yaml_node *node, vox_error *err)
{
    static const char *const keys[] = {"size", "center", "at", NULL};
    vox_status status = vox_prepare_size_key(s, node, "crop", keys, err);
    return status == VOX_OK ? crop_anchor(s, node, err) : status;
}

/* The voxel nearest to the case's point. */
static vox_status point_voxel(const vox_image *image, const double *point_mm, int64_t voxel[3],
                              vox_error *err)
{
    double index[3];
    if (!point_mm) {
        vox_fail(err, VOX_ERR_INPUT, "crop around a point, but the case has none");
        return vox_hint(err, "add a column \"point\" (x y z in mm, LPS) to the manifest");
    }
    if (!vox_volume_index(image, point_mm, index))
        return vox_fail(err, VOX_ERR_INPUT, "the axes of a volume are linearly dependent");
    for (int a = 0; a < 3; a++) {
        double nearest = floor(index[a] + 0.5);
        if (!(nearest >= 0 && nearest < (double)image->size[a])) {
            vox_fail(err, VOX_ERR_INPUT, "the case's point lies outside its volume");
            vox_detail(err, "(%g, %g, %g) mm is voxel (d,h,w) = (%.2f, %.2f, %.2f)", point_mm[0],
                       point_mm[1], point_mm[2], index[0], index[1], index[2]);
            return VOX_ERR_INPUT;
        }
        voxel[a] = (int64_t)nearest;
    }
    return VOX_OK;
}

static vox_status crop_apply(const vox_prepare_step *s, vox_prepared *p, vox_error *err)
{
    int64_t start[3];
    vox_status status = VOX_OK;
    memcpy(start, s->at, sizeof start);
    if (s->word == CROP_POINT)
        status = point_voxel(p->image, p->point_mm, start, err);
    for (int a = 0; a < 3; a++) {
        if (s->word == CROP_MIDDLE)
            start[a] = (p->image->size[a] - s->size[a]) / 2;
        else if (s->word != CROP_START)
            start[a] -= s->size[a] / 2;
    }
    if (status == VOX_OK)
        status = vox_volume_crop(p->image, start, s->size, err);
    return status == VOX_OK && p->mask ? vox_volume_crop(p->mask, start, s->size, err) : status;
}

const vox_prepare_kind vox_prepare_crop = {"crop", crop_parse, crop_apply, exact_extent};

/* ---- center_crop and pad: to at most, and to at least a size ---- */

/* The middle stays the middle; of an odd difference the larger half is at the end. */
static vox_status to_size(vox_prepared *p, const int64_t size[3], float value, vox_error *err)
{
    int64_t start[3];
    for (int a = 0; a < 3; a++) {
        int64_t n = p->image->size[a];
        start[a] = n > size[a] ? (n - size[a]) / 2 : -((size[a] - n) / 2);
    }
    vox_status status = vox_volume_box(p->image, start, size, value, err);
    return status == VOX_OK && p->mask ? vox_volume_box(p->mask, start, size, 0, err) : status;
}

static vox_status center_crop_parse(vox_prepare_step *s, const vox_yaml_node *node, vox_error *err)
{
    static const char *const keys[] = {"size", NULL};
    return vox_prepare_size_key(s, node, "center_crop", keys, err);
}

static vox_status center_crop_apply(const vox_prepare_step *s, vox_prepared *p, vox_error *err)
{
    int64_t size[3];
    for (int a = 0; a < 3; a++)
        size[a] = s->size[a] < p->image->size[a] ? s->size[a] : p->image->size[a];
    return to_size(p, size, 0, err);
}

static void center_crop_extent(const vox_prepare_step *s, int64_t low[3], int64_t high[3])
{
    for (int a = 0; a < 3; a++) {
        low[a] = s->size[a] < low[a] ? s->size[a] : low[a];
        high[a] = s->size[a] < high[a] ? s->size[a] : high[a];
    }
}

const vox_prepare_kind vox_prepare_center_crop = {"center_crop", center_crop_parse,
                                                  center_crop_apply, center_crop_extent};

static vox_status pad_parse(vox_prepare_step *s, const vox_yaml_node *node, vox_error *err)
{
    static const char *const keys[] = {"size", "value", NULL};
    vox_status status = vox_prepare_size_key(s, node, "pad", keys, err);
    const vox_yaml_node *value = vox_yaml_find(node, "value");
    return status == VOX_OK && value ? vox_yaml_double(value, -1e9, 1e9, &s->value, err) : status;
}

static vox_status pad_apply(const vox_prepare_step *s, vox_prepared *p, vox_error *err)
{
    int64_t size[3];
    for (int a = 0; a < 3; a++)
        size[a] = s->size[a] > p->image->size[a] ? s->size[a] : p->image->size[a];
    return to_size(p, size, (float)s->value, err);
}

static void pad_extent(const vox_prepare_step *s, int64_t low[3], int64_t high[3])
{
    for (int a = 0; a < 3; a++) {
        low[a] = s->size[a] > low[a] ? s->size[a] : low[a];
        high[a] = s->size[a] > high[a] ? s->size[a] : high[a];
    }
}

const vox_prepare_kind vox_prepare_pad = {"pad", pad_parse, pad_apply, pad_extent};
