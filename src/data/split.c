/* split.c - folds of patients. */
#include "data/split.h"

#include "base/philox.h"

#include <stdlib.h>
#include <string.h>

#define FOLD_LIMIT 10000

vox_status vox_split_parse(vox_split *out, const vox_yaml_node *node, vox_error *err)
{
    static const char *const keys[] = {"folds", "only", "without", "seed", "shuffle", NULL};
    *out = (vox_split){0};
    if (!node)
        return VOX_OK;
    vox_status s = vox_yaml_keys(node, "patients", keys, err);
    if (s != VOX_OK)
        return s;
    const vox_yaml_node *folds = vox_yaml_find(node, "folds"), *seed = vox_yaml_find(node, "seed");
    const vox_yaml_node *only = vox_yaml_find(node, "only");
    const vox_yaml_node *without = vox_yaml_find(node, "without");
    const vox_yaml_node *shuffle = vox_yaml_find(node, "shuffle");
    if (!folds || !only == !without) {
        vox_yaml_fail(err, node, "patients needs folds, and either only or without");
        return vox_hint(err, "to train: {folds: 5, without: 0}; to validate: {folds: 5, only: 0}");
    }
    int64_t number = 0;
    out->only = only != NULL;
    s = vox_yaml_int(folds, 2, FOLD_LIMIT, &out->folds, err);
    if (s == VOX_OK)
        s = vox_yaml_int(only ? only : without, 0, out->folds - 1, &out->fold, err);
    if (s == VOX_OK && seed)
        s = vox_yaml_int(seed, 0, INT64_MAX, &number, err);
    out->seed = (uint64_t)number;
    bool mix = true;
    if (s == VOX_OK && shuffle)
        s = vox_yaml_bool(shuffle, &mix, err);
    out->in_order = !mix;
    return s;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_unique(vox_names *names)
{
    if (names->count == 0)
        return;
    qsort(names->name, names->count, sizeof *names->name, by_bytes);
    size_t kept = 1;
    for (size_t i = 1; i < names->count; i++) {
        if (strcmp(names->name[i], names->name[kept - 1]) == 0)
            free(names->name[i]);
        else
            names->name[kept++] = names->name[i];
    }
    names->count = kept;
}

vox_status vox_split_apply(const vox_split *split, vox_names *patients, vox_error *err)
{
    sort_unique(patients);
    size_t n = patients->count, kept = 0;
    if (split->folds == 0)
        return VOX_OK;
    if (n < (size_t)split->folds) {
        vox_fail(err, VOX_ERR_INPUT, "there are fewer patients than folds");
        vox_detail(err, "%zu patients, %lld folds", n, (long long)split->folds);
        return VOX_ERR_INPUT;
    }
    vox_random r;
    vox_random_init(&r, split->seed, VOX_RANDOM_SPLIT, 0, 0, 0);
    for (size_t i = n - 1; i > 0 && !split->in_order; i--) {
        size_t j = vox_random_below(&r, (uint32_t)(i + 1));
        char *swap = patients->name[i];
        patients->name[i] = patients->name[j];
        patients->name[j] = swap;
    }
    for (size_t i = 0; i < n; i++) {
        bool in_fold = (int64_t)(i % (size_t)split->folds) == split->fold;
        if (in_fold == split->only)
            patients->name[kept++] = patients->name[i];
        else
            free(patients->name[i]);
    }
    patients->count = kept;
    qsort(patients->name, kept, sizeof *patients->name, by_bytes);
    return VOX_OK;
}

bool vox_names_has(const vox_names *sorted, const char *name)
{
    return sorted->count > 0 &&
           bsearch(&name, sorted->name, sorted->count, sizeof *sorted->name, by_bytes) != NULL;
}
