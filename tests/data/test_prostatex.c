/* ProstateX as published: tables joined, series chosen, lesions mapped by physical position. */
#include "fixture.h"

#include "base/thread.h"
#include "data/formats/dicom.h"
#include "data/formats/image.h"
#include "data/prostatex.h"
#include "data/volume.h"

static vox_error err;

/* ---- one patient whose voxels are a linear function of where they lie ---- */

static double ramp(int modality, const double p[3])
{
    static const double slope[3][3] = {{2, 1, 0.5}, {-1, 3, 0.25}, {0.5, -0.5, 2}};
    return 500 + 100 * modality + slope[modality][0] * p[0] + slope[modality][1] * p[1] +
           slope[modality][2] * p[2];
}

/* An oblique grid of d,h,w voxels around (10, 20, -30). */
static vox_image *grid(int64_t d, int64_t h, int64_t w, double spacing, double tilt)
{
    const int64_t size[3] = {d, h, w};
    vox_image *image;
    assert_ok(vox_volume_alloc(&image, 1, size, &err));
    const double axes[3][3] = {{0, sin(tilt), cos(tilt)}, {0, cos(tilt), -sin(tilt)}, {1, 0, 0}};
    memcpy(image->direction, axes, sizeof axes);
    image->spacing_mm[0] = 3;
    image->spacing_mm[1] = image->spacing_mm[2] = spacing;
    double middle[3] = {(double)(d - 1) / 2, (double)(h - 1) / 2, (double)(w - 1) / 2}, at[3];
    vox_volume_point(image, middle, at);
    const double center[3] = {10, 20, -30};
    for (int x = 0; x < 3; x++)
        image->origin_mm[x] = center[x] - at[x];
    image->has_geometry = true;
    return image;
}

static void fill(vox_image *image, int modality)
{
    float *v = image->voxel;
    for (int64_t d = 0; d < image->size[0]; d++)
        for (int64_t h = 0; h < image->size[1]; h++)
            for (int64_t w = 0; w < image->size[2]; w++) {
                double p[3];
                vox_volume_point(image, (double[3]){(double)d, (double)h, (double)w}, p);
                *v++ = (float)ramp(modality, p);
            }
}

/* value = 0.05 * stored - 100: rounding stays below 0.025.  Names run against the positions. */
static void put_series(const char *id, const char *folder, const char *description, int number,
                       const vox_image *image)
{
    char dir[200], path[260], uid[40];
    size_t n = (size_t)(image->size[1] * image->size[2]);
    uint16_t *pixel = calloc(n, sizeof *pixel);
    assert_non_null(pixel);
    snprintf(dir, sizeof dir, "%s/PROSTATEx/%s/07-07-2011/%s", scratch, id, folder);
    assert_int_equal(vox_mkdirs(dir, NULL), VOX_OK);
    snprintf(uid, sizeof uid, "1.2.3.%d", number);
    vox_dicom_slice s = {.patient_id = id,
                         .modality = "MR",
                         .series_description = description,
                         .study_uid = "1.2.3",
                         .series_uid = uid,
                         .frame_uid = "1.2.4",
                         .series_number = number,
                         .pixel = pixel,
                         .rows = image->size[1],
                         .columns = image->size[2],
                         .slope = 0.05,
                         .intercept = -100};
    memcpy(s.spacing_mm, image->spacing_mm, sizeof s.spacing_mm);
    memcpy(s.row, image->direction[2], sizeof s.row);
    memcpy(s.column, image->direction[1], sizeof s.column);
    for (int64_t d = 0; d < image->size[0]; d++) {
        for (size_t i = 0; i < n; i++)
            pixel[i] = (uint16_t)lroundf((image->voxel[(size_t)d * n + i] + 100) / 0.05f);
        vox_volume_point(image, (double[3]){(double)d, 0, 0}, s.position_mm);
        s.instance_number = (int)(image->size[0] - d);
        snprintf(path, sizeof path, "%s/1-%02d.dcm", dir, s.instance_number);
        assert_ok(vox_dicom_write_slice(path, &s, &err));
    }
    free(pixel);
}

