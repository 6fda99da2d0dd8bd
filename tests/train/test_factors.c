/* test_factors.c - several devices bring fc1's gradient as factors: the losses are those of one
 * device, and of whole gradients, with every optimiser, in parts of a batch, with clipping and
 * without, and when a device is lost. */
#include "training.h"

#include "parallel/faults.h"

#define STEPS 20

/* Few kernels to build: 4 samples for each of three devices take those of 12 for one.  The other
 * tests' network, with convolutions and batches that do not divide, goes by factors too. */
#define SMALL                                                                                      \
    "network.layers=[{flatten: }, {dense: {name: fc1, out: 128}}, {relu: }, {dropout: {p: 0.3}},"  \
    " {dense: {name: fc2, out: 3}}]",                                                              \
        "data.augment=[]", "train.batch=12"

/* On one device, on three, and on three with whole gradients. */
static void compare(const char *name, const char *const *sets)
{
    double one[STEPS], factors[STEPS], whole[STEPS];
    char path[3][32];
    for (size_t i = 0; i < 3; i++)
        snprintf(path[i], sizeof path[i], "%s-%zu", name, i);
    training a = {.devices = "0", .sets = sets, .run = training_path(path[0])};
    training b = {.devices = "0,1,2", .sets = sets, .run = training_path(path[1])};
    training c = b;
    c.run = training_path(path[2]);
    c.whole_gradients = true;
    training_losses_of(&a, one, STEPS);
    training_losses_of(&b, factors, STEPS);
    training_losses_of(&c, whole, STEPS);
    assert_true(b.factors && !a.factors && !c.factors);
    training_same_losses(factors, one, STEPS, name);
    training_same_losses(factors, whole, STEPS, name);
}

static void every_optimiser(void **state)
{
    (void)state;
    static const char *const sets[][7] = {
        {SMALL, "train.optimizer={sgd: {lr: 0.02, momentum: 0.9, nesterov: true}}",
         "train.clip_norm=0"},
        {SMALL, "train.optimizer={adam: {lr: 0.001}}", "train.clip_norm=0"},
        {SMALL, "train.optimizer={adamw: {lr: 0.001}}", "train.clip_norm=0.5"},
        {SMALL, "train.optimizer={lars: {lr: 0.05}}"},
        {SMALL, "train.optimizer={lamb: {lr: 0.01}}", "train.batch=24", "train.accumulate=2"}};
    static const char *const name[] = {"sgd", "adam", "adamw", "lars", "lamb"};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        compare(name[i], sets[i]);
}

/* The host has no gradients to sum. */
static void nothing_but_factors(void **state)
{
    (void)state;
    static const char *const sets[] = {
        "network.layers=[{flatten: }, {dense: {name: fc1, out: 200}}, {relu: },"
        " {dense: {name: fc2, out: 64, bias: false}}]",
        "data.augment=[]", "train.batch=12", NULL};
    compare("nothing-else", sets);
}

static void a_lost_devices_rows_are_the_others(void **state)
{
    (void)state;
    double one[STEPS], left[STEPS];
    static const char *const sets[] = {SMALL, NULL};
    training a = {.devices = "0", .sets = sets, .run = training_path("none-lost")};
    training b = {.devices = "0,1,2", .sets = sets, .run = training_path("one-lost")};
    training_losses_of(&a, one, STEPS);
    setenv(VOX_FAULT_VARIABLE, "1:7:driver", 1);
    training_losses_of(&b, left, STEPS);
    unsetenv(VOX_FAULT_VARIABLE);
    assert_int_equal(b.result.lost, 1);
    training_same_losses(left, one, STEPS, "a device lost");
}

static void runs_repeat_to_the_bit(void **state)
{
    (void)state;
    vox_error err = {0};
    static const char *const sets[] = {SMALL, "train.clip_norm=0", NULL};
    training a = {.devices = "0,1,2", .sets = sets, .run = training_path("bits-a")}, b = a;
    b.run = training_path("bits-b");
    assert_ok(training_run(&a, &err));
    assert_ok(training_run(&b, &err));
    training_same_run(a.run, b.run);
}

int main(int argc, char **argv)
{
    if (!training_possible())
        return 77;
    (void)argc;
    if (training_devices(argv, "111") < 3) {
        printf("skipped: needs PoCL or three devices\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_optimiser),
        cmocka_unit_test(nothing_but_factors),
        cmocka_unit_test(a_lost_devices_rows_are_the_others),
        cmocka_unit_test(runs_repeat_to_the_bit),
    };
    return cmocka_run_group_tests(tests, training_setup, training_teardown);
}
