/* Data sets with masks: manifests, pair folders, the Decathlon's layout; and what is said of a mask
 * that does not fit its image or its classes. */
#include "fixture.h"

#include "data/volume.h"

#if defined(VOXCL_WITH_NIFTI) && defined(VOXCL_WITH_ZLIB)
#define FILES ".nii.gz"
#else
#define FILES ".mha"
#endif

static vox_error err;
static vox_dataset_options opt = {.sample_shape = {1, 2, 3, 4}, .classes = 3};

static vox_status open_with(vox_dataset **out, const char *spec, const char *prepare)
{
    vox_yaml *doc = NULL, *steps = NULL;
    *out = NULL;
    opt.base_dir = scratch;
    vox_status s = vox_yaml_parse(&doc, spec, "exp.yaml", &err);
    if (s == VOX_OK && prepare)
        s = vox_yaml_parse(&steps, prepare, "exp.yaml", &err);
    if (s == VOX_OK)
        s = vox_dataset_open(out, vox_yaml_root(doc), steps ? vox_yaml_root(steps) : NULL, &opt,
                             &err);
    vox_yaml_free(&doc);
    vox_yaml_free(&steps);
    return s;
}

/* Opens and loads; an error of either, with nothing left open. */
static vox_status load(const char *spec)
{
    vox_dataset *set;
    vox_status s = open_with(&set, spec, NULL);
    if (s == VOX_OK)
        s = vox_dataset_load(set, NULL, &err);
    vox_dataset_free(&set);
    return s;
}

/* A 2 x 3 x 4 volume of spacing 3, 2, 1 mm; voxel i is value(i, base); change may spoil it. */
static void put(const char *name, float (*value)(int i, float base), float base,
                void (*change)(vox_image *))
{
    static const int64_t size[3] = {2, 3, 4};
    vox_image *v;
    char path[256];
    put_text(name, ""); /* makes the folder */
    snprintf(path, sizeof path, "%s", scratch_path(name));
    assert_ok(vox_volume_alloc(&v, 1, size, &err));
    v->has_geometry = true;
    for (int a = 0; a < 3; a++)
        v->spacing_mm[a] = 3 - a;
    v->origin_mm[0] = 10;
    for (int i = 0; i < 24; i++)
        v->voxel[i] = value(i, base);
    if (change)
        change(v);
    assert_ok(vox_image_write(v, path, &err));
    vox_image_free(&v);
}

static float counted(int i, float base)
{
    return base + (float)i;
}

static float thirds(int i, float base) /* 0, 1, 2, 0 ... */
{
    return (float)((i + (int)base) % 3);
}

static float constant(int i, float base)
{
    (void)i;
    return base;
}

static void put_pairs(void)
{
    put("p/images/a" FILES, counted, 0, NULL);
    put("p/images/b_0000" FILES, counted, 100, NULL);
    put("p/labels/a" FILES, thirds, 0, NULL);
    put("p/labels/b" FILES, thirds, 1, NULL);
    put_text("p/images/._a" FILES, "macOS");
    put_text("p/labels/._a" FILES, "macOS");
}

static void check_case(vox_dataset *set, size_t i, float first, int32_t first_label)
{
    float voxel[24];
    int32_t label[24];
    assert_ok(vox_dataset_get(set, i, voxel, label, &err));
    for (int k = 0; k < 24; k++) {
        assert_true(voxel[k] == first + (float)k);
        assert_int_equal(label[k], (first_label + k) % 3);
    }
}

static void test_manifest(void **state)
{
    (void)state;
    vox_dataset *set;
    vox_loader *loader;
    const vox_batch *batch;
    const vox_loader_options batches = {.batch = 2, .threads = 1};
    put_pairs();
    put_text("m.csv", "image,mask\np/images/a" FILES ",p/labels/a" FILES "\np/images/b_0000" FILES
                      ",p/labels/b" FILES "\n");
    assert_ok(open_with(&set, "{manifest: m.csv}", NULL));
    assert_int_equal(vox_dataset_count(set), 2);
    assert_int_equal(vox_dataset_labels(set), 24);
    assert_true(vox_dataset_masks(set));
    assert_int_equal(vox_dataset_classes(set), 3);
    assert_string_equal(vox_dataset_class(set, 2), "2");
    check_case(set, 1, 100, 1); /* before load: read anew */
    assert_ok(vox_dataset_load(set, NULL, &err));
    assert_true(vox_dataset_mark(set, 0) != vox_dataset_mark(set, 1));
    assert_int_equal(unlink(scratch_path("p/labels/b" FILES)), 0);
    check_case(set, 1, 100, 1); /* from the cache */
    assert_ok(vox_loader_open(&loader, set, &batches, &err));
    assert_ok(vox_loader_next(loader, &batch, &err));
    assert_true(batch->n == 2 && batch->sample[1][0] == 100);
    for (int k = 0; k < 24; k++)
        assert_int_equal(batch->label[24 + k], (1 + k) % 3);
    vox_loader_free(&loader);
    vox_dataset_free(&set);
}

