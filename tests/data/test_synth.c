/* Synthetic prostates: the published layout, the same bits for a seed, whole or not at all. */
#include "fixture.h"

#include "base/thread.h"
#include "data/csv.h"
#include "data/phantom.h"
#include "data/volume.h"

#include <signal.h>
#include <sys/resource.h>

#define PATIENTS 7
static vox_error err;

static vox_status synth(const char *name, uint64_t seed, int64_t patients)
{
    const vox_synth_options opt = {.seed = seed, .patients = patients};
    return vox_synth("prostate", scratch_path(name), &opt, &err);
}

/* Paths below a folder, sorted, without it. */
static vox_names tree;
static size_t tree_root;

static int note(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)ftw;
    return type == FTW_F ? (int)vox_names_add(&tree, path + tree_root, NULL) : 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void walk(const char *name)
{
    vox_names_release(&tree);
    tree_root = strlen(scratch_path(name)) + 1;
    assert_int_equal(nftw(scratch_path(name), note, 16, FTW_PHYS), 0);
    qsort(tree.name, tree.count, sizeof *tree.name, by_text);
}

/* All files of two sets: how many differ. */
static size_t differ(const char *a, const char *b)
{
    size_t n = 0;
    walk(a);
    for (size_t i = 0; i < tree.count; i++) {
        char one[200], other[200], *x = NULL, *y = NULL;
        size_t xn = 0, yn = 0;
        snprintf(one, sizeof one, "%s/%s", a, tree.name[i]);
        snprintf(other, sizeof other, "%s/%s", b, tree.name[i]);
        assert_int_equal(vox_file_read(&x, &xn, scratch_path(one), 0, NULL), VOX_OK);
        bool same = vox_file_read(&y, &yn, scratch_path(other), 0, NULL) == VOX_OK && xn == yn &&
                    memcmp(x, y, xn) == 0;
        n += same ? 0 : 1;
        free(x);
        free(y);
    }
    return n;
}

static void test_repeatable(void **state)
{
    (void)state;
    assert_ok(synth("one", 5, PATIENTS));
    assert_ok(synth("two/", 5, PATIENTS)); /* a slash at the end is no matter */
    assert_ok(synth("other", 6, PATIENTS));
    assert_ok(synth("more", 5, PATIENTS + 2));
    assert_int_equal(differ("one", "two"), 0);
    assert_true(tree.count > PATIENTS * 36);
    size_t files = tree.count;
    assert_true(differ("one", "other") > files / 2);
    assert_int_equal(differ("one", "more"),
                     3); /* the tables alone: patients do not depend on how many */
    vox_names_release(&tree);
}

static void check_table(const char *name, const char *header, size_t rows)
{
    char *text, path[100];
    size_t size;
    vox_csv *csv;
    snprintf(path, sizeof path, "one/%s", name);
    assert_ok(vox_file_read(&text, &size, scratch_path(path), 0, &err));
    assert_int_equal(strncmp(text, header, strlen(header)), 0);
    assert_int_equal(strncmp(text + strlen(header), "\r\n", 2), 0);
    free(text);
    assert_ok(vox_csv_open(&csv, scratch_path(path), &err));
    if (rows)
        assert_int_equal(vox_csv_rows(csv), rows);
    vox_csv_free(&csv);
}

static void test_layout(void **state)
{
    (void)state;
    vox_csv *csv;
    size_t ggg, sig, count[6] = {0};
    assert_ok(vox_csv_open(&csv, scratch_path("one/ProstateX-Findings-Train.csv"), &err));
    assert_ok(vox_csv_need(csv, "ggg", &ggg, &err));
    assert_ok(vox_csv_need(csv, "ClinSig", &sig, &err));
    size_t rows = vox_csv_rows(csv);
    for (size_t r = 0; r < rows; r++) {
        int grade = atoi(vox_csv_field(csv, r, ggg));
        assert_in_range(grade, 1, 5);
        assert_string_equal(vox_csv_field(csv, r, sig), grade >= 2 ? "TRUE" : "FALSE");
        count[grade]++;
    }
    vox_csv_free(&csv);
    for (int g = 1; g <= 5; g++) /* balanced to within one bag of five */
        assert_in_range(count[g], rows / 5, rows / 5 + 1);
    check_table("ProstateX-Findings-Train.csv", "ProxID,fid,pos,zone,ClinSig,ggg", rows);
    check_table("ProstateX-Images-KTrans-Train.csv", "ProxID,fid,pos,WorldMatrix,ijk", rows);
    check_table("ProstateX-Images-Train.csv",
                "ProxID,Name,fid,pos,WorldMatrix,ijk,TopLevel,SpacingBetweenSlices,VoxelSpacing,"
                "Dim,DCMSerDescr,DCMSerNum",
                0);
    assert_true(vox_path_exists(scratch_path("one/README.txt")));
    assert_true(vox_path_is_dir(scratch_path("one/PROSTATEx/ProstateX-0006")));
    assert_true(vox_path_exists(scratch_path(
        "one/ProstateXKtrains-train-fixed/ProstateX-0000/ProstateX-0000-Ktrans.zraw")));
}

