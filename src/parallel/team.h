/* team.h - the replicas of a job working together on one batch after the other.
 *
 * A step is two calls: vox_team_gradients shares the batch out and computes, vox_team_update sums
 * the gradients, has the caller's function change the weights on device 0, where the optimiser's
 * state lives, and brings them to the others.  With one device nothing leaves it.
 *
 * One invariant: outside of these calls all replicas hold the same weights, to the bit. */
#ifndef VOX_PARALLEL_TEAM_H
#define VOX_PARALLEL_TEAM_H

#include "parallel/replica.h"

typedef struct vox_team vox_team;

typedef struct vox_team_options {
    const vox_graph *graph;       /* borrowed */
    int64_t batch;                /* most samples of a batch, over all devices; >= 1 */
    bool training;                /* false: vox_team_eval only */
    const vox_yaml_node *augment; /* borrowed; NULL: none */
    uint64_t seed;
    const char *algo;        /* see vox_plan_options */
    const vox_finddb *times; /* measured times (vox_plan_options), borrowed while opened, or NULL */
    bool copy;               /* see vox_replica_options */
} vox_team_options;

/* A replica on every device of ctx, which is borrowed.  The weights are undefined until
 * vox_team_set_params. */
vox_status vox_team_open(vox_team **out, const vox_ctx *ctx, const vox_team_options *opt,
                         vox_error *err);
void vox_team_free(vox_team **team);

size_t vox_team_size(const vox_team *team);
vox_replica *vox_team_replica(vox_team *team, size_t i); /* borrowed; 0 holds the optimiser */
/* Who computes how many of a full batch's samples, and the tree's drawing; several lines. */
void vox_team_describe(const vox_team *team, vox_str *text);

/* flat[graph->flat_floats]. */
vox_status vox_team_set_params(vox_team *team, const float *flat, vox_error *err);
vox_status vox_team_get_params(vox_team *team, float *flat, vox_error *err);

/* A batch in host memory, all of it borrowed for the call. */
typedef struct vox_team_batch {
    const float *voxel;   /* [n, C, D, H, W] */
    const int32_t *label; /* [n]; NULL in vox_team_eval: no losses */
    int64_t n;            /* 1..batch */
    uint64_t step;
} vox_team_batch;

/* Gradients of the mean loss over the batch, on the devices; loss[n] is each sample's. */
vox_status vox_team_gradients(vox_team *team, const vox_team_batch *batch, float *loss,
                              vox_error *err);
/* After vox_team_gradients.  update runs on replica 0's thread; there vox_plan_grads holds the sum
 * over all devices and vox_plan_params is to be changed. */
vox_status vox_team_update(vox_team *team, vox_replica_fn update, void *arg, vox_error *err);

/* Evaluation semantics; output[n, ...] as vox_plan_output has it, loss[n] if there are labels. */
vox_status vox_team_eval(vox_team *team, const vox_team_batch *batch, float *output, float *loss,
                         vox_error *err);

/* After vox_team_gradients gave a loss that is not finite, before any update: the first layer
 * whose output is not, or "" if only the loss itself is. */
vox_status vox_team_find_nonfinite(vox_team *team, char layer[64], vox_error *err);

#endif
