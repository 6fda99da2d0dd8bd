/* schedule.c - the learning rate of each step. */
#include "train/schedule.h"

#include <math.h>

static double factor(const vox_schedule_spec *s, int64_t step, int64_t steps)
{
    const double t = (double)step, every = s->every > 0 ? (double)s->every : 1;
    switch (s->kind) {
    case VOX_SCHEDULE_CONSTANT:
        break;
    case VOX_SCHEDULE_STEP:
        return pow(s->gamma, floor(t / every));
    case VOX_SCHEDULE_POLY:
        return steps > 0 && step < steps ? pow(1 - t / (double)steps, s->power) : 0;
    case VOX_SCHEDULE_EXPONENTIAL:
        return pow(s->gamma, t / every);
    case VOX_SCHEDULE_INVERSE:
        return pow(1 + s->gamma * t / every, -s->power);
    }
    return 1;
}

double vox_schedule_rate(const vox_schedule_spec *schedule, double lr, int64_t warmup, int64_t step,
                         int64_t steps)
{
    double rate = fmax(lr * factor(schedule, step, steps), schedule->floor);
    return step < warmup ? rate * (double)(step + 1) / (double)warmup : rate;
}
