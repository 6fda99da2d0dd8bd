/* test_trace.c - the trace of a training, on one to three devices: whole JSON with every layer's
 * kernels on each device, in the host's time, however the training ends; and what is computed is
 * the same with it.  And the report of where the devices' time went. */
#include "training.h"

#ifdef VOXCL_WITH_JANSSON
#include "base/thread.h"
#include "trace_file.h"

static size_t devices;
static const char *const selector[] = {"0", "0,1", "0,1,2"};

/* The number of a process or track whose name begins so; 0: none. */
static int find_track(const trace_file *t, const char *process, const char *track)
{
    for (size_t i = 0; i < t->count; i++) {
        const trace_span *s = &t->span[i];
        if (!strncmp(trace_name(t, s->process, 0), process, strlen(process)) &&
            !strncmp(trace_name(t, s->process, s->track), track, strlen(track)))
            return s->track;
    }
    return 0;
}

/* Whether [start, end] lies within a span of that name, but for what clocks differ by. */
static bool within(const trace_file *t, const char *name, double start, double end)
{
    const double slack = 500; /* microseconds; steps take some milliseconds */
    for (size_t i = 0; i < t->count; i++)
        if (!strcmp(t->span[i].name, name) && start > t->span[i].start - slack &&
            end < t->span[i].end + slack)
            return true;
    return false;
}

static void check_device(const trace_file *t, size_t i, size_t steps)
{
    static const char *const passes[] = {
        "conv1 forward ", "conv1 backward_weights ", "bn1 forward ",       "bn1 backward_data ",
        "fc1 forward ",   "fc1 backward_data ",      "fc2 forward ",       "fc2 backward_weights ",
        "pool",           "loss forward ",           "loss backward_data "};
    char process[32], replica[32];
    snprintf(process, sizeof process, "device %zu ", i);
    snprintf(replica, sizeof replica, "replica %zu ", i);
    const int queue = find_track(t, process, "queue");
    assert_true(queue > 0);
    for (size_t k = 0; k < sizeof passes / sizeof *passes; k++) {
        const bool pool = !strcmp(passes[k], "pool"); /* its name is made up */
        const size_t found = trace_count(t, queue, pool ? "max_pool" : passes[k]);
        if (found < steps)
            fail_msg("device %zu: %zu of \"%s\" in %zu steps", i, found, passes[k], steps);
    }
    for (size_t k = 0; k < t->count; k++) {
        const trace_span *s = &t->span[k];
        if (s->track == queue && strstr(s->name, " backward_") &&
            !within(t, "step", s->start, s->end))
            fail_msg("\"%s\" at %.3f us is outside of every step", s->name, s->start);
        if (s->track == queue && !strcmp(s->category, "copy") && !strcmp(s->name, "to device"))
            assert_true(json_number_value(json_object_get(s->args, "bytes")) > 0);
    }
    const int thread = find_track(t, "host", replica);
    assert_true(thread > 0);
    assert_true(trace_count(t, thread, "enqueue") >= steps);
    assert_true(trace_count(t, thread, "wait for the device") >= steps);
}

static void check_file(const char *path, size_t used, size_t steps, double elapsed)
{
    trace_file t = trace_read(path);
    assert_int_equal(trace_count(&t, 0, "step"), steps);
    for (size_t i = 0; i < used; i++)
        check_device(&t, i, steps);
    for (size_t i = 0; i < t.count; i++)
        assert_true(t.span[i].end <= 1e6 * elapsed);
    assert_true(find_track(&t, "host", "reader 0") > 0);
    assert_true(trace_count(&t, 0, "wait for data") >= steps);
    trace_release(&t);
}

/* Of 20 steps, the first left out; batches of 7 7 7 3. */
static void check_usage(const training *t, size_t used)
{
    const vox_train_result *r = &t->result;
    int64_t samples = 0;
    assert_int_equal(r->devices, used);
    for (size_t i = 0; i < used; i++) {
        const vox_device_usage *u = &r->device[i];
        const double sum = u->compute_s + u->transfer_s + u->reduce_s + u->update_s + u->wait_s;
        assert_true(fabs(sum - u->wall_s) < 1e-9 && u->wall_s < r->time_s);
        assert_true(u->compute_s > 0 && u->transfer_s >= 0 && u->reduce_s >= 0 && u->wait_s >= 0);
        assert_true((used > 1) == (u->update_s > 0)); /* one device updates by itself */
        assert_true(fabs(u->utilisation - u->compute_s / u->wall_s) < 1e-9);
        if (t->trace) /* within the host's waiting for it, but for what the clock is worse by */
            assert_true(u->kernel_s > 0 && u->kernel_s < u->compute_s + 1e-3 && u->copy_s > 0);
        else
            assert_true(isnan(u->kernel_s) && isnan(u->copy_s));
        assert_true(u->name[0] == '0' + (int)i);
        samples += u->samples;
    }
    assert_int_equal(samples, 120 - 7);
}

