/* Geometry, resampling and checks of volumes. */
#include "fixture.h"

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

static void test_alloc_limits(void **state)
{
    (void)state;
    static const int64_t sizes[][4] = {
        {0, 1, 1, 1}, {1, 0, 1, 1}, {1, -1, 1, 1}, {1, 1 << 30, 1 << 30, 1 << 30}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        vox_image *image;
        assert_error(vox_volume_alloc(&image, sizes[i][0], sizes[i] + 1, &err), VOX_ERR_INPUT,
                     "impossible");
        assert_null(image);
    }
}

/* The real finding that fixes the convention: the geometry of ProstateX-0000's ADC series and the
 * place of its finding 1, which the published ijk rounds to 36 72 9; then there and back, and axes
 * that lie in one plane. */
static void test_points(void **state)
{
    (void)state;
    static const double axis[3][3] = {{0.0012568636004988, 0.3171465788983692, 0.9483756997028957},
                                      {2.003351e-10, 0.94837644878115, -0.3171468293981},
                                      {0.99999921014663, -0.0003986104959, -0.0011919797745}};
    static const double origin[3] = {-45.685446220684, -112.71588657243, -16.946362571271};
    static const double finding[3] = {25.7457, 31.8707, -38.511};
    static const double voxel[3] = {8.49785, 71.98083, 35.69958};
    vox_image *image = make(1, 19, 128, 84);
    memcpy(image->direction, axis, sizeof axis);
    memcpy(image->origin_mm, origin, sizeof origin);
    image->spacing_mm[0] = 3;
    image->spacing_mm[1] = image->spacing_mm[2] = 2;
    double point[3], got[3];
    assert_true(vox_volume_index(image, finding, got));
    for (int a = 0; a < 3; a++)
        assert_true(fabs(got[a] - voxel[a]) < 1e-4);
    vox_volume_point(image, got, point);
    for (int x = 0; x < 3; x++)
        assert_true(fabs(point[x] - finding[x]) < 1e-9);
    memcpy(image->direction[0], image->direction[1], sizeof axis[0]);
    assert_false(vox_volume_index(image, point, got));
    vox_image_free(&image);
}

/* Against torch.nn.functional.interpolate(mode="trilinear", align_corners=False). */
static void test_resize(void **state)
{
    (void)state;
    static const float want[30] = {
        0.5f,      4.01229f,  4.13607f,  9.05081f,  9.59017f,  16.6086f,  18.72429f, 27.07514f,
        24.81371f, 34.05283f, 22.36035f, 29.62563f, 28.74352f, 37.01576f, 38.31829f, 48.10095f,
        50.62295f, 61.48022f, 58.82606f, 70.39973f, 44.22069f, 55.23898f, 53.35098f, 64.98071f,
        67.04639f, 79.5933f,  82.5216f,  95.8853f,  92.8384f,  106.74664f};
    const int64_t size[3] = {3, 5, 2}, same[3] = {2, 3, 4};
    vox_image *image = make(2, 2, 3, 4);
    for (int i = 0; i < 48; i++)
        image->voxel[i] = powf((float)(i % 24), 1.5f) * (i < 24 ? 1.f : -1.f);
    const float *before = image->voxel;
    assert_ok(vox_volume_resize(image, same, VOX_LINEAR, &err));
    assert_ptr_equal(image->voxel, before); /* the size already there: untouched */
    image->spacing_mm[0] = 3;
    assert_ok(vox_volume_resize(image, size, VOX_LINEAR, &err));
    for (int i = 0; i < 60; i++)
        if (!(fabsf(image->voxel[i] - (i < 30 ? want[i] : -want[i - 30])) < 2e-5f))
            fail_msg("voxel %d: %g, not %g", i, (double)image->voxel[i], (double)want[i % 30]);
    assert_true(fabs(image->spacing_mm[0] - 2) < 1e-12); /* 2 voxels of 3 mm become 3 of 2 mm */
    assert_true(fabs(image->spacing_mm[2] - 2) < 1e-12);
    assert_true(fabs(image->origin_mm[2] + 0.5) < 1e-12); /* the face stays: -1.5 = -0.5 - 2/2 */
    assert_true(fabs(image->origin_mm[0] - 0.5) < 1e-12);
    vox_image_free(&image);
}

static void test_resize_edges(void **state)
{
    (void)state;
    const int64_t big[3] = {1, 1, 7}, one[3] = {1, 1, 1};
    vox_image *image = make(1, 1, 1, 1);
    image->voxel[0] = 5;
    assert_ok(vox_volume_resize(image, big, VOX_LINEAR, &err));
    for (int i = 0; i < 7; i++)
        assert_true(image->voxel[i] == 5);
    assert_ok(vox_volume_resize(image, one, VOX_LINEAR, &err));
    assert_true(image->voxel[0] == 5);
    vox_image_free(&image);
}

