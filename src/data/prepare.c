/* prepare.c - the table of prepare steps and the list that an experiment makes of them. */
#include "data/prepare.h"

#include "base/mem.h"
#include "base/text.h"
#include "data/volume.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHANNEL_LIMIT 64 /* channels a step can name: one bit each */

typedef enum anchor { ANCHOR_MIDDLE, ANCHOR_CENTER, ANCHOR_POINT, ANCHOR_START } anchor;
typedef enum method { METHOD_ZSCORE, METHOD_MINMAX } method;

/* One step as parsed; which members count depends on the kind. */
typedef struct step {
    const struct step_kind *kind;
    int64_t size[3], at[3];
    anchor anchor;
    method method;
    double low, high;
    uint64_t channels; /* bit c: channel c; 0: all */
} step;

typedef struct step_kind {
    const char *name; /* the word under data.prepare */
    vox_status (*parse)(step *s, const vox_yaml_node *node, vox_error *err);
    vox_status (*apply)(const step *s, vox_image *image, const double *point_mm, vox_error *err);
} step_kind;

struct vox_prepare {
    step *step; /* [count] */
    size_t count;
};

#define SIZE_LIMIT 65536

static vox_status need(const vox_yaml_node *map, const char *what, const char *key,
                       const vox_yaml_node **out, vox_error *err)
{
    *out = vox_yaml_find(map, key);
    if (*out)
        return VOX_OK;
    return vox_yaml_fail(err, map, "%s needs the key \"%s\"", what, key);
}

static vox_status parse_channels(step *s, const vox_yaml_node *map, vox_error *err)
{
    const vox_yaml_node *list = vox_yaml_find(map, "channels");
    if (!list)
        return VOX_OK;
    if (vox_yaml_kind_of(list) != VOX_YAML_LIST || vox_yaml_count(list) == 0)
        return vox_yaml_fail(err, list, "channels must be a list such as [0, 2]");
    for (size_t i = 0; i < vox_yaml_count(list); i++) {
        int64_t c;
        vox_status status = vox_yaml_int(vox_yaml_item(list, i), 0, CHANNEL_LIMIT - 1, &c, err);
        if (status != VOX_OK)
            return status;
        s->channels |= UINT64_C(1) << c;
    }
    return VOX_OK;
}

/* Calls fn on the voxels of every channel the step names. */
static vox_status for_channels(const step *s, vox_image *image,
                               void (*fn)(const step *, float *, size_t), vox_error *err)
{
    size_t voxels = vox_volume_voxels(image);
    uint64_t known =
        image->channels >= CHANNEL_LIMIT ? UINT64_MAX : (UINT64_C(1) << image->channels) - 1;
    if (s->channels & ~known) {
        vox_fail(err, VOX_ERR_INPUT, "%s names a channel that a case does not have", s->kind->name);
        vox_detail(err, "the case has %lld channels, counted from 0", (long long)image->channels);
        return VOX_ERR_INPUT;
    }
    for (int64_t c = 0; c < image->channels; c++)
        if (!s->channels || (c < CHANNEL_LIMIT && s->channels >> c & 1))
            fn(s, image->voxel + (size_t)c * voxels, voxels);
    return VOX_OK;
}

/* ---- resize ---- */

static vox_status resize_parse(step *s, const vox_yaml_node *node, vox_error *err)
{
    static const char *const keys[] = {"size", NULL};
    const vox_yaml_node *size;
    vox_status status = vox_yaml_keys(node, "resize", keys, err);
    if (status == VOX_OK)
        status = need(node, "resize", "size", &size, err);
    return status == VOX_OK ? vox_yaml_triple(size, 1, SIZE_LIMIT, s->size, err) : status;
}

static vox_status resize_apply(const step *s, vox_image *image, const double *point_mm,
                               vox_error *err)
{
    (void)point_mm;
    return vox_volume_resize(image, s->size, err);
}

/* ---- crop ---- */

static vox_status crop_anchor(step *s, const vox_yaml_node *node, vox_error *err)
{
    const vox_yaml_node *center = vox_yaml_find(node, "center"), *at = vox_yaml_find(node, "at");
    const char *word = vox_yaml_text(center);
    if (center && at)
        return vox_yaml_fail(err, at, "crop takes center or at, not both");
    if (at) {
        s->anchor = ANCHOR_START;
        return vox_yaml_triple(at, 0, SIZE_LIMIT, s->at, err);
    }
    if (word && strcmp(word, "point") == 0) {
        s->anchor = ANCHOR_POINT;
        return VOX_OK;
    }
    s->anchor = center ? ANCHOR_CENTER : ANCHOR_MIDDLE;
    return center ? vox_yaml_triple(center, 0, SIZE_LIMIT, s->at, err) : VOX_OK;
}

