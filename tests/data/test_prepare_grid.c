/* The prepare steps that move voxels: image and mask go the same way, geometry stays true, and the
 * map says where every prepared voxel lies in the input. */
#include "fixture.h"

#include "data/prepare.h"
#include "data/volume.h"

static vox_error err;

/* Voxel i of channel c is 1000 c + i; oblique axes, w to posterior, h nearest to left and d
 * nearest to superior: "PLS". */
static vox_image *make(int64_t c, int64_t d, int64_t h, int64_t w)
{
    const int64_t size[3] = {d, h, w};
    static const double direction[3][3] = {{0.6, 0, 0.8}, {0.8, 0, -0.6}, {0, 1, 0}};
    vox_image *v;
    assert_ok(vox_volume_alloc(&v, c, size, &err));
    v->has_geometry = true;
    memcpy(v->direction, direction, sizeof direction);
    for (int a = 0; a < 3; a++)
        v->spacing_mm[a] = 1 + a;
    v->origin_mm[0] = -5;
    v->origin_mm[2] = 7;
    for (int64_t i = 0; i < c * d * h * w; i++)
        v->voxel[i] = (float)(1000 * (i / (d * h * w)) + i % (d * h * w));
    return v;
}

static vox_status apply(const char *text, vox_prepared *p)
{
    vox_yaml *doc;
    vox_prepare *prepare;
    assert_ok(vox_yaml_parse(&doc, text, "exp.yaml", &err));
    vox_status s = vox_prepare_open(&prepare, vox_yaml_root(doc), &err);
    vox_yaml_free(&doc);
    if (s == VOX_OK)
        s = vox_prepare_apply(prepare, p, &err);
    vox_prepare_free(&prepare);
    return s;
}

static void release(vox_prepared *p)
{
    vox_image_free(&p->image);
    vox_image_free(&p->mask);
}

/* Where voxel (d, h, w) lies in the input. */
static void at(const vox_prepared *p, int64_t d, int64_t h, int64_t w, double out[3])
{
    const double here[3] = {(double)d, (double)h, (double)w};
    for (int a = 0; a < 3; a++) {
        out[a] = p->map.offset[a];
        for (int b = 0; b < 3; b++)
            out[a] += p->map.matrix[a][b] * here[b];
    }
}

/* Every prepared voxel inside the input has the value of the input's voxel that the map names, in
 * the image (all channels) and in the mask; `fill` everywhere else. */
static void check_map(const vox_prepared *p, const vox_image *input, float fill)
{
    const int64_t *n = p->image->size, *m = input->size;
    size_t voxels = vox_volume_voxels(p->image), i = 0, of_input = vox_volume_voxels(input);
    assert_memory_equal(p->map.size, m, sizeof input->size);
    for (int64_t d = 0; d < n[0]; d++)
        for (int64_t h = 0; h < n[1]; h++)
            for (int64_t w = 0; w < n[2]; w++, i++) {
                double there[3];
                bool inside = true;
                int64_t k[3];
                at(p, d, h, w, there);
                for (int a = 0; a < 3; a++) {
                    k[a] = (int64_t)floor(there[a] + 0.5);
                    inside = inside && k[a] >= 0 && k[a] < m[a];
                }
                size_t from = inside ? (size_t)((k[0] * m[1] + k[1]) * m[2] + k[2]) : 0;
                for (int64_t c = 0; c < input->channels; c++)
                    assert_true(p->image->voxel[(size_t)c * voxels + i] ==
                                (inside ? input->voxel[(size_t)c * of_input + from] : fill));
                if (p->mask)
                    assert_true(p->mask->voxel[i] == (inside ? input->voxel[from] : 0));
            }
}

