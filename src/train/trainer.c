/* trainer.c - setting a training up: data, devices, weights, and where it goes on from. */
#include "train/loop.h"

#include "base/log.h"
#include "train/ranks.h"
#include "train/tuning.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static vox_status check_spec(const vox_experiment *exp, vox_error *err)
{
    if (!exp->data.train) {
        vox_fail(err, VOX_ERR_INPUT, "the experiment has no training data");
        vox_detail(err, "%s has no data.train", exp->path);
        return vox_hint(err, "add data: {train: {manifest: train.csv}}");
    }
    if (exp->train.iterations == 0 && exp->train.epochs == 0) {
        vox_fail(err, VOX_ERR_INPUT, "how long to train is not said");
        vox_detail(err, "%s has neither train.iterations nor train.epochs", exp->path);
        return vox_hint(err, "add one of them, or give --set train.epochs=10");
    }
    return VOX_OK;
}

/* ---- data -------------------------------------------------------------------- */

static vox_status open_data(vox_trainer *t, const char *dir, vox_error *err)
{
    const vox_span span = vox_span_begin("prepare the data", "data");
    vox_pool *pool = NULL;
    const vox_data_spec *data = &t->exp->data;
    vox_class_names *names = &t->state.classes;
    vox_status s = vox_cases_classes(t->exp->graph, &t->classes, err);
    if (s == VOX_OK)
        s = vox_pool_open(&pool, 0, err);
    if (s == VOX_OK)
        s = vox_cases_open(&t->train, t->exp, data->train, dir, "training", t->classes, names, NULL,
                           pool, err);
    if (s == VOX_OK && data->valid)
        s = vox_cases_open(&t->valid, t->exp, data->valid, dir, "validation", t->classes, names,
                           vox_dataset_stats(t->train.set), pool, err);
    vox_pool_free(&pool);
    vox_span_end(&span);
    return s;
}

/* A rate must not be scaled for samples that no step has. */
static vox_status check_batch(const vox_trainer *t, vox_error *err)
{
    const vox_train_spec *train = &t->exp->train;
    const int64_t cases = vox_cases_mark(&t->train).cases;
    if (!train->reference_batch || train->batch <= cases)
        return VOX_OK;
    vox_fail(err, VOX_ERR_INPUT, "the batch that the rate is scaled for is larger than the data");
    vox_detail(err, "train.batch is %lld, train.reference_batch %lld, and there are %lld cases",
               (long long)train->batch, (long long)train->reference_batch, (long long)cases);
    return vox_hint(err, "--set train.batch=%lld", (long long)cases);
}

/* ---- devices and weights ------------------------------------------------------ */

/* A run goes by the same times to its end: another choice would be other bits. */
static vox_status open_times(vox_trainer *t, vox_ctx *ctx, vox_error *err)
{
    if (!t->opt->resume)
        return vox_tuning_open(&t->times, t->exp, ctx, &t->opt->methods, err);
    if (vox_path_exists(t->run.tuning))
        return vox_finddb_read(&t->times, t->run.tuning, err);
    if (t->opt->methods.tune == VOX_TUNE_OFF)
        return VOX_OK;
    vox_fail(err, VOX_ERR_USAGE, "the run to resume was not tuned");
    vox_detail(err, "%s is not there", t->run.tuning);
    return vox_hint(err, "leave --tune away, as when it was started");
}

/* A run that goes on with the shares it had need not say them again. */
static vox_status make_shares(vox_trainer *t, vox_error *err)
{
    const size_t devices = vox_team_fleet(t->team)->count;
    t->shares = vox_calloc(devices, sizeof *t->shares, "the devices' shares", err);
    if (!t->shares)
        return VOX_ERR_MEMORY;
    vox_team_shares(t->team, t->shares);
    for (size_t i = 0; !t->sharing.recalled && i < devices; i++)
        t->shares[i] = -1;
    return VOX_OK;
}

