/* dataset_load.c - all cases of a data set read ahead of training: the bad ones found, the cache
 * filled, and the figures that a prepare step wants of all of them. */
#include "data/source.h"

#include "base/log.h"
#include "base/thread.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static bool is_empty(const vox_ready *r, size_t classes)
{
    for (size_t c = 1; c < classes; c++)
        if (r->voxels[c] > 0)
            return false;
    return true;
}

/* One load, shared by the pool's threads. */
typedef struct loading {
    vox_dataset *set;
    uint64_t kept;     /* bytes in the cache */
    bool all;          /* every case found room there */
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

/* Into the cache while there is room: which cases are there changes no voxel. */
static void take(loading *l, size_t i, vox_ready *ready)
{
    vox_dataset *set = l->set;
    vox_case *c = &set->item[i];
    uint64_t bytes = vox_ready_bytes(set, ready);
    c->mask_hash = vox_ready_mark(ready);
    memcpy(c->size, ready->size, sizeof c->size);
    c->empty = ready->voxels && is_empty(ready, set->class_name.count);
    pthread_mutex_lock(&l->lock);
    bool room = !set->cache_bytes || bytes <= set->cache_bytes - l->kept;
    l->kept += room ? bytes : 0;
    l->all = l->all && room;
    pthread_mutex_unlock(&l->lock);
    if (room)
        set->cache[i] = *ready;
    else
        vox_ready_release(ready);
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
    vox_ready ready;
    vox_status s = vox_case_read(l->set, &l->set->item[i], &ready, &error);
    if (s == VOX_OK)
        take(l, i, &ready);
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
            s = vox_set_note_bad(set, set->item[i].name, l->error[i], err);
        vox_case_release(&set->item[i]);
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
        if (!vox_set_skippable(l->set, l->error[i]->code)) {
            if (err)
                *err = *l->error[i];
            return l->error[i]->code;
        }
    }
    return drop_bad(l, err);
}

static void tell_empty(const vox_dataset *set)
{
    size_t empty = 0, first = 0;
    for (size_t i = set->count; i-- > 0;)
        if (set->item[i].empty) {
            first = i;
            empty++;
        }
    if (empty)
        vox_log(VOX_LOG_WARN, "%zu of %zu masks are empty, the first of %s", empty, set->count,
                set->item[first].name);
}

static vox_status load_all(vox_dataset *set, struct vox_pool *pool, vox_error *err)
{
    size_t count = set->count;
    loading l = {.set = set, .all = true, .first_bad = SIZE_MAX};
    l.error = vox_calloc(count, sizeof *l.error, "the case cache", err);
    if (!l.error)
        return VOX_ERR_MEMORY;
    pthread_mutex_init(&l.lock, NULL);
    vox_pool_for(pool, count, load_case, &l);
    pthread_mutex_destroy(&l.lock);
    vox_status s = judge(&l, err);
    if (s == VOX_OK && l.all && set->source->rest)
        set->source->rest(set);
    for (size_t i = 0; i < count; i++)
        free(l.error[i]);
    free(l.error);
    if (s == VOX_OK)
        tell_empty(set);
    return s;
}

/* ---- figures of all cases' foreground ---- */

#define SAMPLED 10000 /* voxels of a case and channel: enough for percentiles of a data set */

typedef struct measuring {
    const vox_dataset *set;
    float **value; /* [cases]: [channels][count[i]], NULL: none */
    size_t *count;
} measuring;

static bool is_foreground(float class)
{
    return class != 0 && class != VOX_MASK_IGNORED;
}

