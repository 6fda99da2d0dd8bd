/* speed.c - how fast each device is, and the shares of a batch that follow from it. */
#include "parallel/speed.h"

#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WINDOW = 5,   /* times of which the median counts: two outliers do no harm */
    ENOUGH = 3,   /* times before a device's speed is known */
    PATIENCE = 3, /* steps running that must promise the saving */
    PATIENCE_MOST = 256,
    TRIAL_STEPS = 4,  /* a trial is given up after so many */
    TRIAL_TIMES = 2,  /* times a trial must give */
    TRIAL_EVERY = 32, /* steps from one trial to the next, at least */
    TRIAL_EVERY_MOST = 1000000
};
#define SAVING      0.1  /* of a step: what a split other than the first must promise, */
#define REFINING    0.04 /* ... and once devices are known to differ, */
#define LEAST_S     2e-3 /* and in seconds: in steps so short a clock tells of the system's mood */
#define TRIAL_SHARE 0.01 /* of the time: what trials may cost */

typedef struct recent {
    double value[WINDOW];
    size_t count; /* ever added; the last WINDOW of them are kept */
} recent;

/* Its time for n samples is pace * (ratio + n). */
typedef struct device {
    bool lost;
    recent times;   /* of shares of ... */
    int64_t n;      /* ... so many samples */
    double pace;    /* NAN: not known */
    double ratio;   /* the fixed cost, in samples */
    int64_t old_n;  /* the share before, ... */
    double old_s;   /* ... and its median time; old_n 0: none */
    int64_t idle;   /* full steps since it last had samples */
    double trial_s; /* time of one sample, of the last trial; NAN: none */
} device;

struct vox_speed {
    size_t devices;
    int64_t batch;
    bool fixed;
    device *device;
    vox_cost *cost;
    double *weight;
    int64_t *share, *was, *best; /* [devices], of a full step; share: those in force */
    int64_t *trial;              /* share with one sample for each device on trial */
    int64_t trial_steps;         /* left; 0: none is on trial */
    bool *ran;                   /* [devices][batch + 1]: it had a share of that size before */
    recent rest;                 /* the step's seconds beyond those of the slowest device */
    int64_t votes, patience;     /* steps running for a new split; how many are needed */
    int64_t since;               /* full steps since the last change */
    int64_t *group, *least;      /* [groups + 1]; [devices]: what it has to get */
    size_t groups;
    bool differ; /* the split was changed before */
};

/* ---- medians --------------------------------------------------------------- */

static void add(recent *r, double value)
{
    r->value[r->count++ % WINDOW] = value;
}

