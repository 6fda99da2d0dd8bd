/* model.c - a trained network from its checkpoint alone: evaluation. */
#include "train/model.h"

#include "base/json.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static vox_status open_network(vox_model *m, vox_ctx *ctx, const char *path, vox_error *err)
{
    vox_safetensors *file = NULL;
    float *flat = NULL;
    vox_status s = vox_safetensors_open(&file, path, err);
    if (s == VOX_OK)
        s = vox_checkpoint_read_meta(&m->saved, file, err);
    if (s == VOX_OK)
        s = vox_experiment_parse(&m->exp, m->saved.experiment, path, m->saved.data_dir, err);
    if (s == VOX_OK)
        s = vox_cases_classes(m->exp->graph, &m->classes, err);
    if (s == VOX_OK) {
        flat = vox_calloc(m->exp->graph->flat_floats, sizeof *flat, "the weights", err);
        s = flat ? vox_checkpoint_read_flat(file, "", m->exp->graph, true, flat, err)
                 : VOX_ERR_MEMORY;
    }
    if (s == VOX_OK && m->exp->train.ema.on) {
        s = vox_checkpoint_read_flat(file, "ema.", m->exp->graph, false, flat, err);
        vox_log(VOX_LOG_INFO, "%s: using the averaged weights (train.ema)", path);
    }
    if (s == VOX_OK) {
        /* as many at once as in training, in equal shares: no device waits for another's more */
        const int64_t devices = (int64_t)vox_ctx_device_count(ctx);
        const int64_t batch = vox_train_at_once(&m->exp->train);
        m->batch = (batch + devices - 1) / devices * devices;
        const vox_team_options opt = {.graph = m->exp->graph, .batch = m->batch};
        s = vox_team_open(&m->team, ctx, &opt, err);
    }
    if (s == VOX_OK)
        s = vox_team_set_params(m->team, flat, err);
    free(flat);
    vox_safetensors_free(&file);
    return s;
}

vox_status vox_model_open(vox_model **out, vox_ctx *ctx, const char *checkpoint, vox_error *err)
{
    *out = NULL;
    vox_model *m = vox_calloc(1, sizeof *m, "a model", err);
    if (!m)
        return VOX_ERR_MEMORY;
    vox_status s = open_network(m, ctx, checkpoint, err);
    if (s != VOX_OK)
        vox_model_free(&m);
    *out = m;
    return s;
}

void vox_model_free(vox_model **model)
{
    vox_model *m = model ? *model : NULL;
    if (!m)
        return;
    vox_team_free(&m->team);
    vox_experiment_free(&m->exp);
    vox_checkpoint_release(&m->saved);
    free(m);
    *model = NULL;
}

bool vox_model_segments(const vox_model *model)
{
    return vox_graph_labels(model->exp->graph) > 1;
}

int64_t vox_model_classes(const vox_model *model)
{
    return model->classes;
}

const char *vox_model_class(const vox_model *model, int64_t k)
{
    const vox_class_names *names = &model->saved.classes;
    return k >= 0 && (size_t)k < names->count ? names->name[k] : "";
}

/* ---- which data --------------------------------------------------------------- */

/* {word: "path"} as a document; JSON's quoting is YAML's as well. */
static vox_status make_spec(vox_yaml **doc, const char *word, const char *path, vox_error *err)
{
    vox_json j = {0};
    vox_json_begin(&j, NULL, '{');
    vox_json_string(&j, word, path);
    vox_json_end(&j, '}');
    char *text = vox_json_take(&j, err);
    vox_status s = text ? vox_yaml_parse(doc, text, path, err) : VOX_ERR_MEMORY;
    free(text);
    return s;
}

static bool has(const char *dir, const char *name)
{
    char *path = vox_path_join(dir, name, NULL);
    bool there = path && vox_path_exists(path);
    free(path);
    return there;
}

/* What `data` means: NULL is the experiment's validation set where it was; a folder is where the
 * experiment's validation set lies now (or, if it has none, a data set of the layout that the
 * folder has: dataset.json, images/ and masks/, or one folder per class); a file is a manifest.
 * *doc is set where the spec is not the experiment's. */
vox_status vox_model_choose_data(const vox_model *m, const char *data, vox_yaml **doc,
                                 const vox_yaml_node **spec, const char **dir, vox_error *err)
{
    vox_status s = VOX_OK;
    *spec = m->exp->data.valid;
    *dir = m->saved.data_dir;
    if (!data && !*spec) {
        s = vox_fail(err, VOX_ERR_USAGE, "the experiment has no validation data");
        return vox_hint(err, "name a manifest or a folder with --data");
    }
    if (!data)
        return s;
    if (!vox_path_exists(data))
        return vox_fail_errno(err, "open", data);
    if (vox_path_is_dir(data) && *spec) {
        *dir = data;
        return s;
    }
    *dir = ".";
    const char *word = "manifest";
    if (vox_path_is_dir(data))
        word = has(data, "dataset.json") ? "msd" : has(data, "images") ? "pairs" : "folder";
    s = make_spec(doc, word, data, err);
    *spec = *doc ? vox_yaml_root(*doc) : NULL;
    return s;
}

vox_status vox_model_eval(vox_model *model, const char *data, vox_eval_result *result,
                          vox_error *err)
{
    vox_yaml *doc = NULL;
    const vox_yaml_node *spec;
    const char *dir;
    vox_pool *pool = NULL;
    vox_cases cases = {0};
    vox_metrics_result *r = vox_calloc(1, sizeof *r, "an evaluation", err);
    vox_status s = r ? vox_model_choose_data(model, data, &doc, &spec, &dir, err) : VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = vox_pool_open(&pool, 0, err);
    if (s == VOX_OK)
        s = vox_cases_open(&cases, model->exp, spec, dir, "evaluation", model->classes,
                           &model->saved.classes, &model->saved.stats, pool, err);
    if (s == VOX_OK)
        s = vox_cases_evaluate(&cases, model->team, model->exp->graph, model->batch, r, err);
    if (s == VOX_OK) {
        vox_cases_report_bad(&cases);
        result->samples = r->samples;
        result->loss = r->loss;
        result->accuracy = r->accuracy;
        result->auc = r->auc;
        result->kappa = r->kappa;
        result->classes = r->classes;
        result->maps = r->maps;
        result->dice = r->dice;
        memcpy(result->class_dice, r->class_dice, sizeof result->class_dice);
        for (size_t i = 0; i < model->saved.classes.count; i++)
            snprintf(result->class_name[i], sizeof result->class_name[i], "%s",
                     model->saved.classes.name[i]);
        memcpy(result->confusion, r->confusion, sizeof result->confusion);
    }
    vox_cases_release(&cases);
    vox_pool_free(&pool);
    vox_yaml_free(&doc);
    free(r);
    return s;
}
