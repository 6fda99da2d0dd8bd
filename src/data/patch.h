/* patch.h - where in a case a patch lies. */
#ifndef VOX_DATA_PATCH_H
#define VOX_DATA_PATCH_H

#include "data/source.h"

/* The corner of the patch of `size` voxels, in the case's voxels; along an axis on which the case
 * is smaller than the patch it is negative, the case in the patch's middle.
 *
 * A random one: with probability foreground (and if the mask is not empty) around a voxel of a
 * class drawn uniformly from those present, the voxel uniformly from the class's, moved inwards as
 * little as possible; else uniform over all places.  Numbers: VOX_RANDOM_PATCH, (step, sample). */
void vox_patch_place(const vox_ready *r, size_t classes, const int64_t size[3], double foreground,
                     const vox_pick *pick, int64_t start[3]);

/* How many windows of `size` cover a case. */
size_t vox_patch_windows(const int64_t of[3], const int64_t size[3]);

#endif