/* What changes the model, with the state that this takes. */
static vox_status open_update(vox_trainer *t, vox_error *err)
{
    const vox_train_spec *train = &t->exp->train;
    vox_device *home = vox_team_home(t->team);
    vox_room *room = vox_team_room(t->team);
    const vox_portion *portion = vox_team_portion(t->team);
    vox_status s = vox_optimizer_open(&t->optimizer, home, t->exp->graph, &train->optimizer,
                                      train->clip_norm, err);
    if (s == VOX_OK && room)
        s = vox_optimizer_share(t->optimizer, room, portion, err);
    if (s == VOX_OK && train->ema.on)
        s = vox_ema_open(&t->ema, home, t->exp->graph->flat_floats, &train->ema, err);
    return s == VOX_OK && t->ema && room ? vox_ema_share(t->ema, room, portion, err) : s;
}

static size_t update_room(const vox_experiment *exp)
{
    const size_t floats = exp->graph->flat_floats;
    return vox_optimizer_room(&exp->train.optimizer, floats) +
           (exp->train.ema.on ? vox_room_of(floats * sizeof(float)) : 0);
}

static vox_status open_team(vox_trainer *t, vox_ctx *ctx, vox_error *err)
{
    const vox_train_spec *train = &t->exp->train;
    vox_team_options opt = {.graph = t->exp->graph,
                            .batch = train->batch,
                            .parts = train->accumulate,
                            .training = true,
                            .augment = t->exp->data.augment,
                            .seed = train->seed,
                            .sync = t->opt->sync,
                            .whole_gradients = t->opt->whole_gradients,
                            .staleness = t->opt->staleness_set ? t->opt->staleness : -1,
                            .algo = t->opt->methods.algo,
                            .workspace = t->opt->methods.workspace_bytes,
                            .memory = (uint64_t)train->memory_mib << 20,
                            .bucket_bytes = t->opt->bucket_bytes,
                            .shard = t->sharing.mode,
                            .hang_s = t->opt->hang_timeout_s,
                            .weight = t->sharing.weight,
                            .room_bytes = update_room(t->exp),
                            .hosts = t->opt->hosts};
    vox_status s = vox_hosts_agree(t->opt->hosts, open_times(t, ctx, err), err);
    opt.times = t->times;
    if (s == VOX_OK)
        s = vox_team_open(&t->team, ctx, &opt, err);
    if (s == VOX_OK)
        s = make_shares(t, err);
    return s == VOX_OK ? open_update(t, err) : s;
}

static vox_status make_state(vox_trainer *t, const char *dir, vox_error *err)
{
    size_t parts = vox_optimizer_parts(t->optimizer);
    const char **name = vox_calloc(parts, sizeof *name, "the optimiser's state", err);
    if (!name)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < parts; i++)
        name[i] = vox_optimizer_part_name(t->optimizer, i);
    vox_status s = vox_checkpoint_make(&t->state, t->exp->graph, t->ema != NULL, name, parts, err);
    free(name);
    t->state.experiment = vox_strdup(t->exp->text, err);
    t->state.data_dir = realpath(dir, NULL);
    if (!t->state.data_dir)
        t->state.data_dir = vox_strdup(dir, err);
    t->state.seed = t->exp->train.seed;
    t->state.data = vox_cases_mark(&t->train);
    t->state.stats = *vox_dataset_stats(t->train.set);
    t->loss = vox_calloc((size_t)t->exp->train.batch, sizeof *t->loss, "losses", err);
    if (s == VOX_OK && (!t->state.experiment || !t->state.data_dir || !t->loss))
        s = VOX_ERR_MEMORY;
    return s == VOX_OK ? vox_ahead_open(t, err) : s;
}

/* Initial weights: drawn from the seed, or from the file of --init. */
static vox_status start_weights(vox_trainer *t, vox_error *err)
{
    const vox_graph *graph = t->exp->graph;
    vox_safetensors *file = NULL;
    vox_status s = VOX_OK;
    vox_graph_init_params(graph, t->exp->train.seed, t->state.params);
    if (t->opt->init)
        s = vox_safetensors_open(&file, t->opt->init, err);
    if (s == VOX_OK && file)
        s = vox_checkpoint_read_flat(file, "", graph, false, t->state.params, err);
    vox_safetensors_free(&file);
    if (s == VOX_OK && t->ema)
        memcpy(t->state.ema, t->state.params, graph->flat_floats * sizeof(float));
    return s;
}

/* ---- going on from a checkpoint ------------------------------------------------ */

