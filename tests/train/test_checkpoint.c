/* test_checkpoint.c - checkpoints bring everything back, and refuse what does not fit; the run
 * directory keeps its lines. */
#include "test.h"

#include "train/checkpoint.h"
#include "train/run_dir.h"

#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/voxcl-ck-XXXXXX";
static char path[64];

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof path, "%s/c.safetensors", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

/* Two parameters with padding between them, as a real graph lays them out. */
static vox_graph_param params[2];
static vox_graph graph = {.param = params, .params = 2, .flat_floats = 512};

static void make_graph(int64_t out)
{
    memset(params, 0, sizeof params);
    snprintf(params[0].name, sizeof params[0].name, "fc1.weight");
    params[0].desc.shape = (vox_shape){2, {out, 3}};
    params[0].count = (size_t)out * 3;
    snprintf(params[1].name, sizeof params[1].name, "fc1.bias");
    params[1].desc.shape = (vox_shape){1, {out}};
    params[0].desc.trainable = params[1].desc.trainable = true;
    params[1].offset = 256;
    params[1].count = (size_t)out;
}

static void fill(float *flat, float from)
{
    for (int p = 0; p < graph.params; p++)
        for (size_t k = 0; k < params[p].count; k++)
            flat[params[p].offset + k] = from + (float)k / 3;
}

static vox_checkpoint make_checkpoint(void)
{
    static const char *const parts[] = {"momentum"};
    vox_error err = {0};
    vox_checkpoint c = {0};
    make_graph(4);
    assert_ok(vox_checkpoint_make(&c, &graph, true, parts, 1, &err));
    fill(c.params, 1);
    fill(c.part[0], -5);
    fill(c.ema, 3);
    c.experiment = vox_strdup("name: a\ntrain: {batch: 3, iterations: 9}\n", &err);
    c.data_dir = vox_strdup("/data/\"odd\" dir", &err);
    c.seed = UINT64_MAX - 1;
    c.data = (vox_data_mark){17, 0xdeadbeef01234567u};
    c.classes.name = calloc(2, sizeof(char *));
    c.classes.name[0] = vox_strdup("benign", &err);
    c.classes.name[1] = vox_strdup("a;b\nc", &err);
    c.classes.count = 2;
    c.progress = (vox_progress){.step = 7,
                                .epoch = 1,
                                .position = 4,
                                .time_s = 1.0 / 3,
                                .loss = 0.1,
                                .best_step = 5,
                                .best = {.samples = 6,
                                         .classes = 2,
                                         .loss = 1e-17,
                                         .accuracy = 2.0 / 3,
                                         .auc = NAN,
                                         .kappa = -0.1,
                                         .maps = true,
                                         .confusion = {3, 1, 0, 2}},
                                .stop_seen = 4,
                                .stop_waited = 2,
                                .stop_best = -1.0 / 7};
    return c;
}

static void everything_comes_back(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_checkpoint c = make_checkpoint(), d = {0};
    vox_safetensors *f = NULL;
    float back[512] = {0};
    assert_ok(vox_checkpoint_save(&c, &graph, path, &err));
    assert_ok(vox_safetensors_open(&f, path, &err));
    assert_ok(vox_checkpoint_read_meta(&d, f, &err));
    assert_ok(vox_checkpoint_read_flat(f, "", &graph, true, back, &err));
    assert_memory_equal(back, c.params, sizeof back);
    assert_ok(vox_checkpoint_read_flat(f, "optimizer.momentum.", &graph, false, back, &err));
    assert_memory_equal(back, c.part[0], sizeof back);
    assert_ok(vox_checkpoint_read_flat(f, "ema.", &graph, false, back, &err));
    assert_memory_equal(back, c.ema, sizeof back);
    assert_string_equal(d.experiment, c.experiment);
    assert_string_equal(d.data_dir, c.data_dir);
    assert_true(d.seed == c.seed && d.data.cases == 17 && d.data.labels == c.data.labels);
    assert_int_equal(d.classes.count, 2);
    assert_string_equal(d.classes.name[1], "a;b\nc");
    const vox_progress *p = &d.progress;
    assert_true(p->step == 7 && p->epoch == 1 && p->position == 4);
    assert_true(p->stop_seen == 4 && p->stop_waited == 2 && p->stop_best == -1.0 / 7);
    assert_true(p->best.maps && p->best.dice == 4.0 / 5 && p->best.class_dice[0] == 6.0 / 7);
    assert_true(p->time_s == 1.0 / 3 && p->loss == 0.1 && p->best_step == 5);
    assert_true(p->best.loss == 1e-17 && p->best.accuracy == 2.0 / 3 && isnan(p->best.auc));
    assert_memory_equal(p->best.confusion, c.progress.best.confusion, 4 * sizeof(int64_t));
    vox_safetensors_free(&f);
    vox_checkpoint_release(&c);
    vox_checkpoint_release(&d);
}

