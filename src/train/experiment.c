/* experiment.c - experiment files: sections, defaults, overrides. */
#include "train/experiment.h"

#include "base/file.h"
#include "ops/attr.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- train: ------------------------------------------------------------- */

#define FIELD(type, name) offsetof(type, name)

static const char *const scalings[] = {"auto", "linear", "sqrt", "none", NULL};

static const vox_attr train_attrs[] = {
    {"batch", VOX_ATTR_INT, FIELD(vox_train_spec, batch), .dflt = 1, .min = 1, .max = 1 << 20},
    {"accumulate", VOX_ATTR_INT, FIELD(vox_train_spec, accumulate), .dflt = 1, .min = 1,
     .max = 1 << 20},
    {"memory_mib", VOX_ATTR_INT, FIELD(vox_train_spec, memory_mib), .min = 1, .max = 1 << 30},
    {"iterations", VOX_ATTR_INT, FIELD(vox_train_spec, iterations), .min = 1, .max = 1e15},
    {"epochs", VOX_ATTR_INT, FIELD(vox_train_spec, epochs), .min = 1, .max = 1e9},
    {"reference_batch", VOX_ATTR_INT, FIELD(vox_train_spec, reference_batch), .min = 1,
     .max = 1 << 20},
    {"scaling", VOX_ATTR_WORD, FIELD(vox_train_spec, scaling), .words = scalings},
    {"warmup", VOX_ATTR_INT, FIELD(vox_train_spec, warmup), .min = 0, .max = 1e15},
    {"clip_norm", VOX_ATTR_FLOAT, FIELD(vox_train_spec, clip_norm), .min = 0, .max = HUGE_VAL},
    {"shuffle", VOX_ATTR_BOOL, FIELD(vox_train_spec, shuffle), .dflt = 1},
    {"seed", VOX_ATTR_INT, FIELD(vox_train_spec, seed), .dflt = 1, .min = 0, .max = 1e19},
    {"validate_every", VOX_ATTR_INT, FIELD(vox_train_spec, validate_every), .min = 0, .max = 1e15},
    {"checkpoint_every", VOX_ATTR_INT, FIELD(vox_train_spec, checkpoint_every), .min = 0,
     .max = 1e15},
    {"max_minutes", VOX_ATTR_FLOAT, FIELD(vox_train_spec, max_minutes), .min = 0, .max = 1e9},
    {0}};

static const vox_attr sgd_attrs[] = {
    {"lr", VOX_ATTR_FLOAT, FIELD(vox_optimizer_spec, lr), .dflt = 0.01, .min = 0, .max = 1e6},
    {"momentum", VOX_ATTR_FLOAT, FIELD(vox_optimizer_spec, momentum), .min = 0, .max = 1},
    {"dampening", VOX_ATTR_FLOAT, FIELD(vox_optimizer_spec, dampening), .min = 0, .max = 1},
    {"weight_decay", VOX_ATTR_FLOAT, FIELD(vox_optimizer_spec, weight_decay), .min = 0, .max = 1e6},
    {"nesterov", VOX_ATTR_BOOL, FIELD(vox_optimizer_spec, nesterov), .dflt = 0},
    {0}};

#define ADAM_ATTRS(decay)                                                                          \
    {"lr", VOX_ATTR_FLOAT, FIELD(vox_optimizer_spec, lr), .dflt = 0.001, .min = 0, .max = 1e6},    \
        {"beta1",     VOX_ATTR_FLOAT, FIELD(vox_optimizer_spec, beta1),                            \
         .dflt = 0.9, .min = 0,       .max = BELOW_ONE},                                           \
        {"beta2",       VOX_ATTR_FLOAT, FIELD(vox_optimizer_spec, beta2),                          \
         .dflt = 0.999, .min = 0,       .max = BELOW_ONE},                                         \
        {"eps", VOX_ATTR_FLOAT, FIELD(vox_optimizer_spec, eps), .dflt = 1e-8, .min = 0, .max = 1}, \
        {"weight_decay",  VOX_ATTR_FLOAT, FIELD(vox_optimizer_spec, weight_decay),                 \
         .dflt = (decay), .min = 0,       .max = 1e6},                                             \
        {"amsgrad", VOX_ATTR_BOOL, FIELD(vox_optimizer_spec, amsgrad), .dflt = 0},                 \
    {                                                                                              \
        0                                                                                          \
    }
