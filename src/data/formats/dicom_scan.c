/* dicom_scan.c - which series lie in a folder. */
#include "data/formats/dicom_file.h"

#include "base/text.h"
#include "data/formats/image.h"
#include "data/formats/stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEPTH_MAX = 32 };

/* One file of a series, while scanning. */
typedef struct found {
    char *path;
    bool has_place;
    double place; /* along the normal */
} found;

typedef struct group {
    found *file; /* [count] */
    size_t count, capacity;
} group;

typedef struct scanner {
    vox_dicom_list *list;
    group *group; /* beside list->series */
    size_t groups, capacity;
    bool deep;
    vox_error *err;
} scanner;

static double place_of(const vox_dicom_frame *g)
{
    const double *r = g->orientation, *c = r + 3, *p = g->position_mm;
    return p[0] * (r[1] * c[2] - r[2] * c[1]) + p[1] * (r[2] * c[0] - r[0] * c[2]) +
           p[2] * (r[0] * c[1] - r[1] * c[0]);
}

static vox_status new_series(scanner *s, const vox_dicom_header *h)
{
    vox_dicom_list *l = s->list;
    if (!vox_grow(&l->series, &l->capacity, l->count + 1, sizeof *l->series, s->err) ||
        !vox_grow(&s->group, &s->capacity, s->groups + 1, sizeof *s->group, s->err))
        return VOX_ERR_MEMORY;
    vox_dicom_series *to = &l->series[l->count++];
    s->groups++;
    snprintf(to->uid, sizeof to->uid, "%s", h->series_uid);
    snprintf(to->description, sizeof to->description, "%s", h->description);
    snprintf(to->patient_id, sizeof to->patient_id, "%s", h->patient_id);
    snprintf(to->modality, sizeof to->modality, "%s", h->modality);
    to->number = h->series_number;
    to->rows = h->rows;
    to->columns = h->columns;
    return VOX_OK;
}

static vox_status add_file(scanner *s, const char *path, const vox_dicom_file *f)
{
    const vox_dicom_header *h = &f->header;
    size_t i = s->groups; /* files of a series mostly follow each other: the last one first */
    while (i > 0 && strcmp(s->list->series[i - 1].uid, h->series_uid) != 0)
        i--;
    if (i == 0) {
        vox_status status = new_series(s, h);
        if (status != VOX_OK)
            return status;
        i = s->groups;
    }
    group *g = &s->group[i - 1];
    if (!vox_grow(&g->file, &g->capacity, g->count + 1, sizeof *g->file, s->err))
        return VOX_ERR_MEMORY;
    found *to = &g->file[g->count];
    to->path = vox_strdup(path, s->err);
    if (!to->path)
        return VOX_ERR_MEMORY;
    g->count++;
    to->has_place = h->frame[0].has_position && h->frame[0].has_orientation;
    to->place = to->has_place ? place_of(&h->frame[0]) : 0;
    s->list->series[i - 1].frames += h->frames;
    return VOX_OK;
}

static vox_status note_bad(scanner *s, const vox_error *why)
{
    char *line = vox_format(s->err, "%s: %s", why->message, why->detail);
    vox_status status = line ? vox_names_add(&s->list->bad, line, s->err) : VOX_ERR_MEMORY;
    free(line);
    return status;
}

static bool may_be_dicom(const char *path)
{
    unsigned char head[VOX_SNIFF_BYTES];
    FILE *f = fopen(path, "rbe");
    size_t n = f ? fread(head, 1, sizeof head, f) : 0;
    if (f)
        fclose(f);
    return vox_dicom_is(head, n) || vox_dicom_looks(head, n) || vox_path_ends(path, ".dcm") ||
           vox_path_ends(path, ".ima");
}

static vox_status scan_file(scanner *s, const char *path)
{
    vox_dicom_file file;
    vox_error why = {0};
    if (!may_be_dicom(path))
        return VOX_OK;
    vox_status status = vox_dicom_file_open(&file, path, &why);
    if (status == VOX_ERR_MEMORY)
        return vox_fail_full(s->err, why.code, why.message, why.detail, why.hint);
    if (status != VOX_OK)
        return note_bad(s, &why);
    if (file.outline.pixel_kind)
        status = add_file(s, path, &file);
    vox_dicom_file_release(&file);
    return status;
}

static vox_status scan_dir(scanner *s, const char *dir, int depth)
{
    vox_names names;
    vox_status status = vox_dir_list(&names, dir, s->err);
    if (status != VOX_OK)
        return status;
    for (size_t i = 0; status == VOX_OK && i < names.count; i++) {
        struct stat st;
        char *path = vox_path_join(dir, names.name[i], s->err);
        if (!path)
            status = VOX_ERR_MEMORY;
        else if (stat(path, &st) != 0)
            status = VOX_OK; /* a dangling link, or a file just removed */
        else if (S_ISDIR(st.st_mode) && s->deep && depth < DEPTH_MAX)
            status = scan_dir(s, path, depth + 1);
        else if (S_ISREG(st.st_mode))
            status = scan_file(s, path);
        free(path);
    }
    vox_names_release(&names);
    return status;
}

