/* prepare_values.c - the prepare steps that change values: normalize, window and clip.  Masks have
 * no part in them. */
#include "data/prepare_step.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static vox_status parse_channels(vox_prepare_step *s, const vox_yaml_node *map, vox_error *err)
{
    const vox_yaml_node *list = vox_yaml_find(map, "channels");
    if (!list)
        return VOX_OK;
    if (vox_yaml_kind_of(list) != VOX_YAML_LIST || vox_yaml_count(list) == 0)
        return vox_yaml_fail(err, list, "channels must be a list such as [0, 2]");
    for (size_t i = 0; i < vox_yaml_count(list); i++) {
        int64_t c;
        vox_status status =
            vox_yaml_int(vox_yaml_item(list, i), 0, VOX_PREPARE_CHANNELS - 1, &c, err);
        if (status != VOX_OK)
            return status;
        s->channels |= UINT64_C(1) << c;
    }
    return VOX_OK;
}

typedef vox_status (*channel_fn)(const vox_prepare_step *s, int64_t c, float *x, size_t n,
                                 vox_error *err);

/* Calls fn on the voxels of every channel the step names. */
static vox_status for_channels(const vox_prepare_step *s, vox_image *image, channel_fn fn,
                               vox_error *err)
{
    size_t voxels = vox_volume_voxels(image);
    uint64_t known =
        image->channels >= VOX_PREPARE_CHANNELS ? UINT64_MAX : (UINT64_C(1) << image->channels) - 1;
    if (s->channels & ~known) {
        vox_fail(err, VOX_ERR_INPUT, "%s names a channel that a case does not have", s->kind->name);
        vox_detail(err, "the case has %lld channels, counted from 0", (long long)image->channels);
        return VOX_ERR_INPUT;
    }
    if (s->of_dataset && s->stats->channels < image->channels) {
        vox_fail(err, VOX_ERR_INPUT, "the training data's figures are of other channels");
        vox_detail(err, "of %lld channels, the case has %lld", (long long)s->stats->channels,
                   (long long)image->channels);
        return VOX_ERR_INPUT;
    }
    vox_status status = VOX_OK;
    for (int64_t c = 0; c < image->channels && status == VOX_OK; c++)
        if (!s->channels || (c < VOX_PREPARE_CHANNELS && s->channels >> c & 1))
            status = fn(s, c, image->voxel + (size_t)c * voxels, voxels, err);
    return status;
}

/* `of: case` or `of: dataset`. */
static vox_status parse_of(vox_prepare_step *s, const vox_yaml_node *map, vox_error *err)
{
    static const char *const words[] = {"case", "dataset", NULL};
    const vox_yaml_node *node = vox_yaml_find(map, "of");
    int word = s->of_dataset;
    vox_status status = node ? vox_yaml_word(node, words, &word, err) : VOX_OK;
    s->of_dataset = word == 1;
    return status;
}

static vox_status parse_nonzero(vox_prepare_step *s, const vox_yaml_node *map, vox_error *err)
{
    const vox_yaml_node *node = vox_yaml_find(map, "nonzero");
    return node ? vox_yaml_bool(node, &s->nonzero, err) : VOX_OK;
}

/* ---- normalize ---- */

enum { ZSCORE, MINMAX, MAX };

static vox_status normalize_options(vox_prepare_step *s, const vox_yaml_node *map, vox_error *err)
{
    const vox_yaml_node *together = vox_yaml_find(map, "together");
    vox_status status = parse_channels(s, map, err);
    if (status == VOX_OK)
        status = parse_of(s, map, err);
    if (status == VOX_OK)
        status = parse_nonzero(s, map, err);
    if (status == VOX_OK && together)
        status = vox_yaml_bool(together, &s->together, err);
    if (status != VOX_OK)
        return status;
    if (s->word != ZSCORE && (s->nonzero || s->of_dataset))
        return vox_yaml_fail(err, map, "only zscore goes by nonzero voxels or by the data set");
    if (s->nonzero && s->of_dataset)
        return vox_yaml_fail(err, map,
                             "the data set's figures are of its foreground: leave "
                             "nonzero away");
    if (s->together && (s->word != MAX || s->channels))
        return vox_yaml_fail(err, map, "together is for max over all channels");
    return VOX_OK;
}

static const char *const normalize_keys[] = {"method", "channels", "nonzero",
                                             "of",     "together", NULL};
static const char *const normalize_words[] = {"zscore", "minmax", "max", NULL};

/* {zscore: {nonzero: true}}: the same as {method: zscore, nonzero: true}. */
static vox_status normalize_nested(vox_prepare_step *s, const vox_yaml_node *node, vox_error *err)
{
    const char *name;
    const vox_yaml_node *options;
    vox_status status = vox_yaml_single(node, "normalize", &name, &options, err);
    if (status != VOX_OK)
        return status;
    while (normalize_words[s->word] && strcmp(normalize_words[s->word], name) != 0)
        s->word++;
    if (!normalize_words[s->word]) {
        status = vox_yaml_fail(err, node, "there is no normalize \"%s\"", name);
        vox_yaml_suggest(err, name, normalize_words);
        return status;
    }
    if (vox_yaml_kind_of(options) == VOX_YAML_NULL)
        return VOX_OK;
    status = vox_yaml_keys(options, name, normalize_keys + 1, err);
    return status == VOX_OK ? normalize_options(s, options, err) : status;
}

