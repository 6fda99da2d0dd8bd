/* test_loop.c - what a training tells, writes and refuses; evaluation and prediction from its
 * checkpoint. */
#include "training.h"

/* ---- events and files ------------------------------------------------------------- */

typedef struct heard {
    int64_t starts, steps, valids, checkpoints, last_step;
    char text[512];
    double first_lr, last_lr;
} heard;

static void hear(void *user, const vox_event *e)
{
    heard *h = user;
    if (e->kind == VOX_EVENT_START) {
        h->starts++;
        snprintf(h->text, sizeof h->text, "%s", e->text);
        assert_int_equal(e->steps, 20);
    } else if (e->kind == VOX_EVENT_STEP) {
        if (h->steps++ == 0)
            h->first_lr = e->lr;
        h->last_lr = e->lr;
        assert_int_equal(e->step, h->last_step + 1);
        assert_true(e->samples_per_s > 0 && isfinite(e->loss) && e->time_s > 0);
        h->last_step = e->step;
    } else if (e->kind == VOX_EVENT_VALID) {
        h->valids++;
        assert_true(e->accuracy >= 0 && e->accuracy <= 1);
    } else {
        h->checkpoints++;
        assert_true(vox_path_exists(e->text));
    }
}

static void a_training_tells_and_writes(void **state)
{
    (void)state;
    vox_error err = {0};
    heard h = {0};
    vox_experiment *exp = training_experiment(NULL);
    vox_ctx *ctx = NULL;
    vox_train_result r;
    const char *run = training_path("told");
    const vox_train_options opt = {
        .data_dir = TRAINING_DATA, .run_dir = run, .on_event = hear, .user = &h};
    assert_ok(vox_ctx_open(&ctx, "all", &err));
    assert_ok(vox_train(exp, ctx, &opt, &r, &err));
    assert_int_equal(h.starts, 1);
    assert_int_equal(h.steps, 20);
    assert_int_equal(h.valids, 5);   /* 24 cases by 7: an epoch is 4 steps */
    assert_true(h.checkpoints >= 6); /* each time last, and best at least once */
    assert_true(h.first_lr == 0.02 && h.last_lr < 0.02);
    assert_non_null(strstr(h.text, "of 7 samples"));
    if (vox_ctx_device_count(ctx) > 1)
        assert_non_null(strstr(h.text, "--+-- sum"));
    assert_true(r.validated && r.classes == 3 && r.steps == 20);
    int64_t counted = 0;
    for (int i = 0; i < 9; i++)
        counted += r.confusion[i];
    assert_int_equal(counted, 24);
    assert_true(vox_path_exists(training_path("told/experiment.yaml")));
    assert_true(vox_path_exists(training_path("told/best.safetensors")));
    char *metrics = training_metrics(run);
    assert_non_null(strstr(metrics, "{\"step\": 1, \"epoch\": 0, \"loss\": "));
    assert_non_null(strstr(metrics, "{\"step\": 4, \"split\": \"valid\", \"loss\": "));
    free(metrics);
    vox_ctx_free(&ctx);
    vox_experiment_free(&exp);
}

static void out_of_time_is_the_end(void **state)
{
    (void)state;
    static const char *const sets[] = {"train.iterations=1000000", "train.max_minutes=0.01",
                                       "train.validate_every=1000000", NULL};
    vox_error err = {0};
    training t = {.devices = "0", .run = training_path("minutes"), .sets = sets};
    assert_ok(training_run(&t, &err));
    assert_true(t.result.steps > 0 && t.result.steps < 1000000);
    assert_true(t.result.validated);
    assert_true(vox_path_exists(training_path("minutes/last.safetensors")));
}

static void epochs_are_counted_in_steps(void **state)
{
    (void)state;
    static const char *const sets[] = {"train={batch: 7, epochs: 2}", NULL};
    vox_error err = {0};
    training t = {.devices = "0", .run = training_path("epochs"), .sets = sets};
    assert_ok(training_run(&t, &err));
    assert_int_equal(t.result.steps, 8);
}