static double median(const recent *r)
{
    double sorted[WINDOW];
    const size_t n = r->count < WINDOW ? r->count : WINDOW;
    for (size_t i = 0; i < n; i++) {
        size_t at = i;
        for (; at > 0 && sorted[at - 1] > r->value[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = r->value[i];
    }
    if (n == 0)
        return (double)NAN;
    return (sorted[n / 2] + sorted[(n - 1) / 2]) / 2;
}

/* ---- open and free --------------------------------------------------------- */

static int64_t sum_of(const vox_speed *s, size_t group, const int64_t *count)
{
    int64_t sum = 0;
    for (int64_t i = s->group[group]; i < s->group[group + 1]; i++)
        sum += count[i];
    return sum;
}

static size_t group_of(const vox_speed *s, size_t i)
{
    size_t g = 0;
    while (s->group[g + 1] <= (int64_t)i)
        g++;
    return g;
}

/* Who can best give a sample up: the one with the most whose group has others; devices: none. */
static size_t richest(const vox_speed *s, const int64_t *count)
{
    size_t rich = s->devices;
    for (size_t i = 0; i < s->devices; i++)
        if (count[i] > 0 && (rich == s->devices || count[i] > count[rich]) &&
            sum_of(s, group_of(s, i), count) > 1)
            rich = i;
    return rich;
}

/* The group's device that is to have its only sample. */
static size_t speaker(const vox_speed *s, size_t group)
{
    size_t best = s->devices;
    for (size_t i = (size_t)s->group[group]; i < (size_t)s->group[group + 1]; i++) {
        const bool better = best == s->devices || s->weight[i] > s->weight[best];
        if (!s->device[i].lost && better)
            best = i;
    }
    return best;
}

static void leave_no_group_out(const vox_speed *s, int64_t *count)
{
    for (size_t g = 0; g < s->groups; g++) {
        const size_t from = richest(s, count), to = speaker(s, g);
        if (sum_of(s, g, count) > 0 || from == s->devices || to == s->devices)
            continue;
        count[from]--;
        count[to]++;
    }
}

static void split_by_weight(const vox_speed *s, int64_t n, int64_t *count, int64_t *first)
{
    int64_t at = 0;
    vox_shards_make(n, s->devices, s->weight, count, first);
    leave_no_group_out(s, count);
    for (size_t i = 0; i < s->devices; at += count[i++])
        first[i] = at;
}

/* The best split by the costs, in best. */
static double split_by_cost(vox_speed *s)
{
    memset(s->least, 0, s->devices * sizeof *s->least);
    for (size_t g = 0; g < s->groups; g++) {
        size_t best = s->devices;
        for (size_t i = (size_t)s->group[g]; i < (size_t)s->group[g + 1]; i++)
            if (!s->device[i].lost && (best == s->devices || vox_cost_of(&s->cost[i], 1) <
                                                                 vox_cost_of(&s->cost[best], 1)))
                best = i;
        if (best < s->devices)
            s->least[best] = 1;
    }
    return vox_shards_fastest(s->batch, s->devices, s->cost, s->least, s->best);
}

static vox_status make_lists(vox_speed *s, vox_error *err)
{
    size_t sizes = 0, cells = 0;
    if (!vox_add((size_t)s->batch, 1, &sizes) || !vox_mul(sizes, s->devices, &cells))
        return vox_fail_memory(err, "the devices' speeds", SIZE_MAX);
    s->device = vox_calloc(s->devices, sizeof *s->device, "the devices' speeds", err);
    s->cost = vox_calloc(s->devices, sizeof *s->cost, "the devices' speeds", err);
    s->weight = vox_calloc(s->devices, sizeof *s->weight, "the devices' speeds", err);
    s->share = vox_calloc(s->devices, sizeof *s->share, "the devices' speeds", err);
    s->was = vox_calloc(s->devices, sizeof *s->was, "the devices' speeds", err);
    s->best = vox_calloc(s->devices, sizeof *s->best, "the devices' speeds", err);
    s->trial = vox_calloc(s->devices, sizeof *s->trial, "the devices' speeds", err);
    s->ran = vox_calloc(cells, sizeof *s->ran, "the devices' speeds", err);
    s->least = vox_calloc(s->devices, sizeof *s->least, "the devices' speeds", err);
    s->group = vox_calloc(s->groups + 1, sizeof *s->group, "the devices' speeds", err);
    const bool all = s->least && s->group && s->device && s->cost && s->weight && s->share &&
                     s->was && s->best && s->trial && s->ran;
    return all ? VOX_OK : VOX_ERR_MEMORY;
}

vox_status vox_speed_open(vox_speed **out, const vox_speed_options *opt, vox_error *err)
{
    *out = NULL;
    vox_speed *s = vox_calloc(1, sizeof *s, "the devices' speeds", err);
    if (!s)
        return VOX_ERR_MEMORY;
    s->devices = opt->devices;
    s->batch = opt->batch;
    s->fixed = opt->fixed;
    s->groups = opt->groups;
    s->patience = PATIENCE;
    vox_status status = make_lists(s, err);
    if (status != VOX_OK) {
        vox_speed_free(&s);
        return status;
    }
    for (size_t i = 0; i < s->devices; i++) {
        s->device[i].pace = s->device[i].trial_s = (double)NAN;
        s->weight[i] = opt->weight ? opt->weight[i] : 1;
    }
    if (s->groups)
        memcpy(s->group, opt->group, (s->groups + 1) * sizeof *s->group);
    split_by_weight(s, s->batch, s->share, s->best);
    *out = s;
    return VOX_OK;
}

void vox_speed_free(vox_speed **sp)
{
    vox_speed *s = sp ? *sp : NULL;
    if (!s)
        return;
    free(s->device);
    free(s->cost);
    free(s->weight);
    free(s->share);
    free(s->was);
    free(s->best);
    free(s->trial);
    free(s->ran);
    free(s->least);
    free(s->group);
    free(s);
    *sp = NULL;
}

/* ---- what is in force ------------------------------------------------------ */

void vox_speed_split(const vox_speed *s, int64_t n, int64_t *count, int64_t *first)
{
    int64_t at = 0;
    if (n < s->batch || s->trial_steps == 0) {
        split_by_weight(s, n, count, first);
        return;
    }
    for (size_t i = 0; i < s->devices; i++) {
        count[i] = s->trial[i];
        first[i] = at;
        at += count[i];
    }
}

void vox_speed_shares(const vox_speed *s, int64_t *count)
{
    memcpy(count, s->share, s->devices * sizeof *count);
}

const double *vox_speed_weights(const vox_speed *s)
{
    return s->weight;
}

double vox_speed_of(const vox_speed *s, size_t i)
{
    return s->device[i].pace;
}

static vox_cost cost_of(const device *d)
{
    if (d->lost || isnan(d->pace))
        return (vox_cost){0, INFINITY};
    return (vox_cost){d->pace * d->ratio, d->pace};
}

/* Predicted seconds of a step with these shares, but for what is the same with all. */
static double predict(vox_speed *s, const int64_t *count)
{
    double longest = 0;
    for (size_t i = 0; i < s->devices; i++)
        longest = fmax(longest, vox_cost_of(&s->cost[i], count[i]));
    return longest;
}

static void set_costs(vox_speed *s)
{
    for (size_t i = 0; i < s->devices; i++)
        s->cost[i] = cost_of(&s->device[i]);
}

static double rest_of(const vox_speed *s)
{
    return s->rest.count ? fmax(median(&s->rest), 0) : 0;
}

/* `now` becomes the split in force. */
static void adopt(vox_speed *s, const int64_t *now, vox_speed_change *change)
{
    memcpy(s->was, s->share, s->devices * sizeof *s->was);
    memmove(s->share, now, s->devices * sizeof *s->share);
    for (size_t i = 0; i < s->devices; i++)
        s->device[i].idle = 0;
    s->trial_steps = s->votes = s->since = 0;
    s->rest.count = 0;
    *change = (vox_speed_change){.changed = true,
                                 .was = s->was,
                                 .now = s->share,
                                 .before_s = (double)NAN,
                                 .predicted_s = (double)NAN};
}

/* ---- learning -------------------------------------------------------------- */

/* Two shares, timed one after the other, tell the fixed cost from that of a sample.  If the device
 * changed its speed in between they say nothing of the sort, which shows as a cost below 0 or
 * absurdly large; sizes near each other would magnify the noise. */
static void fit(device *d)
{
    const double t = median(&d->times);
    const int64_t more = d->n > d->old_n ? d->n : d->old_n;
    const int64_t apart = d->n > d->old_n ? d->n - d->old_n : d->old_n - d->n;
    if (d->old_n == 0 || 3 * apart < more)
        return;
    const double each = (t - d->old_s) / (double)(d->n - d->old_n);
    const double fixed = t - each * (double)d->n;
    if (each > 0 && fixed <= 4 * each * (double)more)
        d->ratio = fmax(fixed / each, 0);
}

static void learn(device *d, int64_t n, double seconds)
{
    if (d->n != n) {
        d->old_n = d->times.count >= ENOUGH ? d->n : 0;
        d->old_s = median(&d->times);
        d->times.count = 0;
        d->n = n;
    }
    add(&d->times, seconds);
    if (d->times.count == WINDOW)
        fit(d);
    d->pace = median(&d->times) / (d->ratio + (double)n);
}

/* Whether it built no kernels for this share. */
static bool counts(vox_speed *s, size_t i, int64_t n, double seconds)
{
    bool *ran = &s->ran[i * (size_t)(s->batch + 1) + (size_t)n];
    const bool before = *ran;
    *ran = true;
    return before && isfinite(seconds) && seconds > 0;
}

/* ---- devices that sit out -------------------------------------------------- */

static bool sits_out(const vox_speed *s, size_t i)
{
    return !s->device[i].lost && s->share[i] == 0;
}

/* Steps from one trial to the next: what the step is longer by for the trial's sake is spread. */
static int64_t interval(const device *d, double step_s)
{
    const double longer = isnan(d->trial_s) ? 0 : fmax(d->trial_s - step_s, 0);
    const double steps = TRIAL_TIMES * longer / (TRIAL_SHARE * step_s);
    return steps < TRIAL_EVERY        ? TRIAL_EVERY
           : steps < TRIAL_EVERY_MOST ? (int64_t)steps
                                      : TRIAL_EVERY_MOST;
}

/* The one that has the most gives a sample up; the last one of its own is left to it. */
static bool give_one(vox_speed *s, size_t to)
{
    size_t most = 0;
    for (size_t i = 1; i < s->devices; i++)
        if (s->trial[i] > s->trial[most])
            most = i;
    if (s->trial[most] < 2)
        return false;
    s->trial[most]--;
    s->trial[to]++;
    return true;
}

/* Starts a trial of those that are due. */
static void start_trial(vox_speed *s, double step_s)
{
    memcpy(s->trial, s->share, s->devices * sizeof *s->trial);
    for (size_t i = 0; i < s->devices; i++) {
        device *d = &s->device[i];
        if (!sits_out(s, i) || ++d->idle < interval(d, step_s) || !give_one(s, i))
            continue;
        s->trial_steps = TRIAL_STEPS;
        d->idle = 0;
        d->times.count = 0;
    }
}

/* A step of a trial: only those on trial are learned of, the others have unusual shares. */
static void try_step(vox_speed *s, const double *seconds)
{
    bool done = true;
    for (size_t i = 0; i < s->devices; i++) {
        device *d = &s->device[i];
        const bool counted = s->trial[i] > 0 && counts(s, i, s->trial[i], seconds[i]);
        if (s->share[i] > 0 || s->trial[i] == 0)
            continue;
        if (counted) {
            learn(d, s->trial[i], seconds[i]);
            d->trial_s = median(&d->times);
        }
        done = done && d->times.count >= TRIAL_TIMES;
    }
    s->trial_steps = done ? 0 : s->trial_steps - 1;
}

/* ---- deciding -------------------------------------------------------------- */

/* All that have samples were timed often enough with them. */
static bool known(const vox_speed *s)
{
    for (size_t i = 0; i < s->devices; i++)
        if (s->share[i] > 0 && (s->device[i].n != s->share[i] || s->device[i].times.count < ENOUGH))
            return false;
    return true;
}

/* Changes that follow soon on each other say that the times do not mean what they are taken for
 * (devices that get in each other's way, say): each such one needs twice the patience. */
static int64_t next_patience(const vox_speed *s)
{
    if (s->since > 16 * s->patience + WINDOW)
        return PATIENCE;
    return s->patience < PATIENCE_MOST ? 2 * s->patience : s->patience;
}

static void decide(vox_speed *s, vox_speed_change *change)
{
    set_costs(s);
    const double rest = rest_of(s), now = predict(s, s->share);
    const double best = split_by_cost(s);
    const double wanted = fmax((s->differ ? REFINING : SAVING) * (now + rest), LEAST_S);
    s->votes = now - best >= wanted ? s->votes + 1 : 0;
    if (s->votes < s->patience)
        return;
    s->patience = next_patience(s);
    s->differ = true;
    adopt(s, s->best, change);
    for (size_t i = 0; i < s->devices; i++)
        s->weight[i] = (double)s->share[i];
    change->before_s = now + rest;
    change->predicted_s = best + rest;
}

void vox_speed_step(vox_speed *s, const double *seconds, double step_s, vox_speed_change *change)
{
    double longest = 0;
    bool all = true;
    *change = (vox_speed_change){0};
    if (s->trial_steps > 0) {
        try_step(s, seconds);
        return;
    }
    s->since++;
    for (size_t i = 0; i < s->devices; i++) {
        if (s->share[i] == 0)
            continue;
        if (counts(s, i, s->share[i], seconds[i])) {
            learn(&s->device[i], s->share[i], seconds[i]);
            longest = fmax(longest, seconds[i]);
        } else {
            all = false;
        }
    }
    if (s->fixed || !all)
        return;
    add(&s->rest, step_s - longest);
    if (known(s))
        decide(s, change);
    if (!change->changed)
        start_trial(s, longest);
}

void vox_speed_lose(vox_speed *s, size_t lost, vox_speed_change *change)
{
    bool measured = !s->fixed;
    double sum = 0;
    s->device[lost].lost = true;
    s->weight[lost] = 0;
    for (size_t i = 0; i < s->devices; i++) {
        sum += s->weight[i];
        measured = measured && (s->device[i].lost || !isnan(s->device[i].pace));
    }
    for (size_t i = 0; sum <= 0 && i < s->devices; i++) /* those left had no share */
        s->weight[i] = s->device[i].lost ? 0 : 1;
    set_costs(s);
    const double rest = rest_of(s);
    double predicted = (double)NAN;
    if (measured) {
        predicted = split_by_cost(s) + rest;
        for (size_t i = 0; i < s->devices; i++)
            s->weight[i] = (double)s->best[i];
    }
    split_by_weight(s, s->batch, s->trial, s->best);
    adopt(s, s->trial, change);
    change->predicted_s = predicted;
}

/* ---- in words -------------------------------------------------------------- */

static void list(char *text, size_t size, const int64_t *share, size_t devices)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < devices && used < size; i++)
        used +=
            (size_t)snprintf(text + used, size - used, "%s%lld", i ? " " : "", (long long)share[i]);
}

void vox_speed_describe(const vox_speed *s, const vox_speed_change *change, char *text, size_t size)
{
    char now[256], was[256], seconds[80] = "";
    list(now, sizeof now, change->now, s->devices);
    list(was, sizeof was, change->was, s->devices);
    if (!isnan(change->predicted_s) && !isnan(change->before_s))
        snprintf(seconds, sizeof seconds, ": %.3g s predicted, %.3g before", change->predicted_s,
                 change->before_s);
    else if (!isnan(change->predicted_s))
        snprintf(seconds, sizeof seconds, ": %.3g s predicted", change->predicted_s);
    snprintf(text, size, "shares %s (was %s)%s", now, was, seconds);
}
