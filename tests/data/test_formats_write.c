/* test_formats_write.c - what is written is read back; what fails leaves nothing behind. */
#include "golden.h"

#include "data/formats/image.h"

#include <math.h>

static vox_error err;
static char *dir;

static int setup(void **state)
{
    (void)state;
    dir = make_temporary();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    remove_tree(dir);
    free(dir);
    return 0;
}

static char *in_dir(const char *name)
{
    char *path = vox_format(NULL, "%s/%s", dir, name);
    assert_non_null(path);
    return path;
}

/* Values that float32 has and no integer: a byte lost anywhere shows. */
static vox_image *make(int64_t channels, int64_t d, int64_t h, int64_t w)
{
    const int64_t size[3] = {d, h, w};
    vox_image *im;
    assert_ok(
        vox_image_make(&im, channels, size, 0, 0, &vox_format_numpy, "float32", "test", &err));
    size_t n = vox_image_values(im);
    for (size_t i = 0; i < n; i++)
        im->voxel[i] = (float)((double)(i * 2654435761U % 100003) / 7 - 5000);
    im->has_geometry = true;
    for (int i = 0; i < 3; i++) {
        im->spacing_mm[i] = golden_spacing[i] / 0.7; /* not a round number */
        im->origin_mm[i] = golden_origin[i] / 3;
        for (int j = 0; j < 3; j++)
            im->direction[i][j] = golden_direction[i][j];
    }
    return im;
}

static void check_same_voxels(const vox_image *a, const vox_image *b)
{
    assert_int_equal(a->channels, b->channels);
    for (int i = 0; i < 3; i++)
        assert_int_equal(a->size[i], b->size[i]);
    assert_memory_equal(a->voxel, b->voxel, vox_image_values(a) * sizeof *a->voxel);
}

static void check_same_geometry(const vox_image *a, const vox_image *b, double tolerance)
{
    assert_int_equal(a->has_geometry, b->has_geometry);
    for (int i = 0; i < 3; i++) {
        assert_near(a->spacing_mm[i], b->spacing_mm[i], tolerance);
        assert_near(a->origin_mm[i], b->origin_mm[i], tolerance);
        for (int j = 0; j < 3; j++)
            assert_near(a->direction[i][j], b->direction[i][j], tolerance);
    }
}

/* The names of dir, sorted, with spaces between. */
static void check_listing(const char *want)
{
    vox_names names;
    vox_str text = {0};
    assert_ok(vox_dir_list(&names, dir, &err));
    for (size_t i = 0; i < names.count; i++)
        vox_str_add(&text, "%s%s", i ? " " : "", names.name[i]);
    assert_string_equal(text.text ? text.text : "", want);
    vox_str_release(&text);
    vox_names_release(&names);
}

/* ---- round trips ---- */

static void check_round_trip(const char *name, int64_t channels, double tolerance, bool geometry)
{
    char *path = in_dir(name);
    vox_image *im = make(channels, 3, 4, 5), *back;
    assert_ok(vox_image_write(im, path, &err));
    if (vox_path_ends(name, "raw")) /* .raw and .zraw are read by their header */
        strcpy(strrchr(path, '.'), ".mhd");
    assert_ok(vox_image_read(&back, path, &err));
    check_same_voxels(im, back);
    if (geometry)
        check_same_geometry(im, back, tolerance);
    else
        assert_false(back->has_geometry);
    vox_image_free(&back);
    vox_image_free(&im);
    free(path);
}

static void round_trips(void **state)
{
    (void)state;
    for (int64_t channels = 1; channels <= 3; channels += 2) {
        check_round_trip("a.npy", channels, 0, false);
        check_round_trip("a.mhd", channels, 1e-14, true);
        check_round_trip("b.raw", channels, 1e-14, true);
        check_round_trip("c.mha", channels, 1e-14, true);
        if (HAS_NIFTI)
            check_round_trip("a.nii", channels, 2e-6, true);
        if (HAS_ZLIB)
            check_round_trip("d.zraw", channels, 1e-14, true);
        if (HAS_NIFTI && HAS_ZLIB)
            check_round_trip("a.nii.gz", channels, 2e-6, true);
    }
    remove_tree(dir);
    assert_int_equal(mkdir(dir, 0777), 0);
}

