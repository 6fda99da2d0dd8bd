/* test_async.c - client/server, asynchronous: in turn it is gradient descent by shares, with the
 * same bits each time; at a pace of each device's own it still learns, within its bound. */
#include "training.h"

#define STEPS 20

/* Statistics of the batch are of each device's own samples here. */
static const char no_sync[] = "network.layers.1={batch_norm: {name: bn1}}";
/* The network and data with nothing that depends on a sample's place in a batch. */
static const char plain[] =
    "network.layers=[{conv: {name: conv1, out: 4, kernel: 3, pad: 1}}, {relu: {}}, "
    "{max_pool: {kernel: 2}}, {flatten: {}}, {dense: {name: fc1, out: 3}}]";

/* With some more the ReLUs die of batches this small, on one device too. */
static const char little_dropout[] = "network.layers.7={dropout: {p: 0.1}}";

static size_t devices;

static double mean_of(const double *loss, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += loss[i];
    return sum / (double)n;
}

/* The largest staleness_max of the run's steps; -1: a step has none. */
static int64_t most_stale(const char *run)
{
    int64_t most = 0;
    char *text = training_metrics(run);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        const char *at = strstr(line, "\"staleness_max\": ");
        if (strstr(line, "\"split\""))
            continue;
        const int64_t late = at ? strtoll(at + 17, NULL, 10) : -1;
        most = most < 0 || late < 0 ? -1 : late > most ? late : most;
    }
    free(text);
    return most;
}

/* With K = 0 two devices with half a batch of 6 each do what one does with batches of 3 at half the
 * rate (momentum, weight decay and clipping included): the linear scaling rule, here to the letter.
 */
static void in_turn_it_is_smaller_batches(void **state)
{
    (void)state;
    static const char *const whole[] = {plain,
                                        "data.augment=[]",
                                        "train.batch=6",
                                        "train.schedule=constant",
                                        "train.clip_norm=0.5",
                                        "train.optimizer.sgd.lr=0.02",
                                        NULL};
    static const char *const halves[] = {plain,
                                         "data.augment=[]",
                                         "train.batch=3",
                                         "train.iterations=40",
                                         "train.schedule=constant",
                                         "train.clip_norm=0.5",
                                         "train.optimizer.sgd.lr=0.01",
                                         NULL};
    vox_error err = {0};
    double by_turn[STEPS], one[2 * STEPS];
    training a = {.devices = "0,1",
                  .run = training_path("turn"),
                  .sets = whole,
                  .sync = VOX_SYNC_ASYNC,
                  .staleness_set = true};
    training b = {.devices = "0", .run = training_path("halves"), .sets = halves};
    assert_ok(training_run(&a, &err));
    assert_ok(training_run(&b, &err));
    assert_int_equal(training_losses(a.run, by_turn, STEPS), STEPS);
    assert_int_equal(training_losses(b.run, one, 2 * STEPS), 2 * STEPS);
    for (size_t i = 0; i < STEPS; i++) {
        const double want = mean_of(one + 2 * i, 2);
        if (!(fabs(by_turn[i] - want) <= 1e-5 * want))
            fail_msg("step %zu: %.9g, in batches of 3 %.9g", i + 1, by_turn[i], want);
    }
    assert_int_equal(most_stale(a.run), 0);
    assert_true(a.result.staleness_bound == 0 && a.result.staleness == 0);
}

/* Also over an interruption, with Adam, whose corrections count the updates. */
static void in_turn_the_bits_repeat(void **state)
{
    (void)state;
    static const char *const sets[] = {no_sync, "train.optimizer={adam: {lr: 0.003}}", NULL};
    vox_error err = {0};
    training a = {.devices = "0,1",
                  .run = training_path("a"),
                  .sets = sets,
                  .sync = VOX_SYNC_ASYNC,
                  .staleness_set = true};
    training b = a;
    b.run = training_path("b");
    b.stop_at = 6;
    assert_ok(training_run(&a, &err));
    assert_error(training_run(&b, &err), VOX_ERR_INTERRUPTED, "stopped after step ");
    b.stop_at = 0;
    b.resume = true;
    assert_ok(training_run(&b, &err));
    training_same_tensors(a.run, b.run);
}

/* Every device at its own pace: the loss falls as it does in step, and no gradient is older than
 * the bound, whatever that is; averaged weights and running statistics are part of it. */
