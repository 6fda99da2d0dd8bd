/* png_write.h - for the entry in the table of formats. */
#ifndef VOX_DATA_FORMATS_PNG_WRITE_H
#define VOX_DATA_FORMATS_PNG_WRITE_H

#include "base/error.h"

/* One slice (D = 1) as path, or with a path that ends in '/' a folder of slice_0000.png,
 * slice_0001.png, ... along d.  1 to 4 channels: grey, grey and alpha, colour, colour and alpha.
 *
 * Values: what was 8-bit data (stored_type uint8, still whole numbers of 0 to 255) is written as it
 * is, with 8 bits; so is a 16-bit PNG's.  Everything else is scaled to 16 bits over the whole
 * volume, its least finite value to 0 and its largest to 65535 (NaN to 0); the file's text entries
 * "voxcl:min" and "voxcl:max" hold the two. */
vox_status vox_png_write(const vox_image *image, const char *path, vox_error *err);

#endif
