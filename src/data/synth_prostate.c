/* synth_prostate.c - phantoms in the layout in which ProstateX is published:
 *
 *   ProstateX-Findings-Train.csv, ProstateX-Images-Train.csv, ProstateX-Images-KTrans-Train.csv
 *   PROSTATEx/<ProxID>/<date>/<series>/1-NN.dcm      t2_tse_tra and ..._ADC
 *   ProstateXKtrains-train-fixed/<ProxID>/<ProxID>-Ktrans.mhd, .zraw
 *
 * with its habits: CRLF, spaces before some positions, slices stored against their order in space,
 * oblique scans, Ktrans on a grid of its own, WorldMatrix and ijk half a voxel off. */
#include "data/synth.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/philox.h"
#include "data/formats/dicom.h"
#include "data/formats/image.h"
#include "data/phantom.h"
#include "data/volume.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LANE_GRADES = 32, LANE_SCANNER = 33 }; /* beside the phantom's own lanes */

/* One patient: planned in order, written by any thread; its rows of the tables are joined later. */
typedef struct patient {
    size_t number;
    char id[20];
    uint64_t seed;
    int grade[VOX_PHANTOM_LESIONS];
    size_t lesions;
    vox_str findings, images, ktrans; /* rows */
} patient;

typedef struct job {
    const char *dir;
    patient *patient;
} job;

/* A scan's grid and names. */
typedef struct scan {
    vox_image *image;
    const char *description, *folder;
    int series;
} scan;

/* ---- planning: how many lesions, of which grades ---- */

/* Grades are drawn from a shuffled bag of 1..5, refilled when empty, so that classes balance. */
static void plan(patient *p, size_t count, uint64_t seed)
{
    int bag[5] = {0};
    uint32_t left = 0;
    vox_random r;
    vox_random_init(&r, seed, VOX_RANDOM_SYNTH, LANE_GRADES, 0, 0);
    for (size_t i = 0; i < count; i++) {
        uint32_t dice = vox_random_below(&r, 20);
        p[i].number = i;
        p[i].seed = seed;
        snprintf(p[i].id, sizeof p[i].id, "ProstateX-%04zu", i);
        p[i].lesions = dice < 5 ? 1 : dice < 12 ? 2 : 3;
        for (size_t k = 0; k < p[i].lesions; k++) {
            if (left == 0)
                for (; left < 5; left++)
                    bag[left] = (int)left + 1;
            uint32_t pick = vox_random_below(&r, left);
            p[i].grade[k] = bag[pick];
            bag[pick] = bag[--left];
        }
    }
}

/* ---- grids ---- */

static vox_status make_scans(scan scans[3], const vox_phantom *phantom, vox_error *err)
{
    vox_random r;
    vox_random_init(&r, phantom->seed, VOX_RANDOM_SYNTH, LANE_SCANNER, phantom->patient, 0);
    bool oblique = vox_random_below(&r, 2) == 1;
    double tilt = oblique ? vox_random_range(&r, 0.05, 0.35) : 0; /* radians */
    double spin = oblique ? vox_random_range(&r, -0.08, 0.08) : 0;
    int64_t slices = 18 + vox_random_below(&r, 3), side = 96 + 8 * vox_random_below(&r, 2);
    double middle[3], apart[3];
    for (int x = 0; x < 3; x++) {
        middle[x] = phantom->center_mm[x] + vox_random_range(&r, -2, 2);
        apart[x] = middle[x] + vox_random_range(&r, -3, 3);
    }
    const int64_t t2_size[3] = {slices, side, side}, adc_size[3] = {slices, 52, 44};
    const int64_t ktrans_size[3] = {15, 48, 48};
    const double t2_mm[3] = {3, 76.0 / (double)side, 76.0 / (double)side},
                 adc_mm[3] = {3, 1.75, 1.75};
    const double ktrans_mm[3] = {4, 1.75, 1.75};
    vox_status s = vox_phantom_grid(&scans[0].image, 1, t2_size, t2_mm, middle, tilt, spin, err);
    if (s == VOX_OK)
        s = vox_phantom_grid(&scans[1].image, 1, adc_size, adc_mm, middle, tilt, spin, err);
    if (s == VOX_OK)
        s = vox_phantom_grid(&scans[2].image, 1, ktrans_size, ktrans_mm, apart, tilt * 0.8, 0, err);
    return s;
}

