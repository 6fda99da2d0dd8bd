/* checkpoint_read.c - reading checkpoints and telling whether they fit; see checkpoint.h. */
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "train/checkpoint.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- metadata -------------------------------------------------------------- */

static vox_status bad_meta(vox_error *err, const vox_safetensors *f, const char *key)
{
    const char *value = vox_safetensors_meta(f, key);
    vox_fail(err, VOX_ERR_INPUT, "not a checkpoint of voxcl");
    vox_detail(err, "%s: metadata \"%s\" is %s%.60s", f->path, key, value ? "" : "missing",
               value ? value : "");
    return vox_hint(err, "plain weights can be given to `voxcl train --init`");
}

static vox_status get_int(const vox_safetensors *f, const char *key, int64_t min, int64_t max,
                          int64_t *out, vox_error *err)
{
    const char *text = vox_safetensors_meta(f, key);
    if (!text || !vox_parse_i64(text, out) || *out < min || *out > max)
        return bad_meta(err, f, key);
    return VOX_OK;
}

static vox_status get_double(const vox_safetensors *f, const char *key, double *out, vox_error *err)
{
    const char *text = vox_safetensors_meta(f, key);
    if (!text || !vox_parse_double(text, out))
        return bad_meta(err, f, key);
    return VOX_OK;
}

static vox_status get_text(const vox_safetensors *f, const char *key, char **out, vox_error *err)
{
    const char *text = vox_safetensors_meta(f, key);
    if (!text)
        return bad_meta(err, f, key);
    *out = vox_strdup(text, err);
    return *out ? VOX_OK : VOX_ERR_MEMORY;
}

static vox_status get_classes(vox_checkpoint *c, const vox_safetensors *f, vox_error *err)
{
    int64_t count = 0;
    vox_status s = get_int(f, "classes", 0, VOX_CLASSES_MAX, &count, err);
    if (s != VOX_OK)
        return s;
    c->classes.name = vox_calloc((size_t)count, sizeof *c->classes.name, "class names", err);
    if (!c->classes.name)
        return VOX_ERR_MEMORY;
    for (int64_t i = 0; s == VOX_OK && i < count; i++) {
        char key[32];
        snprintf(key, sizeof key, "class.%lld", (long long)i);
        c->classes.count = (size_t)i + 1;
        s = get_text(f, key, &c->classes.name[i], err);
    }
    return s;
}

static vox_status get_confusion(vox_metrics_result *best, const vox_safetensors *f, vox_error *err)
{
    const char *p = vox_safetensors_meta(f, "best.confusion");
    for (int64_t i = 0; i < best->classes * best->classes; i++) {
        char *end = NULL;
        long long count = p ? strtoll(p, &end, 10) : -1;
        if (count < 0 || end == p)
            return bad_meta(err, f, "best.confusion");
        best->confusion[i] = count;
        p = end;
    }
    return VOX_OK;
}

static vox_status get_best(vox_progress *p, const vox_safetensors *f, vox_error *err)
{
    vox_metrics_result *b = &p->best;
    vox_status s = get_int(f, "best.step", 0, INT64_MAX, &p->best_step, err);
    if (s != VOX_OK || p->best_step == 0)
        return s;
    if ((s = get_int(f, "best.samples", 0, INT64_MAX, &b->samples, err)) != VOX_OK ||
        (s = get_double(f, "best.loss", &b->loss, err)) != VOX_OK ||
        (s = get_double(f, "best.accuracy", &b->accuracy, err)) != VOX_OK ||
        (s = get_double(f, "best.auc", &b->auc, err)) != VOX_OK ||
        (s = get_double(f, "best.kappa", &b->kappa, err)) != VOX_OK ||
        (s = get_int(f, "best.classes", 0, VOX_CLASSES_MAX, &b->classes, err)) != VOX_OK)
        return s;
    s = get_confusion(b, f, err);
    b->maps = vox_safetensors_meta(f, "best.maps") != NULL;
    b->dice = NAN;
    if (s == VOX_OK && b->maps)
        vox_metrics_dice(b);
    return s;
}

