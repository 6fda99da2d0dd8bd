/* manifest.c - data sets listed in a CSV file:
 *
 *   image,label                     one row per case; paths are relative to the manifest
 *   scans/a.nii.gz,benign           a class name: the classes are the names sorted by bytes
 *   t2.mhd;adc.mhd,1                several files: their channels in this order; or a class index
 *
 *   image,mask                      the same with a class for every voxel
 *   t1.nii.gz;t2.nii.gz,seg.nii.gz
 *
 * A column `point` ("x y z", mm, LPS) is the case's place of interest; `patient` says which cases
 * folds keep together (without it each case is on its own); other columns are ignored.
 */
#include "data/csv.h"
#include "data/source.h"

#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CLASS_LIMIT 65536 /* a label beyond is a slip (an id, say), not a class */

typedef struct columns {
    size_t image, label, point, patient; /* label: or mask, if the set has masks */
    bool has_point, has_patient;
    bool indices; /* a label may be a class index */
} columns;

static vox_status find_columns(vox_dataset *set, columns *at, const vox_csv *csv, vox_error *err)
{
    size_t label;
    vox_status s = vox_csv_need(csv, "image", &at->image, err);
    if (s != VOX_OK)
        return s;
    at->has_point = vox_csv_find(csv, "point", &at->point);
    at->has_patient = vox_csv_find(csv, "patient", &at->patient);
    set->masks = vox_csv_find(csv, "mask", &at->label);
    if (!set->masks)
        return vox_csv_need(csv, "label", &at->label, err);
    if (!vox_csv_find(csv, "label", &label))
        return VOX_OK;
    vox_fail(err, VOX_ERR_INPUT, "a manifest has a column label or a column mask, not both");
    return vox_detail(err, "%s", vox_csv_path(csv));
}

