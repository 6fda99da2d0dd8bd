/* loop.c - vox_train: one step after the other, with what comes between them.
 *
 * The order within a step is fixed, so that a checkpoint knows everything up to its step: compute,
 * log, validate if due, save if due, then ask whether to stop. */
#include "train/loop.h"

#include "base/log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void tell(vox_trainer *t, vox_event event)
{
    event.step = t->state.progress.step;
    event.steps = t->steps;
    event.time_s = t->state.progress.time_s;
    if (t->opt->on_event && t->leads)
        t->opt->on_event(t->opt->user, &event);
}

/* ---- a step ------------------------------------------------------------------ */

static vox_status nonfinite(vox_trainer *t, double loss, vox_error *err)
{
    char layer[64];
    long long step = (long long)t->state.progress.step + 1;
    vox_status s = vox_team_find_nonfinite(t->team, layer, err);
    if (s != VOX_OK)
        return s;
    vox_fail(err, VOX_ERR_NONFINITE, "the loss of step %lld is not finite", step);
    vox_detail(err, "loss %g; the first output that is not finite is that of %s%s%s; %s%s", loss,
               layer[0] ? "layer \"" : "the loss", layer, layer[0] ? "\"" : " itself",
               t->saved_step >= 0 ? "the last good checkpoint is " : "no checkpoint was made yet",
               t->saved_step >= 0 ? t->run.last : "");
    vox_hint(err, "lower train.optimizer's lr, add train.warmup or train.clip_norm, and "
                  "look at the prepared voxels (data.prepare: normalize)");
    return vox_hosts_agree(t->opt->hosts, VOX_ERR_NONFINITE, err);
}

typedef struct update_arg {
    vox_trainer *t;
    const vox_batch *batch;
    int64_t unseen; /* losses on the device that the host has not seen yet */
    double lr;
} update_arg;

static vox_status update_on_device(vox_replica *r, void *arg, vox_error *err)
{
    const update_arg *u = arg;
    vox_plan *plan = vox_replica_plan(r);
    const int64_t step = u->t->state.progress.step;
    vox_status s = vox_optimizer_step(u->t->optimizer, vox_plan_params(plan), vox_plan_grads(plan),
                                      vox_plan_loss(plan)->buf, u->unseen, u->lr, step, err);
    return s == VOX_OK && u->t->ema ? vox_ema_step(u->t->ema, vox_plan_params(plan), step, err) : s;
}

static vox_status update_on_host(void *arg, float *params, float *grads, const vox_factors *factors,
                                 vox_pool *pool, vox_error *err)
{
    const update_arg *u = arg;
    const int64_t step = u->t->state.progress.step;
    const vox_team_taking now = vox_team_now(u->t->team);
    vox_status s = VOX_OK;
    if (grads)
        s = vox_optimizer_step_host(u->t->optimizer, params, grads, factors, u->lr * now.part,
                                    now.number, pool, err);
    if (s == VOX_OK && u->t->ema && now.whole)
        s = vox_ema_step_host(u->t->ema, params, step, pool, err);
    return s;
}

/* The samples that are this rank's since devices failed. */
static vox_status fetch(void *arg, vox_team_batch *batch, vox_error *err)
{
    const update_arg *u = arg;
    vox_status s = vox_loader_again(u->t->loader, err);
    if (s == VOX_OK)
        *batch = vox_ahead_take(u->t, u->batch);
    return s;
}

static double mean_loss(const float *loss, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)loss[i];
    return sum / (double)n;
}

static void advance(vox_trainer *t, const vox_batch *batch, double loss)
{
    vox_progress *p = &t->state.progress;
    p->step++;
    p->loss = loss;
    p->epoch = (int64_t)batch->epoch;
    p->position = (int64_t)(batch->first + batch->n);
    if (p->position == t->state.data.cases) {
        p->position = 0;
        p->epoch++;
    }
    p->time_s = vox_now() - t->began;
}

