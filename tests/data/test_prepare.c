/* The prepare steps: what they compute, and every way to write them wrong. */
#include "fixture.h"

#include "data/prepare.h"
#include "data/volume.h"

#include <math.h>

static vox_error err;

static vox_image *make(int64_t c, int64_t d, int64_t h, int64_t w)
{
    const int64_t size[3] = {d, h, w};
    vox_image *image;
    assert_ok(vox_volume_alloc(&image, c, size, &err));
    for (int64_t i = 0; i < c * d * h * w; i++)
        image->voxel[i] = (float)i;
    return image;
}

static vox_status open(vox_prepare **out, const char *text)
{
    vox_yaml *doc;
    assert_ok(vox_yaml_parse(&doc, text, "exp.yaml", &err));
    vox_status s = vox_prepare_open(out, vox_yaml_root(doc), &err);
    vox_yaml_free(&doc);
    return s;
}

static vox_status run(const char *text, vox_image *image, const double *point)
{
    vox_prepare *prepare;
    assert_ok(open(&prepare, text));
    vox_prepared p = {.image = image, .point_mm = point};
    vox_status s = vox_prepare_apply(prepare, &p, &err);
    vox_prepare_free(&prepare);
    return s;
}

/* Values around 1e6 with a spread of 1: one pass in float would lose them. */
static void test_zscore(void **state)
{
    (void)state;
    vox_image *image = make(2, 10, 10, 10);
    for (int i = 0; i < 2000; i++)
        image->voxel[i] = i < 1000 ? 1e6f + (float)(i % 4) : 7.25f;
    assert_ok(run("[{normalize: zscore}]", image, NULL));
    for (int i = 0; i < 1000; i++) /* 0..3: mean 1.5, std sqrt(1.25) */
        assert_true(fabs((double)image->voxel[i] - (i % 4 - 1.5) / sqrt(1.25)) < 1e-6);
    for (int i = 1000; i < 2000; i++)
        assert_true(image->voxel[i] == 0); /* a constant channel */
    vox_image_free(&image);
}

static void test_minmax_and_window(void **state)
{
    (void)state;
    vox_image *image = make(3, 1, 1, 5);
    assert_ok(run("[{normalize: {method: minmax, channels: [0, 2]}}]", image, NULL));
    static const float want[15] = {0, .25f, .5f, .75f, 1, 5, 6, 7, 8, 9, 0, .25f, .5f, .75f, 1};
    for (int i = 0; i < 15; i++)
        assert_true(image->voxel[i] == want[i]);
    assert_ok(run("- window: {level: 7, width: 2, channels: [1]}\n", image, NULL));
    static const float windowed[5] = {0, 0, .5f, 1, 1}; /* 6..8 -> 0..1 */
    for (int i = 0; i < 5; i++)
        assert_true(image->voxel[5 + i] == windowed[i]);
    assert_ok(run("- window: {min: -1, max: 1}\n", image, NULL));
    assert_true(image->voxel[0] == 0.5f && image->voxel[4] == 1);
    assert_error(run("[{window: {min: 0, max: 1, channels: [3]}}]", image, NULL), VOX_ERR_INPUT,
                 "channel");
    assert_non_null(strstr(err.detail, "prepare step 1 (window)"));
    vox_image_free(&image);
}

/* Zeros (air around a head) neither count nor change. */
static void test_nonzero_and_max(void **state)
{
    (void)state;
    vox_image *image = make(2, 1, 2, 5); /* channel 1 holds 10 .. 19 */
    image->voxel[9] = 0;
    assert_ok(run("[{normalize: {zscore: {nonzero: true, channels: [0]}}}]", image, NULL));
    for (int i = 0; i < 10; i++) { /* 1..8: mean 4.5, variance 5.25 */
        double want = i == 0 || i == 9 ? 0 : (i - 4.5) / sqrt(5.25);
        assert_true(fabs((double)image->voxel[i] - want) < 1e-6);
    }
    assert_ok(run("[{normalize: max}]", image, NULL));
    assert_true(image->voxel[19] == 1 && image->voxel[10] == 10.0f / 19.0f && image->voxel[8] == 1);
    image->voxel[0] = 38;
    assert_ok(run("[{normalize: {method: max, together: true}}]", image, NULL));
    assert_true(image->voxel[0] == 1 && image->voxel[19] == 1.0f / 38.0f);
    memset(image->voxel, 0, 10 * sizeof(float));
    assert_ok(run("[{normalize: max}, {normalize: {method: zscore, nonzero: true}}]", image, NULL));
    assert_true(image->voxel[0] == 0 && image->voxel[9] == 0); /* nothing to scale by */
    vox_image_free(&image);
}

