/* shard.h - how the samples of a batch are shared out over the devices.
 *
 * One invariant: the shares are whole samples, contiguous and in the order of the devices, and add
 * up to the batch; device i computes the samples [first[i], first[i] + count[i]). */
#ifndef VOX_PARALLEL_SHARD_H
#define VOX_PARALLEL_SHARD_H

#include "base/error.h"

/* weight[devices]: relative speeds (>= 0, at least one > 0), or NULL for equal ones.  Whole samples
 * by largest remainder; among equal remainders the earlier device gets one more, so that equal
 * weights give shares as equal as possible, larger first.  count and first hold `devices` numbers;
 * devices >= 1, batch >= 0.  A device may get no sample. */
void vox_shards_make(int64_t batch, size_t devices, const double *weight, int64_t *count,
                     int64_t *first);

#endif
