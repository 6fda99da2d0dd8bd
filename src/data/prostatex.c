/* prostatex.c - from the published tables and folders to one case per finding.
 *
 * The three tables are joined on (ProxID, fid, pos): ProxID and fid alone occur twice with
 * different places.  Duplicate rows are one finding. */
#include "data/prostatex.h"

#include "base/log.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- findings ---- */

vox_status vox_finding_read(vox_finding *out, const vox_csv *csv, size_t row, vox_error *err)
{
    size_t id, fid, pos;
    char part[3][64], rest[2];
    vox_status s = vox_csv_need(csv, "ProxID", &id, err);
    if (s == VOX_OK)
        s = vox_csv_need(csv, "fid", &fid, err);
    if (s == VOX_OK)
        s = vox_csv_need(csv, "pos", &pos, err);
    if (s != VOX_OK)
        return s;
    out->row = row;
    out->patient = vox_csv_field(csv, row, id);
    if (!out->patient[0] || strchr(out->patient, '/') || out->patient[0] == '.')
        return vox_csv_fail(err, csv, row, "ProxID \"%s\" names no patient", out->patient);
    const char *text = vox_csv_field(csv, row, fid);
    if (!vox_parse_i64(text, &out->id))
        return vox_csv_fail(err, csv, row, "fid \"%s\" is no number", text);
    text = vox_csv_field(csv, row, pos);
    bool good = sscanf(text, "%63s %63s %63s %1s", part[0], part[1], part[2], rest) == 3;
    for (int i = 0; i < 3 && good; i++)
        good = vox_parse_double(part[i], &out->pos[i]) && isfinite(out->pos[i]);
    return good ? VOX_OK : vox_csv_fail(err, csv, row, "pos \"%s\" is not x y z in mm", text);
}

bool vox_finding_same(const vox_finding *a, const vox_finding *b)
{
    if (a->id != b->id || strcmp(a->patient, b->patient) != 0)
        return false;
    for (int i = 0; i < 3; i++)
        if (!(fabs(a->pos[i] - b->pos[i]) <= 1e-3))
            return false;
    return true;
}

/* A table read row by row; rows that make no sense are kept out. */
typedef struct table {
    vox_csv *csv;
    vox_finding *row; /* [count] */
    size_t count;
} table;

static void release_table(table *t)
{
    vox_csv_free(&t->csv);
    free(t->row);
    memset(t, 0, sizeof *t);
}

/* A row that makes no sense is rejected (an error, or with skip_bad noted and left out). */
static vox_status open_table(table *t, vox_dataset *set, const char *path, vox_error *err)
{
    vox_status s = vox_csv_open(&t->csv, path, err);
    if (s != VOX_OK) {
        vox_hint(err, "prostatex.dir and the keys findings, images and ktrans_images say where the "
                      "tables are");
        return s;
    }
    size_t rows = vox_csv_rows(t->csv);
    if (rows == 0) {
        vox_fail(err, VOX_ERR_INPUT, "the table has no rows");
        return vox_detail(err, "%s: only its header", path);
    }
    t->row = vox_calloc(rows, sizeof *t->row, path, err);
    if (!t->row)
        return VOX_ERR_MEMORY;
    for (size_t r = 0; s == VOX_OK && r < rows; r++) {
        vox_error bad = {0};
        if (vox_finding_read(&t->row[t->count], t->csv, r, &bad) == VOX_OK)
            t->count++;
        else
            s = vox_set_reject(set, vox_path_base(path), &bad, err);
    }
    return s;
}

/* ---- labels ---- */

typedef struct labels {
    int kind; /* VOX_PROSTATEX_GGG or _CLINSIG */
    size_t column;
} labels;

static vox_status find_labels(labels *out, vox_dataset *set, int wanted, const vox_csv *csv,
                              vox_error *err)
{
    static const char *const names[2][6] = {{"ggg1", "ggg2", "ggg3", "ggg4", "ggg5", NULL},
                                            {"not significant", "significant", NULL}};
    static const char *const columns[] = {"ggg", "ClinSig"};
    out->kind = wanted;
    if (wanted < 0)
        out->kind =
            vox_csv_find(csv, "ggg", &out->column) ? VOX_PROSTATEX_GGG : VOX_PROSTATEX_CLINSIG;
    vox_status s = vox_csv_need(csv, columns[out->kind], &out->column, err);
    size_t count = 0, given = set->class_name.count;
    for (; s == VOX_OK && names[out->kind][count]; count++) {
        const char *name = names[out->kind][count];
        if (!given)
            s = vox_names_add(&set->class_name, name, err);
        else if (count < given && strcmp(set->class_name.name[count], name) == 0)
            continue;
        else
            s = vox_csv_fail(err, csv, 0, "the training set has other classes than \"%s\"", name);
    }
    if (s == VOX_OK && given > count)
        s = vox_csv_fail(err, csv, 0, "the training set has %zu classes, this one %zu", given,
                         count);
    return s;
}