static void test_clip(void **state)
{
    (void)state;
    vox_image *image = make(1, 1, 1, 11);
    assert_ok(run("[{clip: {percentiles: [5, 90], of: case}}]", image, NULL));
    assert_true(image->voxel[0] == 0.5f && image->voxel[1] == 1 && image->voxel[10] == 9);
    image->voxel[1] = 0;
    assert_ok(run("[{clip: {percentiles: [0, 50], of: case, nonzero: true}}]", image, NULL));
    assert_true(image->voxel[1] == 0 && image->voxel[0] == 0.5f && image->voxel[10] == 5.5f);
    assert_ok(run("[{clip: {min: 2, max: 3}}]", image, NULL));
    assert_true(image->voxel[0] == 2 && image->voxel[3] == 3);
    assert_error(run("[{clip: {percentiles: [0.5, 99.5]}}]", image, NULL), VOX_ERR_INPUT,
                 "prepare step 1 (clip)"); /* nobody made the data set's figures */
    vox_image_free(&image);
}

/* The data set's figures: made as NumPy makes them, used, and written to the bit. */
static void test_figures(void **state)
{
    (void)state;
    vox_prepare *prepare;
    vox_prepare_stats stats = {.channels = 2}, back;
    float value[5] = {4, 0, 3, 1, 2}, other[1] = {-7.3f};
    assert_ok(
        open(&prepare, "[{clip: {percentiles: [10, 75]}}, {normalize: {zscore: {of: dataset}}}]"));
    assert_true(vox_prepare_wants_stats(prepare));
    vox_prepare_stats_make(prepare, &stats, 0, value, 5);
    vox_prepare_stats_make(prepare, &stats, 1, other, 1);
    assert_true(fabs(stats.low[0] - 0.4) < 1e-12 && stats.high[0] == 3 && stats.mean[0] == 2);
    assert_true(stats.std[0] == sqrt(2) && stats.std[1] == 0 && stats.low[1] == (double)-7.3f);
    char *text = vox_prepare_stats_text(&stats, &err);
    assert_true(vox_prepare_stats_read(&back, text));
    assert_memory_equal(&back, &stats, sizeof stats);
    free(text);
    assert_true(vox_prepare_stats_read(&back, "") && back.channels == 0);
    static const char *const bad[] = {"x",           "0",           "65", "1 2 3 4",
                                      "1 2 3 4 5 6", "1 2 3 4 inf", "-1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(vox_prepare_stats_read(&back, bad[i]));
    vox_image *image = make(2, 1, 1, 5);
    vox_prepared p = {.image = image};
    vox_prepare_set_stats(prepare, &stats);
    assert_ok(vox_prepare_apply(prepare, &p, &err));
    assert_true(image->voxel[0] == (float)(((double)0.4f - 2) / sqrt(2)));
    assert_true(image->voxel[4] == (float)(1 / sqrt(2)) && image->voxel[9] == 0);
    vox_image_free(&image);
    p.image = image = make(3, 1, 1, 5);
    assert_error(vox_prepare_apply(prepare, &p, &err), VOX_ERR_INPUT,
                 "of 2 channels, the case has 3");
    vox_image_free(&image);
    vox_prepare_free(&prepare);
}

static void test_crop_anchors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        float first;
    } row[] = {
        {"[{crop: {size: [1, 3, 2]}}]", 1 * 30 + 1 * 6 + 2}, /* the middle */
        {"[{crop: {size: [1, 3, 2], center: [2, 2, 2]}}]", 2 * 30 + 1 * 6 + 1},
        {"[{crop: {size: [1, 3, 2], at: [0, 2, 4]}}]", 0 * 30 + 2 * 6 + 4},
        {"[{crop: {size: [1, 3, 2], center: point}}]", 1 * 30 + 2 * 6 + 3},
        {"[{crop: {size: 3}}]", 0 * 30 + 1 * 6 + 1},
    };
    const double point[3] = {4.4, 2.6, 2.2}; /* x y z: w 4, h 3, and d 1 at 2 mm */
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        vox_image *image = make(1, 4, 5, 6);
        image->spacing_mm[0] = 2;
        assert_ok(run(row[i].text, image, point));
        assert_true(image->voxel[0] == row[i].first);
        vox_image_free(&image);
    }
    vox_image *image = make(1, 4, 5, 6);
    assert_error(run("[{crop: {size: 2, center: point}}]", image, NULL), VOX_ERR_INPUT, "has none");
    const double far[3] = {6, 0, 0};
    assert_error(run("[{crop: {size: 2, center: point}}]", image, far), VOX_ERR_INPUT, "outside");
    assert_error(run("[{crop: {size: 5}}]", image, NULL), VOX_ERR_INPUT, "leaves the volume");
    assert_error(run("[{crop: {size: 2, center: 0}}]", image, NULL), VOX_ERR_INPUT, "leaves");
    vox_image_free(&image);
}