/* The batch and the data do not change within a run, so a step has one place in them. */
static vox_status check_progress(const vox_trainer *t, const vox_progress *p, vox_error *err)
{
    int64_t cases = t->state.data.cases, batch = t->exp->train.batch;
    int64_t epoch_steps = (cases + batch - 1) / batch;
    if (p->epoch == p->step / epoch_steps && p->position == p->step % epoch_steps * batch &&
        p->best_step <= p->step)
        return VOX_OK;
    vox_fail(err, VOX_ERR_INPUT, "the checkpoint contradicts itself");
    vox_detail(err,
               "%s: step %lld, epoch %lld, position %lld, best step %lld; there are %lld cases in "
               "batches of %lld",
               t->run.last, (long long)p->step, (long long)p->epoch, (long long)p->position,
               (long long)p->best_step, (long long)cases, (long long)batch);
    return vox_hint(err, "the file is damaged; start anew from its weights with --init");
}

static vox_status check_resume(const vox_trainer *t, const vox_checkpoint *saved, vox_error *err)
{
    const vox_data_mark *was = &saved->data, *is = &t->state.data;
    vox_status s = vox_checkpoint_same_experiment(saved->experiment, t->exp->text, err);
    if (s != VOX_OK)
        return s;
    if (was->cases != is->cases || was->labels != is->labels) {
        vox_fail(err, VOX_ERR_INPUT, "the training data is not what the run was started with");
        vox_detail(err, "%lld cases then, %lld now%s", (long long)was->cases, (long long)is->cases,
                   was->cases == is->cases ? ", with other labels" : "");
        return vox_hint(err, "give the same data (--data), or start anew with --init %s",
                        t->run.last);
    }
    bool same = saved->classes.count == t->state.classes.count;
    for (size_t i = 0; same && i < saved->classes.count; i++)
        same = strcmp(saved->classes.name[i], t->state.classes.name[i]) == 0;
    if (!same)
        return vox_fail(err, VOX_ERR_INPUT, "the classes' names are not those of the checkpoint");
    return check_progress(t, &saved->progress, err);
}

static vox_status read_parts(vox_trainer *t, const vox_safetensors *file, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t i = 0; s == VOX_OK && i < t->state.parts; i++) {
        char prefix[64];
        snprintf(prefix, sizeof prefix, "optimizer.%s.", t->state.part_name[i]);
        s = vox_checkpoint_read_flat(file, prefix, t->exp->graph, false, t->state.part[i], err);
    }
    return s;
}

static vox_status resume(vox_trainer *t, vox_error *err)
{
    vox_safetensors *file;
    vox_checkpoint saved = {0};
    vox_status s = vox_safetensors_open(&file, t->run.last, err);
    if (s == VOX_OK) /* first: the network's shapes say more than the experiment's keys */
        s = vox_checkpoint_read_flat(file, "", t->exp->graph, true, t->state.params, err);
    if (s == VOX_OK)
        s = vox_checkpoint_read_meta(&saved, file, err);
    if (s == VOX_OK)
        s = check_resume(t, &saved, err);
    if (s == VOX_OK)
        s = read_parts(t, file, err);
    if (s == VOX_OK && t->ema)
        s = vox_checkpoint_read_flat(file, "ema.", t->exp->graph, false, t->state.ema, err);
    if (s == VOX_OK)
        t->state.progress = saved.progress;
    vox_checkpoint_release(&saved);
    vox_safetensors_free(&file);
    return s;
}

/* What rank 0 begins with, on all. */
static vox_status begin(vox_trainer *t, vox_error *err)
{
    vox_status s = VOX_OK;
    if (t->leads)
        s = t->opt->resume ? resume(t, err) : start_weights(t, err);
    s = vox_hosts_agree(t->opt->hosts, s, err);
    if (s == VOX_OK)
        s = vox_ranks_spread(t, err);
    for (size_t i = 0; s == VOX_OK && i < t->state.parts; i++)
        s = vox_optimizer_set_part(t->optimizer, i, t->state.part[i], err);
    if (s == VOX_OK && t->ema)
        s = vox_ema_set(t->ema, t->state.ema, err);
    return s == VOX_OK ? vox_team_set_params(t->team, t->state.params, err) : s;
}

/* That the weights to begin with are this network's, before data are read and kernels built: that
 * may take minutes.  The shares to begin with are in the same file. */
