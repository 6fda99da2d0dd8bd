/* montage.c - slices of a scan with the outline of its mask. */
#include "train/montage.h"

#include "base/canvas.h"
#include "base/file.h"
#include "data/prepare_step.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLICES = 12, GAP = 6, LINE = 20, HEAD = 2 * LINE + GAP, MOST_SAMPLES = 1 << 20 };

static const vox_colour black = {0, 0, 0}, white = {235, 235, 235};

static const vox_colour colours[] = {{255, 64, 64}, {64, 220, 64},   {90, 150, 255},
                                     {255, 210, 0}, {255, 90, 255},  {0, 225, 225},
                                     {255, 140, 0}, {170, 255, 130}, {190, 140, 255}};

static vox_colour colour_of(int64_t class)
{
    return colours[(class - 1) % (int64_t)(sizeof colours / sizeof *colours)];
}

/* The scan turned for looking at: channel 0 the image, channel 1 the mask. */
typedef struct view {
    const vox_montage *m;
    vox_image *turned;
    vox_voxel_map back;       /* to the scan's own voxels */
    int slice, row, column;   /* axes */
    bool rows_up;             /* row 0 is the axis's end */
    int64_t from[2], size[2]; /* rows and columns shown: those that are not all black */
    const char *plane;
    float low, high; /* black and white */
    int64_t at[SLICES];
    int count, columns, width, height; /* slices shown; of a slice in pixels */
    vox_canvas canvas;
} view;

/* ---- turning -------------------------------------------------------------- */

static vox_status turn(view *v, vox_error *err)
{
    const vox_image *im = v->m->image;
    const size_t n = vox_volume_voxels(im);
    vox_status s = vox_volume_alloc(&v->turned, 2, im->size, err);
    if (s != VOX_OK)
        return s;
    vox_image *t = v->turned;
    memcpy(t->voxel, im->voxel, n * sizeof *t->voxel);
    for (size_t i = 0; i < n; i++)
        t->voxel[n + i] = (float)v->m->label[i];
    memcpy(t->spacing_mm, im->spacing_mm, sizeof t->spacing_mm);
    memcpy(t->origin_mm, im->origin_mm, sizeof t->origin_mm);
    memcpy(t->direction, im->direction, sizeof t->direction);
    t->has_geometry = im->has_geometry;
    if (im->has_geometry) /* d upwards, h to the back, w to the left */
        s = vox_volume_reorient(t, "LPS", err);
    return s == VOX_OK ? vox_volume_map(&v->back, t, im, err) : s;
}

static void choose_plane(view *v)
{
    static const char *const plane[] = {"axial, right at the left", "coronal, right at the left",
                                        "sagittal, front at the left"};
    const double *mm = v->turned->spacing_mm;
    for (int a = 1; a < 3; a++)
        if (mm[a] > 1.25 * mm[v->slice])
            v->slice = a;
    v->row = v->slice == 0 ? 1 : 0;
    v->column = v->slice == 2 ? 1 : 2;
    v->rows_up = v->slice != 0;
    v->size[0] = v->turned->size[v->row];
    v->size[1] = v->turned->size[v->column];
    v->plane = v->turned->has_geometry ? plane[v->slice] : "slices along d";
}

static const float *voxel_at(const view *v, int channel, int64_t slice, int64_t row, int64_t column)
{
    const int64_t *n = v->turned->size;
    int64_t at[3];
    at[v->slice] = slice;
    at[v->row] = v->rows_up ? n[v->row] - 1 - v->from[0] - row : v->from[0] + row;
    at[v->column] = v->from[1] + column;
    return v->turned->voxel + ((channel * n[0] + at[0]) * n[1] + at[1]) * n[2] + at[2];
}

/* ---- which slices --------------------------------------------------------- */

static bool has_label(const view *v, int64_t slice)
{
    for (int64_t r = 0; r < v->size[0]; r++)
        for (int64_t c = 0; c < v->size[1]; c++)
            if (*voxel_at(v, 1, slice, r, c) > 0)
                return true;
    return false;
}

static void choose_slices(view *v)
{
    int64_t first = 0, last = v->turned->size[v->slice] - 1;
    while (first < last && !has_label(v, first))
        first++;
    while (last > first && !has_label(v, last))
        last--;
    if (first == last && !has_label(v, first)) { /* no mask */
        first = 0;
        last = v->turned->size[v->slice] - 1;
    }
    const int64_t there = last - first + 1;
    v->count = there < SLICES ? (int)there : SLICES;
    for (int i = 0; i < v->count; i++)
        v->at[i] = first + (2 * i + 1) * there / (2 * v->count);
}

