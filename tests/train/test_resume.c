/* test_resume.c - an interrupted run goes on to the same bits; a killed one can go on at all. */
#include "training.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

/* 24 cases in batches of 7: epochs of 4 steps, the last of 3 samples. */
static void going_on_gives_the_same_bits(void **state)
{
    (void)state;
    static const int64_t stops[] = {1, 4, 10}; /* at once; after the partial batch; mid-epoch */
    vox_error err = {0};
    training whole = {.devices = "0,1", .run = training_path("whole")};
    assert_ok(training_run(&whole, &err));
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        char name[32];
        snprintf(name, sizeof name, "stop-%d", (int)stops[i]);
        training t = {.devices = "0,1", .run = training_path(name), .stop_at = stops[i]};
        assert_error(training_run(&t, &err), VOX_ERR_INTERRUPTED, "last.safetensors");
        assert_int_equal(t.result.steps, stops[i]);
        t.stop_at = stops[i] + 1; /* and once more */
        t.resume = true;
        assert_error(training_run(&t, &err), VOX_ERR_INTERRUPTED, "after step");
        t.stop_at = 0;
        assert_ok(training_run(&t, &err));
        assert_int_equal(t.result.steps, 20);
        assert_true(t.result.accuracy == whole.result.accuracy);
        assert_memory_equal(t.result.confusion, whole.result.confusion, 9 * sizeof(int64_t));
        training_same_run(whole.run, t.run);
    }
}

/* Those whose state is not the momentum alone, or whose rate goes by the tensors' norms; on one
 * device, where they are kernels, and on two, whose model and update are the host's. */
static void every_optimizer_goes_on(void **state)
{
    (void)state;
    static const char *const optimizer[] = {"train.optimizer={adamw: {lr: 0.005, amsgrad: true}}",
                                            "train.optimizer={lars: {lr: 2}}",
                                            "train.optimizer={lamb: {lr: 0.01, adapt: all}}"};
    vox_error err = {0};
    for (size_t i = 0; i < sizeof optimizer / sizeof *optimizer; i++) {
        const char *const sets[] = {optimizer[i], "train.iterations=8", NULL};
        double loss[2][8];
        for (size_t two = 0; two < 2; two++) {
            char name[2][32];
            snprintf(name[0], sizeof name[0], "whole-%zu-on-%zu", i, 1 + two);
            snprintf(name[1], sizeof name[1], "cut-%zu-on-%zu", i, 1 + two);
            training whole = {
                .devices = two ? "0,1" : "0", .run = training_path(name[0]), .sets = sets};
            training cut = whole;
            assert_ok(training_run(&whole, &err));
            assert_int_equal(training_losses(whole.run, loss[two], 8), 8);
            assert_true(loss[two][7] < loss[two][0]);
            cut.run = training_path(name[1]);
            cut.stop_at = 5;
            assert_error(training_run(&cut, &err), VOX_ERR_INTERRUPTED, "after step 5");
            cut.stop_at = 0;
            cut.resume = true;
            assert_ok(training_run(&cut, &err));
            training_same_run(whole.run, cut.run);
        }
        for (size_t k = 0; k < 8; k++)
            assert_true(fabs(loss[0][k] - loss[1][k]) <= 1e-4 * loss[0][k]);
    }
}

static void longer_is_allowed_other_is_not(void **state)
{
    (void)state;
    static const char *const longer[] = {"train.iterations=24", NULL};
    static const char *const batch[] = {"train.batch=6", NULL};
    static const char *const wider[] = {"network.layers.5.dense.out=9", NULL};
    vox_error err = {0};
    training t = {.devices = "0", .run = training_path("longer")};
    assert_ok(training_run(&t, &err));
    assert_error(training_run(&t, &err), VOX_ERR_USAGE, "already holds a run");
    t.resume = true;
    assert_ok(training_run(&t, &err)); /* nothing left to do */
    t.sets = batch;
    assert_error(training_run(&t, &err), VOX_ERR_INPUT, "train.batch: 7 in the checkpoint, 6 now");
    t.sets = wider;
    assert_error(training_run(&t, &err), VOX_ERR_INPUT, "fc1.weight");
    t.init = t.run;
    assert_error(training_run(&t, &err), VOX_ERR_USAGE, "exclude");
    t.init = NULL;
    t.sets = longer;
    assert_ok(training_run(&t, &err));
    assert_int_equal(t.result.steps, 24);
    double loss[24];
    assert_int_equal(training_losses(t.run, loss, 24), 24);
}

