/* copy.cl - y = x; flat arrays.
 *   x, y [count]; y overwritten (=)
 * What flatten does in PLAIN and dropout in evaluation, and the yardstick of memory-bound kernels. */
#include "flat.h"

__kernel void copy(__global const float *restrict x, __global float *restrict y, ulong count)
{
    FLAT_BEGIN(count)
    x += first;
    y += first;
    FLAT_VECTORS STORE(LOAD(x + i), y + i);
    FLAT_REST y[i] = x[i];
}
