/* augment_rotate90.cl - turns the square planes of a sample by quarters, in place; its labels likewise.
 *   x [n][channels][D][H][W], four bytes each, which are only moved; number 0 of the sample's decision
 *   says whether it is turned: uniform < p, number 1 how often: 1, 2 or 3 quarters, each as likely
 *   A quarter brings the voxel at (a, b) of a plane to (b, S - 1 - a).
 * PLANE: the axis that stays (d 0, h 1, w 2); the other two are S long.
 * Grid: ROW rings of one channel an item: the four voxels that change places with one another,
 *
 *     1 . . 2      The first of them lies in the upper left part, ceil(S/2) x floor(S/2) voxels;
 *     . . . .      these parts, turned, cover the plane but for the middle of an odd one, which
 *     . . . .      stays.  So no item touches another's voxels.
 *     4 . . 3                                                                                     */
#include "augment.h"

#ifndef PLANE
#error "PLANE must be given"
#endif
#if PLANE == 0
#define S      H
#define DEPTH  D
#define AT(k, a, b) (((ulong)(k) * H + (a)) * W + (b))
#elif PLANE == 1
#define S      D
#define DEPTH  H
#define AT(k, a, b) (((ulong)(a) * H + (k)) * W + (b))
#else
#define S      D
#define DEPTH  W
#define AT(k, a, b) (((ulong)(a) * H + (b)) * W + (k))
#endif
#define HIGH ((S + 1) / 2) /* a below this, b below LOW: the first of a ring */
#define LOW  (S / 2)
#define RINGS ((ulong)DEPTH * HIGH * LOW)

__kernel void augment_rotate90(__global uint *x, float p, ulong seed, uint lane, uint step,
                               uint sample)
{
    const ulong first = get_global_id(0) * (ulong)ROW, last = min(first + ROW, RINGS);
    const size_t n = get_global_id(2);
    const uint4 r = decision(seed, lane, step, sample + (uint)n);
    if (vox_uniform(r.x) >= p)
        return;
    const uint turns = 1 + min((uint)(3 * vox_uniform(r.y)), 2u);
    x += (n * get_global_size(1) + get_global_id(1)) * VOXELS;
    for (ulong ring = first; ring < last; ring++) {
        const uint b = (uint)(ring % LOW), a = (uint)(ring / LOW % HIGH);
        const uint k = (uint)(ring / ((ulong)LOW * HIGH));
        const ulong at[4] = {AT(k, a, b), AT(k, b, S - 1 - a), AT(k, S - 1 - a, S - 1 - b),
                             AT(k, S - 1 - b, a)};
        const uint v[4] = {x[at[0]], x[at[1]], x[at[2]], x[at[3]]};
        for (uint i = 0; i < 4; i++)
            x[at[(i + turns) % 4]] = v[i];
    }
}
