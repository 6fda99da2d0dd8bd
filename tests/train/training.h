/* training.h - what the tests of whole trainings share: a small experiment on the data of
 * tests/golden/train50, several PoCL devices, and comparing runs. */
#ifndef VOX_TESTS_TRAINING_H
#define VOX_TESTS_TRAINING_H

#include "test.h"

#include "base/file.h"
#include "train/safetensors.h"

#include <math.h>
#include <unistd.h>

#define TRAINING_DATA VOXCL_SOURCE_DIR "/tests/golden/train50"

/* Everything a step can depend on: statistics of the batch, dropout, each augmentation, momentum, a
 * schedule.  Several devices bring fc1's gradient as factors. */
static const char *const training_text =
    "name: small\n"
    "network:\n"
    "  input: {channels: 1, size: [6, 10, 10]}\n"
    "  layers:\n"
    "    - conv: {name: conv1, out: 4, kernel: 3, pad: 1}\n"
    "    - batch_norm: {name: bn1, sync: true}\n"
    "    - relu:\n"
    "    - max_pool: {kernel: 2}\n"
    "    - flatten:\n"
    "    - dense: {name: fc1, out: 64}\n"
    "    - relu:\n"
    "    - dropout: {p: 0.3}\n"
    "    - dense: {name: fc2, out: 3}\n"
    "  loss: cross_entropy\n"
    "data:\n"
    "  train: {manifest: train.csv}\n"
    "  valid: {manifest: train.csv}\n"
    "  augment: [{mirror: {axes: [w], p: 0.5}}, {salt_pepper: {p: 0.3, amount: 0.01}},\n"
    "            {gaussian_noise: {std: 0.05}}]\n"
    "train:\n"
    "  batch: 7\n"
    "  iterations: 20\n"
    "  optimizer: {sgd: {lr: 0.02, momentum: 0.9, weight_decay: 0.0005}}\n"
    "  schedule: {poly: {power: 0.9, floor: 0.001}}\n"
    "  clip_norm: 5\n"
    "  seed: 3\n";

/* A folder for the test's runs, removed by training_teardown. */
static char training_dir[] = "/tmp/voxcl-train-XXXXXX";

static inline int training_setup(void **state)
{
    (void)state;
    return mkdtemp(training_dir) ? 0 : 1;
}

static inline int training_teardown(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", training_dir);
    return system(command);
}

/* "<dir>/<name>", in one of many buffers in turn: good for a test's length. */
static inline const char *training_path(const char *name)
{
    static char text[64][256];
    static int next;
    char *out = text[next++ % 64];
    snprintf(out, sizeof text[0], "%s/%s", training_dir, name);
    return out;
}

/* sets: up to eight overrides, ending with NULL. */
static inline vox_experiment *training_experiment(const char *const *sets)
{
    vox_error err = {0};
    vox_experiment *exp = NULL;
    size_t count = 0;
    while (sets && sets[count])
        count++;
    const char *path = training_path("experiment.yaml");
    assert_ok(vox_file_write(path, training_text, strlen(training_text), &err));
    assert_ok(vox_experiment_open(&exp, path, sets, count, &err));
    return exp;
}

/* Whether this build can train at all; else says why not. */
static inline bool training_possible(void)
{
#if defined(VOXCL_WITH_JANSSON) && defined(VOXCL_WITH_FYAML)
    return true;
#else
    printf("skipped: built without jansson or libfyaml\n");
    return false;
#endif
}

/* Several CPU devices, whatever the machine: starts the program again with PoCL's variable set.
 * Returns the number of devices then there. */
static inline size_t training_devices(char **argv, const char *devices)
{
    vox_error err = {0};
    vox_device_list *list = NULL;
    const char *word = NULL;
    if (!getenv("VOXCL_TEST_DEVICES"))
        unsetenv("POCL_DEVICES");
    if (vox_device_list_open(&list, &err) != VOX_OK)
        return 0;
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        const char *version = strstr(list->device[i].platform_version, "PoCL ");
        count += list->device[i].usable;
        if (version) /* up to 3.x the driver is called pthread, from 4.0 on cpu */
            word = atoi(version + 5) < 4 ? "pthread" : "cpu";
    }
    vox_device_list_free(&list);
    if (getenv("VOXCL_TEST_DEVICES") || !word)
        return count;
    char value[128] = "";
    for (const char *p = devices; *p; p++)
        snprintf(value + strlen(value), sizeof value - strlen(value), "%s%s", *value ? " " : "",
                 word);
    setenv("POCL_DEVICES", value, 1);
    setenv("VOXCL_TEST_DEVICES", devices, 1);
    execv("/proc/self/exe", argv);
    return count;
}

/* A training with the given devices, overrides and run directory; stop_at 0: to the end. */
typedef struct training {
    const char *devices, *run, *init;
    const char *const *sets;
    int64_t stop_at, seen;
    bool resume;
    vox_methods methods;
    const char *trace;
    int64_t trace_steps;
    double hang_timeout_s;
    bool whole_gradients;
    const char *shard; /* NULL: "equal", as clocks differ from run to run */
    vox_sync sync;
    bool staleness_set;
    int64_t staleness;
    vox_train_result result;
    bool factors; /* the job told of gradients as factors */
} training;