static void put_ktrans(const char *id, const vox_image *image)
{
    char name[100];
    snprintf(name, sizeof name, "ProstateXKtrains-train-fixed/%s/%s-Ktrans.mhd", id, id);
    put_text(name, "");
    assert_ok(vox_metaimage_write(image, scratch_path(name), true, &err));
}

#define FINDINGS "ProstateX-Findings-Train.csv"
#define IMAGES   "ProstateX-Images-Train.csv"
#define KTRANS   "ProstateX-Images-KTrans-Train.csv"

/* Two findings of P-1 and one of P-2; the tables with their habits. */
static void put_tables(void)
{
    put_text(FINDINGS, "ProxID,fid,pos,zone,ClinSig,ggg\r\n"
                       "P-1,1,12 18 -28,PZ,TRUE,4\r\n"
                       "P-1,1, 8.5 22 -31.25,TZ,FALSE,1\r\n" /* the same fid at another place */
                       "P-1,1,12 18 -28,PZ,TRUE,4\r\n"       /* a row that is there twice */
                       "P-2,1,10 20 -30,AS,TRUE,2\r\n");
    put_text(IMAGES, "ProxID,Name,fid,pos,WorldMatrix,ijk,TopLevel,DCMSerDescr,DCMSerNum\r\n"
                     "P-1,t2_tse_tra0,1,12 18 -28,\"1,0,0\",99 -4 7,1,t2_tse_tra,4\r\n"
                     "P-1,t2_tse_tra0,1,12 18 -28,\"1,0,0\",99 -4 7,1,t2_tse_tra,4\r\n"
                     "P-1,adc0,1,12 18 -28,\"1,0,0\",1 2 3,1,ep2d_diff_tra_DYNDIST_ADC,7\r\n"
                     "P-1,t2_tse_tra0,1,8.50 22.0 -31.25,\"1,0,0\",1 2 3,1,t2_tse_tra,4\r\n"
                     "P-1,adc0,1,8.5 22 -31.25,\"1,0,0\",1 2 3,1,ep2d_diff_tra_DYNDIST_ADC,7\r\n"
                     "P-2,t2_tse_tra0,1,10 20 -30,\"1,0,0\",1 2 3,1,t2_tse_tra,4\r\n"
                     "P-2,t2_tse_tra1,1,10 20 -30,\"1,0,0\",1 2 3,1,t2_tse_tra,9\r\n"
                     "P-2,adc0,1,10 20 -30,\"1,0,0\",1 2 3,1,ep2d_diff_tra_DYNDIST_ADC,7\r\n");
    put_text(KTRANS, "ProxID,fid,pos,WorldMatrix,ijk\r\n"
                     "P-1,1,12 18 -28,\"1,0,0\",1 2 3\r\n"
                     "P-1,1, 8.5 22 -31.25,\"1,0,0\",1 2 3\r\n"
                     "P-2,1,10 20 -30,\"1,0,0\",1 2 3\r\n");
}

static void put_patient(const char *id)
{
    vox_image *t2 = grid(12, 40, 44, 0.75, 0.3), *adc = grid(12, 20, 18, 2, 0.3);
    vox_image *ktrans = grid(14, 24, 26, 1.5, 0.1);
    fill(t2, 0);
    fill(adc, 1);
    fill(ktrans, 2);
    put_series(id, "4-t2tsetra", "t2_tse_tra", 4, t2);
    put_series(id, "7-ADC", "ep2d_diff_tra_DYNDIST_ADC", 7, adc);
    put_series(id, "8-BVAL", "ep2d_diff_tra_DYNDISTCALC_BVAL", 8, adc);
    put_ktrans(id, ktrans);
    vox_image_free(&t2);
    vox_image_free(&adc);
    vox_image_free(&ktrans);
}

static int make_fixture(void **state)
{
    if (scratch_make(state) != 0)
        return -1;
    put_tables();
    put_patient("P-1");
    put_patient("P-2");
    vox_image *again = grid(12, 40, 44, 0.75, 0.3); /* P-2's T2, taken twice: the second counts */
    fill(again, 0);
    for (size_t i = 0; i < vox_volume_voxels(again); i++)
        again->voxel[i] += 1000;
    put_series("P-2", "9-t2tsetra", "t2_tse_tra", 9, again);
    vox_image_free(&again);
    return 0;
}

