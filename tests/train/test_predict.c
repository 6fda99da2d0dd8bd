/* Whole-volume prediction: a network that thresholds gives the thresholded scan back, voxel by
 * voxel, whatever the scan's grid, the prepare steps and the devices; and what is wrong is said. */
#include "segmenting.h"

#include "train/windows.h"

/* ---- windows -------------------------------------------------------------- */

static void check_axis(const vox_windows *w, int a)
{
    double sum[64] = {0};
    for (int64_t i = 0; i < w->count[a]; i++) {
        const int64_t start = w->start[a][i];
        if (w->of[a] > w->size[a])
            assert_true(start >= 0 && start + w->size[a] <= w->of[a]);
        for (int64_t x = 0; x < w->size[a]; x++) {
            const float weight = w->weight[a][i * w->size[a] + x];
            if (start + x >= 0 && start + x < w->of[a])
                sum[start + x] += (double)weight;
            else
                assert_true(weight == 0);
        }
    }
    for (int64_t x = 0; x < w->of[a]; x++)
        assert_true(fabs(sum[x] - 1) < 1e-6);
}

static void weights_sum_to_one(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_windows w;
    static const double overlap[] = {0, 0.25, 0.5, 0.9};
    for (int64_t n = 1; n < 40; n++)
        for (size_t i = 0; i < 4; i++) {
            const int64_t of[3] = {n, 2 * n % 37 + 1, 33}, size[3] = {8, 7, 16};
            assert_ok(vox_windows_init(&w, of, size, overlap[i], &err));
            for (int a = 0; a < 3; a++)
                check_axis(&w, a);
            assert_int_equal(w.count[2], i == 0 ? 3 : i == 1 ? 3 : i == 2 ? 4 : 12);
            vox_windows_release(&w);
        }
    assert_error(vox_windows_init(&w, (int64_t[]){9, 9, 9}, (int64_t[]){4, 4, 4}, 1, &err),
                 VOX_ERR_USAGE, "overlap");
    vox_windows_release(&w);
}

/* ---- the thresholded scan ------------------------------------------------- */

static void check_threshold(vox_model *model, const vox_image *scan, const char *ending,
                            const vox_segment_options *more)
{
    vox_error err = {0};
    char in[300], out[300];
    vox_segment_result r;
    vox_segment_options opt = *more;
    snprintf(in, sizeof in, "%s%s", training_path("scan"), ending);
    snprintf(out, sizeof out, "%s%s", training_path("mask"), ending);
    opt.mask = out;
    assert_ok(vox_image_write(scan, in, &err));
    assert_ok(vox_model_segment(model, in, &opt, &r, &err));
    vox_image *back = read_image(in), *mask = read_image(out);
    assert_string_equal(mask->stored_type, "uint8");
    assert_memory_equal(mask->size, back->size, sizeof mask->size);
    assert_memory_equal(mask->spacing_mm, back->spacing_mm, sizeof mask->spacing_mm);
    assert_memory_equal(mask->origin_mm, back->origin_mm, sizeof mask->origin_mm);
    assert_memory_equal(mask->direction, back->direction, sizeof mask->direction);
    int64_t above = 0, n = scan->size[0] * scan->size[1] * scan->size[2];
    for (int64_t i = 0; i < n; i++) {
        assert_true(mask->voxel[i] == (scan->voxel[i] > 4.5f ? 1 : 0));
        above += mask->voxel[i] > 0;
    }
    assert_true(r.voxels[0] == n - above && r.voxels[1] == above && r.classes == 2);
    assert_true(fabs(r.volume_ml[1] - (double)above * 0.7 * 1.6 * 2.5 / 1000) < 1e-9 * (double)n);
    vox_image_free(&back);
    vox_image_free(&mask);
}

