/* ema.cl - an exponential moving average of the weights: average += share * (weight - average).
 *   average, weight [count]; average is changed in place
 * Flat arrays: the padding between tensors is 0 in both and stays 0. */
#include "flat.h"

__kernel void ema(__global float *restrict average, __global const float *restrict weight,
                  float share, ulong count)
{
    FLAT_BEGIN(count)
    average += first;
    weight += first;
    FLAT_VECTORS
    {
        const floatv a = LOAD(average + i);
        STORE(a + share * (LOAD(weight + i) - a), average + i);
    }
    FLAT_REST average[i] += share * (weight[i] - average[i]);
}
