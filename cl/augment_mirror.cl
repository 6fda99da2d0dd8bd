/* augment_mirror.cl - reverses a sample along axes, in place; its labels likewise.
 *   x [n][channels][D][H][W], four bytes each, which are only moved; numbers 0, 1, 2 of the sample's decision say whether d, h, w are reversed:
 *   uniform < p, for the axes in AXES (bits: d 1, h 2, w 4)
 * Grid: ROW voxels of one plane an item; the lower of two voxels that change places swaps both, so
 * that no item touches another's. */
#include "augment.h"

#ifndef AXES
#error "AXES must be given"
#endif

__kernel void augment_mirror(__global uint *x, float p, ulong seed, uint lane, uint step, uint sample)
{
    const ulong first = get_global_id(0) * (ulong)ROW, last = min(first + ROW, VOXELS);
    const size_t n = get_global_id(2);
    const uint4 r = decision(seed, lane, step, sample + (uint)n);
    const int flip_d = (AXES & 1) != 0 && vox_uniform(r.x) < p;
    const int flip_h = (AXES & 2) != 0 && vox_uniform(r.y) < p;
    const int flip_w = (AXES & 4) != 0 && vox_uniform(r.z) < p;
    if ((flip_d | flip_h | flip_w) == 0)
        return;
    x += (n * get_global_size(1) + get_global_id(1)) * VOXELS;
    for (ulong v = first; v < last; v++) {
        const uint w = (uint)(v % W), h = (uint)(v / W % H), d = (uint)(v / ((ulong)W * H));
        const ulong other = ((ulong)(flip_d ? D - 1 - d : d) * H + (flip_h ? H - 1 - h : h)) * W +
                            (flip_w ? W - 1 - w : w);
        if (other > v) {
            const uint keep = x[v];
            x[v] = x[other];
            x[other] = keep;
        }
    }
}
