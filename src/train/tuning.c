/* tuning.c - vox_tune, and measuring before a training. */
#include "train/tuning.h"

#include "base/json.h"
#include "base/log.h"
#include "base/thread.h"
#include "net/plan.h"
#include "parallel/shard.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUDGET 60.0

typedef struct tuning {
    const vox_experiment *exp;
    vox_ctx *ctx;
    const vox_tune_options *opt;
    vox_tuner tuner;
    int64_t *count, *first; /* [devices]: samples, as vox_team shares them out */
    vox_device *dev;        /* in hand */
} tuning;

static vox_status check_methods(const vox_methods *m, vox_error *err)
{
    if (m->tune >= VOX_TUNE_OFF && m->tune <= VOX_TUNE_FULL && m->budget_s >= 0)
        return VOX_OK;
    vox_fail(err, VOX_ERR_USAGE, "no way of tuning");
    return vox_detail(err, "mode %d, a budget of %g s", (int)m->tune, m->budget_s);
}

static vox_status tuning_init(tuning *t, vox_finddb *db, vox_error *err)
{
    const vox_methods *m = &t->opt->methods;
    const size_t devices = vox_ctx_device_count(t->ctx);
    t->tuner = (vox_tuner){.db = db,
                           .again = m->tune == VOX_TUNE_FULL,
                           .until = vox_now() + (m->budget_s > 0 ? m->budget_s : BUDGET),
                           .workspace = m->workspace_bytes,
                           .now = vox_now};
    t->count = vox_calloc(2 * devices, sizeof *t->count, "the shares", err);
    if (!t->count)
        return VOX_ERR_MEMORY;
    t->first = t->count + devices;
    vox_shards_make(vox_train_at_once(&t->exp->train), devices, NULL, t->count, t->first);
    return VOX_OK;
}

static vox_plan_options plan_options(const tuning *t, size_t device)
{
    return (vox_plan_options){.n_max = t->count[device] > 0 ? t->count[device] : 1,
                              .training = true,
                              .algo = t->opt->methods.algo,
                              .times = t->tuner.db};
}

static void tell(void *user, int64_t done, int64_t total, const char *layer, vox_pass pass)
{
    const tuning *t = user;
    char text[160];
    snprintf(text, sizeof text, "%s %s", layer, vox_pass_names[pass]);
    if (t->opt->on_progress)
        t->opt->on_progress(t->opt->user, done, total, text);
}

static vox_status measure(tuning *t, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t i = 0; i < vox_ctx_device_count(t->ctx) && s == VOX_OK; i++) {
        const vox_plan_options opt = plan_options(t, i);
        t->dev = vox_ctx_get(t->ctx, i);
        s = vox_plan_tune(t->exp->graph, t->dev, &opt, &t->tuner, tell, t, err);
    }
    if (s == VOX_OK)
        vox_log(VOX_LOG_INFO,
                "tuning: %" PRId64 " passes measured, %" PRId64 " known, %" PRId64
                " left out; %" PRId64 " with variants left out",
                t->tuner.measured, t->tuner.known, t->tuner.skipped, t->tuner.unfinished);
    return s;
}

vox_status vox_tuning_open(vox_finddb **times, const vox_experiment *exp, vox_ctx *ctx,
                           const vox_methods *methods, vox_error *err)
{
    const vox_tune_options opt = {.methods = *methods};
    tuning t = {.exp = exp, .ctx = ctx, .opt = &opt};
    *times = NULL;
    vox_status s = check_methods(methods, err);
    if (s != VOX_OK || methods->tune == VOX_TUNE_OFF)
        return s;
    s = vox_finddb_open(times, NULL, err);
    if (s == VOX_OK)
        s = tuning_init(&t, *times, err);
    if (s == VOX_OK)
        s = measure(&t, err);
    free(t.count);
    if (s != VOX_OK)
        vox_finddb_free(times);
    return s;
}

/* ---- the document -------------------------------------------------------- */

/* "direct16", with its layouts where they are not plain: one name may stand for several. */
static const char *name_algo(char text[96], const char *algo, vox_layout in, vox_layout out)
{
    static const char *const layouts[VOX_LAYOUTS][VOX_LAYOUTS] = {{"", " plain>block16"},
                                                                  {" block16>plain", " block16"}};
    snprintf(text, 96, "%s%s", algo, algo[0] ? layouts[in][out] : "");
    return text;
}

static void put_row(vox_json *j, const char *device, const vox_tune_row *r)
{
    char text[96];
    vox_json_begin(j, NULL, '{');
    vox_json_string(j, "device", device);
    vox_json_string(j, "layer", r->layer);
    vox_json_string(j, "op", r->op);
    vox_json_string(j, "pass", vox_pass_names[r->pass]);
    vox_json_string(j, "winner", name_algo(text, r->algo, r->in, r->out));
    vox_json_number(j, "time_s", r->seconds);
    vox_json_string(j, "second", name_algo(text, r->second, r->second_in, r->second_out));
    vox_json_number(j, "second_s", r->second_seconds);
    vox_json_string(j, "rule", r->rule_algo);
    vox_json_number(j, "rule_s", r->rule_seconds);
    vox_json_end(j, '}');
}

static vox_status put_device(const tuning *t, vox_json *j, size_t device, vox_error *err)
{
    const vox_plan_options opt = plan_options(t, device);
    vox_tune_row *row;
    size_t rows;
    vox_status s =
        vox_plan_tuned(t->exp->graph, vox_ctx_get(t->ctx, device), &opt, &row, &rows, err);
    if (s != VOX_OK)
        return s;
    for (size_t i = 0; i < rows; i++)
        put_row(j, vox_ctx_device(t->ctx, device)->name, &row[i]);
    free(row);
    return VOX_OK;
}

static vox_status report(const tuning *t, double seconds, char **json, vox_error *err)
{
    vox_json j = {0};
    vox_status s = VOX_OK;
    vox_json_begin(&j, NULL, '{');
    vox_json_string(&j, "experiment", t->exp->name);
    vox_json_int(&j, "batch", t->exp->train.batch);
    vox_json_int(&j, "measured", t->tuner.measured);
    vox_json_int(&j, "known", t->tuner.known);
    vox_json_int(&j, "skipped", t->tuner.skipped);
    vox_json_number(&j, "time_s", seconds);
    vox_json_begin(&j, "layers", '[');
    for (size_t i = 0; i < vox_ctx_device_count(t->ctx) && s == VOX_OK; i++)
        s = put_device(t, &j, i, err);
    vox_json_end(&j, ']');
    vox_json_end(&j, '}');
    if (s != VOX_OK) {
        vox_str_release(&j.text);
        return s;
    }
    *json = vox_json_take(&j, err);
    return *json ? VOX_OK : VOX_ERR_MEMORY;
}

vox_status vox_tune(const vox_experiment *exp, vox_ctx *ctx, const vox_tune_options *opt,
                    char **json, vox_error *err)
{
    const vox_tune_options none = {0};
    tuning t = {.exp = exp, .ctx = ctx, .opt = opt ? opt : &none};
    const double start = vox_now();
    vox_finddb *db = NULL;
    *json = NULL;
    vox_status s = check_methods(&t.opt->methods, err);
    if (s == VOX_OK)
        s = vox_finddb_open(&db, NULL, err);
    if (s == VOX_OK)
        s = tuning_init(&t, db, err);
    if (s == VOX_OK)
        s = measure(&t, err);
    if (s == VOX_OK)
        s = report(&t, vox_now() - start, json, err);
    free(t.count);
    vox_finddb_free(&db);
    return s;
}