#define BELOW_ONE 0.999999999999

static const vox_attr adam_attrs[] = {ADAM_ATTRS(0)};
static const vox_attr adamw_attrs[] = {ADAM_ATTRS(0.01)};

static const char *const adapt_words[] = {"weights", "all", NULL};
static const vox_attr lars_attrs[] = {
    {"lr", VOX_ATTR_FLOAT, FIELD(vox_optimizer_spec, lr), .dflt = 1, .min = 0, .max = 1e6},
    {"momentum", VOX_ATTR_FLOAT, FIELD(vox_optimizer_spec, momentum), .dflt = 0.9, .min = 0,
     .max = 1},
    {"weight_decay", VOX_ATTR_FLOAT, FIELD(vox_optimizer_spec, weight_decay), .dflt = 0.0005,
     .min = 0, .max = 1e6},
    {"trust", VOX_ATTR_FLOAT, FIELD(vox_optimizer_spec, trust), .dflt = 0.001, .min = 0,
     .max = 1e6},
    {"eps", VOX_ATTR_FLOAT, FIELD(vox_optimizer_spec, eps), .dflt = 1e-8, .min = 0, .max = 1},
    {"adapt", VOX_ATTR_WORD, FIELD(vox_optimizer_spec, adapt), .words = adapt_words},
    {0}};
static const vox_attr lamb_attrs[] = {
    {"lr", VOX_ATTR_FLOAT, FIELD(vox_optimizer_spec, lr), .dflt = 0.001, .min = 0, .max = 1e6},
    {"beta1", VOX_ATTR_FLOAT, FIELD(vox_optimizer_spec, beta1), .dflt = 0.9, .min = 0,
     .max = BELOW_ONE},
    {"beta2", VOX_ATTR_FLOAT, FIELD(vox_optimizer_spec, beta2), .dflt = 0.999, .min = 0,
     .max = BELOW_ONE},
    {"eps", VOX_ATTR_FLOAT, FIELD(vox_optimizer_spec, eps), .dflt = 1e-6, .min = 0, .max = 1},
    {"weight_decay", VOX_ATTR_FLOAT, FIELD(vox_optimizer_spec, weight_decay), .dflt = 0.01,
     .min = 0, .max = 1e6},
    {"adapt", VOX_ATTR_WORD, FIELD(vox_optimizer_spec, adapt), .words = adapt_words},
    {0}};

#define FLOOR                                                                                      \
    {                                                                                              \
        "floor", VOX_ATTR_FLOAT, FIELD(vox_schedule_spec, floor), .min = 0, .max = 1e6             \
    }
#define POWER(value)                                                                               \
    {                                                                                              \
        "power", VOX_ATTR_FLOAT, FIELD(vox_schedule_spec, power), .dflt = (value), .min = 0,       \
                                                                  .max = 100                       \
    }
#define EVERY                                                                                      \
    {                                                                                              \
        "every", VOX_ATTR_INT, FIELD(vox_schedule_spec, every), .dflt = 1, .min = 1, .max = 1e15   \
    }

static const vox_attr constant_attrs[] = {FLOOR, {0}};
static const vox_attr step_attrs[] = {
    FLOOR,
    {"gamma", VOX_ATTR_FLOAT, FIELD(vox_schedule_spec, gamma), .dflt = 0.1, .min = 0, .max = 1},
    {"every", VOX_ATTR_INT, FIELD(vox_schedule_spec, every), .required = true, .min = 1,
     .max = 1e15, .help = "the steps between two drops"},
    {0}};
static const vox_attr poly_attrs[] = {FLOOR, POWER(0.9), {0}};
static const vox_attr exponential_attrs[] = {
    FLOOR,
    EVERY,
    {"gamma", VOX_ATTR_FLOAT, FIELD(vox_schedule_spec, gamma), .required = true, .min = 0, .max = 1,
     .help = "the factor of every step, such as 0.999"},
    {0}};
