/* test_experiment.c - experiment files: defaults, overrides, descriptions, and what is wrong with
 * them. */
#include "test.h"

#include "base/file.h"
#include "base/philox.h"
#include "train/experiment.h"

#include <unistd.h>

static vox_error err;

#define NET                                                                                        \
    "network:\n  input: {channels: 1, size: [4, 6, 8]}\n  layers:\n"                               \
    "    - conv: {out: 3, kernel: 3}\n    - relu\n    - flatten\n    - dense: {out: 2}\n"

static vox_experiment *parse(const char *text)
{
    vox_experiment *exp = NULL;
    assert_ok(vox_experiment_parse(&exp, text, "e.yaml", "/data", &err));
    return exp;
}

static void assert_bad(const char *text, const char *word, const char *place)
{
    vox_experiment *exp = (vox_experiment *)&exp;
    assert_error(vox_experiment_parse(&exp, text, "e.yaml", NULL, &err), VOX_ERR_INPUT, word);
    assert_null(exp);
    if (strncmp(err.detail, place, strlen(place)) != 0)
        fail_msg("not at %s: %s | %s", place, err.message, err.detail);
}

static void what_is_not_said_has_its_default(void **state)
{
    (void)state;
    vox_experiment *exp = parse(NET);
    const vox_train_spec *t = &exp->train;
    assert_string_equal(vox_experiment_name(exp), "e");
    assert_string_equal(exp->base_dir, "/data");
    assert_int_equal(vox_experiment_batch(exp), 1);
    assert_true(t->iterations == 0 && t->epochs == 0 && t->warmup == 0 && t->clip_norm == 0);
    assert_true(t->reference_batch == 0 && t->scaling == VOX_SCALING_AUTO && !t->warmup_given);
    assert_true(t->shuffle && t->seed == 1 && t->validate_every == 0 && t->checkpoint_every == 0);
    assert_true(t->max_minutes == 0 && !t->node);
    assert_int_equal(t->optimizer.kind, VOX_OPTIMIZER_SGD);
    assert_true(t->optimizer.lr == 0.01 && t->optimizer.momentum == 0 && !t->optimizer.nesterov);
    assert_int_equal(t->schedule.kind, VOX_SCHEDULE_CONSTANT);
    assert_true(t->schedule.floor == 0 && t->schedule.every == 1);
    assert_true(!exp->data.node && !exp->data.train && !exp->data.skip_bad);
    vox_experiment_free(&exp);
    assert_null(exp);
}

static void what_is_said_arrives(void **state)
{
    (void)state;
    vox_experiment *exp = parse(
        NET "name: my-run.2\n"
            "data:\n  train: {manifest: a.csv}\n  valid: {manifest: b.csv}\n"
            "  prepare: [{normalize: zscore}]\n  augment: []\n  skip_bad: true\n"
            "  cache_bytes: 5000000000\n"
            "train:\n  batch: 6\n  reference_batch: 2\n  scaling: sqrt\n  epochs: 3\n  warmup: "
            "10\n  clip_norm: 12.5\n  shuffle: false\n"
            "  seed: 9000000000\n  validate_every: 7\n  checkpoint_every: 8\n  max_minutes: 0.5\n"
            "  optimizer: {sgd: {lr: 0.1, momentum: 0.9, weight_decay: 1e-4, nesterov: true}}\n"
            "  schedule: {step: {every: 100, gamma: 0.5, floor: 1e-3}}\n");
    const vox_train_spec *t = &exp->train;
    assert_string_equal(vox_experiment_name(exp), "my-run.2");
    assert_true(t->batch == 6 && t->epochs == 3 && t->warmup == 10 && t->clip_norm == 12.5);
    assert_true(t->reference_batch == 2 && t->scaling == VOX_SCALING_SQRT && t->warmup_given);
    assert_true(!t->shuffle && t->seed == 9000000000 && t->validate_every == 7);
    assert_true(t->checkpoint_every == 8 && t->max_minutes == 0.5);
    assert_true(t->optimizer.lr == 0.1 && t->optimizer.momentum == 0.9);
    assert_true(t->optimizer.weight_decay == 1e-4 && t->optimizer.nesterov);
    assert_int_equal(t->schedule.kind, VOX_SCHEDULE_STEP);
    assert_true(t->schedule.every == 100 && t->schedule.gamma == 0.5 && t->schedule.floor == 1e-3);
    assert_true(exp->data.skip_bad && exp->data.cache_bytes == 5000000000u);
    assert_non_null(vox_yaml_find(exp->data.train, "manifest"));
    assert_non_null(vox_yaml_find(exp->data.valid, "manifest"));
    assert_int_equal(vox_yaml_count(exp->data.prepare), 1);
    assert_int_equal(vox_yaml_count(exp->data.augment), 0);
    vox_experiment *again = parse(exp->text); /* what a checkpoint keeps reads the same */
    assert_string_equal(again->text, exp->text);
    assert_true(again->train.batch == 6 && again->graph->layers == 4);
    vox_experiment_free(&again);
    vox_experiment_free(&exp);
}