/* The shares of a full batch, where they are not those of the step before. */
static void log_shares(vox_trainer *t, vox_json *j)
{
    const size_t devices = vox_team_fleet(t->team)->count;
    int64_t *now = vox_calloc(devices, sizeof *now, "shares", NULL);
    if (!now)
        return;
    vox_team_shares(t->team, now);
    if (devices > 1 && memcmp(now, t->shares, devices * sizeof *now) != 0) {
        vox_json_begin(j, "shares", '[');
        for (size_t i = 0; i < devices; i++)
            vox_json_int(j, NULL, now[i]);
        vox_json_end(j, ']');
        memcpy(t->shares, now, devices * sizeof *now);
    }
    free(now);
}

/* Devices lost since the last step's line. */
static void log_lost(vox_trainer *t, vox_json *j)
{
    const vox_fleet *fleet = vox_team_fleet(t->team);
    size_t lost = 0;
    int64_t step;
    const char *reason;
    for (size_t i = 0; i < fleet->count; i++)
        lost += vox_team_lost(t->team, i, &step, &reason);
    if (lost == t->lost_said)
        return;
    t->lost_said = lost;
    vox_json_begin(j, "lost", '[');
    for (size_t i = 0; i < fleet->count; i++)
        if (vox_team_lost(t->team, i, &step, &reason)) {
            vox_json_begin(j, NULL, '{');
            vox_json_string(j, "device", fleet->title[i].text);
            vox_json_int(j, "step", step);
            vox_json_string(j, "reason", reason);
            vox_json_end(j, '}');
        }
    vox_json_end(j, ']');
}

static vox_status log_step(vox_trainer *t, const vox_event *event, vox_error *err)
{
    vox_json j = {0};
    if (!t->leads)
        return VOX_OK;
    vox_json_begin(&j, NULL, '{');
    vox_json_int(&j, "step", t->state.progress.step); /* first: see run_dir.c */
    vox_json_int(&j, "epoch", event->epoch);
    vox_json_number(&j, "loss", event->loss);
    vox_json_number(&j, "lr", event->lr);
    vox_json_number(&j, "time_s", t->state.progress.time_s);
    vox_json_number(&j, "samples_per_s", event->samples_per_s);
    log_shares(t, &j);
    log_lost(t, &j);
    vox_scheme_log_step(t, &j);
    vox_json_end(&j, '}');
    return vox_run_dir_log(&t->run, &j, err);
}

static vox_status step(vox_trainer *t, vox_error *err)
{
    const vox_span span = vox_span_begin("step", "step");
    const vox_train_spec *spec = &t->exp->train;
    const vox_progress *p = &t->state.progress;
    const vox_batch *batch;
    const double start = vox_now();
    vox_usage_begin(t);
    if (vox_hosts_size(t->opt->hosts) > 1) /* what a rank has to read follows its devices' shares */
        vox_loader_share_anew(t->loader);
    vox_status s = vox_hosts_agree(t->opt->hosts, vox_loader_next(t->loader, &batch, err), err);
    const double data_s = vox_now() - start;
    if (s != VOX_OK)
        return s;
    const vox_team_batch b = vox_ahead_take(t, batch);
    update_arg u = {t, batch, vox_team_looks(t->team, b.n) ? 0 : b.n,
                    vox_rate_at(&t->rate, spec, p->step, t->steps)};
    const vox_team_update update = {update_on_device, update_on_host, &u, fetch};
    if ((s = vox_team_step(t->team, &b, &update, t->loss, err)) != VOX_OK)
        return s;
    double loss = mean_loss(t->loss, b.n);
    if (!isfinite(loss))
        return nonfinite(t, loss, err);
    vox_event event = {.kind = VOX_EVENT_STEP,
                       .epoch = (int64_t)batch->epoch,
                       .loss = loss,
                       .lr = u.lr,
                       .staleness = vox_team_last_staleness(t->team, false).mean,
                       .samples_per_s = (double)batch->n / (vox_now() - start)};
    advance(t, batch, loss);
    if ((s = vox_hosts_agree(t->opt->hosts, log_step(t, &event, err), err)) == VOX_OK)
        tell(t, event);
    const vox_trace_arg args[] = {{"step", NULL, (double)p->step}, {"loss", NULL, loss}};
    vox_span_end_with(&span, args, 2);
    vox_usage_end(t, data_s);
    vox_tracing_step(t);
    return s;
}

