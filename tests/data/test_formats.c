/* test_formats.c - every golden file is read back to the volume it was made from. */
#include "golden.h"

#include "base/thread.h"
#include "data/formats/dicom.h"
#include "data/formats/image.h"

#include <math.h>

static vox_error err;

typedef enum geometry { NONE, FULL, FULL_FLOAT, SLICE, SPACING, PIXDIM } geometry;

/* Voxels are (v - offset) * scale, or v % modulo * scale. */
typedef struct row {
    const char *file, *type;
    int64_t channels, d, h, w;
    double offset, scale;
    int modulo;
    geometry geometry;
    const char *needs; /* the option without which it cannot be read, or NULL */
} row;

#define VOLUME 1, 3, 4, 5
#define TWO    2, 3, 4, 5
#define SHEET  1, 1, 4, 5

static const row numpy[] = {
    {"u1.npy", "uint8", VOLUME, 0, 1, 0, NONE, NULL},
    {"i1.npy", "int8", VOLUME, 110, 1, 0, NONE, NULL},
    {"u2le.npy", "uint16", VOLUME, 0, 250, 0, NONE, NULL},
    {"u2be.npy", "uint16", VOLUME, 0, 250, 0, NONE, NULL},
    {"i2le.npy", "int16", VOLUME, 110, 250, 0, NONE, NULL},
    {"i2be.npy", "int16", VOLUME, 110, 250, 0, NONE, NULL},
    {"u4le.npy", "uint32", VOLUME, 0, 0x1p23, 0, NONE, NULL},
    {"u4be.npy", "uint32", VOLUME, 0, 0x1p23, 0, NONE, NULL},
    {"i4le.npy", "int32", VOLUME, 110, 0x1p23, 0, NONE, NULL},
    {"i4be.npy", "int32", VOLUME, 110, 0x1p23, 0, NONE, NULL},
    {"u8le.npy", "uint64", VOLUME, 0, 0x1p55, 0, NONE, NULL},
    {"u8be.npy", "uint64", VOLUME, 0, 0x1p55, 0, NONE, NULL},
    {"i8le.npy", "int64", VOLUME, 110, 0x1p50, 0, NONE, NULL},
    {"i8be.npy", "int64", VOLUME, 110, 0x1p50, 0, NONE, NULL},
    {"f2le.npy", "float16", VOLUME, 110, 0.25, 0, NONE, NULL},
    {"f2be.npy", "float16", VOLUME, 110, 0.25, 0, NONE, NULL},
    {"f4le.npy", "float32", VOLUME, 110, 0.125, 0, NONE, NULL},
    {"f4be.npy", "float32", VOLUME, 110, 0.125, 0, NONE, NULL},
    {"f8le.npy", "float64", VOLUME, 110, 0.0625, 0, NONE, NULL},
    {"f8be.npy", "float64", VOLUME, 110, 0.0625, 0, NONE, NULL},
    {"bool.npy", "bool", VOLUME, 0, 1, 2, NONE, NULL},
    {"2d.npy", "uint8", SHEET, 0, 1, 0, NONE, NULL},
    {"4d.npy", "uint8", TWO, 0, 1, 0, NONE, NULL},
    {"2d_fortran.npy", "float32", SHEET, 110, 0.125, 0, NONE, NULL},
    {"3d_fortran.npy", "float32", VOLUME, 110, 0.125, 0, NONE, NULL},
    {"4d_fortran.npy", "int16", TWO, 110, 250, 0, NONE, NULL},
    {"version2.npy", "float32", VOLUME, 110, 0.125, 0, NONE, NULL},
    {"version3.npy", "float32", VOLUME, 110, 0.125, 0, NONE, NULL},
};