/* Running statistics come back, and have no optimiser's state. */
static void what_is_not_trained_comes_back(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_checkpoint c = make_checkpoint();
    vox_safetensors *f = NULL;
    float back[512] = {0}, state_back[512] = {0};
    params[1].desc.trainable = false;
    assert_ok(vox_checkpoint_save(&c, &graph, path, &err));
    assert_ok(vox_safetensors_open(&f, path, &err));
    assert_ok(vox_checkpoint_read_flat(f, "", &graph, true, back, &err));
    assert_memory_equal(back, c.params, sizeof back);
    assert_null(vox_safetensors_find(f, "optimizer.momentum.fc1.bias"));
    assert_ok(vox_checkpoint_read_flat(f, "optimizer.momentum.", &graph, false, state_back, &err));
    assert_memory_equal(state_back, c.part[0], 256 * sizeof *state_back);
    assert_true(state_back[256] == 0);
    vox_safetensors_free(&f);
    vox_checkpoint_release(&c);
}

static void another_network_is_named(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_checkpoint c = make_checkpoint();
    vox_safetensors *f = NULL;
    float back[512];
    assert_ok(vox_checkpoint_save(&c, &graph, path, &err));
    assert_ok(vox_safetensors_open(&f, path, &err));
    make_graph(5);
    assert_error(vox_checkpoint_read_flat(f, "", &graph, true, back, &err), VOX_ERR_INPUT,
                 "fc1.weight is 4x3 there and 5x3");
    make_graph(4);
    snprintf(params[1].name, sizeof params[1].name, "fc1.scale");
    assert_error(vox_checkpoint_read_flat(f, "", &graph, true, back, &err), VOX_ERR_INPUT,
                 "no tensor fc1.scale (4 in this network)");
    graph.params = 1;
    assert_error(vox_checkpoint_read_flat(f, "", &graph, true, back, &err), VOX_ERR_INPUT,
                 "fc1.bias (4) is not in this network");
    assert_ok(vox_checkpoint_read_flat(f, "", &graph, false, back, &err));
    graph.params = 2;
    vox_safetensors_free(&f);
    vox_checkpoint_release(&c);
}

static void weights_that_are_not_finite_are_not_saved(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_checkpoint c = make_checkpoint();
    struct stat before, after;
    assert_ok(vox_checkpoint_save(&c, &graph, path, &err));
    assert_int_equal(stat(path, &before), 0);
    c.params[256 + 2] = NAN;
    assert_error(vox_checkpoint_save(&c, &graph, path, &err), VOX_ERR_NONFINITE, "fc1.bias[2]");
    assert_int_equal(stat(path, &after), 0);
    assert_true(before.st_ino == after.st_ino);
    vox_checkpoint_release(&c);
}

static void plain_weights_are_no_checkpoint(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_checkpoint d = {0};
    vox_safetensors *f = NULL;
    assert_ok(vox_safetensors_open(&f, "tests/golden/python.safetensors", &err));
    assert_error(vox_checkpoint_read_meta(&d, f, &err), VOX_ERR_INPUT, "format");
    vox_safetensors_free(&f);
}