static const vox_attr inverse_attrs[] = {
    FLOOR,
    EVERY,
    POWER(1),
    {"gamma", VOX_ATTR_FLOAT, FIELD(vox_schedule_spec, gamma), .required = true, .min = 0,
     .max = 1e6, .help = "how soon the rate falls: lr / (1 + gamma * t)^power"},
    {0}};

/* A word with keys of its own: "poly" or "{poly: {...}}", from a table of such words. */
typedef struct choice {
    const char *word;
    const vox_attr *attrs;
} choice;

static const choice optimizers[] = {[VOX_OPTIMIZER_SGD] = {"sgd", sgd_attrs},
                                    [VOX_OPTIMIZER_ADAM] = {"adam", adam_attrs},
                                    [VOX_OPTIMIZER_ADAMW] = {"adamw", adamw_attrs},
                                    [VOX_OPTIMIZER_LARS] = {"lars", lars_attrs},
                                    [VOX_OPTIMIZER_LAMB] = {"lamb", lamb_attrs}};
static const choice schedules[] = {[VOX_SCHEDULE_CONSTANT] = {"constant", constant_attrs},
                                   [VOX_SCHEDULE_STEP] = {"step", step_attrs},
                                   [VOX_SCHEDULE_POLY] = {"poly", poly_attrs},
                                   [VOX_SCHEDULE_EXPONENTIAL] = {"exponential", exponential_attrs},
                                   [VOX_SCHEDULE_INVERSE] = {"inverse", inverse_attrs}};

/* node NULL chooses the first one with its defaults. */
static vox_status read_choice(int *kind, void *out, const char *what, const choice *choices,
                              size_t count, const vox_yaml_node *node, vox_error *err)
{
    const char *word = choices[0].word, *words[16];
    const vox_yaml_node *value = NULL;
    vox_status s = node ? vox_yaml_single(node, what, &word, &value, err) : VOX_OK;
    if (s != VOX_OK)
        return s;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(word, choices[i].word) == 0) {
            *kind = (int)i;
            return vox_attr_read(choices[i].attrs, out, word, NULL, value, node, err);
        }
        words[i] = choices[i].word;
    }
    words[count] = NULL;
    vox_yaml_fail(err, node, "unknown %s \"%.60s\"", what, word);
    vox_yaml_suggest(err, word, words);
    return VOX_ERR_INPUT;
}

void vox_optimizer_text(const vox_optimizer_spec *optimizer, char *out, size_t size)
{
    const choice *c = &optimizers[optimizer->kind];
    char keys[200];
    vox_attr_text(c->attrs, optimizer, keys, sizeof keys);
    snprintf(out, size, "%s%s%s", c->word, keys[0] ? " " : "", keys);
}

int64_t vox_train_at_once(const vox_train_spec *train)
{
    return (train->batch + train->accumulate - 1) / train->accumulate;
}

static vox_status check_train(const vox_train_spec *t, vox_error *err)
{
    const vox_optimizer_spec *o = &t->optimizer;
    if (t->iterations && t->epochs) {
        vox_yaml_fail(err, vox_yaml_find(t->node, "epochs"),
                      "both \"iterations\" and \"epochs\" are given");
        vox_hint(err, "keep one of them; --set train.epochs= takes that key out");
        return VOX_ERR_INPUT;
    }
    if (t->accumulate > t->batch) {
        vox_yaml_fail(err, vox_yaml_find(t->node, "accumulate"),
                      "%lld samples cannot be computed in %lld parts", (long long)t->batch,
                      (long long)t->accumulate);
        vox_hint(err, "train.batch is the samples of a whole step, all parts together");
        return VOX_ERR_INPUT;
    }
    if (t->scaling != VOX_SCALING_AUTO && !t->reference_batch) {
        vox_yaml_fail(err, vox_yaml_find(t->node, "scaling"),
                      "scaling needs reference_batch, from which the rate is scaled");
        vox_hint(err, "train.reference_batch is the batch that the optimiser's lr was tuned for");
        return VOX_ERR_INPUT;
    }
    if (o->nesterov && (o->momentum <= 0 || o->dampening != 0)) {
        vox_yaml_fail(err, vox_yaml_find(t->node, "optimizer"),
                      "nesterov needs momentum above 0 and no dampening");
        return VOX_ERR_INPUT;
    }
    return VOX_OK;
}