static const int shape3[4] = {3, 4, 10, 8}, shape2[4] = {2, 4, 10, 8}, shape1[4] = {1, 4, 10, 8};
#define ALL "modalities: [t2, adc, ktrans], patch_mm: [12, 9, 10]"

/* Every voxel of every channel is the linear function at its place, on the T2's axes. */
static void test_patch(void **state)
{
    (void)state;
    static const double pos[3][3] = {{12, 18, -28}, {8.5, 22, -31.25}, {10, 20, -30}};
    static const double tolerance[3] = {0.03, 0.03, 1e-3}; /* DICOM's rounding; floats */
    static const int32_t label[3] = {3, 0, 1};
    vox_dataset *set;
    vox_pool *pool;
    float out[3 * 4 * 10 * 8];
    assert_ok(vox_pool_open(&pool, 3, &err));
    assert_ok(open_set(&set, "{prostatex: {" ALL "}}", NULL, shape3, false, &err));
    assert_int_equal(vox_dataset_count(set), 3);
    assert_int_equal(vox_dataset_classes(set), 5);
    assert_string_equal(vox_dataset_class(set, 3), "ggg4");
    assert_string_equal(vox_dataset_case(set, 1), "P-1 finding 1");
    assert_ok(vox_dataset_load(set, pool, &err));
    vox_image *t2 = grid(12, 40, 44, 0.75, 0.3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(vox_dataset_label(set, i), label[i]);
        assert_ok(vox_dataset_get(set, i, out, NULL, &err));
        const float *v = out;
        for (int m = 0; m < 3; m++)
            for (int d = 0; d < 4; d++)
                for (int h = 0; h < 10; h++)
                    for (int w = 0; w < 8; w++, v++) {
                        double p[3], offset[3] = {(d - 1.5) * 3, (h - 4.5) * 0.9, (w - 3.5) * 1.25};
                        for (int x = 0; x < 3; x++)
                            p[x] = pos[i][x] + offset[0] * t2->direction[0][x] +
                                   offset[1] * t2->direction[1][x] +
                                   offset[2] * t2->direction[2][x];
                        double want = ramp(m, p) + (i == 2 && m == 0 ? 1000 : 0);
                        if (!(fabs((double)*v - want) < tolerance[m]))
                            fail_msg("finding %zu, channel %d, (%d, %d, %d): %g, not %g", i, m, d,
                                     h, w, (double)*v, want);
                    }
    }
    vox_image_free(&t2);
    vox_dataset_free(&set);
    vox_pool_free(&pool);
}

/* ClinSig, other modalities, patterns, without the images table, one fold. */
static void test_choices(void **state)
{
    (void)state;
    vox_dataset *set;
    assert_ok(
        open_set(&set, "{prostatex: {label: clinsig, patch_mm: 9}}", NULL, shape2, false, &err));
    assert_int_equal(vox_dataset_classes(set), 2);
    assert_int_equal(vox_dataset_label(set, 0), 1);
    assert_int_equal(vox_dataset_label(set, 1), 0);
    vox_dataset_free(&set);
    assert_ok(open_set(&set, "{prostatex: {images: none, modalities: [bval], patch_mm: 9}}", NULL,
                       shape1, false, &err));
    assert_ok(vox_dataset_load(set, NULL, &err));
    vox_dataset_free(&set);
    assert_ok(open_set(&set,
                       "{prostatex: {images: none, modalities: [b800], series: {b800: "
                       "'*calc?bval'}, patch_mm: 9}}",
                       NULL, shape1, false, &err));
    vox_dataset_free(&set);
    /* One finding is of one class, which needs no `classes` when they are given by the other set.
     */
    const char *const names[] = {"ggg1", "ggg2", "ggg3", "ggg4", "ggg5"};
    vox_dataset_options opt = {
        .base_dir = scratch, .sample_shape = {2, 4, 10, 8}, .class_name = names, .class_count = 5};
    size_t total = 0;
    for (int fold = 0; fold < 2; fold++) {
        char text[100];
        vox_yaml *doc;
        snprintf(text, sizeof text, "{prostatex: {patch_mm: 9, patients: {folds: 2, only: %d}}}",
                 fold);
        assert_ok(vox_yaml_parse(&doc, text, "exp.yaml", &err));
        assert_ok(vox_dataset_open(&set, vox_yaml_root(doc), NULL, &opt, &err));
        vox_yaml_free(&doc);
        total += vox_dataset_count(set);
        vox_dataset_free(&set);
    }
    assert_int_equal(total, 3);
    vox_yaml *doc; /* classes of another kind of label */
    opt.class_count = 2;
    assert_ok(vox_yaml_parse(&doc, "{prostatex: {patch_mm: 9}}", "exp.yaml", &err));
    assert_error(vox_dataset_open(&set, vox_yaml_root(doc), NULL, &opt, &err), VOX_ERR_INPUT,
                 "training set");
    vox_yaml_free(&doc);
}

