/* windows.h - the windows that cover a volume, and how much each counts where they overlap.
 *
 * Along an axis of n voxels there are ceil((n - size) / (size * (1 - overlap))) + 1 windows, evenly
 * spaced, the first at the start and the last at the end (one, in the middle, where the volume is
 * the smaller).  A window counts as a Gaussian around its middle, of sigma size / 8 along each axis
 * (nnU-Net: Isensee et al., Nature Methods 18, 2021): what lies at its border was seen with little
 * around it.
 *
 * One invariant: at every voxel of the volume the weights of the windows over it sum to 1.  Windows
 * lie on a grid and the Gaussian is a product over the axes, so that weights are divided by their
 * sum axis by axis, and no volume of weights is needed. */
#ifndef VOX_TRAIN_WINDOWS_H
#define VOX_TRAIN_WINDOWS_H

#include "base/mem.h"

#define VOX_OVERLAP_MAX 0.95

/* Triples are (d, h, w). */
typedef struct vox_windows {
    int64_t of[3], size[3]; /* of the volume, and of a window */
    int64_t count[3];
    int64_t *start[3]; /* [count]: first voxel; negative where the volume is smaller; owned */
    float *weight[3];  /* [count, size]: 0 outside of the volume; owned */
} vox_windows;

/* 0 <= overlap <= VOX_OVERLAP_MAX; release after a failure too. */
vox_status vox_windows_init(vox_windows *w, const int64_t of[3], const int64_t size[3],
                            double overlap, vox_error *err);
void vox_windows_release(vox_windows *w);

int64_t vox_windows_total(const vox_windows *w);
/* Window i of the total: its place along each axis. */
void vox_windows_place(const vox_windows *w, int64_t i, int64_t at[3]);

#endif