static int by_place(const void *a, const void *b)
{
    const found *p = a, *q = b;
    if (p->place != q->place)
        return p->place < q->place ? -1 : 1;
    return strcmp(p->path, q->path);
}

/* Hands the files over to the list, in order. */
static vox_status finish(scanner *s)
{
    vox_status status = VOX_OK;
    for (size_t i = 0; i < s->groups; i++) {
        group *g = &s->group[i];
        bool placed = true;
        for (size_t k = 0; k < g->count; k++)
            placed = placed && g->file[k].has_place;
        if (placed && g->count > 1)
            qsort(g->file, g->count, sizeof *g->file, by_place);
        for (size_t k = 0; k < g->count; k++) {
            if (status == VOX_OK)
                status = vox_names_add(&s->list->series[i].files, g->file[k].path, s->err);
            free(g->file[k].path);
        }
        free(g->file);
    }
    free(s->group);
    return status;
}

vox_status vox_dicom_scan(vox_dicom_list *out, const char *dir, bool deep, vox_error *err)
{
    scanner s = {.list = out, .deep = deep, .err = err};
    memset(out, 0, sizeof *out);
    vox_status status = scan_dir(&s, dir, 0);
    vox_status handed = finish(&s);
    if (status == VOX_OK)
        status = handed;
    if (status != VOX_OK)
        vox_dicom_list_release(out);
    return status;
}

void vox_dicom_list_release(vox_dicom_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        vox_names_release(&list->series[i].files);
    free(list->series);
    vox_names_release(&list->bad);
    memset(list, 0, sizeof *list);
}

/* ---- one series of a folder ---- */

/* The one with that UID, else that description, else that number. */
static const vox_dicom_series *find(const vox_dicom_list *list, const char *name, size_t *matches)
{
    const vox_dicom_series *hit = NULL;
    for (int by = 0; by < 3 && !hit; by++) {
        *matches = 0;
        for (size_t i = 0; i < list->count; i++) {
            const vox_dicom_series *s = &list->series[i];
            int64_t number;
            bool match = by == 0   ? strcmp(s->uid, name) == 0
                         : by == 1 ? strcmp(s->description, name) == 0
                                   : vox_parse_i64(name, &number) && s->number == number;
            if (match) {
                hit = s;
                ++*matches;
            }
        }
    }
    return hit;
}

static vox_status fail_choice(vox_error *err, const vox_dicom_list *list, const char *dir,
                              const char *message)
{
    vox_str text = {0};
    for (size_t i = 0; i < list->count; i++) {
        const vox_dicom_series *s = &list->series[i];
        vox_str_add(&text, "%s%lld \"%s\" %zu files %s", i ? ", " : "", (long long)s->number,
                    s->description, s->files.count, s->uid);
    }
    size_t n = strlen(dir);
    vox_fail(err, VOX_ERR_INPUT, "%s", message);
    vox_detail(err, "%s: %s", n > 100 ? dir + n - 100 : dir, text.text ? text.text : "");
    vox_hint(err, "name one by its number, description or UID behind the folder, as in %.60s#%lld",
             n > 60 ? "DIR" : dir, (long long)list->series[0].number);
    vox_str_release(&text);
    return VOX_ERR_INPUT;
}

static vox_status choose(const vox_dicom_series **out, const vox_dicom_list *list, const char *dir,
                         const char *name, vox_error *err)
{
    char message[96];
    size_t matches = list->count;
    if (list->bad.count) {
        vox_fail(err, VOX_ERR_INPUT, "%zu DICOM file%s cannot be read", list->bad.count,
                 list->bad.count == 1 ? "" : "s");
        vox_detail(err, "%s", list->bad.name[0]);
        return VOX_ERR_INPUT;
    }
    if (list->count == 0) {
        vox_fail(err, VOX_ERR_INPUT, "the folder holds no DICOM images");
        vox_detail(err, "%s", dir);
        vox_hint(err, "folders within it are not searched: name the series' own folder");
        return VOX_ERR_INPUT;
    }
    *out = name ? find(list, name, &matches) : &list->series[0];
    if (matches == 1)
        return VOX_OK;
    snprintf(message, sizeof message,
             name ? "the folder holds %zu such DICOM series" : "the folder holds %zu DICOM series",
             matches);
    return fail_choice(err, list, dir, message);
}

vox_status vox_dicom_read_dir(vox_image **out, const char *dir, const char *name, vox_error *err)
{
    vox_dicom_list list;
    const vox_dicom_series *series = NULL;
    *out = NULL;
    vox_status s = vox_dicom_scan(&list, dir, false, err);
    if (s != VOX_OK)
        return s;
    s = choose(&series, &list, dir, name, err);
    if (s == VOX_OK)
        s = vox_dicom_read_files(out, &series->files, err);
    vox_dicom_list_release(&list);
    return s;
}