/* The rates in metrics.jsonl are those used: from the unscaled one to the scaled one. */
static void a_rate_is_scaled_by_the_batch(void **state)
{
    (void)state;
    static const char *const sets[] = {"train={batch: 6, reference_batch: 3, iterations: 20}",
                                       NULL};
    static const double rate[] = {0.01, 0.015, 0.02, 0.02};
    vox_error err = {0};
    training t = {.devices = "0", .run = training_path("scaled"), .sets = sets};
    assert_ok(training_run(&t, &err));
    char *text = training_metrics(t.run);
    const char *at = text;
    for (size_t i = 0; i < sizeof rate / sizeof *rate; i++) {
        assert_non_null(at = strstr(at, "\"lr\": "));
        at += strlen("\"lr\": ");
        assert_float_equal((float)strtod(at, NULL), (float)rate[i], 1e-9f);
    }
    free(text);
}

/* ---- what goes wrong --------------------------------------------------------------- */

static void a_loss_that_is_not_finite_stops(void **state)
{
    (void)state;
    static const char *const sets[] = {"train.optimizer.sgd.lr=1e6", "train.checkpoint_every=1",
                                       "train.clip_norm=0", "train.validate_every=1000", NULL};
    vox_error err = {0};
    training t = {.run = training_path("nonfinite"), .sets = sets};
    vox_safetensors *f = NULL;
    assert_error(training_run(&t, &err), VOX_ERR_NONFINITE, "last.safetensors");
    assert_non_null(strstr(err.message, "step "));
    assert_non_null(strstr(err.detail, "layer \""));
    assert_non_null(strstr(err.hint, "lr"));
    assert_ok(vox_safetensors_open(&f, training_path("nonfinite/last.safetensors"), &err));
    for (size_t i = 0; i < f->tensors; i++) {
        float value;
        for (size_t k = 0; k < f->tensor[i].count; k++) {
            memcpy(&value, f->data + f->tensor[i].offset + k * sizeof value, sizeof value);
            assert_true(isfinite(value));
        }
    }
    vox_safetensors_free(&f);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *sets[3];
        vox_status code;
        const char *word;
    } cases[] = {
        {{"data=null"}, VOX_ERR_INPUT, "data.train"},
        {{"train={batch: 7}"}, VOX_ERR_INPUT, "train.epochs"},
        {{"train={batch: 32, reference_batch: 2, epochs: 1}"},
         VOX_ERR_INPUT,
         "larger than the data"},
        {{"network.layers.8.dense.out=2"}, VOX_ERR_INPUT, "has no output"},
        {{"network.layers.8.dense.out=65"}, VOX_ERR_INPUT, "2 to 64"},
        {{"network.layers.8.dense.out=1"}, VOX_ERR_INPUT, "2 to 64"},
        {{"data.train.manifest=absent.csv"}, VOX_ERR_IO, "absent.csv"},
        {{"network.input.size=[6, 10, 12]"}, VOX_ERR_INPUT, "case"},
        {{"data.augment=[{mirrror: {p: 1}}]"}, VOX_ERR_INPUT, "mirrror"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vox_error err = {0};
        training t = {.devices = "0", .run = training_path("refused"), .sets = cases[i].sets};
        assert_error(training_run(&t, &err), cases[i].code, cases[i].word);
        assert_false(vox_path_exists(t.run)); /* nothing half-written */
    }
}

static void initial_weights_must_fit(void **state)
{
    (void)state;
    vox_error err = {0};
    training t = {
        .devices = "0", .run = training_path("init"), .init = TRAINING_DATA "/init.safetensors"};
    assert_error(training_run(&t, &err), VOX_ERR_INPUT, "no tensor bn1.weight (4 in");
    t.init = TRAINING_DATA "/train.csv";
    assert_error(training_run(&t, &err), VOX_ERR_INPUT, "train.csv");
    assert_false(vox_path_exists(t.run));
}

/* ---- the checkpoint alone ------------------------------------------------------------ */

static char *read_text(const char *path)
{
    vox_error err = {0};
    char *data = NULL;
    size_t size = 0;
    assert_ok(vox_file_read(&data, &size, path, 0, &err));
    return data;
}