static void any_grid(void **state)
{
    (void)state;
    static float voxel[MOST_VOXELS];
    static const int64_t size[][3] = {{4, 6, 8}, {9, 13, 17}, {5, 7, 9},
                                      {1, 2, 3}, {3, 20, 5},  {11, 6, 30}};
    static const char *const prepare[] = {
        "", "data: {train: {pairs: .}, prepare: [{reorient: RAS}]}\n",
        "data: {train: {pairs: .}, prepare: [{reorient: PIL}, {pad: {size: [10, 9, 31]}}]}\n",
        "data: {train: {pairs: .}, prepare: [{resample: {spacing_mm: [0.7, 1.6, 2.5]}}]}\n"};
    static const char *const devices[] = {"0", "0,1", "all"};
    vox_image scan;
    int turn = 0;
    for (size_t p = 0; p < 4; p++) {
        const char *ck =
            save_network("threshold", THRESHOLD_NETWORK, prepare[p], threshold_weights);
        opened o = open_model(devices[p % 3], ck);
        assert_true(vox_model_segments(o.model) && vox_model_classes(o.model) == 2);
        assert_string_equal(vox_model_class(o.model, 1), "");
        for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
            static const vox_segment_options how[] = {
                {0}, {.overlap = -1}, {.overlap = 0.8}, {.mirror = "all"}, {.mirror = "hw"}};
            make_scan(&scan, voxel, size[i], turn++ * 5 % 48);
            check_threshold(o.model, &scan, i % 2 ? ".nii" : ".nii.gz", &how[(i + p) % 5]);
        }
        close_model(&o);
    }
}

static void cropped_away_is_background(void **state)
{
    (void)state;
    static float voxel[MOST_VOXELS];
    vox_error err = {0};
    vox_image scan;
    const vox_segment_options opt = {.mask = training_path("mask.nii"),
                                     .probabilities = training_path("p.nii")};
    const char *ck =
        save_network("crop", THRESHOLD_NETWORK,
                     "data: {train: {pairs: .}, prepare: [{center_crop: {size: [5, 6, 7]}}]}\n",
                     threshold_weights);
    opened o = open_model("0", ck);
    make_scan(&scan, voxel, (int64_t[]){8, 9, 7}, 13);
    assert_ok(vox_image_write(&scan, training_path("scan.nii"), &err));
    assert_ok(vox_model_segment(o.model, training_path("scan.nii"), &opt, NULL, &err));
    vox_image *mask = read_image(opt.mask),
              *p[2] = {read_image(training_path("p_0.nii")), read_image(training_path("p_1.nii"))};
    assert_string_equal(p[0]->stored_type, "float32");
    for (int64_t i = 0; i < 8 * 9 * 7; i++) {
        const int64_t d = i / 63, h = i / 7 % 9;
        const bool in = d >= 1 && d < 6 && h >= 1 && h < 7;
        assert_true(mask->voxel[i] == (in && voxel[i] > 4.5f));
        assert_true(fabsf(p[1]->voxel[i] - mask->voxel[i]) < 1e-6f);
        assert_true(fabsf(p[0]->voxel[i] + p[1]->voxel[i] - 1) < 1e-6f);
        assert_true(in || p[0]->voxel[i] == 1);
    }
    for (int k = 0; k < 2; k++)
        vox_image_free(&p[k]);
    vox_image_free(&mask);
    close_model(&o);
}

/* A ramp along w through finer and coarser grids: the border between the classes stays. */
static void resampled(void **state)
{
    (void)state;
    static float voxel[MOST_VOXELS];
    static const char *const prepare[] = {
        "data: {train: {pairs: .}, prepare: [{reorient: LPS}, {resample: {spacing_mm: [1, 1, "
        "1]}}]}\n",
        "data: {train: {pairs: .}, prepare: [{resize: {size: [5, 17, 29]}}]}\n"};
    vox_error err = {0};
    vox_image scan;
    const vox_segment_options opt = {.mask = training_path("mask.nii")};
    for (int k = 0; k < 2; k++) {
        opened o = open_model(
            "all", save_network("resample", THRESHOLD_NETWORK, prepare[k], threshold_weights));
        make_scan(&scan, voxel, (int64_t[]){6, 11, 20}, 21 + k);
        for (int i = 0; i < 6 * 11 * 20; i++)
            voxel[i] = (float)(i % 20) * 0.5f + 0.1f;
        assert_ok(vox_image_write(&scan, training_path("scan.nii"), &err));
        assert_ok(vox_model_segment(o.model, training_path("scan.nii"), &opt, NULL, &err));
        vox_image *mask = read_image(opt.mask);
        for (int i = 0; i < 6 * 11 * 20; i++)
            if (fabsf(voxel[i] - 4.5f) > 0.3f)
                assert_true(mask->voxel[i] == (voxel[i] > 4.5f));
        vox_image_free(&mask);
        close_model(&o);
    }
}

/* One channel, a loss on probabilities: what is averaged is the output as it is.  The network takes
 * the voxel to the left, and mirrored along w that to the right. */