/* ---- values and sizes ----------------------------------------------------- */

static vox_status choose_window(view *v, vox_error *err)
{
    const size_t n = vox_volume_voxels(v->turned), step = n / MOST_SAMPLES + 1;
    size_t count = 0;
    double low, high;
    float *value = vox_calloc(n / step + 1, sizeof *value, "percentiles", err);
    if (!value)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < n; i += step)
        value[count++] = v->turned->voxel[i];
    vox_prepare_percentiles(value, count, 0.5, 99.5, &low, &high);
    if (!(high > low)) { /* nearly all one value: from the least to the largest */
        low = (double)value[0];
        high = (double)value[count - 1];
    }
    free(value);
    v->low = (float)low;
    v->high = high > low ? (float)high : (float)low + 1;
    return VOX_OK;
}

/* Rows and columns without a voxel that shows, in any slice drawn, are cut off, but for a margin.
 */
static void cut_black(view *v)
{
    const float visible = v->low + 0.1f * (v->high - v->low);
    int64_t first[2] = {v->size[0], v->size[1]}, last[2] = {-1, -1};
    for (int i = 0; i < v->count; i++)
        for (int64_t r = 0; r < v->size[0]; r++)
            for (int64_t c = 0; c < v->size[1]; c++) {
                const int64_t at[2] = {r, c};
                if (*voxel_at(v, 0, v->at[i], r, c) <= visible &&
                    *voxel_at(v, 1, v->at[i], r, c) == 0)
                    continue;
                for (int a = 0; a < 2; a++) {
                    first[a] = at[a] < first[a] ? at[a] : first[a];
                    last[a] = at[a] > last[a] ? at[a] : last[a];
                }
            }
    for (int a = 0; a < 2 && last[a] >= 0; a++) {
        const int64_t margin = (last[a] - first[a]) / 20 + 1, end = last[a] + margin + 1;
        v->from[a] = first[a] > margin ? first[a] - margin : 0;
        v->size[a] = (end < v->size[a] ? end : v->size[a]) - v->from[a];
    }
}

static int pixels(double mm, double largest, int most)
{
    const int n = (int)(mm / largest * most + 0.5);
    return n > 8 ? n : 8;
}

static void choose_sizes(view *v)
{
    const vox_image *t = v->turned;
    const double down = (double)v->size[0] * t->spacing_mm[v->row],
                 across = (double)v->size[1] * t->spacing_mm[v->column];
    const int most = v->count == 1 ? 600 : v->count <= 4 ? 400 : 260;
    v->columns = v->count == 1 ? 1 : v->count <= 4 ? 2 : 4;
    v->width = pixels(across, fmax(down, across), most);
    v->height = pixels(down, fmax(down, across), most);
}

/* ---- drawing -------------------------------------------------------------- */

/* A voxel's index and the share of the one after it, for a pixel's centre. */
static int64_t voxel_of(int pixel, int pixels_of, int64_t size, float *share)
{
    const double x = ((double)pixel + 0.5) * (double)size / pixels_of - 0.5;
    const double p = x < 0 ? 0 : x > (double)(size - 1) ? (double)(size - 1) : x;
    const int64_t at = (int64_t)p;
    *share = at + 1 < size ? (float)(p - (double)at) : 0;
    return at;
}

static unsigned char grey_at(const view *v, int64_t slice, int y, int x)
{
    float a, b;
    const int64_t r = voxel_of(y, v->height, v->size[0], &a),
                  c = voxel_of(x, v->width, v->size[1], &b);
    const int64_t r1 = r + (a > 0), c1 = c + (b > 0);
    const float top = *voxel_at(v, 0, slice, r, c) * (1 - b) + *voxel_at(v, 0, slice, r, c1) * b,
                low = *voxel_at(v, 0, slice, r1, c) * (1 - b) + *voxel_at(v, 0, slice, r1, c1) * b;
    const float value = (top * (1 - a) + low * a - v->low) / (v->high - v->low);
    return (unsigned char)(255 * (value > 0 ? (value < 1 ? value : 1) : 0) + 0.5f);
}

/* Outside of the slice 0. */
static int64_t label_at(const view *v, int64_t slice, int y, int x)
{
    if (y < 0 || x < 0 || y >= v->height || x >= v->width)
        return 0;
    return (int64_t)*voxel_at(v, 1, slice, (int64_t)y * v->size[0] / v->height,
                              (int64_t)x * v->size[1] / v->width);
}