static void a_damaged_checkpoint_is_refused(void **state)
{
    (void)state;
    vox_error err = {0};
    training t = {.devices = "0", .run = training_path("damaged"), .stop_at = 2};
    assert_error(training_run(&t, &err), VOX_ERR_INTERRUPTED, "");
    assert_int_equal(truncate(training_path("damaged/last.safetensors"), 3000), 0);
    t.resume = true;
    t.stop_at = 0;
    assert_error(training_run(&t, &err), VOX_ERR_INPUT, "last.safetensors");
}

/* The last byte is in the optimiser's state, one in the middle in a weight: both are noticed. */
static void a_flipped_bit_is_noticed(void **state)
{
    (void)state;
    vox_error err = {0};
    training t = {.devices = "0", .run = training_path("flipped"), .stop_at = 2};
    assert_error(training_run(&t, &err), VOX_ERR_INTERRUPTED, "");
    t.resume = true;
    t.stop_at = 0;
    char *data = NULL, *path = vox_strdup(training_path("flipped/last.safetensors"), &err);
    size_t size = 0;
    uint64_t header = 0;
    assert_ok(vox_file_read(&data, &size, path, 0, &err));
    memcpy(&header, data, sizeof header);
    const size_t places[] = {size - 1, 8 + (size_t)header + 5};
    for (size_t i = 0; i < 2; i++) {
        data[places[i]] ^= 1;
        assert_ok(vox_file_write(path, data, size, &err));
        assert_error(training_run(&t, &err), VOX_ERR_INPUT, "has changed since");
        data[places[i]] ^= 1;
    }
    assert_ok(vox_file_write(path, data, size, &err));
    assert_ok(training_run(&t, &err));
    free(path);
    free(data);
}

/* A run that died before its first checkpoint has nothing to lose; a folder of somebody's own has.
 */
static void without_a_checkpoint_a_run_starts_again(void **state)
{
    (void)state;
    vox_error err = {0};
    training t = {.devices = "0", .run = training_path("died"), .stop_at = 2};
    assert_error(training_run(&t, &err), VOX_ERR_INTERRUPTED, "");
    unlink(training_path("died/last.safetensors"));
    unlink(training_path("died/best.safetensors"));
    t.resume = true;
    assert_error(training_run(&t, &err), VOX_ERR_USAGE, "nothing to resume");
    t.resume = false;
    t.stop_at = 0;
    assert_ok(training_run(&t, &err));
    double loss[24];
    assert_int_equal(training_losses(t.run, loss, 24), 20);
    training own = {.devices = "0", .run = training_path("own")};
    assert_ok(vox_mkdirs(own.run, &err));
    assert_ok(vox_file_write(training_path("own/experiment.yaml"), "mine", 4, &err));
    assert_error(training_run(&own, &err), VOX_ERR_USAGE, "already holds a run");
}

/* Asked to stop while data was read and kernels were built. */
static void a_stop_before_the_first_step_writes_nothing(void **state)
{
    (void)state;
    vox_error err = {0};
    training t = {.devices = "0", .run = training_path("early"), .stop_at = 1, .seen = 1};
    assert_error(training_run(&t, &err), VOX_ERR_INTERRUPTED, "before the first step");
    assert_false(vox_path_exists(t.run));
    t.seen = 0;
    assert_error(training_run(&t, &err), VOX_ERR_INTERRUPTED, "after step 1 of 20");
    t.resume = true;
    assert_error(training_run(&t, &err), VOX_ERR_INTERRUPTED, "before the first step");
    t.stop_at = 0;
    assert_ok(training_run(&t, &err));
    assert_int_equal(t.result.steps, 20);
}