/* Every so-manyth foreground voxel, or every voxel's if the set has no masks. */
static void measure_case(void *user, size_t i)
{
    measuring *m = user;
    const vox_dataset *set = m->set;
    vox_prepared p;
    size_t foreground = 0, channels = (size_t)set->shape[0];
    vox_status s = vox_case_open(set, &set->item[i], &p, NULL);
    if (s == VOX_OK)
        s = vox_prepare_apply_first(set->prepare, &p, NULL);
    size_t n = s == VOX_OK ? vox_volume_voxels(p.image) : 0;
    for (size_t v = 0; v < n; v++)
        foreground += !p.mask || is_foreground(p.mask->voxel[v]);
    size_t every = foreground / SAMPLED + 1, most = foreground / every + 1, seen = 0, k = 0;
    /* what went wrong is found again, and told, when the case is loaded */
    if (foreground > 0 && (size_t)p.image->channels == channels)
        m->value[i] = vox_calloc(most, channels * sizeof(float), "foreground voxels", NULL);
    for (size_t v = 0; v < n && m->value[i]; v++) {
        if (p.mask && !is_foreground(p.mask->voxel[v]))
            continue;
        if (seen++ % every != 0)
            continue;
        for (size_t c = 0; c < channels; c++)
            m->value[i][c * most + k] = p.image->voxel[c * n + v];
        k++;
    }
    /* channels close up */
    for (size_t c = 1; c < channels && m->value[i]; c++)
        memmove(m->value[i] + c * k, m->value[i] + c * most, k * sizeof(float));
    m->count[i] = k;
    vox_case_close(&p);
}

static vox_status make_stats(vox_dataset *set, const measuring *m, vox_prepare_stats *stats,
                             vox_error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < set->count; i++)
        total += m->count[i];
    if (total == 0) {
        vox_fail(err, VOX_ERR_INPUT, "the training data has no foreground voxel");
        return vox_hint(err, "data.prepare asks for the foreground's figures: of: dataset");
    }
    float *all = vox_calloc(total, sizeof *all, "foreground voxels", err);
    if (!all)
        return VOX_ERR_MEMORY;
    for (int64_t c = 0; c < set->shape[0]; c++) {
        size_t used = 0;
        for (size_t i = 0; i < set->count; i++) {
            if (m->count[i])
                memcpy(all + used, m->value[i] + (size_t)c * m->count[i],
                       m->count[i] * sizeof *all);
            used += m->count[i];
        }
        vox_prepare_stats_make(set->prepare, stats, c, all, total);
    }
    stats->channels = set->shape[0];
    free(all);
    return VOX_OK;
}

static vox_status measure(vox_dataset *set, struct vox_pool *pool, vox_prepare_stats *stats,
                          vox_error *err)
{
    measuring m = {.set = set};
    if (set->shape[0] > VOX_PREPARE_CHANNELS)
        return vox_fail(err, VOX_ERR_UNSUPPORTED, "figures of more than %d channels",
                        VOX_PREPARE_CHANNELS);
    m.value = vox_calloc(set->count, sizeof *m.value, "foreground voxels", err);
    m.count = vox_calloc(set->count, sizeof *m.count, "foreground voxels", err);
    vox_status s = m.value && m.count ? VOX_OK : VOX_ERR_MEMORY;
    if (s == VOX_OK) {
        vox_pool_for(pool, set->count, measure_case, &m);
        s = make_stats(set, &m, stats, err);
    }
    for (size_t i = 0; m.value && i < set->count; i++)
        free(m.value[i]);
    free(m.value);
    free(m.count);
    return s;
}

vox_status vox_dataset_load(vox_dataset *set, struct vox_pool *pool, vox_error *err)
{
    vox_prepare_stats stats = {0};
    vox_status s = VOX_OK;
    if (set->cache)
        return vox_fail(err, VOX_ERR_USAGE, "the data set is loaded already");
    set->cache = vox_calloc(set->count, sizeof *set->cache, "the case cache", err);
    if (!set->cache)
        return VOX_ERR_MEMORY;
    if (vox_prepare_wants_stats(set->prepare)) {
        if (set->stats)
            stats = *set->stats;
        else
            s = measure(set, pool, &stats, err);
        vox_prepare_set_stats(set->prepare, &stats);
    }
    return s == VOX_OK ? load_all(set, pool, err) : s;
}
