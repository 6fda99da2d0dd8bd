/* sliding.h - a network over a whole volume, window by window.
 *
 * The mean output at a voxel is the sum, over the windows above it, of weight times output
 * (windows.h).  What is averaged is the network's output as it is - logits, or probabilities of a
 * network that ends with them - as nnU-Net does: a softmax then costs one per voxel instead of one
 * per voxel and window.
 *
 * One invariant: which device computes a window, and in which order windows are added, depends on
 * the volume and the number of devices alone; the same devices give the same bits. */
#ifndef VOX_TRAIN_SLIDING_H
#define VOX_TRAIN_SLIDING_H

#include "base/thread.h"
#include "parallel/team.h"

typedef struct vox_sliding_options {
    double overlap;  /* of neighbouring windows; 0..VOX_OVERLAP_MAX */
    unsigned mirror; /* bits d 1, h 2, w 4: averaged over all flips along these */
    int64_t batch;   /* windows at once, at most the team's batch */
    /* After every batch; may be NULL. */
    void (*on_progress)(void *user, int64_t done, int64_t total);
    bool (*should_stop)(void *user); /* asked before every batch; may be NULL */
    void *user;
} vox_sliding_options;

typedef struct vox_sliding_times {
    int64_t windows;  /* that the network saw, flips counted */
    double network_s; /* in which the devices had work */
    double all_s;
} vox_sliding_times;

/* Bytes that a run allocates beside mean. */
uint64_t vox_sliding_bytes(const vox_graph *graph, int64_t batch);

/* The channels of the network's output; VOX_ERR_INPUT unless it has one for every voxel of its
 * input. */
vox_status vox_sliding_channels(const vox_graph *graph, int64_t *channels, vox_error *err);

/* voxel [C, size] of any size; mean [channels, size] is overwritten.  Where the volume is smaller
 * than a window it lies in the middle with 0 around, as patches of training do. VOX_ERR_INTERRUPTED
 * after should_stop, VOX_ERR_NONFINITE if an output is NaN or infinite. */
vox_status vox_sliding_run(vox_team *team, const vox_graph *graph, const float *voxel,
                           const int64_t size[3], const vox_sliding_options *opt, vox_pool *pool,
                           float *mean, vox_sliding_times *times, vox_error *err);

#endif