/* Whole, but its numbers cannot be of one run. */
static void a_lying_checkpoint_is_refused(void **state)
{
    (void)state;
    static const char *const keys[] = {"\"step\"", "\"epoch\"", "\"position\""};
    vox_error err = {0};
    training t = {.devices = "0", .run = training_path("lying"), .stop_at = 2};
    const char *path = training_path("lying/last.safetensors");
    char *good;
    size_t size;
    assert_error(training_run(&t, &err), VOX_ERR_INTERRUPTED, "");
    assert_ok(vox_file_read(&good, &size, path, 0, &err));
    t.resume = true;
    t.stop_at = 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char *copy = memcpy(malloc(size), good, size);
        char *digit = strstr(copy + 8, keys[i]); /* the header is text after its length */
        assert_non_null(digit);
        digit += strlen(keys[i]);
        digit += strcspn(digit, "0123456789");
        *digit = '5';
        assert_ok(vox_file_write(path, copy, size, &err));
        assert_error(training_run(&t, &err), VOX_ERR_INPUT, "contradicts itself");
        assert_non_null(strstr(err.detail, "last.safetensors"));
        free(copy);
    }
    assert_ok(vox_file_write(path, good, size, &err));
    assert_ok(training_run(&t, &err));
    free(good);
}

/* ---- kill -9 ---------------------------------------------------------------------- */

static const char *const often[] = {"train.checkpoint_every=1", "train.iterations=600", NULL};

/* What the child does; it is another process because a fork with OpenCL threads is none. */
static int child(const char *run, bool resume)
{
    vox_error err = {0};
    snprintf(training_dir, sizeof training_dir, "%.*s", (int)(strrchr(run, '/') - run), run);
    training t = {.devices = "0,1", .run = run, .sets = often, .resume = resume};
    return training_run(&t, &err) == VOX_OK ? 0 : 1;
}

static pid_t start(const char *run, bool resume)
{
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "test_resume", resume ? "resume" : "start", run, (char *)NULL);
        _exit(127);
    }
    assert_true(pid > 0);
    return pid;
}

#define KILLS 10

/* Waits, then kills the child unless it has ended; its status. */
static int kill_after(pid_t pid, long milliseconds)
{
    int status;
    const struct timespec pause = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&pause, NULL);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void a_kill_leaves_a_whole_checkpoint(void **state)
{
    (void)state;
    vox_error err = {0};
    const char *run = training_path("killed");
    const char *last = training_path("killed/last.safetensors");
    int killed = 0, status = -1;
    for (int i = 0; status != 0; i++) {
        char command[300];
        bool resume = vox_path_exists(last);
        snprintf(command, sizeof command, "rm -rf %s", run);
        if (!resume) /* killed before its first checkpoint: anew */
            assert_int_equal(system(command), 0);
        pid_t pid = start(run, resume);
        if (i < KILLS) /* 0.1 to 0.5 s, in an order that meets every phase */
            status = kill_after(pid, 100 + (i * 137) % 400);
        else
            assert_int_equal(waitpid(pid, &status, 0), pid);
        killed += WIFSIGNALED(status);
        assert_true(i < KILLS || status == 0);
        if (!vox_path_exists(last))
            continue;
        vox_safetensors *f = NULL;
        assert_ok(vox_safetensors_open(&f, last, &err));
        vox_safetensors_free(&f);
    }
    assert_true(killed > 0);
    printf("killed %d times\n", killed);
    training whole = {.devices = "0,1", .run = training_path("unhurt"), .sets = often};
    assert_ok(training_run(&whole, &err));
    training_same_run(whole.run, run);
}

int main(int argc, char **argv)
{
    if (!training_possible())
        return 77;
    if (argc == 3)
        return child(argv[2], strcmp(argv[1], "resume") == 0);
    if (training_devices(argv, "11") < 2) {
        printf("skipped: needs PoCL or several devices\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(going_on_gives_the_same_bits),
        cmocka_unit_test(every_optimizer_goes_on),
        cmocka_unit_test(longer_is_allowed_other_is_not),
        cmocka_unit_test(a_damaged_checkpoint_is_refused),
        cmocka_unit_test(a_flipped_bit_is_noticed),
        cmocka_unit_test(without_a_checkpoint_a_run_starts_again),
        cmocka_unit_test(a_stop_before_the_first_step_writes_nothing),
        cmocka_unit_test(a_lying_checkpoint_is_refused),
        cmocka_unit_test(a_kill_leaves_a_whole_checkpoint),
    };
    return cmocka_run_group_tests(tests, training_setup, training_teardown);
}
