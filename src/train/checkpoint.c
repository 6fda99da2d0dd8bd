/* checkpoint.c - the state of a training as one safetensors file: writing, and what is in memory.
 */
#include "train/checkpoint.h"

#include "base/hash.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void vox_class_names_release(vox_class_names *names)
{
    for (size_t i = 0; names->name && i < names->count; i++)
        free(names->name[i]);
    free(names->name);
    memset(names, 0, sizeof *names);
}

void vox_checkpoint_release(vox_checkpoint *c)
{
    for (size_t i = 0; i < c->parts; i++) {
        free(c->part[i]);
        free(c->part_name[i]);
    }
    free(c->part);
    free(c->part_name);
    free(c->params);
    free(c->ema);
    vox_class_names_release(&c->classes);
    free(c->experiment);
    free(c->data_dir);
    free(c->shares);
    memset(c, 0, sizeof *c);
}

vox_status vox_checkpoint_make(vox_checkpoint *c, const vox_graph *graph, bool ema,
                               const char *const *part_name, size_t parts, vox_error *err)
{
    const char *what = "the weights in host memory";
    c->params = vox_calloc(graph->flat_floats, sizeof(float), what, err);
    c->part = vox_calloc(parts, sizeof *c->part, what, err);
    c->part_name = vox_calloc(parts, sizeof *c->part_name, what, err);
    c->ema = ema ? vox_calloc(graph->flat_floats, sizeof(float), what, err) : NULL;
    if (!c->params || !c->part || !c->part_name || (ema && !c->ema))
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < parts; i++) {
        c->parts = i + 1;
        c->part[i] = vox_calloc(graph->flat_floats, sizeof(float), what, err);
        c->part_name[i] = vox_strdup(part_name[i], err);
        if (!c->part[i] || !c->part_name[i])
            return VOX_ERR_MEMORY;
    }
    return VOX_OK;
}

/* ---- metadata ------------------------------------------------------------- */

typedef struct meta_list {
    vox_st_meta *meta; /* keys and values are owned */
    size_t count, room;
    bool failed;
} meta_list;

static void meta_release(meta_list *m)
{
    for (size_t i = 0; i < m->count; i++) {
        free((char *)(uintptr_t)m->meta[i].key);
        free((char *)(uintptr_t)m->meta[i].value);
    }
    free(m->meta);
}

static void meta_text(meta_list *m, const char *key, const char *value)
{
    if (!vox_grow(&m->meta, &m->room, m->count + 1, sizeof *m->meta, NULL)) {
        m->failed = true;
        return;
    }
    m->meta[m->count].key = vox_strdup(key, NULL);
    m->meta[m->count].value = vox_strdup(value, NULL);
    m->failed = m->failed || !m->meta[m->count].key || !m->meta[m->count].value;
    m->count++;
}

static void meta_int(meta_list *m, const char *key, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    meta_text(m, key, text);
}

/* Seventeen digits bring the same double back. */
static void meta_double(meta_list *m, const char *key, double value)
{
    char text[40];
    snprintf(text, sizeof text, "%.17g", value);
    char *comma = strchr(text, ','); /* the program using us may have set a locale */
    if (comma)
        *comma = '.';
    meta_text(m, key, text);
}

static void meta_best(meta_list *m, const vox_progress *p)
{
    vox_str counts = {0};
    meta_int(m, "best.step", p->best_step);
    if (p->best_step == 0)
        return;
    meta_int(m, "best.samples", p->best.samples);
    meta_double(m, "best.loss", p->best.loss);
    meta_double(m, "best.accuracy", p->best.accuracy);
    meta_double(m, "best.auc", p->best.auc);
    meta_double(m, "best.kappa", p->best.kappa);
    if (p->best.maps)
        meta_int(m, "best.maps", 1);
    meta_int(m, "best.classes", p->best.classes);
    for (int64_t i = 0; i < p->best.classes * p->best.classes; i++)
        vox_str_add(&counts, "%s%lld", i ? " " : "", (long long)p->best.confusion[i]);
    meta_text(m, "best.confusion", counts.text ? counts.text : "");
    m->failed = m->failed || counts.failed;
    vox_str_release(&counts);
}