static void check_usage_file(const training *t, size_t used)
{
    vox_error err = {0};
    json_error_t e;
    char *path = vox_path_join(t->run, "usage.json", &err);
    json_t *root = json_load_file(path, 0, &e);
    free(path);
    assert_non_null(root);
    assert_int_equal(json_integer_value(json_object_get(root, "after_step")), 1);
    assert_int_equal(json_integer_value(json_object_get(root, "steps")), 19);
    const json_t *list = json_object_get(root, "devices");
    assert_int_equal(json_array_size(list), used);
    for (size_t i = 0; i < used; i++) {
        const json_t *d = json_array_get(list, i);
        const double compute = json_number_value(json_object_get(d, "compute_s"));
        assert_true(fabs(compute - t->result.device[i].compute_s) <= 1e-6 * compute);
        assert_int_equal(json_is_null(json_object_get(d, "kernel_s")), t->trace == NULL);
    }
    json_decref(root);
}

static void traced_runs_compute_the_same(void **state)
{
    (void)state;
    vox_error err = {0};
    for (size_t n = 0; n < 3 && n < devices; n++) {
        char a[32], b[32], file[32];
        snprintf(a, sizeof a, "plain-%zu", n);
        snprintf(b, sizeof b, "traced-%zu", n);
        snprintf(file, sizeof file, "trace-%zu.json", n);
        training plain = {.devices = selector[n], .run = training_path(a)};
        training traced = {
            .devices = selector[n], .run = training_path(b), .trace = training_path(file)};
        assert_ok(training_run(&plain, &err));
        const double start = vox_now();
        assert_ok(training_run(&traced, &err));
        check_file(traced.trace, n + 1, 20, vox_now() - start);
        training_same_run(plain.run, traced.run);
        check_usage(&plain, n + 1);
        check_usage(&traced, n + 1);
        check_usage_file(&plain, n + 1);
        check_usage_file(&traced, n + 1);
    }
}

static void only_the_first_steps(void **state)
{
    (void)state;
    vox_error err = {0};
    training t = {.devices = "0",
                  .run = training_path("first"),
                  .trace = training_path("first.json"),
                  .trace_steps = 3};
    assert_ok(training_run(&t, &err));
    assert_int_equal(t.result.steps, 20);
    trace_file f = trace_read(t.trace);
    assert_int_equal(trace_count(&f, 0, "step"), 3);
    assert_int_equal(trace_count(&f, 0, "checkpoint"), 0); /* is at the epoch's end */
    const json_t *notes = json_object_get(f.root, "otherData");
    assert_string_equal(json_string_value(json_object_get(notes, "last step")), "3");
    trace_release(&f);
}

/* ---- trainings that end early ---------------------------------------------------- */

static void interrupted_training_has_a_whole_trace(void **state)
{
    (void)state;
    vox_error err = {0};
    training t = {.devices = "0",
                  .run = training_path("stopped"),
                  .trace = training_path("stopped.json"),
                  .stop_at = 7};
    assert_int_equal(training_run(&t, &err), VOX_ERR_INTERRUPTED);
    trace_file f = trace_read(t.trace);
    assert_int_equal(trace_count(&f, 0, "step"), 7);
    assert_true(trace_count(&f, 0, "checkpoint") > 0);
    trace_release(&f);
}

static void failed_training_has_a_whole_trace(void **state)
{
    (void)state;
    vox_error err = {0};
    static const char *const sets[] = {"train.optimizer.sgd.lr=1e6", NULL};
    training t = {.devices = "0",
                  .run = training_path("failed"),
                  .trace = training_path("failed.json"),
                  .sets = sets};
    assert_int_equal(training_run(&t, &err), VOX_ERR_NONFINITE);
    trace_file f = trace_read(t.trace);
    assert_true(trace_count(&f, 0, "conv1 forward ") > 0);
    trace_release(&f);
}

/* Whatever becomes of the training, and of the failed device's spans. */
static void lost_device_leaves_a_whole_trace(void **state)
{
    (void)state;
    vox_error err = {0};
    training t = {
        .devices = "0,1", .run = training_path("lost"), .trace = training_path("lost.json")};
    setenv("VOXCL_FAULT", "1:6:lost", 1);
    (void)training_run(&t, &err);
    unsetenv("VOXCL_FAULT");
    trace_file f = trace_read(t.trace);
    assert_true(trace_count(&f, 0, "step") >= 5);
    trace_release(&f);
    training after = {.devices = "0,1", .run = training_path("after")}; /* untraced again */
    assert_ok(training_run(&after, &err));
}

static void bad_path_is_an_error_before_any_work(void **state)
{
    (void)state;
    vox_error err = {0};
    training t = {.devices = "0",
                  .run = training_path("none"),
                  .trace = training_path("no-such-folder/trace.json")};
    assert_error(training_run(&t, &err), VOX_ERR_IO, "No such file");
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traced_runs_compute_the_same),
        cmocka_unit_test(only_the_first_steps),
        cmocka_unit_test(interrupted_training_has_a_whole_trace),
        cmocka_unit_test(failed_training_has_a_whole_trace),
        cmocka_unit_test(lost_device_leaves_a_whole_trace),
        cmocka_unit_test(bad_path_is_an_error_before_any_work),
    };
    return cmocka_run_group_tests(tests, training_setup, training_teardown);
}
#else
int main(void)
{
    printf("skipped: built without jansson\n");
    return 77;
}
#endif
