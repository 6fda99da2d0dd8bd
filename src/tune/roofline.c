/* roofline.c - a device's ceilings and what kernels reach, as a picture.
 *
 * Points are numbered; the list beside the plot says what they are, so that labels cannot cover
 * each other. */
#include "tune/roofline.h"

#include "base/canvas.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define WIDTH  1500
#define HEIGHT 860
#define LEFT   110 /* of the plot */
#define RIGHT  880
#define TOP    90
#define BOTTOM 760
#define LIST   910 /* left edge of the list */
#define LINE   19  /* of the list, in pixels */

static const vox_colour black = {30, 30, 30}, grey = {120, 120, 120}, light = {225, 225, 225};
static const vox_colour roof_colour = {60, 60, 60};
static const vox_colour colours[] = {{31, 119, 180}, {214, 39, 40},  {44, 140, 44},
                                     {230, 120, 10}, {120, 80, 170}, {0, 150, 160}};
#define COLOURS (sizeof colours / sizeof *colours)

void vox_roofline_release(vox_roofline *r)
{
    free(r->point);
    *r = (vox_roofline){.count = 0};
}

vox_status vox_roofline_add(vox_roofline *r, const char *label, int group, double flops,
                            double bytes, double seconds, vox_error *err)
{
    if (!(flops > 0 && bytes > 0 && seconds > 0))
        return VOX_OK;
    if (!vox_grow(&r->point, &r->capacity, r->count + 1, sizeof *r->point, err))
        return VOX_ERR_MEMORY;
    vox_roof_point *p = &r->point[r->count++];
    *p = (vox_roof_point){
        .flops_per_byte = flops / bytes, .flops_per_s = flops / seconds, .group = group};
    snprintf(p->label, sizeof p->label, "%s", label);
    return VOX_OK;
}

/* ---- axes ---- */

typedef struct plot {
    vox_canvas canvas;
    const vox_roofline *r;
    size_t count;
    double x0, x1, y0, y1; /* decimal logarithms at the edges */
} plot;

static double across(const plot *p, double flops_per_byte)
{
    return LEFT + (log10(flops_per_byte) - p->x0) / (p->x1 - p->x0) * (RIGHT - LEFT);
}

static double up(const plot *p, double flops_per_s)
{
    return BOTTOM - (log10(flops_per_s) - p->y0) / (p->y1 - p->y0) * (BOTTOM - TOP);
}

static double roof(const vox_roofline *r, double flops_per_byte)
{
    return fmin(r->peak, r->copy * flops_per_byte);
}

/* All points and the ridge, with room around. */
static void find_range(plot *p)
{
    const double ridge = p->r->peak / p->r->copy;
    double least_x = ridge / 4, most_x = ridge * 8, least_y = p->r->peak / 30;
    double most_y = p->r->peak;
    for (size_t i = 0; i < p->count; i++) {
        const vox_roof_point *q = &p->r->point[i];
        least_x = fmin(least_x, q->flops_per_byte);
        most_x = fmax(most_x, q->flops_per_byte);
        least_y = fmin(least_y, q->flops_per_s);
        most_y = fmax(most_y, q->flops_per_s);
    }
    p->x0 = log10(least_x) - 0.2;
    p->x1 = log10(most_x) + 0.2;
    p->y0 = log10(least_y) - 0.2;
    p->y1 = log10(most_y) + 0.3;
}

/* 1, 2, 5 times powers of ten as people write them. */
static void tick_text(char text[24], double value)
{
    if (value >= 1e15)
        snprintf(text, 24, "%gP", value * 1e-15);
    else if (value >= 1e12)
        snprintf(text, 24, "%gT", value * 1e-12);
    else if (value >= 1e9)
        snprintf(text, 24, "%gG", value * 1e-9);
    else if (value >= 1e6)
        snprintf(text, 24, "%gM", value * 1e-6);
    else
        snprintf(text, 24, "%g", value);
}

