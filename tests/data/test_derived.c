/* test_derived.c - volumes written on the grid of the file they were computed from: what that file
 * says of the grid is there again, byte for byte and word for word. */
#include "fixture.h"

#include "data/formats/derived.h"

#define GOLDEN VOXCL_SOURCE_DIR "/tests/golden/formats/"

static vox_error err;

static bool built_with(const char *name)
{
    vox_image *image = NULL;
    char path[300];
    snprintf(path, sizeof path, GOLDEN "%s", name);
    const bool good = vox_image_read(&image, path, &err) == VOX_OK;
    vox_image_free(&image);
    return good;
}

/* label: i % 3, value: i / 4. */
static void derive(const vox_image *grid, const char *source, const char *path, bool label)
{
    const size_t n = (size_t)(grid->size[0] * grid->size[1] * grid->size[2]);
    uint8_t *labels = calloc(n, 1);
    float *values = calloc(n, sizeof *values);
    for (size_t i = 0; i < n; i++) {
        labels[i] = (uint8_t)(i % 3);
        values[i] = (float)i / 4;
    }
    const vox_derived d = {.grid = grid,
                           .source = source,
                           .label = label ? labels : NULL,
                           .value = label ? NULL : values};
    assert_ok(vox_derived_write(&d, path, &err));
    vox_image *back;
    assert_ok(vox_image_read(&back, path, &err));
    assert_int_equal(back->channels, 1);
    assert_memory_equal(back->size, grid->size, sizeof back->size);
    for (size_t i = 0; i < n; i++)
        assert_true(back->voxel[i] == (label ? (float)labels[i] : values[i]));
    if (strcmp(back->format, "numpy") != 0)
        assert_string_equal(back->stored_type, label ? "uint8" : "float32");
    if (strcmp(back->format, grid->format) == 0) {
        assert_memory_equal(back->spacing_mm, grid->spacing_mm, sizeof back->spacing_mm);
        assert_memory_equal(back->origin_mm, grid->origin_mm, sizeof back->origin_mm);
        assert_memory_equal(back->direction, grid->direction, sizeof back->direction);
    }
    vox_image_free(&back);
    free(labels);
    free(values);
}

/* ---- NIfTI ---- */

typedef struct range {
    size_t from, to;
} range;

/* What says where voxels lie: dim_info, dim[1..3], pixdim, units, both forms with their codes. */
static const range version_1[] = {{39, 40}, {42, 48}, {76, 108}, {123, 124}, {252, 328}, {0, 0}};
static const range version_2[] = {{24, 48}, {104, 168}, {344, 496}, {500, 504}, {524, 525}, {0, 0}};

static void same_bytes(const char *a, const char *b)
{
    char *x, *y;
    size_t nx, ny;
    assert_ok(vox_file_read(&x, &nx, a, 0, &err));
    assert_ok(vox_file_read(&y, &ny, b, 0, &err));
    const bool two = x[0] == (540 & 255) || x[3] == (540 & 255);
    for (const range *r = two ? version_2 : version_1; r->to; r++)
        for (size_t i = r->from; i < r->to; i++)
            if (x[i] != y[i])
                fail_msg("%s: byte %zu is %d, was %d", b, i, y[i], x[i]);
    free(x);
    free(y);
}

/* A copy whose geometry bytes are odd: both forms differ, codes 3 and 2, pixdim[0] -1, 5 ms. */
static const char *odd_copy(const char *name, bool msb)
{
    static char path[256];
    char *text;
    size_t size;
    char source[300];
    snprintf(source, sizeof source, GOLDEN "%s", name);
    assert_ok(vox_file_read(&text, &size, source, 0, &err));
    const float odd[] = {-1.f, 0.1f, 0.2f, 0.3f, 4.7f};
    for (int i = 0; i < 5; i++) { /* pixdim[0] and [4], quaternion */
        unsigned char bytes[4];
        const size_t at[] = {76, 256, 260, 264, 92};
        memcpy(bytes, &odd[i], 4);
        for (int b = 0; b < 4; b++)
            text[at[i] + (size_t)b] = (char)bytes[msb ? 3 - b : b];
    }
    text[252 + msb] = 3;
    text[254 + msb] = 2;
    text[123] = 2 | 16; /* mm and milliseconds */
    snprintf(path, sizeof path, "%s", scratch_path(name));
    assert_ok(vox_file_write(path, text, size, &err));
    free(text);
    return path;
}