/* Every finding of a larger set lies in all its volumes, the folds hold everybody, and the grade
 * shows: darker in T2 and ADC, brighter in Ktrans, the higher it is. */
static void test_reads_back(void **state)
{
    (void)state;
    const int shape[4] = {3, 3, 4, 4};
    vox_dataset *set;
    vox_pool *pool;
    double mean[3][5] = {{0}}, n[5] = {0};
    assert_ok(synth("large", 9, 40));
    assert_ok(vox_pool_open(&pool, 0, &err));
    assert_ok(open_set(&set,
                       "{prostatex: {dir: large, modalities: [t2, adc, ktrans], patch_mm: 4}}",
                       NULL, shape, false, &err));
    assert_ok(vox_dataset_load(set, pool, &err));
    assert_true(vox_dataset_count(set) > 60);
    assert_int_equal(vox_dataset_bad_count(set), 0);
    for (size_t i = 0; i < vox_dataset_count(set); i++) {
        float v[3 * 48];
        int32_t label = vox_dataset_label(set, i);
        assert_ok(vox_dataset_get(set, i, v, NULL, &err));
        for (int c = 0; c < 3; c++)
            for (int k = 0; k < 48; k++)
                mean[c][label] += v[c * 48 + k] / 48;
        n[label]++;
    }
    for (int g = 1; g < 5; g++)
        for (int c = 0; c < 3; c++) {
            double before = mean[c][g - 1] / n[g - 1], now = mean[c][g] / n[g];
            assert_true(c < 2 ? now < 0.97 * before : now > 1.1 * before);
        }
    vox_dataset_free(&set);
    vox_pool_free(&pool);
}

/* The phantom alone: lesions apart from each other, within reach of every scan. */
static void test_phantom(void **state)
{
    (void)state;
    for (uint64_t p = 0; p < 400; p++) {
        vox_phantom phantom;
        const int grade[3] = {5, 1 + (int)(p % 5), 5};
        assert_ok(vox_phantom_make(&phantom, 1, p, grade, 1 + p % 3, &err));
        assert_int_equal(phantom.lesions, 1 + p % 3);
        for (size_t i = 0; i < phantom.lesions; i++) {
            const vox_phantom_lesion *a = &phantom.lesion[i];
            assert_true(fabs(a->center_mm[2] - phantom.center_mm[2]) <= 17);
            for (size_t j = 0; j < i; j++) {
                const vox_phantom_lesion *b = &phantom.lesion[j];
                double gap = 0;
                for (int x = 0; x < 3; x++)
                    gap += pow(a->center_mm[x] - b->center_mm[x], 2);
                assert_true(sqrt(gap) > a->radius_mm[1] + b->radius_mm[1]);
            }
        }
        vox_phantom_release(&phantom);
    }
}

static void test_bad_calls(void **state)
{
    (void)state;
    const vox_synth_options opt = {.patients = 2};
    assert_error(vox_synth("prostrate", scratch_path("x"), &opt, &err), VOX_ERR_USAGE, "prostrate");
    assert_non_null(strstr(err.hint, "prostate"));
    assert_error(vox_synth("liver", scratch_path("x"), &opt, &err), VOX_ERR_USAGE, "liver");
    assert_error(synth("x", 0, -1), VOX_ERR_USAGE, "-1 patients");
    assert_error(synth("x", 0, 10000), VOX_ERR_USAGE, "1 to 9999");
    put_text("full/file", "precious");
    assert_error(synth("full", 0, 2), VOX_ERR_INPUT, "not an empty folder");
    assert_error(synth("full/file", 0, 2), VOX_ERR_INPUT, "not an empty folder");
    assert_error(synth("full/file/x", 0, 2), VOX_ERR_IO, "full/file");
    assert_false(vox_path_exists(scratch_path("x")));
    assert_int_equal(vox_mkdirs(scratch_path("empty"), NULL), VOX_OK);
    assert_ok(synth("empty", 0, 1)); /* an empty folder may be there, and parents need not */
    assert_ok(synth("a/b/c", 0, 1));
    assert_true(vox_path_exists(scratch_path("a/b/c/README.txt")));
}

static size_t entries(const char *name)
{
    vox_names names;
    assert_ok(vox_dir_list(&names, scratch_path(name), &err));
    size_t n = names.count;
    vox_names_release(&names);
    return n;
}

/* The disk gives out in the middle (here: a limit on file sizes): nothing stays behind. */
static void test_full_disk(void **state)
{
    (void)state;
    struct rlimit before, small;
    assert_int_equal(vox_mkdirs(scratch_path("disk"), NULL), VOX_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 10000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    memset(&err, 0, sizeof err);
    vox_status s = synth("disk/set", 0, 2);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(s, VOX_ERR_IO);
    assert_non_null(strstr(err.message, ".dcm"));
    assert_int_equal(entries("disk"), 0);
}

int main(void)
{
#if !defined VOXCL_WITH_GDCM || !defined VOXCL_WITH_ZLIB
    puts("skipped: built without GDCM or zlib");
    return 77;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repeatable), cmocka_unit_test(test_layout),
        cmocka_unit_test(test_reads_back), cmocka_unit_test(test_phantom),
        cmocka_unit_test(test_bad_calls),  cmocka_unit_test(test_full_disk),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