/* Two images of one case, and names for the classes. */
static void test_channels_and_names(void **state)
{
    (void)state;
    vox_dataset *set;
    float voxel[48];
    int32_t label[24];
    put_pairs();
    put_text("m.csv", "patient,image,mask\nx,p/images/a" FILES " ; p/images/b_0000" FILES
                      ",p/labels/a" FILES "\n");
    opt.sample_shape[0] = 2;
    assert_ok(open_with(&set, "{manifest: m.csv, classes: [none, front, back]}", NULL));
    assert_string_equal(vox_dataset_class(set, 1), "front");
    assert_ok(vox_dataset_get(set, 0, voxel, label, &err));
    assert_true(voxel[23] == 23 && voxel[24] == 100 && label[2] == 2);
    vox_dataset_free(&set);
    opt.sample_shape[0] = 1;
    assert_error(load("{manifest: m.csv}"), VOX_ERR_INPUT, "network takes 1 x 2 x 3 x 4");
    put_text("m.csv", "image,mask,label\nx,y,0\n");
    assert_error(load("{manifest: m.csv}"), VOX_ERR_INPUT, "m.csv");
    put_text("m.csv", "image,mask\np/images/a" FILES ",\n");
    assert_error(load("{manifest: m.csv}"), VOX_ERR_INPUT, "m.csv:2");
    put_text("m.csv", "image,mask\np/images/a" FILES ",none.nii\n");
    assert_error(load("{manifest: m.csv}"), VOX_ERR_INPUT, "none.nii");
}

static void test_values(void **state)
{
    (void)state;
    vox_dataset *set;
    int32_t label[24];
    float voxel[24];
    put_pairs();
    opt.classes = 2;
    assert_error(load("{pairs: p}"), VOX_ERR_INPUT,
                 "p/labels/a" FILES ": at voxel (d,h,w) = (0, 0, 2)");
    assert_non_null(strstr(err.message, "value 2, which is no class"));
    assert_ok(open_with(&set, "{pairs: p, values: [0, 1, 1]}", NULL));
    assert_ok(vox_dataset_get(set, 0, voxel, label, &err));
    for (int k = 0; k < 24; k++)
        assert_int_equal(label[k], k % 3 > 0);
    vox_dataset_free(&set);
    static const int32_t nowhere = 255, two = 2;
    assert_error(load("{pairs: p, values: [0, 1, ignore]}"), VOX_ERR_INPUT, "exp.yaml:1:");
    opt.ignore = &nowhere; /* by the list, or as the value itself */
    assert_ok(open_with(&set, "{pairs: p, values: [0, 1, ignore]}", NULL));
    assert_ok(vox_dataset_get(set, 0, voxel, label, &err));
    for (int k = 0; k < 24; k++)
        assert_int_equal(label[k], k % 3 == 2 ? 255 : k % 3);
    vox_dataset_free(&set);
    opt.ignore = &two;
    assert_ok(open_with(&set, "{pairs: p}", NULL));
    assert_ok(vox_dataset_load(set, NULL, &err));
    assert_ok(vox_dataset_get(set, 0, voxel, label, &err));
    for (int k = 0; k < 24; k++)
        assert_int_equal(label[k], k % 3);
    vox_dataset_free(&set);
    opt.ignore = NULL;
    assert_error(load("{pairs: p, values: [0, 1, 2]}"), VOX_ERR_INPUT, "exp.yaml:1:");
    assert_error(load("{pairs: p, values: 1}"), VOX_ERR_INPUT, "exp.yaml:1:");
    opt.classes = 3;
    put_npy("f/x/1.npy", 1, 2, 3, 4, 0, -1);
    put_npy("f/y/1.npy", 1, 2, 3, 4, 0, -1);
    assert_error(load("{folder: f, values: [0, 1]}"), VOX_ERR_INPUT, "exp.yaml:1:");
}