static const vox_attr ema_attrs[] = {
    {"decay", VOX_ATTR_FLOAT, FIELD(vox_ema_spec, decay), .dflt = 0.999, .min = 0, .max = 1},
    {"ramp", VOX_ATTR_BOOL, FIELD(vox_ema_spec, ramp), .dflt = 1},
    {0}};

static const char *const monitors[] = {"score", "loss", NULL};
static const vox_attr early_stop_attrs[] = {
    {"patience", VOX_ATTR_INT, FIELD(vox_early_stop_spec, patience), .required = true, .min = 1,
     .max = 1e9, .help = "validations in a row without a better one"},
    {"min_delta", VOX_ATTR_FLOAT, FIELD(vox_early_stop_spec, min_delta), .min = 0, .max = 1e6},
    {"monitor", VOX_ATTR_WORD, FIELD(vox_early_stop_spec, monitor), .words = monitors},
    {0}};

/* Keys that are off unless they are there. */
static vox_status read_extras(vox_train_spec *t, const vox_yaml_node *node, vox_error *err)
{
    const vox_yaml_node *ema = vox_yaml_find(node, "ema"),
                        *stop = vox_yaml_find(node, "early_stop");
    t->ema.on = ema != NULL;
    vox_status s = ema ? vox_attr_read(ema_attrs, &t->ema, "ema", NULL, ema, ema, err) : VOX_OK;
    if (s == VOX_OK && stop)
        s = vox_attr_read(early_stop_attrs, &t->early_stop, "early_stop", NULL, stop, stop, err);
    return s;
}

static vox_status read_train(vox_train_spec *t, const vox_yaml_node *node, vox_error *err)
{
    static const char *const more[] = {"optimizer", "schedule", "ema", "early_stop", NULL};
    int optimizer = 0, schedule = 0;
    t->node = vox_yaml_kind_of(node) == VOX_YAML_NULL ? NULL : node;
    vox_status s = vox_attr_read(train_attrs, t, "train", more, node, node, err);
    t->warmup_given = vox_yaml_find(node, "warmup") != NULL;
    t->schedule = (vox_schedule_spec){.power = 1, .gamma = 1, .every = 1};
    if (s == VOX_OK)
        s = read_choice(&optimizer, &t->optimizer, "optimizer", optimizers, VOX_OPTIMIZERS,
                        vox_yaml_find(node, "optimizer"), err);
    if (s == VOX_OK)
        s = read_choice(&schedule, &t->schedule, "schedule", schedules,
                        sizeof schedules / sizeof *schedules, vox_yaml_find(node, "schedule"), err);
    t->optimizer.kind = (vox_optimizer_kind)optimizer;
    t->schedule.kind = (vox_schedule_kind)schedule;
    if (s == VOX_OK)
        s = read_extras(t, node, err);
    return s == VOX_OK ? check_train(t, err) : s;
}

/* ---- data: -------------------------------------------------------------- */

static const vox_attr data_attrs[] = {
    {"skip_bad", VOX_ATTR_BOOL, FIELD(vox_data_spec, skip_bad), .dflt = 0},
    {"cache_bytes", VOX_ATTR_INT, FIELD(vox_data_spec, cache_bytes), .min = 0, .max = 1e18},
    {0}};

static vox_status want_list(const vox_yaml_node *node, const char *what, vox_error *err)
{
    if (!node || vox_yaml_kind_of(node) == VOX_YAML_LIST)
        return VOX_OK;
    vox_yaml_fail(err, node, "\"%s\" must be a list of steps", what);
    vox_hint(err, "write %s: [{step: {key: value}}, ...]", what);
    return VOX_ERR_INPUT;
}

/* A key written without a value counts as absent. */
static const vox_yaml_node *find_given(const vox_yaml_node *map, const char *key)
{
    const vox_yaml_node *node = vox_yaml_find(map, key);
    return vox_yaml_kind_of(node) == VOX_YAML_NULL ? NULL : node;
}

static const vox_attr patch_attrs[] = {
    {"foreground", VOX_ATTR_FLOAT, FIELD(vox_data_spec, foreground), .dflt = 0.33, .max = 1}, {0}};