static vox_status normalize_parse(vox_prepare_step *s, const vox_yaml_node *node, vox_error *err)
{
    const vox_yaml_node *word;
    if (vox_yaml_kind_of(node) != VOX_YAML_MAP)
        return vox_yaml_word(node, normalize_words, &s->word, err);
    if (vox_yaml_count(node) == 1 && vox_yaml_kind_of(vox_yaml_item(node, 0)) == VOX_YAML_MAP)
        return normalize_nested(s, node, err);
    vox_status status = vox_yaml_keys(node, "normalize", normalize_keys, err);
    if (status == VOX_OK)
        status = vox_prepare_need(node, "normalize", "method", &word, err);
    if (status == VOX_OK)
        status = vox_yaml_word(word, normalize_words, &s->word, err);
    return status == VOX_OK ? normalize_options(s, node, err) : status;
}

static void find_range(const float *x, size_t n, float *min, float *max)
{
    *min = *max = x[0];
    for (size_t i = 1; i < n; i++) {
        *min = x[i] < *min ? x[i] : *min;
        *max = x[i] > *max ? x[i] : *max;
    }
}

/* Two passes in double: the one-pass formula cancels on CT volumes with an offset of 1000 HU.
 * With nonzero, zeros neither count nor change; what has no spread becomes 0. */
static void zscore(float *x, size_t n, bool nonzero)
{
    double sum = 0, squares = 0, count = 0;
    for (size_t i = 0; i < n; i++) {
        sum += x[i];
        count += !nonzero || x[i] != 0;
    }
    double mean = sum / count; /* of no voxel: every one is 0, and stays */
    for (size_t i = 0; i < n; i++)
        if (!nonzero || x[i] != 0)
            squares += (x[i] - mean) * (x[i] - mean);
    double scale = squares > 0 ? 1 / sqrt(squares / count) : 0; /* the population's, as NumPy's */
    for (size_t i = 0; i < n; i++)
        if (!nonzero || x[i] != 0)
            x[i] = (float)((x[i] - mean) * scale);
}

static void zscore_dataset(const vox_prepare_stats *stats, int64_t c, float *x, size_t n)
{
    double scale = stats->std[c] > 0 ? 1 / stats->std[c] : 0;
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((x[i] - stats->mean[c]) * scale);
}

static void divide(float *x, size_t n, float max)
{
    for (size_t i = 0; i < n && max > 0; i++) /* nothing above 0: nothing to scale by */
        x[i] = x[i] / max;
}

static vox_status normalize_channel(const vox_prepare_step *s, int64_t c, float *x, size_t n,
                                    vox_error *err)
{
    float min, max;
    (void)err;
    if (s->of_dataset) {
        zscore_dataset(s->stats, c, x, n);
        return VOX_OK;
    }
    find_range(x, n, &min, &max);
    if (s->word == MAX)
        divide(x, n, max);
    else if (!(max > min)) /* constant: there is nothing to scale by */
        memset(x, 0, n * sizeof *x);
    else if (s->word == ZSCORE)
        zscore(x, n, s->nonzero);
    else
        for (size_t i = 0; i < n; i++)
            x[i] = (float)(((double)x[i] - min) / ((double)max - min));
    return VOX_OK;
}

static vox_status normalize_apply(const vox_prepare_step *s, vox_prepared *p, vox_error *err)
{
    float min, max;
    size_t all = vox_volume_voxels(p->image) * (size_t)p->image->channels;
    if (!s->together)
        return for_channels(s, p->image, normalize_channel, err);
    find_range(p->image->voxel, all, &min, &max);
    divide(p->image->voxel, all, max);
    return VOX_OK;
}

const vox_prepare_kind vox_prepare_normalize = {"normalize", normalize_parse, normalize_apply,
                                                NULL};

/* ---- window ---- */

static vox_status read_pair(const vox_yaml_node *node, const char *what, const char *first,
                            const char *second, double *a, double *b, vox_error *err)
{
    const vox_yaml_node *value;
    vox_status status = vox_prepare_need(node, what, first, &value, err);
    if (status == VOX_OK)
        status = vox_yaml_double(value, -1e9, 1e9, a, err);
    if (status == VOX_OK)
        status = vox_prepare_need(node, what, second, &value, err);
    return status == VOX_OK ? vox_yaml_double(value, -1e9, 1e9, b, err) : status;
}