static vox_status read_label(const labels *from, const vox_csv *csv, size_t row, int32_t *out,
                             vox_error *err)
{
    const char *text = vox_csv_field(csv, row, from->column);
    int64_t v;
    if (from->kind == VOX_PROSTATEX_GGG) {
        if (!vox_parse_i64(text, &v) || v < 1 || v > 5)
            return vox_csv_fail(err, csv, row, "unknown label: ggg is \"%s\", not 1 to 5", text);
        *out = (int32_t)v - 1;
        return VOX_OK;
    }
    bool yes = strcasecmp(text, "TRUE") == 0 || strcmp(text, "1") == 0;
    if (!yes && strcasecmp(text, "FALSE") != 0 && strcmp(text, "0") != 0)
        return vox_csv_fail(err, csv, row, "unknown label: ClinSig is \"%s\", not TRUE or FALSE",
                            text);
    *out = yes;
    return VOX_OK;
}

/* ---- opening ---- */

/* What opening needs at hand. */
typedef struct opening {
    vox_dataset *set;
    const vox_prostatex_options *opt;
    table findings, images, ktrans;
    labels labels;
    vox_names patients;   /* those of this part of the split, sorted */
    vox_patient *scanned; /* [count] */
    size_t count, capacity;
    size_t missing, missing_row; /* findings without a patient's folder; the first's row */
} opening;

static bool uses_ktrans(const vox_prostatex_options *opt)
{
    for (size_t m = 0; m < opt->modalities; m++)
        if (!opt->modality[m].pattern)
            return true;
    return false;
}

/* The patient's series, scanned the first time. */
static vox_status find_patient(opening *o, const char *id, const vox_patient **out, vox_error *err)
{
    for (size_t i = o->count; i-- > 0;) /* findings of a patient are neighbours: latest first */
        if (strcmp(o->scanned[i].id, id) == 0) {
            *out = &o->scanned[i];
            return VOX_OK;
        }
    if (!vox_grow(&o->scanned, &o->capacity, o->count + 1, sizeof *o->scanned, err))
        return VOX_ERR_MEMORY;
    vox_patient *p = &o->scanned[o->count++];
    *out = p;
    return vox_patient_scan(p, o->opt->dicom, id, err);
}

/* Does the images CSV say that this series shows the finding?  Without that table any does. */
static bool shown(const opening *o, const vox_finding *f, int64_t series)
{
    size_t column;
    int64_t number;
    if (!o->opt->images)
        return true;
    if (!vox_csv_find(o->images.csv, "DCMSerNum", &column))
        return false;
    for (size_t i = 0; i < o->images.count; i++)
        if (vox_finding_same(&o->images.row[i], f) &&
            vox_parse_i64(vox_csv_field(o->images.csv, o->images.row[i].row, column), &number) &&
            number == series)
            return true;
    return false;
}

static vox_status no_series(vox_error *err, const vox_prostatex_modality *m, const vox_patient *p,
                            const vox_csv *csv, const vox_finding *f, bool unlisted)
{
    vox_str list = {0};
    for (size_t i = 0; i < p->count; i++)
        vox_str_add(&list, "%s%lld %s", i ? ", " : "", (long long)p->series[i].number,
                    p->series[i].description);
    vox_csv_fail(err, csv, f->row, "%s finding %lld has no %s series", f->patient, (long long)f->id,
                 m->name);
    char place[sizeof err->detail];
    snprintf(place, sizeof place, "%s:%zu", vox_csv_path(csv), vox_csv_line(csv, f->row));
    vox_detail(err, "%.200s: looked for \"%s\"; %s", place, m->pattern,
               p->count ? list.text ? list.text : "" : "its folder holds no DICOM series");
    vox_str_release(&list);
    if (unlisted)
        vox_hint(err,
                 "a series fits, but the images CSV does not list it for this finding; images: "
                 "none takes any");
    else if (p->problem)
        vox_hint(err, "one could not be read: %.200s", p->problem);
    else
        vox_hint(err, "set prostatex.series.%s to a part of the right one's description", m->name);
    return VOX_ERR_INPUT;
}