static void mirrored(void **state)
{
    (void)state;
    static float voxel[2 * 3 * 8];
    static const float weights[] = {1, 0, 0, 0};
    vox_error err = {0};
    vox_image scan;
    const vox_segment_options opt = {.probabilities = training_path("q.nii"), .mirror = "trained"};
    opened o = open_model(
        "0",
        save_network("left",
                     "network:\n"
                     "  input: {channels: 1, size: [2, 3, 8]}\n"
                     "  layers: [{conv: {name: c, out: 1, kernel: [1, 1, 3], pad: [0, 0, 1]}}]\n"
                     "  loss: bce\n",
                     "data: {train: {pairs: .}, augment: [{mirror: {axes: [w, d], p: 0.5}}]}\n",
                     weights));
    make_scan(&scan, voxel, (int64_t[]){2, 3, 8}, 0);
    vox_segment_result r;
    assert_ok(vox_image_write(&scan, training_path("scan.nii"), &err));
    assert_ok(vox_model_segment(o.model, training_path("scan.nii"), &opt, &r, &err));
    assert_int_equal(r.windows, 4);
    vox_image *p = read_image(training_path("q_1.nii"));
    for (int i = 0; i < 48; i++) {
        const float left = i % 8 > 0 ? voxel[i - 1] : 0, right = i % 8 < 7 ? voxel[i + 1] : 0;
        assert_true(fabsf(p->voxel[i] - (left + right) / 2) < 1e-5f);
    }
    vox_image_free(&p);
    close_model(&o);
}

/* ---- what is wrong -------------------------------------------------------- */

static bool stop(void *user)
{
    return ++*(int *)user > 1;
}

static void errors(void **state)
{
    (void)state;
    static float voxel[2 * MOST_VOXELS];
    vox_error err = {0};
    vox_image scan;
    int asked = 0;
    const char *in = training_path("scan.nii.gz"), *gone = training_path("gone.nii");
    const vox_segment_options mask = {.mask = training_path("no.nii.gz")};
    opened o = open_model("0", save_network("threshold", THRESHOLD_NETWORK, "", threshold_weights));
    make_scan(&scan, voxel, (int64_t[]){9, 9, 9}, 0);
    assert_ok(vox_image_write(&scan, in, &err));
    const struct {
        const char *input, *word;
        vox_segment_options opt;
        vox_status code;
    } row[] = {
        {gone, "gone.nii", mask, VOX_ERR_INPUT},
        {in, "no/mask.nii", {.mask = training_path("no/mask.nii")}, VOX_ERR_IO},
        {in, "overwrite", {.mask = in}, VOX_ERR_USAGE},
        {in, "format to write", {.mask = training_path("no.tif")}, VOX_ERR_USAGE},
        {in, "no file to write", {0}, VOX_ERR_USAGE},
        {in, "'x'", {.mask = mask.mask, .mirror = "wx"}, VOX_ERR_USAGE},
        {in, "overlap", {.mask = mask.mask, .overlap = 0.99}, VOX_ERR_USAGE},
        {in,
         "stopped",
         {.mask = mask.mask, .should_stop = stop, .user = &asked},
         VOX_ERR_INTERRUPTED},
        {training_path("scan.nii.gz;scan.nii.gz"), "not exist", mask, VOX_ERR_INPUT},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        assert_error(vox_model_segment(o.model, row[i].input, &row[i].opt, NULL, &err), row[i].code,
                     row[i].word);
    scan.channels = 2;
    assert_ok(vox_image_write(&scan, training_path("two.nii"), &err));
    assert_error(vox_model_segment(o.model, training_path("two.nii"), &mask, NULL, &err),
                 VOX_ERR_INPUT, "2 channels, the network takes 1");
    scan.channels = 1;
    voxel[100] = NAN;
    assert_ok(vox_image_write(&scan, training_path("nan.nii"), &err));
    assert_error(vox_model_segment(o.model, training_path("nan.nii"), &mask, NULL, &err),
                 VOX_ERR_INPUT, "NaN");
    assert_error(vox_model_predict(o.model, &in, 1, training_path("no.csv"), &err), VOX_ERR_USAGE,
                 "every voxel");
    assert_int_equal(count_files("no"), 0);
    close_model(&o);
}

int main(int argc, char **argv)
{
    (void)argc;
    if (!segmenting_possible())
        return 77;
    if (training_devices(argv, "111") == 0) {
        printf("skipped: no device\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_sum_to_one),
        cmocka_unit_test(any_grid),
        cmocka_unit_test(cropped_away_is_background),
        cmocka_unit_test(resampled),
        cmocka_unit_test(mirrored),
        cmocka_unit_test(errors),
    };
    return cmocka_run_group_tests(tests, training_setup, training_teardown);
}
