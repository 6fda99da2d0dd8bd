/* dataset.c - what all data sets share: cases, classes, bad ones, the cache. */
#include "data/source.h"

#include "base/text.h"
#include "base/thread.h"
#include "data/volume.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const vox_source *const sources[] = {&vox_source_manifest, &vox_source_folder,
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

static void release_case(vox_case *c)
{
    free(c->name);
    free(c->where);
    free(c->extra);
    vox_names_release(&c->file);
}

void vox_set_drop_last(vox_dataset *set)
{
    release_case(&set->item[--set->count]);
}

static vox_status note_bad(vox_dataset *set, const char *name, const vox_error *bad, vox_error *err)
{
    char *text = vox_format(err, "%s: %s (%s)", name, bad->message, bad->detail);
    vox_status s = text ? vox_names_add(&set->bad, text, err) : VOX_ERR_MEMORY;
    free(text);
    return s;
}

static bool skippable(const vox_dataset *set, vox_status code)
{
    return set->skip_bad &&
           (code == VOX_ERR_INPUT || code == VOX_ERR_IO || code == VOX_ERR_UNSUPPORTED);
}

vox_status vox_set_reject(vox_dataset *set, const char *name, const vox_error *bad, vox_error *err)
{
    if (skippable(set, bad->code))
        return note_bad(set, name, bad, err);
    if (err)
        *err = *bad;
    return bad->code;
}

bool vox_set_class(const vox_dataset *set, const char *name, int32_t *label)
{
    for (size_t i = 0; i < set->class_name.count; i++)
        if (strcmp(set->class_name.name[i], name) == 0) {
            *label = (int32_t)i;
            return true;
        }
    return false;
}

vox_status vox_set_unknown_class(const vox_dataset *set, const char *name, vox_error *err)
{
    vox_str list = {0};
    const char **names = vox_calloc(set->class_name.count + 1, sizeof *names, "classes", err);
    if (!names)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < set->class_name.count; i++) {
        names[i] = set->class_name.name[i];
        vox_str_add(&list, "%s%s", i ? ", " : "", names[i]);
    }
    const char *nearest = vox_nearest(name, names);
    vox_fail(err, VOX_ERR_INPUT, "unknown label \"%s\"", name);
    vox_detail(err, "the classes are: %s", list.text ? list.text : "");
    if (nearest)
        vox_hint(err, "did you mean \"%s\"?", nearest);
    vox_str_release(&list);
    free(names);
    return VOX_ERR_INPUT;
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
    const char *keys[SOURCES + 2] = {NULL};
    for (size_t i = 0; i < SOURCES; i++)
        keys[i] = sources[i]->key;
    keys[SOURCES] = "classes";
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
        return vox_hint(err, "write {manifest: F.csv}, {folder: DIR} or {prostatex: {...}}");
    }
    return s;
}

/* `classes` of the spec, which must agree with those given by the caller. */
static vox_status read_classes(vox_dataset *set, const vox_yaml_node *spec,
                               const vox_dataset_options *opt, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t i = 0; i < opt->class_count && s == VOX_OK; i++)
        s = vox_names_add(&set->class_name, opt->class_name[i], err);
    const vox_yaml_node *list = vox_yaml_find(spec, "classes");
    set->classes_given = list || opt->class_count;
    if (s != VOX_OK || !list)
        return s;
    size_t count = vox_yaml_count(list);
    if (vox_yaml_kind_of(list) != VOX_YAML_LIST || count == 0)
        return vox_yaml_fail(err, list, "classes must be a list of names");
    if (opt->class_count && opt->class_count != count)
        return vox_yaml_fail(err, list, "%zu classes, but the training set has %zu", count,
                             opt->class_count);
    for (size_t i = 0; i < count && s == VOX_OK; i++) {
        const vox_yaml_node *item = vox_yaml_item(list, i);
        const char *name = vox_yaml_text(item);
        int32_t label = -1;
        bool known = name && vox_set_class(set, name, &label);
        if (!name)
            s = vox_yaml_fail(err, item, "a class must be a name");
        else if (opt->class_count ? !known || label != (int32_t)i : known)
            s = vox_yaml_fail(err, item,
                              known ? "class \"%s\" is at another place in the list"
                                    : "class \"%s\" is not one of the training set's",
                              name);
        else if (!opt->class_count)
            s = vox_names_add(&set->class_name, name, err);
    }
    return s;
}