static bool on_outline(const view *v, int64_t slice, int y, int x, int64_t label)
{
    return label_at(v, slice, y - 1, x) != label || label_at(v, slice, y + 1, x) != label ||
           label_at(v, slice, y, x - 1) != label || label_at(v, slice, y, x + 1) != label;
}

static void draw_slice(view *v, int64_t slice, int left, int top)
{
    for (int y = 0; y < v->height; y++)
        for (int x = 0; x < v->width; x++) {
            const unsigned char g = grey_at(v, slice, y, x);
            const int64_t label = label_at(v, slice, y, x);
            const bool line = label > 0 && on_outline(v, slice, y, x, label);
            vox_canvas_box(&v->canvas, left + x, top + y, 1, 1,
                           line ? colour_of(label) : (vox_colour){g, g, g});
        }
}

/* "d 57": the slice by the scan's own axis and index. */
static void name_slice(const view *v, int64_t slice, char text[32])
{
    int axis = 0;
    for (int a = 1; a < 3; a++)
        if (fabs(v->back.matrix[a][v->slice]) > fabs(v->back.matrix[axis][v->slice]))
            axis = a;
    /* the other axes' part is 0: a turn only exchanges and reverses */
    const double index = v->back.offset[axis] + v->back.matrix[axis][v->slice] * (double)slice;
    snprintf(text, 32, "%c %.0f", "dhw"[axis], index);
}

static void draw_head(view *v)
{
    const vox_montage *m = v->m;
    const size_t n = vox_volume_voxels(m->image);
    const double ml =
        m->image->spacing_mm[0] * m->image->spacing_mm[1] * m->image->spacing_mm[2] / 1000;
    char text[200];
    int x = GAP;
    snprintf(text, sizeof text, "%s   %s   grey %.4g to %.4g", m->title, v->plane, (double)v->low,
             (double)v->high);
    vox_canvas_text(&v->canvas, GAP, GAP, 1, white, text);
    for (int64_t k = 1; k < m->classes && x < v->canvas.width; k++) {
        int64_t voxels = 0;
        for (size_t i = 0; i < n; i++)
            voxels += m->label[i] == k;
        char number[24]; /* which is what classes without a name of their own are called */
        snprintf(number, sizeof number, "%lld", (long long)k);
        const bool named = (size_t)k < m->names && m->name[k][0] && strcmp(m->name[k], number) != 0;
        snprintf(text, sizeof text, "%lld%s%.40s: %.4g %s", (long long)k, named ? " " : "",
                 named ? m->name[k] : "",
                 m->image->has_geometry ? ml * (double)voxels : (double)voxels,
                 m->image->has_geometry ? "ml" : "voxels");
        vox_canvas_box(&v->canvas, x, LINE + GAP, 10, 9, colour_of(k));
        vox_canvas_text(&v->canvas, x + 14, LINE + GAP, 1, white, text);
        x += 14 + vox_canvas_text_width(text, 1) + 3 * GAP;
    }
}

static vox_status draw(view *v, vox_error *err)
{
    const int rows = (v->count + v->columns - 1) / v->columns;
    const int least = 560; /* for the head */
    const int width = GAP + v->columns * (v->width + GAP);
    vox_status s = vox_canvas_init(&v->canvas, width > least ? width : least,
                                   HEAD + rows * (v->height + LINE), err);
    if (s != VOX_OK)
        return s;
    vox_canvas_box(&v->canvas, 0, 0, v->canvas.width, v->canvas.height, black);
    draw_head(v);
    for (int i = 0; i < v->count; i++) {
        char text[32];
        const int left = GAP + i % v->columns * (v->width + GAP),
                  top = HEAD + i / v->columns * (v->height + LINE);
        draw_slice(v, v->at[i], left, top);
        name_slice(v, v->at[i], text);
        vox_canvas_text(&v->canvas, left, top + v->height + 3, 1, white, text);
    }
    return VOX_OK;
}

vox_status vox_montage_write(const vox_montage *m, const char *path, vox_error *err)
{
    view v = {.m = m};
    vox_status s = turn(&v, err);
    if (s == VOX_OK) {
        choose_plane(&v);
        choose_slices(&v);
        s = choose_window(&v, err);
    }
    if (s == VOX_OK) {
        cut_black(&v);
        choose_sizes(&v);
        s = draw(&v, err);
    }
    if (s == VOX_OK)
        s = vox_canvas_write(&v.canvas, path, err);
    vox_canvas_release(&v.canvas);
    vox_image_free(&v.turned);
    return s;
}
