/* copy.cl - y = x, in float16 vectors.
 *   x, y [vectors] float16; y overwritten (=)
 * Grid: one item per CHUNK vectors.  CPUs take CHUNK in the thousands and work-groups of one, so
 * that each thread streams through memory; GPUs take 1, so that neighbours read neighbours.
 * It is what flatten and dropout do in evaluation, and the yardstick of memory-bound kernels. */
#ifndef CHUNK /* vectors per item */
#define CHUNK 1
#endif

__kernel void copy(__global const float16 *restrict x, __global float16 *restrict y, uint vectors)
{
    const uint first = (uint)get_global_id(0) * CHUNK;
    const uint last = min(first + CHUNK, vectors);
    for (uint i = first; i < last; i++)
        y[i] = x[i];
}
