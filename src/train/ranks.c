/* ranks.c - a training on several ranks. */
#include "train/ranks.h"

#include "base/build_mark.h"
#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash_text(uint64_t hash, const char *text)
{
    return text ? vox_hash(hash, text, strlen(text) + 1) : vox_hash(hash, "", 1);
}

static uint64_t options_mark(const vox_train_options *opt)
{
    const uint64_t numbers[] = {opt->resume,
                                opt->init != NULL,
                                (uint64_t)opt->methods.tune,
                                opt->methods.workspace_bytes,
                                opt->bucket_bytes,
                                (uint64_t)opt->sync,
                                opt->whole_gradients};
    const uint64_t mark =
        hash_text(vox_hash(VOX_HASH_START, numbers, sizeof numbers), opt->methods.algo);
    return hash_text(mark, opt->shard);
}

/* Each rank would choose methods by times of its own, which only rank 0 could keep. */
static vox_status check_tuning(const vox_trainer *t, vox_error *err)
{
    if (t->opt->methods.tune == VOX_TUNE_OFF)
        return VOX_OK;
    vox_fail(err, VOX_ERR_UNSUPPORTED, "several ranks cannot go by measured times");
    vox_hint(err, "leave --tune away; methods can be forced with --algo");
    return VOX_ERR_UNSUPPORTED;
}

static vox_status share_folder(vox_trainer *t, vox_error *err)
{
    char path[4096] = "";
    if (t->leads)
        snprintf(path, sizeof path, "%s", t->run.path);
    vox_status s = vox_hosts_broadcast(t->opt->hosts, path, sizeof path, err);
    return s == VOX_OK && !t->leads ? vox_run_dir_name(&t->run, path, err) : s;
}

vox_status vox_ranks_meet(vox_trainer *t, vox_error *err)
{
    vox_hosts *hosts = t->opt->hosts;
    if (vox_hosts_size(hosts) == 1)
        return VOX_OK;
    vox_status s = vox_hosts_same(hosts, "builds of voxcl", vox_build_mark(),
                                  "install the same voxcl on all hosts", err);
    if (s == VOX_OK)
        s = vox_hosts_same(hosts, "experiments", hash_text(VOX_HASH_START, t->exp->text),
                           "give all ranks the same experiment, with the same --set", err);
    if (s == VOX_OK)
        s = vox_hosts_same(hosts, "options", options_mark(t->opt),
                           "start all ranks with the same command line, but for --devices", err);
    if (s == VOX_OK)
        s = check_tuning(t, err);
    return vox_hosts_agree(hosts, s == VOX_OK ? share_folder(t, err) : s, err);
}

/* The labels of all cases, and the voxels of some: a hash of all would take a reading of all. */
static vox_status data_mark(const vox_trainer *t, uint64_t *mark, vox_error *err)
{
    vox_dataset *set = t->train.set;
    const vox_data_mark labels = vox_cases_mark(&t->train);
    const size_t floats = vox_dataset_sample(set), count = vox_dataset_count(set);
    const size_t some[] = {0, count / 2, count - 1};
    vox_status s = VOX_OK;
    float *voxel = vox_calloc(floats, sizeof *voxel, "a sample", err);
    if (!voxel)
        return VOX_ERR_MEMORY;
    *mark = vox_hash(VOX_HASH_START, &labels.cases, sizeof labels.cases);
    *mark = vox_hash(*mark, &labels.labels, sizeof labels.labels);
    for (size_t i = 0; i < t->state.classes.count; i++)
        *mark = hash_text(*mark, t->state.classes.name[i]);
    for (size_t i = 0; s == VOX_OK && i < sizeof some / sizeof *some; i++) {
        s = vox_dataset_get(set, some[i], voxel, NULL, err);
        *mark = vox_hash(*mark, voxel, floats * sizeof *voxel);
    }
    free(voxel);
    return s;
}

vox_status vox_ranks_same_data(vox_trainer *t, vox_error *err)
{
    uint64_t mark = 0;
    if (vox_hosts_size(t->opt->hosts) == 1)
        return VOX_OK;
    vox_status s = vox_hosts_agree(t->opt->hosts, data_mark(t, &mark, err), err);
    return s == VOX_OK ? vox_hosts_same(t->opt->hosts, "training data", mark,
                                        "give all ranks the same data (--data)", err)
                       : s;
}

vox_status vox_ranks_spread(vox_trainer *t, vox_error *err)
{
    vox_hosts *hosts = t->opt->hosts;
    vox_checkpoint *c = &t->state;
    const size_t bytes = t->exp->graph->flat_floats * sizeof(float);
    vox_status s = vox_hosts_broadcast(hosts, c->params, bytes, err);
    for (size_t i = 0; s == VOX_OK && i < c->parts; i++)
        s = vox_hosts_broadcast(hosts, c->part[i], bytes, err);
    if (s == VOX_OK && t->ema)
        s = vox_hosts_broadcast(hosts, c->ema, bytes, err);
    return s == VOX_OK ? vox_hosts_broadcast(hosts, &c->progress, sizeof c->progress, err) : s;
}
