/* Predictions from other formats, the picture, and evaluation case by case: a network that
 * thresholds, on scans whose masks are known. */
#include "segmenting.h"

#include "data/formats/dicom.h"

#define REORIENT "data: {train: {pairs: .}, prepare: [{reorient: RAS}]}\n"

/* ---- formats -------------------------------------------------------------- */

static void metaimage(void **state)
{
    (void)state;
    static float voxel[MOST_VOXELS];
    vox_error err = {0};
    vox_image scan;
    static const char *const out[] = {"mask.mhd", "mask.mha", "mask.npy"};
    opened o = open_model(
        "all", save_network("threshold", THRESHOLD_NETWORK, REORIENT, threshold_weights));
    make_scan(&scan, voxel, (int64_t[]){5, 9, 11}, 29);
    assert_ok(vox_image_write(&scan, training_path("scan.mhd"), &err));
    for (int i = 0; i < 3; i++) {
        const vox_segment_options opt = {.mask = training_path(out[i])};
        assert_ok(vox_model_segment(o.model, training_path("scan.mhd"), &opt, NULL, &err));
        vox_image *mask = read_image(opt.mask);
        for (int k = 0; k < 5 * 9 * 11; k++)
            assert_true(mask->voxel[k] == (voxel[k] > 4.5f));
        if (i < 2) {
            assert_memory_equal(mask->origin_mm, scan.origin_mm, sizeof mask->origin_mm);
            assert_string_equal(mask->stored_type, "uint8");
        }
        vox_image_free(&mask);
    }
    close_model(&o);
}

static void dicom(void **state)
{
    (void)state;
#ifdef VOXCL_WITH_GDCM
    vox_error err = {0};
    uint16_t pixel[4][7 * 9];
    opened o =
        open_model("0", save_network("threshold", THRESHOLD_NETWORK, REORIENT, threshold_weights));
    assert_int_equal(vox_mkdirs(training_path("series"), NULL), VOX_OK);
    for (int d = 0; d < 4; d++) {
        char path[300];
        snprintf(path, sizeof path, "%s/%d.dcm", training_path("series"), 9 - d);
        for (int i = 0; i < 63; i++)
            pixel[d][i] = (uint16_t)((d * 63 + i) * 7919 % 10);
        const vox_dicom_slice slice = {.patient_id = "p",
                                       .modality = "MR",
                                       .series_description = "t2",
                                       .study_uid = "1.2",
                                       .series_uid = "1.2.3",
                                       .frame_uid = "1.2.4",
                                       .series_number = 1,
                                       .instance_number = 9 - d,
                                       .pixel = pixel[d],
                                       .rows = 7,
                                       .columns = 9,
                                       .spacing_mm = {3, 0.5, 0.75},
                                       .position_mm = {-20, 10 + 3.0 * d * 0.8, 5 + 3.0 * d * 0.6},
                                       .row = {-1, 0, 0},
                                       .column = {0, -0.6, 0.8},
                                       .slope = 1,
                                       .intercept = 0};
        assert_ok(vox_dicom_write_slice(path, &slice, &err));
    }
    const vox_segment_options opt = {.mask = training_path("mask.nii")};
    assert_ok(vox_model_segment(o.model, training_path("series"), &opt, NULL, &err));
    assert_ok(vox_model_segment(o.model, training_path("series#t2"), &opt, NULL, &err));
    vox_image *series = read_image(training_path("series")), *mask = read_image(opt.mask);
    assert_memory_equal(series->size, mask->size, sizeof mask->size);
    for (int a = 0; a < 3; a++) {
        assert_true(fabs(series->spacing_mm[a] - mask->spacing_mm[a]) < 1e-6);
        assert_true(fabs(series->origin_mm[a] - mask->origin_mm[a]) < 1e-5);
        for (int x = 0; x < 3; x++)
            assert_true(fabs(series->direction[a][x] - mask->direction[a][x]) < 1e-6);
    }
    for (int i = 0; i < 4 * 63; i++)
        assert_true(mask->voxel[i] == (series->voxel[i] > 4.5f));
    vox_image_free(&series);
    vox_image_free(&mask);
    close_model(&o);
#else
    skip();
#endif
}

