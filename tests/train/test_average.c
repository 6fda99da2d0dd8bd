/* test_average.c - batches in parts (train.accumulate), the averaged weights of train.ema, and
 * train.early_stop: what they are, that a resume goes on with them to the same bits, and that
 * validation and evaluation use the average. */
#include "training.h"

#include "train/checkpoint.h"
#include "train/ema.h"

static const char *const average[] = {"train.ema={decay: 0.75, ramp: false}",
                                      "train.validate_every=5", NULL};

static vox_experiment *exp_;

static void read_flat(const char *run, const char *prefix, float *flat)
{
    vox_error err = {0};
    vox_safetensors *file = NULL;
    char path[300];
    snprintf(path, sizeof path, "%s/last.safetensors", run);
    assert_ok(vox_safetensors_open(&file, path, &err));
    assert_ok(vox_checkpoint_read_flat(file, prefix, exp_->graph, false, flat, &err));
    vox_safetensors_free(&file);
}

static void an_average_is_what_it_says(void **state)
{
    (void)state;
    vox_error err = {0};
    exp_ = training_experiment(average);
    const size_t count = exp_->graph->flat_floats;
    float *weight = calloc(count, sizeof *weight), *got = calloc(count, sizeof *got);
    double *want = calloc(count, sizeof *want), most = 0;
    vox_graph_init_params(exp_->graph, 3, weight);
    for (size_t i = 0; i < count; i++)
        want[i] = (double)weight[i];
    training t = {.devices = "0,1", .run = training_path("average"), .sets = average};
    for (t.stop_at = 1; t.stop_at <= 4; t.stop_at++, t.resume = true) {
        assert_error(training_run(&t, &err), VOX_ERR_INTERRUPTED, "after step");
        read_flat(t.run, "", weight);
        read_flat(t.run, "ema.", got);
        for (size_t i = 0; i < count; i++) {
            want[i] = 0.75 * want[i] + 0.25 * (double)weight[i];
            most = fmax(most, fabs(want[i] - (double)weight[i]));
            assert_true(fabs(want[i] - (double)got[i]) <= 1e-6 * fmax(1, fabs(want[i])));
        }
    }
    assert_true(most > 1e-3); /* they differ from the weights */
    free(weight);
    free(got);
    free(want);
    vox_experiment_free(&exp_);
}

/* 7 samples as 3, 3 and 1; on two devices as 2 + 1, 2 + 1 and 1 + 0.  A batch norm would see parts.
 */
static void a_batch_in_parts_is_the_batch(void **state)
{
    (void)state;
    vox_error err = {0};
    static const char *const sets[] = {"train.accumulate=3",
                                       "network.layers.1={instance_norm: {name: bn1}}", NULL};
    training whole = {.devices = "0", .run = training_path("in-one"), .sets = sets + 1};
    training one = {.devices = "0", .run = training_path("parts-1"), .sets = sets};
    training two = {.devices = "0,1", .run = training_path("parts-2"), .sets = sets};
    training cut = {.devices = "0,1", .run = training_path("cut-2"), .sets = sets, .stop_at = 9};
    double loss[3][20];
    training_losses_of(&whole, loss[0], 20);
    training_losses_of(&one, loss[1], 20);
    training_losses_of(&two, loss[2], 20);
    training_same_losses(loss[1], loss[0], 20, "parts on one device");
    training_same_losses(loss[2], loss[0], 20, "parts on two devices");
    assert_true(fabs(one.result.valid_loss - whole.result.valid_loss) <=
                1e-5 * whole.result.valid_loss);
    assert_error(training_run(&cut, &err), VOX_ERR_INTERRUPTED, "after step 9");
    cut.stop_at = 0;
    cut.resume = true;
    assert_ok(training_run(&cut, &err));
    training_same_run(two.run, cut.run);
}

static void the_decay_climbs(void **state)
{
    (void)state;
    const vox_ema_spec ramp = {true, 0.9, true}, flat = {true, 0.9, false};
    assert_true(vox_ema_decay(&ramp, 0) == 0.1 && vox_ema_decay(&flat, 0) == 0.9);
    assert_true(vox_ema_decay(&ramp, 35) == 0.8 && vox_ema_decay(&ramp, 1000) == 0.9);
}

static double last_valid_loss(const char *run)
{
    vox_error err = {0};
    char path[300], *text = NULL, *at, *last = NULL;
    size_t size;
    snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    assert_ok(vox_file_read(&text, &size, path, 0, &err));
    for (at = text; (at = strstr(at, "\"valid\"")) != NULL; at++)
        last = at;
    assert_non_null(last);
    const double loss = strtod(strstr(last, "\"loss\"") + strlen("\"loss\":"), NULL);
    free(text);
    return loss;
}

