/* speed.h - how fast each device is, and the shares of a batch that follow from it.
 *
 * Every step says how long each device took for its share.  Medians over the last few steps give
 * each device's seconds a sample, and a fixed cost a step once its share has changed.  If the best
 * split by these (vox_shards_fastest) promises to save a tenth of a step or more, and two
 * milliseconds, for several steps running, it becomes the split in force.  Devices that turned out
 * to differ so are then refined for less.  A device that sits out is tried with one sample now and
 * then, seldom enough to cost about a hundredth of the time.
 *
 * What is not counted: a device's first step with a share of a new size (kernels are built), and
 * those the caller has no time for.
 *
 * One invariant: the split changes only in vox_speed_step, and in vox_speed_lose; it depends on the
 * times told alone. */
#ifndef VOX_PARALLEL_SPEED_H
#define VOX_PARALLEL_SPEED_H

#include "parallel/shard.h"

typedef struct vox_speed vox_speed;

typedef struct vox_speed_options {
    size_t devices; /* >= 1 */
    int64_t batch;  /* samples that all devices have together in a full step, >= 1 */
    /* [devices], as for vox_shards_make; NULL: equal.  Copied. */
    const double *weight;
    bool fixed; /* the split stays as the weights have it */
    /* Groups of neighbours of which each has a sample of every batch that has as many: those from
     * group[i] on, before group[i + 1].  [groups + 1]; copied; groups 0: none. */
    const int64_t *group;
    size_t groups;
} vox_speed_options;

vox_status vox_speed_open(vox_speed **out, const vox_speed_options *opt, vox_error *err);
void vox_speed_free(vox_speed **speed);

/* The shares of the next `n` samples, 0 <= n <= batch, as vox_shards_make gives them: of a full
 * step those in force, or of a trial; of a smaller one by the same weights. */
void vox_speed_split(const vox_speed *speed, int64_t n, int64_t *count, int64_t *first);
/* The same without trials; count[devices]. */
void vox_speed_shares(const vox_speed *speed, int64_t *count);
/* [devices]: what the split goes by, to go on with later (vox_speed_options.weight). */
const double *vox_speed_weights(const vox_speed *speed);

/* What vox_speed_step and vox_speed_lose did to the split. */
typedef struct vox_speed_change {
    bool changed;
    int64_t *was, *now; /* [devices] shares of a full step; belong to the vox_speed */
    double before_s;    /* seconds of a step with the shares before ... */
    double predicted_s; /* ... and with the new ones; NAN: not known */
} vox_speed_change;

/* After a full step that was shared out as vox_speed_split said: seconds[devices] that each device
 * took for its share, NAN where it did nothing or built kernels; step_s: of the whole step, summing
 * and updating included.  change is valid until the next call. */
void vox_speed_step(vox_speed *speed, const double *seconds, double step_s,
                    vox_speed_change *change);

/* The device gets nothing from now on; its share goes to the others, of which one at least is left.
 */
void vox_speed_lose(vox_speed *speed, size_t device, vox_speed_change *change);

/* Seconds a sample, the fixed cost left out; NAN: not known. */
double vox_speed_of(const vox_speed *speed, size_t device);

/* "shares 6 2 (was 4 4): 0.21 s predicted, 0.40 before" */
void vox_speed_describe(const vox_speed *speed, const vox_speed_change *change, char *text,
                        size_t size);

#endif