/* ---- checkpoints -------------------------------------------------------------- */

static vox_status fetch_state(vox_trainer *t, vox_error *err)
{
    /* averaged: a validation failed, and maybe with the last device */
    vox_status s = t->averaged ? VOX_OK : vox_team_get_params(t->team, t->state.params, err);
    free(t->state.shares);
    t->state.shares = NULL;
    if (s == VOX_OK && vox_team_fleet(t->team)->count > 1) {
        t->state.shares = vox_sharing_text(t->team, err);
        s = t->state.shares ? VOX_OK : VOX_ERR_MEMORY;
    }
    for (size_t i = 0; s == VOX_OK && i < t->state.parts; i++)
        s = vox_optimizer_get_part(t->optimizer, i, t->state.part[i], err);
    return s == VOX_OK && t->ema ? vox_ema_get(t->ema, t->state.ema, err) : s;
}

static vox_status write_state(vox_trainer *t, const char *path, vox_error *err)
{
    const vox_span span = vox_span_begin("checkpoint", "host");
    vox_status s = fetch_state(t, err);
    if (s == VOX_OK)
        s = vox_run_dir_sync(&t->run, err);
    if (s == VOX_OK)
        s = vox_checkpoint_save(&t->state, t->exp->graph, path, err);
    vox_span_end(&span);
    return s;
}

static vox_status save(vox_trainer *t, const char *path, vox_error *err)
{
    vox_status s = t->leads ? write_state(t, path, err) : VOX_OK;
    s = vox_hosts_agree(t->opt->hosts, s, err);
    if (s == VOX_OK)
        if (s == VOX_OK)
            tell(t, (vox_event){.kind = VOX_EVENT_CHECKPOINT, .text = path});
    return s;
}

static vox_status save_last(vox_trainer *t, vox_error *err)
{
    if (t->saved_step == t->state.progress.step)
        return VOX_OK;
    vox_status s = save(t, t->run.last, err);
    if (s == VOX_OK)
        t->saved_step = t->state.progress.step;
    return s;
}

/* ---- validation ---------------------------------------------------------------- */

static vox_status log_valid(vox_trainer *t, const vox_metrics_result *r, vox_error *err)
{
    vox_json j = {0};
    if (!t->leads)
        return VOX_OK;
    vox_json_begin(&j, NULL, '{');
    vox_json_int(&j, "step", t->state.progress.step);
    vox_json_string(&j, "split", "valid");
    vox_json_number(&j, "loss", r->loss);
    vox_json_number(&j, "accuracy", r->accuracy);
    if (r->maps) {
        vox_json_number(&j, "dice", r->dice);
        vox_json_begin(&j, "class_dice", '[');
        for (int64_t i = 0; i < r->classes; i++)
            vox_json_number(&j, NULL, r->class_dice[i]);
        vox_json_end(&j, ']');
    } else {
        vox_json_number(&j, "auc", r->auc);
        vox_json_number(&j, "kappa", r->kappa);
    }
    vox_json_int(&j, "samples", r->samples);
    vox_json_begin(&j, "confusion", '[');
    for (int64_t i = 0; i < r->classes; i++) {
        vox_json_begin(&j, NULL, '[');
        for (int64_t k = 0; k < r->classes; k++)
            vox_json_int(&j, NULL, r->confusion[i * r->classes + k]);
        vox_json_end(&j, ']');
    }
    vox_json_end(&j, ']');
    vox_json_end(&j, '}');
    return vox_run_dir_log(&t->run, &j, err);
}

