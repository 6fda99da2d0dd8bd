/* dicom_pixels.h - stored pixels of one frame turned into values. */
#ifndef VOX_DATA_FORMATS_DICOM_PIXELS_H
#define VOX_DATA_FORMATS_DICOM_PIXELS_H

#include "base/error.h"

typedef enum vox_dicom_colour {
    VOX_DICOM_GREY,         /* MONOCHROME2 */
    VOX_DICOM_GREY_INVERSE, /* MONOCHROME1 */
    VOX_DICOM_RGB,
    VOX_DICOM_YBR,     /* YBR_FULL: BT.601 with full range, Cb and Cr around 128 */
    VOX_DICOM_YBR_422, /* the same, two pixels sharing Cb and Cr: Y Y Cb Cr */
    VOX_DICOM_PALETTE
} vox_dicom_colour;

typedef struct vox_dicom_pixels {
    int64_t rows, columns, samples;
    int64_t allocated, stored, high_bit; /* bits; allocated 1, 8, 16, 32 or 64 */
    bool is_signed, is_float, planar, msb;
    vox_dicom_colour colour;
    const uint16_t *palette; /* [3][palette_count], borrowed */
    int64_t palette_first, palette_count;
} vox_dicom_pixels;

/* Bits of one frame as stored. */
uint64_t vox_dicom_frame_bits(const vox_dicom_pixels *p);

/* The frame that begins `bit` bits (0 to 7; 0 unless allocated is 1) into bytes; values go to
 * out + c * stride for channel c.  What MONOCHROME1 stores is turned round within the stored bits'
 * range before slope and intercept; colours have neither.  Palette indices outside the table take
 * its nearest end, as the standard says. */
void vox_dicom_convert(const vox_dicom_pixels *p, const unsigned char *bytes, unsigned bit,
                       double slope, double intercept, float *out, size_t stride);

/* One RLE-compressed frame into rows * columns * samples * allocated / 8 bytes at out: samples of a
 * pixel together, the least significant byte first.  false when it is damaged. */
bool vox_dicom_rle_decode(const vox_dicom_pixels *p, const unsigned char *bytes, size_t size,
                          unsigned char *out);

/* Compares size and samples in the head of a JPEG, JPEG-LS or JPEG 2000 stream with the header's,
 * so that no decoder allocates for another.  What begins like none of them passes: a later part of
 * one. */
bool vox_dicom_codestream_fits(const vox_dicom_pixels *p, const unsigned char *bytes, size_t size);

#endif