static void evaluation_is_the_last_validation(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_ctx *ctx = NULL;
    vox_model *model = NULL;
    vox_eval_result *r = calloc(1, sizeof *r);
    training t = {.run = training_path("model")};
    assert_ok(training_run(&t, &err));
    assert_ok(vox_ctx_open(&ctx, "all", &err));
    assert_ok(vox_model_open(&model, ctx, training_path("model/best.safetensors"), &err));
    static const char *const data[] = {NULL, TRAINING_DATA, TRAINING_DATA "/train.csv"};
    for (size_t i = 0; i < 3; i++) {
        memset(r, 0, sizeof *r);
        assert_ok(vox_model_eval(model, data[i], r, &err));
        assert_int_equal(r->samples, 24);
        assert_true(r->accuracy == t.result.accuracy && r->loss == t.result.valid_loss);
        assert_memory_equal(r->confusion, t.result.confusion, 9 * sizeof(int64_t));
    }
    assert_error(vox_model_eval(model, "/nonexistent", r, &err), VOX_ERR_IO, "/nonexistent");
    vox_model_free(&model);
    vox_ctx_free(&ctx);
    free(r);
}

static void predictions_are_rows(void **state)
{
    (void)state;
    static const char *const inputs[] = {
        TRAINING_DATA "/case00.npy", TRAINING_DATA "/case01.npy", TRAINING_DATA "/case02.npy",
        TRAINING_DATA "/case03.npy", TRAINING_DATA "/case04.npy", TRAINING_DATA "/case05.npy",
        TRAINING_DATA "/case06.npy", TRAINING_DATA "/case07.npy"}; /* more than a batch */
    vox_error err = {0};
    vox_ctx *ctx = NULL;
    vox_model *model = NULL;
    const char *csv = training_path("p.csv"), *npy = training_path("p.npy");
    assert_ok(vox_ctx_open(&ctx, "all", &err));
    assert_ok(vox_model_open(&model, ctx, training_path("model/best.safetensors"), &err));
    assert_ok(vox_model_predict(model, inputs, 8, csv, &err));
    char *text = read_text(csv), *line = strtok(text, "\n");
    assert_string_equal(line, "input,predicted,p0,p1,p2");
    for (size_t i = 0; i < 8; i++) {
        double p[3];
        int predicted;
        line = strtok(NULL, "\n");
        assert_non_null(line);
        assert_int_equal(strncmp(line, inputs[i], strlen(inputs[i])), 0);
        assert_int_equal(
            sscanf(line + strlen(inputs[i]), ",%d,%lf,%lf,%lf", &predicted, &p[0], &p[1], &p[2]),
            4);
        assert_true(fabs(p[0] + p[1] + p[2] - 1) < 1e-6);
        for (int k = 0; k < 3; k++)
            assert_true(p[predicted] >= p[k]);
    }
    assert_null(strtok(NULL, "\n"));
    free(text);

    vox_image *raw = NULL;
    assert_ok(vox_model_predict(model, inputs, 8, npy, &err));
    assert_ok(vox_image_read(&raw, npy, &err));
    assert_int_equal(raw->size[1], 8);
    assert_int_equal(raw->size[2], 3);
    vox_image_free(&raw);
    vox_model_free(&model);
    vox_ctx_free(&ctx);
}

static void bad_predictions_write_nothing(void **state)
{
    (void)state;
    static const char *const missing[] = {TRAINING_DATA "/case00.npy", "/nonexistent.npy"};
    static const char *const two[] = {TRAINING_DATA "/case00.npy;" TRAINING_DATA "/case01.npy"};
    vox_error err = {0};
    vox_ctx *ctx = NULL;
    vox_model *model = NULL;
    const char *out = training_path("none.csv");
    assert_ok(vox_ctx_open(&ctx, "0", &err));
    assert_error(vox_model_open(&model, ctx, "/nonexistent", &err), VOX_ERR_IO, "/nonexistent");
    assert_error(vox_model_open(&model, ctx, TRAINING_DATA "/init.safetensors", &err),
                 VOX_ERR_INPUT, "format");
    assert_null(model);
    assert_ok(vox_model_open(&model, ctx, training_path("model/best.safetensors"), &err));
    assert_error(vox_model_predict(model, missing, 2, out, &err), VOX_ERR_INPUT,
                 "/nonexistent.npy");
    assert_error(vox_model_predict(model, two, 1, out, &err), VOX_ERR_INPUT, "2 x 6 x 10 x 10");
    assert_error(vox_model_predict(model, missing, 1, "x.txt", &err), VOX_ERR_USAGE, "x.txt");
    assert_error(vox_model_predict(model, missing, 0, out, &err), VOX_ERR_USAGE, "no input");
    assert_false(vox_path_exists(out));
    vox_model_free(&model);
    vox_ctx_free(&ctx);
}

