/* Manifests and folders: what becomes a case, and what is said of one that is wrong. */
#include "fixture.h"

#include "base/thread.h"
#include "data/input.h"

static vox_error err;
static const int shape[4] = {1, 2, 3, 4};

/* Two classes of two cases each: voxels count up from 0, 100, 200, 300. */
static void put_four(void)
{
    put_npy("img/a.npy", 1, 2, 3, 4, 0, -1);
    put_npy("img/b.npy", 1, 2, 3, 4, 100, -1);
    put_npy("img/c.npy", 1, 2, 3, 4, 200, -1);
    put_npy("img/d.npy", 1, 2, 3, 4, 300, -1);
    put_text("m.csv", "image,label\nimg/a.npy,0\nimg/b.npy,1\nimg/c.npy,1\nimg/d.npy,0\n");
}

static void test_manifest(void **state)
{
    (void)state;
    vox_dataset *set;
    float out[24];
    put_four();
    assert_ok(open_set(&set, "manifest: m.csv", NULL, shape, false, &err));
    assert_int_equal(vox_dataset_count(set), 4);
    assert_int_equal(vox_dataset_classes(set), 2);
    assert_int_equal(vox_dataset_sample(set), 24);
    assert_string_equal(vox_dataset_class(set, 1), "1");
    assert_string_equal(vox_dataset_class(set, 2), "");
    assert_string_equal(vox_dataset_case(set, 2), scratch_path("img/c.npy"));
    assert_int_equal(vox_dataset_label(set, 2), 1);
    assert_ok(vox_dataset_get(set, 2, out, NULL, &err)); /* before load: read anew */
    assert_true(out[0] == 200 && out[23] == 223);
    assert_ok(vox_dataset_load(set, NULL, &err));
    assert_int_equal(unlink(scratch_path("img/c.npy")), 0);
    memset(out, 0, sizeof out);
    assert_ok(vox_dataset_get(set, 2, out, NULL, &err)); /* from the cache */
    assert_true(out[0] == 200 && out[23] == 223);
    assert_error(vox_dataset_get(set, 4, out, NULL, &err), VOX_ERR_USAGE, "case 4 of 4");
    vox_dataset_free(&set);
    assert_null(set);
    vox_dataset_free(&set);
}

/* Names sort to classes; several files are channels; other columns and CRLF are no harm. */
static void test_names_and_channels(void **state)
{
    (void)state;
    vox_dataset *set;
    float out[48];
    const int two[4] = {2, 2, 3, 4};
    put_four();
    put_text("sub/m.csv",
             "\xEF\xBB\xBFid,label,image\r\n1,malignant,\"../img/a.npy;../img/b.npy\"\r\n"
             "2, benign ,../img/c.npy ; ../img/d.npy\r\n");
    assert_ok(open_set(&set, "{manifest: sub/m.csv}",
                       "[{normalize: {method: minmax, channels: "
                       "[1]}}]",
                       two, false, &err));
    assert_string_equal(vox_dataset_class(set, 0), "benign");
    assert_string_equal(vox_dataset_class(set, 1), "malignant");
    assert_int_equal(vox_dataset_label(set, 0), 1);
    assert_ok(vox_dataset_get(set, 1, out, NULL, &err));
    assert_true(out[0] == 200 && out[24] == 0 && out[47] == 1);
    vox_dataset_free(&set);
}

/* The training set's classes hold for validation, whatever it contains. */
static void test_given_classes(void **state)
{
    (void)state;
    vox_dataset *set;
    vox_yaml *doc;
    const char *const names[] = {"b", "a"};
    vox_dataset_options opt = {
        .base_dir = scratch, .sample_shape = {1, 2, 3, 4}, .class_name = names, .class_count = 2};
    put_four();
    put_text("v.csv", "image,label\nimg/a.npy,a\n");
    assert_ok(vox_yaml_parse(&doc, "manifest: v.csv", "exp.yaml", &err));
    assert_ok(vox_dataset_open(&set, vox_yaml_root(doc), NULL, &opt, &err));
    assert_int_equal(vox_dataset_label(set, 0), 1);
    assert_int_equal(vox_dataset_classes(set), 2);
    vox_dataset_free(&set);
    put_text("v.csv", "image,label\nimg/a.npy,c\n");
    assert_error(vox_dataset_open(&set, vox_yaml_root(doc), NULL, &opt, &err), VOX_ERR_INPUT,
                 "unknown label \"c\"");
    vox_yaml_free(&doc);
    put_text("v.csv", "image,label\nimg/a.npy,1\n");
    assert_ok(open_set(&set, "{manifest: v.csv, classes: [x, y]}", NULL, shape, false, &err));
    assert_int_equal(vox_dataset_label(set, 0), 1);
    vox_dataset_free(&set);
    assert_ok(vox_yaml_parse(&doc, "{manifest: v.csv, classes: [a, b]}", "exp.yaml", &err));
    assert_error(vox_dataset_open(&set, vox_yaml_root(doc), NULL, &opt, &err), VOX_ERR_INPUT,
                 "at another place");
    vox_yaml_free(&doc);
}

