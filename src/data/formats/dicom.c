/* dicom.c - DICOM files become a volume: ordered by position, checked for gaps.
 *
 * Invariant: InstanceNumber and names never decide where a slice goes, once there are positions. */
#include "data/formats/dicom_file.h"

#include "data/formats/image.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define KIND "DICOM"

typedef struct slice {
    size_t file, frame;
    const vox_dicom_frame *geometry;
    double along; /* position . normal, mm */
} slice;

typedef struct stack {
    const char *where; /* the folder or file, for messages */
    vox_dicom_file *file;
    size_t files;
    slice *slice; /* [slices], in order */
    size_t slices;
    size_t places; /* different positions; slices / places become channels */
    double normal[3];
    double step[3]; /* from one place to the next, mm */
} stack;

static vox_status bad_series(vox_error *err, const stack *st, const char *message, const char *fmt,
                             ...) VOX_PRINTF(4, 5);

static vox_status bad_series(vox_error *err, const stack *st, const char *message, const char *fmt,
                             ...)
{
    char facts[300];
    va_list args;
    va_start(args, fmt);
    vsnprintf(facts, sizeof facts, fmt, args);
    va_end(args);
    size_t n = strlen(st->where);
    vox_fail(err, VOX_ERR_INPUT, "%s", message);
    vox_detail(err, "%s: %s", n > 160 ? st->where + n - 160 : st->where, facts);
    return VOX_ERR_INPUT;
}

/* "IM-0007.dcm" or "IM-0007.dcm frame 3". */
static const char *name_of(const stack *st, const slice *s, char text[96])
{
    const vox_dicom_file *f = &st->file[s->file];
    if (f->header.frames > 1)
        snprintf(text, 96, "%.70s frame %zu", vox_path_base(f->path), s->frame + 1);
    else
        snprintf(text, 96, "%.90s", vox_path_base(f->path));
    return text;
}

/* ---- alike ---- */

static bool near3(const double *a, const double *b, int n, double tolerance)
{
    for (int i = 0; i < n; i++)
        if (!(fabs(a[i] - b[i]) <= tolerance))
            return false;
    return true;
}

static vox_status check_file_alike(const stack *st, const vox_dicom_file *a,
                                   const vox_dicom_file *b, vox_error *err)
{
    const char *one = vox_path_base(a->path), *two = vox_path_base(b->path);
    if (strcmp(a->header.series_uid, b->header.series_uid) != 0)
        return bad_series(err, st, "files of different DICOM series",
                          "%.60s is of \"%.40s\", %.60s of \"%.40s\"", one, a->header.description,
                          two, b->header.description);
    if (a->layout.rows != b->layout.rows || a->layout.columns != b->layout.columns ||
        vox_dicom_file_channels(a) != vox_dicom_file_channels(b))
        return bad_series(err, st, "DICOM slices of different size",
                          "%.60s has %lld x %lld x %lld, %.60s %lld x %lld x %lld", one,
                          (long long)a->layout.rows, (long long)a->layout.columns,
                          (long long)vox_dicom_file_channels(a), two, (long long)b->layout.rows,
                          (long long)b->layout.columns, (long long)vox_dicom_file_channels(b));
    return VOX_OK;
}

static vox_status check_slice_alike(const stack *st, const slice *a, const slice *b, vox_error *err)
{
    char one[96], two[96];
    const vox_dicom_frame *p = a->geometry, *q = b->geometry;
    name_of(st, a, one);
    name_of(st, b, two);
    if (!q->has_position || !q->has_orientation)
        return bad_series(err, st, "DICOM slice without a position",
                          "%s has no ImagePositionPatient or ImageOrientationPatient", two);
    if (!near3(p->orientation, q->orientation, 6, 1e-3))
        return bad_series(err, st, "DICOM slice of another orientation",
                          "%s has ImageOrientationPatient %g\\%g\\%g\\%g\\%g\\%g, %s another one",
                          one, p->orientation[0], p->orientation[1], p->orientation[2],
                          p->orientation[3], p->orientation[4], p->orientation[5], two);
    if (p->has_spacing != q->has_spacing ||
        (p->has_spacing && !near3(p->spacing_mm, q->spacing_mm, 2, 1e-3 * p->spacing_mm[0])))
        return bad_series(err, st, "DICOM slices of different PixelSpacing",
                          "%s has %g\\%g, %s %g\\%g", one, p->spacing_mm[0], p->spacing_mm[1], two,
                          q->spacing_mm[0], q->spacing_mm[1]);
    return VOX_OK;
}

/* ---- order ---- */