static void validation_and_evaluation_use_it(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_ctx *ctx = NULL;
    vox_model *model = NULL;
    static vox_eval_result r;
    char path[300];
    training t = {.devices = "0,1", .run = training_path("whole"), .sets = average};
    training plain = {.devices = "0,1", .run = training_path("plain"), .sets = average + 1};
    training cut = {.devices = "0,1", .run = training_path("cut"), .sets = average, .stop_at = 7};
    assert_ok(training_run(&t, &err));
    assert_ok(training_run(&plain, &err));
    assert_true(t.result.train_loss == plain.result.train_loss); /* training goes on without it */
    assert_true(last_valid_loss(t.run) != last_valid_loss(plain.run));
    assert_error(training_run(&cut, &err), VOX_ERR_INTERRUPTED, "after step 7");
    cut.stop_at = 0;
    cut.resume = true;
    assert_ok(training_run(&cut, &err));
    training_same_run(t.run, cut.run);
    snprintf(path, sizeof path, "%s/last.safetensors", t.run);
    assert_ok(vox_ctx_open(&ctx, "0,1", &err));
    assert_ok(vox_model_open(&model, ctx, path, &err));
    assert_ok(vox_model_eval(model, NULL, &r, &err));
    assert_true(fabs(r.loss - last_valid_loss(t.run)) <= 1e-6);
    vox_model_free(&model);
    vox_ctx_free(&ctx);
}

static void a_training_stops_early(void **state)
{
    (void)state;
    vox_error err = {0};
    /* Only the running statistics change, which a wider layer would make something of. */
    static const char *const sets[] = {"train.early_stop={patience: 2}",
                                       "train.validate_every=3",
                                       "train.optimizer.sgd.lr=0",
                                       "train.schedule=constant",
                                       "network.layers.5={dense: {name: fc1, out: 8}}",
                                       NULL};
    static const char *const longer[] = {"train.early_stop={patience: 4, monitor: loss}",
                                         "train.validate_every=3",
                                         "train.optimizer.sgd.lr=0",
                                         "train.schedule=constant",
                                         "network.layers.5={dense: {name: fc1, out: 8}}",
                                         NULL};
    training t = {.devices = "0", .run = training_path("stops"), .sets = sets};
    training cut = {.devices = "0", .run = training_path("stops-cut"), .sets = sets, .stop_at = 7};
    assert_ok(training_run(&t, &err));
    assert_int_equal(t.result.steps, 9); /* the first is the best, then two that are not better */
    assert_error(training_run(&cut, &err), VOX_ERR_INTERRUPTED, "after step 7");
    cut.stop_at = 0;
    cut.resume = true;
    assert_ok(training_run(&cut, &err));
    assert_int_equal(cut.result.steps, 9);
    training_same_run(t.run, cut.run);
    assert_ok(training_run(&cut, &err)); /* it has stopped */
    assert_int_equal(cut.result.steps, 9);
    cut.sets = longer;
    assert_ok(training_run(&cut, &err));
    assert_int_equal(cut.result.steps, 15);
}

static void slips_have_a_place(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"train.accumulate=8", "7 samples cannot be computed in 8 parts"},
        {"train.ema={decay: 1.5}", "from 0 to 1"},
        {"train.ema={decya: 0.5}", "unknown key \"decya\" in ema"},
        {"train.early_stop={}", "needs the key \"patience\""},
        {"train.early_stop={patience: 0}", "from 1 to"},
        {"train.early_stop={patience: 1, monitor: dice}", "a known word, found \"dice\""},
    };
    vox_error err = {0};
    vox_experiment *exp = NULL;
    vox_experiment_free(&exp);
    exp = training_experiment(NULL);
    vox_experiment_free(&exp);
    const char *path = training_path("experiment.yaml");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_error(vox_experiment_open(&exp, path, &bad[i][0], 1, &err), VOX_ERR_INPUT,
                     bad[i][1]);
    static const char *const blind[] = {"train.early_stop={patience: 1}", "data.valid="};
    assert_error(vox_experiment_open(&exp, path, blind, 2, &err), VOX_ERR_INPUT,
                 "early_stop needs data.valid");
}

int main(int argc, char **argv)
{
    (void)argc;
    if (!training_possible())
        return 77;
    if (training_devices(argv, "11") == 0) {
        printf("skipped: no device\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_decay_climbs),
        cmocka_unit_test(slips_have_a_place),
        cmocka_unit_test(a_batch_in_parts_is_the_batch),
        cmocka_unit_test(an_average_is_what_it_says),
        cmocka_unit_test(validation_and_evaluation_use_it),
        cmocka_unit_test(a_training_stops_early),
    };
    return cmocka_run_group_tests(tests, training_setup, training_teardown);
}