/* What a validation is judged by: accuracy, or of a segmentation Dice (no class there: the least).
 */
static double score(const vox_metrics_result *r)
{
    return !r->maps ? r->accuracy : isnan(r->dice) ? -1 : r->dice;
}

/* A higher score; between equals the lower loss. */
static bool better(const vox_metrics_result *a, const vox_progress *p)
{
    if (p->best_step == 0 || score(a) != score(&p->best))
        return p->best_step == 0 || score(a) > score(&p->best);
    return a->loss < p->best.loss;
}

/* The averaged weights, if there are any, take the place of the others meanwhile. */
static vox_status evaluate(vox_trainer *t, vox_error *err)
{
    const vox_span span = vox_span_begin("validate", "host");
    vox_checkpoint *c = &t->state;
    vox_status s = t->ema ? vox_team_get_params(t->team, c->params, err) : VOX_OK;
    if (s == VOX_OK && t->ema)
        s = vox_ema_get(t->ema, c->ema, err);
    t->averaged = s == VOX_OK && t->ema;
    if (t->averaged)
        s = vox_team_set_params(t->team, c->ema, err);
    if (s == VOX_OK)
        s = vox_cases_evaluate(&t->valid, t->team, t->exp->graph, t->exp->train.batch,
                               &t->valid_last, err);
    if (s == VOX_OK && t->ema)
        s = vox_team_set_params(t->team, c->params, err);
    t->averaged = t->averaged && s != VOX_OK;
    vox_span_end(&span);
    return s;
}

/* Counts the validations in a row that early_stop is waiting through. */
static void watch(vox_trainer *t)
{
    const vox_early_stop_spec *spec = &t->exp->train.early_stop;
    const vox_metrics_result *r = &t->valid_last;
    vox_progress *p = &t->state.progress;
    const double value = spec->monitor == VOX_MONITOR_LOSS ? -r->loss : score(r);
    const bool better_now = p->stop_seen == 0 || value > p->stop_best + spec->min_delta;
    p->stop_seen++;
    p->stop_waited = better_now ? 0 : p->stop_waited + 1;
    if (better_now)
        p->stop_best = value;
}

static bool stops_early(const vox_trainer *t)
{
    const int64_t patience = t->exp->train.early_stop.patience;
    return patience > 0 && t->state.progress.stop_waited >= patience;
}

static vox_status validate(vox_trainer *t, vox_error *err)
{
    vox_progress *p = &t->state.progress;
    vox_metrics_result *r = &t->valid_last;
    if (!t->valid.set || t->valid_step == p->step)
        return VOX_OK;
    vox_status s = evaluate(t, err);
    if (s != VOX_OK)
        return s;
    if (t->exp->train.early_stop.patience)
        watch(t);
    t->valid_step = p->step;
    p->time_s = vox_now() - t->began;
    if ((s = vox_hosts_agree(t->opt->hosts, log_valid(t, r, err), err)) != VOX_OK)
        return s;
    tell(t, (vox_event){.kind = VOX_EVENT_VALID,
                        .epoch = p->epoch,
                        .loss = r->loss,
                        .accuracy = r->accuracy,
                        .auc = r->auc,
                        .kappa = r->kappa,
                        .dice = r->dice,
                        .class_dice = r->maps ? r->class_dice : NULL,
                        .class_name = (const char *const *)t->state.classes.name,
                        .classes = r->maps ? (int64_t)t->state.classes.count : 0});
    if (!better(r, p))
        return VOX_OK;
    p->best = *r;
    p->best_step = p->step;
    return save(t, t->run.best, err);
}

/* ---- the loop -------------------------------------------------------------------- */

/* every steps; 0: whenever `otherwise`. */
static bool due(int64_t step, int64_t every, bool otherwise)
{
    return every ? step % every == 0 : otherwise;
}

static bool valid_due(const vox_trainer *t, int64_t done, bool epoch_end)
{
    return due(done, t->exp->train.validate_every, epoch_end) || done == t->steps;
}