/* A file's own affine comes out again bit for bit. */
static void nifti_keeps_the_affine(void **state)
{
    if (!HAS_NIFTI)
        skip();
    char *path = in_dir("again.nii"), *a, *b;
    size_t n;
    vox_image *im;
    (void)state;
    assert_ok(vox_image_read(&im, GOLDEN "f4.nii", &err));
    assert_ok(vox_image_write(im, path, &err));
    vox_image_free(&im);
    assert_ok(vox_file_read(&a, &n, GOLDEN "f4.nii", 0, &err));
    assert_ok(vox_file_read(&b, &n, path, 0, &err));
    assert_memory_equal(a + 280, b + 280, 48); /* srow_x, srow_y, srow_z */
    assert_memory_equal(a + 252, b + 252, 4);  /* qform_code, sform_code */
    /* the quaternion and its offset, bytes 256 to 279, to rounding */
    for (int i = 0; i < 6; i++) {
        float p, q;
        memcpy(&p, a + 256 + 4 * i, 4);
        memcpy(&q, b + 256 + 4 * i, 4);
        assert_near((double)p, (double)q, 1e-6);
    }
    free(a);
    free(b);
    unlink(path);
    free(path);
}

static void nifti_2_for_long_axes(void **state)
{
    char *path = in_dir("long.nii");
    vox_image *im = make(1, 1, 2, 40000), *back;
    (void)state;
    if (HAS_NIFTI) {
        assert_ok(vox_image_write(im, path, &err));
        assert_ok(vox_image_read(&back, path, &err));
        check_same_voxels(im, back);
        check_same_geometry(im, back, 1e-12);
        vox_image_free(&back);
        unlink(path);
    }
    vox_image_free(&im);
    free(path);
}

/* ---- PNG ---- */

static void writes_png(void **state)
{
    if (!HAS_PNG)
        skip();
    char *path = in_dir("a.png");
    vox_image *im, *back;
    (void)state;
    assert_ok(vox_image_read(&im, GOLDEN "rgba8.png", &err)); /* 8 bits stay as they are */
    assert_ok(vox_image_write(im, path, &err));
    assert_ok(vox_image_read(&back, path, &err));
    assert_string_equal(back->stored_type, "uint8");
    check_same_voxels(im, back);
    vox_image_free(&back);
    vox_image_free(&im);
    assert_ok(vox_image_read(&im, GOLDEN "grey16_alpha.png", &err)); /* and so do 16 of a PNG */
    assert_ok(vox_image_write(im, path, &err));
    assert_ok(vox_image_read(&back, path, &err));
    check_same_voxels(im, back);
    vox_image_free(&back);
    vox_image_free(&im);
    im = make(1, 1, 1, 5); /* anything else is scaled from its finite range */
    const float values[5] = {-10, 30, 10, NAN, INFINITY};
    memcpy(im->voxel, values, sizeof values);
    assert_ok(vox_image_write(im, path, &err));
    assert_ok(vox_image_read(&back, path, &err));
    const float want[5] = {0, 65535, 32768, 0, 65535};
    assert_string_equal(back->stored_type, "uint16");
    assert_memory_equal(back->voxel, want, sizeof want);
    vox_image_free(&back);
    vox_image_free(&im);
    unlink(path);
    free(path);
}