static void test_folder(void **state)
{
    (void)state;
    vox_dataset *set;
    put_npy("f/b/2.npy", 1, 2, 3, 4, 0, -1);
    put_npy("f/b/1.npy", 1, 2, 3, 4, 0, -1);
    put_npy("f/a/3.npy", 1, 2, 3, 4, 0, -1);
    put_text("f/a/.DS_Store", "x");
    put_text("f/a/x.mhd", "x");
    put_text("f/a/x.zraw", "x");
    put_text("f/a/y.hdr", "x");
    put_text("f/a/y.img", "x");
    put_text("f/a/z.img", "x");
    put_text("f/a/series/1.dcm", "x");
    put_text("f/readme.txt", "x");
    assert_int_equal(vox_mkdirs(scratch_path("f/c"), NULL), VOX_OK);
    assert_ok(open_set(&set, "folder: f", NULL, shape, false, &err));
    static const char *const want[] = {"f/a/3.npy", "f/a/series", "f/a/x.mhd", "f/a/y.hdr",
                                       "f/a/z.img", "f/b/1.npy",  "f/b/2.npy"};
    assert_int_equal(vox_dataset_count(set), 7);
    for (size_t i = 0; i < 7; i++) {
        assert_string_equal(vox_dataset_case(set, i), scratch_path(want[i]));
        assert_int_equal(vox_dataset_label(set, i), i >= 5);
    }
    assert_int_equal(vox_dataset_classes(set), 3);
    assert_int_not_equal(vox_dataset_load(set, NULL, &err), VOX_OK); /* none of it is an image */
    assert_non_null(strstr(err.detail, "f/a/series"));
    vox_dataset_free(&set);
}

