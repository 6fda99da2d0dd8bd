/* augment_step.h - what a step of data.augment is: one struct in one file, listed in augment.c.
 *
 * A step's numbers come from the generator keyed by (seed, its purpose, its place in the list,
 * step, global sample, element); element e = (c*D + d)*H*W + h*W + w is number e of that stream.
 * What is decided once per sample comes from block VOX_AUGMENT_DECISION, which no element reaches.
 */
#ifndef VOX_DATA_AUGMENT_STEP_H
#define VOX_DATA_AUGMENT_STEP_H

#include "base/philox.h"
#include "data/augment.h"

#define VOX_AUGMENT_DECISION 0xffffffffu /* as in cl/augment.h */

typedef struct vox_augment_kind vox_augment_kind;

typedef struct vox_augment_step {
    const vox_augment_kind *kind;
    vox_device *dev; /* borrowed */
    vox_shape input; /* one sample */
    int64_t n_max;
    uint32_t lane;         /* its place in the list */
    double number[4];      /* settings, as the kind's file says */
    vox_kernel *kernel[2]; /* owned */
    vox_buffer *scratch;   /* owned */
} vox_augment_step;

struct vox_augment_kind {
    const char *word; /* in data.augment */
    /* Reads the settings into s->number; node is the value behind the word. */
    vox_status (*parse)(vox_augment_step *s, const vox_yaml_node *node, vox_error *err);
    vox_status (*build)(vox_augment_step *s, vox_error *err);
    /* x [n, channels, D, H, W] of four bytes each. */
    vox_status (*run)(vox_augment_step *s, vox_buffer *x, int64_t channels, int64_t n,
                      const vox_step *step, vox_error *err);
    bool moves; /* voxels, so that it runs on the labels too (as one channel), with equal numbers */
};

extern const vox_augment_kind vox_augment_mirror, vox_augment_rotate90, vox_augment_salt_pepper,
    vox_augment_gaussian_noise, vox_augment_brightness, vox_augment_contrast, vox_augment_gamma;

/* A number behind `key` of the map, or `dflt` where there is none; NaN as dflt: required. */
vox_status vox_augment_number(const vox_yaml_node *map, const char *key, double min, double max,
                              double dflt, double *out, vox_error *err);

/* `axes: [d, w]` as bits (d 1, h 2, w 4). */
vox_status vox_augment_axes(const vox_yaml_node *map, unsigned *axes, vox_error *err);

/* Opens kernel[slot] with the sample's shape (C, D, H, W), PURPOSE, ROW and `more` as options. */
vox_status vox_augment_kernel(vox_augment_step *s, int slot, const char *file, const char *entry,
                              vox_purpose purpose, const char *more, vox_error *err);
/* Blocks of four elements (or voxels) that one item takes. */
int64_t vox_augment_row(const vox_augment_step *s);

/* The generator's key as the kernels' last four arguments. */
void vox_augment_key(const vox_augment_step *s, const vox_step *step, vox_arg out[4]);

#endif
