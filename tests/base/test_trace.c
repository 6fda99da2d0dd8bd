/* test_trace.c - the recorder of spans: whole files from many threads, its limit, a full disk. */
#include "test.h"

#include "base/file.h"
#include "base/trace.h"

#ifdef VOXCL_WITH_JANSSON
#include "trace_file.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

static char dir[] = "/tmp/voxcl-trace-XXXXXX";
static char path[64];

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof path, "%s/trace.json", dir);
    return 0;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static size_t files_there(void)
{
    vox_names names;
    vox_error err = {0};
    assert_ok(vox_dir_list(&names, dir, &err));
    size_t n = names.count;
    vox_names_release(&names);
    return n;
}

static void without_a_trace_nothing_happens(void **state)
{
    (void)state;
    assert_null(vox_trace_here);
    const vox_span s = vox_span_begin("work", "host");
    assert_null(s.track);
    vox_span_end(&s);
    assert_null(vox_trace_sibling("thread %d", 1));
    assert_null(vox_track_trace(NULL));
    assert_false(vox_trace_on(NULL));
    vox_trace_span(NULL, "work", "host", 0, 1, NULL, 0);
    vox_trace_free(&(vox_trace *){NULL});
}

/* ---- a whole file ------------------------------------------------------------ */

enum { THREADS = 8, SPANS = 200 };

static void *record(void *arg)
{
    vox_trace_thread(arg);
    for (int i = 0; i < SPANS; i++) {
        const vox_span outer = vox_span_begin("outer", "host");
        const vox_span inner = vox_span_begin("inner", "host");
        vox_span_end(&inner);
        const vox_trace_arg args[] = {{"text", "a \"b\"\\", 0}, {"number", NULL, i}};
        vox_span_end_with(&outer, args, 2);
    }
    vox_trace_thread(NULL);
    return NULL;
}

static void threads_make_one_file(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_trace *trace;
    pthread_t thread[THREADS];
    assert_ok(vox_trace_open(&trace, path, 1 << 30, &err));
    vox_trace_thread(vox_trace_track(trace, VOX_TRACE_HOST, "main"));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&thread[i], NULL, record, vox_trace_sibling("thread \"%d\"", i)), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    const int process = vox_trace_process(trace, "a device\xff");
    vox_track *queue = vox_trace_track(trace, process, "queue");
    const int64_t now = vox_clock_ns();
    vox_trace_span(queue, "kernel", "kernel", now, now + 1234567, NULL, 0);
    vox_trace_note(trace, "version", "%s", vox_version());
    assert_int_equal(access(path, F_OK), -1); /* not before it is whole */
    assert_true(vox_trace_on(trace));
    assert_ok(vox_trace_finish(trace, &err));
    assert_false(vox_trace_on(trace));
    assert_false(vox_trace_full(trace));
    vox_trace_span(queue, "late", "kernel", now, now + 1, NULL, 0);
    assert_ok(vox_trace_finish(trace, &err));
    vox_trace_thread(NULL);
    vox_trace_free(&trace);
    assert_null(trace);
    assert_int_equal(files_there(), 1);

    trace_file t = trace_read(path);
    assert_int_equal(t.count, THREADS * SPANS * 2 + 1);
    assert_int_equal(trace_count(&t, 0, "late"), 0);
    assert_int_equal(trace_count(&t, 3, "inner"), SPANS);
    assert_string_equal(trace_name(&t, VOX_TRACE_HOST, 0), "host");
    assert_string_equal(trace_name(&t, VOX_TRACE_HOST, 2), "thread \"0\"");
    const trace_span *last = &t.span[t.count - 1];
    assert_string_equal(trace_name(&t, last->process, 0), "a device\xef\xbf\xbd");
    assert_true(fabs(last->end - last->start - 1234.567) < 1e-4);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(t.root, "otherData"), "version")),
        vox_version());
    const json_t *args = t.span[0].args;
    assert_string_equal(json_string_value(json_object_get(args, "text")), "a \"b\"\\");
    assert_int_equal(json_number_value(json_object_get(args, "number")), 0);
    trace_release(&t);
    unlink(path);
}

