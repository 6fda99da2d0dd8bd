/* augment_mirror.cl - reverses the axes named in AXES, each with probability p, in place; the same for
 * every channel of a sample and for its labels.
 *   x [n][channels][D][H][W], four bytes each, which are only moved; axis k of a sample is reversed if
 *   number k (d 0, h 1, w 2) of its decision has uniform < p
 * AXES: bits, d 1, h 2, w 4.  A line is W voxels next to each other; d and h say which line it changes
 * places with (maybe itself), w whether the voxels of both come in reverse:
 *
 *     line        a b c d e         J I H G F
 *     its other   F G H I J   ->    e d c b a     and of one that stays, its halves: e d c b a
 *
 * Grid: x LINES lines an item on CPUs, sixteen voxels at once; on others ACROSS neighbours a line, so that
 * they read next to each other; y: channels, z: samples.  The line with the lower number moves both. */
#include "augment.h"

#ifndef AXES
#error "AXES must be given"
#endif
#ifndef LINES /* lines that an item takes */
#define LINES 1
#endif
#ifndef ACROSS /* items that share a line */
#define ACROSS 1
#endif

/* a[w] and b[w] change places. */
inline void exchange(__global uint *a, __global uint *b, uint w)
{
#if ACROSS == 1
    for (; w + 16 <= W; w += 16) {
        const uint16 keep = vload16(0, a + w);
        vstore16(vload16(0, b + w), 0, a + w);
        vstore16(keep, 0, b + w);
    }
#endif
    for (; w < W; w += ACROSS) {
        const uint keep = a[w];
        a[w] = b[w];
        b[w] = keep;
    }
}

/* a[w] and b[W - 1 - w] change places, w < count. */
inline void exchange_reversed(__global uint *a, __global uint *b, uint w, uint count)
{
#if ACROSS == 1
    for (; w + 16 <= count; w += 16) {
        const uint16 keep = vload16(0, a + w);
        vstore16(vload16(0, b + W - 16 - w).sfedcba9876543210, 0, a + w);
        vstore16(keep.sfedcba9876543210, 0, b + W - 16 - w);
    }
#endif
    for (; w < count; w += ACROSS) {
        const uint keep = a[w];
        a[w] = b[W - 1 - w];
        b[W - 1 - w] = keep;
    }
}

__kernel void augment_mirror(__global uint *x, float p, ulong seed, uint lane, uint step, uint sample)
{
    const ulong first = get_global_id(0) / ACROSS * (ulong)LINES, last = min(first + LINES, (ulong)D * H);
    const uint start = (uint)(get_global_id(0) % ACROSS);
    const size_t n = get_global_id(2);
    const uint4 r = decision(seed, lane, step, sample + (uint)n);
    const int flip_d = (AXES & 1) != 0 && vox_uniform(r.x) < p;
    const int flip_h = (AXES & 2) != 0 && vox_uniform(r.y) < p;
    const int flip_w = (AXES & 4) != 0 && vox_uniform(r.z) < p;
    if ((flip_d | flip_h | flip_w) == 0)
        return;
    x += (n * get_global_size(1) + get_global_id(1)) * VOXELS;
    for (ulong line = first; line < last; line++) {
        const uint h = (uint)(line % H), d = (uint)(line / H);
        const ulong other = (ulong)(flip_d ? D - 1 - d : d) * H + (flip_h ? H - 1 - h : h);
        if (other < line)
            continue;
        if (flip_w)
            exchange_reversed(x + line * W, x + other * W, start, other == line ? W / 2 : W);
        else if (other != line)
            exchange(x + line * W, x + other * W, start);
    }
}