/* ---- DICOM ---- */

static void make_uid(char out[64], const patient *p, int what)
{
    uint64_t hash = vox_hash(VOX_HASH_START, &p->seed, sizeof p->seed);
    snprintf(out, 64, "2.25.%llu.%zu.%d", (unsigned long long)(hash >> 1), p->number + 1, what);
}

static void to_pixels(uint16_t *pixel, const float *voxel, size_t n)
{
    for (size_t i = 0; i < n; i++) /* 12 bits, as scanners store */
        pixel[i] = (uint16_t)(fminf(voxel[i], 4095) + 0.5f);
}

static vox_status write_slices(const scan *view, const patient *p, const char *dir, uint16_t *pixel,
                               vox_error *err)
{
    const vox_image *image = view->image;
    char study[64], series[64], frame[64];
    size_t n = (size_t)(image->size[1] * image->size[2]);
    vox_status s = VOX_OK;
    make_uid(study, p, 1);
    make_uid(frame, p, 2);
    make_uid(series, p, 10 + view->series);
    vox_dicom_slice slice = {.patient_id = p->id,
                             .modality = "MR",
                             .series_description = view->description,
                             .study_uid = study,
                             .series_uid = series,
                             .frame_uid = frame,
                             .series_number = view->series,
                             .pixel = pixel,
                             .rows = image->size[1],
                             .columns = image->size[2],
                             .slope = 1};
    memcpy(slice.spacing_mm, image->spacing_mm, sizeof slice.spacing_mm);
    memcpy(slice.row, image->direction[2], sizeof slice.row);
    memcpy(slice.column, image->direction[1], sizeof slice.column);
    for (int64_t d = 0; s == VOX_OK && d < image->size[0]; d++) {
        bool reversed = p->number % 2 == 0; /* as in the real ProstateX-0000 */
        int64_t number = reversed ? image->size[0] - d : d + 1;
        char *path = vox_format(err, "%s/1-%02d.dcm", dir, (int)number);
        if (!path)
            return VOX_ERR_MEMORY;
        vox_volume_point(image, (double[3]){(double)d, 0, 0}, slice.position_mm);
        slice.instance_number = (int)number;
        to_pixels(pixel, image->voxel + (size_t)d * n, n);
        s = vox_dicom_write_slice(path, &slice, err);
        free(path);
    }
    return s;
}

static vox_status write_series(const scan *view, const patient *p, const char *root, vox_error *err)
{
    size_t n = (size_t)(view->image->size[1] * view->image->size[2]);
    char uid[64];
    make_uid(uid, p, 10 + view->series);
    uint64_t hash = vox_hash(VOX_HASH_START, uid, strlen(uid));
    char *dir = vox_format(err, "%s/PROSTATEx/%s/07-07-2011/%d.000000-%s-%05d", root, p->id,
                           view->series, view->folder, (int)(hash % 100000));
    uint16_t *pixel = vox_calloc(n, sizeof *pixel, "a slice", err);
    vox_status s = dir && pixel ? vox_mkdirs(dir, err) : VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = write_slices(view, p, dir, pixel, err);
    free(pixel);
    free(dir);
    return s;
}

static vox_status write_ktrans(const vox_image *image, const patient *p, const char *root,
                               vox_error *err)
{
    char *dir = vox_format(err, "%s/ProstateXKtrains-train-fixed/%s", root, p->id);
    char *path = dir ? vox_format(err, "%s/%s-Ktrans.mhd", dir, p->id) : NULL;
    vox_status s = path ? vox_mkdirs(dir, err) : VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = vox_metaimage_write(image, path, true, err);
    free(path);
    free(dir);
    return s;
}

/* ---- the tables' rows ---- */