static void cross(const double a[3], const double b[3], double out[3])
{
    for (int i = 0; i < 3; i++)
        out[i] = a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3];
}

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* Row and column must be unit vectors at right angles, as far as decimal strings can say. */
static vox_status set_normal(stack *st, vox_error *err)
{
    const double *row = st->slice[0].geometry->orientation, *column = row + 3;
    cross(row, column, st->normal);
    if (fabs(dot(row, row) - 1) < 1e-2 && fabs(dot(column, column) - 1) < 1e-2 &&
        fabs(dot(row, column)) < 1e-2)
        return VOX_OK;
    return bad_series(err, st, "bad DICOM orientation",
                      "ImageOrientationPatient is %g\\%g\\%g\\%g\\%g\\%g, not two unit vectors at "
                      "right angles",
                      row[0], row[1], row[2], column[0], column[1], column[2]);
}

static int by_place(const void *a, const void *b)
{
    const slice *p = a, *q = b;
    return p->along < q->along ? -1 : p->along > q->along;
}

static int by_origin(const void *a, const void *b)
{
    const slice *p = a, *q = b;
    if (p->file != q->file)
        return p->file < q->file ? -1 : 1;
    return p->frame < q->frame ? -1 : p->frame > q->frame;
}

/* The slices from `from` on that lie at one place (closer than a micrometre), put into the order
 * of files and frames; returns the first that does not belong to them. */
static size_t one_place(stack *st, size_t from)
{
    size_t to = from + 1;
    while (to < st->slices && st->slice[to].along - st->slice[from].along < 1e-3)
        to++;
    qsort(st->slice + from, to - from, sizeof *st->slice, by_origin);
    return to;
}

/* Several slices at one place: channels in one multi-frame file, otherwise a complaint. */
static vox_status count_places(stack *st, vox_error *err)
{
    char one[96], two[96];
    size_t first = 0, twin = st->slices;
    bool even = true;
    st->places = 0;
    for (size_t from = 0, to; from < st->slices; from = to) {
        to = one_place(st, from);
        if (from == 0)
            first = to;
        even = even && to - from == first;
        if (to - from > 1 && twin == st->slices)
            twin = from;
        st->places++;
    }
    if (twin == st->slices || (even && st->files == 1))
        return VOX_OK;
    if (even)
        bad_series(err, st, "several volumes in one DICOM series",
                   "%zu files lie at %zu positions, %zu at each (b-values, echoes or times)",
                   st->slices, st->places, first);
    else
        bad_series(err, st, "duplicate slice in DICOM series", "%s and %s lie at the same place",
                   name_of(st, &st->slice[twin], one), name_of(st, &st->slice[twin + 1], two));
    return vox_hint(err, "keep one file for each position in a folder of its own");
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The usual distance from one place to the next: the median, so that one gap does not hide. */
static vox_status median_gap(const stack *st, double *gap, vox_error *err)
{
    size_t n = 0, each = st->slices / st->places;
    double *gaps = vox_calloc(st->places, sizeof *gaps, "gaps", err);
    if (!gaps)
        return VOX_ERR_MEMORY;
    for (size_t i = each; i < st->slices; i += each)
        gaps[n++] = st->slice[i].along - st->slice[i - each].along;
    qsort(gaps, n, sizeof *gaps, by_value);
    *gap = gaps[n / 2];
    if (n == 2) /* of two, the smaller is the spacing and the larger the gap */
        *gap = gaps[0];
    free(gaps);
    return VOX_OK;
}

/* Positions are rounded when written: 5 % of the spacing is no gap yet. */
static vox_status check_gaps(stack *st, vox_error *err)
{
    char one[96], two[96];
    double usual;
    size_t each = st->slices / st->places;
    vox_status s = median_gap(st, &usual, err);
    for (size_t i = each; s == VOX_OK && i < st->slices; i += each) {
        const slice *a = &st->slice[i - each], *b = &st->slice[i];
        double gap = b->along - a->along;
        if (fabs(gap - usual) <= 0.05 * usual + 0.01)
            continue;
        s = bad_series(err, st, "DICOM series with a gap",
                       "%.4g mm between %s and %s, elsewhere %.4g mm", gap, name_of(st, a, one),
                       name_of(st, b, two), usual);
        vox_hint(err, "a slice is missing, or the slices are not evenly spaced");
    }
    return s;
}

/* The line from the first to the last position must pass through the others: a sheared stack (a
 * tilted gantry) is a volume, a bent one is not. */
static vox_status check_line(stack *st, vox_error *err)
{
    char text[96];
    size_t each = st->slices / st->places;
    const double *first = st->slice[0].geometry->position_mm;
    const double *last = st->slice[st->slices - 1].geometry->position_mm;
    for (int i = 0; i < 3; i++)
        st->step[i] = (last[i] - first[i]) / (double)(st->places - 1);
    double length = sqrt(dot(st->step, st->step));
    for (size_t i = 0; i < st->slices; i++) {
        double want[3];
        for (int k = 0; k < 3; k++)
            want[k] = first[k] + (double)(i / each) * st->step[k];
        if (!near3(want, st->slice[i].geometry->position_mm, 3, 0.1 * length + 0.01))
            return bad_series(err, st, "DICOM slices not on one line",
                              "%s lies beside the line from the first slice to the last",
                              name_of(st, &st->slice[i], text));
    }
    return VOX_OK;
}

static vox_status order(stack *st, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t i = 0; s == VOX_OK && i < st->slices; i++)
        s = check_slice_alike(st, &st->slice[0], &st->slice[i], err);
    if (s == VOX_OK)
        s = set_normal(st, err);
    if (s != VOX_OK)
        return s;
    for (size_t i = 0; i < st->slices; i++)
        st->slice[i].along = dot(st->slice[i].geometry->position_mm, st->normal);
    qsort(st->slice, st->slices, sizeof *st->slice, by_place);
    s = count_places(st, err);
    if (s == VOX_OK && st->places == 1) /* frames in time: a stack in the file's order */
        st->places = st->slices;
    else if (s == VOX_OK && st->places > 1) {
        s = check_gaps(st, err);
        if (s == VOX_OK)
            s = check_line(st, err);
    }
    return s;
}