static void optimizers_have_their_defaults(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        vox_optimizer_kind kind;
        double lr, decay, beta1;
    } cases[] = {
        {"sgd", VOX_OPTIMIZER_SGD, 0.01, 0, 0},
        {"adam", VOX_OPTIMIZER_ADAM, 0.001, 0, 0.9},
        {"adamw", VOX_OPTIMIZER_ADAMW, 0.001, 0.01, 0.9},
        {"lamb", VOX_OPTIMIZER_LAMB, 0.001, 0.01, 0.9},
        {"{adamw: {lr: 1e-5, weight_decay: 0, beta1: 0.5}}", VOX_OPTIMIZER_ADAMW, 1e-5, 0, 0.5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[600];
        snprintf(text, sizeof text, NET "train:\n  optimizer: %s\n", cases[i].text);
        vox_experiment *exp = parse(text);
        const vox_optimizer_spec *o = &exp->train.optimizer;
        assert_int_equal(o->kind, cases[i].kind);
        assert_true(o->lr == cases[i].lr && o->weight_decay == cases[i].decay &&
                    o->beta1 == cases[i].beta1 && !o->amsgrad);
        assert_true(o->kind == VOX_OPTIMIZER_SGD ||
                    (o->beta2 == 0.999 && o->eps == (o->kind == VOX_OPTIMIZER_LAMB ? 1e-6 : 1e-8)));
        vox_experiment_free(&exp);
    }
    vox_experiment *exp = parse(NET "train:\n  optimizer: {lars: {adapt: all}}\n");
    const vox_optimizer_spec *o = &exp->train.optimizer;
    assert_true(o->kind == VOX_OPTIMIZER_LARS && o->lr == 1 && o->momentum == 0.9 &&
                o->weight_decay == 0.0005 && o->trust == 0.001 && o->eps == 1e-8 &&
                o->adapt == VOX_ADAPT_ALL);
    vox_experiment_free(&exp);
}

static void schedules_have_their_defaults(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        vox_schedule_kind kind;
        double power, gamma, floor;
    } cases[] = {
        {"constant", VOX_SCHEDULE_CONSTANT, 1, 1, 0},
        {"{constant: {floor: 0.1}}", VOX_SCHEDULE_CONSTANT, 1, 1, 0.1},
        {"poly", VOX_SCHEDULE_POLY, 0.9, 1, 0},
        {"{poly: {power: 2, floor: 0.001}}", VOX_SCHEDULE_POLY, 2, 1, 0.001},
        {"{step: {every: 5}}", VOX_SCHEDULE_STEP, 1, 0.1, 0},
        {"{exponential: {gamma: 0.99}}", VOX_SCHEDULE_EXPONENTIAL, 1, 0.99, 0},
        {"{inverse: {gamma: 0.01}}", VOX_SCHEDULE_INVERSE, 1, 0.01, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[600];
        snprintf(text, sizeof text, NET "train:\n  schedule: %s\n", cases[i].text);
        vox_experiment *exp = parse(text);
        const vox_schedule_spec *s = &exp->train.schedule;
        assert_int_equal(s->kind, cases[i].kind);
        assert_true(s->power == cases[i].power && s->gamma == cases[i].gamma &&
                    s->floor == cases[i].floor);
        vox_experiment_free(&exp);
    }
}