static void test_match(void **state)
{
    (void)state;
    assert_true(vox_series_match("t2_tse_tra", "T2_TSE_TRA"));
    assert_true(vox_series_match("ADC", "ep2d_diff_tra_DYNDIST_MIX_ADC"));
    assert_true(vox_series_match("ADC", "ADC_S3_1"));
    assert_false(vox_series_match("ADC", "AD"));
    assert_false(vox_series_match("ADC", ""));
    assert_true(vox_series_match("*_ADC", "ep2d_diff_tra_DYNDIST_ADC"));
    assert_false(vox_series_match("*_ADC", "ADC_S3_1"));
    assert_true(vox_series_match("ep2d*mix*adc", "ep2d_diff_tra_DYNDIST_MIX_ADC"));
    assert_true(vox_series_match("t2_tse_???", "t2_tse_cor"));
    assert_false(vox_series_match("t2_tse_??", "t2_tse_cor"));
    assert_true(vox_series_match("*", ""));
}

/* What is wrong in the experiment or in a table. */
static void test_bad_opening(void **state)
{
    (void)state;
    static const struct {
        const char *spec;  /* within {prostatex: {...}} */
        const char *table; /* this one is replaced by */
        const char *text;  /* (NULL: removed) */
        const char *word, *hint;
        vox_status code;
    } row[] = {
        {ALL, FINDINGS, NULL, FINDINGS, "prostatex.dir", VOX_ERR_IO},
        {ALL, IMAGES, NULL, IMAGES, "prostatex.dir", VOX_ERR_IO},
        {ALL, KTRANS, NULL, KTRANS, "prostatex.dir", VOX_ERR_IO},
        {ALL, FINDINGS, "ProxID,fid,pos,ggg\r\n", "no rows", "", VOX_ERR_INPUT},
        {ALL, FINDINGS, "ProxID,pos,ggg\r\nP-1,1 2 3,1\r\n", "no column \"fid\"", "",
         VOX_ERR_INPUT},
        {ALL, FINDINGS, "ProxID,fid,pos\r\nP-1,1,1 2 3\r\n", "no column \"ClinSig\"", "",
         VOX_ERR_INPUT},
        {ALL ", label: ggg", FINDINGS, "ProxID,fid,pos,ClinSig\r\nP-1,1,1 2 3,TRUE\r\n",
         "no column \"ggg\"", "", VOX_ERR_INPUT},
        {ALL, FINDINGS, "ProxID,fid,pos,ggg\r\nP-1,1,12 18 -28,6\r\n", FINDINGS ":2", "",
         VOX_ERR_INPUT},
        {ALL, FINDINGS, "ProxID,fid,pos,ggg\r\nP-1,1,12 18 -28,\r\n", "unknown label", "",
         VOX_ERR_INPUT},
        {ALL, FINDINGS, "ProxID,fid,pos,ClinSig\r\nP-1,1,12 18 -28,MAYBE\r\n", "\"MAYBE\"", "",
         VOX_ERR_INPUT},
        {ALL, FINDINGS, "ProxID,fid,pos,ggg\r\nP-1,1,12 18,1\r\n", "x y z", "", VOX_ERR_INPUT},
        {ALL, FINDINGS, "ProxID,fid,pos,ggg\r\nP-1,1,12 18 inf,1\r\n", FINDINGS ":2", "",
         VOX_ERR_INPUT},
        {ALL, FINDINGS, "ProxID,fid,pos,ggg\r\nP-1,one,12 18 1,1\r\n", "fid", "", VOX_ERR_INPUT},
        {ALL, FINDINGS, "ProxID,fid,pos,ggg\r\n../P-1,1,12 18 1,1\r\n", "names no patient", "",
         VOX_ERR_INPUT},
        {ALL, FINDINGS, "ProxID,fid,pos,ggg\r\nP-1,1,12 18 -28,1\r\nP-1,1,12 18 -28,2\r\n",
         "different labels", "", VOX_ERR_INPUT},
        {ALL, FINDINGS,
         "ProxID,fid,pos,ggg\r\nP-1,1,12 18 -28,1\r\nP-3,1,1 2 3,1\r\nP-3,2,1 2 3,1\r\n",
         "2 findings belong to patients that have no folder", "missing_patients", VOX_ERR_INPUT},
        {ALL, FINDINGS, "ProxID,fid,pos,ggg\r\nP-1,1,12 18 -28,1\r\nP-3,1,1 2 3,1\r\n",
         FINDINGS ":3", "", VOX_ERR_INPUT},
        {ALL, IMAGES, "ProxID,fid,pos,DCMSerNum\r\nP-1,1,12 18 -28,5\r\n", "has no t2 series",
         "images: none", VOX_ERR_INPUT},
        {ALL, IMAGES, "ProxID,fid,pos\r\nP-1,1,12 18 -28\r\n", "no column \"DCMSerNum\"", "",
         VOX_ERR_INPUT},
        {ALL, KTRANS, "ProxID,fid,pos\r\nP-1,1,12 18 -27\r\n", "not in the Ktrans table", "",
         VOX_ERR_INPUT},
        {ALL ", dicom: DOI", NULL, NULL, "no folder", "DOI", VOX_ERR_INPUT},
        {ALL ", dir: nowhere", NULL, NULL, "nowhere", "prostatex.dir", VOX_ERR_IO},
        {ALL ", ktrans: nowhere", NULL, NULL, "has no Ktrans volume", "", VOX_ERR_INPUT},
        {ALL ", series: {t2: T3}", NULL, NULL, "4 t2_tse_tra", "prostatex.series.t2",
         VOX_ERR_INPUT},
        {ALL ", series: {t3: T3}", NULL, NULL, "t3", "t2", VOX_ERR_INPUT},
        {ALL ", series: [t2]", NULL, NULL, "must be a map", "", VOX_ERR_INPUT},
        {ALL ", series: {t2: }", NULL, NULL, "part of its description", "", VOX_ERR_INPUT},
        {ALL ", patch: 1", NULL, NULL, "patch", "patch_mm", VOX_ERR_INPUT},
        {"modalities: [t2]", NULL, NULL, "patch_mm", "patch_mm: [d, h, w]", VOX_ERR_INPUT},
        {"modalities: [], patch_mm: 9", NULL, NULL, "list of 1 to", "", VOX_ERR_INPUT},
        {"modalities: t2, patch_mm: 9", NULL, NULL, "list of 1 to", "", VOX_ERR_INPUT},
        {"modalities: [t2, t2], patch_mm: 9", NULL, NULL, "twice", "", VOX_ERR_INPUT},
        {"modalities: [flair], patch_mm: 9", NULL, NULL, "no modality \"flair\"", "series",
         VOX_ERR_INPUT},
        {"patch_mm: 0", NULL, NULL, "exp.yaml:1:", "", VOX_ERR_INPUT},
        {"patch_mm: 9, label: grade", NULL, NULL, "exp.yaml:1:", "ggg", VOX_ERR_INPUT},
        {"patch_mm: 9, missing_patients: ignore", NULL, NULL, "exp.yaml:1:", "skip", VOX_ERR_INPUT},
        {"patch_mm: 9, patients: {folds: 9, only: 0}", NULL, NULL, "fewer patients", "",
         VOX_ERR_INPUT},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        char spec[300];
        vox_dataset *set;
        put_tables();
        if (row[i].table && row[i].text)
            put_text(row[i].table, row[i].text);
        else if (row[i].table)
            assert_int_equal(unlink(scratch_path(row[i].table)), 0);
        snprintf(spec, sizeof spec, "{prostatex: {%s}}", row[i].spec);
        assert_error(open_set(&set, spec, NULL, shape3, false, &err), row[i].code, row[i].word);
        assert_null(set);
        if (!strstr(err.hint, row[i].hint))
            fail_msg("row %zu: %s | %s | %s", i, err.message, err.detail, err.hint);
    }
    put_tables();
}