static vox_status crop_parse(step *s, const vox_yaml_node *node, vox_error *err)
{
    static const char *const keys[] = {"size", "center", "at", NULL};
    const vox_yaml_node *size;
    vox_status status = vox_yaml_keys(node, "crop", keys, err);
    if (status == VOX_OK)
        status = need(node, "crop", "size", &size, err);
    if (status == VOX_OK)
        status = vox_yaml_triple(size, 1, SIZE_LIMIT, s->size, err);
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

static vox_status crop_apply(const step *s, vox_image *image, const double *point_mm,
                             vox_error *err)
{
    int64_t start[3];
    vox_status status = VOX_OK;
    memcpy(start, s->at, sizeof start);
    if (s->anchor == ANCHOR_POINT)
        status = point_voxel(image, point_mm, start, err);
    for (int a = 0; a < 3; a++) {
        if (s->anchor == ANCHOR_MIDDLE)
            start[a] = (image->size[a] - s->size[a]) / 2;
        else if (s->anchor != ANCHOR_START)
            start[a] -= s->size[a] / 2;
    }
    return status == VOX_OK ? vox_volume_crop(image, start, s->size, err) : status;
}

/* ---- normalize ---- */

static vox_status normalize_parse(step *s, const vox_yaml_node *node, vox_error *err)
{
    static const char *const keys[] = {"method", "channels", NULL};
    static const char *const words[] = {"zscore", "minmax", NULL};
    const vox_yaml_node *word = node;
    vox_status status = VOX_OK;
    int found = 0;
    if (vox_yaml_kind_of(node) == VOX_YAML_MAP) {
        status = vox_yaml_keys(node, "normalize", keys, err);
        if (status == VOX_OK)
            status = need(node, "normalize", "method", &word, err);
        if (status == VOX_OK)
            status = parse_channels(s, node, err);
    }
    if (status == VOX_OK)
        status = vox_yaml_word(word, words, &found, err);
    s->method = found == 0 ? METHOD_ZSCORE : METHOD_MINMAX;
    return status;
}

static void find_range(const float *x, size_t n, float *min, float *max)
{
    *min = *max = x[0];
    for (size_t i = 1; i < n; i++) {
        *min = x[i] < *min ? x[i] : *min;
        *max = x[i] > *max ? x[i] : *max;
    }
}

/* Two passes in double: the one-pass formula cancels on CT volumes with an offset of 1000 HU. */
static void zscore(float *x, size_t n)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    double scale = 1 / sqrt(squares / (double)n); /* the population's, as NumPy's std */
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((x[i] - mean) * scale);
}

static void normalize_channel(const step *s, float *x, size_t n)
{
    float min, max;
    find_range(x, n, &min, &max);
    if (!(max > min)) { /* constant: there is nothing to scale by */
        memset(x, 0, n * sizeof *x);
        return;
    }
    if (s->method == METHOD_ZSCORE) {
        zscore(x, n);
        return;
    }
    double range = (double)max - (double)min;
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(((double)x[i] - min) / range);
}

static vox_status normalize_apply(const step *s, vox_image *image, const double *point_mm,
                                  vox_error *err)
{
    (void)point_mm;
    return for_channels(s, image, normalize_channel, err);
}

/* ---- window ---- */

static vox_status read_pair(const vox_yaml_node *node, const char *first, const char *second,
                            double *a, double *b, vox_error *err)
{
    const vox_yaml_node *value;
    vox_status status = need(node, "window", first, &value, err);
    if (status == VOX_OK)
        status = vox_yaml_double(value, -1e9, 1e9, a, err);
    if (status == VOX_OK)
        status = need(node, "window", second, &value, err);
    return status == VOX_OK ? vox_yaml_double(value, -1e9, 1e9, b, err) : status;
}

static vox_status window_parse(step *s, const vox_yaml_node *node, vox_error *err)
{
    static const char *const keys[] = {"level", "width", "min", "max", "channels", NULL};
    double a = 0, b = 0;
    vox_status status = vox_yaml_keys(node, "window", keys, err);
    if (status != VOX_OK)
        return status;
    bool by_level = vox_yaml_find(node, "level") || vox_yaml_find(node, "width");
    bool by_range = vox_yaml_find(node, "min") || vox_yaml_find(node, "max");
    if (by_level == by_range)
        return vox_yaml_fail(err, node, "window needs level and width, or min and max");
    status = by_level ? read_pair(node, "level", "width", &a, &b, err)
                      : read_pair(node, "min", "max", &a, &b, err);
    if (status != VOX_OK)
        return status;
    s->low = by_level ? a - b / 2 : a;
    s->high = by_level ? a + b / 2 : b;
    if (!(s->high > s->low))
        return vox_yaml_fail(err, node, "window is empty: %s",
                             by_level ? "width must be over 0" : "max must be over min");
    return parse_channels(s, node, err);
}