static bool parse_index(const char *text, int32_t *label)
{
    int64_t v;
    if (!vox_parse_i64(text, &v) || v < 0 || v >= CLASS_LIMIT)
        return false;
    *label = (int32_t)v;
    return true;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The distinct label texts that are no numbers, sorted. */
static vox_status classes_by_name(vox_dataset *set, const vox_csv *csv, size_t column,
                                  vox_error *err)
{
    int64_t number;
    size_t rows = vox_csv_rows(csv);
    const char **text = vox_calloc(rows, sizeof *text, "labels", err);
    if (!text)
        return VOX_ERR_MEMORY;
    for (size_t r = 0; r < rows; r++)
        text[r] = vox_csv_field(csv, r, column);
    qsort(text, rows, sizeof *text, by_bytes);
    vox_status s = VOX_OK;
    for (size_t r = 0; r < rows && s == VOX_OK; r++)
        if (text[r][0] && !vox_parse_i64(text[r], &number) &&
            (r == 0 || strcmp(text[r], text[r - 1]) != 0))
            s = vox_names_add(&set->class_name, text[r], err);
    free(text);
    if (s == VOX_OK && set->class_name.count > CLASS_LIMIT)
        s = vox_fail(err, VOX_ERR_INPUT, "over %d classes: is this the right label column?",
                     CLASS_LIMIT);
    return s;
}

static vox_status classes_by_index(vox_dataset *set, const vox_csv *csv, size_t column,
                                   vox_error *err)
{
    int32_t largest = 0, label;
    for (size_t r = 0; r < vox_csv_rows(csv); r++)
        if (parse_index(vox_csv_field(csv, r, column), &label) && label > largest)
            largest = label;
    vox_status s = VOX_OK;
    for (int32_t i = 0; i <= largest && s == VOX_OK; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", (int)i);
        s = vox_names_add(&set->class_name, name, err);
    }
    return s;
}

/* Labels are indices if the first one there is a number, else names; the two do not mix. */
static vox_status find_classes(vox_dataset *set, const vox_csv *csv, columns *at, vox_error *err)
{
    int64_t number;
    at->indices = true;
    for (size_t r = 0; !set->classes_given && r < vox_csv_rows(csv); r++) {
        const char *text = vox_csv_field(csv, r, at->label);
        if (!*text)
            continue;
        at->indices = vox_parse_i64(text, &number);
        return at->indices ? classes_by_index(set, csv, at->label, err)
                           : classes_by_name(set, csv, at->label, err);
    }
    return VOX_OK;
}

static vox_status read_label(const vox_dataset *set, const char *text, bool indices, int32_t *label,
                             vox_error *err)
{
    if (!*text)
        return vox_fail(err, VOX_ERR_INPUT, "the label is empty");
    if (vox_set_class(set, text, label) ||
        (indices && parse_index(text, label) && (size_t)*label < set->class_name.count))
        return VOX_OK;
    return vox_set_unknown_class(set, text, err);
}

static vox_status read_point(vox_case *c, const char *text, vox_error *err)
{
    char part[3][64], rest[2];
    c->has_point = *text != '\0';
    bool good =
        !c->has_point || sscanf(text, "%63s %63s %63s %1s", part[0], part[1], part[2], rest) == 3;
    for (int i = 0; i < 3 && good && c->has_point; i++)
        good = vox_parse_double(part[i], &c->point_mm[i]) && isfinite(c->point_mm[i]);
    if (good)
        return VOX_OK;
    vox_fail(err, VOX_ERR_INPUT, "a point must be three numbers, x y z in mm");
    vox_detail(err, "it is \"%s\"", text);
    return VOX_ERR_INPUT;
}

static vox_status read_mask(vox_case *c, const char *dir, const char *text, vox_error *err)
{
    if (!*text)
        return vox_fail(err, VOX_ERR_INPUT, "the mask is empty");
    c->mask = vox_path_join(dir, text, err);
    if (!c->mask)
        return VOX_ERR_MEMORY;
    if (vox_path_exists(c->mask))
        return VOX_OK;
    vox_fail(err, VOX_ERR_INPUT, "a mask does not exist");
    vox_detail(err, "%s", c->mask);
    vox_hint(err, "paths in a manifest are relative to its folder");
    return VOX_ERR_INPUT;
}

static vox_status read_row(vox_dataset *set, const vox_csv *csv, const columns *at, const char *dir,
                           size_t row, vox_error *err)
{
    const char *image = vox_csv_field(csv, row, at->image);
    char *where = vox_format(err, "%s:%zu", vox_csv_path(csv), vox_csv_line(csv, row));
    char *name = where ? vox_path_join(dir, image, err) : NULL;
    vox_case *c = name ? vox_set_add(set, name, where, 0, err) : NULL;
    vox_error bad = {0};
    vox_status s = VOX_ERR_MEMORY;
    if (c) {
        const char *label = vox_csv_field(csv, row, at->label);
        const char *patient = at->has_patient ? vox_csv_field(csv, row, at->patient) : image;
        s = set->masks ? read_mask(c, dir, label, &bad)
                       : read_label(set, label, at->indices, &c->label, &bad);
        if (s == VOX_OK && !(c->patient = vox_strdup(patient, &bad)))
            s = VOX_ERR_MEMORY;
        if (s == VOX_OK && at->has_point)
            s = read_point(c, vox_csv_field(csv, row, at->point), &bad);
        if (s == VOX_OK)
            s = vox_input_paths(&c->file, dir, image, &bad);
        if (s != VOX_OK) {
            vox_error_at(&bad, "%s", where);
            s = vox_set_reject(set, name, &bad, err);
            vox_set_drop_last(set);
        }
    }
    free(where);
    free(name);
    return s;
}

static vox_status open_manifest(vox_dataset *set, const vox_yaml_node *value, vox_error *err)
{
    char *path = NULL, *dir = NULL;
    vox_csv *csv = NULL;
    columns at = {0};
    vox_status s = vox_set_path(set, value, "manifest", &path, err);
    if (s == VOX_OK && !(dir = vox_path_dir(path, err)))
        s = VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = vox_csv_open(&csv, path, err);
    if (s == VOX_OK)
        s = find_columns(set, &at, csv, err);
    if (s == VOX_OK && vox_csv_rows(csv) == 0) {
        vox_fail(err, VOX_ERR_INPUT, "the manifest has no rows");
        vox_detail(err, "%s: only its header", path);
        s = VOX_ERR_INPUT;
    }
    if (s == VOX_OK && !set->masks)
        s = find_classes(set, csv, &at, err);
    for (size_t r = 0; s == VOX_OK && r < vox_csv_rows(csv); r++)
        s = read_row(set, csv, &at, dir, r, err);
    vox_csv_free(&csv);
    free(dir);
    free(path);
    return s;
}

static vox_status read_files(const vox_dataset *set, const vox_case *c, vox_image **out,
                             vox_error *err)
{
    (void)set;
    return vox_input_read(&c->file, out, err);
}

const vox_source vox_source_manifest = {"manifest", open_manifest, read_files, NULL, NULL};