static void nifti(void **state)
{
    (void)state;
    static const char *const names[] = {"f4.nii", "f4_be.nii", "i1.nii", "4d.nii", "2d.nii"};
    vox_image *image;
    if (!built_with("f4.nii"))
        skip();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int label = 0; label < 2; label++) {
            const char *path = odd_copy(names[i], strstr(names[i], "_be") != NULL);
            assert_ok(vox_image_read(&image, path, &err));
            derive(image, path, scratch_path("out.nii"), label);
            same_bytes(path, scratch_path("out.nii"));
            vox_image_free(&image);
        }
}

static void nifti_of_two_files_and_version_2(void **state)
{
    (void)state;
    static const char *const names[] = {"pair.hdr",  "pair.img",  "nifti2.nii", "nifti2_be.nii",
                                        "qform.nii", "sform.nii", "scaled.nii"};
    vox_image *image;
    if (!built_with("f4.nii"))
        skip();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[300], header[300];
        snprintf(path, sizeof path, GOLDEN "%s", names[i]);
        snprintf(header, sizeof header, "%s", path);
        if (strstr(header, ".img"))
            memcpy(strstr(header, ".img"), ".hdr", 4);
        assert_ok(vox_image_read(&image, path, &err));
        derive(image, path, scratch_path("out.nii"), true);
        same_bytes(header, scratch_path("out.nii"));
        vox_image_free(&image);
    }
}

/* ---- MetaImage ---- */

static void metaimage(void **state)
{
    (void)state;
    static const char *const lines[] = {"TransformMatrix = 1.0 0 0 0 0.8 0.60 0 -0.6 8e-1\n",
                                        "Offset = 1.50 -2 3.1e1\n", "CenterOfRotation = 0 0 0.0\n",
                                        "AnatomicalOrientation = RAI\n",
                                        "ElementSpacing = 0.70 1 2.000\n"};
    char text[600] = "ObjectType = Image\nNDims = 3\n";
    for (size_t i = 0; i < 5; i++)
        strcat(text, lines[i]);
    strcat(text, "DimSize = 4 3 2\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
                 "abcdefghijklmnopqrstuvwx");
    put_text("in.mha", text);
    vox_image *image;
    static const char *const out[] = {"out.mha", "out.mhd"};
    for (int k = 0; k < 4; k++) {
        char *got;
        size_t size;
        assert_ok(vox_image_read(&image, scratch_path("in.mha"), &err));
        derive(image, scratch_path("in.mha"), scratch_path(out[k % 2]), k / 2);
        assert_ok(vox_file_read(&got, &size, scratch_path(out[k % 2]), 0, &err));
        for (size_t i = 0; i < 5; i++)
            if (!strstr(got, lines[i]))
                fail_msg("no \"%s\" in:\n%s", lines[i], got);
        free(got);
        vox_image_free(&image);
    }
}

/* ---- from one format to another ---- */

static void between_formats(void **state)
{
    (void)state;
    vox_image *image, *back;
    put_text("in.mha", "ObjectType = Image\nNDims = 3\nTransformMatrix = 0 1 0 1 0 0 0 0 -1\n"
                       "Offset = 1 2 3\nElementSpacing = 0.5 1 2\nDimSize = 4 3 2\n"
                       "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
                       "abcdefghijklmnopqrstuvwx");
    assert_ok(vox_image_read(&image, scratch_path("in.mha"), &err));
    derive(image, scratch_path("in.mha"), scratch_path("out.npy"), true);
    derive(image, scratch_path("in.mha"), scratch_path("out.npy"), false);
    if (built_with("f4.nii")) {
        derive(image, scratch_path("in.mha"), scratch_path("out.nii"), true);
        assert_ok(vox_image_read(&back, scratch_path("out.nii"), &err));
        for (int a = 0; a < 3; a++) {
            assert_true(fabs(back->spacing_mm[a] - image->spacing_mm[a]) < 1e-6);
            assert_true(fabs(back->origin_mm[a] - image->origin_mm[a]) < 1e-6);
            for (int x = 0; x < 3; x++)
                assert_true(fabs(back->direction[a][x] - image->direction[a][x]) < 1e-6);
        }
        vox_image_free(&back);
    }
    vox_image_free(&image);
}

static void what_cannot_be_written(void **state)
{
    (void)state;
    assert_error(vox_derived_check(scratch_path("a.tif"), &err), VOX_ERR_USAGE, "a.tif");
    assert_error(vox_derived_check(scratch_path("none/a.nii"), &err), VOX_ERR_IO, "none/a.nii");
    assert_ok(vox_derived_check(scratch_path("a.nii.gz"), &err));
    assert_false(vox_path_exists(scratch_path("a.nii.gz")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nifti),
        cmocka_unit_test(nifti_of_two_files_and_version_2),
        cmocka_unit_test(metaimage),
        cmocka_unit_test(between_formats),
        cmocka_unit_test(what_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