/* Calls for 1, 2, 5 of every decade between the two logarithms. */
static void draw_ticks(plot *p, bool vertical)
{
    static const double steps[] = {1, 2, 5};
    const double low = vertical ? p->y0 : p->x0, high = vertical ? p->y1 : p->x1;
    for (int decade = (int)floor(low); decade <= (int)ceil(high); decade++)
        for (int i = 0; i < 3; i++) {
            const double value = steps[i] * pow(10, decade);
            char text[24];
            if (log10(value) < low || log10(value) > high)
                continue;
            tick_text(text, value);
            const int width = vox_canvas_text_width(text, 2);
            if (vertical) {
                const double y = up(p, value);
                vox_canvas_line(&p->canvas, LEFT, y, RIGHT, y, 1, 0, light);
                vox_canvas_text(&p->canvas, LEFT - 8 - width, (int)y - 8, 2, black, text);
            } else {
                const double x = across(p, value);
                vox_canvas_line(&p->canvas, x, TOP, x, BOTTOM, 1, 0, light);
                vox_canvas_text(&p->canvas, (int)x - width / 2, BOTTOM + 8, 2, black, text);
            }
        }
}

static void draw_frame(plot *p)
{
    static const double corner[5][2] = {
        {LEFT, TOP}, {RIGHT, TOP}, {RIGHT, BOTTOM}, {LEFT, BOTTOM}, {LEFT, TOP}};
    draw_ticks(p, true);
    draw_ticks(p, false);
    for (int i = 0; i < 4; i++)
        vox_canvas_line(&p->canvas, corner[i][0], corner[i][1], corner[i + 1][0], corner[i + 1][1],
                        1, 0, grey);
    vox_canvas_text(&p->canvas, LEFT, 24, 2, black, p->r->title);
    vox_canvas_text(&p->canvas, 16, TOP - 30, 2, black, "flop/s");
    const char *below = "flop per byte that has to move";
    vox_canvas_text(&p->canvas, (LEFT + RIGHT - vox_canvas_text_width(below, 2)) / 2, BOTTOM + 36,
                    2, black, below);
}

static void draw_roof(plot *p)
{
    const vox_roofline *r = p->r;
    const double ridge = r->peak / r->copy, left = pow(10, p->x0), right = pow(10, p->x1);
    const double bottom = pow(10, p->y0) / r->copy; /* where the slope enters the plot */
    const double start = bottom > left ? bottom : left;
    char text[64];
    vox_canvas_line(&p->canvas, across(p, start), up(p, roof(r, start)), across(p, ridge),
                    up(p, r->peak), 2.5, 0, roof_colour);
    vox_canvas_line(&p->canvas, across(p, ridge), up(p, r->peak), across(p, right), up(p, r->peak),
                    2.5, 0, roof_colour);
    vox_canvas_line(&p->canvas, across(p, ridge), up(p, r->peak), across(p, ridge), BOTTOM, 1, 6,
                    grey);
    snprintf(text, sizeof text, "multiply-adds: %.4g GFLOP/s", r->peak * 1e-9);
    vox_canvas_text(&p->canvas, RIGHT - 6 - vox_canvas_text_width(text, 2),
                    (int)up(p, r->peak) - 22, 2, roof_colour, text);
    snprintf(text, sizeof text, "copy: %.3g GB/s", r->copy * 1e-9);
    const int y = (int)up(p, r->peak) - 22, x = (int)across(p, ridge);
    vox_canvas_text(&p->canvas,
                    x - 6 - vox_canvas_text_width(text, 2) < LEFT
                        ? LEFT + 6
                        : x - 6 - vox_canvas_text_width(text, 2),
                    y, 2, roof_colour, text);
}

/* ---- points ---- */

typedef struct box {
    int x, y, width, height;
} box;

static bool meet(const box *a, const box *b)
{
    return a->x < b->x + b->width && b->x < a->x + a->width && a->y < b->y + b->height &&
           b->y < a->y + a->height;
}