/* "pos" as published, in some patients after a space. */
static void add_pos(vox_str *row, const patient *p, const vox_phantom_lesion *l)
{
    vox_str_add(row, "%s%.6f %.6f %.6f", p->number % 7 == 3 ? " " : "", l->finding_mm[0],
                l->finding_mm[1], l->finding_mm[2]);
}

/* WorldMatrix (from the voxel's corner) and ijk (the corner coordinate, rounded), as published. */
static void add_matrix(vox_str *row, const vox_image *image, const vox_phantom_lesion *l)
{
    double corner[3], index[3] = {0, 0, 0};
    vox_volume_point(image, (double[3]){-0.5, -0.5, -0.5}, corner);
    vox_str_add(row, "\"");
    for (int x = 0; x < 3; x++) {
        for (int a = 2; a >= 0; a--)
            vox_str_add(row, "%.6g,",
                        image->spacing_mm[a] * image->direction[a][x] + 0.0); /* no -0 */
        vox_str_add(row, "%.6g,", corner[x]);
    }
    vox_volume_index(image, l->finding_mm, index);
    vox_str_add(row, "0,0,0,1\",%ld %ld %ld", lround(index[2] + 0.5), lround(index[1] + 0.5),
                lround(index[0] + 0.5));
}

static void add_image_row(vox_str *row, const patient *p, const scan *view,
                          const vox_phantom_lesion *l, size_t fid)
{
    const vox_image *image = view->image;
    vox_str_add(row, "%s,%s0,%zu,", p->id, view->description, fid);
    add_pos(row, p, l);
    vox_str_add(row, ",");
    add_matrix(row, image, l);
    vox_str_add(row, ",1,%g,\"%g,%g,%g\",%lldx%lldx%lldx1,%s,%d\r\n", image->spacing_mm[0],
                image->spacing_mm[2], image->spacing_mm[1], image->spacing_mm[0],
                (long long)image->size[2], (long long)image->size[1], (long long)image->size[0],
                view->description, view->series);
}

static vox_status add_rows(patient *p, const scan scans[3], const vox_phantom *phantom,
                           vox_error *err)
{
    for (size_t i = 0; i < phantom->lesions; i++) {
        const vox_phantom_lesion *l = &phantom->lesion[i];
        vox_str_add(&p->findings, "%s,%zu,", p->id, i + 1);
        add_pos(&p->findings, p, l);
        vox_str_add(&p->findings, ",%s,%s,%d\r\n", l->zone, l->grade >= 2 ? "TRUE" : "FALSE",
                    l->grade);
        add_image_row(&p->images, p, &scans[0], l, i + 1);
        add_image_row(&p->images, p, &scans[1], l, i + 1);
        if (p->number % 11 == 4) /* a row that is there twice */
            add_image_row(&p->images, p, &scans[0], l, i + 1);
        vox_str_add(&p->ktrans, "%s,%zu,", p->id, i + 1);
        add_pos(&p->ktrans, p, l);
        vox_str_add(&p->ktrans, ",");
        add_matrix(&p->ktrans, scans[2].image, l);
        vox_str_add(&p->ktrans, "\r\n");
    }
    bool good = !p->findings.failed && !p->images.failed && !p->ktrans.failed;
    return good ? VOX_OK : vox_fail_memory(err, "the tables", p->images.length);
}

/* ---- one patient ---- */

static vox_status write_scans(patient *p, const vox_phantom *phantom, scan scans[3],
                              const char *dir, vox_error *err)
{
    vox_status s = make_scans(scans, phantom, err);
    for (int m = 0; s == VOX_OK && m < 3; m++)
        vox_phantom_render(phantom, (vox_phantom_modality)m, scans[m].image);
    for (int m = 0; s == VOX_OK && m < 2; m++)
        s = write_series(&scans[m], p, dir, err);
    if (s == VOX_OK)
        s = write_ktrans(scans[2].image, p, dir, err);
    return s == VOX_OK ? add_rows(p, scans, phantom, err) : s;
}

