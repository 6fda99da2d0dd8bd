/* augment.h - the steps of `data.augment`, run as kernels on the training device before the forward
 * pass, every time a sample is used.
 *
 * One invariant: what happens to a sample depends on (seed, step, global sample index) and the
 * step's place in the list alone, never on the device or on the other samples. */
#ifndef VOX_DATA_AUGMENT_H
#define VOX_DATA_AUGMENT_H

#include "base/yaml.h"
#include "ops/op.h"

typedef struct vox_augment vox_augment;

/* list: a YAML list of steps ({mirror: {axes: [w], p: 0.5}} ...); unknown ones and unknown keys are
 * errors with their place.  input: the shape of one sample (dim[0] == 1); n_max: the largest batch.
 * dev is borrowed and must outlive it; list is not kept. */
vox_status vox_augment_open(vox_augment **out, const vox_yaml_node *list, vox_device *dev,
                            const vox_shape *input, int64_t n_max, vox_error *err);
void vox_augment_free(vox_augment **augment);

/* Enqueues the steps on samples 0..n-1 of x, a PLAIN tensor [n_max, C, D, H, W], in place.  labels
 * [n_max, D, H, W], a label for each voxel, go the way of their voxels; NULL: a sample's labels
 * are not of its voxels. */
vox_status vox_augment_run(vox_augment *augment, const vox_tensor *x, const vox_tensor *labels,
                           int64_t n, const vox_step *step, vox_error *err);

#endif
