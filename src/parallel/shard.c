/* shard.c - how the samples of a batch are shared out over the devices. */
#include "parallel/shard.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static vox_status refuse(const char *text, const char *why, vox_error *err)
{
    vox_fail(err, VOX_ERR_USAGE, "cannot share samples out by \"%s\"", text);
    vox_detail(err, "%s", why);
    vox_hint(err, "auto, equal, or a weight for each device, such as 3,2,1");
    return VOX_ERR_USAGE;
}

/* The next of the weights, which are separated by commas; *text goes behind it. */
static bool read_weight(const char **text, double *weight)
{
    char word[40];
    const size_t length = strcspn(*text, ",");
    if (length >= sizeof word)
        return false;
    memcpy(word, *text, length);
    word[length] = '\0';
    *text += length + ((*text)[length] == ',');
    return vox_parse_double(word, weight);
}

static vox_status read_weights(double *weight, const char *text, size_t devices, vox_error *err)
{
    char why[96];
    double sum = 0;
    size_t count = 1;
    for (const char *c = text; *c; c++)
        count += *c == ',';
    const char *at = text;
    for (size_t i = 0; i < count; i++) {
        double w = 0;
        if (!read_weight(&at, &w))
            return refuse(text, "it is no known word and no list of numbers", err);
        if (!(w >= 0 && isfinite(w)))
            return refuse(text, "a weight is below 0 or no finite number", err);
        sum += w;
        if (i < devices)
            weight[i] = w;
    }
    if (count != devices) {
        snprintf(why, sizeof why, "there are %zu weights and %zu devices", count, devices);
        return refuse(text, why, err);
    }
    return sum > 0 ? VOX_OK : refuse(text, "all weights are 0", err);
}

vox_status vox_shard_parse(vox_shard_mode *mode, double *weight, const char *text, size_t devices,
                           vox_error *err)
{
    *mode = VOX_SHARD_AUTO;
    if (!text || strcmp(text, "auto") == 0)
        return VOX_OK;
    *mode = strcmp(text, "equal") == 0 ? VOX_SHARD_EQUAL : VOX_SHARD_WEIGHTS;
    return *mode == VOX_SHARD_EQUAL ? VOX_OK : read_weights(weight, text, devices, err);
}

static double weight_of(const double *weight, size_t i)
{
    return weight ? weight[i] : 1.0;
}

void vox_shards_make(int64_t batch, size_t devices, const double *weight, int64_t *count,
                     int64_t *first)
{
    double sum = 0;
    int64_t left = batch;
    for (size_t i = 0; i < devices; i++)
        sum += weight_of(weight, i);
    for (size_t i = 0; i < devices; i++) {
        count[i] = (int64_t)floor((double)batch * weight_of(weight, i) / sum);
        left -= count[i];
    }
    /* Fewer than `devices` are left: each goes to the device furthest below its exact share. */
    while (left > 0) {
        size_t neediest = 0;
        double most = -INFINITY;
        for (size_t i = 0; i < devices; i++) {
            double lack = (double)batch * weight_of(weight, i) / sum - (double)count[i];
            if (weight_of(weight, i) > 0 && lack > most) {
                most = lack;
                neediest = i;
            }
        }
        count[neediest]++;
        left--;
    }
    int64_t at = 0;
    for (size_t i = 0; i < devices; i++) {
        first[i] = at;
        at += count[i];
    }
}

double vox_cost_of(const vox_cost *cost, int64_t n)
{
    return n > 0 ? cost->fixed + (double)n * cost->each : 0;
}

/* One sample after the other goes to the device that would be done with it first.  That is the best
 * split: let t(i,k) be the time at which device i is done with its k-th sample.  A split that takes
 * T in all uses `batch` of these times, none above T, so T is at least the batch-th smallest of
 * them.  t(i,k) grows with k, so the loop below takes the batch smallest, in their order, and the
 * last one it takes is just that bound.  (Of what must be given, likewise: the smallest of the
 * rest.)
 */
double vox_shards_fastest(int64_t batch, size_t devices, const vox_cost *cost, const int64_t *least,
                          int64_t *count)
{
    double end = 0;
    int64_t given = 0;
    for (size_t i = 0; i < devices; i++) {
        count[i] = least ? least[i] : 0;
        given += count[i];
        end = fmax(end, vox_cost_of(&cost[i], count[i]));
    }
    for (; given < batch; given++) {
        size_t soonest = 0;
        double first = INFINITY;
        for (size_t i = 0; i < devices; i++) {
            const double done = vox_cost_of(&cost[i], count[i] + 1);
            if (done < first) {
                first = done;
                soonest = i;
            }
        }
        count[soonest]++;
        end = fmax(end, first);
    }
    return end;
}
