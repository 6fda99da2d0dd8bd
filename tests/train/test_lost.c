/* test_lost.c - devices that fail at each point in each way, on demand (VOXCL_FAULT): the job goes
 * on without them and its losses are those of one that never had them; a slow one gets less. */
#include "training.h"

#include "parallel/faults.h"

static size_t devices;
static double want[20]; /* the losses of one device */

static void reference(void)
{
    training t = {.devices = "0", .run = training_path("one")};
    unsetenv(VOX_FAULT_VARIABLE);
    training_losses_of(&t, want, 20);
    assert_int_equal(t.result.lost, 0);
    assert_int_equal(t.result.all_devices, 1);
}

static int setup(void **state)
{
    if (training_setup(state) != 0)
        return 1;
    reference();
    return 0;
}

static void compare(const char *run)
{
    double loss[20];
    assert_int_equal(training_losses(run, loss, 20), 20);
    training_same_losses(loss, want, 20, run);
}

/* The training through the fault; asserts who is lost when, and the losses. */
static void survive(const char *fault, size_t lost, size_t device, int64_t step, const char *why)
{
    static int run;
    vox_error err = {0};
    char name[32], number[8];
    snprintf(name, sizeof name, "fault-%d", run++);
    snprintf(number, sizeof number, "%zu ", device);
    training t = {.devices = "0,1,2",
                  .run = training_path(name),
                  .hang_timeout_s = strstr(fault, "hang") ? 2 : 0};
    setenv(VOX_FAULT_VARIABLE, fault, 1);
    assert_ok(training_run(&t, &err));
    unsetenv(VOX_FAULT_VARIABLE);
    assert_int_equal(t.result.all_devices, 3);
    assert_int_equal(t.result.lost, lost);
    if (lost) {
        const vox_lost_device *gone = &t.result.gone[0];
        assert_int_equal(gone->step, step);
        if (strncmp(gone->device, number, strlen(number)) != 0 || !strstr(gone->reason, why))
            fail_msg("%s: device %s: %s", fault, gone->device, gone->reason);
        char *metrics = training_metrics(t.run);
        assert_non_null(strstr(metrics, "\"lost\": [{\"device\": \""));
        free(metrics);
    }
    compare(t.run);
}

static void a_lost_devices_samples_are_the_others(void **state)
{
    (void)state;
    survive("0:6:lost", 1, 0, 6, "CL_DEVICE_NOT_AVAILABLE");
    survive("1:6:memory", 1, 1, 6, "CL_MEM_OBJECT_ALLOCATION_FAILURE");
    survive("2:20:driver", 1, 2, 20, "CL_OUT_OF_RESOURCES");
    survive("1:1:lost,2:9:lost", 2, 1, 1, "lost"); /* one is left */
    survive("0:3:lost,1:3:lost", 2, 0, 3, "lost"); /* two at once */
    survive("1:5:lost", 1, 1, 5, "lost");          /* in the validation after step 4 */
}

static void one_without_memory_is_left_out(void **state)
{
    (void)state;
    survive("1:0:memory", 1, 1, 0, "CL_MEM_OBJECT_ALLOCATION_FAILURE");
}

/* Twenty times as slow as the others, it has no place among batches of seven. */
static void a_slow_one_gets_less(void **state)
{
    (void)state;
    vox_error err = {0};
    training t = {.devices = "0,1,2", .run = training_path("slow"), .shard = "auto", .stop_at = 16};
    setenv(VOX_FAULT_VARIABLE, "0:1:slow=20", 1);
    assert_error(training_run(&t, &err), VOX_ERR_INTERRUPTED, "step 16");
    t.resume = true;
    t.stop_at = 0;
    assert_ok(training_run(&t, &err));
    unsetenv(VOX_FAULT_VARIABLE);
    compare(t.run);
    char *metrics = NULL, *path = vox_path_join(t.run, "metrics.jsonl", &err);
    size_t size;
    assert_ok(vox_file_read(&metrics, &size, path, 0, &err));
    const char *shares = strstr(metrics, "\"shares\": [3, 2, 2]");
    assert_non_null(shares); /* once: the resume goes on with others */
    assert_null(strstr(shares + 1, "\"shares\": [3, 2, 2]"));
    shares = strstr(shares + 1, "\"shares\": [");
    assert_non_null(shares);
    assert_true(shares[11] < '2');
    free(metrics);
    free(path);
}

/* Its thread cannot be ended; the last one waits for the others in mid-step. */
static void one_that_hangs_is_left_to_itself(void **state)
{
    (void)state;
    survive("0:7:hang", 1, 0, 7, "no answer for 2 s");
    survive("2:9:hang", 1, 2, 9, "no answer for 2 s");                 /* in a validation */
    survive("1:7:hang=2.5", 1, 1, 7, "no answer for 2 s");             /* a little too late */
    survive("1:7:hang=3,0:8:hang=0.15", 1, 1, 7, "no answer for 2 s"); /* others are in mid-step */
}

/* It had the model and the running statistics in its hands: with both devices' own, a run whose
 * first device comes to life again has the same bits as one whose first device never does.  The
 * other one dawdles, so that this happens while it trains. */