static bool save_due(const vox_trainer *t, int64_t done, bool epoch_end)
{
    return due(done, t->exp->train.checkpoint_every, valid_due(t, done, epoch_end)) ||
           done == t->steps;
}

bool vox_train_pauses(const vox_trainer *t, int64_t done, bool epoch_end)
{
    return valid_due(t, done, epoch_end) || save_due(t, done, epoch_end);
}

static vox_status between_steps(vox_trainer *t, vox_error *err)
{
    const int64_t done = t->state.progress.step;
    const bool epoch_end = t->state.progress.position == 0;
    vox_status s = valid_due(t, done, epoch_end) ? validate(t, err) : VOX_OK;
    return s == VOX_OK && save_due(t, done, epoch_end) ? save_last(t, err) : s;
}

static vox_status interrupted(vox_trainer *t, vox_error *err)
{
    vox_status s = save_last(t, err);
    if (s != VOX_OK)
        return s;
    vox_fail(err, VOX_ERR_INTERRUPTED, "stopped after step %lld of %lld",
             (long long)t->state.progress.step, (long long)t->steps);
    vox_detail(err, "everything is in %s", t->run.last);
    vox_hint(err, "go on with --resume --run %s", t->run.path);
    return vox_hosts_agree(t->opt->hosts, VOX_ERR_INTERRUPTED, err);
}

enum { ASKED_TO_STOP = 1, OUT_OF_TIME = 2 };

/* What any rank has to say before the next step, told to all. */
static vox_status ask_all(const vox_trainer *t, unsigned *flags, vox_error *err)
{
    const double limit = t->exp->train.max_minutes * 60;
    *flags = 0;
    if (t->opt->should_stop && t->opt->should_stop(t->opt->user))
        *flags |= ASKED_TO_STOP;
    if (limit > 0 && vox_now() - t->started >= limit)
        *flags |= OUT_OF_TIME;
    return vox_hosts_vote(t->opt->hosts, VOX_OK, flags, err);
}

/* No device is left to train on: what is known of the last whole step is saved.  (With --sync async
 * also updates by shares of the step under way, whose samples will come once more.) */
static vox_status give_up(vox_trainer *t, vox_status s, vox_error *err)
{
    char detail[sizeof err->detail];
    vox_error unsaved = {0};
    const long long step = (long long)t->state.progress.step;
    if (!err || (s != VOX_ERR_DEVICE && s != VOX_ERR_ROOM))
        return s;
    snprintf(detail, sizeof detail, "%s", err->detail);
    if (vox_hosts_agreed(t->opt->hosts) && vox_team_intact(t->team) &&
        save_last(t, &unsaved) == VOX_OK) {
        if (step > 0)
            vox_detail(err, "%s; everything up to step %lld is in %s", detail, step, t->run.last);
        else
            vox_detail(err, "%s; no step was done, what it began with is in %s", detail,
                       t->run.last);
        vox_hint(err, "go on with --resume --run %s, on other devices perhaps", t->run.path);
    } else if (t->saved_step >= 0) {
        vox_detail(err, "%s; the last checkpoint, of step %lld, is %s", detail,
                   (long long)t->saved_step, t->run.last);
        vox_hint(err, "go on with --resume --run %s", t->run.path);
    } else {
        vox_detail(err, "%s; no checkpoint was made yet", detail);
    }
    return s;
}

static vox_status train(vox_trainer *t, vox_error *err)
{
    unsigned flags, asked = 0;
    vox_status s = VOX_OK;
    int64_t first = t->state.progress.step;
    while (t->state.progress.step < t->steps && !stops_early(t)) {
        if ((s = ask_all(t, &flags, err)) != VOX_OK)
            return s;
        asked |= t->state.progress.step > first ? flags : flags & OUT_OF_TIME;
        t->closing = asked != 0;
        if (t->closing && vox_team_begun(t->team) == 0)
            break;
        if ((s = step(t, err)) != VOX_OK || (s = between_steps(t, err)) != VOX_OK)
            return give_up(t, s, err);
    }
    if (asked & ASKED_TO_STOP && t->state.progress.step < t->steps && !stops_early(t))
        return interrupted(t, err);
    if (stops_early(t))
        vox_log(VOX_LOG_INFO, "stopped early: %lld validations in a row without a better one",
                (long long)t->state.progress.stop_waited);
    if (t->state.progress.step > first) /* out of time: as if these had been all steps */
        s = validate(t, err);
    return s == VOX_OK ? save_last(t, err) : s;
}