static vox_status write_patient(void *user, size_t i, vox_error *err)
{
    job *j = user;
    patient *p = &j->patient[i];
    scan scans[3] = {{NULL, "t2_tse_tra", "t2tsetra", 4},
                     {NULL, "ep2d_diff_tra_DYNDIST_ADC", "ep2ddifftraDYNDISTADC", 7},
                     {NULL, "Ktrans", "", 0}};
    vox_phantom phantom;
    vox_status s = vox_phantom_make(&phantom, p->seed, p->number, p->grade, p->lesions, err);
    if (s == VOX_OK)
        s = write_scans(p, &phantom, scans, j->dir, err);
    for (int m = 0; m < 3; m++)
        vox_image_free(&scans[m].image);
    vox_phantom_release(&phantom);
    return s;
}

/* ---- the whole set ---- */

static vox_status write_table(const char *dir, const char *name, const char *header,
                              const patient *p, size_t count, size_t rows, vox_error *err)
{
    vox_str text = {0};
    vox_str_add(&text, "%s\r\n", header);
    for (size_t i = 0; i < count; i++) {
        const vox_str *row = (const vox_str *)((const char *)&p[i] + rows);
        vox_str_add(&text, "%s", row->text);
    }
    return vox_synth_text(dir, name, &text, err);
}

static const char readme[] =
    "Synthetic prostate MR in the layout of ProstateX, written by `voxcl synth prostate`.\n"
    "No patient is behind it.  ggg (1 to 5) is the grade group of a finding; it shows in a\n"
    "lesion's size and contrast in T2, ADC and Ktrans.\n"
    "\n"
    "To train on it:\n"
    "\n"
    "  voxcl train models/prostatex-quickstart.yaml --data DIR    (DIR: this folder)\n"
    "\n"
    "or in an experiment of your own, for a network whose input has 3 channels:\n"
    "\n"
    "  data:\n"
    "    train: {prostatex: {modalities: [t2, adc, ktrans], patch_mm: [36, 28, 28],\n"
    "                        patients: {folds: 5, without: 0}}}\n"
    "    valid: {prostatex: {modalities: [t2, adc, ktrans], patch_mm: [36, 28, 28],\n"
    "                        patients: {folds: 5, only: 0}}}\n"
    "    prepare:\n"
    "      - normalize: {method: zscore, channels: [0]}\n"
    "      - window: {min: 0, max: 2500, channels: [1]}\n"
    "      - window: {min: 0, max: 1.5, channels: [2]}\n";

static vox_status write_tables(const char *dir, const patient *p, size_t count, vox_error *err)
{
    vox_status s =
        write_table(dir, "ProstateX-Findings-Train.csv", "ProxID,fid,pos,zone,ClinSig,ggg", p,
                    count, offsetof(patient, findings), err);
    if (s == VOX_OK)
        s = write_table(dir, "ProstateX-Images-Train.csv",
                        "ProxID,Name,fid,pos,WorldMatrix,ijk,TopLevel,SpacingBetweenSlices,"
                        "VoxelSpacing,Dim,DCMSerDescr,DCMSerNum",
                        p, count, offsetof(patient, images), err);
    if (s == VOX_OK)
        s = write_table(dir, "ProstateX-Images-KTrans-Train.csv", "ProxID,fid,pos,WorldMatrix,ijk",
                        p, count, offsetof(patient, ktrans), err);
    if (s != VOX_OK)
        return s;
    vox_str text = {0};
    vox_str_add(&text, "%s", readme);
    return vox_synth_text(dir, "README.txt", &text, err);
}

static vox_status write_set(const vox_synth_order *order, vox_error *err)
{
    const size_t count = order->patients;
    patient *p = vox_calloc(count, sizeof *p, "patients", err);
    if (!p)
        return VOX_ERR_MEMORY;
    job j = {order->dir, p};
    plan(p, count, order->seed);
    vox_status s = vox_synth_each(count, write_patient, &j, err);
    if (s == VOX_OK)
        s = write_tables(order->dir, p, count, err);
    for (size_t i = 0; i < count; i++) {
        vox_str_release(&p[i].findings);
        vox_str_release(&p[i].images);
        vox_str_release(&p[i].ktrans);
    }
    free(p);
    return s;
}

const vox_synth_kind vox_synth_prostate = {
    .name = "prostate", .patients = 160, .patients_max = 9999, .write = write_set};