static void one_that_comes_to_life_changes_nothing(void **state)
{
    (void)state;
    vox_error err = {0};
    static const char *const sets[] = {"network.layers.1={batch_norm: {name: bn1}}", NULL};
    static const char *const fault[] = {"0:7:hang", "0:7:hang=5,1:8:hang=0.15"};
    const char *run[2];
    for (int i = 0; i < 2; i++) {
        training t = {.devices = "0,1",
                      .run = run[i] = training_path(i ? "alive" : "dead"),
                      .sets = sets,
                      .hang_timeout_s = 2};
        setenv(VOX_FAULT_VARIABLE, fault[i], 1);
        assert_ok(training_run(&t, &err));
        unsetenv(VOX_FAULT_VARIABLE);
        assert_int_equal(t.result.lost, 1);
    }
    training_same_tensors(run[0], run[1]);
}

/* Also before the first step is done, before the first checkpoint (after step 4), and in a
 * validation (after step 8), where the averaged weights are in the model's place. */
static void with_nobody_left_it_saves(void **state)
{
    (void)state;
    vox_error err = {0};
    static const struct {
        const char *devices, *fault, *word;
        vox_sync sync;
    } all[] = {
        {"0", "0:1:lost", "no step was done", VOX_SYNC_TREE},
        {"0", "0:2:memory", "everything up to step 1 is in", VOX_SYNC_TREE},
        {"0", "0:8:lost", "everything up to step 7 is in", VOX_SYNC_TREE},
        {"0,1", "0:1:driver,1:1:lost", "no step was done", VOX_SYNC_TREE},
        {"0,1", "0:3:driver,1:8:lost", "everything up to step 7 is in", VOX_SYNC_TREE},
        {"0,1,2", "0:2:driver,1:2:lost,2:2:memory", "everything up to step 1 is in",
         VOX_SYNC_SERVER},
        {"0,1", "0:2:hang,1:3:lost", "everything up to step 2 is in", VOX_SYNC_TREE},
        {"0", "0:9:lost", "everything up to step 8 is in", VOX_SYNC_TREE},
        {"0,1", "0:9:driver,1:9:lost", "everything up to step 8 is in", VOX_SYNC_TREE},
    };
    static const char *const sets[] = {"train.ema={decay: 0.9}", NULL};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char name[16];
        snprintf(name, sizeof name, "none-%zu", i);
        training t = {.devices = all[i].devices,
                      .run = training_path(name),
                      .sync = all[i].sync,
                      .sets = sets,
                      .hang_timeout_s = 2};
        setenv(VOX_FAULT_VARIABLE, all[i].fault, 1);
        const vox_status s = training_run(&t, &err);
        unsetenv(VOX_FAULT_VARIABLE);
        assert_true(s == VOX_ERR_DEVICE || s == VOX_ERR_ROOM);
        if (!strstr(err.detail, all[i].word))
            fail_msg("%s: %s", all[i].fault, err.detail);
        t.resume = true;
        assert_ok(training_run(&t, &err));
        compare(t.run);
    }
}

/* One that hangs cannot be asked for the weights: what was saved before is left. */
static void the_only_one_that_hangs_leaves_the_last_checkpoint(void **state)
{
    (void)state;
    vox_error err = {0};
    static const char *const fault[] = {"0:7:hang", "0:2:hang=2.5"};
    static const char *const word[] = {"the last checkpoint, of step 4,", "no checkpoint was made"};
    for (int i = 0; i < 2; i++) {
        training t = {
            .devices = "0", .run = training_path(i ? "only-1" : "only-0"), .hang_timeout_s = 2};
        setenv(VOX_FAULT_VARIABLE, fault[i], 1);
        assert_error(training_run(&t, &err), VOX_ERR_DEVICE, "no answer for 2 s");
        unsetenv(VOX_FAULT_VARIABLE);
        assert_true(t.result.hangs);
        if (!strstr(err.detail, word[i]))
            fail_msg("%s: %s", fault[i], err.detail);
        t.resume = i == 0;
        if (i == 0) {
            assert_ok(training_run(&t, &err));
            compare(t.run);
        }
    }
}

/* Nothing is written before the first step. */
static void at_the_start_only_want_of_memory_is_survived(void **state)
{
    (void)state;
    vox_error err = {0};
    training t = {.devices = "0,1", .run = training_path("start")};
    setenv(VOX_FAULT_VARIABLE, "1:0:driver", 1);
    assert_error(training_run(&t, &err), VOX_ERR_DEVICE, "driver");
    setenv(VOX_FAULT_VARIABLE, "0:0:memory,1:0:memory", 1);
    assert_error(training_run(&t, &err), VOX_ERR_ROOM, "memory");
    setenv(VOX_FAULT_VARIABLE, "2:0:memory", 1);
    assert_error(training_run(&t, &err), VOX_ERR_USAGE, "the job has 2 devices");
    unsetenv(VOX_FAULT_VARIABLE);
    assert_false(vox_path_exists(t.run));
}

int main(int argc, char **argv)
{
    if (!training_possible())
        return 77;
    (void)argc;
    devices = training_devices(argv, "1111");
    if (devices < 3) {
        printf("skipped: needs PoCL or three devices\n");
        return 77;
    }
    cmocka_set_test_filter(getenv("VOXCL_TEST_ONLY"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_devices_samples_are_the_others),
        cmocka_unit_test(one_without_memory_is_left_out),
        cmocka_unit_test(a_slow_one_gets_less),
        cmocka_unit_test(with_nobody_left_it_saves),
        cmocka_unit_test(the_only_one_that_hangs_leaves_the_last_checkpoint),
        cmocka_unit_test(one_that_hangs_is_left_to_itself),
        cmocka_unit_test(one_that_comes_to_life_changes_nothing),
        cmocka_unit_test(at_the_start_only_want_of_memory_is_survived),
    };
    return cmocka_run_group_tests(tests, setup, training_teardown);
}
