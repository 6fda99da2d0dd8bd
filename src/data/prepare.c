/* prepare.c - the table of prepare steps and the list that an experiment makes of them. */
#include "data/prepare_step.h"

#include "base/mem.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct vox_prepare {
    vox_prepare_step *step; /* [count] */
    size_t count;
    vox_prepare_stats stats; /* channels 0: not set */
};

static const vox_prepare_kind *const kinds[] = {
    &vox_prepare_reorient,  &vox_prepare_resample, &vox_prepare_resize,
    &vox_prepare_crop,      &vox_prepare_pad,      &vox_prepare_center_crop,
    &vox_prepare_normalize, &vox_prepare_window,   &vox_prepare_clip,
};
#define KINDS (sizeof kinds / sizeof kinds[0])

/* ---- for the steps ---- */

vox_status vox_prepare_need(const vox_yaml_node *map, const char *what, const char *key,
                            const vox_yaml_node **out, vox_error *err)
{
    *out = vox_yaml_find(map, key);
    if (*out)
        return VOX_OK;
    return vox_yaml_fail(err, map, "%s needs the key \"%s\"", what, key);
}

vox_status vox_prepare_size_key(vox_prepare_step *s, const vox_yaml_node *node, const char *what,
                                const char *const *keys, vox_error *err)
{
    const vox_yaml_node *size;
    vox_status status = vox_yaml_keys(node, what, keys, err);
    if (status == VOX_OK)
        status = vox_prepare_need(node, what, "size", &size, err);
    return status == VOX_OK ? vox_yaml_triple(size, 1, VOX_PREPARE_SIZE_LIMIT, s->size, err)
                            : status;
}

/* ---- lists of steps ---- */

static vox_status unknown_step(const vox_yaml_node *node, const char *word, vox_error *err)
{
    const char *names[KINDS + 1] = {NULL};
    vox_str list = {0};
    for (size_t k = 0; k < KINDS; k++) {
        names[k] = kinds[k]->name;
        vox_str_add(&list, "%s%s", k == 0 ? "" : k + 1 < KINDS ? ", " : " and ", names[k]);
    }
    const char *nearest = vox_nearest(word, names);
    vox_yaml_fail(err, node, "there is no prepare step \"%s\"", word);
    if (nearest)
        vox_hint(err, "did you mean \"%s\"?", nearest);
    else
        vox_hint(err, "the steps are %s", list.text ? list.text : "in docs/data.md");
    vox_str_release(&list);
    return VOX_ERR_INPUT;
}

static vox_status parse_step(vox_prepare_step *s, const vox_yaml_node *node, vox_error *err)
{
    const char *word;
    const vox_yaml_node *value;
    vox_status status = vox_yaml_single(node, "a prepare step", &word, &value, err);
    if (status != VOX_OK)
        return status;
    for (size_t k = 0; k < KINDS; k++)
        if (strcmp(word, kinds[k]->name) == 0) {
            s->kind = kinds[k];
            return kinds[k]->parse(s, value ? value : node, err);
        }
    return unknown_step(node, word, err);
}

/* The figures are of one place among the steps, so that one clip at most can ask for them. */
static vox_status check_clips(const vox_prepare *p, const vox_yaml_node *list, vox_error *err)
{
    size_t clips = 0;
    for (size_t i = 0; i < p->count; i++) {
        const vox_prepare_step *s = &p->step[i];
        if (s->of_dataset && s->kind == &vox_prepare_clip && ++clips > 1)
            return vox_yaml_fail(err, vox_yaml_item(list, i), "a second clip of the data set");
    }
    return VOX_OK;
}

vox_status vox_prepare_open(vox_prepare **out, const vox_yaml_node *list, vox_error *err)
{
    *out = NULL;
    vox_yaml_kind kind = vox_yaml_kind_of(list);
    if (kind != VOX_YAML_NULL && kind != VOX_YAML_LIST)
        return vox_yaml_fail(err, list, "prepare must be a list of steps");
    size_t count = kind == VOX_YAML_LIST ? vox_yaml_count(list) : 0;
    vox_prepare *p = vox_calloc(1, sizeof *p, "prepare steps", err);
    if (!p)
        return VOX_ERR_MEMORY;
    vox_status status = VOX_OK;
    p->step = vox_calloc(count, sizeof *p->step, "prepare steps", err);
    if (!p->step)
        status = VOX_ERR_MEMORY;
    for (; status == VOX_OK && p->count < count; p->count++) {
        p->step[p->count].stats = &p->stats;
        status = parse_step(&p->step[p->count], vox_yaml_item(list, p->count), err);
    }
    if (status == VOX_OK)
        status = check_clips(p, list, err);
    if (status != VOX_OK)
        vox_prepare_free(&p);
    *out = p;
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
    int64_t low[3] = {1, 1, 1}, high[3] = {INT64_MAX, INT64_MAX, INT64_MAX};
    for (size_t i = 0; i < prepare->count; i++)
        if (prepare->step[i].kind->extent)
            prepare->step[i].kind->extent(&prepare->step[i], low, high);
    memcpy(size, low, sizeof low);
    return memcmp(low, high, sizeof low) == 0;
}

static vox_status apply_steps(const vox_prepare *prepare, size_t count, vox_prepared *p,
                              vox_error *err)
{
    vox_image input = *p->image; /* its geometry alone */
    for (size_t i = 0; i < count; i++) {
        const vox_prepare_step *s = &prepare->step[i];
        vox_status status = s->kind->apply(s, p, err);
        if (status != VOX_OK) {
            vox_error_at(err, "prepare step %zu (%s)", i + 1, s->kind->name);
            return status;
        }
    }
    return vox_volume_map(&p->map, p->image, &input, err);
}

vox_status vox_prepare_apply(const vox_prepare *prepare, vox_prepared *p, vox_error *err)
{
    return apply_steps(prepare, prepare->count, p, err);
}

/* ---- figures of the whole training set ---- */

static size_t first_of_dataset(const vox_prepare *prepare)
{
    size_t i = 0;
    while (i < prepare->count && !prepare->step[i].of_dataset)
        i++;
    return i;
}

bool vox_prepare_wants_stats(const vox_prepare *prepare)
{
    return first_of_dataset(prepare) < prepare->count;
}

void vox_prepare_set_stats(vox_prepare *prepare, const vox_prepare_stats *stats)
{
    prepare->stats = *stats;
}

const vox_prepare_stats *vox_prepare_get_stats(const vox_prepare *prepare)
{
    return &prepare->stats;
}

vox_status vox_prepare_apply_first(const vox_prepare *prepare, vox_prepared *p, vox_error *err)
{
    return apply_steps(prepare, first_of_dataset(prepare), p, err);
}

void vox_prepare_stats_make(const vox_prepare *prepare, vox_prepare_stats *stats, int64_t c,
                            float *value, size_t count)
{
    double low = 0, high = 100, sum = 0, squares = 0;
    for (size_t i = 0; i < prepare->count; i++)
        if (prepare->step[i].of_dataset && prepare->step[i].kind == &vox_prepare_clip) {
            low = prepare->step[i].low;
            high = prepare->step[i].high;
        }
    vox_prepare_percentiles(value, count, low, high, &stats->low[c], &stats->high[c]);
    for (size_t i = 0; i < count; i++)
        sum += (double)value[i];
    stats->mean[c] = sum / (double)count;
    for (size_t i = 0; i < count; i++)
        squares += ((double)value[i] - stats->mean[c]) * ((double)value[i] - stats->mean[c]);
    stats->std[c] = sqrt(squares / (double)count);
}