static void test_exact_steps(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t size[3];
        float fill;
    } row[] = {
        {"[]", {3, 4, 5}, 0},
        {"[{reorient: RAS}]", {3, 5, 4}, 0},
        {"[{reorient: LPS}]", {3, 5, 4}, 0},
        {"[{reorient: PLS}]", {3, 4, 5}, 0}, /* as it is */
        {"[{reorient: ARI}]", {3, 4, 5}, 0},
        {"[{reorient: SPL}]", {4, 5, 3}, 0},
        {"[{crop: {size: [2, 2, 2], at: [1, 2, 0]}}]", {2, 2, 2}, 0},
        {"[{pad: {size: [6, 2, 8], value: -7}}]", {6, 4, 8}, -7},
        {"[{center_crop: {size: [2, 9, 4]}}]", {2, 4, 4}, 0},
        {"[{pad: {size: 4}}, {center_crop: {size: 4}}]", {4, 4, 4}, 0},
        {"[{reorient: RAS}, {pad: {size: [6, 2, 8]}}, {center_crop: {size: 5}}, {reorient: SPL}]",
         {5, 5, 5},
         0},
        {"[{resize: {size: [6, 12, 15], mode: nearest}}]", {6, 12, 15}, 0},
        {"[{resize: {size: [1, 4, 5], mode: nearest}}]", {1, 4, 5}, 0},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        vox_image *input = make(2, 3, 4, 5);
        vox_prepared p = {.image = make(2, 3, 4, 5), .mask = make(1, 3, 4, 5)};
        assert_ok(apply(row[i].text, &p));
        assert_memory_equal(p.image->size, row[i].size, sizeof row[i].size);
        assert_memory_equal(p.mask->size, row[i].size, sizeof row[i].size);
        if (i + 1 <
            sizeof row / sizeof *row) /* of three to one it takes the first, not the middle */
            check_map(&p, input, row[i].fill);
        for (int x = 0; x < 3; x++)
            assert_true(fabs(p.mask->origin_mm[x] - p.image->origin_mm[x]) < 1e-12);
        release(&p);
        vox_image_free(&input);
    }
}

/* After RAS every axis points nearest to its letter. */
static void test_reorient(void **state)
{
    (void)state;
    vox_prepared p = {.image = make(1, 3, 4, 5)};
    assert_ok(apply("[{reorient: RAS}]", &p));
    static const double ras[3][3] = {{0.6, 0, 0.8}, {0, -1, 0}, {-0.8, 0, 0.6}};
    for (int a = 0; a < 3; a++)
        for (int x = 0; x < 3; x++)
            assert_true(p.image->direction[a][x] == ras[a][x]);
    assert_true(p.image->spacing_mm[1] == 3 && p.image->spacing_mm[2] == 2);
    release(&p);
    p.image = make(1, 3, 4, 5);
    p.image->has_geometry = false;
    assert_error(apply("[{reorient: RAS}]", &p), VOX_ERR_INPUT, "reorient");
    assert_error(apply("[{resample: {spacing_mm: 1}}]", &p), VOX_ERR_INPUT, "resample");
    release(&p);
}

/* Images linear, masks nearest, voxels of the size asked for; faces stay. */
static void test_resample(void **state)
{
    (void)state;
    vox_prepared p = {.image = make(1, 4, 4, 4), .mask = make(1, 4, 4, 4)};
    double corner[2][3];
    vox_volume_point(p.image, (double[3]){-0.5, -0.5, -0.5}, corner[0]);
    assert_ok(apply("[{resample: {spacing_mm: [1, 1, 6]}}]", &p));
    assert_true(p.image->size[0] == 4 && p.image->size[1] == 8 && p.image->size[2] == 2);
    assert_true(p.image->spacing_mm[1] == 1 && p.image->spacing_mm[2] == 6);
    vox_volume_point(p.image, (double[3]){-0.5, -0.5, -0.5}, corner[1]);
    for (int x = 0; x < 3; x++)
        assert_true(fabs(corner[0][x] - corner[1][x]) < 1e-12);
    /* row h of the input holds 4h .. 4h + 3; w: two voxels become one */
    assert_true(p.image->voxel[0] == 0.5f && p.image->voxel[1] == 2.5f);
    assert_true(p.image->voxel[2] == 1.5f); /* h 1 of 8: a quarter of the way from row 0 to 1 */
    assert_true(p.mask->voxel[0] == 1 && p.mask->voxel[1] == 3 && p.mask->voxel[2] == 1);
    double there[3];
    at(&p, 1, 3, 1, there);
    for (int a = 0; a < 3; a++)
        assert_true(fabs(there[a] - (double[]){1, 1.25, 2.5}[a]) < 1e-12);
    release(&p);
    p.image = make(1, 4, 4, 4);
    assert_error(apply("[{resample: {spacing_mm: 0.00001}}]", &p), VOX_ERR_INPUT, "exp.yaml");
    p.image->spacing_mm[0] = 1e6;
    assert_error(apply("[{resample: {spacing_mm: 0.01}}]", &p), VOX_ERR_INPUT, "resample");
    release(&p);
}