static void test_pairs(void **state)
{
    (void)state;
    vox_dataset *set;
    put_pairs();
    assert_ok(open_with(&set, "{pairs: p}", NULL));
    assert_int_equal(vox_dataset_count(set), 2);
    assert_ok(vox_dataset_load(set, NULL, &err));
    check_case(set, 0, 0, 0);
    check_case(set, 1, 100, 1);
    vox_dataset_free(&set);
    assert_ok(open_with(&set, "{pairs: {images: p/images, masks: p/labels}}", NULL));
    assert_int_equal(vox_dataset_count(set), 2);
    vox_dataset_free(&set);
    put("p/images/c" FILES, counted, 0, NULL);
    assert_error(load("{pairs: p}"), VOX_ERR_INPUT, "p/images/c" FILES);
    assert_non_null(strstr(err.message, "an image has no mask"));
    opt.skip_bad = true;
    assert_ok(open_with(&set, "{pairs: p}", NULL));
    assert_true(vox_dataset_count(set) == 2 && vox_dataset_bad_count(set) == 1);
    vox_dataset_free(&set);
    opt.skip_bad = false;
    assert_int_equal(unlink(scratch_path("p/images/c" FILES)), 0);
    put("p/labels/d" FILES, thirds, 0, NULL);
    assert_error(load("{pairs: p}"), VOX_ERR_INPUT, "p/labels/d" FILES);
    assert_int_equal(unlink(scratch_path("p/labels/d" FILES)), 0);
    assert_error(load("{pairs: m}"), VOX_ERR_INPUT, "/m");
    assert_error(load("{pairs: {images: p}}"), VOX_ERR_INPUT, "exp.yaml:1:");
}

/* Labels both ways round, listed and found cases, tabs. */
static void test_msd(void **state)
{
    (void)state;
    vox_dataset *set;
    put("d/imagesTr/h_001" FILES, counted, 0, NULL);
    put("d/imagesTr/h_002" FILES, counted, 100, NULL);
    put("d/labelsTr/h_001" FILES, thirds, 0, NULL);
    put("d/labelsTr/h_002" FILES, thirds, 1, NULL);
    put_text("d/imagesTr/._h_001" FILES, "macOS");
    put_text("d/dataset.json",
             "{ \n\"name\": \"Hippocampus\",\n\"tensorImageSize\": \"3D\",\n"
             "\"modality\": {\"0\": \"MRI\"},\n"
             "\t\"labels\": {\"0\": \"background\", \"1\": \"Anterior\", \"2\": \"Posterior\"},\n"
             "\t\"numTraining\": 2,\n\"training\":[{\"image\":\"./imagesTr/h_001" FILES
             "\",\"label\":\"./labelsTr/h_001" FILES "\"},{\"image\":\"./imagesTr/h_002" FILES
             "\",\"label\":\"./labelsTr/h_002" FILES "\"},\n{\"image\":\"./imagesTr/._h_001" FILES
             "\",\"label\":\"./labelsTr/._h_001" FILES "\"}],\n"
             "\"test\":[\"./imagesTs/h_009.nii.gz\"]}\n");
    assert_ok(open_with(&set, "{msd: d}", NULL));
    assert_int_equal(vox_dataset_count(set), 2);
    assert_int_equal(vox_dataset_classes(set), 3);
    assert_string_equal(vox_dataset_class(set, 1), "Anterior");
    check_case(set, 1, 100, 1);
    vox_dataset_free(&set);
    put_text("d/dataset.json", "{\"labels\": {\"background\": 0, \"b\": 2, \"a\": 1}}");
    assert_ok(open_with(&set, "{msd: d}", NULL));
    assert_int_equal(vox_dataset_count(set), 2);
    assert_string_equal(vox_dataset_class(set, 2), "b");
    check_case(set, 0, 0, 0);
    vox_dataset_free(&set);
    put_text("d/dataset.json", "{\"labels\": {\"background\": 0, \"b\": 2}}");
    assert_error(load("{msd: d}"), VOX_ERR_INPUT, "dataset.json:1:");
    put_text("d/dataset.json", "{\"labels\": {\"background\": 0, \"tumour\": [1, 2]}}");
    assert_error(load("{msd: d}"), VOX_ERR_INPUT, "dataset.json:1:");
    put_text("d/dataset.json", "{\"labels\": {\"0\": \"b\"}, \"training\": [{\"image\": "
                               "\"imagesTr/no.nii\", \"label\": \"labelsTr/no.nii\"}]}");
    assert_error(load("{msd: d}"), VOX_ERR_INPUT, "imagesTr/no.nii");
    assert_error(load("{msd: p}"), VOX_ERR_IO, "dataset.json");
}

