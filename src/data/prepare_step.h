/* prepare_step.h - what a step of data.prepare is: one row of the table in prepare.c.
 *
 * A step that moves voxels moves those of the mask alike, keeps both volumes' geometry true, and
 * nothing else: vox_prepare_apply reads the map back to the input's grid from the geometry. */
#ifndef VOX_DATA_PREPARE_STEP_H
#define VOX_DATA_PREPARE_STEP_H

#include "data/prepare.h"
#include "data/volume.h"

#define VOX_PREPARE_SIZE_LIMIT 65536

typedef struct vox_prepare_step vox_prepare_step;

typedef struct vox_prepare_kind {
    const char *name; /* the word under data.prepare */
    vox_status (*parse)(vox_prepare_step *s, const vox_yaml_node *node, vox_error *err);
    vox_status (*apply)(const vox_prepare_step *s, vox_prepared *p, vox_error *err);
    /* What is known of the size, low <= size <= high, before the step to after it; NULL: the step
     * changes no size. */
    void (*extent)(const vox_prepare_step *s, int64_t low[3], int64_t high[3]);
} vox_prepare_kind;

/* One step as parsed; which members count depends on the kind. */
struct vox_prepare_step {
    const vox_prepare_kind *kind;
    const vox_prepare_stats *stats; /* the list's; see of_dataset */
    int64_t size[3], at[3];
    double spacing_mm[3];
    int word;     /* which of the kind's words was chosen */
    char axes[4]; /* reorient: "RAS" */
    double low, high, value;
    bool nonzero, together, of_dataset;
    uint64_t channels; /* bit c: channel c; 0: all */
};

extern const vox_prepare_kind vox_prepare_reorient, vox_prepare_resample, vox_prepare_resize,
    vox_prepare_crop, vox_prepare_center_crop, vox_prepare_pad, vox_prepare_normalize,
    vox_prepare_window, vox_prepare_clip;

/* Percentiles, linear between ranks as numpy.percentile, of value[count], which is sorted. */
void vox_prepare_percentiles(float *value, size_t count, double low_percent, double high_percent,
                             double *low, double *high);

/* map[key], or an error that names `what`. */
vox_status vox_prepare_need(const vox_yaml_node *map, const char *what, const char *key,
                            const vox_yaml_node **out, vox_error *err);
/* {size: [d, h, w], and the other keys of the list, which ends with NULL}. */
vox_status vox_prepare_size_key(vox_prepare_step *s, const vox_yaml_node *node, const char *what,
                                const char *const *keys, vox_error *err);

#endif
