/* Patches cut from cases of any size: where they lie, that they depend on the keys alone, and the
 * windows that cover a case; and figures of all cases' foreground. */
#include "fixture.h"

#include "base/thread.h"
#include "data/patch.h"

static vox_error err;
static vox_dataset_options opt = {
    .sample_shape = {1, 4, 4, 4}, .classes = 4, .patches = true, .foreground = 0.33};

/* ---- places ---- */

/* 6 x 10 x 12 voxels: class 1 is one voxel in a corner, class 3 a block of 60; no class 2. */
static vox_ready make(uint8_t *mask, uint32_t voxels[4])
{
    memset(mask, 0, 720);
    mask[0] = 1;
    for (int i = 0; i < 60; i++) /* d 4, all of h 2..6 */
        mask[(4 * 10 + 2 + i / 12) * 12 + i % 12] = 3;
    voxels[0] = 659;
    voxels[1] = 1;
    voxels[2] = 0;
    voxels[3] = 60;
    return (vox_ready){.mask = mask, .voxels = voxels, .size = {6, 10, 12}};
}

static void test_draws(void **state)
{
    (void)state;
    enum { DRAWS = 3000 };
    static const int64_t size[3] = {4, 5, 20};
    uint8_t mask[720];
    uint32_t voxels[4];
    vox_ready ready = make(mask, voxels);
    int corner = 0, block = 0, spread[3] = {0};
    for (int i = 0; i < DRAWS; i++) {
        const vox_pick pick = {
            .random = true, .seed = 3, .step = (uint64_t)i / 8, .sample = (uint64_t)i % 8};
        int64_t start[3], again[3];
        vox_patch_place(&ready, 4, size, 1, &pick, start);
        vox_patch_place(&ready, 4, size, 1, &pick, again);
        assert_memory_equal(start, again, sizeof start);
        assert_true(start[0] >= 0 && start[0] <= 2 && start[1] >= 0 && start[1] <= 5);
        assert_int_equal(start[2], -4);           /* 12 in the middle of 20 */
        corner += start[0] == 0 && start[1] == 0; /* the block at h 2, d 4 gives d 2 */
        block += start[0] == 2;
        vox_patch_place(&ready, 4, size, 0, &pick, start);
        assert_true(start[0] >= 0 && start[0] <= 2 && start[1] >= 0 && start[1] <= 5);
        spread[start[0]]++;
    }
    /* of two classes present each is drawn half of the time, however large (5 sigma: 137) */
    assert_true(corner + block == DRAWS && abs(corner - DRAWS / 2) < 137);
    for (int i = 0; i < 3; i++)
        assert_true(abs(spread[i] - DRAWS / 3) < 130);
}

/* An empty mask, and a set without masks: uniform places. */
static void test_no_foreground(void **state)
{
    (void)state;
    static const int64_t size[3] = {4, 5, 6};
    uint8_t mask[720];
    uint32_t voxels[4], seen = 0;
    vox_ready ready = make(mask, voxels), bare = ready;
    memset(voxels, 0, sizeof voxels);
    bare.mask = NULL;
    for (uint64_t i = 0; i < 100; i++) {
        const vox_pick pick = {.random = true, .seed = 1, .step = i};
        int64_t a[3], b[3];
        vox_patch_place(&ready, 4, size, 1, &pick, a);
        vox_patch_place(&bare, 4, size, 1, &pick, b);
        assert_memory_equal(a, b, sizeof a);
        seen |= 1u << a[1];
    }
    assert_int_equal(seen, 63); /* 0 .. 5 */
}

static void test_windows(void **state)
{
    (void)state;
    static const int64_t size[3] = {4, 5, 20};
    uint8_t mask[720], covered[720] = {0};
    uint32_t voxels[4];
    vox_ready ready = make(mask, voxels);
    assert_int_equal(vox_patch_windows(ready.size, size), 4); /* 2 x 2 x 1 */
    for (size_t n = 0; n < 4; n++) {
        const vox_pick pick = {.window = n};
        int64_t s[3];
        vox_patch_place(&ready, 4, size, 1, &pick, s);
        assert_true(s[0] == (n < 2 ? 0 : 2) && s[1] == (n % 2 ? 5 : 0) && s[2] == -4);
        for (int64_t d = s[0]; d < s[0] + 4; d++)
            for (int64_t h = s[1]; h < s[1] + 5; h++)
                memset(covered + (d * 10 + h) * 12, 1, 12);
    }
    for (int i = 0; i < 720; i++)
        assert_true(covered[i]);
    assert_int_equal(vox_patch_windows((const int64_t[3]){3, 5, 41}, size), 3);
}

/* ---- whole sets ---- */

static vox_status open_with(vox_dataset **out, const char *prepare)
{
    vox_yaml *doc = NULL, *steps = NULL;
    *out = NULL;
    opt.base_dir = scratch;
    assert_ok(vox_yaml_parse(&doc, "{pairs: s}", "exp.yaml", &err));
    if (prepare)
        assert_ok(vox_yaml_parse(&steps, prepare, "exp.yaml", &err));
    vox_status s =
        vox_dataset_open(out, vox_yaml_root(doc), steps ? vox_yaml_root(steps) : NULL, &opt, &err);
    vox_yaml_free(&doc);
    vox_yaml_free(&steps);
    return s;
}