static void a_changed_experiment_is_named(void **state)
{
    (void)state;
    static const char *const was = "name: a\nnetwork: {layers: [relu, {dense: {out: 3}}]}\n"
                                   "train: {batch: 4, lr: 0.10, iterations: 9, max_minutes: 3}\n";
    static const struct {
        const char *now, *word; /* NULL: may be continued */
    } cases[] = {
        {"name: a\nnetwork:\n  layers:\n  - relu\n  - dense: {out: 3}\n"
         "train: {lr: 0.1, iterations: 9, batch: 4, max_minutes: 3}\n",
         NULL}, /* written in another way */
        {"name: a\nnetwork: {layers: [relu, {dense: {out: 3}}]}\n"
         "train: {batch: 4, lr: 0.1, epochs: 2}\n",
         NULL}, /* longer or shorter */
        {"name: a\nnetwork: {layers: [relu, {dense: {out: 3}}]}\n"
         "train: {batch: 5, lr: 0.1, iterations: 9}\n",
         "train.batch: 4 in the checkpoint, 5 now"},
        {"name: a\nnetwork: {layers: [relu, {dense: {out: 4}}]}\n"
         "train: {batch: 4, lr: 0.1, iterations: 9}\n",
         "network.layers.1.dense.out: 3 in the checkpoint, 4 now"},
        {"name: a\nnetwork: {layers: [relu]}\ntrain: {batch: 4, lr: 0.1, iterations: 9}\n",
         "network.layers.1"},
        {"name: a\nnetwork: {layers: [relu, {dense: {out: 3}}]}\n"
         "train: {batch: 4, lr: 0.1, iterations: 9, seed: 2}\n",
         "train.seed: absent in the checkpoint, 2 now"},
        {"name: a\nnetwork: {layers: [relu, {dense: {out: 3}}]}\ntrain: {batch: 4}\n", "train.lr"},
        {"name: a\nnetwork: {layers: relu}\ntrain: {batch: 4, lr: 0.1}\n", "network.layers"},
    };
    vox_error err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cases[i].word)
            assert_error(vox_checkpoint_same_experiment(was, cases[i].now, &err), VOX_ERR_INPUT,
                         cases[i].word);
        else
            assert_ok(vox_checkpoint_same_experiment(was, cases[i].now, &err));
    }
}

/* ---- the run directory ---------------------------------------------------------- */

static void log_step(vox_run_dir *run, int64_t step)
{
    vox_error err = {0};
    vox_json j = {0};
    vox_json_begin(&j, NULL, '{');
    vox_json_int(&j, "step", step);
    vox_json_end(&j, '}');
    assert_ok(vox_run_dir_log(run, &j, &err));
}

static void lines_after_the_checkpoint_go(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_run_dir run;
    char *where = vox_path_join(dir, "new/run", &err), *data = NULL;
    size_t size = 0;
    assert_error(vox_run_dir_init(&run, where, "x", true, &err), VOX_ERR_USAGE, "last.safetensors");
    vox_run_dir_release(&run);
    assert_error(vox_run_dir_init(&run, NULL, "x", true, &err), VOX_ERR_USAGE, "which run");
    vox_run_dir_release(&run);
    assert_ok(vox_run_dir_init(&run, where, "x", false, &err));
    assert_false(vox_path_exists(where));
    assert_ok(vox_run_dir_start(&run, "name: x\n", 0, &err));
    for (int64_t step = 8; step <= 12; step++)
        log_step(&run, step);
    assert_ok(vox_file_write(run.last, "", 0, &err));
    fputs("{\"step\": 9, \"torn", run.log); /* as a crash leaves it, and a checkpoint half-way */
    char *half = vox_path_join(where, "last.safetensors.tmp123", &err);
    char *other = vox_path_join(where, "notes.tmp", &err); /* somebody else's */
    assert_ok(vox_file_write(half, "", 0, &err));
    assert_ok(vox_file_write(other, "", 0, &err));
    vox_run_dir_release(&run);

    assert_error(vox_run_dir_init(&run, where, "x", false, &err), VOX_ERR_USAGE, where);
    vox_run_dir_release(&run);
    assert_ok(vox_run_dir_init(&run, where, "x", true, &err));
    assert_ok(vox_run_dir_start(&run, "name: x\n", 10, &err));
    log_step(&run, 11);
    assert_false(vox_path_exists(half));
    assert_true(vox_path_exists(other));
    free(half);
    free(other);
    assert_ok(vox_file_read(&data, &size, run.metrics, 0, &err));
    assert_string_equal(data, "{\"step\": 8}\n{\"step\": 9}\n{\"step\": 10}\n{\"step\": 11}\n");
    free(data);
    vox_run_dir_release(&run);
    free(where);
}