static inline void training_count(void *user, const vox_event *event)
{
    training *t = user;
    t->seen = event->step;
    if (event->kind == VOX_EVENT_START)
        t->factors = strstr(event->text, "as factors") != NULL;
}

static inline bool training_stop(void *user)
{
    const training *t = user;
    return t->stop_at && t->seen >= t->stop_at;
}

static inline vox_status training_run(training *t, vox_error *err)
{
    vox_experiment *exp = training_experiment(t->sets);
    vox_ctx *ctx = NULL;
    const vox_train_options opt = {.data_dir = TRAINING_DATA,
                                   .run_dir = t->run,
                                   .init = t->init,
                                   .resume = t->resume,
                                   .methods = t->methods,
                                   .trace = t->trace,
                                   .trace_steps = t->trace_steps,
                                   .hang_timeout_s = t->hang_timeout_s,
                                   .shard = t->shard ? t->shard : "equal",
                                   .sync = t->sync,
                                   .whole_gradients = t->whole_gradients,
                                   .staleness_set = t->staleness_set,
                                   .staleness = t->staleness,
                                   .on_event = training_count,
                                   .should_stop = training_stop,
                                   .user = t};
    vox_status s = vox_ctx_open(&ctx, t->devices ? t->devices : "all", err);
    if (s == VOX_OK)
        s = vox_train(exp, ctx, &opt, &t->result, err);
    if (t->result.hangs) { /* its thread may come to life again */
        vox_leave_behind(ctx);
        vox_leave_behind(exp);
        return s;
    }
    vox_ctx_free(&ctx);
    vox_experiment_free(&exp);
    return s;
}

/* The run's metrics without what a clock decides; the caller frees it. */
static inline char *training_metrics(const char *run)
{
    static const char *const clock[] = {", \"time_s\": ", ", \"samples_per_s\": "};
    vox_error err = {0};
    char *data = NULL, *path = vox_path_join(run, "metrics.jsonl", &err);
    size_t size = 0;
    assert_ok(vox_file_read(&data, &size, path, 0, &err));
    for (size_t i = 0; i < 2; i++) {
        for (char *at = data; (at = strstr(at, clock[i])) != NULL;) {
            char *end = at + strlen(clock[i]);
            end += strspn(end, "0123456789.eE+-");
            memmove(at, end, strlen(end) + 1);
        }
    }
    free(path);
    return data;
}

/* The losses of the run's training steps into loss[most]; returns how many there are. */
static inline size_t training_losses(const char *run, double *loss, size_t most)
{
    char *text = training_metrics(run);
    size_t n = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        const char *at = strstr(line, "\"loss\": ");
        if (strstr(line, "\"split\"") || !at)
            continue;
        assert_true(n < most);
        loss[n++] = strtod(at + 8, NULL);
    }
    free(text);
    return n;
}

/* The losses of `steps` steps, all of the run's, into loss[steps]. */
static inline void training_losses_of(training *t, double *loss, size_t steps)
{
    vox_error err = {0};
    assert_ok(training_run(t, &err));
    assert_int_equal(training_losses(t->run, loss, steps), steps);
}

/* loss[steps] are want[steps], to 1e-5. */
static inline void training_same_losses(const double *loss, const double *want, size_t steps,
                                        const char *what)
{
    for (size_t i = 0; i < steps; i++)
        if (!(fabs(loss[i] - want[i]) <= 1e-5 * fabs(want[i])))
            fail_msg("%s, step %zu: loss %.9g instead of %.9g", what, i + 1, loss[i], want[i]);
}

/* Every tensor of the two files has the same bits. */
static inline void training_same_tensors(const char *run_a, const char *run_b)
{
    vox_error err = {0};
    vox_safetensors *a = NULL, *b = NULL;
    char *path_a = vox_path_join(run_a, "last.safetensors", &err);
    char *path_b = vox_path_join(run_b, "last.safetensors", &err);
    assert_ok(vox_safetensors_open(&a, path_a, &err));
    assert_ok(vox_safetensors_open(&b, path_b, &err));
    assert_int_equal(a->tensors, b->tensors);
    for (size_t i = 0; i < a->tensors; i++) {
        const vox_st_tensor *x = &a->tensor[i], *y = vox_safetensors_find(b, x->name);
        assert_non_null(y);
        assert_int_equal(x->bytes, y->bytes);
        if (memcmp(a->data + x->offset, b->data + y->offset, x->bytes) != 0)
            fail_msg("%s differs between %s and %s", x->name, run_a, run_b);
    }
    vox_safetensors_free(&a);
    vox_safetensors_free(&b);
    free(path_a);
    free(path_b);
}

static inline void training_same_run(const char *run_a, const char *run_b)
{
    char *a = training_metrics(run_a), *b = training_metrics(run_b);
    assert_string_equal(a, b);
    free(a);
    free(b);
    training_same_tensors(run_a, run_b);
}

#endif
