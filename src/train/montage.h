/* montage.h - slices of a scan with the outline of its mask, as one picture a person can check at a
 * glance. */
#ifndef VOX_TRAIN_MONTAGE_H
#define VOX_TRAIN_MONTAGE_H

#include "data/volume.h"

/* Everything is borrowed. */
typedef struct vox_montage {
    const vox_image *image; /* one channel */
    const uint8_t *label;   /* [size of image]; 0 is not drawn */
    int64_t classes;
    const char *const *name; /* [names] of classes; those beyond have a number */
    size_t names;
    const char *title;
} vox_montage;

/* Up to twelve slices, evenly spaced over those that the mask reaches (over all, if it is empty),
 * across the axis of the largest spacing (the plane that was scanned; axial where spacings are
 * alike), in true proportions, what
 * is black all around cut off.  Seen as radiologists do: the patient's right at the left, front or
 * head up.  Grey from the 0.5th to the 99.5th percentile.  VOX_ERR_UNSUPPORTED in a build without
 * PNG. */
vox_status vox_montage_write(const vox_montage *m, const char *path, vox_error *err);

#endif
