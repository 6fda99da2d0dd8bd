/* scaling_picture.c - figures over the number of devices, beside each other. */
#include "base/canvas.h"
#include "base/mem.h"
#include "train/scaling.h"

#include <math.h>
#include <stdio.h>

enum {
    PANELS = 3,
    PANEL = 520, /* width */
    HEIGHT = 500,
    LEFT = 76, /* of the axes in a panel */
    RIGHT = 500,
    TOP = 96,
    BOTTOM = 410
};

static const vox_colour black = {30, 30, 30}, grey = {120, 120, 120}, light = {225, 225, 225},
                        white = {255, 255, 255};
static const vox_colour colours[] = {{31, 119, 180}, {214, 39, 40}, {44, 140, 44}, {230, 120, 10}};

vox_status vox_scaling_dot_add(vox_scaling_panel *p, int series, double devices, double value,
                               bool predicted, vox_error *err)
{
    if (!vox_grow(&p->dot, &p->capacity, p->count + 1, sizeof *p->dot, err))
        return VOX_ERR_MEMORY;
    p->dot[p->count++] = (vox_scaling_dot){devices, value, series, predicted};
    return VOX_OK;
}

/* One panel's axes: devices on powers of two. */
typedef struct axes {
    vox_canvas *canvas;
    const vox_scaling_panel *p;
    int x0; /* left edge of the panel */
    double right,
        high; /* binary logarithm of the most devices; likewise of values, or the highest */
} axes;

static double across(const axes *a, double devices)
{
    return a->x0 + LEFT + log2(devices) / a->right * (RIGHT - LEFT);
}

static double up(const axes *a, double value)
{
    double share = value / a->high;
    if (a->p->ideal)
        share = value > 0 ? log2(value) / a->high : 0;
    share = share < -0.02 ? -0.02 : share;
    return BOTTOM - share * (BOTTOM - TOP);
}

static void find_range(axes *a)
{
    double most = 2;
    for (size_t i = 0; i < a->p->count; i++)
        most = a->p->dot[i].devices > most ? a->p->dot[i].devices : most;
    a->right = ceil(log2(most));
    a->high = a->p->ideal ? a->right : 1;
}

static void draw_tick(const axes *a, double value, bool vertical)
{
    char text[32];
    snprintf(text, sizeof text, "%.4g", value);
    const int width = vox_canvas_text_width(text, 1);
    if (vertical) {
        const double y = up(a, value);
        vox_canvas_line(a->canvas, a->x0 + LEFT, y, a->x0 + RIGHT, y, 1, 0, light);
        vox_canvas_text(a->canvas, a->x0 + LEFT - 6 - width, (int)y - 4, 1, black, text);
    } else {
        const double x = across(a, value);
        vox_canvas_line(a->canvas, x, TOP, x, BOTTOM, 1, 0, light);
        vox_canvas_text(a->canvas, (int)x - width / 2, BOTTOM + 8, 1, black, text);
    }
}

static void draw_axes(const axes *a)
{
    for (int k = 0; k <= (int)a->right; k++)
        draw_tick(a, exp2(k), false);
    for (int k = 0; k <= (a->p->ideal ? (int)a->right : 10); k++)
        draw_tick(a, a->p->ideal ? exp2(k) : k / 10.0, true);
    const double l = a->x0 + LEFT, r = a->x0 + RIGHT;
    const double corner[5][2] = {{l, TOP}, {r, TOP}, {r, BOTTOM}, {l, BOTTOM}, {l, TOP}};
    for (int i = 0; i < 4; i++)
        vox_canvas_line(a->canvas, corner[i][0], corner[i][1], corner[i + 1][0], corner[i + 1][1],
                        1, 0, grey);
    vox_canvas_text(a->canvas, a->x0 + LEFT, TOP - 28, 2, black, a->p->title);
    vox_canvas_text(a->canvas, a->x0 + (LEFT + RIGHT - vox_canvas_text_width(a->p->across, 1)) / 2,
                    BOTTOM + 24, 1, black, a->p->across);
    if (a->p->ideal)
        vox_canvas_line(a->canvas, across(a, 1), up(a, 1), across(a, exp2(a->right)),
                        up(a, exp2(a->right)), 1, 6, grey);
}

/* From dot to dot; to a predicted one dashed. */
static void draw_series(const axes *a, int series)
{
    const vox_scaling_dot *last = NULL;
    const vox_colour colour = colours[series];
    for (size_t i = 0; i < a->p->count; i++) {
        const vox_scaling_dot *d = &a->p->dot[i];
        if (d->series != series || !isfinite(d->value))
            continue;
        if (last)
            vox_canvas_line(a->canvas, across(a, last->devices), up(a, last->value),
                            across(a, d->devices), up(a, d->value), 1.5, d->predicted ? 5 : 0,
                            colour);
        last = d;
    }
    for (size_t i = 0; i < a->p->count; i++) {
        const vox_scaling_dot *d = &a->p->dot[i];
        if (d->series != series || !isfinite(d->value))
            continue;
        vox_canvas_disc(a->canvas, across(a, d->devices), up(a, d->value), 4.5, colour);
        if (d->predicted)
            vox_canvas_disc(a->canvas, across(a, d->devices), up(a, d->value), 2.8, white);
    }
}

static void draw_panel(vox_canvas *canvas, const vox_scaling_panel *p, int x0)
{
    axes a = {.canvas = canvas, .p = p, .x0 = x0};
    int x = x0 + LEFT;
    find_range(&a);
    draw_axes(&a);
    for (int series = 0; series < 4; series++) {
        if (!p->series[series])
            continue;
        draw_series(&a, series);
        vox_canvas_disc(canvas, x + 4, BOTTOM + 52, 4.5, colours[series]);
        vox_canvas_text(canvas, x + 14, BOTTOM + 48, 1, black, p->series[series]);
        x += 14 + vox_canvas_text_width(p->series[series], 1) + 16;
    }
    if (p->count == 0)
        vox_canvas_text(canvas, x0 + (LEFT + RIGHT - vox_canvas_text_width(p->nothing, 1)) / 2,
                        (TOP + BOTTOM) / 2, 1, grey, p->nothing);
}

vox_status vox_scaling_draw(const vox_scaling_panel panel[3], const char *title, const char *path,
                            vox_error *err)
{
    vox_canvas canvas;
    vox_status s = vox_canvas_init(&canvas, PANELS * PANEL, HEIGHT, err);
    if (s != VOX_OK)
        return s;
    vox_canvas_text(&canvas, LEFT, 16, 2, black, title);
    vox_canvas_text(
        &canvas, LEFT, 40, 1, grey,
        "full dots: measured; hollow dots on dashed lines: predicted by the cost model");
    for (int i = 0; i < PANELS; i++)
        draw_panel(&canvas, &panel[i], i * PANEL);
    s = vox_canvas_write(&canvas, path, err);
    vox_canvas_release(&canvas);
    return s;
}
