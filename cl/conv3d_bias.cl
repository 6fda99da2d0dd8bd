/* conv3d_bias.cl - what is left to do after a library's matrix product: the bias, and the
 * relu that follows if it is fused (relu.h).
 *
 *   y[n,o,p] += bias[o]                 y [N][CO][voxels], bias [CO] or NULL
 *
 * Grid: (voxels / ITEM rounded up, channels, samples).  An item adds one number to ITEM
 * neighbouring voxels of a channel, V at a time.  Shapes come by -D: VOXELS of a channel; ITEM and
 * V as in flat.h. */
#include "flat.h"
#include "relu.h"
#ifndef VOXELS
#error "VOXELS must be given"
#endif

__kernel void conv3d_bias(__global const float *restrict bias, __global float *restrict y)
{
    const size_t o = get_global_id(1), channel = get_global_id(2) * get_global_size(1) + o;
    const float b = bias ? bias[o] : 0.0f;
    FLAT_BEGIN((ulong)VOXELS)
    __global float *to = y + channel * VOXELS + first;
    FLAT_VECTORS
    {
        const floatv v = LOAD(to + i) + b;
        STORE(RELU_Y(v), to + i);
    }
    FLAT_REST
    {
        const float v = to[i] + b;
        to[i] = RELU_Y(v);
    }
}
