/* prepare.h - the steps under `data.prepare`: done once per case, on the host, before the cache.
 * docs/data.md lists them.  What a step does to an image's grid it does to the mask's too, with
 * nearest values; values are changed in the image alone.
 *
 * A step is one row of the table in prepare.c. */
#ifndef VOX_DATA_PREPARE_H
#define VOX_DATA_PREPARE_H

#include "base/yaml.h"
#include "data/volume.h"

typedef struct vox_prepare vox_prepare;

#define VOX_PREPARE_CHANNELS 64 /* channels a step can name, and statistics are kept of */

/* Figures of the foreground voxels of all training cases, channel by channel; the training set
 * makes them, everyone else is given them. */
typedef struct vox_prepare_stats {
    int64_t channels;                                             /* 0: none */
    double low[VOX_PREPARE_CHANNELS], high[VOX_PREPARE_CHANNELS]; /* percentiles, as clip says */
    double mean[VOX_PREPARE_CHANNELS], std[VOX_PREPARE_CHANNELS];
} vox_prepare_stats;

/* list: a YAML list of steps; NULL or empty: none.  What it says wrong is an error with its place.
 */
vox_status vox_prepare_open(vox_prepare **out, const vox_yaml_node *list, vox_error *err);
void vox_prepare_free(vox_prepare **prepare);

/* The size every case has after the steps, if they alone decide it. */
bool vox_prepare_size(const vox_prepare *prepare, int64_t size[3]);

/* One case on its way through the steps. */
typedef struct vox_prepared {
    vox_image *image;       /* borrowed; changed in place */
    vox_image *mask;        /* likewise, on the same grid, one channel; NULL: none */
    const double *point_mm; /* its place of interest, LPS; NULL: none */
    vox_voxel_map map;      /* written: prepared voxels in the input's grid */
} vox_prepared;

/* Applies the steps in order.  On failure the volumes are valid but half prepared.  Safe from
 * several threads, volumes apart. */
vox_status vox_prepare_apply(const vox_prepare *prepare, vox_prepared *p, vox_error *err);

/* ---- figures of the whole training set ---- */

/* Does a step want them?  Then vox_prepare_apply fails until they are set (they are copied). */
bool vox_prepare_wants_stats(const vox_prepare *prepare);
void vox_prepare_set_stats(vox_prepare *prepare, const vox_prepare_stats *stats);
const vox_prepare_stats *vox_prepare_get_stats(const vox_prepare *prepare);
/* The steps before the first that wants them. */
vox_status vox_prepare_apply_first(const vox_prepare *prepare, vox_prepared *p, vox_error *err);

/* Of value[count], which it sorts: the percentiles that the steps ask for (linear between ranks, as
 * numpy.percentile), mean and the population's standard deviation, into channel c.  count >= 1. */
void vox_prepare_stats_make(const vox_prepare *prepare, vox_prepare_stats *stats, int64_t c,
                            float *value, size_t count);

/* "2 low high mean std low high mean std": for checkpoints; "" of none.  Reads what it wrote back
 * to the bit.  Caller frees. */
char *vox_prepare_stats_text(const vox_prepare_stats *stats, vox_error *err);
bool vox_prepare_stats_read(vox_prepare_stats *stats, const char *text);

#endif
