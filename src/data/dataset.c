/* dataset.c - what all data sets share: cases, classes, bad ones, the cache. */
#include "data/source.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static const vox_source *const sources[] = {&vox_source_manifest, &vox_source_folder,
                                            &vox_source_pairs, &vox_source_msd,
                                            &vox_source_prostatex};
#define SOURCES (sizeof sources / sizeof sources[0])

/* ---- for sources ---- */

vox_case *vox_set_add(vox_dataset *set, const char *name, const char *where, int32_t label,
                      vox_error *err)
{
    if (!vox_grow(&set->item, &set->capacity, set->count + 1, sizeof *set->item, err))
        return NULL;
    vox_case *c = &set->item[set->count++]; /* counted at once, so that free finds it */
    memset(c, 0, sizeof *c);
    c->label = label;
    c->name = vox_strdup(name, err);
    c->where = c->name ? vox_strdup(where, err) : NULL;
    return c->name && (c->where || !where) ? c : NULL;
}

void vox_case_release(vox_case *c)
{
    free(c->name);
    free(c->where);
    free(c->patient);
    free(c->mask);
    free(c->extra);
    vox_names_release(&c->file);
}

void vox_set_drop_last(vox_dataset *set)
{
    vox_case_release(&set->item[--set->count]);
}

vox_status vox_set_note_bad(vox_dataset *set, const char *name, const vox_error *bad,
                            vox_error *err)
{
    char *text = vox_format(err, "%s: %s (%s)", name, bad->message, bad->detail);
    vox_status s = text ? vox_names_add(&set->bad, text, err) : VOX_ERR_MEMORY;
    free(text);
    return s;
}

bool vox_set_skippable(const vox_dataset *set, vox_status code)
{
    return set->skip_bad &&
           (code == VOX_ERR_INPUT || code == VOX_ERR_IO || code == VOX_ERR_UNSUPPORTED);
}

vox_status vox_set_reject(vox_dataset *set, const char *name, const vox_error *bad, vox_error *err)
{
    if (vox_set_skippable(set, bad->code))
        return vox_set_note_bad(set, name, bad, err);
    if (err)
        *err = *bad;
    return bad->code;
}

static const char *patient_of(const vox_case *c)
{
    return c->patient ? c->patient : c->name;
}

vox_status vox_set_path(const vox_dataset *set, const vox_yaml_node *node, const char *what,
                        char **out, vox_error *err)
{
    const char *text = vox_yaml_text(node);
    *out = NULL;
    if (!text || !*text)
        return vox_yaml_fail(err, node, "%s must be a path", what);
    *out = vox_path_join(set->base_dir, text, err);
    return *out ? VOX_OK : VOX_ERR_MEMORY;
}

/* ---- opening ---- */

static vox_status find_source(vox_dataset *set, const vox_yaml_node *spec,
                              const vox_yaml_node **value, vox_error *err)
{
    const char *keys[SOURCES + 4] = {NULL};
    for (size_t i = 0; i < SOURCES; i++)
        keys[i] = sources[i]->key;
    keys[SOURCES] = "classes";
    keys[SOURCES + 1] = "values";
    keys[SOURCES + 2] = "patients";
    vox_status s = vox_yaml_keys(spec, "a data set", keys, err);
    for (size_t i = 0; i < SOURCES && s == VOX_OK; i++) {
        const vox_yaml_node *node = vox_yaml_find(spec, sources[i]->key);
        if (!node)
            continue;
        if (set->source)
            return vox_yaml_fail(err, node, "a data set is %s or %s, not both", set->source->key,
                                 sources[i]->key);
        set->source = sources[i];
        *value = node;
    }
    if (s == VOX_OK && !set->source) {
        vox_yaml_fail(err, spec, "a data set names no source");
        return vox_hint(err, "write {manifest: F.csv}, {folder: DIR}, {pairs: DIR}, {msd: DIR} or "
                             "{prostatex: {...}}");
    }
    return s;
}

/* What the steps make of every case, if it is known before one is read. */
static vox_status check_prepare(const vox_dataset *set, const vox_yaml_node *prepare,
                                vox_error *err)
{
    int64_t size[3];
    const int64_t *want = set->shape + 1;
    if (!vox_prepare_size(set->prepare, size) || memcmp(size, want, sizeof size) == 0)
        return VOX_OK;
    vox_yaml_fail(err, prepare,
                  "prepare makes %lld x %lld x %lld voxels, the network takes %lld x "
                  "%lld x %lld",
                  (long long)size[0], (long long)size[1], (long long)size[2], (long long)want[0],
                  (long long)want[1], (long long)want[2]);
    vox_hint(err, "let the last resize or crop have size: [%lld, %lld, %lld]", (long long)want[0],
             (long long)want[1], (long long)want[2]);
    return VOX_ERR_INPUT;
}

