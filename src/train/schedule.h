/* schedule.h - the learning rate of each step. */
#ifndef VOX_TRAIN_SCHEDULE_H
#define VOX_TRAIN_SCHEDULE_H

#include "train/experiment.h"

/* The rate of step `step` (from 0) of `steps`: the schedule's formula (vox_schedule_kind) on lr,
 * never below its floor; in the first `warmup` steps that is multiplied by (step + 1) / warmup. */
double vox_schedule_rate(const vox_schedule_spec *schedule, double lr, int64_t warmup, int64_t step,
                         int64_t steps);

#endif