static void test_order(void **state)
{
    (void)state;
    vox_image *image = make(1, 2, 2, 4);
    assert_ok(run("[{resize: {size: [2, 2, 2]}}, {crop: {size: [1, 2, 2], at: 0}}, {normalize: "
                  "minmax}]",
                  image, NULL));
    assert_int_equal(image->size[0], 1);
    assert_int_equal(image->size[2], 2);
    assert_true(image->voxel[0] == 0 && image->voxel[3] == 1);
    vox_image_free(&image);
    image = make(1, 1, 1, 1);
    assert_ok(run("[]", image, NULL));
    assert_ok(run("null", image, NULL));
    vox_image_free(&image);
}

static void test_bad_yaml(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word, *hint;
    } row[] = {
        {"{resize: {size: 2}}", "list of steps", ""},
        {"[{resise: {size: 2}}]", "no prepare step \"resise\"", "resize"},
        {"[{elastic: {size: 2}}]", "no prepare step \"elastic\"", "the steps are"},
        {"[{resize: {sise: 2}}]", "sise", "size"},
        {"[{resize: }]", "exp.yaml:1:", ""},
        {"[{resize: {}}]", "needs the key \"size\"", ""},
        {"[{resize: {size: 0}}]", "exp.yaml:1:18", ""},
        {"[{resize: {size: [1, 2]}}]", "exp.yaml:1:18", ""},
        {"[{crop: {size: 2, at: 1, center: 1}}]", "not both", ""},
        {"[{crop: {size: 2, center: middle}}]", "exp.yaml:1:27", ""},
        {"[{crop: {at: 2}}]", "needs the key \"size\"", ""},
        {"[{normalize: zscores}]", "exp.yaml:1:14", "zscore"},
        {"[normalize]", "exp.yaml:1:", ""},
        {"[{normalize: {channels: [0]}}]", "needs the key \"method\"", ""},
        {"[{normalize: {method: zscore, channels: 0}}]", "must be a list", ""},
        {"[{normalize: {method: zscore, channels: []}}]", "must be a list", ""},
        {"[{normalize: {method: zscore, channels: [-1]}}]", "exp.yaml:1:42", ""},
        {"[{normalize: {method: zscore, channels: [64]}}]", "exp.yaml:1:42", ""},
        {"[{window: {level: 1}}]", "needs the key \"width\"", ""},
        {"[{window: {level: 1, width: 0}}]", "window is empty", ""},
        {"[{window: {min: 1, max: 1}}]", "window is empty", ""},
        {"[{window: {min: 1, width: 1}}]", "or min and max", ""},
        {"[{window: {}}]", "or min and max", ""},
        {"[{window: {min: nan, max: 1}}]", "exp.yaml:1:17", ""},
        {"\n- resize: {size: 2}\n- crop: {size: 2, ad: 1}\n", "exp.yaml:3:", "at"},
        {"[{normalize: {zscores: {nonzero: true}}}]", "zscores", "zscore"},
        {"[{normalize: {zscore: {nonzeros: true}}}]", "nonzeros", "nonzero"},
        {"[{normalize: {method: minmax, nonzero: true}}]", "only zscore", ""},
        {"[{normalize: {method: max, of: dataset}}]", "only zscore", ""},
        {"[{normalize: {zscore: {nonzero: true, of: dataset}}}]", "leave nonzero away", ""},
        {"[{normalize: {zscore: {together: true}}}]", "together", ""},
        {"[{clip: {}}]", "percentiles, or min and max", ""},
        {"[{clip: {percentiles: [1, 2], min: 1, max: 2}}]", "percentiles, or min and max", ""},
        {"[{clip: {percentiles: 5}}]", "a pair", ""},
        {"[{clip: {percentiles: [5, 5]}}]", "over the first", ""},
        {"[{clip: {percentiles: [5, 101]}}]", "exp.yaml:1:", ""},
        {"[{clip: {percentiles: [5, 95], nonzero: true}}]", "of: case", ""},
        {"[{clip: {percentiles: [5, 95], of: all}}]", "exp.yaml:1:", ""},
        {"[{clip: {min: 1, max: 0}}]", "clip is empty", ""},
        {"[{clip: {min: 1, max: 2, nonzero: true}}]", "go with percentiles", ""},
        {"[{clip: {percentiles: [1, 9]}}, {clip: {percentiles: [1, 9]}}]", "a second clip", ""},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        vox_prepare *prepare;
        assert_error(open(&prepare, row[i].text), VOX_ERR_INPUT, row[i].word);
        assert_null(prepare);
        assert_non_null(strstr(err.detail, "exp.yaml:"));
        if (!strstr(err.hint, row[i].hint))
            fail_msg("%s: no \"%s\" in the hint: %s", row[i].text, row[i].hint, err.hint);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zscore),          cmocka_unit_test(test_minmax_and_window),
        cmocka_unit_test(test_nonzero_and_max), cmocka_unit_test(test_clip),
        cmocka_unit_test(test_figures),         cmocka_unit_test(test_crop_anchors),
        cmocka_unit_test(test_order),           cmocka_unit_test(test_bad_yaml),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