/* ---- the picture ---------------------------------------------------------- */

static void picture(void **state)
{
    (void)state;
#ifdef VOXCL_WITH_PNG
    static float voxel[MOST_VOXELS];
    vox_error err = {0};
    vox_image scan;
    const vox_segment_options opt = {.png = training_path("m.png")};
    opened o =
        open_model("0", save_network("threshold", THRESHOLD_NETWORK, REORIENT, threshold_weights));
    make_scan(&scan, voxel, (int64_t[]){7, 12, 9}, 3);
    for (int i = 0; i < 7 * 12 * 9; i++) /* one box */
        voxel[i] = i / 108 > 2 && i / 9 % 12 > 5 && i % 9 > 3 ? 9.f : 1.f;
    for (int empty = 0; empty < 2; empty++) {
        int64_t red = 0;
        assert_ok(vox_image_write(&scan, training_path("scan.nii"), &err));
        assert_ok(vox_model_segment(o.model, training_path("scan.nii"), &opt, NULL, &err));
        vox_image *png = read_image(opt.png);
        const int64_t n = png->size[1] * png->size[2];
        assert_int_equal(png->channels, 3);
        for (int64_t i = 0; i < n; i++)
            red += png->voxel[i] == 255 && png->voxel[n + i] == 64 && png->voxel[2 * n + i] == 64;
        /* the box's colour in the legend, and its outline */
        assert_true(empty ? red == 90 : red > 200);
        vox_image_free(&png);
        memset(voxel, 0, sizeof voxel);
    }
    close_model(&o);
#else
    skip();
#endif
}

/* ---- evaluation ----------------------------------------------------------- */

/* Two pairs; of the second the truth is empty, and the prediction too if `quiet`. */
static void make_pairs(bool quiet)
{
    static float voxel[MOST_VOXELS], label[MOST_VOXELS];
    vox_error err = {0};
    char path[300];
    for (int k = 0; k < 2; k++) {
        vox_image scan, mask;
        make_scan(&scan, voxel, (int64_t[]){5, 7 + k, 9}, 11 + 20 * k);
        make_scan(&mask, label, (int64_t[]){5, 7 + k, 9}, 11 + 20 * k);
        for (int i = 0; i < 5 * (7 + k) * 9; i++) {
            label[i] = k == 0 && voxel[i] > (i < 63 ? 2.5f : 4.5f);
            if (k == 1 && quiet)
                voxel[i] = 1;
        }
        snprintf(path, sizeof path, "%s/images", training_path("pairs"));
        assert_int_equal(vox_mkdirs(path, NULL), VOX_OK);
        snprintf(path, sizeof path, "%s/masks", training_path("pairs"));
        assert_int_equal(vox_mkdirs(path, NULL), VOX_OK);
        snprintf(path, sizeof path, "%s/images/c%d.mha", training_path("pairs"), k);
        assert_ok(vox_image_write(&scan, path, &err));
        snprintf(path, sizeof path, "%s/masks/c%d.mha", training_path("pairs"), k);
        assert_ok(vox_image_write(&mask, path, &err));
    }
}

static void on_case(void *user, const vox_case_score *c, int64_t done, int64_t total)
{
    assert_true(total == 2 && strstr(c->name, done == 1 ? "c0" : "c1") != NULL);
    ++*(int *)user;
}