/* ---- the image ---- */

static double thickness(const stack *st)
{
    double mm = st->slice[0].geometry->between_mm;
    return mm > 0 ? mm : 1;
}

static vox_status set_geometry(const stack *st, vox_image *image, vox_error *err)
{
    const vox_dicom_frame *g = st->slice[0].geometry;
    static const double identity[6] = {1, 0, 0, 0, 1, 0};
    const double *axes = g->has_orientation ? g->orientation : identity;
    double normal[3], step[3], mm[2] = {1, 1};
    cross(axes, axes + 3, normal);
    for (int i = 0; i < 2 && g->has_spacing; i++)
        mm[i] = g->spacing_mm[i];
    if (!(mm[0] > 0) || !(mm[1] > 0))
        return bad_series(err, st, "bad DICOM spacing", "PixelSpacing is %g\\%g", mm[0], mm[1]);
    bool moving = dot(st->step, st->step) > 0;
    for (int i = 0; i < 3; i++)
        step[i] = moving ? st->step[i] : normal[i];
    vox_image_set_axis(image, 0, step);
    vox_image_set_axis(image, 1, axes + 3);
    vox_image_set_axis(image, 2, axes);
    if (!moving)
        image->spacing_mm[0] = thickness(st);
    image->spacing_mm[1] = mm[0];
    image->spacing_mm[2] = mm[1];
    for (int i = 0; i < 3 && g->has_position; i++)
        image->origin_mm[i] = g->position_mm[i];
    image->has_geometry = g->has_position || g->has_spacing || g->between_mm > 0;
    return VOX_OK;
}

/* Where the frames of one file go. */
typedef struct target {
    const stack *st;
    vox_image *image;
    size_t file;
    size_t *place; /* [frames of this file]: its index in st->slice */
} target;

static float *place_of(void *user, size_t frame)
{
    const target *t = user;
    size_t each = t->st->slices / t->st->places, i = t->place[frame];
    size_t channels = (size_t)t->image->channels / each, depth = (size_t)t->image->size[0];
    size_t plane = (size_t)(t->image->size[1] * t->image->size[2]);
    return t->image->voxel + ((i % each) * channels * depth + i / each) * plane;
}

static vox_status decode_all(const stack *st, vox_image *image, vox_error *err)
{
    size_t stride = (size_t)(image->size[0] * image->size[1] * image->size[2]);
    size_t *place = vox_calloc(st->slices, sizeof *place, "an order", err);
    vox_status s = place ? VOX_OK : VOX_ERR_MEMORY;
    size_t *first = place ? vox_calloc(st->files + 1, sizeof *first, "an order", err) : NULL;
    if (place && !first)
        s = VOX_ERR_MEMORY;
    for (size_t i = 0; s == VOX_OK && i < st->files; i++)
        first[i + 1] = first[i] + (size_t)st->file[i].header.frames;
    for (size_t i = 0; s == VOX_OK && i < st->slices; i++)
        place[first[st->slice[i].file] + st->slice[i].frame] = i;
    for (size_t i = 0; s == VOX_OK && i < st->files; i++) {
        target t = {st, image, i, place + first[i]};
        s = vox_dicom_file_decode(&st->file[i], place_of, &t, stride, err);
    }
    free(first);
    free(place);
    return s;
}