static void the_bench_needs_no_data(void **state)
{
    (void)state;
    static const char *const sets[] = {"data=null", "train={batch: 3}", NULL};
    vox_error err = {0};
    vox_ctx *ctx = NULL;
    char *json = NULL;
    vox_experiment *exp = training_experiment(sets);
    assert_ok(vox_ctx_open(&ctx, "all", &err));
    assert_ok(vox_bench_step(exp, ctx, 3, NULL, NULL, NULL, &json, &err));
    static const char *const keys[] = {
        "\"experiment\": \"small\", \"batch\": 3",
        "\"step_s\": {\"median\": ",
        "\"forward_s\": ",
        "\"peak_rss_bytes\": ",
        "\"peak\": {\"gflops\": ",
        "\"layer\": \"conv1\", \"op\": \"conv\"",
        "\"pass\": \"backward_weights\"",
        "(update)",
        "\"profile_share\": ",
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strstr(json, keys[i]))
            fail_msg("no %s in %s", keys[i], json);
    vox_string_free(&json);
    assert_ok(vox_bench_step(exp, ctx, 1, NULL, NULL, "auto", &json, &err));
    assert_non_null(strstr(json, "\"shard\": \"auto\", \"untimed_steps\": "));
    vox_string_free(&json);
    assert_error(vox_bench_step(exp, ctx, 1, NULL, NULL, "fair", &json, &err), VOX_ERR_USAGE,
                 "fair");
    assert_error(vox_bench_step(exp, ctx, 0, NULL, NULL, NULL, &json, &err), VOX_ERR_USAGE,
                 "0 steps");
    vox_ctx_free(&ctx);
    vox_experiment_free(&exp);
}

static void labels_must_fit_the_network(void **state)
{
    (void)state;
    static const char *const sets[] = {"network.layers=[{conv: {out: 3, kernel: 3, pad: 1}}]",
                                       NULL};
    vox_error err = {0};
    char *json = NULL;
    vox_experiment *exp = training_experiment(sets);
    vox_ctx *ctx = NULL;
    const vox_train_options opt = {.data_dir = TRAINING_DATA, .run_dir = training_path("labels")};
    assert_ok(vox_ctx_open(&ctx, "0", &err));
    assert_error(vox_train(exp, ctx, &opt, NULL, &err), VOX_ERR_INPUT, "1x3x6x10x10");
    assert_non_null(strstr(err.message, "1 label a case, the network wants 600"));
    assert_ok(vox_bench_step(exp, ctx, 1, NULL, NULL, NULL, &json, &err)); /* needs no data */
    vox_string_free(&json);
    vox_ctx_free(&ctx);
    vox_experiment_free(&exp);
}

int main(void)
{
    if (!training_possible())
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_training_tells_and_writes),
        cmocka_unit_test(out_of_time_is_the_end),
        cmocka_unit_test(epochs_are_counted_in_steps),
        cmocka_unit_test(a_rate_is_scaled_by_the_batch),
        cmocka_unit_test(a_loss_that_is_not_finite_stops),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(initial_weights_must_fit),
        cmocka_unit_test(evaluation_is_the_last_validation),
        cmocka_unit_test(predictions_are_rows),
        cmocka_unit_test(bad_predictions_write_nothing),
        cmocka_unit_test(the_bench_needs_no_data),
        cmocka_unit_test(labels_must_fit_the_network),
    };
    return cmocka_run_group_tests(tests, training_setup, training_teardown);
}