/* Five cases, 3 + i voxels deep; voxel k of case i holds 1000 i + k, its mask (k / 7) % 4. */
static void put_set(void)
{
    for (int i = 0; i < 5; i++) {
        char name[32], header[128];
        float mask[8 * 5 * 6];
        size_t n = (size_t)(3 + i) * 30;
        snprintf(name, sizeof name, "s/images/%d.npy", i);
        put_npy(name, 1, 3 + i, 5, 6, (float)(1000 * i), -1);
        memset(header, ' ', sizeof header);
        memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10);
        int length =
            snprintf(header + 10, 118,
                     "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 5, 6), }", 3 + i);
        header[10 + length] = ' ';
        header[127] = '\n';
        char bytes[128 + sizeof mask];
        for (size_t k = 0; k < n; k++)
            mask[k] = (float)(k / 7 % 4);
        memcpy(bytes, header, 128);
        memcpy(bytes + 128, mask, n * sizeof *mask);
        snprintf(name, sizeof name, "s/masks/%d.npy", i);
        put_bytes(name, bytes, 128 + n * sizeof *mask);
    }
}

/* Every voxel is where its value says, its label with it; 0 of both outside. */
static void check_sample(const float *voxel, const int32_t *label, size_t c)
{
    size_t inside = 0;
    for (size_t k = 0; k < 64; k++) {
        long of = (long)voxel[k] - 1000 * (long)c;
        inside += of > 0;
        if (voxel[k] != 0)
            assert_int_equal(label[k], of / 7 % 4);
        else if (c > 0)
            assert_int_equal(label[k], 0);
    }
    assert_true(inside >= (c == 0 ? 47 : 63)); /* 3 deep: 16 are padding; voxel 0 counts nowhere */
}

/* Batches from batch `first` on, as one row of numbers. */
static void collect(vox_dataset *set, size_t threads, size_t first, float *out)
{
    vox_loader *loader;
    const vox_batch *b;
    const vox_loader_options o = {.batch = 2,
                                  .threads = threads,
                                  .ahead = 2,
                                  .shuffle = true,
                                  .seed = 5,
                                  .epoch = first / 3,
                                  .first = first % 3 * 2};
    assert_ok(vox_loader_open(&loader, set, &o, &err));
    assert_int_equal(vox_loader_count(loader), 5);
    for (size_t k = first; k < 9; k++) { /* 3 epochs of 2, 2, 1 */
        assert_ok(vox_loader_next(loader, &b, &err));
        for (size_t i = 0; i < b->n; i++)
            check_sample(b->sample[i], b->label + 64 * i, b->case_index[i]);
        for (size_t i = 0; i < b->n; i++)
            memcpy(out + k * 128 + i * 64, b->sample[i], 64 * sizeof *out);
    }
    vox_loader_free(&loader);
}

static void test_loading(void **state)
{
    (void)state;
    vox_dataset *set;
    static float one[9 * 128], three[9 * 128], later[9 * 128];
    put_set();
    assert_ok(open_with(&set, NULL));
    assert_ok(vox_dataset_load(set, NULL, &err));
    collect(set, 1, 0, one);
    collect(set, 3, 0, three);
    assert_memory_equal(one, three, sizeof one);
    collect(set, 2, 4, later);
    assert_memory_equal(one + 4 * 128, later + 4 * 128, 5 * 128 * sizeof *one);
    vox_loader *loader;
    const vox_batch *b;
    size_t samples = 0;
    const vox_loader_options o = {.batch = 3, .threads = 2, .windows = true};
    assert_ok(vox_loader_open(&loader, set, &o, &err));
    /* (1, 1, 2, 2, 2) windows along d, 2 x 2 along h and w */
    assert_int_equal(vox_loader_count(loader), 32);
    for (int k = 0; k < 11; k++) {
        assert_ok(vox_loader_next(loader, &b, &err));
        for (size_t i = 0; i < b->n; i++, samples++) {
            assert_int_equal(b->case_index[i], samples < 8 ? samples / 4 : 2 + (samples - 8) / 8);
            check_sample(b->sample[i], b->label + 64 * i, b->case_index[i]);
        }
    }
    assert_int_equal(samples, 32);
    vox_loader_free(&loader);
    vox_dataset_free(&set);
}

/* Mean and percentiles of the foreground of all cases, which a second set takes over. */
static void test_figures(void **state)
{
    (void)state;
    vox_dataset *set, *valid;
    vox_pool *pool;
    float voxel[64];
    double sum = 0, count = 0;
    put_set();
    for (size_t i = 0; i < 5; i++)
        for (size_t k = 0; k < (3 + i) * 30; k++)
            if (k / 7 % 4) {
                sum += (double)(1000 * i + k);
                count++;
            }
    static const char steps[] =
        "[{clip: {percentiles: [0.5, 99.5]}}, {normalize: {zscore: {of: dataset}}}]";
    assert_ok(vox_pool_open(&pool, 2, &err));
    assert_ok(open_with(&set, steps));
    assert_ok(vox_dataset_load(set, pool, &err));
    const vox_prepare_stats *made = vox_dataset_stats(set);
    assert_true(made->channels == 1 && fabs(made->mean[0] - sum / count) < 1e-6);
    assert_true(made->low[0] > 6 && made->low[0] < 20 && made->high[0] > 4180);
    assert_ok(vox_dataset_get(set, 4, voxel, NULL, &err));
    assert_true(fabs((double)voxel[0] - (4000 - made->mean[0]) / made->std[0]) < 1e-5);
    opt.stats = made;
    assert_ok(open_with(&valid, steps));
    assert_ok(vox_dataset_load(valid, NULL, &err));
    assert_memory_equal(vox_dataset_stats(valid), made, sizeof *made);
    opt.stats = NULL;
    vox_dataset_free(&valid);
    vox_dataset_free(&set);
    vox_pool_free(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws),   cmocka_unit_test(test_no_foreground),
        cmocka_unit_test(test_windows), cmocka_unit_test(test_loading),
        cmocka_unit_test(test_figures),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