static void it_learns_within_the_bound(void **state)
{
    (void)state;
    static const char *const sets[] = {no_sync,
                                       little_dropout,
                                       "train.optimizer.sgd.lr=0.003",
                                       "train.iterations=100",
                                       "train.ema={decay: 0.9}",
                                       "train.validate_every=50",
                                       NULL};
    vox_error err = {0};
    double loss[100];
    for (int64_t bound = 1; bound <= 8; bound += 7) {
        char name[16];
        snprintf(name, sizeof name, "k%d", (int)bound);
        training t = {.run = training_path(name),
                      .sets = sets,
                      .sync = VOX_SYNC_ASYNC,
                      .staleness_set = true,
                      .staleness = bound};
        assert_ok(training_run(&t, &err));
        assert_int_equal(training_losses(t.run, loss, 100), 100);
        const int64_t most = most_stale(t.run);
        assert_true(most >= 0 && most <= bound);
        assert_true(t.result.staleness_most == most && t.result.staleness_bound == bound);
        assert_true(t.result.staleness >= 0 && t.result.staleness <= (double)most);
        assert_true(mean_of(loss + 92, 8) < mean_of(loss, 4)); /* mostly less than half */
        assert_true(t.result.validated && t.result.valid_loss < mean_of(loss, 4));
    }
}

/* Two devices, of which the second waits each time until the first can do no more without it: the
 * updates that each made. */
static void updates_of(int64_t bound, int64_t updates[2])
{
    static const char *const sets[] = {plain,
                                       "data.augment=[]",
                                       "train.batch=6",
                                       "train.validate_every=1000",
                                       "train.iterations=40",
                                       NULL};
    vox_error err = {0};
    char name[16];
    snprintf(name, sizeof name, "slow%d", (int)bound);
    training t = {.devices = "0,1",
                  .run = training_path(name),
                  .sets = sets,
                  .sync = VOX_SYNC_ASYNC,
                  .staleness_set = true,
                  .staleness = bound};
    assert_int_equal(setenv("VOXCL_FAULT", "1:2:wait", 1), 0);
    assert_ok(training_run(&t, &err));
    assert_int_equal(unsetenv("VOXCL_FAULT"), 0);
    if (bound < 9)
        assert_int_equal(t.result.staleness_most, bound);
    assert_true(t.result.staleness_most > 2 || bound < 3);
    for (size_t i = 0; i < 2; i++) /* of 3 samples each; the first step is not counted */
        updates[i] = t.result.device[i].samples / 3;
    assert_true(t.result.devices == 2 && updates[0] + updates[1] >= 70);
}

/* Held to one update the fast device takes turns with the slow one; let go it makes all that are
 * left of the five batches that are known. */
static void a_slow_device_holds_up_by_the_bound(void **state)
{
    (void)state;
    int64_t updates[2];
    updates_of(1, updates);
    assert_true(llabs(updates[0] - updates[1]) <= 2); /* of about 39 each */
    updates_of(3, updates);
    assert_true(updates[0] <= 3 * updates[1] + 6 && updates[0] + 2 >= updates[1]);
    updates_of(64, updates);
    assert_true(updates[0] + 2 >= updates[1]); /* mostly 68 and 10: as batches are read in time */
}

/* ---- devices that fail --------------------------------------------------------- */

static double turns[STEPS]; /* the losses of three devices in turn, none of which fails */

/* With K = 0 it does not matter who computes a share: the losses are those of a job that lost
 * nobody.  With a larger bound the job ends well. */
static void survive(const char *fault, int64_t bound, size_t lost, size_t device, int64_t step,
                    const char *why)
{
    static const char *const sets[] = {no_sync, little_dropout, "train.optimizer.sgd.lr=0.005",
                                       NULL};
    static int run;
    vox_error err = {0};
    double loss[STEPS];
    char name[32], number[8];
    snprintf(name, sizeof name, "fault-%d", run++);
    snprintf(number, sizeof number, "%zu ", device);
    training t = {.devices = "0,1,2",
                  .run = training_path(name),
                  .sets = sets,
                  .sync = VOX_SYNC_ASYNC,
                  .hang_timeout_s = fault && strstr(fault, "hang") ? 2 : 0,
                  .staleness_set = true,
                  .staleness = bound};
    if (fault && turns[0] == 0)
        survive(NULL, 0, 0, 0, 0, "");
    if (fault)
        setenv("VOXCL_FAULT", fault, 1);
    assert_ok(training_run(&t, &err));
    unsetenv("VOXCL_FAULT");
    assert_int_equal(training_losses(t.run, loss, STEPS), STEPS);
    assert_int_equal(t.result.all_devices, 3);
    assert_int_equal(t.result.lost, lost);
    if (lost) {
        const vox_lost_device *gone = &t.result.gone[0];
        /* Free to take what they can, a device may have no share of that very step. */
        assert_true(bound > 0 ? gone->step >= step : gone->step == step);
        if (strncmp(gone->device, number, strlen(number)) != 0 || !strstr(gone->reason, why))
            fail_msg("%s: device %s: %s", fault, gone->device, gone->reason);
        char *metrics = training_metrics(t.run);
        assert_non_null(strstr(metrics, "\"lost\": [{\"device\": \""));
        free(metrics);
    }
    for (size_t i = 0; i < STEPS; i++) {
        if (!fault)
            turns[i] = loss[i];
        if (bound == 0 && !(fabs(loss[i] - turns[i]) <= 1e-5 * turns[i]))
            fail_msg("%s, step %zu: %.9g, without it %.9g", fault, i + 1, loss[i], turns[i]);
    }
}

