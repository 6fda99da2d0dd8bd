/* Trainings on masks: whole volumes and patches, on one device and on three; and what does not fit
 * is said before a step. */
#include "training.h"

#include "base/log.h"
#include "train/checkpoint.h"

static const char *const segment_text =
    "name: segment\n"
    "network:\n"
    "  input: {channels: 1, size: [4, 6, 8]}\n"
    "  layers:\n"
    "    - conv: {name: conv1, out: 4, kernel: 3, pad: 1}\n"
    "    - relu:\n"
    "    - conv: {name: conv2, out: 2, kernel: 1}\n"
    "  loss: cross_entropy\n"
    "data:\n"
    "  train: {pairs: ., patients: {folds: 3, without: 0, shuffle: false}}\n"
    "  valid: {pairs: ., patients: {folds: 3, only: 0, shuffle: false}}\n"
    "  prepare: [{normalize: {zscore: {of: dataset}}}]\n"
    "  augment: [{mirror: {axes: [h, w]}}, {gaussian_noise: {std: 0.05}}, {gamma: {}}]\n"
    "train: {batch: 3, epochs: 12, optimizer: {adam: {lr: 0.03}}, seed: 2}\n";

/* Nine MetaImage pairs: a bright box on noise, its mask the box. */
static void put_cases(const char *dir, const int64_t size[3])
{
    vox_error err = {0};
    for (int i = 0; i < 9; i++) {
        char path[2][256];
        vox_image v[2] = {{0}};
        float voxel[2][10 * 6 * 8];
        snprintf(path[0], sizeof path[0], "%s/images/c%d.mha", dir, i);
        snprintf(path[1], sizeof path[1], "%s/masks/c%d.mha", dir, i);
        for (int64_t k = 0; k < size[0] * size[1] * size[2]; k++) {
            int64_t d = k / (size[1] * size[2]), h = k / size[2] % size[1], w = k % size[2];
            bool in = d > 0 && d < 3 && h > i % 3 && h < 5 && w > 1 && w < 4 + i % 4;
            voxel[0][k] = (float)((k * 7919 + i * 31) % 13) / 13 + (in ? 2 : 0);
            voxel[1][k] = in;
        }
        for (int m = 0; m < 2; m++) {
            v[m].voxel = voxel[m];
            v[m].channels = 1;
            memcpy(v[m].size, size, sizeof v[m].size);
            for (int a = 0; a < 3; a++)
                v[m].spacing_mm[a] = v[m].direction[a][2 - a] = 1;
            v[m].has_geometry = true;
            assert_ok(vox_image_write(&v[m], path[m], &err));
        }
    }
}

static char data_dir[300];

static void make_data(const char *name, const int64_t size[3])
{
    char path[400];
    snprintf(data_dir, sizeof data_dir, "%s", training_path(name));
    snprintf(path, sizeof path, "%s/images", data_dir);
    assert_int_equal(vox_mkdirs(path, NULL), VOX_OK);
    snprintf(path, sizeof path, "%s/masks", data_dir);
    assert_int_equal(vox_mkdirs(path, NULL), VOX_OK);
    put_cases(data_dir, size);
}

static vox_experiment *experiment(const char *const *sets)
{
    vox_error err = {0};
    vox_experiment *exp = NULL;
    size_t count = 0;
    while (sets && sets[count])
        count++;
    const char *path = training_path("segment.yaml");
    assert_ok(vox_file_write(path, segment_text, strlen(segment_text), &err));
    assert_ok(vox_experiment_open(&exp, path, sets, count, &err));
    return exp;
}

static vox_status train(const char *devices, const char *const *sets, const char *run,
                        vox_train_result *result, vox_error *why)
{
    vox_error err = {0};
    vox_ctx *ctx = NULL;
    vox_experiment *exp = experiment(sets);
    const vox_train_options opt = {.data_dir = data_dir, .run_dir = run};
    assert_ok(vox_ctx_open(&ctx, devices, &err));
    vox_status s = vox_train(exp, ctx, &opt, result, why);
    vox_ctx_free(&ctx);
    vox_experiment_free(&exp);
    return s;
}

static void check_devices(const char *const *sets, const char *name, double accuracy)
{
    vox_error err = {0};
    static vox_train_result one, all, again;
    char run[3][300];
    for (int i = 0; i < 3; i++)
        snprintf(run[i], sizeof run[i], "%s-%d", training_path(name), i);
    assert_ok(train("0", sets, run[0], &one, &err));
    assert_ok(train("all", sets, run[1], &all, &err));
    assert_ok(train("0", sets, run[2], &again, &err));
    assert_true(one.train_loss == again.train_loss && one.valid_loss == again.valid_loss);
    assert_true(fabs(one.train_loss - all.train_loss) <= 1e-4 * one.train_loss);
    assert_true(fabs(one.valid_loss - all.valid_loss) <= 1e-4 * one.valid_loss);
    assert_true(one.accuracy > accuracy && one.classes == 2);
}