static void meta_fill(meta_list *m, const vox_checkpoint *c)
{
    char key[32], hash[32];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)c->data.labels);
    meta_text(m, "format", "voxcl checkpoint 1");
    meta_text(m, "voxcl", vox_version());
    meta_text(m, "experiment", c->experiment);
    meta_text(m, "data_dir", c->data_dir);
    if (c->shares)
        meta_text(m, "shares", c->shares);
    meta_int(m, "seed", (int64_t)c->seed);
    meta_int(m, "step", c->progress.step);
    meta_int(m, "epoch", c->progress.epoch);
    meta_int(m, "position", c->progress.position);
    meta_double(m, "time_s", c->progress.time_s);
    meta_double(m, "loss", c->progress.loss);
    meta_int(m, "data.cases", c->data.cases);
    meta_text(m, "data.labels", hash);
    meta_int(m, "classes", (int64_t)c->classes.count);
    for (size_t i = 0; i < c->classes.count; i++) {
        snprintf(key, sizeof key, "class.%zu", i);
        meta_text(m, key, c->classes.name[i]);
    }
    char *stats = vox_prepare_stats_text(&c->stats, NULL);
    meta_text(m, "prepare.stats", stats ? stats : "");
    m->failed = m->failed || !stats;
    free(stats);
    meta_best(m, &c->progress);
    if (c->progress.stop_seen) {
        meta_int(m, "stop.seen", c->progress.stop_seen);
        meta_int(m, "stop.waited", c->progress.stop_waited);
        meta_double(m, "stop.best", c->progress.stop_best);
    }
}

/* ---- tensors --------------------------------------------------------------- */

typedef struct item_list {
    vox_st_item *item;
    char (*name)[192];
    size_t count;
} item_list;

static void add_items(item_list *list, const vox_graph *graph, const char *prefix,
                      const float *flat)
{
    for (int i = 0; i < graph->params; i++) {
        const vox_graph_param *p = &graph->param[i];
        if (strncmp(prefix, "optimizer.", 10) == 0 &&
            !p->desc.trainable) /* the optimiser knows nothing of it */
            continue;
        vox_st_item *item = &list->item[list->count];
        snprintf(list->name[list->count], sizeof *list->name, "%s%s", prefix, p->name);
        item->name = list->name[list->count];
        item->rank = p->desc.shape.rank;
        memcpy(item->shape, p->desc.shape.dim, (size_t)item->rank * sizeof *item->shape);
        item->f32 = flat + p->offset;
        list->count++;
    }
}

/* A hash of each tensor's bytes: the format itself would not notice a flipped bit. */
static void meta_hashes(meta_list *m, const item_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const vox_st_item *item = &list->item[i];
        size_t count = 1;
        char key[208], hash[32];
        for (int k = 0; k < item->rank; k++)
            count *= (size_t)item->shape[k];
        snprintf(key, sizeof key, "hash.%s", item->name);
        snprintf(hash, sizeof hash, "%016llx",
                 (unsigned long long)vox_hash(VOX_HASH_START, item->f32, count * sizeof(float)));
        meta_text(m, key, hash);
    }
}

static vox_status check_finite(const vox_checkpoint *c, const vox_graph *graph, vox_error *err)
{
    for (int i = 0; i < graph->params; i++) {
        const vox_graph_param *p = &graph->param[i];
        for (size_t k = 0; k < p->count; k++) {
            if (isfinite(c->params[p->offset + k]))
                continue;
            vox_fail(err, VOX_ERR_NONFINITE, "the weights are not finite after step %lld",
                     (long long)c->progress.step);
            vox_detail(err, "%s[%zu] is %g; the checkpoint before is kept", p->name, k,
                       (double)c->params[p->offset + k]);
            return vox_hint(err, "lower the learning rate, add train.warmup or train.clip_norm, "
                                 "and go on from the last checkpoint with --init");
        }
    }
    return VOX_OK;
}

vox_status vox_checkpoint_save(const vox_checkpoint *c, const vox_graph *graph, const char *path,
                               vox_error *err)
{
    meta_list meta = {0};
    item_list list = {0};
    char prefix[64];
    vox_status s = check_finite(c, graph, err);
    if (s != VOX_OK)
        return s;
    size_t items = (size_t)graph->params * (2 + c->parts);
    list.item = vox_calloc(items, sizeof *list.item, "a checkpoint's list", err);
    list.name = vox_calloc(items, sizeof *list.name, "a checkpoint's list", err);
    s = list.item && list.name ? VOX_OK : VOX_ERR_MEMORY;
    if (s == VOX_OK) {
        add_items(&list, graph, "", c->params);
        if (c->ema)
            add_items(&list, graph, "ema.", c->ema);
        for (size_t i = 0; i < c->parts; i++) {
            snprintf(prefix, sizeof prefix, "optimizer.%s.", c->part_name[i]);
            add_items(&list, graph, prefix, c->part[i]);
        }
        meta_fill(&meta, c);
        meta_hashes(&meta, &list);
        if (meta.failed)
            s = vox_fail_memory(err, "a checkpoint's header", meta.count);
    }
    if (s == VOX_OK)
        s = vox_safetensors_write(path, list.item, list.count, meta.meta, meta.count, err);
    meta_release(&meta);
    free(list.item);
    free(list.name);
    return s;
}