/* Everything that is wrong at opening, with the place it must name. */
static void test_bad_sets(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *csv, *word;
        vox_status code;
    } row[] = {
        {"manifest: none.csv", NULL, "none.csv", VOX_ERR_IO},
        {"manifest: m.csv", "image,label\nimg/a.npy,0\nimg/nope.npy,1\n",
         "m.csv:3: ", VOX_ERR_INPUT},
        {"manifest: m.csv", "image,label\nimg/a.npy,0\nimg/nope.npy,1\n", "img/nope.npy",
         VOX_ERR_INPUT},
        {"manifest: m.csv", "image,label\nimg/a.npy,0\nimg/b.npy,one\n", "m.csv:3", VOX_ERR_INPUT},
        {"manifest: m.csv", "image,label\nimg/a.npy,0\nimg/b.npy,-1\n", "unknown label \"-1\"",
         VOX_ERR_INPUT},
        {"manifest: m.csv", "image,label\nimg/a.npy,a\nimg/b.npy,1\n", "unknown label \"1\"",
         VOX_ERR_INPUT},
        {"manifest: m.csv", "image,label\nimg/a.npy,0\nimg/b.npy,1e9\n", "unknown label",
         VOX_ERR_INPUT},
        {"manifest: m.csv", "image,label\nimg/a.npy,0\nimg/b.npy,70000\n", "unknown label",
         VOX_ERR_INPUT},
        {"manifest: m.csv", "image,label\nimg/a.npy,0\nimg/b.npy,\n", "the label is empty",
         VOX_ERR_INPUT},
        {"manifest: m.csv", "image,label\nimg/a.npy,0\n,1\n", "path is empty", VOX_ERR_INPUT},
        {"manifest: m.csv", "image,label\nimg/a.npy,0\nimg/b.npy;,1\n", "path is empty",
         VOX_ERR_INPUT},
        {"manifest: m.csv", "image,label,point\nimg/a.npy,0,1 2\n", "three numbers", VOX_ERR_INPUT},
        {"manifest: m.csv", "image,label,point\nimg/a.npy,0,1 2 nan\n", "three numbers",
         VOX_ERR_INPUT},
        {"manifest: m.csv", "image,label\n", "no rows", VOX_ERR_INPUT},
        {"manifest: m.csv", "", "empty", VOX_ERR_INPUT},
        {"manifest: m.csv", "image,label\nimg/a.npy,\"0\n", "m.csv:2", VOX_ERR_INPUT},
        {"manifest: m.csv", "image,label,Image\n", "two columns", VOX_ERR_INPUT},
        {"manifest: m.csv", "file,label\n", "no column \"image\"", VOX_ERR_INPUT},
        {"manifest: m.csv", "image,class\n", "no column \"label\"", VOX_ERR_INPUT},
        {"manifest: m.csv", "image,label\nimg/a.npy,1\nimg/b.npy,1\n", "one class", VOX_ERR_INPUT},
        {"folder: nope", NULL, "nope", VOX_ERR_IO},
        {"folder: img", NULL, "no class folders", VOX_ERR_INPUT},
        {"folder: m.csv", NULL, "m.csv", VOX_ERR_IO},
        {"folder: one", NULL, "one class", VOX_ERR_INPUT},
        {"folder: void", NULL, "has no case", VOX_ERR_INPUT},
        {"{folder: two, classes: [y, z]}", NULL, "two/x", VOX_ERR_INPUT},
        {"{folder: [a]}", NULL, "must be a path", VOX_ERR_INPUT},
        {"{manifest: m.csv, folder: img}", NULL, "not both", VOX_ERR_INPUT},
        {"{manifest: m.csv, clases: [a]}", NULL, "clases", VOX_ERR_INPUT},
        {"{manifest: m.csv, classes: a}", NULL, "list of names", VOX_ERR_INPUT},
        {"{manifest: m.csv, classes: [a, a]}", NULL, "class \"a\"", VOX_ERR_INPUT},
        {"{classes: [a]}", NULL, "names no source", VOX_ERR_INPUT},
        {"train.csv", NULL, "exp.yaml:1:1", VOX_ERR_INPUT},
    };
    put_four();
    put_npy("one/x/a.npy", 1, 2, 3, 4, 0, -1);
    put_npy("two/x/a.npy", 1, 2, 3, 4, 0, -1);
    put_npy("two/y/a.npy", 1, 2, 3, 4, 0, -1);
    assert_int_equal(vox_mkdirs(scratch_path("void/x"), NULL), VOX_OK);
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        vox_dataset *set;
        if (row[i].csv)
            put_text("m.csv", row[i].csv);
        else
            put_four();
        assert_error(open_set(&set, row[i].spec, NULL, shape, false, &err), row[i].code,
                     row[i].word);
        assert_null(set);
    }
}

/* What only reading finds: NaN, wrong shape, channels that do not fit, garbage. */
static void test_bad_cases(void **state)
{
    (void)state;
    static const struct {
        const char *image, *word, *more, *hint;
    } row[] = {
        {"bad/nan.npy", "NaN", "voxel (d,h,w) = (1, 0, 2)", "skip_bad"},
        {"bad/shape.npy", "input shape", "1 x 2 x 3 x 5 (c,d,h,w), the network takes 1 x 2 x 3 x 4",
         "resize: {size: [2, 3, 4]}"},
        {"bad/channels.npy", "input shape", "3 x 2 x 3 x 4", "network.input.channels to 3"},
        {"img/a.npy;bad/shape.npy", "different grids", "bad/shape.npy", "resample"},
        {"bad/garbage.npy", "", "bad/garbage.npy", ""},
    };
    put_four();
    put_npy("bad/nan.npy", 1, 2, 3, 4, 0, 14);
    put_npy("bad/shape.npy", 1, 2, 3, 5, 0, -1);
    put_npy("bad/channels.npy", 3, 2, 3, 4, 0, -1);
    put_bytes("bad/garbage.npy", "\x93NUMPY\x01\x00\x76\x00{", 11);
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        char csv[200];
        vox_dataset *set;
        snprintf(csv, sizeof csv, "image,label\nimg/b.npy,0\n%s,1\n", row[i].image);
        put_text("m.csv", csv);
        assert_ok(open_set(&set, "manifest: m.csv", NULL, shape, false, &err));
        assert_error(vox_dataset_load(set, NULL, &err), VOX_ERR_INPUT, row[i].word);
        if (!strstr(err.detail, row[i].more) || !strstr(err.hint, row[i].hint))
            fail_msg("%s: %s | %s", row[i].image, err.detail, err.hint);
        assert_non_null(strstr(err.detail, "m.csv:3: "));
        vox_dataset_free(&set);
    }
}