/* size says again what the network takes: another one is a slip. */
static vox_status read_patch(vox_data_spec *d, const vox_graph *graph, const vox_yaml_node *node,
                             vox_error *err)
{
    static const char *const more[] = {"size", NULL};
    const vox_yaml_node *size_node = vox_yaml_find(node, "size");
    const int64_t *want = graph->input.dim + 2;
    int64_t size[3];
    d->patches = node != NULL;
    vox_status s = vox_attr_read(patch_attrs, d, "patch", more, node, node, err);
    if (s == VOX_OK && size_node)
        s = vox_yaml_triple(size_node, 1, INT32_MAX, size, err);
    if (s != VOX_OK || !size_node || memcmp(size, want, sizeof size) == 0)
        return s;
    s = vox_yaml_fail(err, size_node, "the patch is not what the network takes");
    vox_hint(err, "network.input.size is [%lld, %lld, %lld]; let both be the same",
             (long long)want[0], (long long)want[1], (long long)want[2]);
    return s;
}

static vox_status read_data(vox_data_spec *d, const vox_graph *graph, const vox_yaml_node *node,
                            vox_error *err)
{
    static const char *const more[] = {"train", "valid", "prepare", "augment", "patch", NULL};
    d->node = vox_yaml_kind_of(node) == VOX_YAML_NULL ? NULL : node;
    d->train = find_given(node, "train");
    d->valid = find_given(node, "valid");
    d->prepare = find_given(node, "prepare");
    d->augment = find_given(node, "augment");
    vox_status s = vox_attr_read(data_attrs, d, "data", more, node, node, err);
    if (s == VOX_OK && d->node && !d->train)
        s = vox_yaml_fail(err, node, "data needs the key \"train\"");
    if (s == VOX_OK)
        s = want_list(d->prepare, "prepare", err);
    if (s == VOX_OK)
        s = want_list(d->augment, "augment", err);
    return s == VOX_OK ? read_patch(d, graph, find_given(node, "patch"), err) : s;
}

/* ---- the whole ---------------------------------------------------------- */

/* The name becomes part of a run directory's path. */
static vox_status read_name(vox_experiment *exp, const vox_yaml_node *node, vox_error *err)
{
    static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const char *text = vox_yaml_text(node);
    if (node && vox_yaml_kind_of(node) != VOX_YAML_NULL) {
        if (!text || strspn(text, fine) != strlen(text) || strlen(text) > 100 || text[0] == '.' ||
            text[0] == '\0') {
            vox_yaml_fail(err, node, "an experiment's name is one word of letters, digits, . _ -");
            return VOX_ERR_INPUT;
        }
        exp->name = vox_strdup(text, err);
        return exp->name ? VOX_OK : VOX_ERR_MEMORY;
    }
    const char *base = vox_path_base(exp->path);
    size_t n = strcspn(base, ".") > 100 ? 100 : strcspn(base, ".");
    exp->name = vox_format(err, "%.*s", n ? (int)n : 10, n ? base : "experiment");
    for (char *p = exp->name; p && *p; p++)
        if (!strchr(fine, *p))
            *p = '_';
    return exp->name ? VOX_OK : VOX_ERR_MEMORY;
}

static vox_status read_sections(vox_experiment *exp, vox_error *err)
{
    static const char *const keys[] = {"name", "parameters", "network", "data", "train", NULL};
    const vox_yaml_node *root = vox_yaml_root(exp->doc);
    if (vox_yaml_kind_of(root) == VOX_YAML_NULL) {
        vox_yaml_fail(err, root, "the experiment is empty");
        return vox_hint(err, "an experiment has the sections network, data and train");
    }
    vox_status s = vox_yaml_keys(root, "the experiment", keys, err);
    if (s == VOX_OK)
        s = read_name(exp, vox_yaml_find(root, "name"), err);
    if (s == VOX_OK && !vox_yaml_find(root, "network"))
        s = vox_yaml_fail(err, root, "the experiment has no section \"network\"");
    if (s == VOX_OK)
        s = vox_graph_open(&exp->graph, vox_yaml_find(root, "network"), err);
    if (s == VOX_OK)
        s = read_data(&exp->data, exp->graph, vox_yaml_find(root, "data"), err);
    if (s == VOX_OK)
        s = read_train(&exp->train, vox_yaml_find(root, "train"), err);
    if (s == VOX_OK && exp->train.early_stop.patience && exp->data.node && !exp->data.valid)
        s = vox_yaml_fail(err, vox_yaml_find(exp->train.node, "early_stop"),
                          "early_stop needs data.valid, whose validations it watches");
    return s;
}