static const row metaimage[] = {
    {"u1.mha", "uint8", VOLUME, 0, 1, 0, FULL, NULL},
    {"i1.mha", "int8", VOLUME, 110, 1, 0, FULL, NULL},
    {"u2.mha", "uint16", VOLUME, 0, 250, 0, FULL, NULL},
    {"i2.mha", "int16", VOLUME, 110, 250, 0, FULL, NULL},
    {"u4.mha", "uint32", VOLUME, 0, 0x1p23, 0, FULL, NULL},
    {"i4.mha", "int32", VOLUME, 110, 0x1p23, 0, FULL, NULL},
    {"u8.mha", "uint64", VOLUME, 0, 0x1p55, 0, FULL, NULL},
    {"i8.mha", "int64", VOLUME, 110, 0x1p50, 0, FULL, NULL},
    {"f4.mha", "float32", VOLUME, 110, 0.125, 0, FULL, NULL},
    {"f8.mha", "float64", VOLUME, 110, 0.0625, 0, FULL, NULL},
    {"long.mha", "int32", VOLUME, 110, 0x1p23, 0, FULL, NULL}, /* MET_LONG has 4 bytes */
    {"i2_msb.mha", "int16", VOLUME, 110, 250, 0, FULL, NULL},
    {"f4_msb.mha", "float32", VOLUME, 110, 0.125, 0, FULL, NULL},
    {"i8_msb.mha", "int64", VOLUME, 110, 0x1p50, 0, FULL, NULL},
    {"zlib.mha", "float32", VOLUME, 110, 0.125, 0, FULL, "ZLIB"},
    {"raw.mhd", "float32", VOLUME, 110, 0.125, 0, FULL, NULL},
    {"zraw.mhd", "float32", VOLUME, 110, 0.125, 0, FULL, "ZLIB"},
    {"skip.mhd", "float32", VOLUME, 110, 0.125, 0, FULL, NULL}, /* HeaderSize 7 */
    {"tail.mhd", "float32", VOLUME, 110, 0.125, 0, FULL, NULL}, /* HeaderSize -1 */
    {"list.mhd", "int16", VOLUME, 110, 250, 0, FULL, NULL},
    {"channels.mha", "float32", TWO, 110, 0.125, 0, FULL, NULL}, /* together in the file */
    {"4d.mha", "float32", TWO, 110, 0.125, 0, FULL, NULL},
    {"2d.mha", "uint8", SHEET, 0, 1, 0, NONE, NULL},
    {"odd.mha", "float32", VOLUME, 110, 0.125, 0, FULL, NULL},
};

static const row nifti[] = {
    {"u1.nii", "uint8", VOLUME, 0, 1, 0, FULL_FLOAT, NULL},
    {"i1.nii", "int8", VOLUME, 110, 1, 0, FULL_FLOAT, NULL},
    {"u2.nii", "uint16", VOLUME, 0, 250, 0, FULL_FLOAT, NULL},
    {"i2.nii", "int16", VOLUME, 110, 250, 0, FULL_FLOAT, NULL},
    {"u4.nii", "uint32", VOLUME, 0, 0x1p23, 0, FULL_FLOAT, NULL},
    {"i4.nii", "int32", VOLUME, 110, 0x1p23, 0, FULL_FLOAT, NULL},
    {"u8.nii", "uint64", VOLUME, 0, 0x1p55, 0, FULL_FLOAT, NULL},
    {"i8.nii", "int64", VOLUME, 110, 0x1p50, 0, FULL_FLOAT, NULL},
    {"f4.nii", "float32", VOLUME, 110, 0.125, 0, FULL_FLOAT, NULL},
    {"f8.nii", "float64", VOLUME, 110, 0.0625, 0, FULL_FLOAT, NULL},
    {"i2_be.nii", "int16", VOLUME, 110, 250, 0, FULL_FLOAT, NULL},
    {"f4_be.nii", "float32", VOLUME, 110, 0.125, 0, FULL_FLOAT, NULL},
    {"f8_be.nii", "float64", VOLUME, 110, 0.0625, 0, FULL_FLOAT, NULL},
    {"nifti2.nii", "int16", VOLUME, 110, 250, 0, FULL_FLOAT, NULL},
    {"nifti2_be.nii", "int16", VOLUME, 110, 250, 0, FULL_FLOAT, NULL},
    {"pair.hdr", "int16", VOLUME, 110, 250, 0, FULL_FLOAT, NULL},
    {"pair.img", "int16", VOLUME, 110, 250, 0, FULL_FLOAT, NULL},
    {"gz.nii.gz", "float32", VOLUME, 110, 0.125, 0, FULL_FLOAT, "ZLIB"},
    {"members.nii.gz", "float32", VOLUME, 110, 0.125, 0, FULL_FLOAT, "ZLIB"},
    {"4d.nii", "int16", TWO, 110, 250, 0, FULL_FLOAT, NULL},
    {"2d.nii", "uint8", SHEET, 0, 1, 0, FULL_FLOAT, NULL},
    {"sform.nii", "uint8", VOLUME, 0, 1, 0, FULL_FLOAT, NULL},
    {"qform.nii", "uint8", VOLUME, 0, 1, 0, FULL_FLOAT, NULL},
    {"neither.nii", "uint8", VOLUME, 0, 1, 0, PIXDIM, NULL},
    {"scaled.nii", "int16", VOLUME, 20, 0.5, 0, FULL_FLOAT, NULL}, /* v * 0.5 - 10 */
    {"slope0.nii", "uint8", VOLUME, 0, 1, 0, FULL_FLOAT, NULL},
    {"slope_nan.nii", "uint8", VOLUME, 0, 1, 0, FULL_FLOAT, NULL},
    {"rgb.nii", "uint8", 3, 3, 4, 5, 0, 1, 0, FULL_FLOAT, NULL},
};