/* What only reading finds, and that skip_bad lists it. */
static void test_bad_reading(void **state)
{
    (void)state;
    static const struct {
        const char *pos, *word, *place;
    } row[] = {
        {"110 18 -28", "outside its volume", "t2tsetra"},
        {"12 18 -60", "outside its volume", "voxel (d,h,w) = ("},
    };
    vox_dataset *set;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        char text[200];
        snprintf(text, sizeof text, "ProxID,fid,pos,ggg\r\nP-2,1,10 20 -30,2\r\nP-1,7,%s,4\r\n",
                 row[i].pos);
        put_text(FINDINGS, text);
        const char *spec = "{prostatex: {images: none, patch_mm: 9}}";
        assert_ok(open_set(&set, spec, NULL, shape2, false, &err));
        assert_error(vox_dataset_load(set, NULL, &err), VOX_ERR_INPUT, row[i].word);
        assert_non_null(strstr(err.detail, FINDINGS ":3: P-1 finding 7"));
        assert_non_null(strstr(err.detail, row[i].place));
        vox_dataset_free(&set);
        assert_ok(open_set(&set, spec, NULL, shape2, true, &err));
        assert_ok(vox_dataset_load(set, NULL, &err));
        assert_int_equal(vox_dataset_count(set), 1);
        assert_int_equal(vox_dataset_bad_count(set), 1);
        assert_non_null(strstr(vox_dataset_bad(set, 0), row[i].word));
        vox_dataset_free(&set);
    }
    put_tables();
}

