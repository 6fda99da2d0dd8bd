/* scaling_accuracy.c - what a batch that grows with the number of workers does to the result.
 *
 * Devices that share a batch of a given size do not change the result (the same mathematics); what
 * does is a batch that grows with them, for the same epochs.  That needs no devices: the parts of a
 * batch go through those there are one after the other (train.accumulate). */
#define _GNU_SOURCE
#include "base/file.h"
#include "base/thread.h"
#include "train/scaling.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct progress {
    double until; /* on vox_now's clock */
    int64_t step, steps;
    double value; /* of the last validation */
    bool dice;
} progress;

static void on_event(void *user, const vox_event *event)
{
    progress *p = user;
    p->step = event->step;
    p->steps = event->steps;
    if (event->kind != VOX_EVENT_VALID)
        return;
    p->dice = event->classes > 0;
    p->value = p->dice ? event->dice : event->accuracy;
}

static bool should_stop(void *user)
{
    const progress *p = user;
    return vox_now() > p->until;
}

static void remove_run(const char *dir)
{
    vox_names names;
    if (vox_dir_list(&names, dir, NULL) != VOX_OK)
        return;
    for (size_t i = 0; i < names.count; i++) {
        char *path = vox_path_join(dir, names.name[i], NULL);
        if (path)
            remove(path);
        free(path);
    }
    vox_names_release(&names);
    remove(dir);
}

/* The experiment with its batch times `workers`.  Iterations are samples seen: fewer of larger
 * ones. */
static vox_status open_experiment(vox_experiment **out, const vox_scaling_training *how,
                                  int64_t workers, vox_error *err)
{
    vox_experiment *exp = NULL;
    char text[4][64];
    const char **set = vox_calloc(how->sets + 4, sizeof *set, "settings", err);
    vox_status s =
        set ? vox_experiment_open(&exp, how->path, how->set, how->sets, err) : VOX_ERR_MEMORY;
    if (s == VOX_OK) {
        const vox_train_spec *t = &exp->train;
        const struct {
            const char *key;
            int64_t value;
        } change[] = {
            {"batch", t->batch * workers},
            {"accumulate", t->accumulate * workers},
            {"iterations", (t->iterations + workers - 1) / workers},
            {"validate_every", (t->validate_every + workers - 1) / workers},
        };
        size_t n = 0;
        for (; n < how->sets; n++)
            set[n] = how->set[n];
        for (int i = 0; i < 4; i++) {
            if (change[i].value == 0) /* not given */
                continue;
            snprintf(text[i], sizeof text[i], "train.%s=%lld", change[i].key,
                     (long long)change[i].value);
            set[n++] = text[i];
        }
        vox_experiment_free(&exp);
        s = vox_experiment_open(out, how->path, set, n, err);
    }
    free(set);
    return s;
}

static vox_status train(vox_scaling_accuracy *out, const vox_scaling_training *how,
                        const vox_experiment *exp, vox_ctx *ctx, const char *dir, vox_error *err)
{
    const double start = vox_now();
    progress p = {.until = start + 60 * how->minutes, .value = NAN};
    const vox_train_options opt = {.data_dir = how->data_dir,
                                   .run_dir = dir,
                                   .methods = *how->methods,
                                   .on_event = on_event,
                                   .should_stop = should_stop,
                                   .user = &p};
    vox_train_result *result = vox_calloc(1, sizeof *result, "a training", err);
    vox_error stopped;
    vox_status s = result ? vox_train(exp, ctx, &opt, result, &stopped) : VOX_ERR_MEMORY;
    free(result);
    out->batch = exp->train.batch;
    out->steps = p.step;
    out->value = p.value;
    out->dice = p.dice;
    out->finished = s == VOX_OK;
    out->time_s = vox_now() - start;
    if (s == VOX_ERR_INTERRUPTED)
        return VOX_OK;
    if (s != VOX_OK && err && s != VOX_ERR_MEMORY)
        *err = stopped;
    return s;
}

vox_status vox_scaling_train(vox_scaling_accuracy *out, const vox_scaling_training *how,
                             vox_ctx *ctx, int64_t workers, vox_error *err)
{
    vox_experiment *exp = NULL;
    char dir[] = "/tmp/voxcl-scaling-XXXXXX";
    *out = (vox_scaling_accuracy){.workers = workers, .value = NAN};
    vox_status s = open_experiment(&exp, how, workers, err);
    if (s != VOX_OK)
        return s;
    if (!mkdtemp(dir))
        s = vox_fail(err, VOX_ERR_IO, "cannot make a folder for a training");
    else
        s = train(out, how, exp, ctx, dir, err);
    remove_run(dir);
    vox_experiment_free(&exp);
    return s;
}