/* i * in // out, as the brain-tumour paper resizes. */
static void test_nearest(void **state)
{
    (void)state;
    vox_prepared p = {.image = make(1, 1, 1, 7), .mask = make(1, 1, 1, 7)};
    assert_ok(apply("[{resize: {size: [1, 1, 5], mode: nearest}}]", &p));
    for (int i = 0; i < 5; i++)
        assert_true(p.image->voxel[i] == (float)(i * 7 / 5) &&
                    p.mask->voxel[i] == (float)(i * 7 / 5));
    release(&p);
    p = (vox_prepared){.image = make(1, 1, 1, 3), .mask = make(1, 1, 1, 3)};
    assert_ok(apply("[{resize: {size: [1, 1, 2]}}]", &p)); /* linear: the mask's nearest centre */
    assert_true(p.image->voxel[0] == 0.25f && p.mask->voxel[0] == 0 && p.mask->voxel[1] == 2);
    release(&p);
}

static void test_known_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t size; /* along d; 0: not known */
    } row[] = {
        {"[]", 0},
        {"[{resize: {size: 8}}]", 8},
        {"[{pad: {size: 8}}]", 0},
        {"[{center_crop: {size: 8}}]", 0},
        {"[{pad: {size: 8}}, {center_crop: {size: 8}}]", 8},
        {"[{center_crop: {size: 8}}, {pad: {size: 8}}]", 8},
        {"[{pad: {size: 8}}, {center_crop: {size: 9}}]", 0},
        {"[{resize: {size: 8}}, {pad: {size: 10}}]", 10},
        {"[{resize: {size: 8}}, {reorient: RAS}]", 0},
        {"[{crop: {size: 8}}, {resample: {spacing_mm: 1}}]", 0},
        {"[{resample: {spacing_mm: 1}}, {crop: {size: 8}}, {normalize: zscore}]", 8},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        vox_yaml *doc;
        vox_prepare *prepare;
        int64_t size[3];
        assert_ok(vox_yaml_parse(&doc, row[i].text, "exp.yaml", &err));
        assert_ok(vox_prepare_open(&prepare, vox_yaml_root(doc), &err));
        assert_int_equal(vox_prepare_size(prepare, size), row[i].size > 0);
        if (row[i].size)
            assert_int_equal(size[0], row[i].size);
        vox_prepare_free(&prepare);
        vox_yaml_free(&doc);
    }
}

static void test_bad_steps(void **state)
{
    (void)state;
    static const char *const row[] = {
        "[{reorient: RAT}]",
        "[{reorient: RAR}]",
        "[{reorient: RA}]",
        "[{reorient: {axes: RAS}}]",
        "[{resample: {}}]",
        "[{resample: {spacing_mm: 0}}]",
        "[{resample: {spacing: 1}}]",
        "[{resize: {size: 3, mode: cubic}}]",
        "[{pad: {}}]",
        "[{pad: {size: 0}}]",
        "[{pad: {size: 3, value: x}}]",
        "[{center_crop: {at: 3}}]",
        "[{reorientate: RAS}]",
    };
    vox_prepared p = {.image = make(1, 3, 3, 3)};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        assert_error(apply(row[i], &p), VOX_ERR_INPUT, "exp.yaml:1:");
    assert_non_null(strstr(err.hint, "reorient"));
    release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_steps), cmocka_unit_test(test_reorient),
        cmocka_unit_test(test_resample),    cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_known_sizes), cmocka_unit_test(test_bad_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
