/* tuning.h - measured times for an experiment's training on the devices of a context. */
#ifndef VOX_TRAIN_TUNING_H
#define VOX_TRAIN_TUNING_H

#include "train/experiment.h"
#include "tune/finddb.h"

/* The find-db, after measuring what methods ask for; NULL (and VOX_OK) for VOX_TUNE_OFF. */
vox_status vox_tuning_open(vox_finddb **times, const vox_experiment *exp, vox_ctx *ctx,
                           const vox_methods *methods, vox_error *err);

#endif