static void test_crop(void **state)
{
    (void)state;
    const int64_t start[3] = {1, 0, 2}, size[3] = {1, 2, 2};
    vox_image *image = make(2, 2, 3, 4);
    image->spacing_mm[0] = 2;
    image->origin_mm[0] = 10;
    assert_ok(vox_volume_crop(image, start, size, &err));
    static const float want[8] = {14, 15, 18, 19, 38, 39, 42, 43};
    for (int i = 0; i < 8; i++)
        assert_true(image->voxel[i] == want[i]);
    assert_true(image->origin_mm[0] == 12 && image->origin_mm[2] == 2);
    static const int64_t bad[][6] = {{-1, 0, 0, 1, 1, 1},
                                     {0, 0, 0, 2, 1, 1},
                                     {0, 1, 0, 1, 2, 1},
                                     {0, 0, INT64_MAX, 1, 1, 2},
                                     {0, 0, 0, 1, 1, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_error(vox_volume_crop(image, bad[i], bad[i] + 3, &err), VOX_ERR_INPUT,
                     "leaves the volume");
    assert_int_equal(image->size[0], 1); /* failure leaves it as it was */
    vox_image_free(&image);
}

/* A linear function sampled on a grid turned by 90 degrees, shifted and finer is exact inside, and
 * the nearest edge value outside. */
static void test_sample(void **state)
{
    (void)state;
    vox_image *from = make(1, 4, 5, 6), *grid = make(1, 2, 3, 4);
    for (int d = 0; d < 4; d++)
        for (int h = 0; h < 5; h++)
            for (int w = 0; w < 6; w++)
                from->voxel[(d * 5 + h) * 6 + w] = (float)(100 * d + 10 * h + w);
    from->spacing_mm[0] = 2;
    const double turned[3][3] = {{0, 0, 1}, {1, 0, 0}, {0, 1, 0}}; /* h along x, w along y */
    memcpy(grid->direction, turned, sizeof turned);
    const double origin[3] = {4.25, 1.5, 3}, step[3] = {2, 0.5, 0.75};
    memcpy(grid->origin_mm, origin, sizeof origin);
    memcpy(grid->spacing_mm, step, sizeof step);
    float out[24];
    assert_ok(vox_volume_sample(out, grid, from, 0, &err));
    for (int d = 0; d < 2; d++)
        for (int h = 0; h < 3; h++)
            for (int w = 0; w < 4; w++) {
                double x = fmin(4.25 + 0.5 * h, 5), y = fmin(1.5 + 0.75 * w, 4);
                double z = fmin((3 + 2.0 * d) / 2, 3);
                double want = 100 * z + 10 * y + x;
                assert_true(fabs((double)out[(d * 3 + h) * 4 + w] - want) < 1e-4);
            }
    vox_image_free(&grid);
    vox_image_free(&from);
}

static void test_finite(void **state)
{
    (void)state;
    vox_image *image = make(2, 2, 3, 4);
    assert_ok(vox_volume_finite(image, "a.nii", &err));
    image->voxel[24 + 12 + 2 * 4 + 3] = (float)NAN;
    assert_error(vox_volume_finite(image, "a.nii", &err), VOX_ERR_INPUT, "NaN");
    assert_string_equal(err.detail, "a.nii: channel 1, voxel (d,h,w) = (1, 2, 3)");
    image->voxel[0] = -INFINITY;
    assert_error(vox_volume_finite(image, "a.nii", &err), VOX_ERR_INPUT, "infinite");
    vox_image_free(&image);
}

static void test_same_grid(void **state)
{
    (void)state;
    vox_image *a = make(1, 2, 3, 4), *b = make(1, 2, 3, 4), *c = make(1, 2, 4, 3);
    assert_true(vox_volume_same_grid(a, b));
    assert_false(vox_volume_same_grid(a, c));
    b->origin_mm[1] = 0.6;
    assert_true(vox_volume_same_grid(a, b)); /* no geometry: nothing to disagree about */
    a->has_geometry = b->has_geometry = true;
    assert_false(vox_volume_same_grid(a, b));
    b->origin_mm[1] = 0.4;
    assert_true(vox_volume_same_grid(a, b));
    b->spacing_mm[2] = 1.2; /* the far corner moves */
    assert_false(vox_volume_same_grid(a, b));
    vox_image_free(&a);
    vox_image_free(&b);
    vox_image_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc_limits), cmocka_unit_test(test_points),
        cmocka_unit_test(test_resize),       cmocka_unit_test(test_resize_edges),
        cmocka_unit_test(test_crop),         cmocka_unit_test(test_sample),
        cmocka_unit_test(test_finite),       cmocka_unit_test(test_same_grid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