vox_status vox_checkpoint_read_meta(vox_checkpoint *c, const vox_safetensors *f, vox_error *err)
{
    const char *format = vox_safetensors_meta(f, "format");
    const char *labels = vox_safetensors_meta(f, "data.labels");
    const char *stats = vox_safetensors_meta(f, "prepare.stats");
    vox_progress *p = &c->progress;
    int64_t seed = 0;
    vox_status s;
    if (!format || strcmp(format, "voxcl checkpoint 1") != 0)
        return bad_meta(err, f, "format");
    if ((s = get_text(f, "experiment", &c->experiment, err)) != VOX_OK ||
        (s = get_text(f, "data_dir", &c->data_dir, err)) != VOX_OK ||
        (s = get_int(f, "seed", INT64_MIN, INT64_MAX, &seed, err)) != VOX_OK ||
        (s = get_int(f, "step", 0, INT64_MAX, &p->step, err)) != VOX_OK ||
        (s = get_int(f, "epoch", 0, INT64_MAX, &p->epoch, err)) != VOX_OK ||
        (s = get_int(f, "position", 0, INT64_MAX, &p->position, err)) != VOX_OK ||
        (s = get_double(f, "time_s", &p->time_s, err)) != VOX_OK ||
        (s = get_double(f, "loss", &p->loss, err)) != VOX_OK ||
        (s = get_int(f, "data.cases", 0, INT64_MAX, &c->data.cases, err)) != VOX_OK)
        return s;
    if (!labels || sscanf(labels, "%16" SCNx64, &c->data.labels) != 1)
        return bad_meta(err, f, "data.labels");
    if (stats && !vox_prepare_stats_read(&c->stats, stats)) /* older ones have none */
        return bad_meta(err, f, "prepare.stats");
    c->seed = (uint64_t)seed;
    if ((s = get_classes(c, f, err)) != VOX_OK)
        return s;
    if ((s = get_best(p, f, err)) != VOX_OK || !vox_safetensors_meta(f, "stop.seen"))
        return s;
    if ((s = get_int(f, "stop.seen", 0, INT64_MAX, &p->stop_seen, err)) != VOX_OK ||
        (s = get_int(f, "stop.waited", 0, INT64_MAX, &p->stop_waited, err)) != VOX_OK)
        return s;
    return get_double(f, "stop.best", &p->stop_best, err);
}

/* ---- tensors --------------------------------------------------------------- */

static const char *shape_text(int rank, const int64_t *dim, char out[160])
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < rank && used < 140; i++)
        used += (size_t)snprintf(out + used, 160 - used, "%s%lld", i ? "x" : "", (long long)dim[i]);
    return rank == 0 ? "scalar" : out;
}

static vox_status other_network(vox_error *err)
{
    vox_fail(err, VOX_ERR_INPUT, "the weights are of another network");
    return vox_hint(err, "use the experiment they were made with; `voxcl info` shows its shapes");
}

/* Plain weights carry no hashes; a checkpoint's must agree. */
static vox_status check_hash(const vox_safetensors *f, const char *name, const float *data,
                             size_t count, vox_error *err)
{
    char key[208], hash[32];
    snprintf(key, sizeof key, "hash.%s", name);
    const char *saved = vox_safetensors_meta(f, key);
    if (!saved)
        return VOX_OK;
    snprintf(hash, sizeof hash, "%016" PRIx64,
             vox_hash(VOX_HASH_START, data, count * sizeof *data));
    if (strcmp(saved, hash) == 0)
        return VOX_OK;
    vox_fail(err, VOX_ERR_INPUT, "the checkpoint is damaged");
    vox_detail(err, "%s: tensor %s has changed since it was written", f->path, name);
    return vox_hint(err, "use another copy of it, or the run's best.safetensors");
}

static vox_status read_param(const vox_safetensors *f, const char *prefix, const vox_graph_param *p,
                             float *flat, vox_error *err)
{
    char name[192], here[160], there[160];
    snprintf(name, sizeof name, "%s%s", prefix, p->name);
    const vox_st_tensor *t = vox_safetensors_find(f, name);
    shape_text(p->desc.shape.rank, p->desc.shape.dim, here);
    if (!t) {
        other_network(err);
        return vox_detail(err, "%s has no tensor %s (%s in this network)", f->path, name, here);
    }
    bool same = t->rank == p->desc.shape.rank;
    for (int i = 0; same && i < t->rank; i++)
        same = t->shape[i] == p->desc.shape.dim[i];
    if (!same) {
        other_network(err);
        return vox_detail(err, "%s: tensor %s is %s there and %s in this network", f->path, name,
                          shape_text(t->rank, t->shape, there), here);
    }
    vox_status s = vox_safetensors_floats(f, t, flat + p->offset, err);
    return s == VOX_OK ? check_hash(f, name, flat + p->offset, p->count, err) : s;
}

/* PyTorch's batch norms count their batches, for a momentum that is not given. */
static bool is_batch_count(const char *name)
{
    static const char word[] = ".num_batches_tracked";
    const size_t length = strlen(name);
    return length >= strlen(word) && strcmp(name + length - strlen(word), word) == 0;
}