static vox_status check_weights(vox_trainer *t, vox_error *err)
{
    const vox_graph *graph = t->exp->graph;
    const char *path = t->opt->resume ? t->run.last : t->opt->init;
    vox_safetensors *file = NULL;
    if (!path)
        return VOX_OK;
    vox_status s = vox_safetensors_open(&file, path, err);
    float *flat = s == VOX_OK ? vox_calloc(graph->flat_floats, sizeof *flat, "weights", err) : NULL;
    if (s == VOX_OK)
        s = flat ? vox_checkpoint_read_flat(file, "", graph, t->opt->resume, flat, err)
                 : VOX_ERR_MEMORY;
    if (s == VOX_OK && t->opt->resume)
        s = vox_sharing_recall(&t->sharing, vox_safetensors_meta(file, "shares"), err);
    free(flat);
    vox_safetensors_free(&file);
    return s;
}

/* ---- open and close -------------------------------------------------------------- */

/* Those of the last batches of epochs. */
static vox_status check_last_batch(const vox_trainer *t, vox_error *err)
{
    const int64_t left = vox_cases_mark(&t->train).cases % t->exp->train.batch;
    return left ? vox_team_check(t->team, left, err) : VOX_OK;
}

static int64_t epoch_steps(const vox_trainer *t)
{
    const int64_t cases = t->state.data.cases, batch = t->exp->train.batch;
    return (cases + batch - 1) / batch;
}

static int64_t count_steps(const vox_trainer *t)
{
    const vox_train_spec *train = &t->exp->train;
    return train->iterations ? train->iterations : train->epochs * epoch_steps(t);
}

/* A rate that is not the experiment's own lr is said. */
static void make_rate(vox_trainer *t)
{
    const vox_train_spec *train = &t->exp->train;
    char text[400];
    t->rate = vox_rate_make(train, t->steps, epoch_steps(t));
    if (t->rate.scale == 1)
        return;
    vox_rate_text(train, text, sizeof text);
    vox_log(VOX_LOG_INFO, "%s; warm-up over %lld steps", text, (long long)t->rate.warmup);
}

/* This rank's samples of a batch. */
static void own_samples(void *user, size_t n, size_t *from, size_t *count)
{
    const vox_trainer *t = user;
    const vox_slice own = vox_team_slice(t->team, (int64_t)n);
    *from = (size_t)own.first;
    *count = (size_t)own.count;
}

static vox_status open_loader(vox_trainer *t, vox_error *err)
{
    const vox_progress *p = &t->state.progress;
    const vox_loader_options opt = {.batch = (size_t)t->exp->train.batch,
                                    .ahead = (size_t)t->ahead + 1,
                                    .shuffle = t->exp->train.shuffle,
                                    .seed = t->exp->train.seed,
                                    .epoch = (uint64_t)p->epoch,
                                    .first = (uint64_t)p->position,
                                    .share = own_samples,
                                    .user = t};
    return vox_loader_open(&t->loader, t->train.set, &opt, err);
}

/* Reading the data and building kernels may take minutes; nothing is written before their end. */
static vox_status check_stop(const vox_trainer *t, vox_error *err)
{
    unsigned stop = t->opt->should_stop && t->opt->should_stop(t->opt->user);
    vox_status s = vox_hosts_vote(t->opt->hosts, VOX_OK, &stop, err);
    if (s != VOX_OK || !stop)
        return s;
    vox_fail(err, VOX_ERR_INTERRUPTED, "stopped before the first step");
    vox_detail(err, t->opt->resume ? "the run is as it was: %s" : "nothing was written to %s",
               t->run.path);
    return vox_hosts_agree(t->opt->hosts, VOX_ERR_INTERRUPTED, err);
}