static void test_folds(void **state)
{
    (void)state;
    vox_dataset *set;
    char name[64];
    for (int i = 0; i < 11; i++) {
        snprintf(name, sizeof name, "q/images/c%02d.npy", i);
        put_npy(name, 1, 2, 3, 4, (float)i, -1);
        snprintf(name, sizeof name, "q/masks/c%02d.npy", i);
        put_npy(name, 1, 2, 3, 4, 0, -1);
    }
    opt.classes = 24;
    assert_ok(open_with(&set, "{pairs: q, patients: {folds: 5, only: 0, shuffle: false}}", NULL));
    assert_int_equal(vox_dataset_count(set), 3);
    for (size_t i = 0; i < 3; i++) { /* every fifth */
        snprintf(name, sizeof name, "q/images/c%02zu.npy", 5 * i);
        assert_string_equal(vox_dataset_case(set, i), scratch_path(name));
    }
    vox_dataset_free(&set);
    assert_ok(open_with(&set, "{pairs: q, patients: {folds: 5, without: 0}}", NULL));
    assert_true(vox_dataset_count(set) == 8);
    vox_dataset_free(&set);
    put_text("q.csv", "image,mask,patient\nq/images/c00.npy,q/masks/c00.npy,x\n"
                      "q/images/c01.npy,q/masks/c01.npy,y\nq/images/c02.npy,q/masks/c02.npy,x\n");
    assert_ok(
        open_with(&set, "{manifest: q.csv, patients: {folds: 2, only: 0, shuffle: false}}", NULL));
    assert_int_equal(vox_dataset_count(set), 2); /* both of x */
    vox_dataset_free(&set);
    assert_error(load("{manifest: q.csv, patients: {folds: 3, only: 0}}"), VOX_ERR_INPUT,
                 "exp.yaml:1:");
    opt.classes = 3;
}

/* ---- masks that do not fit ---- */

static void other_spacing(vox_image *v)
{
    v->spacing_mm[1] = 2.5;
}

static void other_origin(vox_image *v)
{
    v->origin_mm[2] += 0.2;
}

static void other_direction(vox_image *v)
{
    v->direction[2][0] = -1;
}

static void within_limits(vox_image *v)
{
    v->spacing_mm[1] *= 1.0005;
    v->origin_mm[2] += 0.05;
}

static void other_size(vox_image *v)
{
    static const int64_t start[3] = {0, 0, 0}, size[3] = {2, 3, 3};
    assert_ok(vox_volume_crop(v, start, size, &err));
}

static void half(vox_image *v)
{
    v->voxel[5] = 0.5f;
}

static void negative(vox_image *v)
{
    v->voxel[5] = -1;
}

static void not_a_number(vox_image *v)
{
    v->voxel[5] = NAN;
}

static void test_bad_masks(void **state)
{
    (void)state;
    static const struct {
        void (*change)(vox_image *);
        const char *message, *detail;
    } row[] = {
        {other_spacing, "spacings differ", "of 3 x 2.5 x 1 mm"},
        {other_origin, "origins differ", "at (10, 0, 0.2)"},
        {other_direction, "directions differ", "w(-1 0 0)"},
        {other_size, "sizes differ", "2 x 3 x 3 voxels"},
        {half, "0.5, which is no whole number", "(0, 1, 1)"},
        {negative, "-1, which is no class", "(0, 1, 1)"},
        {not_a_number, "nan, which is no whole number", "(0, 1, 1)"},
    };
    put("b/images/x" FILES, counted, 0, NULL);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        put("b/masks/x" FILES, thirds, 0, row[i].change);
        assert_error(load("{pairs: b}"), VOX_ERR_INPUT, row[i].detail);
        assert_non_null(strstr(err.message, row[i].message));
        assert_non_null(strstr(err.detail, "x" FILES));
        if (i < 4) /* both are printed */
            assert_non_null(strstr(err.detail, "image 2 x 3 x 4 voxels of 3 x 2 x 1 mm"));
    }
    put("b/masks/x" FILES, thirds, 0, within_limits);
    assert_ok(load("{pairs: b}"));
    put("b/masks/x" FILES, constant, 0, NULL); /* an empty mask is a scan without findings */
    assert_ok(load("{pairs: b}"));
    put("b/images/x" FILES, counted, 0, not_a_number);
    assert_error(load("{pairs: b}"), VOX_ERR_INPUT, "x" FILES);
    put_npy("b4/images/x.npy", 1, 2, 3, 4, 0, -1);
    put_npy("b4/masks/x.npy", 2, 2, 3, 4, 0, -1);
    assert_error(load("{pairs: b4}"), VOX_ERR_INPUT, "2 channels (or time points)");
    put_npy("b4/images/x.npy", 2, 2, 3, 4, 0, -1); /* 4D where 3D is expected */
    put_npy("b4/masks/x.npy", 1, 2, 3, 4, 0, -1);
    assert_int_not_equal(load("{pairs: b4}"), VOX_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifest),  cmocka_unit_test(test_channels_and_names),
        cmocka_unit_test(test_values),    cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_msd),       cmocka_unit_test(test_folds),
        cmocka_unit_test(test_bad_masks),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
