/* schedule.h - the learning rate of each step. */
#ifndef VOX_TRAIN_SCHEDULE_H
#define VOX_TRAIN_SCHEDULE_H

#include "train/experiment.h"

/* The rate of step `step` (from 0) of `steps`: the schedule's formula (vox_schedule_kind) on lr,
 * never below its floor; in the first `warmup` steps that is multiplied by (step + 1) / warmup. */
double vox_schedule_rate(const vox_schedule_spec *schedule, double lr, int64_t warmup, int64_t step,
                         int64_t steps);

/* What train.reference_batch B0 makes of the rate of a batch of B.
 *
 * All rates, the schedule's floor too, are multiplied by B / B0 (linear: Goyal et al. 2017, arXiv
 * 1706.02677; Krizhevsky 2014, arXiv 1404.5997) or its root (sqrt: Malladi et al. 2022, arXiv
 * 2205.10287, for Adam; You et al. 2020, arXiv 1904.00962, for LAMB).  If that makes them larger, a
 * warm-up climbs from the unscaled rate (step 0) to the scaled one (step `warmup`), and is by
 * default that of Goyal et al., 5 epochs, but at most a tenth of the steps. */
typedef struct vox_rate {
    double scale;   /* 1 without a reference_batch */
    int64_t warmup; /* steps */
} vox_rate;

/* epoch_steps: steps of an epoch; 0: not known yet, then 5 epochs are no limit. */
vox_rate vox_rate_make(const vox_train_spec *train, int64_t steps, int64_t epoch_steps);
double vox_rate_at(const vox_rate *rate, const vox_train_spec *train, int64_t step, int64_t steps);

/* "adam, lr 0.001 x 2.83 = 0.00283: batch 64, tuned for 8 (sqrt)", or without such a scaling the
 * optimiser and its keys alone. */
void vox_rate_text(const vox_train_spec *train, char *out, size_t size);

#endif