vox_status vox_checkpoint_read_flat(const vox_safetensors *file, const char *prefix,
                                    const vox_graph *graph, bool all, float *flat, vox_error *err)
{
    vox_status s = VOX_OK;
    for (int i = 0; s == VOX_OK && i < graph->params; i++)
        if (strncmp(prefix, "optimizer.", 10) != 0 ||
            graph->param[i].desc.trainable) /* there is no state of what is not trained */
            s = read_param(file, prefix, &graph->param[i], flat, err);
    for (size_t i = 0; s == VOX_OK && i < file->tensors; i++) {
        const vox_st_tensor *t = &file->tensor[i];
        if (strncmp(t->name, "optimizer.", 10) == 0 || strncmp(t->name, "ema.", 4) == 0 ||
            is_batch_count(t->name) || vox_graph_find_param(graph, t->name) >= 0)
            continue;
        char shape[160];
        if (all) {
            s = other_network(err);
            vox_detail(err, "%s: tensor %s (%s) is not in this network", file->path, t->name,
                       shape_text(t->rank, t->shape, shape));
        } else {
            vox_log(VOX_LOG_WARN, "%s: tensor %s is not in this network and was left out",
                    file->path, t->name);
        }
    }
    return s;
}

/* ---- experiments ------------------------------------------------------------ */

static bool may_differ(const char *path)
{
    static const char *const keys[] = {"train.iterations", "train.epochs", "train.max_minutes",
                                       "train.early_stop"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(path, keys[i]) == 0)
            return true;
    return false;
}

static bool same_scalar(const char *a, const char *b)
{
    double x, y;
    if (strcmp(a, b) == 0)
        return true;
    return vox_parse_double(a, &x) && vox_parse_double(b, &y) && x == y; /* 0.10 and 0.1 */
}

static bool same_node(const vox_yaml_node *a, const vox_yaml_node *b, const char *path,
                      char where[256]);

static bool same_child(const vox_yaml_node *a, const vox_yaml_node *b, const char *path,
                       const char *key, char where[256])
{
    char below[256];
    snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "", key);
    if (may_differ(below))
        return true;
    if (a && b)
        return same_node(a, b, below, where);
    memcpy(where, below, sizeof below);
    return false;
}

/* where: the path of the first difference. */
static bool same_node(const vox_yaml_node *a, const vox_yaml_node *b, const char *path,
                      char where[256])
{
    vox_yaml_kind kind = vox_yaml_kind_of(a);
    size_t n = vox_yaml_count(a), m = vox_yaml_count(b);
    snprintf(where, 256, "%s", path);
    if (kind != vox_yaml_kind_of(b))
        return false;
    if (kind == VOX_YAML_SCALAR)
        return same_scalar(vox_yaml_text(a), vox_yaml_text(b));
    if (kind == VOX_YAML_MAP) {
        for (size_t i = 0; i < n; i++) {
            const char *key = vox_yaml_key(a, i);
            if (!same_child(vox_yaml_item(a, i), vox_yaml_find(b, key), path, key, where))
                return false;
        }
        for (size_t i = 0; i < m; i++) {
            const char *key = vox_yaml_key(b, i);
            if (!vox_yaml_find(a, key) && !same_child(NULL, vox_yaml_item(b, i), path, key, where))
                return false;
        }
    } else if (kind == VOX_YAML_LIST) {
        for (size_t i = 0; i < n || i < m; i++) {
            char key[32];
            snprintf(key, sizeof key, "%zu", i);
            if (!same_child(i < n ? vox_yaml_item(a, i) : NULL, i < m ? vox_yaml_item(b, i) : NULL,
                            path, key, where))
                return false;
        }
    }
    return true;
}

static const vox_yaml_node *at_path(const vox_yaml_node *node, const char *path)
{
    char part[256];
    while (node && *path) {
        size_t n = strcspn(path, ".");
        int64_t index;
        snprintf(part, sizeof part, "%.*s", (int)n, path);
        if (vox_yaml_kind_of(node) == VOX_YAML_LIST)
            node = vox_parse_i64(part, &index) && (size_t)index < vox_yaml_count(node)
                       ? vox_yaml_item(node, (size_t)index)
                       : NULL;
        else
            node = vox_yaml_find(node, part);
        path += n + (path[n] == '.');
    }
    return node;
}

static const char *value_text(const vox_yaml_node *node)
{
    const char *text = vox_yaml_text(node);
    return text ? text : node ? "another structure" : "absent";
}

vox_status vox_checkpoint_same_experiment(const char *saved, const char *now, vox_error *err)
{
    vox_yaml *a = NULL, *b = NULL;
    char where[256] = "";
    vox_status s = vox_yaml_parse(&a, saved, "the checkpoint's experiment", err);
    if (s == VOX_OK)
        s = vox_yaml_parse(&b, now, "the experiment", err);
    if (s == VOX_OK && !same_node(vox_yaml_root(a), vox_yaml_root(b), "", where)) {
        s = vox_fail(err, VOX_ERR_INPUT, "the experiment is not the one the run was started with");
        vox_detail(err, "%s: %s in the checkpoint, %s now", where,
                   value_text(at_path(vox_yaml_root(a), where)),
                   value_text(at_path(vox_yaml_root(b), where)));
        vox_hint(err, "only train.iterations, epochs, max_minutes and early_stop may change; to "
                      "start anew from these weights use --init");
    }
    vox_yaml_free(&a);
    vox_yaml_free(&b);
    return s;
}