static void empty_trace_is_whole(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_trace *trace;
    assert_ok(vox_trace_open(&trace, path, 1 << 20, &err));
    assert_ok(vox_trace_finish(trace, &err));
    vox_trace_free(&trace);
    trace_file t = trace_read(path);
    assert_int_equal(t.count, 0);
    trace_release(&t);
    unlink(path);
}

static void unfinished_leaves_nothing(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_trace *trace;
    assert_ok(vox_trace_open(&trace, path, 1 << 20, &err));
    vox_trace_free(&trace);
    assert_int_equal(files_there(), 0);
}

/* A thread that hangs in a driver, and comes back after all. */
static void thread_that_is_left_behind(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_trace *trace;
    assert_ok(vox_trace_open(&trace, path, 1 << 20, &err));
    vox_trace_thread(vox_trace_track(trace, VOX_TRACE_HOST, "main"));
    const vox_span span = vox_span_begin("hang", "host");
    assert_ok(vox_trace_finish(trace, &err));
    vox_trace *kept = trace;
    vox_trace_free(&trace);
    assert_null(trace);
    vox_span_end(&span);
    vox_trace_thread(NULL);
    vox_trace_free(&kept); /* for the leak checker: nobody would */
    unlink(path);
}

static void limit_ends_it(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_trace *trace;
    assert_ok(vox_trace_open(&trace, path, 4000, &err));
    vox_track *track = vox_trace_track(trace, VOX_TRACE_HOST, "main");
    for (int i = 0; i < 1000; i++)
        vox_trace_span(track, "work", "host", vox_clock_ns(), vox_clock_ns(), NULL, 0);
    assert_true(vox_trace_full(trace));
    assert_false(vox_trace_on(trace));
    assert_true(vox_trace_bytes(trace) < 4200);
    assert_ok(vox_trace_finish(trace, &err));
    vox_trace_free(&trace);
    trace_file t = trace_read(path);
    assert_true(t.count > 10 && t.count < 100);
    trace_release(&t);
    unlink(path);
}

/* ---- where it cannot be written ------------------------------------------------ */

static void bad_paths(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_trace *trace;
    char missing[128];
    snprintf(missing, sizeof missing, "%s/none/trace.json", dir);
    assert_error(vox_trace_open(&trace, dir, 1, &err), VOX_ERR_IO, "irectory");
    assert_null(trace);
    assert_error(vox_trace_open(&trace, missing, 1, &err), VOX_ERR_IO, "No such file");
    assert_non_null(strstr(err.hint, "folder"));
    assert_null(trace);
    assert_int_equal(files_there(), 0);
}

static int warnings;

static void count_warning(void *user, vox_log_level level, const char *line)
{
    (void)user;
    warnings += level == VOX_LOG_WARN && strstr(line, "trace.json") != NULL;
}

static void full_disk_is_a_warning(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_trace *trace;
    struct rlimit before, small;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 20000;
    vox_log_set(count_warning, NULL);
    assert_ok(vox_trace_open(&trace, path, 1 << 30, &err));
    vox_track *track = vox_trace_track(trace, VOX_TRACE_HOST, "main");
    setrlimit(RLIMIT_FSIZE, &small);
    for (int i = 0; i < 20000 && vox_trace_on(trace); i++)
        vox_trace_span(track, "work", "host", vox_clock_ns(), vox_clock_ns(), NULL, 0);
    assert_false(vox_trace_on(trace));
    assert_false(vox_trace_full(trace));
    assert_int_equal(warnings, 1);
    assert_int_equal(files_there(), 0); /* the space is free again at once */
    assert_error(vox_trace_finish(trace, &err), VOX_ERR_IO, "cannot write");
    setrlimit(RLIMIT_FSIZE, &before);
    vox_trace_free(&trace);
    vox_log_set(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_trace_nothing_happens),
        cmocka_unit_test(threads_make_one_file),
        cmocka_unit_test(empty_trace_is_whole),
        cmocka_unit_test(unfinished_leaves_nothing),
        cmocka_unit_test(thread_that_is_left_behind),
        cmocka_unit_test(limit_ends_it),
        cmocka_unit_test(bad_paths),
        cmocka_unit_test(full_disk_is_a_warning),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
#else
int main(void)
{
    printf("skipped: built without jansson\n");
    return 77;
}
#endif
