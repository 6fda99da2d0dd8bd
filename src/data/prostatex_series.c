/* prostatex_series.c - the series of one patient's folder, and names matched with patterns. */
#include "data/prostatex.h"

#include "data/formats/dicom_file.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH 4 /* <ProxID>/<study>/<series>, and one more for a re-packed download */

static char lower(char c)
{
    return (char)tolower((unsigned char)c);
}

/* Pattern with * and ? for the whole text, case ignored.  Backtracks to the last star only. */
static bool glob(const char *pattern, const char *text)
{
    const char *star = NULL, *again = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            again = text;
        } else if (*pattern == '?' || (*pattern && lower(*pattern) == lower(*text))) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++again;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

bool vox_series_match(const char *pattern, const char *description)
{
    if (strpbrk(pattern, "*?"))
        return glob(pattern, description);
    size_t n = strlen(pattern);
    for (; strlen(description) >= n; description++) {
        size_t i = 0;
        while (i < n && lower(pattern[i]) == lower(description[i]))
            i++;
        if (i == n)
            return true;
    }
    return false;
}

static vox_status add_series(vox_patient *p, const char *dir, const char *file, vox_error *err)
{
    vox_dicom_file dicom = {0};
    vox_error bad = {0};
    if (vox_dicom_file_open(&dicom, file, &bad) != VOX_OK) {
        vox_dicom_file_release(&dicom);
        if (!p->problem) /* it matters only if a series turns out to be missing */
            p->problem = vox_format(err, "%s: %s (%s)", file, bad.message, bad.detail);
        return p->problem ? VOX_OK : VOX_ERR_MEMORY;
    }
    char *copy = NULL;
    if (vox_grow(&p->series, &p->capacity, p->count + 1, sizeof *p->series, err))
        copy = vox_strdup(dir, err);
    if (copy) {
        vox_series *s = &p->series[p->count++];
        s->dir = copy;
        s->number = dicom.header.series_number;
        snprintf(s->description, sizeof s->description, "%s", dicom.header.description);
    }
    vox_dicom_file_release(&dicom);
    return copy ? VOX_OK : VOX_ERR_MEMORY;
}

/* A folder with files is a series, told by one of them (a .dcm if there is one). */
static vox_status scan(vox_patient *p, const char *dir, int depth, vox_error *err)
{
    vox_names names = {0};
    char *file = NULL;
    vox_status s = vox_dir_list(&names, dir, err);
    for (size_t i = 0; s == VOX_OK && i < names.count; i++) {
        char *path = names.name[i][0] == '.' ? NULL : vox_path_join(dir, names.name[i], err);
        if (!path) {
            s = names.name[i][0] == '.' ? VOX_OK : VOX_ERR_MEMORY;
        } else if (vox_path_is_dir(path)) {
            if (depth > 0)
                s = scan(p, path, depth - 1, err);
            free(path);
        } else if (!file || (vox_path_ends(path, ".dcm") && !vox_path_ends(file, ".dcm"))) {
            free(file);
            file = path;
        } else {
            free(path);
        }
    }
    if (s == VOX_OK && file)
        s = add_series(p, dir, file, err);
    free(file);
    vox_names_release(&names);
    return s;
}

static int latest_first(const void *a, const void *b)
{
    const vox_series *x = a, *y = b;
    if (x->number != y->number)
        return x->number > y->number ? -1 : 1;
    return strcmp(x->dir, y->dir);
}

vox_status vox_patient_scan(vox_patient *out, const char *dir, const char *id, vox_error *err)
{
    memset(out, 0, sizeof *out);
    out->id = vox_strdup(id, err);
    char *path = out->id ? vox_path_join(dir, id, err) : NULL;
    vox_status s = path ? scan(out, path, DEPTH, err) : VOX_ERR_MEMORY;
    free(path);
    if (out->count > 1)
        qsort(out->series, out->count, sizeof *out->series, latest_first);
    return s;
}

void vox_patient_release(vox_patient *patient)
{
    for (size_t i = 0; i < patient->count; i++)
        free(patient->series[i].dir);
    free(patient->series);
    free(patient->id);
    free(patient->problem);
    memset(patient, 0, sizeof *patient);
}