static void writes_a_folder_of_slices(void **state)
{
    if (!HAS_PNG)
        skip();
    char *folder = in_dir("out/"), *slice = in_dir("out/slice_0002.png"),
         *other = in_dir("out/mine.txt");
    vox_image *im = make(1, 3, 4, 5), *back;
    (void)state;
    for (int again = 0; again < 2; again++) /* the second time it replaces the first */
        assert_ok(vox_image_write(im, folder, &err));
    assert_ok(vox_image_read(&back, slice, &err));
    double min = 1e9, max = -1e9;
    for (int i = 0; i < 60; i++) {
        min = fmin(min, (double)im->voxel[i]);
        max = fmax(max, (double)im->voxel[i]);
    }
    for (int i = 0; i < 20; i++) /* one scale for all slices */
        assert_near((double)back->voxel[i], ((double)im->voxel[40 + i] - min) / (max - min) * 65535,
                    0.5000001);
    vox_image_free(&back);
    check_listing("out");
    assert_ok(vox_file_write(other, "x", 1, &err));
    assert_error(vox_image_write(im, folder, &err), VOX_ERR_USAGE, "other things");
    assert_true(vox_path_exists(other) && vox_path_exists(slice));
    check_listing("out");
    vox_image_free(&im);
    free(folder);
    free(slice);
    free(other);
}

/* ---- failures ---- */

static void refuses_to_write(void **state)
{
    static const char *const names[] = {"x", "x.jpg", "x.dcm", ".hdr", ""};
    vox_image *im = make(1, 3, 4, 5);
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_error(vox_image_write(im, names[i], &err), VOX_ERR_USAGE, "format");
    if (HAS_PNG)
        assert_error(vox_image_write(im, "/tmp/x.png", &err), VOX_ERR_USAGE, "one slice");
    assert_error(vox_image_write(im, "/nonexistent/x.npy", &err), VOX_ERR_IO, "nonexistent");
    assert_error(vox_image_write(im, "/nonexistent/x.mhd", &err), VOX_ERR_IO, "nonexistent");
    im->spacing_mm[1] = 0;
    assert_error(vox_image_write(im, "/tmp/x.npy", &err), VOX_ERR_USAGE, "cannot be written");
    im->spacing_mm[1] = 1;
    im->size[1] = 0;
    assert_true(vox_image_write(im, "/tmp/x.npy", &err) != VOX_OK);
    vox_image_free(&im);
    im = make(5, 1, 4, 5);
    if (HAS_PNG)
        assert_error(vox_image_write(im, "/tmp/x.png", &err), VOX_ERR_USAGE, "5 channels");
    vox_image_free(&im);
}

#ifdef VOXCL_WITH_ZLIB
#define SAID_OF_ZLIB VOX_OK
#else
#define SAID_OF_ZLIB VOX_ERR_UNSUPPORTED
#endif

/* What stands there is untouched until the new file is complete, and nothing else is left. */
static void leaves_nothing_half_written(void **state)
{
    static const char *const names[] = {"a.npy", "a.mha", "a.mhd", "a.nii"};
    vox_image *im = make(1, 3, 4, 5);
    (void)state;
    remove_tree(dir);
    assert_int_equal(mkdir(dir, 0777), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = in_dir(names[i]), *within = vox_format(NULL, "%s/keep", path);
        assert_int_equal(mkdir(path, 0777), 0); /* a folder cannot be replaced by a file */
        assert_ok(vox_file_write(within, "x", 1, &err));
        assert_true(vox_image_write(im, path, &err) != VOX_OK);
        assert_true(vox_path_exists(within));
        free(within);
        free(path);
    }
    check_listing("a.mha a.mhd a.nii a.npy");
    char *path = in_dir("b.zraw");
    vox_status s = vox_image_write(im, path, &err);
    assert_int_equal(s, SAID_OF_ZLIB);
    check_listing(s == VOX_OK ? "a.mha a.mhd a.nii a.npy b.mhd b.zraw" : "a.mha a.mhd a.nii a.npy");
    free(path);
    vox_image_free(&im);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(nifti_keeps_the_affine),
        cmocka_unit_test(nifti_2_for_long_axes),
        cmocka_unit_test(writes_png),
        cmocka_unit_test(writes_a_folder_of_slices),
        cmocka_unit_test(refuses_to_write),
        cmocka_unit_test(leaves_nothing_half_written),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
