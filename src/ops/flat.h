/* flat.h - kernels that take tensors as flat arrays, whatever their layout: relu, copies, sums.
 *
 * Such a kernel gives each item ITEM floats and works on them V at a time (cl/flat.h).  CPUs get
 * long runs and work-groups of one, so that a core streams through memory with its widest
 * vectors; GPUs get one short vector an item, so that neighbouring items read neighbouring
 * memory. */
#ifndef VOX_OPS_FLAT_H
#define VOX_OPS_FLAT_H

#include "ops/op.h"

/* "-DITEM=8192 -DV=16": the options such a kernel is built with on this device. */
const char *vox_flat_options(const vox_device *dev);
/* The grid for `floats` of them on this device. */
vox_grid vox_flat_grid(const vox_device *dev, int64_t floats);

/* Builds w->kernel[0] from a flat kernel file. */
vox_status vox_flat_build(vox_work *w, const char *file, const char *entry, vox_error *err);

/* Floats of the first n samples of a tensor in its layout. */
int64_t vox_tensor_floats(const vox_tensor *t, int64_t n);

/* w->kernel[slot] for y = x, or backward dx = dy, which is relu's own gradient where one is fused.
 */
vox_status vox_flat_copy_build(vox_work *w, int slot, vox_error *err);
vox_status vox_flat_copy_run(vox_work *w, int slot, const vox_io *io, vox_error *err);

/* Expected seconds of something that moves `floats` floats for each of the n_max samples. */
double vox_flat_seconds(const vox_problem *p, double floats);

#endif
