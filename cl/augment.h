/* augment.h - what the augmentation kernels share: the sample's shape, and once-a-sample numbers. */
#ifndef VOX_AUGMENT_H
#define VOX_AUGMENT_H

#include "common.h"

#if !defined(C) || !defined(D) || !defined(H) || !defined(W) || !defined(PURPOSE)
#error "C, D, H, W (one sample) and PURPOSE (vox_purpose) must be given"
#endif
#ifndef ROW /* voxels, or blocks of four elements, per item */
#define ROW 1
#endif
#define VOXELS ((ulong)D * H * W)

/* The four numbers of a sample that no element draws: VOX_AUGMENT_DECISION. */
inline uint4 decision(ulong seed, uint lane, uint step, uint sample)
{
    return vox_random_block(seed, PURPOSE, lane, step, sample, 0xffffffffu);
}

#endif