static void fill_lost(vox_team *team, vox_train_result *r)
{
    const vox_fleet *fleet = vox_team_fleet(team);
    r->all_devices = fleet->count;
    r->hangs = vox_team_hangs(team);
    for (size_t i = 0; i < r->all_devices; i++) {
        int64_t step;
        const char *reason;
        if (!vox_team_lost(team, i, &step, &reason))
            continue;
        if (r->lost < sizeof r->gone / sizeof *r->gone) {
            vox_lost_device *gone = &r->gone[r->lost];
            snprintf(gone->device, sizeof gone->device, "%s", fleet->title[i].text);
            snprintf(gone->reason, sizeof gone->reason, "%s", reason);
            gone->step = step;
        }
        r->lost++;
    }
}

static void fill_result(const vox_trainer *t, vox_train_result *r)
{
    const vox_progress *p = &t->state.progress;
    snprintf(r->run_dir, sizeof r->run_dir, "%s", t->run.path ? t->run.path : "");
    fill_lost(t->team, r);
    r->steps = p->step;
    r->time_s = p->time_s;
    r->train_loss = p->loss;
    r->validated = p->best_step > 0;
    r->valid_loss = r->validated ? p->best.loss : NAN;
    r->accuracy = r->validated ? p->best.accuracy : NAN;
    r->auc = r->validated ? p->best.auc : NAN;
    r->kappa = r->validated ? p->best.kappa : NAN;
    r->dice = r->validated ? p->best.dice : NAN;
    r->last_dice = t->valid_step >= 0 ? t->valid_last.dice : r->dice;
    r->maps = p->best.maps;
    memcpy(r->class_dice, p->best.class_dice, sizeof r->class_dice);
    for (size_t i = 0; i < t->state.classes.count; i++)
        snprintf(r->class_name[i], sizeof r->class_name[i], "%s", t->state.classes.name[i]);
    r->last_accuracy = t->valid_step >= 0 ? t->valid_last.accuracy : r->accuracy;
    r->classes = t->classes;
    memcpy(r->confusion, p->best.confusion, sizeof r->confusion);
    vox_scheme_fill(t, r);
    r->bad_cases = vox_cases_report_bad(&t->train) + vox_cases_report_bad(&t->valid);
}

vox_status vox_train(const vox_experiment *exp, vox_ctx *ctx, const vox_train_options *opt,
                     vox_train_result *result, vox_error *err)
{
    vox_trainer *t = vox_calloc(1, sizeof *t, "a training", err); /* too large for a small stack */
    if (!t)
        return VOX_ERR_MEMORY;
    vox_status s = vox_trainer_open(t, exp, ctx, opt, err);
    const bool began = s == VOX_OK;
    if (began) {
        vox_str text = {0};
        vox_team_describe(t->team, &text);
        tell(t, (vox_event){.kind = VOX_EVENT_START,
                            .epoch = t->state.progress.epoch,
                            .text = text.text ? text.text : ""});
        vox_str_release(&text);
        s = train(t, err);
    }
    vox_team_rest(t->team);
    if (result && t->team) {
        memset(result, 0, sizeof *result);
        fill_result(t, result);
    }
    if (began)
        vox_usage_report(t, result, s == VOX_OK);
    vox_hosts_settle(opt->hosts, s);
    vox_trainer_close(t);
    vox_tracing_end(t, began);
    free(t);
    return s;
}