static const row png[] = {
    {"grey8.png", "uint8", SHEET, 0, 1, 0, NONE, NULL},
    {"grey8_alpha.png", "uint8", 2, 1, 4, 5, 0, 1, 0, NONE, NULL},
    {"rgb8.png", "uint8", 3, 1, 4, 5, 0, 1, 0, NONE, NULL},
    {"rgba8.png", "uint8", 4, 1, 4, 5, 0, 1, 0, NONE, NULL},
    {"palette.png", "uint8", 3, 1, 4, 5, 0, 1, 0, NONE, NULL},
    {"palette_alpha.png", "uint8", 4, 1, 4, 5, 0, 1, 0, NONE, NULL},
    {"grey1.png", "uint8", SHEET, 0, 255, 2, NONE, NULL},
    {"grey4.png", "uint8", SHEET, 0, 17, 16, NONE, NULL},
    {"interlaced.png", "uint8", SHEET, 0, 1, 0, NONE, NULL},
    {"grey16.png", "uint16", SHEET, 0, 250, 0, NONE, NULL},
    {"grey16_alpha.png", "uint16", 2, 1, 4, 5, 0, 250, 0, NONE, NULL},
    {"rgb16.png", "uint16", 3, 1, 4, 5, 0, 250, 0, NONE, NULL},
    {"rgba16.png", "uint16", 4, 1, 4, 5, 0, 250, 0, NONE, NULL},
};

static const row dicom[] = {
    {"series", "uint16", VOLUME, 0, 250, 0, FULL, NULL},       /* names and numbers mislead */
    {"series_scaled", "int16", VOLUME, 610, 2, 0, FULL, NULL}, /* (v - 110) * 2 - 1000 */
    {"u8.dcm", "uint8", SHEET, 0, 1, 0, FULL, NULL},
    {"i8.dcm", "int8", SHEET, 110, 1, 0, FULL, NULL},
    {"i12.dcm", "int16", SHEET, 110, 1, 0, FULL, NULL}, /* 12 of 16 bits, rubbish above */
    {"i16_implicit.dcm", "int16", SHEET, 110, 250, 0, FULL, NULL},
    {"i16_big.dcm", "int16", SHEET, 110, 250, 0, FULL, NULL},
    {"u32.dcm", "uint32", SHEET, 0, 0x1p23, 0, FULL, NULL},
    {"i32.dcm", "int32", SHEET, 110, 0x1p23, 0, FULL, NULL},
    {"monochrome1.dcm", "uint8", SHEET, 0, 1, 0, FULL, NULL},
    {"rgb.dcm", "uint8", 3, 1, 4, 5, 0, 1, 0, FULL, NULL},
    {"rgb_planar.dcm", "uint8", 3, 1, 4, 5, 0, 1, 0, FULL, NULL},
    {"palette.dcm", "uint8", 3, 1, 4, 5, 0, 1, 0, FULL, NULL},
    {"bits.dcm", "bool", VOLUME, 0, 1, 2, SLICE, NULL},
    {"float.dcm", "float32", SHEET, 110, 0.125, 0, FULL, NULL},
    {"bare.dcm", "uint16", SHEET, 0, 250, 0, NONE, NULL},
    {"no_meta.dcm", "uint8", SHEET, 0, 1, 0, FULL, NULL},
    {"enhanced.dcm", "uint16", VOLUME, 0, 250, 0, FULL, NULL}, /* last frame first */
    {"enhanced_4d.dcm", "uint16", TWO, 0, 250, 0, FULL, NULL},
    {"rle8.dcm", "uint8", VOLUME, 0, 1, 0, SLICE, NULL},
    {"rle16.dcm", "uint16", VOLUME, 0, 250, 0, SLICE, NULL},
    {"rle_rgb16.dcm", "uint16", 3, 1, 4, 5, 0, 250, 0, FULL, NULL},
    {"jpeg_lossless.dcm", "uint16", VOLUME, 0, 250, 0, FULL, "GDCM"},
    {"jpeg_ls.dcm", "uint16", VOLUME, 0, 250, 0, FULL, "GDCM"},
    {"j2k.dcm", "uint16", VOLUME, 0, 250, 0, FULL, "GDCM"},
    {"j2k_rgb.dcm", "uint8", 3, 1, 4, 5, 0, 1, 0, FULL, "GDCM"},
};

