/* restore.h - what a network says of a prepared volume, brought to another grid: usually that of
 * the file it was prepared from.
 *
 * Probabilities are interpolated (trilinear) and the class with the highest one wins, the lowest
 * among equals: nothing is interpolated where the grids' voxels coincide, whatever the order and
 * sense of the axes.  What lies outside of the prepared volume - a step cropped it - is class 0. */
#ifndef VOX_TRAIN_RESTORE_H
#define VOX_TRAIN_RESTORE_H

#include "base/thread.h"
#include "data/volume.h"
#include "ops/op.h"

/* How a network's outputs become probabilities: decided by its loss (docs/losses.md). */
typedef enum vox_score_kind {
    VOX_SCORE_SOFTMAX,
    VOX_SCORE_SIGMOID, /* one channel, the chance of class 1; or bce_logits, each by itself */
    VOX_SCORE_PLAIN    /* bce: they are probabilities */
} vox_score_kind;

vox_score_kind vox_score_kind_of(const vox_node *loss, int64_t channels);
/* In place, score [channels, voxels]. */
void vox_score_activate(float *score, vox_score_kind kind, int64_t channels, size_t voxels,
                        vox_pool *pool);

typedef struct vox_restore {
    const float *score; /* [channels, map.size]: probabilities; one channel: of class 1 */
    int64_t channels;
    int64_t size[3];   /* of the grid wanted */
    vox_voxel_map map; /* from its voxels to those of score */
} vox_restore;

/* label [size]. */
void vox_restore_labels(const vox_restore *r, vox_pool *pool, uint8_t *label);
/* The probability of class k: out [size]; outside class 0 has 1. */
void vox_restore_class(const vox_restore *r, int64_t k, vox_pool *pool, float *out);

#endif