static void evaluated(void **state)
{
    (void)state;
    vox_error err = {0};
    opened o = open_model(
        "all", save_network("threshold", THRESHOLD_NETWORK, REORIENT, threshold_weights));
    for (int quiet = 0; quiet < 2; quiet++) {
        int seen = 0;
        char *text;
        size_t size;
        vox_segment_scores *s;
        const vox_segment_eval_options opt = {
            .csv = training_path("s.csv"), .on_case = on_case, .user = &seen};
        make_pairs(quiet);
        assert_ok(vox_model_eval_segments(o.model, training_path("pairs"), &opt, &s, &err));
        assert_true(seen == 2 && s->count == 2 && s->classes == 2 && s->bad_cases == 0);
        const vox_class_score *a = &s->item[0].score[0], *b = &s->item[1].score[0];
        assert_true(a->truth > a->predicted && a->both == a->predicted && a->precision == 1);
        assert_true(fabs(a->dice_nnunet -
                         2.0 * (double)a->both / (double)(a->truth + a->predicted)) < 1e-12);
        assert_true(fabs(a->sensitivity - (double)a->both / (double)a->truth) < 1e-12);
        assert_true(a->hd95_mm >= 0 && fabs(a->truth_ml - (double)a->truth * 2.8e-3) < 1e-6);
        assert_true(b->truth == 0 && (quiet ? b->predicted == 0 : b->predicted > 0));
        assert_true(quiet ? isnan(b->dice_nnunet) && b->dice_one == 1
                          : b->dice_nnunet == 0 && b->dice_one == 0);
        assert_true(isnan(b->dice_monai) && isnan(b->hd95_mm));
        assert_true(fabs(s->mean[0].dice_nnunet - a->dice_nnunet / (quiet ? 1 : 2)) < 1e-12);
        assert_true(s->mean[0].truth == a->truth && s->mean[0].dice_monai == a->dice_monai);
        assert_ok(vox_file_read(&text, &size, training_path("s.csv"), 0, &err));
        assert_true(strncmp(text, "case,class,name,truth_voxels,", 29) == 0);
        assert_non_null(strstr(text, "c0.mha,1,"));
        assert_non_null(strstr(text, quiet ? ",0,0,0,,,1," : ",0,,0,"));
        free(text);
        assert_ok(vox_segment_scores_json(s, o.model, &text, &err));
        assert_non_null(strstr(text, "\"dice_monai\": null"));
        vox_string_free(&text);
        vox_segment_scores_free(&s);
    }
    close_model(&o);
}

static bool stop(void *user)
{
    (void)user;
    return true;
}

static void not_evaluated(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_segment_scores *s;
    const vox_segment_eval_options none = {0}, stopped = {.should_stop = stop},
                                   nowhere = {.csv = training_path("no/s.csv")};
    opened o =
        open_model("0", save_network("threshold", THRESHOLD_NETWORK, REORIENT, threshold_weights));
    make_pairs(false);
    assert_error(vox_model_eval_segments(o.model, training_path("pairs"), &stopped, &s, &err),
                 VOX_ERR_INTERRUPTED, "stopped");
    assert_null(s);
    assert_error(vox_model_eval_segments(o.model, training_path("gone"), &none, &s, &err),
                 VOX_ERR_IO, "gone");
    assert_error(vox_model_eval_segments(o.model, training_path("pairs"), &nowhere, &s, &err),
                 VOX_ERR_IO, "no/s.csv");
    assert_error(vox_model_eval_segments(o.model, NULL, &none, &s, &err), VOX_ERR_USAGE,
                 "validation data");
    char path[300]; /* a mask of another grid */
    static float voxel[MOST_VOXELS];
    vox_image mask;
    make_scan(&mask, voxel, (int64_t[]){5, 8, 9}, 12);
    snprintf(path, sizeof path, "%s/masks/c1.mha", training_path("pairs"));
    memset(voxel, 0, sizeof voxel);
    assert_ok(vox_image_write(&mask, path, &err));
    assert_error(vox_model_eval_segments(o.model, training_path("pairs"), &none, &s, &err),
                 VOX_ERR_INPUT, "c1.mha");
    close_model(&o);
}

int main(int argc, char **argv)
{
    (void)argc;
    if (!segmenting_possible())
        return 77;
    if (training_devices(argv, "111") == 0) {
        printf("skipped: no device\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metaimage), cmocka_unit_test(dicom),         cmocka_unit_test(picture),
        cmocka_unit_test(evaluated), cmocka_unit_test(not_evaluated),
    };
    return cmocka_run_group_tests(tests, training_setup, training_teardown);
}