static void whole_volumes(void **state)
{
    (void)state;
    static const int64_t size[3] = {4, 6, 8};
    vox_error err = {0};
    vox_safetensors *file;
    vox_checkpoint saved = {0};
    make_data("whole", size);
    check_devices(NULL, "whole-run", 0.97);
    /* the figures that predict will go by */
    char path[400];
    snprintf(path, sizeof path, "%s-0/last.safetensors", training_path("whole-run"));
    assert_ok(vox_safetensors_open(&file, path, &err));
    assert_ok(vox_checkpoint_read_meta(&saved, file, &err));
    assert_true(saved.stats.channels == 1 && saved.stats.mean[0] > 2 && saved.stats.std[0] > 0.1);
    assert_true(saved.classes.count == 2);
    vox_checkpoint_release(&saved);
    vox_safetensors_free(&file);
    /* evaluation from the checkpoint alone, on other data too */
    vox_ctx *ctx = NULL;
    vox_model *model = NULL;
    static vox_eval_result r;
    assert_ok(vox_ctx_open(&ctx, "0", &err));
    assert_ok(vox_model_open(&model, ctx, path, &err));
    assert_ok(vox_model_eval(model, NULL, &r, &err));
    assert_true(r.samples == 3 && r.accuracy > 0.97);
    const double right = (double)r.confusion[3], all = (double)(r.confusion[1] + r.confusion[2]);
    assert_true(r.maps && r.dice == 2 * right / (2 * right + all) && r.dice > 0.8);
    assert_true(r.class_dice[1] == r.dice && isnan(r.auc));
    assert_true(r.confusion[0] + r.confusion[1] + r.confusion[2] + r.confusion[3] == 3 * 192);
    vox_model_free(&model);
    vox_ctx_free(&ctx);
}

/* A folder given to an experiment that has no validation data: its layout says what it is. */
static void folders_are_known_by_their_layout(void **state)
{
    (void)state;
    static const int64_t size[3] = {4, 6, 8};
    static const char *const sets[] = {"data.valid=null", "train.epochs=1", NULL};
    static vox_eval_result r[2];
    vox_error err = {0};
    vox_ctx *ctx = NULL;
    vox_model *model = NULL;
    char path[400],
        json[64 + 9 * 80] = "{\"labels\": {\"0\": \"no\", \"1\": \"yes\"}, \"training\": [";
    make_data("layout", size);
    assert_ok(train("0", sets, training_path("layout-run"), NULL, &err));
    assert_ok(vox_ctx_open(&ctx, "0", &err));
    snprintf(path, sizeof path, "%s/last.safetensors", training_path("layout-run"));
    assert_ok(vox_model_open(&model, ctx, path, &err));
    assert_error(vox_model_eval(model, NULL, &r[0], &err), VOX_ERR_USAGE, "");
    assert_ok(vox_model_eval(model, data_dir, &r[0], &err));
    for (int i = 0; i < 9; i++)
        snprintf(json + strlen(json), sizeof json - strlen(json),
                 "%s{\"image\": \"./images/c%d.mha\", \"label\": \"./masks/c%d.mha\"}",
                 i ? ", " : "", i, i);
    strcat(json, "]}");
    snprintf(path, sizeof path, "%s/dataset.json", data_dir);
    assert_ok(vox_file_write(path, json, strlen(json), &err));
    assert_ok(vox_model_eval(model, data_dir, &r[1], &err));
    assert_true(r[0].samples == 9 && r[1].samples == 9 && r[0].loss == r[1].loss);
    vox_model_free(&model);
    vox_ctx_free(&ctx);
}

static void patches(void **state)
{
    (void)state;
    static const int64_t size[3] = {10, 6, 8};
    static const char *const sets[] = {"data.patch.foreground=0.5", NULL};
    make_data("patches", size);
    check_devices(sets, "patches-run", 0.97);
}

static void what_does_not_fit_is_said(void **state)
{
    (void)state;
    vox_error err = {0};
    static const int64_t size[3] = {10, 6, 8};
    static const struct {
        const char *set, *word;
        vox_status code;
    } row[] = {
        {"data.patch.size=[4, 6, 7]", "data.patch.size", VOX_ERR_INPUT},
        {"data.patch.foreground=2", "foreground", VOX_ERR_INPUT},
        {"data.patch.shape=[4, 6, 8]", "shape", VOX_ERR_INPUT},
    };
    make_data("patches", size);
    /* a larger case without patches */
    assert_error(train("0", NULL, training_path("no"), NULL, &err), VOX_ERR_INPUT, "images/c1.mha");
    assert_non_null(strstr(err.message, "network's input shape"));
    /* more classes in the data than the network has channels */
    static const char *const three[] = {"data.patch={}", "data.train.classes=[a, b, c]",
                                        "data.valid=null", NULL};
    assert_error(train("0", three, training_path("no"), NULL, &err), VOX_ERR_INPUT, "class \"c\"");
    assert_non_null(strstr(err.hint, "`out` of the last layer to 3"));
    /* one channel is none of cross entropy's */
    static const char *const single[] = {"network.layers.2.conv.out=1", "data.patch={}", NULL};
    assert_error(train("0", single, training_path("no"), NULL, &err), VOX_ERR_INPUT, "2 to 64");
    assert_non_null(strstr(err.hint, "bce_logits"));
    /* masks for a classifier */
    static const char *const classifier[] = {"network.layers=[{flatten: }, {dense: {out: 2}}]",
                                             "data.patch={}", NULL};
    assert_error(train("0", classifier, training_path("no"), NULL, &err), VOX_ERR_INPUT, "1x2");
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        vox_experiment *exp = NULL;
        assert_error(vox_experiment_open(&exp, training_path("segment.yaml"), &row[i].set, 1, &err),
                     row[i].code, row[i].word);
    }
    assert_false(vox_path_exists(training_path("no")));
}

int main(int argc, char **argv)
{
    (void)argc;
    if (!training_possible())
        return 77;
    if (training_devices(argv, "111") == 0) {
        printf("skipped: no device\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_volumes),
        cmocka_unit_test(folders_are_known_by_their_layout),
        cmocka_unit_test(patches),
        cmocka_unit_test(what_does_not_fit_is_said),
    };
    return cmocka_run_group_tests(tests, training_setup, training_teardown);
}
