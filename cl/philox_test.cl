/* philox_test.cl - blocks of the generator, for the test that host and device agree.
 *   out[4*i .. 4*i+3] = vox_random_block(seed, purpose, lane, step, sample, i)
 * Grid: one item per block. */
#include "common.h"

__kernel void philox_test(__global uint *out, ulong seed, uint purpose, uint lane, uint step,
                          uint sample)
{
    const size_t i = get_global_id(0);
    vstore4(vox_random_block(seed, purpose, lane, step, sample, (uint)i), i, out);
}
