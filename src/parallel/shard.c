/* shard.c - how the samples of a batch are shared out over the devices. */
#include "parallel/shard.h"

#include <math.h>

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
