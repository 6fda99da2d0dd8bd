/* test_dicom_write.c - slices written as DICOM: refused arguments, and nothing left behind. */
#include "test.h"

#include "base/file.h"
#include "data/formats/dicom.h"

#include <math.h>
#include <unistd.h>

static vox_error err;
static const uint16_t pixels[6] = {0, 1, 2, 300, 4095, 65535};

static vox_dicom_slice a_slice(void)
{
    return (vox_dicom_slice){.patient_id = "ProstateX-0000",
                             .modality = "MR",
                             .series_description = "t2_tse_tra",
                             .study_uid = "1.2.3",
                             .series_uid = "1.2.3.4",
                             .frame_uid = "1.2.3.9",
                             .series_number = 4,
                             .instance_number = 7,
                             .pixel = pixels,
                             .rows = 2,
                             .columns = 3,
                             .spacing_mm = {3.5, 0.5, 0.25},
                             .position_mm = {-1.0 / 3, 2e-7, 123456.789012345},
                             .row = {1, 0, 0},
                             .column = {0, 0.6, -0.8},
                             .slope = 0.5,
                             .intercept = -10};
}

static void refuses_what_makes_no_sense(void **state)
{
    (void)state;
    const char *path = "/nonexistent/slice.dcm"; /* never reached: the arguments come first */
    vox_dicom_slice s = a_slice();
    s.series_uid = "1.2.x";
    assert_error(vox_dicom_write_slice(path, &s, &err), VOX_ERR_USAGE, "UID");
    s = a_slice();
    s.series_description = "a\\b";
    assert_error(vox_dicom_write_slice(path, &s, &err), VOX_ERR_USAGE, "backslash");
    s = a_slice();
    s.rows = 70000;
    assert_error(vox_dicom_write_slice(path, &s, &err), VOX_ERR_USAGE, "65535");
    s = a_slice();
    s.spacing_mm[1] = 0;
    assert_error(vox_dicom_write_slice(path, &s, &err), VOX_ERR_USAGE, "spacing");
    s = a_slice();
    s.position_mm[2] = NAN;
    assert_error(vox_dicom_write_slice(path, &s, &err), VOX_ERR_USAGE, "position");
    s = a_slice();
    s.column[0] = 1;
    assert_error(vox_dicom_write_slice(path, &s, &err), VOX_ERR_USAGE, "right angles");
    s = a_slice();
    s.slope = 0;
    assert_error(vox_dicom_write_slice(path, &s, &err), VOX_ERR_USAGE, "slope");
}

static void writes_a_file(void **state)
{
    (void)state;
    char dir[] = "/tmp/voxcl-dicom-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char path[64];
    snprintf(path, sizeof path, "%s/a.dcm", dir);
    vox_dicom_slice s = a_slice();
#ifdef VOXCL_WITH_GDCM
    assert_ok(vox_dicom_write_slice(path, &s, &err));
    char *data;
    size_t size;
    assert_ok(vox_file_read(&data, &size, path, 0, &err));
    assert_memory_equal(data + 128, "DICM", 4);
    /* the pixels end the file, little endian */
    static const unsigned char tail[12] = {0, 0, 1, 0, 2, 0, 44, 1, 255, 15, 255, 255};
    assert_memory_equal(data + size - 12, tail, 12);
    free(data);
    unlink(path);
    assert_error(vox_dicom_write_slice("/nonexistent/a.dcm", &s, &err), VOX_ERR_IO, "nonexistent");
#else
    assert_error(vox_dicom_write_slice(path, &s, &err), VOX_ERR_UNSUPPORTED, "without GDCM");
#endif
    assert_int_equal(rmdir(dir), 0); /* nothing else lies there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_makes_no_sense),
        cmocka_unit_test(writes_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