/* Without sform and qform: x along w, y along h, z along d in RAS, from 0. */
static void assert_pixdim(const vox_image *im)
{
    static const double direction[3][3] = {{0, 0, 1}, {0, -1, 0}, {-1, 0, 0}};
    assert_true(im->has_geometry);
    for (int i = 0; i < 3; i++) {
        assert_near(im->spacing_mm[i], golden_spacing[i], 0);
        assert_near(im->origin_mm[i], 0, 0);
        for (int j = 0; j < 3; j++)
            assert_near(im->direction[i][j], direction[i][j], 0);
    }
}

static void assert_none(const vox_image *im)
{
    assert_false(im->has_geometry);
    for (int i = 0; i < 3; i++) {
        assert_near(im->spacing_mm[i], 1, 0);
        assert_near(im->origin_mm[i], 0, 0);
        for (int j = 0; j < 3; j++)
            assert_near(im->direction[i][j], i == 2 - j, 0);
    }
}

static void check_voxels(const vox_image *im, const row *r)
{
    const float *p = im->voxel;
    for (int64_t c = 0; c < r->channels; c++)
        for (int64_t d = 0; d < r->d; d++)
            for (int64_t h = 0; h < r->h; h++)
                for (int64_t w = 0; w < r->w; w++) {
                    int v = golden_v(c, d, h, w);
                    double want = (r->modulo ? v % r->modulo : v - r->offset) * r->scale;
                    if ((double)*p++ != want)
                        fail_msg("%s at (%d,%d,%d,%d): %.9g, not %.9g", r->file, (int)c, (int)d,
                                 (int)h, (int)w, (double)p[-1], want);
                }
}

static void check(const vox_image *im, const row *r, const char *format)
{
    assert_string_equal(im->format, format);
    assert_string_equal(im->stored_type, r->type);
    assert_int_equal(im->channels, r->channels);
    assert_int_equal(im->size[0], r->d);
    assert_int_equal(im->size[1], r->h);
    assert_int_equal(im->size[2], r->w);
    if (r->geometry == FULL || r->geometry == SLICE)
        assert_golden_geometry(im, 1e-9);
    else if (r->geometry == FULL_FLOAT) /* NIfTI-1 keeps 24 bits of them */
        assert_golden_geometry(im, 2e-6);
    else if (r->geometry == PIXDIM)
        assert_pixdim(im);
    else
        assert_none(im);
    check_voxels(im, r);
}

static bool has(const char *option)
{
    return !option || (strcmp(option, "ZLIB") == 0 && HAS_ZLIB) ||
           (strcmp(option, "GDCM") == 0 && HAS_GDCM) || (strcmp(option, "PNG") == 0 && HAS_PNG) ||
           (strcmp(option, "NIFTI") == 0 && HAS_NIFTI);
}

static void check_table(const row *rows, size_t count, const char *format, const char *option)
{
    for (size_t i = 0; i < count; i++) {
        char path[512];
        vox_image *im;
        const row *r = &rows[i];
        const char *missing = !has(option) ? option : !has(r->needs) ? r->needs : NULL;
        snprintf(path, sizeof path, GOLDEN "%s", r->file);
        if (missing) {
            assert_error(vox_image_read(&im, path, &err), VOX_ERR_UNSUPPORTED, missing);
            assert_non_null(strstr(err.hint, missing));
            assert_null(im);
            continue;
        }
        assert_ok(vox_image_read(&im, path, &err));
        check(im, r, format);
        vox_image_free(&im);
        assert_null(im);
    }
}

#define TABLE(name, option)                                                                        \
    static void reads_##name(void **state)                                                         \
    {                                                                                              \
        (void)state;                                                                               \
        check_table(name, sizeof name / sizeof *name, #name, option);                              \
    }

TABLE(numpy, NULL)
TABLE(metaimage, NULL)
TABLE(nifti, "NIFTI")
TABLE(png, "PNG")
TABLE(dicom, NULL)

/* The point of a voxel is the same in every format that has a geometry. */
static void formats_agree_where_a_voxel_lies(void **state)
{
    static const char *const files[] = {"f4.mha", "f4.nii", "nifti2.nii", "series", "enhanced.dcm"};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[512];
        vox_image *im;
        double point[3] = {0};
        snprintf(path, sizeof path, GOLDEN "%s", files[i]);
        if ((i == 1 || i == 2) && !HAS_NIFTI)
            continue;
        assert_ok(vox_image_read(&im, path, &err));
        for (int k = 0; k < 3; k++)
            point[k] = im->origin_mm[k] + 2 * im->spacing_mm[0] * im->direction[0][k] +
                       3 * im->spacing_mm[1] * im->direction[1][k] +
                       4 * im->spacing_mm[2] * im->direction[2][k];
        /* voxel (2, 3, 4) by hand: -10.5 - 3.6 + 2.4, 20.25 + 4.8 + 1.8, 30 - 4.5 */
        assert_near(point[0], -11.7, 1e-5);
        assert_near(point[1], 26.85, 1e-5);
        assert_near(point[2], 25.5, 1e-5);
        vox_image_free(&im);
    }
}

