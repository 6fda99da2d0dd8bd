/* team.h - the replicas of a job working together on one batch after the other.
 *
 * A step shares the batch out and computes, sums the gradients, has the caller's function change
 * the weights on device 0, where the optimiser's state lives, and brings them to the others.  With
 * one device nothing leaves it, and the host waits only for the whole step's end.
 *
 * Layers of the network that take statistics over the whole batch (batch_norm with sync) make the
 * replicas meet in mid-step; others take those of their own share, and replica 0's running
 * statistics go to all with the weights, as PyTorch's DistributedDataParallel has it.
 *
 * One invariant: outside of these calls all replicas hold the same weights, to the bit; running
 * statistics too, but after a step whose losses were not finite. */
#ifndef VOX_PARALLEL_TEAM_H
#define VOX_PARALLEL_TEAM_H

#include "parallel/replica.h"

typedef struct vox_team vox_team;

typedef struct vox_team_options {
    const vox_graph *graph; /* borrowed */
    int64_t batch;          /* most samples of a batch, over all devices; >= 1 */
    /* A batch goes through the devices in so many parts, one after the other, the gradients being
     * added up: so much less memory.  0 or 1: whole. */
    int64_t parts;
    bool training;                /* false: vox_team_eval only */
    const vox_yaml_node *augment; /* borrowed; NULL: none */
    uint64_t seed;
    const char *algo;        /* see vox_plan_options */
    uint64_t workspace;      /* likewise */
    const vox_finddb *times; /* measured times (vox_plan_options), borrowed while opened, or NULL */
    bool copy;               /* see vox_replica_options */
} vox_team_options;

/* A replica on every device of ctx, which is borrowed.  The weights are undefined until
 * vox_team_set_params. */
vox_status vox_team_open(vox_team **out, const vox_ctx *ctx, const vox_team_options *opt,
                         vox_error *err);
void vox_team_free(vox_team **team);

size_t vox_team_size(const vox_team *team);
/* Floats of one sample's output. */
size_t vox_team_output(const vox_team *team);
vox_replica *vox_team_replica(vox_team *team, size_t i); /* borrowed; 0 holds the optimiser */
/* Who computes how many of a full batch's samples, and the tree's drawing; several lines. */
void vox_team_describe(const vox_team *team, vox_str *text);

/* flat[graph->flat_floats]. */
vox_status vox_team_set_params(vox_team *team, const float *flat, vox_error *err);
vox_status vox_team_get_params(vox_team *team, float *flat, vox_error *err);

/* A batch in host memory, all of it borrowed for the call. */
typedef struct vox_team_batch {
    const float *voxel;   /* [n, C, D, H, W] */
    const int32_t *label; /* [n, labels of a sample]; NULL in vox_team_eval: no losses */
    int64_t n;            /* 1..batch */
    uint64_t step;
    /* The batch that will come next, uploaded while this one is computed, or NULL; its memory must
     * stay as it is until it was computed.  Not for vox_team_eval. */
    const struct vox_team_batch *next;
} vox_team_batch;

/* Whether a step on a batch of n calls its update with the losses known. */
bool vox_team_looks(const vox_team *team, int64_t n);

/* One step on a batch: loss[n] is each sample's; the gradients are of their mean.
 *
 * update runs on replica 0's thread and only enqueues; there vox_plan_grads holds the sum over all
 * devices and vox_plan_params is to be changed.  If a loss is not finite the weights must stay as
 * they are, and the step still gives VOX_OK: with several devices or parts update is not called,
 * else it is called before the losses are known, and must heed those in vox_plan_loss on the device
 * (vox_optimizer_step does). */
vox_status vox_team_step(vox_team *team, const vox_team_batch *batch, vox_replica_fn update,
                         void *arg, float *loss, vox_error *err);

/* Evaluation semantics; output[n, ...] as vox_plan_output has it, loss[n] if there are labels. */
vox_status vox_team_eval(vox_team *team, const vox_team_batch *batch, float *output, float *loss,
                         vox_error *err);

/* After vox_team_step gave a loss that is not finite: the first layer
 * whose output is not, or "" if only the loss itself is. */
vox_status vox_team_find_nonfinite(vox_team *team, char layer[64], vox_error *err);

#endif