/* What needs no data, and no work of devices. */
static vox_status check_start(vox_trainer *t, const vox_ctx *ctx, vox_error *err)
{
    vox_status s = check_spec(t->exp, err);
    if (s == VOX_OK && t->opt->resume && t->opt->init) {
        s = vox_fail(err, VOX_ERR_USAGE, "--resume and --init exclude each other");
        vox_hint(err, "--resume takes the weights of the run itself");
    }
    if (s == VOX_OK)
        s = vox_scheme_check(t->opt, t->exp, err);
    if (s == VOX_OK && t->leads)
        s = vox_run_dir_init(&t->run, t->opt->run_dir, t->exp->name, t->opt->resume, err);
    s = vox_hosts_agree(t->opt->hosts, s, err);
    if (s == VOX_OK)
        s = vox_ranks_meet(t, err);
    if (s != VOX_OK)
        return s;
    s = vox_sharing_init(&t->sharing, t->opt, &t->exp->train, ctx, err);
    if (s == VOX_OK && t->leads)
        s = vox_tracing_begin(t, err);
    if (s == VOX_OK && t->leads)
        s = check_weights(t, err);
    s = vox_hosts_agree(t->opt->hosts, s, err);
    return s == VOX_OK ? vox_sharing_spread(&t->sharing, t->opt->hosts, err) : s;
}

static vox_status start_run(vox_trainer *t, vox_error *err)
{
    vox_status s = VOX_OK;
    if (t->leads)
        s = vox_run_dir_start(&t->run, t->exp->text, t->state.progress.step, err);
    if (s == VOX_OK && t->leads && !t->opt->resume && t->times)
        s = vox_finddb_save(t->times, t->run.tuning, err);
    return vox_hosts_agree(t->opt->hosts, s, err);
}

vox_status vox_trainer_open(vox_trainer *t, const vox_experiment *exp, vox_ctx *ctx,
                            const vox_train_options *opt, vox_error *err)
{
    const char *dir = opt->data_dir ? opt->data_dir : exp->base_dir;
    t->exp = exp;
    t->opt = opt;
    t->saved_step = t->valid_step = -1;
    t->leads = vox_hosts_rank(opt->hosts) == 0;
    vox_status s = check_start(t, ctx, err);
    if (s == VOX_OK)
        s = vox_hosts_agree(opt->hosts, open_data(t, dir, err), err);
    if (s == VOX_OK)
        s = vox_ranks_same_data(t, err);
    if (s == VOX_OK)
        s = vox_hosts_agree(opt->hosts, check_batch(t, err), err);
    if (s == VOX_OK)
        s = check_stop(t, err);
    if (s == VOX_OK)
        s = vox_hosts_agree(opt->hosts, open_team(t, ctx, err), err);
    if (s == VOX_OK)
        s = vox_hosts_agree(opt->hosts, check_last_batch(t, err), err);
    if (s == VOX_OK)
        s = vox_hosts_agree(opt->hosts, make_state(t, dir, err), err);
    if (s == VOX_OK)
        s = begin(t, err);
    if (s == VOX_OK)
        s = vox_hosts_agree(opt->hosts, open_loader(t, err), err);
    if (s == VOX_OK)
        s = check_stop(t, err);
    if (s == VOX_OK)
        s = start_run(t, err);
    if (s == VOX_OK && opt->resume)
        t->saved_step = t->state.progress.step;
    t->steps = count_steps(t);
    if (s == VOX_OK)
        make_rate(t);
    t->started = vox_now();
    t->began = t->started - t->state.progress.time_s;
    return s;
}

/* What a device's thread that hangs may yet read or write stays for good. */
static void leave_behind(vox_trainer *t)
{
    vox_trainer *kept = vox_calloc(1, sizeof *kept, "a training", NULL);
    if (kept)
        *kept = *t;
    vox_leave_behind(kept);
    t->train = t->valid = (vox_cases){0};
    t->loader = NULL;
    t->optimizer = NULL;
    t->ema = NULL;
    t->state = (vox_checkpoint){0};
    t->label = NULL;
    t->next = NULL;
}

void vox_trainer_close(vox_trainer *t)
{
    const bool hangs = vox_team_hangs(t->team); /* then what its thread may read must stay */
    vox_loader_stop(t->loader);                 /* it asks the team for its share */
    vox_team_free(&t->team);                    /* which may be at work on its batches */
    if (hangs)
        leave_behind(t);
    vox_loader_free(&t->loader);
    vox_optimizer_free(&t->optimizer);
    vox_ema_free(&t->ema);
    vox_sharing_release(&t->sharing);
    vox_cases_release(&t->train);
    vox_cases_release(&t->valid);
    vox_checkpoint_release(&t->state);
    vox_finddb_free(&t->times);
    vox_run_dir_release(&t->run);
    free(t->shares);
    free(t->used);
    free(t->loss);
    free(t->label);
    free(t->labelled);
    free(t->next);
}