static vox_status check_classes(const vox_dataset *set, const vox_yaml_node *spec, vox_error *err)
{
    if (set->count == 0) {
        vox_yaml_fail(err, spec, "the data set has no case");
        if (set->bad.count)
            vox_hint(err, "all %zu were bad; the first: %.150s", set->bad.count, set->bad.name[0]);
        return VOX_ERR_INPUT;
    }
    if (set->classes_given)
        return VOX_OK;
    for (size_t i = 1; i < set->count; i++)
        if (set->item[i].label != set->item[0].label)
            return VOX_OK;
    vox_yaml_fail(err, spec, "all cases of the data set are of one class");
    return vox_hint(err,
                    "all %zu are \"%.60s\"; if that is meant, name the classes: classes: [...]",
                    set->count, vox_dataset_class(set, (size_t)set->item[0].label));
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

static vox_status open_set(vox_dataset *set, const vox_yaml_node *spec,
                           const vox_yaml_node *prepare, const vox_dataset_options *opt,
                           vox_error *err)
{
    const vox_yaml_node *value = NULL;
    set->skip_bad = opt->skip_bad;
    set->cache_bytes = opt->cache_bytes;
    memcpy(set->shape, opt->sample_shape, sizeof set->shape);
    set->sample = sizeof(float);
    for (int i = 0; i < 4; i++)
        if (set->shape[i] < 1 || !vox_mul(set->sample, (size_t)set->shape[i], &set->sample))
            return vox_fail(err, VOX_ERR_USAGE, "a sample of impossible shape");
    set->sample /= sizeof(float);
    set->base_dir = vox_strdup(opt->base_dir ? opt->base_dir : ".", err);
    vox_status s = set->base_dir ? vox_prepare_open(&set->prepare, prepare, err) : VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = check_prepare(set, prepare, err);
    if (s == VOX_OK)
        s = find_source(set, spec, &value, err);
    if (s == VOX_OK)
        s = read_classes(set, spec, opt, err);
    if (s == VOX_OK)
        s = set->source->open(set, value, err);
    return s == VOX_OK ? check_classes(set, spec, err) : s;
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
        release_case(&set->item[i]);
        if (set->cache)
            free(set->cache[i]);
    }
    free(set->item);
    free(set->cache);
    free(set->base_dir);
    vox_prepare_free(&set->prepare);
    vox_names_release(&set->class_name);
    vox_names_release(&set->bad);
    free(set);
    *setp = NULL;
}

/* ---- reading ---- */

static vox_status read_case(const vox_dataset *set, size_t i, float *out, vox_error *err)
{
    const vox_case *c = &set->item[i];
    vox_error local = {0};
    vox_image *image = NULL;
    vox_status s = set->source->read(set, c, &image, &local);
    if (s == VOX_OK)
        s = vox_prepare_apply(set->prepare, image, c->has_point ? c->point_mm : NULL, &local);
    if (s == VOX_OK)
        s = vox_input_shape(set->shape, image, &local);
    if (s == VOX_OK)
        memcpy(out, image->voxel, set->sample * sizeof *out);
    vox_image_free(&image);
    if (s == VOX_OK)
        return VOX_OK;
    if (!strstr(local.detail, c->name) && !strstr(local.message, c->name))
        vox_error_at(&local, "%s", c->name);
    if (c->where)
        vox_error_at(&local, "%s", c->where);
    if (err)
        *err = local;
    return s;
}

/* One load, shared by the pool's threads. */
typedef struct loading {
    vox_dataset *set;
    size_t keep;       /* cases 0 .. keep-1 stay in the cache */
    vox_error **error; /* [count], NULL where all is well */
    size_t first_bad;  /* without skip_bad, cases after it need not be read */
    pthread_mutex_t lock;
} loading;

static void note_failure(loading *l, size_t i, const vox_error *error)
{
    static const size_t size = sizeof *error;
    pthread_mutex_lock(&l->lock);
    if (i < l->first_bad)
        l->first_bad = i;
    l->error[i] = malloc(size);
    if (l->error[i])
        memcpy(l->error[i], error, size);
    pthread_mutex_unlock(&l->lock);
}