/* Every pixel takes a bit at least, compressed ones much less; the files were checked already. */
static vox_status make_image(vox_image **out, const stack *st, vox_error *err)
{
    const vox_dicom_file *f = &st->file[0];
    const int64_t size[3] = {(int64_t)st->places, f->layout.rows, f->layout.columns};
    int64_t channels = vox_dicom_file_channels(f) * (int64_t)(st->slices / st->places);
    vox_status s = vox_image_make(out, channels, size, 0, 0, &vox_format_dicom,
                                  vox_dicom_file_type(f), st->where, err);
    if (s == VOX_OK)
        s = set_geometry(st, *out, err);
    if (s == VOX_OK)
        s = decode_all(st, *out, err);
    if (s != VOX_OK)
        vox_image_free(out);
    return s;
}

static vox_status make_slices(stack *st, vox_error *err)
{
    for (size_t i = 0; i < st->files; i++)
        st->slices += (size_t)st->file[i].header.frames;
    st->slice = vox_calloc(st->slices, sizeof *st->slice, "slices", err);
    size_t n = 0;
    for (size_t i = 0; st->slice && i < st->files; i++)
        for (size_t k = 0; k < (size_t)st->file[i].header.frames; k++)
            st->slice[n++] = (slice){i, k, &st->file[i].header.frame[k], 0};
    st->places = st->slices;
    return st->slice ? VOX_OK : VOX_ERR_MEMORY;
}

static vox_status assemble(vox_image **out, stack *st, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t i = 1; s == VOX_OK && i < st->files; i++)
        s = check_file_alike(st, &st->file[0], &st->file[i], err);
    if (s == VOX_OK)
        s = make_slices(st, err);
    if (s != VOX_OK)
        return s;
    const vox_dicom_frame *g = st->slice[0].geometry;
    bool lies_somewhere = g->has_position && g->has_orientation;
    if (st->files > 1 || lies_somewhere) /* one file without geometry: frames as they come */
        s = order(st, err);
    return s == VOX_OK ? make_image(out, st, err) : s;
}

static vox_status open_all(stack *st, const vox_names *files, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t i = 0; s == VOX_OK && i < files->count; i++) {
        s = vox_dicom_file_open(&st->file[i], files->name[i], err);
        if (s != VOX_OK)
            return s;
        st->files++;
        if (!st->file[i].outline.pixel_kind)
            s = vox_image_bad(err, KIND, files->name[i], "it holds no image");
    }
    return s;
}

vox_status vox_dicom_read_files(vox_image **out, const vox_names *files, vox_error *err)
{
    stack st = {0};
    *out = NULL;
    if (files->count == 0)
        return vox_fail_full(err, VOX_ERR_USAGE, "no DICOM files are named", NULL, NULL);
    char *dir =
        files->count > 1 ? vox_path_dir(files->name[0], err) : vox_strdup(files->name[0], err);
    st.where = dir;
    st.file = dir ? vox_calloc(files->count, sizeof *st.file, "DICOM files", err) : NULL;
    vox_status s = st.file ? open_all(&st, files, err) : VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = assemble(out, &st, err);
    for (size_t i = 0; i < st.files; i++)
        vox_dicom_file_release(&st.file[i]);
    free(st.file);
    free(st.slice);
    free(dir);
    return s;
}

static vox_status dicom_read(vox_image **out, const char *path, vox_error *err)
{
    vox_names one = {0};
    vox_status s = vox_names_add(&one, path, err);
    *out = NULL;
    if (s == VOX_OK)
        s = vox_dicom_read_files(out, &one, err);
    vox_names_release(&one);
    return s;
}

static bool dicom_sniff(const unsigned char *head, size_t n, const char *path)
{
    (void)path;
    return vox_dicom_is(head, n);
}

static bool dicom_guess(const unsigned char *head, size_t n, const char *path)
{
    (void)path;
    return vox_dicom_looks(head, n);
}

static const char *const endings[] = {".dcm", ".ima", ".dicom", NULL};
const vox_file_format vox_format_dicom = {"dicom",    dicom_sniff, dicom_guess, endings,
                                          dicom_read, NULL,        NULL};