static vox_status window_parse(vox_prepare_step *s, const vox_yaml_node *node, vox_error *err)
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
    status = by_level ? read_pair(node, "window", "level", "width", &a, &b, err)
                      : read_pair(node, "window", "min", "max", &a, &b, err);
    if (status != VOX_OK)
        return status;
    s->low = by_level ? a - b / 2 : a;
    s->high = by_level ? a + b / 2 : b;
    if (!(s->high > s->low))
        return vox_yaml_fail(err, node, "window is empty: %s",
                             by_level ? "width must be over 0" : "max must be over min");
    return parse_channels(s, node, err);
}

static vox_status window_channel(const vox_prepare_step *s, int64_t c, float *x, size_t n,
                                 vox_error *err)
{
    double scale = 1 / (s->high - s->low);
    (void)c;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        double y = (x[i] - s->low) * scale;
        x[i] = (float)(y > 0 ? (y < 1 ? y : 1) : 0);
    }
    return VOX_OK;
}

static vox_status window_apply(const vox_prepare_step *s, vox_prepared *p, vox_error *err)
{
    return for_channels(s, p->image, window_channel, err);
}

const vox_prepare_kind vox_prepare_window = {"window", window_parse, window_apply, NULL};

/* ---- clip ---- */

enum { CLIP_RANGE, CLIP_PERCENTILES };

static vox_status parse_percentiles(vox_prepare_step *s, const vox_yaml_node *list, vox_error *err)
{
    if (vox_yaml_kind_of(list) != VOX_YAML_LIST || vox_yaml_count(list) != 2)
        return vox_yaml_fail(err, list, "percentiles are a pair such as [0.5, 99.5]");
    vox_status status = vox_yaml_double(vox_yaml_item(list, 0), 0, 100, &s->low, err);
    if (status == VOX_OK)
        status = vox_yaml_double(vox_yaml_item(list, 1), 0, 100, &s->high, err);
    if (status == VOX_OK && !(s->high > s->low))
        return vox_yaml_fail(err, list, "the second percentile must be over the first");
    return status;
}

static vox_status clip_parse(vox_prepare_step *s, const vox_yaml_node *node, vox_error *err)
{
    static const char *const keys[] = {"percentiles", "of",       "nonzero", "min",
                                       "max",         "channels", NULL};
    vox_status status = vox_yaml_keys(node, "clip", keys, err);
    const vox_yaml_node *list = vox_yaml_find(node, "percentiles");
    bool range = vox_yaml_find(node, "min") || vox_yaml_find(node, "max");
    if (status != VOX_OK)
        return status;
    if (range == (list != NULL))
        return vox_yaml_fail(err, node, "clip needs percentiles, or min and max");
    s->word = list ? CLIP_PERCENTILES : CLIP_RANGE;
    s->of_dataset = list != NULL;
    status = list ? parse_percentiles(s, list, err)
                  : read_pair(node, "clip", "min", "max", &s->low, &s->high, err);
    if (status == VOX_OK && !list && !(s->high > s->low))
        return vox_yaml_fail(err, node, "clip is empty: max must be over min");
    if (status == VOX_OK)
        status = parse_of(s, node, err);
    if (status == VOX_OK)
        status = parse_nonzero(s, node, err);
    if (status == VOX_OK && !list && (s->of_dataset || s->nonzero))
        return vox_yaml_fail(err, node, "of and nonzero go with percentiles");
    if (status == VOX_OK && s->of_dataset && s->nonzero)
        return vox_yaml_fail(err, node,
                             "the data set's percentiles are of its foreground: leave "
                             "nonzero away, or add of: case");
    return status == VOX_OK ? parse_channels(s, node, err) : status;
}

/* The case's own percentiles, of all its voxels or of those that are not 0. */
static vox_status case_range(const vox_prepare_step *s, const float *x, size_t n, double *low,
                             double *high, vox_error *err)
{
    size_t count = 0;
    float *sorted = vox_calloc(n, sizeof *sorted, "clip", err);
    if (!sorted)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < n; i++)
        if (!s->nonzero || x[i] != 0)
            sorted[count++] = x[i];
    *low = *high = 0;
    if (count > 0)
        vox_prepare_percentiles(sorted, count, s->low, s->high, low, high);
    free(sorted);
    return VOX_OK;
}

static vox_status clip_channel(const vox_prepare_step *s, int64_t c, float *x, size_t n,
                               vox_error *err)
{
    double low = s->low, high = s->high;
    vox_status status = VOX_OK;
    if (s->of_dataset) {
        low = s->stats->low[c];
        high = s->stats->high[c];
    } else if (s->word == CLIP_PERCENTILES) {
        status = case_range(s, x, n, &low, &high, err);
    }
    for (size_t i = 0; i < n && status == VOX_OK; i++)
        if (!s->nonzero || x[i] != 0)
            x[i] = x[i] < (float)low ? (float)low : x[i] > (float)high ? (float)high : x[i];
    return status;
}

static vox_status clip_apply(const vox_prepare_step *s, vox_prepared *p, vox_error *err)
{
    return for_channels(s, p->image, clip_channel, err);
}

const vox_prepare_kind vox_prepare_clip = {"clip", clip_parse, clip_apply, NULL};