/* skip_bad: the good ones stay in order, the bad ones are listed, with any number of threads. */
static void test_skip_bad(void **state)
{
    (void)state;
    put_four();
    put_npy("bad/nan.npy", 1, 2, 3, 4, 0, 0);
    put_npy("bad/shape.npy", 1, 2, 3, 5, 0, -1);
    put_text("m.csv", "image,label\nimg/a.npy,0\nbad/nan.npy,1\nimg/none.npy,0\nimg/b.npy,9\n"
                      "img/c.npy,x\nbad/shape.npy,0\nimg/d.npy,1\n");
    for (size_t threads = 1; threads <= 4; threads += 3) {
        vox_pool *pool;
        vox_dataset *set;
        float out[24];
        assert_ok(vox_pool_open(&pool, threads, &err));
        assert_ok(open_set(&set, "manifest: m.csv", NULL, shape, true, &err));
        assert_int_equal(vox_dataset_count(set), 5);
        assert_int_equal(vox_dataset_bad_count(set), 2);
        assert_ok(vox_dataset_load(set, pool, &err));
        assert_int_equal(vox_dataset_count(set), 3);
        static const float first[3] = {0, 100, 300};
        static const int32_t label[3] = {0, 9, 1};
        for (size_t i = 0; i < 3; i++) {
            assert_ok(vox_dataset_get(set, i, out, NULL, &err));
            assert_true(out[0] == first[i]);
            assert_int_equal(vox_dataset_label(set, i), label[i]);
        }
        static const char *const bad[4] = {"img/none.npy", "unknown label \"x\"", "NaN",
                                           "input shape"};
        assert_int_equal(vox_dataset_bad_count(set), 4);
        for (size_t i = 0; i < 4; i++) {
            assert_non_null(strstr(vox_dataset_bad(set, i), bad[i]));
            assert_non_null(strstr(vox_dataset_bad(set, i), "m.csv:"));
        }
        vox_dataset_free(&set);
        vox_pool_free(&pool);
    }
    vox_dataset *set;
    put_text("m.csv", "image,label\nbad/nan.npy,1\nbad/shape.npy,0\n");
    assert_ok(open_set(&set, "manifest: m.csv", NULL, shape, true, &err));
    assert_error(vox_dataset_load(set, NULL, &err), VOX_ERR_INPUT, "all 2 are bad");
    vox_dataset_free(&set);
    put_text("m.csv", "image,label\nx.npy,1\ny.npy,0\n");
    assert_error(open_set(&set, "manifest: m.csv", NULL, shape, true, &err), VOX_ERR_INPUT,
                 "no case");
    assert_non_null(strstr(err.hint, "all 2 were bad"));
}

/* Without skip_bad the first bad case in order is the error, whichever thread met one first. */
static void test_first_bad(void **state)
{
    (void)state;
    vox_pool *pool;
    vox_str csv = {0};
    put_four();
    put_npy("bad/nan.npy", 1, 2, 3, 4, 0, 0);
    vox_str_add(&csv, "image,label\n");
    for (int i = 0; i < 60; i++)
        vox_str_add(&csv, "%s,%d\n", i >= 41 ? "bad/nan.npy" : "img/a.npy", i % 2);
    put_text("m.csv", csv.text);
    vox_str_release(&csv);
    assert_ok(vox_pool_open(&pool, 4, &err));
    for (int round = 0; round < 5; round++) {
        vox_dataset *set;
        assert_ok(open_set(&set, "manifest: m.csv", NULL, shape, false, &err));
        assert_error(vox_dataset_load(set, pool, &err), VOX_ERR_INPUT, "m.csv:43: ");
        assert_error(vox_dataset_load(set, pool, &err), VOX_ERR_USAGE, "already");
        vox_dataset_free(&set);
    }
    vox_pool_free(&pool);
}

/* A cache of two cases: the others are read when asked for. */
static void test_small_cache(void **state)
{
    (void)state;
    vox_dataset *set;
    vox_yaml *doc;
    float out[24];
    vox_dataset_options opt = {
        .base_dir = scratch, .sample_shape = {1, 2, 3, 4}, .cache_bytes = 2 * sizeof out + 1};
    put_four();
    assert_ok(vox_yaml_parse(&doc, "manifest: m.csv", "exp.yaml", &err));
    assert_ok(vox_dataset_open(&set, vox_yaml_root(doc), NULL, &opt, &err));
    vox_yaml_free(&doc);
    assert_ok(vox_dataset_load(set, NULL, &err));
    for (size_t i = 0; i < 4; i++) {
        assert_ok(vox_dataset_get(set, i, out, NULL, &err));
        assert_true(out[5] == (float)(100 * i + 5));
    }
    assert_int_equal(unlink(scratch_path("img/b.npy")), 0);
    assert_int_equal(unlink(scratch_path("img/d.npy")), 0);
    assert_ok(vox_dataset_get(set, 1, out, NULL, &err));
    assert_error(vox_dataset_get(set, 3, out, NULL, &err), VOX_ERR_IO, "img/d.npy");
    vox_dataset_free(&set);
}

