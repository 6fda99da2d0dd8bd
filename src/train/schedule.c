/* schedule.c - the learning rate of each step. */
#include "train/schedule.h"

#include <math.h>
#include <stdio.h>

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

/* ---- large batches ------------------------------------------------------------ */

#define WARMUP_EPOCHS 5
#define WARMUP_SHARE  10 /* at most 1 / 10 of the steps */

static vox_scaling scaling_of(const vox_train_spec *t)
{
    const vox_optimizer_kind kind = t->optimizer.kind;
    if (t->scaling != VOX_SCALING_AUTO)
        return (vox_scaling)t->scaling;
    return kind == VOX_OPTIMIZER_SGD || kind == VOX_OPTIMIZER_LARS ? VOX_SCALING_LINEAR
                                                                   : VOX_SCALING_SQRT;
}

static double scale_of(const vox_train_spec *t)
{
    const double times = t->reference_batch ? (double)t->batch / (double)t->reference_batch : 1;
    switch (scaling_of(t)) {
    case VOX_SCALING_SQRT:
        return sqrt(times);
    case VOX_SCALING_NONE:
        return 1;
    default:
        return times;
    }
}

vox_rate vox_rate_make(const vox_train_spec *train, int64_t steps, int64_t epoch_steps)
{
    vox_rate r = {scale_of(train), train->warmup};
    if (train->warmup_given || r.scale <= 1)
        return r;
    r.warmup = steps / WARMUP_SHARE;
    if (epoch_steps > 0 && epoch_steps < r.warmup / WARMUP_EPOCHS)
        r.warmup = WARMUP_EPOCHS * epoch_steps;
    return r;
}

double vox_rate_at(const vox_rate *rate, const vox_train_spec *train, int64_t step, int64_t steps)
{
    const double lr = train->optimizer.lr;
    if (rate->scale <= 1)
        return rate->scale * vox_schedule_rate(&train->schedule, lr, rate->warmup, step, steps);
    const double share = step < rate->warmup ? (double)step / (double)rate->warmup : 1;
    return vox_schedule_rate(&train->schedule, lr, 0, step, steps) *
           (1 + (rate->scale - 1) * share);
}

void vox_rate_text(const vox_train_spec *train, char *out, size_t size)
{
    const double scale = scale_of(train), lr = train->optimizer.lr;
    char optimizer[240];
    vox_optimizer_text(&train->optimizer, optimizer, sizeof optimizer);
    if (scale == 1)
        snprintf(out, size, "%s", optimizer);
    else
        snprintf(out, size, "%s, lr %.4g x %.3g = %.4g: batch %lld, tuned for %lld (%s)", optimizer,
                 lr, scale, lr * scale, (long long)train->batch, (long long)train->reference_batch,
                 scaling_of(train) == VOX_SCALING_SQRT ? "sqrt" : "linear");
}