/* The first place around the point that is free of other numbers and points; the last if none. */
static box place_number(const plot *p, size_t i, const box *taken, size_t count, const char *text)
{
    static const int around[][2] = {{1, 0},  {0, -1}, {0, 1},   {-1, 0},
                                    {1, -1}, {1, 1},  {-1, -1}, {-1, 1}};
    const vox_roof_point *q = &p->r->point[i];
    const int width = vox_canvas_text_width(text, 2), x = (int)across(p, q->flops_per_byte);
    const int y = (int)up(p, q->flops_per_s);
    box b = {0, 0, width, 16};
    for (int far = 1; far <= 4; far++)
        for (size_t k = 0; k < sizeof around / sizeof *around; k++) {
            const int dx = around[k][0], dy = around[k][1];
            b.x = x - width / 2 + dx * (width / 2 + 2 + 8 * far);
            b.y = y - 8 + dy * (4 + 14 * far);
            bool is_free = b.x > LEFT && b.x + width < RIGHT && b.y > TOP && b.y + 16 < BOTTOM;
            for (size_t j = 0; is_free && j < count; j++)
                is_free = !meet(&b, &taken[j]);
            if (is_free)
                return b;
        }
    return b;
}

static vox_status draw_points(plot *p, vox_error *err)
{
    box *taken = vox_calloc(2 * p->count + 1, sizeof *taken, "a picture", err);
    size_t count = 0;
    if (!taken)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < p->count; i++) {
        const vox_roof_point *q = &p->r->point[i];
        const double x = across(p, q->flops_per_byte), y = up(p, q->flops_per_s);
        vox_canvas_disc(&p->canvas, x, y, 5, colours[(size_t)q->group % COLOURS]);
        taken[count++] = (box){(int)x - 6, (int)y - 6, 12, 12};
    }
    for (size_t i = 0; i < p->count; i++) {
        const vox_roof_point *q = &p->r->point[i];
        char text[24];
        snprintf(text, sizeof text, "%zu", i + 1);
        const box b = place_number(p, i, taken, count, text);
        const double x = across(p, q->flops_per_byte), y = up(p, q->flops_per_s);
        if (hypot(b.x + b.width / 2.0 - x, b.y + 8 - y) > 26)
            vox_canvas_line(&p->canvas, x, y, b.x + b.width / 2.0, b.y + 8, 1, 0, light);
        vox_canvas_text(&p->canvas, b.x, b.y, 2, colours[(size_t)q->group % COLOURS], text);
        taken[count++] = b;
    }
    free(taken);
    return VOX_OK;
}

static void draw_list(plot *p)
{
    int y = TOP - LINE - 6;
    vox_canvas_text(&p->canvas, LIST, y, 2, grey, "   GFLOP/s  of roof");
    for (size_t i = 0; i < p->count; i++) {
        const vox_roof_point *q = &p->r->point[i];
        char text[128];
        y += LINE;
        snprintf(text, sizeof text, "%2zu %7.4g %7.0f%%  %.26s", i + 1, q->flops_per_s * 1e-9,
                 100 * q->flops_per_s / roof(p->r, q->flops_per_byte), q->label);
        vox_canvas_text(&p->canvas, LIST, y, 2, colours[(size_t)q->group % COLOURS], text);
    }
    if (p->r->count > p->count) {
        char text[64];
        snprintf(text, sizeof text, "(%zu more are not drawn)", p->r->count - p->count);
        vox_canvas_text(&p->canvas, LIST, y + LINE, 2, grey, text);
    }
}

vox_status vox_roofline_write(const vox_roofline *r, const char *path, vox_error *err)
{
    plot p = {.r = r, .count = r->count < VOX_ROOF_MOST ? r->count : VOX_ROOF_MOST};
    vox_status s = vox_canvas_init(&p.canvas, WIDTH, HEIGHT, err);
    if (s != VOX_OK)
        return s;
    find_range(&p);
    draw_frame(&p);
    draw_roof(&p);
    s = draw_points(&p, err);
    draw_list(&p);
    if (s == VOX_OK)
        s = vox_canvas_write(&p.canvas, path, err);
    vox_canvas_release(&p.canvas);
    return s;
}
