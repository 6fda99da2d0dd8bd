/* roofline.h - a device's ceilings and what kernels reach, as a picture.
 *
 * Across: operations for each byte that has to move; up: operations per second.  No kernel comes
 * above min(peak, bytes per second * across): to the left of the ridge memory is its ceiling, to
 * the right arithmetic.  (Williams, Waterman and Patterson, "Roofline", 2009.) */
#ifndef VOX_TUNE_ROOFLINE_H
#define VOX_TUNE_ROOFLINE_H

#include "base/error.h"

#include <stddef.h>

typedef struct vox_roof_point {
    char label[72];
    double flops_per_byte, flops_per_s;
    int group; /* points of a group have one colour */
} vox_roof_point;

/* Zero-initialise, then set title and ceilings. */
typedef struct vox_roofline {
    char title[200];
    double peak, copy; /* flop/s, bytes/s */
    vox_roof_point *point;
    size_t count, capacity;
} vox_roofline;

void vox_roofline_release(vox_roofline *r);
/* One without operations or bytes has no place and is left out. */
vox_status vox_roofline_add(vox_roofline *r, const char *label, int group, double flops,
                            double bytes, double seconds, vox_error *err);
/* As PNG.  Only the first VOX_ROOF_MOST points are drawn. */
#define VOX_ROOF_MOST 40
vox_status vox_roofline_write(const vox_roofline *r, const char *path, vox_error *err);

#endif