/* Findings whose patient is not on this disk: left out when asked to, or listed by skip_bad. */
static void test_partial_download(void **state)
{
    (void)state;
    vox_dataset *set;
    put_text(FINDINGS, "ProxID,fid,pos,ggg\r\nP-1,1,12 18 -28,1\r\nP-3,1,1 2 3,1\r\n"
                       "P-2,1,10 20 -30,2\r\nP-4,2,1 2 3,1\r\n");
    assert_ok(open_set(&set, "{prostatex: {patch_mm: 9, missing_patients: skip}}", NULL, shape2,
                       false, &err));
    assert_int_equal(vox_dataset_count(set), 2);
    assert_int_equal(vox_dataset_bad_count(set), 0);
    assert_ok(vox_dataset_load(set, NULL, &err));
    vox_dataset_free(&set);
    assert_ok(open_set(&set, "{prostatex: {patch_mm: 9}}", NULL, shape2, true, &err));
    assert_int_equal(vox_dataset_count(set), 2);
    assert_int_equal(vox_dataset_bad_count(set), 2);
    assert_non_null(strstr(vox_dataset_bad(set, 1), FINDINGS ":5"));
    vox_dataset_free(&set);
    put_tables();
}

/* A repeated scan that misses the finding: the first one is used. */
static void test_repeat_elsewhere(void **state)
{
    (void)state;
    vox_dataset *set;
    float out[4 * 10 * 8];
    vox_image *far = grid(12, 40, 44, 0.75, 0.3);
    far->origin_mm[0] += 500;
    put_series("P-2", "9-t2tsetra", "t2_tse_tra", 9, far);
    assert_ok(
        open_set(&set, "{prostatex: {modalities: [t2], patch_mm: 9}}", NULL, shape1, false, &err));
    assert_ok(vox_dataset_get(set, 2, out, NULL, &err));
    assert_true(fabsf(out[0] - 500) < 60); /* not around 1500, the repeat's */
    vox_dataset_free(&set);
    vox_image *back = grid(12, 40, 44, 0.75, 0.3);
    fill(back, 0);
    put_series("P-2", "9-t2tsetra", "t2_tse_tra", 9, back);
    vox_image_free(&far);
    vox_image_free(&back);
}

