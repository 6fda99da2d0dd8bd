/* test_tuned.c - a training by measured times: it follows them, and a resume follows the same ones.
 *
 * The find-db is written by hand, so that no real time decides anything. */
#include "training.h"

#include "ocl/device.h"
#include "train/experiment.h"
#include "tune/finddb.h"

static vox_error err;

/* The naive convolution is said to be the fastest there is. */
static void write_finddb(const char *cache)
{
    vox_experiment *exp = training_experiment(NULL);
    vox_ctx *ctx = NULL;
    vox_finddb *db = NULL;
    assert_ok(vox_mkdirs(cache, &err));
    char *path = vox_path_join(cache, "finddb.txt", &err);
    assert_ok(vox_finddb_open(&db, path, &err));
    assert_ok(vox_ctx_open(&ctx, "0", &err));
    const vox_node *node = &exp->graph->layer[0].node;
    const vox_problem p = {
        .node = node, .dev = vox_ctx_get(ctx, 0), .n_max = exp->train.batch, .training = true};
    char *key = vox_finddb_key(&p, &err);
    assert_non_null(key);
    for (const vox_algo *a = node->op->algos; a->name; a++) {
        vox_finding f = {.pass = a->pass, .in = a->in, .out = a->out, .seconds = 1e-7};
        snprintf(f.algo, sizeof f.algo, "%s", a->name);
        if (strcmp(a->name, "naive") == 0)
            assert_ok(vox_finddb_add(db, key, &f, 1, &err));
    }
    free(key);
    free(path);
    vox_ctx_free(&ctx);
    vox_finddb_free(&db);
    vox_experiment_free(&exp);
}

static bool same_metrics(const char *run_a, const char *run_b)
{
    char *a = training_metrics(run_a), *b = training_metrics(run_b);
    const bool same = strcmp(a, b) == 0;
    free(a);
    free(b);
    return same;
}

static void a_resume_goes_by_the_same_times(void **state)
{
    (void)state;
    const char *cache = training_path("cache");
    write_finddb(cache);
    training rule = {.devices = "0", .run = training_path("rule")};
    training forced = {
        .devices = "0", .run = training_path("forced"), .methods = {.algo = "conv=naive"}};
    assert_ok(training_run(&rule, &err));
    assert_false(vox_path_exists(training_path("rule/tuning.txt")));
    assert_ok(training_run(&forced, &err));
    assert_false(same_metrics(rule.run, forced.run)); /* so the method can be told by the bits */

    setenv("VOXCL_CACHE_DIR", cache, 1);
    training whole = {
        .devices = "0", .run = training_path("whole"), .methods = {.tune = VOX_TUNE_QUICK}};
    assert_ok(training_run(&whole, &err));
    assert_true(vox_path_exists(training_path("whole/tuning.txt")));
    assert_false(same_metrics(rule.run, whole.run));

    training t = {.devices = "0",
                  .run = training_path("stopped"),
                  .stop_at = 5,
                  .methods = {.tune = VOX_TUNE_QUICK}};
    assert_error(training_run(&t, &err), VOX_ERR_INTERRUPTED, "last.safetensors");
    setenv("VOXCL_CACHE_DIR", training_path("empty"), 1);
    t.stop_at = 0;
    t.resume = true;
    t.methods.tune = VOX_TUNE_OFF; /* whatever it says */
    assert_ok(training_run(&t, &err));
    training_same_run(whole.run, t.run);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    training t = {.devices = "0", .run = training_path("untuned"), .stop_at = 2};
    assert_error(training_run(&t, &err), VOX_ERR_INTERRUPTED, "");
    t.resume = true;
    t.stop_at = 0;
    t.methods.tune = VOX_TUNE_QUICK;
    assert_error(training_run(&t, &err), VOX_ERR_USAGE, "not tuned");
    t.methods.tune = VOX_TUNE_OFF;
    assert_ok(vox_file_write(training_path("untuned/tuning.txt"), "voxcl", 5, &err));
    assert_error(training_run(&t, &err), VOX_ERR_INPUT, "damaged");
    training bad = {.devices = "0", .run = training_path("bad"), .methods = {.budget_s = -1}};
    assert_error(training_run(&bad, &err), VOX_ERR_USAGE, "no way of tuning");
    bad.methods = (vox_methods){.algo = "conv=nothing"};
    assert_error(training_run(&bad, &err), VOX_ERR_USAGE, "nothing");
}

int main(void)
{
    vox_ctx *ctx = NULL;
    if (!training_possible())
        return 77;
    if (vox_ctx_open(&ctx, "all", &err) != VOX_OK) {
        printf("skipped: %s: %s\n", err.message, err.detail);
        return 77;
    }
    vox_ctx_free(&ctx);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resume_goes_by_the_same_times),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, training_setup, training_teardown);
}