/* Takes out the cases of those patients that are not in this part of the split. */
static vox_status split_cases(vox_dataset *set, const vox_yaml_node *spec, vox_error *err)
{
    const vox_yaml_node *node = vox_yaml_find(spec, "patients");
    vox_names patients = {0};
    vox_status s = vox_split_parse(&set->split, node, err);
    if (s != VOX_OK || !node)
        return s;
    for (size_t i = 0; i < set->count && s == VOX_OK; i++)
        s = vox_names_add(&patients, patient_of(&set->item[i]), err);
    if (s == VOX_OK && (s = vox_split_apply(&set->split, &patients, err)) != VOX_OK)
        vox_yaml_fail(err, node, "there are fewer patients than folds");
    size_t kept = 0;
    for (size_t i = 0; i < set->count && s == VOX_OK; i++) {
        if (vox_names_has(&patients, patient_of(&set->item[i])))
            set->item[kept++] = set->item[i];
        else
            vox_case_release(&set->item[i]);
    }
    if (s == VOX_OK)
        set->count = kept;
    vox_names_release(&patients);
    return s;
}

static vox_status take_options(vox_dataset *set, const vox_dataset_options *opt, vox_error *err)
{
    set->skip_bad = opt->skip_bad;
    set->cache_bytes = opt->cache_bytes;
    set->patches = opt->patches;
    set->foreground = opt->foreground;
    set->stats = opt->stats;
    set->ignores = opt->ignore != NULL;
    set->ignore = opt->ignore ? *opt->ignore : 0;
    memcpy(set->shape, opt->sample_shape, sizeof set->shape);
    set->sample = sizeof(float);
    for (int i = 0; i < 4; i++)
        if (set->shape[i] < 1 || !vox_mul(set->sample, (size_t)set->shape[i], &set->sample))
            return vox_fail(err, VOX_ERR_USAGE, "a sample of impossible shape");
    set->sample /= sizeof(float);
    set->base_dir = vox_strdup(opt->base_dir ? opt->base_dir : ".", err);
    return set->base_dir ? VOX_OK : VOX_ERR_MEMORY;
}

static vox_status open_set(vox_dataset *set, const vox_yaml_node *spec,
                           const vox_yaml_node *prepare, const vox_dataset_options *opt,
                           vox_error *err)
{
    const vox_yaml_node *value = NULL;
    vox_status s = take_options(set, opt, err);
    if (s == VOX_OK)
        s = vox_prepare_open(&set->prepare, prepare, err);
    if (s == VOX_OK && !set->patches)
        s = check_prepare(set, prepare, err);
    if (s == VOX_OK)
        s = find_source(set, spec, &value, err);
    if (s == VOX_OK)
        s = vox_set_read_classes(set, spec, opt, err);
    if (s == VOX_OK)
        s = set->source->open(set, value, err);
    if (s == VOX_OK && set->masks && set->class_name.count == 0)
        s = vox_set_number_classes(set, opt->classes, err);
    if (s == VOX_OK)
        s = vox_set_read_values(set, spec, err);
    if (s == VOX_OK)
        s = vox_set_check_classes(set, spec, err);
    set->labels = set->masks ? set->sample / (size_t)set->shape[0] : 1;
    return s == VOX_OK ? split_cases(set, spec, err) : s;
}

vox_status vox_dataset_open(vox_dataset **out, const vox_yaml_node *spec,
                            const vox_yaml_node *prepare, const vox_dataset_options *opt,
                            vox_error *err)
{
    *out = NULL;
    vox_dataset *set = vox_calloc(1, sizeof *set, "a data set", err);
    if (!set)
        return VOX_ERR_MEMORY;
    vox_status s = open_set(set, spec, prepare, opt, err);
    if (s != VOX_OK)
        vox_dataset_free(&set);
    *out = set;
    return s;
}

void vox_dataset_free(vox_dataset **setp)
{
    if (!setp || !*setp)
        return;
    vox_dataset *set = *setp;
    if (set->source && set->source->close && set->state)
        set->source->close(set);
    for (size_t i = 0; i < set->count; i++) {
        vox_case_release(&set->item[i]);
        if (set->cache)
            vox_ready_release(&set->cache[i]);
    }
    free(set->item);
    free(set->cache);
    free(set->class_of);
    free(set->base_dir);
    vox_prepare_free(&set->prepare);
    vox_names_release(&set->class_name);
    vox_names_release(&set->bad);
    free(set);
    *setp = NULL;
}

/* ---- asking ---- */

const vox_prepare_stats *vox_dataset_stats(const vox_dataset *set)
{
    return vox_prepare_get_stats(set->prepare);
}

size_t vox_dataset_count(const vox_dataset *set)
{
    return set->count;
}

size_t vox_dataset_sample(const vox_dataset *set)
{
    return set->sample;
}

size_t vox_dataset_classes(const vox_dataset *set)
{
    return set->class_name.count;
}

const char *vox_dataset_class(const vox_dataset *set, size_t label)
{
    return label < set->class_name.count ? set->class_name.name[label] : "";
}

const char *vox_dataset_case(const vox_dataset *set, size_t i)
{
    return set->item[i].name;
}

int32_t vox_dataset_label(const vox_dataset *set, size_t i)
{
    return set->item[i].label;
}

size_t vox_dataset_labels(const vox_dataset *set)
{
    return set->labels;
}

bool vox_dataset_masks(const vox_dataset *set)
{
    return set->masks;
}

uint64_t vox_dataset_mark(const vox_dataset *set, size_t i)
{
    return set->item[i].mask_hash;
}

size_t vox_dataset_bad_count(const vox_dataset *set)
{
    return set->bad.count;
}

const char *vox_dataset_bad(const vox_dataset *set, size_t i)
{
    return set->bad.name[i];
}
