/* test_golden.c - 50 training steps follow PyTorch's losses, through the whole of vox_train: a
 * classifier by SGD, and a U-Net with norms, a skip and Adam on images with masks.
 *
 * tests/golden/make_train50.py and make_unet50.py made weights, data and losses.  Tolerance 1e-4
 * relative: PyTorch's own float32 losses are within 3e-6 of its float64 ones there. */
#include "training.h"

#define GOLDEN VOXCL_SOURCE_DIR "/tests/golden/"

static void follow(const char *name, const char *experiment, const char *init, const char *losses)
{
    vox_error err = {0};
    vox_experiment *exp = NULL;
    vox_ctx *ctx = NULL;
    vox_train_result result;
    const char *run = training_path(name);
    const vox_train_options opt = {.run_dir = run, .init = init};
    assert_ok(vox_experiment_open(&exp, experiment, NULL, 0, &err));
    assert_ok(vox_ctx_open(&ctx, "all", &err));
    assert_ok(vox_train(exp, ctx, &opt, &result, &err));
    assert_int_equal(result.steps, 50);

    double got[50], worst = 0;
    assert_int_equal(training_losses(run, got, 50), 50);
    FILE *f = fopen(losses, "r");
    assert_non_null(f);
    for (int i = 0; i < 50; i++) {
        double want;
        assert_int_equal(fscanf(f, "%lf", &want), 1);
        double gap = fabs(got[i] - want) / want;
        worst = gap > worst ? gap : worst;
        if (!(gap < 1e-4))
            fail_msg("step %d: loss %.9g, PyTorch has %.9g", i + 1, got[i], want);
    }
    fclose(f);
    printf("farthest from PyTorch's loss: %.1e relative\n", worst);
    vox_ctx_free(&ctx);
    vox_experiment_free(&exp);
}

#define FOLLOW(folder)                                                                             \
    follow(folder, GOLDEN folder "/experiment.yaml", GOLDEN folder "/init.safetensors",            \
           GOLDEN folder "/losses.txt")

static void a_classifiers_losses_are_pytorchs(void **state)
{
    (void)state;
    FOLLOW("train50");
}

static void a_unets_losses_are_pytorchs(void **state)
{
    (void)state;
    FOLLOW("unet50");
}

int main(void)
{
    if (!training_possible())
        return 77;
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_classifiers_losses_are_pytorchs),
                                       cmocka_unit_test(a_unets_losses_are_pytorchs)};
    return cmocka_run_group_tests(tests, training_setup, training_teardown);
}
