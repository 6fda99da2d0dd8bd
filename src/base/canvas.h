/* canvas.h - a small picture to draw lines, discs and text on, written as PNG.
 *
 * Coordinates are pixels from the upper left corner; what lies outside is not drawn. */
#ifndef VOX_BASE_CANVAS_H
#define VOX_BASE_CANVAS_H

#include "base/error.h"

typedef struct vox_canvas {
    int width, height;
    unsigned char *rgb; /* [height][width][3]; owned */
} vox_canvas;

typedef struct vox_colour {
    unsigned char r, g, b;
} vox_colour;

/* White. */
vox_status vox_canvas_init(vox_canvas *c, int width, int height, vox_error *err);
void vox_canvas_release(vox_canvas *c);

/* dash: pixels on and off in turns; 0: none. */
void vox_canvas_line(vox_canvas *c, double x0, double y0, double x1, double y1, double thickness,
                     double dash, vox_colour colour);
void vox_canvas_disc(vox_canvas *c, double x, double y, double radius, vox_colour colour);
void vox_canvas_box(vox_canvas *c, int x, int y, int width, int height, vox_colour colour);
/* Letters of 5 x 8 pixels in cells of 6 x 9, times scale; (x, y) is the first one's upper left
 * corner.  ASCII; other bytes are drawn as '?'. */
void vox_canvas_text(vox_canvas *c, int x, int y, int scale, vox_colour colour, const char *text);
int vox_canvas_text_width(const char *text, int scale);

/* VOX_ERR_UNSUPPORTED in a build without libpng. */
vox_status vox_canvas_write(const vox_canvas *c, const char *path, vox_error *err);

#endif
