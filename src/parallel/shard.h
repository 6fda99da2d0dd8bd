/* shard.h - how the samples of a batch are shared out over the devices.
 *
 * One invariant: the shares are whole samples, contiguous and in the order of the devices, and add
 * up to the batch; device i computes the samples [first[i], first[i] + count[i]). */
#ifndef VOX_PARALLEL_SHARD_H
#define VOX_PARALLEL_SHARD_H

#include "base/error.h"

typedef enum vox_shard_mode {
    VOX_SHARD_AUTO,   /* by measured speeds */
    VOX_SHARD_EQUAL,  /* as equal as whole samples can be */
    VOX_SHARD_WEIGHTS /* by weights given */
} vox_shard_mode;

/* "auto" (or NULL), "equal", or a weight for each device: "3,2,1", which go to weight[devices]
 * (else untouched).  VOX_ERR_USAGE: it is something else, the weights are not as many as the
 * devices, one is negative, or all are 0. */
vox_status vox_shard_parse(vox_shard_mode *mode, double *weight, const char *text, size_t devices,
                           vox_error *err);

/* weight[devices]: relative speeds (>= 0, at least one > 0), or NULL for equal ones.  Whole samples
 * by largest remainder; among equal remainders the earlier device gets one more, so that equal
 * weights give shares as equal as possible, larger first.  count and first hold `devices` numbers;
 * devices >= 1, batch >= 0.  A device may get no sample. */
void vox_shards_make(int64_t batch, size_t devices, const double *weight, int64_t *count,
                     int64_t *first);

/* What a device needs for n samples: nothing for none, else fixed + n * each seconds.
 * fixed >= 0; each > 0, INFINITY: it is to get none. */
typedef struct vox_cost {
    double fixed, each;
} vox_cost;

/* Seconds of n samples. */
double vox_cost_of(const vox_cost *cost, int64_t n);

/* The shares whose slowest device is done soonest, in count[devices]; returns its seconds.  Among
 * equally good ones each sample goes to the device done with it first, the earlier one of those, so
 * that equal costs give the shares of vox_shards_make.  A device sits out (gets none) if even one
 * sample would make the step longer.  At least one device has a finite cost.  least[devices], of
 * sum <= batch: what each has to get anyway; NULL: nothing. */
double vox_shards_fastest(int64_t batch, size_t devices, const vox_cost *cost, const int64_t *least,
                          int64_t *count);

#endif