/* Steps that end in another size than the network's are found before a case is read. */
static void test_prepared_size(void **state)
{
    (void)state;
    vox_dataset *set;
    put_four();
    assert_error(open_set(&set, "manifest: m.csv",
                          "[{resize: {size: [2, 3, 4]}}, {crop: {size: [2, 3, 3]}}]", shape, false,
                          &err),
                 VOX_ERR_INPUT, "2 x 3 x 3 voxels, the network takes 2 x 3 x 4");
    assert_non_null(strstr(err.detail, "exp.yaml:1:1"));
    assert_non_null(strstr(err.hint, "size: [2, 3, 4]"));
    assert_null(set);
    assert_ok(open_set(&set, "manifest: m.csv",
                       "[{crop: {size: 2}}, {resize: {size: [2, 3, 4]}}, {normalize: zscore}]",
                       shape, false, &err));
    assert_ok(vox_dataset_load(set, NULL, &err));
    vox_dataset_free(&set);
}

/* The point column reaches the crop. */
static void test_point(void **state)
{
    (void)state;
    vox_dataset *set;
    float out[2];
    const int small[4] = {1, 1, 1, 2};
    put_four();
    put_text("m.csv", "image,label,point\nimg/a.npy,0,2 1 0\nimg/b.npy,1,3 2 1\nimg/c.npy,1,\n");
    assert_ok(open_set(&set, "manifest: m.csv", "[{crop: {size: [1, 1, 2], center: point}}]", small,
                       false, &err));
    assert_ok(vox_dataset_get(set, 0, out, NULL, &err));
    assert_true(out[0] == 1 * 4 + 1);
    assert_ok(vox_dataset_get(set, 1, out, NULL, &err));
    assert_true(out[0] == 100 + 12 + 8 + 2);
    assert_error(vox_dataset_get(set, 2, out, NULL, &err), VOX_ERR_INPUT, "m.csv:4: ");
    vox_dataset_free(&set);
}

/* One input for prediction goes the same way. */
static void test_input(void **state)
{
    (void)state;
    static const int64_t two[4] = {2, 2, 3, 4}, one[4] = {1, 2, 3, 4};
    float out[48];
    char files[400];
    vox_yaml *doc;
    put_four();
    snprintf(files, sizeof files, "%s;%s", scratch_path("img/b.npy"), scratch_path("img/d.npy"));
    assert_ok(vox_yaml_parse(&doc, "[{normalize: {method: minmax, channels: [0]}}]", "x", &err));
    assert_ok(vox_dataset_read_input(files, vox_yaml_root(doc), NULL, two, out, &err));
    assert_true(out[0] == 0 && out[23] == 1 && out[24] == 300 && out[47] == 323);
    vox_yaml_free(&doc);
    assert_ok(vox_dataset_read_input(scratch_path("img/a.npy"), NULL, NULL, one, out, &err));
    assert_error(vox_dataset_read_input(files, NULL, NULL, one, out, &err), VOX_ERR_INPUT, "input shape");
    assert_non_null(strstr(err.detail, files));
    assert_non_null(strstr(err.hint, "trained on cases of 1 channel:")); /* not how to train another */
    put_npy("bad/shape.npy", 1, 2, 3, 5, 0, -1);
    assert_error(vox_dataset_read_input(scratch_path("bad/shape.npy"), NULL, NULL, one, out, &err),
                 VOX_ERR_INPUT, "input shape");
    assert_non_null(strstr(err.hint, "trained on cases of that size"));
    assert_error(vox_dataset_read_input(scratch_path("img/no.npy"), NULL, NULL, one, out, &err),
                 VOX_ERR_INPUT, "img/no.npy");
    assert_error(vox_dataset_read_input("", NULL, NULL, one, out, &err), VOX_ERR_INPUT, "empty");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifest),      cmocka_unit_test(test_names_and_channels),
        cmocka_unit_test(test_given_classes), cmocka_unit_test(test_folder),
        cmocka_unit_test(test_bad_sets),      cmocka_unit_test(test_bad_cases),
        cmocka_unit_test(test_skip_bad),      cmocka_unit_test(test_first_bad),
        cmocka_unit_test(test_small_cache),   cmocka_unit_test(test_point),
        cmocka_unit_test(test_prepared_size), cmocka_unit_test(test_input),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