/* Takes doc, also on failure. */
static vox_status open_document(vox_experiment **out, vox_yaml *doc, const char *base_dir,
                                vox_error *err)
{
    vox_experiment *exp = vox_calloc(1, sizeof *exp, "an experiment", err);
    if (!exp) {
        vox_yaml_free(&doc);
        return VOX_ERR_MEMORY;
    }
    exp->doc = doc;
    exp->path = vox_strdup(vox_yaml_name(doc), err);
    exp->base_dir = vox_strdup(base_dir ? base_dir : ".", err);
    exp->text = exp->path && exp->base_dir ? vox_yaml_emit(doc, err) : NULL;
    vox_status s = exp->text ? vox_yaml_expand(doc, err) : VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = read_sections(exp, err);
    if (s == VOX_OK)
        *out = exp;
    else
        vox_experiment_free(&exp);
    return s;
}

/* --set parameters.width=8 must name a parameter of the file: a new one would change nothing. */
static vox_status check_override(const vox_yaml *doc, const char *override, vox_error *err)
{
    static const char section[] = "parameters.";
    const vox_yaml_node *all = vox_yaml_find(vox_yaml_root(doc), "parameters");
    const char *name = override + sizeof section - 1;
    const char *known[64];
    size_t count = 0;
    if (strncmp(override, section, sizeof section - 1) != 0)
        return VOX_OK;
    const int length = (int)strcspn(name, ".= ");
    for (size_t i = 0; i < vox_yaml_count(all) && count < sizeof known / sizeof *known - 1; i++) {
        known[count++] = vox_yaml_key(all, i);
        if (strncmp(known[i], name, (size_t)length) == 0 && !known[i][length])
            return VOX_OK;
    }
    known[count] = NULL;
    char *word = vox_format(err, "%.*s", length, name);
    if (!word)
        return VOX_ERR_MEMORY;
    vox_fail(err, VOX_ERR_USAGE, "the experiment has no parameter \"%.60s\"", word);
    vox_detail(err, "%s: --set %s", vox_yaml_name(doc), override);
    if (count > 0)
        vox_yaml_suggest(err, word, known);
    free(word);
    return VOX_ERR_USAGE;
}

vox_status vox_experiment_open(vox_experiment **out, const char *path, const char *const *overrides,
                               size_t override_count, vox_error *err)
{
    vox_yaml *doc;
    *out = NULL;
    vox_status s = vox_yaml_open(&doc, path, err);
    for (size_t i = 0; i < override_count && s == VOX_OK; i++) {
        s = check_override(doc, overrides[i], err);
        if (s == VOX_OK)
            s = vox_yaml_set(doc, overrides[i], err);
    }
    char *dir = s == VOX_OK ? vox_path_dir(path, err) : NULL;
    if (!dir) {
        vox_yaml_free(&doc);
        return s == VOX_OK ? VOX_ERR_MEMORY : s;
    }
    s = open_document(out, doc, dir, err);
    free(dir);
    return s;
}

vox_status vox_experiment_parse(vox_experiment **out, const char *text, const char *name,
                                const char *base_dir, vox_error *err)
{
    vox_yaml *doc;
    *out = NULL;
    vox_status s = vox_yaml_parse(&doc, text, name, err);
    return s == VOX_OK ? open_document(out, doc, base_dir, err) : s;
}

void vox_experiment_free(vox_experiment **exp)
{
    if (!exp || !*exp)
        return;
    vox_graph_free(&(*exp)->graph);
    vox_yaml_free(&(*exp)->doc);
    free((*exp)->name);
    free((*exp)->path);
    free((*exp)->base_dir);
    free((*exp)->text);
    free(*exp);
    *exp = NULL;
}

const char *vox_experiment_name(const vox_experiment *exp)
{
    return exp->name;
}

int64_t vox_experiment_batch(const vox_experiment *exp)
{
    return exp->train.batch;
}