static void the_others_do_what_a_lost_device_had(void **state)
{
    (void)state;
    if (devices < 3)
        return;
    survive("0:6:lost", 0, 1, 0, 6, "CL_DEVICE_NOT_AVAILABLE");
    survive("1:1:memory", 0, 1, 1, 1, "CL_MEM_OBJECT_ALLOCATION_FAILURE");
    survive("1:2:driver,2:9:lost", 0, 2, 1, 2, "CL_OUT_OF_RESOURCES"); /* one is left */
    survive("2:5:lost", 0, 1, 2, 5, "lost"); /* in the validation after step 4 */
    survive("1:6:lost", 8, 1, 1, 6, "lost");
    survive("0:3:lost,2:3:driver", 1, 2, 0, 3, "lost");
    survive("1:0:memory", 0, 1, 1, 0, "CL_MEM_OBJECT_ALLOCATION_FAILURE");
}

/* For good, or coming to life when nobody waits for it any more. */
static void one_that_hangs_is_left_to_itself(void **state)
{
    (void)state;
    if (devices < 3)
        return;
    survive("1:7:hang", 0, 1, 1, 7, "no answer for 2 s");
    survive("0:6:hang", 6, 1, 0, 6, "no answer for 2 s");
    survive("2:6:hang=2.5", 0, 1, 2, 6, "no answer for 2 s");
    survive("2:9:hang", 4, 1, 2, 9, "no answer for 2 s"); /* in a validation */
}

/* What was done is saved, also before the first step is. */
static void with_nobody_left_it_saves(void **state)
{
    (void)state;
    static const char *const sets[] = {no_sync, NULL};
    static const struct {
        const char *devices, *fault;
        int step;
    } all[] = {{"0", "0:1:lost", 0},
               {"0,1", "0:1:lost,1:1:driver", 0},
               {"0", "0:6:memory", 5},
               {"0,1", "0:2:driver,1:6:lost", 5},
               {"0,1", "0:6:hang,1:6:lost", 5}};
    vox_error err = {0};
    char name[16], word[48];
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        snprintf(name, sizeof name, "none-%zu", i);
        snprintf(word, sizeof word,
                 all[i].step ? "everything up to step %d is in" : "no step was done", all[i].step);
        training t = {.devices = all[i].devices,
                      .run = training_path(name),
                      .sets = sets,
                      .sync = VOX_SYNC_ASYNC,
                      .hang_timeout_s = 2,
                      .staleness_set = true};
        setenv("VOXCL_FAULT", all[i].fault, 1);
        vox_status s = training_run(&t, &err);
        unsetenv("VOXCL_FAULT");
        assert_true(s == VOX_ERR_DEVICE || s == VOX_ERR_ROOM);
        if (!strstr(err.detail, word))
            fail_msg("%s: %s", all[i].fault, err.detail);
        t.resume = true;
        t.sync = i % 2 ? VOX_SYNC_TREE : VOX_SYNC_ASYNC;
        t.staleness_set = t.sync == VOX_SYNC_ASYNC;
        assert_ok(training_run(&t, &err));
        assert_int_equal(t.result.steps, STEPS);
    }
}

/* Stopped while batches to come are under way, these are finished first: the checkpoint is that of
 * a whole number of steps, and the run goes on from there. */