static void load_case(void *user, size_t i)
{
    loading *l = user;
    vox_error error = {0};
    pthread_mutex_lock(&l->lock);
    bool moot = !l->set->skip_bad && i > l->first_bad;
    pthread_mutex_unlock(&l->lock);
    if (moot)
        return;
    float *voxel = vox_aligned(64, l->set->sample * sizeof *voxel, "a prepared case", &error);
    vox_status s = voxel ? read_case(l->set, i, voxel, &error) : VOX_ERR_MEMORY;
    if (s == VOX_OK && i < l->keep)
        l->set->cache[i] = voxel;
    else
        free(voxel);
    if (s != VOX_OK)
        note_failure(l, i, &error);
}

static vox_status drop_bad(loading *l, vox_error *err)
{
    vox_dataset *set = l->set;
    vox_status s = VOX_OK;
    size_t good = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (!l->error[i]) {
            set->item[good] = set->item[i];
            set->cache[good++] = set->cache[i];
            continue;
        }
        if (s == VOX_OK)
            s = note_bad(set, set->item[i].name, l->error[i], err);
        release_case(&set->item[i]);
    }
    set->count = good;
    if (s == VOX_OK && good == 0) {
        vox_fail(err, VOX_ERR_INPUT, "no case of the data set can be used");
        vox_detail(err, "all %zu are bad; the first: %s", set->bad.count, set->bad.name[0]);
        s = VOX_ERR_INPUT;
    }
    return s;
}

/* What the failures mean: the first that may not be skipped is the result. */
static vox_status judge(loading *l, vox_error *err)
{
    if (l->first_bad == SIZE_MAX)
        return VOX_OK;
    for (size_t i = l->first_bad; i < l->set->count; i++) {
        if (!l->error[i] && i != l->first_bad)
            continue;
        if (!l->error[i]) /* its copy found no memory */
            return vox_fail_memory(err, "the list of bad cases", sizeof **l->error);
        if (!skippable(l->set, l->error[i]->code)) {
            if (err)
                *err = *l->error[i];
            return l->error[i]->code;
        }
    }
    return drop_bad(l, err);
}

vox_status vox_dataset_load(vox_dataset *set, struct vox_pool *pool, vox_error *err)
{
    size_t count = set->count;
    loading l = {.set = set, .keep = count, .first_bad = SIZE_MAX};
    if (set->cache)
        return vox_fail(err, VOX_ERR_USAGE, "the data set is loaded already");
    if (set->cache_bytes && set->cache_bytes / (set->sample * sizeof(float)) < count)
        l.keep = (size_t)(set->cache_bytes / (set->sample * sizeof(float)));
    set->cache = vox_calloc(count, sizeof *set->cache, "the case cache", err);
    l.error = set->cache ? vox_calloc(count, sizeof *l.error, "the case cache", err) : NULL;
    if (!l.error)
        return VOX_ERR_MEMORY;
    pthread_mutex_init(&l.lock, NULL);
    vox_pool_for(pool, count, load_case, &l);
    pthread_mutex_destroy(&l.lock);
    vox_status s = judge(&l, err);
    if (s == VOX_OK && l.keep == count && set->source->rest)
        set->source->rest(set);
    for (size_t i = 0; i < count; i++)
        free(l.error[i]);
    free(l.error);
    return s;
}

vox_status vox_dataset_get(vox_dataset *set, size_t i, float *out, int32_t *label, vox_error *err)
{
    if (i >= set->count) {
        vox_fail(err, VOX_ERR_USAGE, "there is no such case");
        vox_detail(err, "case %zu of %zu", i, set->count);
        return VOX_ERR_USAGE;
    }
    if (label)
        *label = set->item[i].label;
    if (!set->cache || !set->cache[i])
        return read_case(set, i, out, err);
    memcpy(out, set->cache[i], set->sample * sizeof *out);
    return VOX_OK;
}

/* ---- asking ---- */

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
    (void)set;
    return 1;
}

size_t vox_dataset_bad_count(const vox_dataset *set)
{
    return set->bad.count;
}

const char *vox_dataset_bad(const vox_dataset *set, size_t i)
{
    return set->bad.name[i];
}