static void two_processes_do_not_share_it(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_run_dir one, two;
    char *where = vox_path_join(dir, "shared", &err);
    assert_ok(vox_run_dir_init(&one, where, "x", false, &err));
    assert_ok(vox_run_dir_init(&two, where, "x", false, &err)); /* both looked before */
    assert_ok(vox_run_dir_start(&one, "name: x\n", 0, &err));
    log_step(&one, 1);
    assert_error(vox_run_dir_start(&two, "name: x\n", 0, &err), VOX_ERR_USAGE, "another process");
    vox_run_dir_release(&two);
    char *data = NULL;
    size_t size = 0;
    assert_ok(vox_file_read(&data, &size, one.metrics, 0, &err));
    assert_string_equal(data, "{\"step\": 1}\n");
    free(data);
    vox_run_dir_release(&one);
    free(where);
}

/* A small file system that fills up: only root may mount one. */
static void a_full_disk_keeps_the_checkpoint(void **state)
{
    (void)state;
    vox_error err = {0};
    char mount[160], where[160];
    snprintf(mount, sizeof mount, "mkdir %s/small && mount -t tmpfs -o size=64k none %s/small 2>&1",
             dir, dir);
    if (geteuid() != 0 || system(mount) != 0) {
        printf("skipped: cannot mount a small file system\n");
        skip();
    }
    snprintf(where, sizeof where, "%s/small/last.safetensors", dir);
    vox_checkpoint c = make_checkpoint();
    vox_safetensors *f = NULL;
    assert_ok(vox_checkpoint_save(&c, &graph, where, &err));
    char fill_up[200];
    snprintf(fill_up, sizeof fill_up, "head -c 1M /dev/zero > %s/small/full 2>/dev/null", dir);
    int status = system(fill_up);
    (void)status; /* it fails, as it should */
    c.progress.step = 8;
    vox_status s = vox_checkpoint_save(&c, &graph, where, &err);
    vox_status again = vox_safetensors_open(&f, where, &err);
    bool same = again == VOX_OK && strcmp(vox_safetensors_meta(f, "step"), "7") == 0;
    vox_safetensors_free(&f);
    vox_checkpoint_release(&c);
    char names[200];
    snprintf(names, sizeof names, "ls %s/small | grep -q tmp", dir);
    int left_over = system(names);
    snprintf(mount, sizeof mount, "umount %s/small", dir);
    assert_int_equal(system(mount), 0);
    assert_int_equal(s, VOX_ERR_IO);
    assert_true(same);
    assert_int_not_equal(left_over, 0);
}

int main(void)
{
#ifndef VOXCL_WITH_JANSSON
    printf("skipped: built without jansson\n");
    return 77;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_comes_back),
        cmocka_unit_test(what_is_not_trained_comes_back),
        cmocka_unit_test(another_network_is_named),
        cmocka_unit_test(weights_that_are_not_finite_are_not_saved),
        cmocka_unit_test(plain_weights_are_no_checkpoint),
        cmocka_unit_test(a_changed_experiment_is_named),
        cmocka_unit_test(lines_after_the_checkpoint_go),
        cmocka_unit_test(two_processes_do_not_share_it),
        cmocka_unit_test(a_full_disk_keeps_the_checkpoint),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
