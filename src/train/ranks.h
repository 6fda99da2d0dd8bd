/* ranks.h - a training on several ranks: that all have the same before they begin, and begin with
 * the same.  With one rank nothing happens here.  All are collective. */
#ifndef VOX_TRAIN_RANKS_H
#define VOX_TRAIN_RANKS_H

#include "train/loop.h"

/* Builds, experiments and options; and the run's folder is rank 0's, which has t->run set. */
vox_status vox_ranks_meet(vox_trainer *t, vox_error *err);
/* The training data, once it is read. */
vox_status vox_ranks_same_data(vox_trainer *t, vox_error *err);
/* Rank 0's t->state becomes all ranks': weights, averages, the optimiser's parts, progress. */
vox_status vox_ranks_spread(vox_trainer *t, vox_error *err);

#endif