static void it_stops_and_goes_on(void **state)
{
    (void)state;
    static const char *const sets[] = {no_sync,
                                       little_dropout,
                                       "train.optimizer.sgd.lr=0.005",
                                       "train.validate_every=1000",
                                       "train.iterations=100",
                                       NULL};
    vox_error err = {0};
    double loss[100];
    training t = {
        .run = training_path("stopped"), .sets = sets, .stop_at = 7, .sync = VOX_SYNC_ASYNC};
    assert_error(training_run(&t, &err), VOX_ERR_INTERRUPTED, "stopped after step ");
    assert_true(t.result.steps >= 7 && t.result.steps <= 7 + 4);
    t.stop_at = 0;
    t.resume = true;
    assert_ok(training_run(&t, &err));
    assert_int_equal(t.result.steps, 100);
    assert_int_equal(training_losses(t.run, loss, 100), 100);
    assert_true(mean_of(loss + 92, 8) < 0.7 * mean_of(loss, 4));
    t.sync = VOX_SYNC_TREE; /* nothing left to do, but all schemes read the same checkpoints */
    assert_ok(training_run(&t, &err));
}

static void one_device_is_never_late(void **state)
{
    (void)state;
    vox_error err = {0};
    double loss[2][STEPS];
    static const char *const sets[] = {no_sync, NULL};
    training a = {
        .devices = "0", .run = training_path("one-a"), .sets = sets, .sync = VOX_SYNC_ASYNC};
    training b = {.devices = "0", .run = training_path("one-b"), .sets = sets};
    assert_ok(training_run(&a, &err));
    assert_ok(training_run(&b, &err));
    assert_int_equal(training_losses(a.run, loss[0], STEPS), STEPS);
    assert_int_equal(training_losses(b.run, loss[1], STEPS), STEPS);
    for (size_t i = 0; i < STEPS; i++)
        assert_true(fabs(loss[0][i] - loss[1][i]) <= 1e-5 * loss[1][i]);
    assert_int_equal(a.result.staleness_most, 0);
}

static void a_loss_that_is_not_finite_stops(void **state)
{
    (void)state;
    static const char *const sets[] = {no_sync, "train.optimizer.sgd.lr=1e6", "train.clip_norm=0",
                                       "train.validate_every=1000", NULL};
    vox_error err = {0};
    training t = {.run = training_path("nonfinite"), .sets = sets, .sync = VOX_SYNC_ASYNC};
    assert_error(training_run(&t, &err), VOX_ERR_NONFINITE, "is not finite");
    assert_non_null(strstr(err.detail, "layer \""));
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    static const char *const per_batch[] = {no_sync,
                                            "network.layers=[{conv: {out: 3, kernel: 3, pad: 1}}]",
                                            "network.loss={dice: {per: batch}}", NULL};
    vox_error err = {0};
    training t = {.run = training_path("refused"), .sync = VOX_SYNC_ASYNC};
    assert_error(training_run(&t, &err), VOX_ERR_UNSUPPORTED, "sync: true");
    t.sets = per_batch;
    assert_error(training_run(&t, &err), VOX_ERR_UNSUPPORTED, "per: batch");
    t.sets = NULL;
    t.shard = "2,1";
    assert_error(training_run(&t, &err), VOX_ERR_USAGE, "--shard 2,1");
    t.shard = NULL;
    t.staleness_set = true;
    t.staleness = -1;
    assert_error(training_run(&t, &err), VOX_ERR_USAGE, "negative");
    t.sync = VOX_SYNC_SERVER;
    assert_error(training_run(&t, &err), VOX_ERR_USAGE, "--sync async");
    assert_false(vox_path_exists(t.run));
}

int main(int argc, char **argv)
{
    if (!training_possible())
        return 77;
    (void)argc;
    devices = training_devices(argv, "111");
    if (devices < 2) {
        printf("skipped: needs PoCL or several devices\n");
        return 77;
    }
    cmocka_set_test_filter(getenv("VOXCL_TEST_ONLY"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_turn_it_is_smaller_batches),
        cmocka_unit_test(in_turn_the_bits_repeat),
        cmocka_unit_test(it_learns_within_the_bound),
        cmocka_unit_test(a_slow_device_holds_up_by_the_bound),
        cmocka_unit_test(the_others_do_what_a_lost_device_had),
        cmocka_unit_test(one_that_hangs_is_left_to_itself),
        cmocka_unit_test(with_nobody_left_it_saves),
        cmocka_unit_test(it_stops_and_goes_on),
        cmocka_unit_test(one_device_is_never_late),
        cmocka_unit_test(a_loss_that_is_not_finite_stops),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, training_setup, training_teardown);
}
