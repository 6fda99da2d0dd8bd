/* Synthetic chests and brains: the same bits for a seed, readable as the data sets they claim to
 * be, and what is marked differs from what is not. */
#include "fixture.h"

#include "data/phantom_chest.h"
#include "data/phantom_head.h"
#include "data/volume.h"

static vox_error err;

static vox_status synth(const char *kind, const char *name, uint64_t seed, int64_t patients,
                        int64_t d, int64_t h, int64_t w)
{
    const vox_synth_options opt = {seed, patients, {d, h, w}};
    return vox_synth(kind, scratch_path(name), &opt, &err);
}

static vox_image *load(const char *format, const char *set, int i)
{
    char name[100];
    vox_image *image;
    snprintf(name, sizeof name, format, set, i);
    assert_ok(vox_image_read(&image, scratch_path(name), &err));
    return image;
}

/* How many values of two images of equal sizes differ. */
static size_t differ(vox_image *a, vox_image *b)
{
    size_t n = 0;
    for (size_t i = 0; i < vox_volume_voxels(a) * (size_t)a->channels; i++)
        n += a->voxel[i] != b->voxel[i];
    vox_image_free(&a);
    vox_image_free(&b);
    return n;
}

static void test_repeatable(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *image;
    } set[] = {{"nodule", "%s/images/chest_%03d.mhd"}, {"tumour", "%s/imagesTr/BRATS_%03d.nii.gz"}};
    for (int k = 0; k < 2; k++) {
        char one[20], more[20], other[20];
        snprintf(one, sizeof one, "%s-one", set[k].kind);
        snprintf(more, sizeof more, "%s-more", set[k].kind);
        snprintf(other, sizeof other, "%s-other", set[k].kind);
        assert_ok(synth(set[k].kind, one, 5, 1, 12, 16, 16));
        assert_ok(synth(set[k].kind, more, 5, 3, 12, 16, 16));
        assert_ok(synth(set[k].kind, other, 6, 1, 12, 16, 16));
        assert_int_equal(differ(load(set[k].image, one, k), load(set[k].image, more, k)), 0);
        vox_image *a = load(set[k].image, one, k), *b = load(set[k].image, other, k);
        for (int i = 0; i < 3 && k == 0; i++) /* chests differ in their number of slices */
            a->size[i] = b->size[i] = a->size[i] < b->size[i] ? a->size[i] : b->size[i];
        assert_true(differ(a, b) > 100);
    }
}

/* Loads every case as patches of 8^3 and says how many voxels each class has. */
static size_t count_classes(const char *spec, int channels, size_t classes, size_t count[4])
{
    const int shape[4] = {channels, 8, 8, 8};
    vox_dataset_options opt = {.base_dir = scratch,
                               .sample_shape = {shape[0], shape[1], shape[2], shape[3]},
                               .classes = (int64_t)classes,
                               .patches = true};
    vox_yaml *doc;
    vox_dataset *set;
    assert_ok(vox_yaml_parse(&doc, spec, "exp.yaml", &err));
    assert_ok(vox_dataset_open(&set, vox_yaml_root(doc), NULL, &opt, &err));
    assert_ok(vox_dataset_load(set, NULL, &err));
    assert_int_equal(vox_dataset_classes(set), classes);
    for (size_t i = 0; i < vox_dataset_count(set); i++)
        for (size_t w = 0; w < vox_dataset_windows(set, i); w++) {
            float voxel[4 * 512];
            int32_t label[512];
            const vox_pick pick = {.window = w};
            assert_ok(vox_dataset_pick(set, i, &pick, voxel, label, &err));
            for (int v = 0; v < 512; v++)
                count[label[v]]++;
        }
    size_t cases = vox_dataset_count(set);
    vox_dataset_free(&set);
    vox_yaml_free(&doc);
    return cases;
}

/* Mean of the image where the mask has this class; NaN where it has not. */
static double mean_of(const vox_image *image, const vox_image *mask, int channel, int class)
{
    const size_t n = vox_volume_voxels(mask);
    double sum = 0, count = 0;
    for (size_t i = 0; i < n; i++)
        if ((int)mask->voxel[i] == class) {
            sum += (double)image->voxel[(size_t)channel * n + i];
            count++;
        }
    return sum / count;
}

static void test_chests(void **state)
{
    (void)state;
    size_t count[4] = {0};
    assert_ok(synth("nodule", "chests", 2, 9, 32, 40, 40));
    assert_int_equal(count_classes("{manifest: chests/manifest.csv}", 1, 2, count), 9);
    assert_true(count[1] > 30 && count[1] < count[0] / 50);
    bool thicker = false;
    double first = 0;
    for (int i = 0; i < 9; i++) {
        vox_image *ct = load("%s/images/chest_%03d.mhd", "chests", i);
        vox_image *mask = load("%s/masks/chest_%03d.mhd", "chests", i);
        assert_true(vox_volume_same_grid(ct, mask));
        assert_true(ct->spacing_mm[0] != ct->spacing_mm[1]);
        assert_in_range(ct->size[0], 21, 32);
        thicker = thicker || (i && fabs(ct->spacing_mm[0] - first) > 1);
        first = i ? first : ct->spacing_mm[0];
        assert_true(ct->voxel[0] < -900 && ct->voxel[0] >= -1024); /* air in the corner */
        if (i == 7)
            assert_true(isnan(mean_of(ct, mask, 0, 1))); /* the scan without findings */
        else
            assert_true(mean_of(ct, mask, 0, 1) > -750); /* denser than the lung */
        vox_image_free(&ct);
        vox_image_free(&mask);
    }
    assert_true(thicker);
}

