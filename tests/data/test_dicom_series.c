/* test_dicom_series.c - folders of slices: order, gaps, duplicates, strangers, several series. */
#include "golden.h"

#include "data/formats/dicom.h"

#include <math.h>

static vox_error err;
static char *dir;

enum { ROWS = 3, COLUMNS = 4, SLICES = 6 };

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

/* What a test changes of a slice. */
typedef struct change {
    const char *series_uid, *description;
    int series_number;
    double along, beside; /* position along the normal and along the rows, mm */
    double tilt;          /* of the rows about the normal's side, radians */
    double row_spacing;
    int64_t rows;
    double slope;
} change;

static change plain(int i)
{
    return (change){"1.2.3", "t2", 4, 2.5 * i, 0, 0, 0.5, ROWS, 1};
}

static char *put(const char *name, change c)
{
    uint16_t pixel[2 * ROWS * COLUMNS];
    static int number;
    char *path = vox_path_join(dir, name, NULL);
    double co = cos(c.tilt), si = sin(c.tilt);
    for (int i = 0; i < 2 * ROWS * COLUMNS; i++)
        pixel[i] = (uint16_t)(i + (int)(c.along * 100 + 0.5));
    vox_dicom_slice s = {.patient_id = "p",
                         .modality = "MR",
                         .series_description = c.description,
                         .study_uid = "1.2",
                         .series_uid = c.series_uid,
                         .frame_uid = "1.2.9",
                         .series_number = c.series_number,
                         .instance_number = 1000 - number++, /* against the order of writing */
                         .pixel = pixel,
                         .rows = c.rows,
                         .columns = COLUMNS,
                         .spacing_mm = {2.5, c.row_spacing, 0.5},
                         .position_mm = {1 + c.beside, 2, 3 + c.along},
                         .row = {co, si, 0},
                         .column = {-si, co, 0},
                         .slope = c.slope};
    assert_ok(vox_dicom_write_slice(path, &s, &err));
    return path;
}

static void put_free(const char *name, change c)
{
    free(put(name, c));
}

static void clear(void)
{
    remove_tree(dir);
    assert_int_equal(mkdir(dir, 0777), 0);
}

/* Slices 0 to SLICES - 1, the names in no order. */
static void put_series(void)
{
    static const char *const names[SLICES] = {"d.dcm", "b", "f.ima", "a.dcm", "e.dcm", "c.dcm"};
    for (int i = 0; i < SLICES; i++)
        put_free(names[i], plain(i));
}

static void orders_by_position(void **state)
{
    vox_image *im;
    (void)state;
    put_series();
    put_free("d.dcm", (change){"1.2.3", "t2", 4, 0, 0, 0, 0.5, ROWS, 2}); /* a slope of its own */
    char *notes = vox_path_join(dir, "notes.txt", NULL);
    assert_ok(vox_file_write(notes, "not an image", 12, &err)); /* passed over */
    free(notes);
    assert_ok(vox_image_read(&im, dir, &err));
    assert_int_equal(im->size[0], SLICES);
    for (int d = 0; d < SLICES; d++)
        for (int i = 0; i < ROWS * COLUMNS; i++)
            assert_near((double)im->voxel[d * ROWS * COLUMNS + i], (i + 250 * d) * (d ? 1 : 2), 0);
    assert_near(im->spacing_mm[0], 2.5, 1e-12);
    assert_near(im->direction[0][2], 1, 1e-12);
    assert_near(im->origin_mm[2], 3, 1e-12);
    vox_image_free(&im);
    clear();
}

/* A stack tilted like a CT gantry is still a regular grid. */
static void reads_a_sheared_stack(void **state)
{
    vox_image *im;
    char name[16];
    (void)state;
    for (int i = 0; i < SLICES; i++) {
        change c = plain(i);
        c.beside = 0.5 * i;
        snprintf(name, sizeof name, "%d", i);
        put_free(name, c);
    }
    assert_ok(vox_image_read(&im, dir, &err));
    assert_near(im->spacing_mm[0], hypot(2.5, 0.5), 1e-9);
    assert_near(im->direction[0][0] * im->spacing_mm[0], 0.5, 1e-9);
    vox_image_free(&im);
    change c = plain(3); /* and one slice out of line */
    c.beside = 4;
    put_free("3", c);
    assert_error(vox_image_read(&im, dir, &err), VOX_ERR_INPUT, "not on one line");
    assert_non_null(strstr(err.detail, "3"));
    clear();
}

static void names_a_gap(void **state)
{
    vox_image *im;
    (void)state;
    put_series();
    char *path = vox_path_join(dir, "f.ima", NULL); /* slice 2 */
    unlink(path);
    free(path);
    assert_error(vox_image_read(&im, dir, &err), VOX_ERR_INPUT, "gap");
    assert_non_null(strstr(err.detail, "5 mm between b and a.dcm, elsewhere 2.5 mm"));
    clear();
    put_free("1", plain(0)); /* of three, the shorter step is the spacing */
    put_free("2", plain(1));
    put_free("3", plain(3));
    assert_error(vox_image_read(&im, dir, &err), VOX_ERR_INPUT, "gap");
    assert_non_null(strstr(err.detail, "5 mm between 2 and 3"));
    clear();
}

