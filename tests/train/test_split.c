/* test_split.c - promise 1: the split over devices does not change the mathematics; promise 2: same
 * devices and seed, same bits.  On one to four devices, with dropout and augmentation on, for
 * batches that do not divide, with a partial last batch and fewer samples than devices. */
#include "training.h"

static size_t devices;
static const char *const selector[] = {"0", "0,1", "0,1,2", "0,1,2,3"};

static void compare(const char *batch)
{
    double loss[4][20];
    char set[32];
    snprintf(set, sizeof set, "train.batch=%s", batch);
    const char *const sets[] = {set, NULL};
    for (size_t n = 0; n < 4 && n < devices; n++) {
        char name[32];
        snprintf(name, sizeof name, "split-%s-%zu", batch, n + 1);
        training t = {.devices = selector[n], .run = training_path(name), .sets = sets};
        training_losses_of(&t, loss[n], 20);
        training_same_losses(loss[n], loss[0], 20, name);
    }
}

static void losses_agree_for_batches_that_do_not_divide(void **state)
{
    (void)state;
    compare("7"); /* 24 cases: 7 7 7 3, the fourth device having none of the last */
    compare("5"); /* 5 5 5 5 4 */
}

static void more_devices_than_samples_are_refused(void **state)
{
    (void)state;
    vox_error err = {0};
    static const char *const three[] = {"train.batch=3", NULL};
    static const char *const parts[] = {"train.batch=7", "train.accumulate=3", NULL};
    if (devices < 4)
        return;
    training t = {.devices = selector[3], .run = training_path("none"), .sets = three};
    assert_error(training_run(&t, &err), VOX_ERR_USAGE, "4 devices cannot share 3 samples");
    t.sets = parts;
    assert_error(training_run(&t, &err), VOX_ERR_USAGE, "train.batch is 7, in 3 parts");
    t.shard = "1,1,0";
    assert_error(training_run(&t, &err), VOX_ERR_USAGE, "3 weights and 4 devices");
    assert_false(vox_path_exists(t.run));
}

/* A check that cannot fail is none: another seed must change the losses by far more. */
static void another_seed_gives_other_losses(void **state)
{
    (void)state;
    vox_error err = {0};
    double loss[2][20];
    static const char *const sets[2][2] = {{"train.seed=3", NULL}, {"train.seed=4", NULL}};
    for (size_t i = 0; i < 2; i++) {
        training t = {
            .devices = "0", .run = training_path(i ? "seed-4" : "seed-3"), .sets = sets[i]};
        assert_ok(training_run(&t, &err));
        assert_int_equal(training_losses(t.run, loss[i], 20), 20);
    }
    assert_true(fabs(loss[0][0] - loss[1][0]) > 1e-3 * loss[0][0]);
}

static void two_runs_have_the_same_bits(void **state)
{
    (void)state;
    vox_error err = {0};
    for (size_t n = 0; n < 4 && n < devices; n += 2) { /* one device and three */
        training a = {.devices = selector[n], .run = training_path(n ? "a3" : "a1")};
        training b = {.devices = selector[n], .run = training_path(n ? "b3" : "b1")};
        assert_ok(training_run(&a, &err));
        assert_ok(training_run(&b, &err));
        training_same_run(a.run, b.run);
    }
}

/* With up to three devices it adds in the tree's order: two runs of these have the same bits too.
 */
static void a_server_does_what_the_tree_does(void **state)
{
    (void)state;
    double loss[2][20];
    for (size_t n = 2; n < 4 && n < devices; n++) {
        training tree = {.devices = selector[n], .run = training_path(n == 2 ? "t3" : "t4")};
        training server = {.devices = selector[n],
                           .run = training_path(n == 2 ? "s3" : "s4"),
                           .sync = VOX_SYNC_SERVER};
        training_losses_of(&tree, loss[0], 20);
        training_losses_of(&server, loss[1], 20);
        if (n == 2)
            training_same_run(tree.run, server.run);
        training_same_losses(loss[1], loss[0], 20, "a server");
    }
}

static uint32_t parts_of_device_0(void)
{
    vox_error err = {0};
    vox_device_list *list;
    assert_ok(vox_device_list_open(&list, &err));
    const uint32_t most = list->device[0].max_parts;
    vox_device_list_free(&list);
    return most;
}

/* Sub-devices are devices like others: one part, both, both again. */
static void parts_of_a_device_learn_the_same(void **state)
{
    (void)state;
    double loss[3][20];
    static const char *const which[] = {"0/2.1", "0/2", "0/2"}, *const name[] = {"part", "parts",
                                                                                 "parts-again"};
    const char *run[3];
    if (parts_of_device_0() < 2)
        skip();
    for (size_t i = 0; i < 3; i++) {
        training t = {.devices = which[i], .run = training_path(name[i])};
        run[i] = t.run;
        training_losses_of(&t, loss[i], 20);
    }
    training_same_run(run[1], run[2]);
    training_same_losses(loss[1], loss[0], 20, "two parts");
}

int main(int argc, char **argv)
{
    if (!training_possible())
        return 77;
    (void)argc;
    devices = training_devices(argv, "1111");
    if (devices < 2) {
        printf("skipped: needs PoCL or several devices\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_agree_for_batches_that_do_not_divide),
        cmocka_unit_test(more_devices_than_samples_are_refused),
        cmocka_unit_test(another_seed_gives_other_losses),
        cmocka_unit_test(two_runs_have_the_same_bits),
        cmocka_unit_test(a_server_does_what_the_tree_does),
        cmocka_unit_test(parts_of_a_device_learn_the_same),
    };
    return cmocka_run_group_tests(tests, training_setup, training_teardown);
}