static vox_status pick_dicom(opening *o, const vox_finding *f, const vox_prostatex_modality *m,
                             vox_case *c, vox_error *err)
{
    const vox_patient *p;
    size_t before = c->file.count;
    bool unlisted = false;
    vox_status s = find_patient(o, f->patient, &p, err);
    for (size_t i = 0; s == VOX_OK && i < p->count; i++) {
        if (!vox_series_match(m->pattern, p->series[i].description))
            continue;
        if (shown(o, f, p->series[i].number))
            s = vox_names_add(&c->file, p->series[i].dir, err);
        else
            unlisted = true;
    }
    if (s == VOX_OK && c->file.count == before)
        s = no_series(err, m, p, o->findings.csv, f, unlisted);
    return s;
}

static vox_status pick_ktrans(opening *o, const vox_finding *f, vox_case *c, vox_error *err)
{
    bool listed = false;
    for (size_t i = 0; i < o->ktrans.count && !listed; i++)
        listed = vox_finding_same(&o->ktrans.row[i], f);
    if (!listed)
        return vox_csv_fail(err, o->findings.csv, f->row,
                            "%s finding %lld is not in the Ktrans table", f->patient,
                            (long long)f->id);
    char *path = vox_format(err, "%s/%s/%s-Ktrans.mhd", o->opt->ktrans, f->patient, f->patient);
    if (!path)
        return VOX_ERR_MEMORY;
    vox_status s = VOX_OK;
    if (vox_path_exists(path)) {
        s = vox_names_add(&c->file, path, err);
    } else {
        vox_fail(err, VOX_ERR_INPUT, "%s finding %lld has no Ktrans volume", f->patient,
                 (long long)f->id);
        vox_detail(err, "%s:%zu: there is no %s", vox_csv_path(o->findings.csv),
                   vox_csv_line(o->findings.csv, f->row), path);
        vox_hint(err, "prostatex.ktrans names the folder with the patients' Ktrans volumes");
        s = VOX_ERR_INPUT;
    }
    free(path);
    return s;
}

static vox_status fill_case(opening *o, const vox_finding *f, vox_case *c, vox_error *err)
{
    vox_prostatex_pick *pick = vox_calloc(1, sizeof *pick, "a finding", err);
    if (!pick)
        return VOX_ERR_MEMORY;
    c->extra = pick;
    c->has_point = true;
    memcpy(c->point_mm, f->pos, sizeof c->point_mm);
    vox_status s = read_label(&o->labels, o->findings.csv, f->row, &c->label, err);
    for (size_t m = 0; s == VOX_OK && m < o->opt->modalities; m++) {
        const vox_prostatex_modality *modality = &o->opt->modality[m];
        s = modality->pattern ? pick_dicom(o, f, modality, c, err) : pick_ktrans(o, f, c, err);
        pick->end[m] = c->file.count;
    }
    return s;
}

/* Is there a folder for the finding's patient? */
static bool present(const opening *o, const vox_finding *f)
{
    char *path = vox_path_join(o->opt->dicom, f->patient, NULL);
    bool here = path && vox_path_is_dir(path);
    free(path);
    return here;
}

/* Counted; under skip_bad also noted, unless leaving it out was asked for. */
static vox_status note_missing(opening *o, const vox_finding *f, vox_error *err)
{
    vox_error bad = {0};
    if (o->missing++ == 0)
        o->missing_row = f->row;
    if (!o->set->skip_bad || o->opt->skip_missing)
        return VOX_OK;
    vox_csv_fail(&bad, o->findings.csv, f->row, "there is no folder %s in %s", f->patient,
                 o->opt->dicom);
    return vox_set_reject(o->set, f->patient, &bad, err);
}

static vox_status add_finding(opening *o, const vox_finding *f, vox_error *err)
{
    const vox_csv *csv = o->findings.csv;
    vox_error bad = {0};
    char *name = vox_format(err, "%s finding %lld", f->patient, (long long)f->id);
    char *where = vox_format(err, "%s:%zu", vox_csv_path(csv), vox_csv_line(csv, f->row));
    vox_case *c = name && where ? vox_set_add(o->set, name, where, 0, err) : NULL;
    vox_status s =
        c && (c->patient = vox_strdup(f->patient, err)) ? fill_case(o, f, c, &bad) : VOX_ERR_MEMORY;
    if (c && c->patient && s != VOX_OK) {
        s = vox_set_reject(o->set, name, &bad, err);
        vox_set_drop_last(o->set);
    }
    free(name);
    free(where);
    return s;
}