static void wrong_experiments_say_where(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word, *place;
    } bad[] = {
        {"", "the experiment is empty", "e.yaml:1:1"},
        {"# nothing\n", "the experiment is empty", "e.yaml:1:1"},
        {"[1, 2]\n", "expected a map for the experiment", "e.yaml:1:1"},
        {"hello\n", "expected a map for the experiment", "e.yaml:1:1"},
        {"train: {batch: 1}\n", "no section \"network\"", "e.yaml:1:1"},
        {"network:\n", "expected a map for the network", "e.yaml:1:"},
        {NET "trian: {batch: 1}\n", "unknown key \"trian\"", "e.yaml:8:1"},
        {NET "name: ../up\n", "one word", "e.yaml:8:7"},
        {NET "name: .hidden\n", "one word", "e.yaml:8:7"},
        {NET "name: \"\"\n", "one word", "e.yaml:8:7"},
        {NET "name: [a]\n", "one word", "e.yaml:8:"},
        {NET "train: 3\n", "expected a map for train", "e.yaml:8:8"},
        {NET "train:\n  bacth: 3\n", "unknown key \"bacth\"", "e.yaml:9:3"},
        {NET "train:\n  batch: 0\n", "found \"0\"", "e.yaml:9:10"},
        {NET "train:\n  batch: -4\n", "found \"-4\"", "e.yaml:9:10"},
        {NET "train:\n  batch: 4.5\n", "found \"4.5\"", "e.yaml:9:10"},
        {NET "train:\n  batch: [4]\n", "found a list", "e.yaml:9:"},
        {NET "train:\n  batch: 2000000000\n", "from 1 to", "e.yaml:9:10"},
        {NET "train:\n  batch:\n", "found nothing", "e.yaml:9:"},
        {NET "train:\n  seed: -1\n", "found \"-1\"", "e.yaml:9:9"},
        {NET "train:\n  shuffle: 1\n", "true or false", "e.yaml:9:12"},
        {NET "train:\n  max_minutes: nan\n", "a number", "e.yaml:9:16"},
        {NET "train:\n  clip_norm: -1\n", "a number", "e.yaml:9:14"},
        {NET "train:\n  iterations: 5\n  epochs: 5\n", "both", "e.yaml:10:11"},
        {NET "train:\n  optimizer: {adma: {lr: 1}}\n", "unknown optimizer \"adma\"", "e.yaml:9:"},
        {NET "train:\n  optimizer: {sgd: {rate: 1}}\n", "unknown key \"rate\" in sgd",
         "e.yaml:9:21"},
        {NET "train:\n  optimizer: {sgd: {lr: -1}}\n", "found \"-1\"", "e.yaml:9:25"},
        {NET "train:\n  optimizer: {adam: {momentum: 1}}\n", "unknown key \"momentum\" in adam",
         "e.yaml:9:"},
        {NET "train:\n  optimizer: {adam: {beta2: 1}}\n", "found \"1\"", "e.yaml:9:"},
        {NET "train:\n  optimizer: {adan: {lr: 1}}\n", "unknown optimizer \"adan\"", "e.yaml:9:"},
        {NET "train:\n  optimizer: {larz: {lr: 1}}\n", "unknown optimizer \"larz\"", "e.yaml:9:"},
        {NET "train:\n  optimizer: {lars: {turst: 1}}\n", "unknown key \"turst\" in lars",
         "e.yaml:9:22"},
        {NET "train:\n  optimizer: {lamb: {adapt: biases}}\n", "found \"biases\"", "e.yaml:9:"},
        {NET "train:\n  optimizer: {lamb: {amsgrad: true}}\n", "unknown key \"amsgrad\" in lamb",
         "e.yaml:9:"},
        {NET "train:\n  optimizer: {sgd: {nesterov: true}}\n", "nesterov needs", "e.yaml:9:"},
        {NET "train:\n  reference_batch: 0\n", "found \"0\"", "e.yaml:9:20"},
        {NET "train:\n  reference_batch: -8\n", "found \"-8\"", "e.yaml:9:20"},
        {NET "train:\n  reference_batch: 2000000\n", "from 1 to", "e.yaml:9:20"},
        {NET "train:\n  scaling: linear\n", "scaling needs reference_batch", "e.yaml:9:"},
        {NET "train:\n  reference_batch: 8\n  scaling: square\n", "found \"square\"", "e.yaml:10:"},
        {NET "train:\n  optimizer: [sgd]\n", "optimizer", "e.yaml:9:"},
        {NET "train:\n  schedule: {ploy: {}}\n", "unknown schedule \"ploy\"", "e.yaml:9:"},
        {NET "train:\n  schedule: {step: {gamma: 0.1}}\n", "needs the key \"every\"", "e.yaml:9:"},
        {NET "train:\n  schedule: exponential\n", "needs the key \"gamma\"", "e.yaml:9:13"},
        {NET "train:\n  schedule: {poly: {power: -1}}\n", "found \"-1\"", "e.yaml:9:28"},
        {NET "train:\n  schedule: {constant: {power: 1}}\n", "unknown key \"power\"",
         "e.yaml:9:25"},
        {NET "data:\n  valid: {manifest: v.csv}\n", "needs the key \"train\"", "e.yaml:9:3"},
        {NET "data:\n  tarin: {manifest: v.csv}\n", "unknown key \"tarin\"", "e.yaml:9:3"},
        {NET "data:\n  train: {manifest: v.csv}\n  prepare: zscore\n", "list of steps",
         "e.yaml:10:12"},
        {NET "data:\n  train: {manifest: v.csv}\n  augment: {mirror: 1}\n", "list of steps",
         "e.yaml:10:"},
        {NET "data:\n  train: {manifest: v.csv}\n  skip_bad: maybe\n", "true or false",
         "e.yaml:10:13"},
        {NET "data:\n  train: {manifest: v.csv}\n  cache_bytes: -1\n", "found \"-1\"",
         "e.yaml:10:16"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_bad(bad[i].text, bad[i].word, bad[i].place);
    assert_bad(NET "train:\n  bacth: 3\n", "bacth", "e.yaml");
    assert_non_null(strstr(err.hint, "did you mean \"batch\"?"));
    assert_bad(NET "train:\n  schedule: {ploy: {}}\n", "ploy", "e.yaml");
    assert_non_null(strstr(err.hint, "did you mean \"poly\"?"));
    assert_bad(NET "train:\n  optimizer: {larz: {lr: 1}}\n", "larz", "e.yaml");
    assert_non_null(strstr(err.hint, "did you mean \"lars\"?"));
    assert_bad(NET "train:\n  optimizer: {lars: {turst: 1}}\n", "turst", "e.yaml");
    assert_non_null(strstr(err.hint, "did you mean \"trust\"?"));
}

static void files_and_overrides(void **state)
{
    (void)state;
    char dir[] = "/tmp/voxcl-exp-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *path = vox_path_join(dir, "tiny net.yaml", &err);
    vox_experiment *exp = NULL;
    assert_error(vox_experiment_open(&exp, path, NULL, 0, &err), VOX_ERR_IO, path);
    assert_ok(vox_file_write(path, NET, strlen(NET), &err));
    const char *const set[] = {"train.batch=8", "network.layers.0.conv.out=5", "name=other"};
    assert_ok(vox_experiment_open(&exp, path, set, 3, &err));
    assert_string_equal(exp->base_dir, dir);
    assert_string_equal(vox_experiment_name(exp), "other");
    assert_int_equal(exp->train.batch, 8);
    assert_int_equal(exp->graph->layer[0].node.out.dim[1], 5);
    assert_non_null(strstr(exp->text, "batch: 8"));
    vox_experiment_free(&exp);
    assert_ok(vox_experiment_open(&exp, path, NULL, 0, &err));
    assert_string_equal(vox_experiment_name(exp), "tiny_net");
    vox_experiment_free(&exp);
    const char *const wrong[] = {"train.batch=many"}, *const unknown[] = {"train.bach=1"};
    assert_error(vox_experiment_open(&exp, path, wrong, 1, &err), VOX_ERR_INPUT,
                 "--set train.batch");
    assert_error(vox_experiment_open(&exp, path, unknown, 1, &err), VOX_ERR_INPUT,
                 "--set train.bach");
    assert_error(vox_experiment_open(&exp, path, &(const char *){"x"}, 1, &err), VOX_ERR_USAGE,
                 "=");
    const char binary[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    assert_ok(vox_file_write(path, binary, sizeof binary, &err));
    assert_error(vox_experiment_open(&exp, path, NULL, 0, &err), VOX_ERR_INPUT, "not a YAML text");
    unlink(path);
    rmdir(dir);
    free(path);
}

static void descriptions_have_the_numbers(void **state)
{
    (void)state;
    vox_experiment *exp = NULL;
    vox_network_desc *d = NULL;
    assert_ok(vox_experiment_open(&exp, VOXCL_SOURCE_DIR "/models/prostatex-alexnet3d.yaml", NULL,
                                  0, &err));
    assert_ok(vox_experiment_describe(&d, exp, &err));
    assert_int_equal(d->parameters, 12519173);
    assert_int_equal(d->trainable, 12519173);
    assert_int_equal(d->parameter_bytes, 4 * 12519173);
    assert_int_equal(d->batch, 4);
    assert_int_equal(d->input_shape[4], 224);
    assert_int_equal(d->count, exp->graph->layers);
    assert_string_equal(d->layer[0].name, "conv1");
    assert_string_equal(d->layer[0].kind, "conv");
    assert_int_equal(d->layer[0].parameters, 32 * 363 + 32);
    assert_int_equal(d->layer[0].out_shape[1], 32);
    /* conv1 alone: two for each product, 13*56*56 outputs of 32 channels from 363 inputs */
    const double conv1 = 2.0 * 13 * 56 * 56 * 32 * 363;
    assert_true(d->layer[0].forward_flops >= conv1 && d->layer[0].forward_flops < 1.01 * conv1);
    assert_true(d->forward_flops > 3.3e9 && d->forward_flops < 3.5e9);
    assert_true(d->training_flops > 2 * d->forward_flops - conv1);
    assert_true(d->training_flops < 3 * d->forward_flops - 0.99 * conv1); /* no input gradient */
    assert_true(d->activation_bytes > 4 * 4 * 13 * 56 * 56 * 32); /* relu's output is kept */
    assert_true(d->device_bytes >= d->activation_bytes + 2 * d->parameter_bytes);
    assert_true(d->device_bytes < 1000u * 1000 * 1000);
    for (size_t i = 0; i < d->device_count; i++) {
        assert_string_equal(d->device[i].reason, "");
        assert_true(d->device[i].device_bytes > 2 * d->parameter_bytes);
        assert_true(d->device[i].name[0] != '\0');
    }
    vox_network_desc_free(&d);
    assert_null(d);
    vox_experiment_free(&exp);
}

/* Deterministic damage to the models: an error with its place, or a whole experiment. */
static void damaged_models_never_crash(void **state)
{
    (void)state;
    static const char pieces[] = "[]{}:,-0123456789 \"\n#";
    char *model = NULL;
    size_t size = 0;
    int good = 0, bad = 0;
    vox_random r;
    assert_ok(vox_file_read(&model, &size, VOXCL_SOURCE_DIR "/models/prostatex-quickstart.yaml", 0,
                            &err));
    vox_random_init(&r, 2, VOX_RANDOM_SYNTH, 0, 0, 0);
    for (int round = 0; round < 1500; round++) {
        char *text = malloc(size + 1);
        assert_non_null(text);
        memcpy(text, model, size + 1);
        for (uint32_t k = 1 + vox_random_below(&r, 3); k > 0; k--) {
            size_t at = vox_random_below(&r, (uint32_t)size);
            text[at] = pieces[vox_random_below(&r, sizeof pieces - 1)];
        }
        vox_experiment *exp = NULL;
        vox_status s = vox_experiment_parse(&exp, text, "e.yaml", NULL, &err);
        good += s == VOX_OK;
        bad += s != VOX_OK;
        assert_true((s == VOX_OK) == (exp != NULL));
        if (s != VOX_OK && strncmp(err.detail, "e.yaml:", 7) != 0)
            fail_msg("no place: %s | %s\n%s", err.message, err.detail, text);
        vox_experiment_free(&exp);
        free(text);
    }
    assert_true(good > 50 && bad > 50);
    free(model);
}

int main(void)
{
#ifndef VOXCL_WITH_FYAML
    puts("skipped: built without libfyaml");
    return 77;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_said_has_its_default),
        cmocka_unit_test(what_is_said_arrives),
        cmocka_unit_test(optimizers_have_their_defaults),
        cmocka_unit_test(schedules_have_their_defaults),
        cmocka_unit_test(wrong_experiments_say_where),
        cmocka_unit_test(files_and_overrides),
        cmocka_unit_test(descriptions_have_the_numbers),
        cmocka_unit_test(damaged_models_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