/* NaN matters where the patch is, and is named with its file. */
static void test_nan_voxel(void **state)
{
    (void)state;
    vox_dataset *set;
    vox_image *k = grid(14, 24, 26, 1.5, 0.1);
    const char *spec = "{prostatex: {modalities: [ktrans], patch_mm: 9}}";
    fill(k, 2);
    k->voxel[0] = (float)NAN; /* a corner, far from the finding */
    put_ktrans("P-2", k);
    assert_ok(open_set(&set, spec, NULL, shape1, false, &err));
    assert_ok(vox_dataset_load(set, NULL, &err));
    vox_dataset_free(&set);
    k->voxel[0] = 0;
    k->voxel[(7 * 24 + 12) * 26 + 13] = (float)NAN;
    put_ktrans("P-2", k);
    assert_ok(open_set(&set, spec, NULL, shape1, false, &err));
    assert_error(vox_dataset_load(set, NULL, &err), VOX_ERR_INPUT, "NaN");
    assert_non_null(strstr(err.detail, "P-2-Ktrans.mhd"));
    assert_non_null(strstr(err.detail, "(7, 12, 13)"));
    assert_non_null(strstr(err.detail, FINDINGS ":5: P-2 finding 1"));
    vox_dataset_free(&set);
    fill(k, 2);
    put_ktrans("P-2", k);
    vox_image_free(&k);
}

/* A series with a slice cut short or missing is bad, not passed over; the last test, as it breaks
 * the fixture. */
static void test_broken_series(void **state)
{
    (void)state;
    vox_dataset *set;
    const char *slice = "PROSTATEx/P-1/07-07-2011/7-ADC/1-05.dcm";
    const char *spec = "{prostatex: {images: none, patch_mm: 9}}";
    assert_int_equal(truncate(scratch_path(slice), 700), 0);
    assert_ok(open_set(&set, spec, NULL, shape2, true, &err));
    assert_ok(vox_dataset_load(set, NULL, &err));
    assert_int_equal(vox_dataset_count(set), 1);
    assert_int_equal(vox_dataset_bad_count(set), 2);
    assert_non_null(strstr(vox_dataset_bad(set, 0), "7-ADC"));
    vox_dataset_free(&set);
    assert_int_equal(unlink(scratch_path(slice)), 0);
    assert_ok(open_set(&set, spec, NULL, shape2, false, &err));
    assert_error(vox_dataset_load(set, NULL, &err), VOX_ERR_INPUT, "7-ADC");
    vox_dataset_free(&set);
    for (int i = 1; i <= 12; i++) { /* nothing of the series can be read: it is as good as gone */
        char name[80];
        snprintf(name, sizeof name, "PROSTATEx/P-1/07-07-2011/7-ADC/1-%02d.dcm", i);
        put_text(name, "this is not DICOM");
    }
    assert_error(open_set(&set, spec, NULL, shape2, false, &err), VOX_ERR_INPUT,
                 "has no adc series");
    assert_non_null(strstr(err.hint, "7-ADC"));
}

int main(void)
{
#if !defined VOXCL_WITH_GDCM || !defined VOXCL_WITH_ZLIB
    puts("skipped: built without GDCM or zlib");
    return 77;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patch),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_bad_opening),
        cmocka_unit_test(test_bad_reading),
        cmocka_unit_test(test_partial_download),
        cmocka_unit_test(test_repeat_elsewhere),
        cmocka_unit_test(test_nan_voxel),
        cmocka_unit_test(test_broken_series),
    };
    return cmocka_run_group_tests(tests, make_fixture, scratch_remove);
}