static void scans_a_tree(void **state)
{
    vox_dicom_list list;
    (void)state;
    assert_ok(vox_dicom_scan(&list, GOLDEN, true, &err));
    assert_int_equal(list.bad.count, 0);
    assert_int_equal(list.count, 2);
    const vox_dicom_series *s = &list.series[1]; /* series_scaled comes last */
    assert_string_equal(s->description, "series 2");
    assert_string_equal(s->patient_id, "golden");
    assert_string_equal(s->modality, "MR");
    assert_int_equal(s->number, 2);
    assert_int_equal(s->files.count, 3);
    assert_string_equal(vox_path_base(s->files.name[0]), "c.dcm"); /* by position */
    assert_string_equal(vox_path_base(s->files.name[1]), "a.dcm");
    assert_string_equal(vox_path_base(s->files.name[2]), "b.dcm");
    vox_dicom_list_release(&list);
    assert_ok(vox_dicom_scan(&list, GOLDEN "series", false, &err));
    assert_int_equal(list.count, 1);
    vox_image *im;
    assert_ok(vox_dicom_read_files(&im, &list.series[0].files, &err));
    check(im, &dicom[0], "dicom");
    vox_image_free(&im);
    vox_dicom_list_release(&list);
}

static void counts_what_is_not_finite(void **state)
{
    vox_image *im;
    (void)state;
    assert_ok(vox_image_read(&im, GOLDEN "f4le.npy", &err));
    assert_int_equal(vox_image_count_nonfinite(im), 0);
    im->voxel[3] = NAN;
    im->voxel[59] = -INFINITY;
    assert_int_equal(vox_image_count_nonfinite(im), 2);
    vox_image_free(&im);
}

/* ---- several threads, as a loader has ---- */

enum { READS = 48 };

static void read_one(void *user, size_t i)
{
    static const struct {
        const char *file;
        const row *want;
    } files[] = {{"j2k.dcm", &dicom[17]},   {"jpeg_ls.dcm", &dicom[17]},
                 {"series", &dicom[0]},     {"enhanced.dcm", &dicom[17]},
                 {"gz.nii.gz", &nifti[17]}, {"rgb16.png", &png[11]}};
    bool *good = user;
    char path[512];
    vox_image *im;
    snprintf(path, sizeof path, GOLDEN "%s", files[i % 6].file);
    if (vox_image_read(&im, path, NULL) != VOX_OK)
        return;
    const row *r = files[i % 6].want;
    size_t last = (size_t)(r->channels * r->d * r->h * r->w) - 1;
    int v = golden_v(r->channels - 1, r->d - 1, r->h - 1, r->w - 1);
    good[i] =
        vox_image_values(im) == last + 1 && (double)im->voxel[last] == (v - r->offset) * r->scale;
    vox_image_free(&im);
}

static void threads_do_not_disturb_each_other(void **state)
{
    vox_pool *pool;
    bool good[READS] = {false};
    if (!HAS_GDCM || !HAS_ZLIB || !HAS_NIFTI || !HAS_PNG)
        skip();
    (void)state;
    assert_string_equal(dicom[17].file, "enhanced.dcm");
    assert_string_equal(nifti[17].file, "gz.nii.gz");
    assert_string_equal(png[11].file, "rgb16.png");
    assert_ok(vox_pool_open(&pool, 4, &err));
    vox_pool_for(pool, READS, read_one, good);
    vox_pool_free(&pool);
    for (size_t i = 0; i < READS; i++)
        if (!good[i])
            fail_msg("read %zu went wrong", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_numpy),
        cmocka_unit_test(reads_metaimage),
        cmocka_unit_test(reads_nifti),
        cmocka_unit_test(reads_png),
        cmocka_unit_test(reads_dicom),
        cmocka_unit_test(formats_agree_where_a_voxel_lies),
        cmocka_unit_test(scans_a_tree),
        cmocka_unit_test(counts_what_is_not_finite),
        cmocka_unit_test(threads_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