static void names_a_duplicate(void **state)
{
    vox_image *im;
    char name[16];
    (void)state;
    put_series();
    put_free("again.dcm", plain(4));
    assert_error(vox_image_read(&im, dir, &err), VOX_ERR_INPUT, "duplicate");
    assert_non_null(strstr(err.detail, "again.dcm and e.dcm"));
    clear();
    for (int i = 0; i < 2 * SLICES; i++) {
        snprintf(name, sizeof name, "%d", i);
        put_free(name, plain(i / 2));
    }
    assert_error(vox_image_read(&im, dir, &err), VOX_ERR_INPUT, "several volumes");
    assert_non_null(strstr(err.detail, "12 files lie at 6 positions, 2 at each"));
    clear();
}

static void names_a_stranger(void **state)
{
    vox_image *im;
    change c = plain(2);
    (void)state;
    put_series();
    c.tilt = 0.01;
    put_free("f.ima", c);
    assert_error(vox_image_read(&im, dir, &err), VOX_ERR_INPUT, "another orientation");
    assert_non_null(strstr(err.detail, "f.ima"));
    c = plain(2);
    c.rows = ROWS + 1;
    put_free("f.ima", c);
    assert_error(vox_image_read(&im, dir, &err), VOX_ERR_INPUT, "different size");
    assert_non_null(strstr(err.detail, "f.ima"));
    c = plain(2);
    c.row_spacing = 0.6;
    put_free("f.ima", c);
    assert_error(vox_image_read(&im, dir, &err), VOX_ERR_INPUT, "different PixelSpacing");
    assert_non_null(strstr(err.detail, "f.ima"));
    clear();
    char *a = vox_path_join(dir, "a.dcm", NULL), *b = vox_path_join(dir, "b.dcm", NULL);
    copy_file(GOLDEN "bare.dcm", a); /* no geometry at all */
    copy_file(GOLDEN "bare.dcm", b);
    assert_error(vox_image_read(&im, dir, &err), VOX_ERR_INPUT, "without a position");
    free(a);
    free(b);
    clear();
}

static void names_a_damaged_file(void **state)
{
    vox_image *im;
    (void)state;
    put_series();
    char *path = vox_path_join(dir, "b", NULL);
    assert_int_equal(truncate(path, 700), 0);
    free(path);
    assert_error(vox_image_read(&im, dir, &err), VOX_ERR_INPUT, "1 DICOM file cannot be read");
    assert_non_null(strstr(err.detail, "/b: "));
    clear();
}

static void check_choice(const char *choice, vox_status status, int64_t slices, const char *word)
{
    vox_image *im;
    char *path = vox_format(NULL, "%s#%s", dir, choice);
    if (status == VOX_OK) {
        assert_ok(vox_image_read(&im, path, &err));
        assert_int_equal(im->size[0], slices);
        vox_image_free(&im);
    } else {
        assert_error(vox_image_read(&im, path, &err), status, word);
        assert_null(im);
    }
    free(path);
}

static void chooses_among_series(void **state)
{
    vox_image *im;
    (void)state;
    put_series();
    put_free("x.dcm", (change){"1.2.4", "adc", 7, 0, 0, 0, 0.5, ROWS, 1});
    put_free("y.dcm", (change){"1.2.5", "adc", 8, 0, 0, 0, 0.5, ROWS, 1});
    assert_error(vox_image_read(&im, dir, &err), VOX_ERR_INPUT, "3 DICOM series");
    assert_non_null(strstr(err.detail, "4 \"t2\" 6 files 1.2.3"));
    assert_non_null(strstr(err.detail, "7 \"adc\" 1 files 1.2.4"));
    assert_non_null(strstr(err.hint, "#"));
    check_choice("1.2.3", VOX_OK, SLICES, NULL);
    check_choice("t2", VOX_OK, SLICES, NULL);
    check_choice("4", VOX_OK, SLICES, NULL);
    check_choice("8", VOX_OK, 1, NULL);
    check_choice("adc", VOX_ERR_INPUT, 0, "2 such DICOM series");
    check_choice("9", VOX_ERR_INPUT, 0, "0 such DICOM series");
    clear();
}

static void names_files_of_two_series(void **state)
{
    vox_names files = {0};
    vox_image *im;
    (void)state;
    char *a = put("a.dcm", plain(0)),
         *b = put("b.dcm", (change){"1.2.4", "adc", 7, 2.5, 0, 0, 0.5, ROWS, 1});
    assert_ok(vox_names_add(&files, a, &err));
    assert_ok(vox_names_add(&files, b, &err));
    assert_error(vox_dicom_read_files(&im, &files, &err), VOX_ERR_INPUT, "different DICOM series");
    assert_non_null(strstr(err.detail, "\"t2\""));
    vox_names_release(&files);
    assert_error(vox_dicom_read_files(&im, &files, &err), VOX_ERR_USAGE, "no DICOM files");
    free(a);
    free(b);
    clear();
}

static void refuses_a_folder_without_images(void **state)
{
    vox_image *im;
    (void)state;
    assert_error(vox_image_read(&im, dir, &err), VOX_ERR_INPUT, "holds no DICOM images");
    assert_null(im);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_by_position),
        cmocka_unit_test(reads_a_sheared_stack),
        cmocka_unit_test(names_a_gap),
        cmocka_unit_test(names_a_duplicate),
        cmocka_unit_test(names_a_stranger),
        cmocka_unit_test(names_a_damaged_file),
        cmocka_unit_test(chooses_among_series),
        cmocka_unit_test(names_files_of_two_series),
        cmocka_unit_test(refuses_a_folder_without_images),
    };
    if (!HAS_GDCM) {
        puts("skipped: this build has no GDCM");
        return 77;
    }
    return cmocka_run_group_tests(tests, setup, teardown);
}