/* Nodules of the promised sizes lie in the lung, apart from each other. */
static void test_nodules(void **state)
{
    (void)state;
    size_t all = 0;
    for (uint64_t p = 0; p < 40; p++) {
        vox_chest c;
        assert_ok(vox_chest_make(&c, 3, p, &err));
        assert_true(p % 10 == 7 ? c.nodules == 0 : c.nodules >= 1);
        assert_true(c.tubes > 200);
        for (size_t i = 0; i < c.nodules; i++, all++) {
            assert_true(vox_chest_lung(&c, c.nodule[i].shape.center_mm, 1) > 0.98);
            for (int x = 0; x < 3; x++) {
                const double r = c.nodule[i].shape.radius_mm[x];
                assert_true(r >= 3 && r <= 15);
            }
        }
        vox_chest_release(&c);
    }
    assert_true(all > 60);
}

static void test_brains(void **state)
{
    (void)state;
    size_t count[4] = {0};
    bool turned = false;
    assert_ok(synth("tumour", "brains", 2, 6, 20, 28, 28));
    assert_int_equal(count_classes("{msd: brains}", 4, 4, count), 6);
    for (int k = 1; k < 4; k++)
        assert_true(count[k] > 50 && count[k] < count[0] / 10);
    for (int i = 1; i <= 6; i++) {
        vox_image *mr = load("%s/imagesTr/BRATS_%03d.nii.gz", "brains", i);
        vox_image *mask = load("%s/labelsTr/BRATS_%03d.nii.gz", "brains", i);
        assert_int_equal(mr->channels, 4);
        assert_true(vox_volume_same_grid(mr, mask));
        turned = turned || mr->size[0] != 20;
        assert_true(mr->voxel[0] == 0);
        /* The rim shines with contrast agent; low grades (every fifth) have none. */
        const double rim = mean_of(mr, mask, 2, VOX_TUMOUR_ENHANCING);
        assert_true(i == 5 || rim > 1.2 * mean_of(mr, mask, 2, VOX_TUMOUR_EDEMA));
        assert_true(mean_of(mr, mask, 0, VOX_TUMOUR_EDEMA) > mean_of(mr, mask, 0, 0));
        vox_image_free(&mr);
        vox_image_free(&mask);
    }
    assert_true(turned);
}

/* From a tumour's middle outwards the classes come in their order. */
static void test_nested(void **state)
{
    (void)state;
    for (uint64_t p = 0; p < 20; p++) {
        vox_head h;
        assert_ok(vox_head_make(&h, 4, p, &err));
        const vox_ellipsoid *e = &h.tumour[0].shape;
        assert_true(h.tumours >= 1);
        assert_int_equal(vox_head_class(&h, e->center_mm), VOX_TUMOUR_CORE);
        int before = VOX_TUMOUR_CORE;
        for (double t = 0; t < 1.6; t += 0.02) {
            static const int rank[4] = {3, 2, 0, 1}; /* none, edema, core, enhancing */
            const double point[3] = {e->center_mm[0], e->center_mm[1],
                                     e->center_mm[2] + t * e->radius_mm[2]};
            const int now = vox_head_class(&h, point);
            assert_true(now == 0 || before == 0 || rank[now] >= rank[before]);
            assert_true(p % 5 != 4 || now != VOX_TUMOUR_ENHANCING || h.tumours > 1);
            before = now ? now : before;
        }
        vox_head_release(&h);
    }
}

static void test_bad_calls(void **state)
{
    (void)state;
    assert_error(synth("prostate", "x", 0, 1, 9, 9, 9), VOX_ERR_USAGE, "sizes of its own");
    assert_error(synth("nodule", "x", 0, 1, 7, 9, 9), VOX_ERR_USAGE, "7 x 9 x 9");
    assert_error(synth("tumour", "x", 0, 1, 9, 9, 2000), VOX_ERR_USAGE, "2000");
    assert_error(synth("tumour", "x", 0, 1, 9, -9, 9), VOX_ERR_USAGE, "-9");
    assert_error(synth("nodule", "x", 0, 1000, 9, 9, 9), VOX_ERR_USAGE, "1 to 999");
    assert_false(vox_path_exists(scratch_path("x")));
}

int main(void)
{
#if !defined VOXCL_WITH_NIFTI || !defined VOXCL_WITH_ZLIB
    puts("skipped: built without NIfTI or zlib");
    return 77;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repeatable), cmocka_unit_test(test_chests),
        cmocka_unit_test(test_nodules),    cmocka_unit_test(test_brains),
        cmocka_unit_test(test_nested),     cmocka_unit_test(test_bad_calls),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