static void window_channel(const step *s, float *x, size_t n)
{
    double scale = 1 / (s->high - s->low);
    for (size_t i = 0; i < n; i++) {
        double y = (x[i] - s->low) * scale;
        x[i] = (float)(y > 0 ? (y < 1 ? y : 1) : 0);
    }
}

static vox_status window_apply(const step *s, vox_image *image, const double *point_mm,
                               vox_error *err)
{
    (void)point_mm;
    return for_channels(s, image, window_channel, err);
}

/* ---- the table, and lists of steps ---- */

static const step_kind kinds[] = {
    {"resize", resize_parse, resize_apply},
    {"crop", crop_parse, crop_apply},
    {"normalize", normalize_parse, normalize_apply},
    {"window", window_parse, window_apply},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

static vox_status unknown_step(const vox_yaml_node *node, const char *word, vox_error *err)
{
    const char *names[KINDS + 1] = {NULL};
    for (size_t k = 0; k < KINDS; k++)
        names[k] = kinds[k].name;
    const char *nearest = vox_nearest(word, names);
    vox_yaml_fail(err, node, "there is no prepare step \"%s\"", word);
    return nearest ? vox_hint(err, "did you mean \"%s\"?", nearest)
                   : vox_hint(err, "the steps are resize, crop, normalize and window");
}

static vox_status parse_step(step *s, const vox_yaml_node *node, vox_error *err)
{
    const char *word;
    const vox_yaml_node *value;
    vox_status status = vox_yaml_single(node, "a prepare step", &word, &value, err);
    if (status != VOX_OK)
        return status;
    for (size_t k = 0; k < KINDS; k++)
        if (strcmp(word, kinds[k].name) == 0) {
            s->kind = &kinds[k];
            return kinds[k].parse(s, value ? value : node, err);
        }
    return unknown_step(node, word, err);
}

vox_status vox_prepare_open(vox_prepare **out, const vox_yaml_node *list, vox_error *err)
{
    *out = NULL;
    vox_yaml_kind kind = vox_yaml_kind_of(list);
    if (kind != VOX_YAML_NULL && kind != VOX_YAML_LIST)
        return vox_yaml_fail(err, list, "prepare must be a list of steps");
    size_t count = kind == VOX_YAML_LIST ? vox_yaml_count(list) : 0;
    vox_prepare *prepare = vox_calloc(1, sizeof *prepare, "prepare steps", err);
    if (!prepare)
        return VOX_ERR_MEMORY;
    vox_status status = VOX_OK;
    prepare->step = vox_calloc(count, sizeof *prepare->step, "prepare steps", err);
    if (!prepare->step)
        status = VOX_ERR_MEMORY;
    for (; status == VOX_OK && prepare->count < count; prepare->count++)
        status =
            parse_step(&prepare->step[prepare->count], vox_yaml_item(list, prepare->count), err);
    if (status != VOX_OK)
        vox_prepare_free(&prepare);
    *out = prepare;
    return status;
}

void vox_prepare_free(vox_prepare **prepare)
{
    if (!prepare || !*prepare)
        return;
    free((*prepare)->step);
    free(*prepare);
    *prepare = NULL;
}

bool vox_prepare_size(const vox_prepare *prepare, int64_t size[3])
{
    bool known = false;
    for (size_t i = 0; i < prepare->count; i++)
        if (prepare->step[i].size[0] > 0) { /* the steps that set a size have one */
            memcpy(size, prepare->step[i].size, sizeof prepare->step[i].size);
            known = true;
        }
    return known;
}

vox_status vox_prepare_apply(const vox_prepare *prepare, vox_image *image, const double *point_mm,
                             vox_error *err)
{
    for (size_t i = 0; i < prepare->count; i++) {
        const step *s = &prepare->step[i];
        vox_status status = s->kind->apply(s, image, point_mm, err);
        if (status != VOX_OK) {
            vox_error_at(err, "prepare step %zu (%s)", i + 1, s->kind->name);
            return status;
        }
    }
    return VOX_OK;
}