/* Is it the same finding as one before?  Then their labels must agree. */
static vox_status seen_before(const opening *o, size_t i, bool *seen, vox_error *err)
{
    const vox_csv *csv = o->findings.csv;
    const vox_finding *row = o->findings.row;
    *seen = false;
    for (size_t j = 0; j < i && !*seen; j++) {
        if (!vox_finding_same(&row[j], &row[i]))
            continue;
        *seen = true;
        if (strcmp(vox_csv_field(csv, row[j].row, o->labels.column),
                   vox_csv_field(csv, row[i].row, o->labels.column)) != 0)
            return vox_csv_fail(err, csv, row[i].row,
                                "%s finding %lld is listed twice with different labels (line %zu)",
                                row[i].patient, (long long)row[i].id,
                                vox_csv_line(csv, row[j].row));
    }
    return VOX_OK;
}

static vox_status judge_missing(const opening *o, vox_error *err)
{
    if (o->missing == 0)
        return VOX_OK;
    const vox_csv *csv = o->findings.csv;
    if (o->opt->skip_missing || o->set->skip_bad) {
        vox_log(VOX_LOG_WARN, "%zu findings left out: their patients have no folder in %s",
                o->missing, o->opt->dicom);
        return VOX_OK;
    }
    vox_fail(err, VOX_ERR_INPUT, "%zu findings belong to patients that have no folder", o->missing);
    vox_detail(err, "%s:%zu is the first; looked in %s", vox_csv_path(csv),
               vox_csv_line(csv, o->missing_row), o->opt->dicom);
    vox_hint(err, "prostatex.dicom names the folder of patients (older downloads call it DOI); "
                  "missing_patients: skip leaves them out");
    return VOX_ERR_INPUT;
}

static vox_status add_findings(opening *o, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t i = 0; s == VOX_OK && i < o->findings.count; i++) {
        const vox_finding *f = &o->findings.row[i];
        vox_error bad = {0};
        bool seen;
        if (!vox_names_has(&o->patients, f->patient))
            continue;
        if (seen_before(o, i, &seen, &bad) != VOX_OK)
            s = vox_set_reject(o->set, f->patient, &bad, err);
        else if (!seen)
            s = present(o, f) ? add_finding(o, f, err) : note_missing(o, f, err);
    }
    return s == VOX_OK ? judge_missing(o, err) : s;
}

static vox_status open_tables(opening *o, vox_error *err)
{
    const vox_prostatex_options *opt = o->opt;
    size_t column;
    vox_status s = open_table(&o->findings, o->set, opt->findings, err);
    if (s == VOX_OK && opt->images)
        s = open_table(&o->images, o->set, opt->images, err);
    if (s == VOX_OK && opt->images)
        s = vox_csv_need(o->images.csv, "DCMSerNum", &column, err);
    if (s == VOX_OK && uses_ktrans(opt))
        s = open_table(&o->ktrans, o->set, opt->ktrans_images, err);
    if (s == VOX_OK)
        s = find_labels(&o->labels, o->set, opt->label, o->findings.csv, err);
    for (size_t i = 0; s == VOX_OK && i < o->findings.count; i++)
        s = vox_names_add(&o->patients, o->findings.row[i].patient, err);
    return s == VOX_OK ? vox_split_apply(&opt->split, &o->patients, err) : s;
}

static void close_prostatex(vox_dataset *set)
{
    vox_prostatex *px = set->state;
    vox_prostatex_release(&px->opt);
    vox_volumes_free(&px->volumes);
    free(px);
    set->state = NULL;
}

/* Every case is in the cache: the scans are not needed any more. */
static void rest_prostatex(vox_dataset *set)
{
    vox_prostatex *px = set->state;
    vox_volumes_clear(px->volumes);
}

/* Volumes kept while neighbouring findings are prepared: a few patients' modalities. */
#define VOLUMES_KEPT 12

static vox_status open_prostatex(vox_dataset *set, const vox_yaml_node *value, vox_error *err)
{
    vox_prostatex *px = vox_calloc(1, sizeof *px, "a ProstateX data set", err);
    if (!px)
        return VOX_ERR_MEMORY;
    set->state = px;
    opening o = {.set = set, .opt = &px->opt};
    vox_status s = vox_prostatex_parse(&px->opt, set, value, err);
    if (s == VOX_OK)
        s = vox_volumes_open(&px->volumes, VOLUMES_KEPT, err);
    if (s == VOX_OK)
        s = open_tables(&o, err);
    if (s == VOX_OK)
        s = add_findings(&o, err);
    for (size_t i = 0; i < o.count; i++)
        vox_patient_release(&o.scanned[i]);
    free(o.scanned);
    vox_names_release(&o.patients);
    release_table(&o.findings);
    release_table(&o.images);
    release_table(&o.ktrans);
    return s;
}

const vox_source vox_source_prostatex = {"prostatex", open_prostatex, vox_prostatex_read,
                                         rest_prostatex, close_prostatex};
