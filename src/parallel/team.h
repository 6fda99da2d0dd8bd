/* team.h - the replicas of a job working together on one batch after the other.
 *
 * A step shares the batch out, computes, sums the gradients, has the caller's function change the
 * weights by them and brings these to the replicas.  One device does all of it by itself: nothing
 * leaves it, and the host waits only for the whole step's end.  With several the model lives in
 * host memory (weights here, the optimiser's state with the caller): there the gradients meet
 * anyway, the weights change in one place whatever the devices' arithmetic, and no device takes
 * anything with it when it fails.
 *
 * Layers of the network that take statistics over the whole batch (batch_norm with sync) make the
 * replicas meet in mid-step; others take those of their own share, and the running statistics of
 * the first replica at work go to all with the weights, as PyTorch's DistributedDataParallel has
 * it.
 *
 * One invariant: outside of these calls all replicas hold the same weights, to the bit; running
 * statistics too, but after a step whose losses were not finite. */
#ifndef VOX_PARALLEL_TEAM_H
#define VOX_PARALLEL_TEAM_H

#include "base/thread.h"
#include "parallel/fleet.h"
#include "parallel/replica.h"
#include "parallel/shard.h"

typedef struct vox_team vox_team;

/* Gradients come to the host in pieces of about this size. */
#define VOX_BUCKET_BYTES 4194304

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
    uint64_t memory;         /* likewise */
    const vox_finddb *times; /* measured times (vox_plan_options), or NULL */
    vox_sync sync;           /* how the devices' gradients come together */
    bool whole_gradients;    /* all of them, where factors (factors.h) would be less */
    int64_t staleness;       /* with VOX_SYNC_ASYNC the bound; < 0: the default */
    bool copy;               /* see vox_replica_options */
    size_t bucket_bytes;     /* see vox_buckets_cut; 0: VOX_BUCKET_BYTES */
    /* How the samples of training steps are shared out; otherwise equally. */
    vox_shard_mode shard;
    double hang_s; /* after which a device counts as hanging; 0: by the steps before */
    /* Of all ranks' devices (vox_fleet), the same on every rank; with AUTO those to begin with, or
     * NULL: equal. */
    const double *weight;
    vox_hosts *hosts; /* ranks that share the batches, all with these options; borrowed, or NULL */
    bool on_host;     /* the model lives in host memory even with one device; training only */
    /* What of vox_team_room is wanted, the same on all ranks (vox_room_of each piece). */
    size_t room_bytes;
} vox_team_options;

/* A replica on every device of ctx, which is borrowed, like all that opt points to but the
 * weights.  The weights are undefined until
 * vox_team_set_params. */
vox_status vox_team_open(vox_team **out, const vox_ctx *ctx, const vox_team_options *opt,
                         vox_error *err);
void vox_team_free(vox_team **team);

size_t vox_team_size(const vox_team *team); /* devices of this rank */
const vox_fleet *vox_team_fleet(const vox_team *team);
/* Floats of one sample's output. */
size_t vox_team_output(const vox_team *team);
vox_replica *vox_team_replica(vox_team *team, size_t i); /* borrowed */
/* Where the model lives, and so the optimiser's state has to: a device, or NULL for host memory. */
vox_device *vox_team_home(const vox_team *team);
/* The samples of a full part of a batch that each device of all ranks had in the last step (before
 * the first: will have).  The weights they go by: vox_team_options.weight of another team that is
 * to go on like this one. */
void vox_team_shares(const vox_team *team, int64_t *count);
const double *vox_team_weights(const vox_team *team);
/* Who computes how many of a full batch's samples, and the tree's drawing; several lines.
 * Collective. */
void vox_team_describe(const vox_team *team, vox_str *text);

/* Ranks that share the memory of a host have one model there, and each changes a part of it: this
 * one's portion, NULL where it does all.  Their optimiser's state has to be in the room, zeroed and
 * borrowed, of which all take the same pieces in the same order; NULL: there is none. */
const vox_portion *vox_team_portion(const vox_team *team);
vox_room *vox_team_room(vox_team *team);

/* flat[graph->flat_floats], the same on all ranks.  Collective. */
vox_status vox_team_set_params(vox_team *team, const float *flat, vox_error *err);
vox_status vox_team_get_params(vox_team *team, float *flat, vox_error *err);

/* The samples of a batch of n that this rank's devices compute: all, unless there are several
 * ranks.  Changes within vox_team_step and vox_team_eval_again alone; from any thread. */
vox_slice vox_team_slice(const vox_team *team, int64_t n);
/* rows[n][bytes], of which every rank has computed those of its samples, become everybody's; and an
 * error of one (mine) all ranks'.  Collective. */
vox_status vox_team_share(vox_team *team, int64_t n, vox_status mine, void *rows, size_t bytes,
                          vox_error *err);

/* values[count] become the sums over all ranks.  Collective. */
vox_status vox_team_total(vox_team *team, double *values, size_t count, vox_error *err);
/* vox_hosts_agree of the team's ranks. */
vox_status vox_team_agree(vox_team *team, vox_status mine, vox_error *err);

/* A batch in host memory, all of it borrowed for the call. */
typedef struct vox_team_batch {
    /* Of this rank's samples (vox_team_slice): */
    const float *voxel;         /* [count, C, D, H, W]; or */
    const float *const *sample; /* [count]: each sample's voxels, where voxel is NULL */
    const int32_t *label;       /* [count, labels of a sample]; NULL in vox_team_eval: no losses */
    int64_t n;                  /* 1..batch */
    uint64_t step;
    /* The batch that will come next, uploaded while this one is computed, or NULL; its memory must
     * stay as it is until it was computed.  Not for vox_team_eval. */
    const struct vox_team_batch *next;
} vox_team_batch;

/* What changes the weights by the gradients of the whole batch. */
typedef struct vox_team_update {
    /* Model on replica 0: called on its thread, only enqueues; vox_plan_grads holds the gradients
     * and vox_plan_params is to be changed.  Called before the losses are known where
     * vox_team_looks says no; then it must heed those in vox_plan_loss on the device
     * (vox_optimizer_step does), and leave the weights alone if one is not finite. */
    vox_replica_fn device;
    /* Model on the host: called on the caller's thread once all losses are known to be finite, and
     * by all that vox_team_portion tells of, each of which does its part.  params and grads are
     * flat; the gradients may be overwritten, and in place of those that factors (NULL: none)
     * are of there is nothing: they are made of these, elsewhere.  With VOX_SYNC_ASYNC it is called
     * for each share of a batch (vox_team_now), and with grads NULL when the step's batch is whole.
     */
    vox_status (*host)(void *arg, float *params, float *grads, const vox_factors *factors,
                       vox_pool *pool, vox_error *err);
    void *arg;
    /* Several ranks: since devices failed in the step, this rank's samples are others
     * (vox_team_slice), also of the batches to come; fills all of the batch in anew.  NULL: such a
     * step fails. */
    vox_status (*fetch)(void *arg, vox_team_batch *batch, vox_error *err);
} vox_team_update;

/* Whether a step on a batch of n calls its update with the losses known. */
bool vox_team_looks(const vox_team *team, int64_t n);

/* One step on a batch: loss[n] is each sample's, on every rank; the gradients are of their mean. If
 * a loss is not finite, update is not called (but see there), and the step still gives VOX_OK. */
vox_status vox_team_step(vox_team *team, const vox_team_batch *batch, const vox_team_update *update,
                         float *loss, vox_error *err);

/* A step on which devices fail is computed again by the others, who have their samples from then
 * on; only when none is left it fails.  Whether device i of all ranks' was lost so, as far as this
 * rank was told; step: from 1 (0: before the first), reason: borrowed. */
bool vox_team_lost(const vox_team *team, size_t i, int64_t *step, const char **reason);
/* How many of the lost still have a thread that is at work, or rather is not: what was given to
 * vox_team_step and vox_team_eval, ctx and opt's graph must then stay for good. */
size_t vox_team_hangs(const vox_team *team);
/* Before the end: what was begun for steps that do not follow comes to nothing.  NULL is fine. */
void vox_team_rest(vox_team *team);
/* After a step that failed: whether the model is as it was before. */
bool vox_team_intact(const vox_team *team);

/* What the gradients are of that vox_team_update.host is called with. */
typedef struct vox_team_taking {
    double part;    /* of the batch in them, whose means they are: so much smaller is the rate */
    int64_t number; /* of the update, from 0 */
    bool whole;     /* with it the step's batch is whole */
} vox_team_taking;
vox_team_taking vox_team_now(const vox_team *team);

/* VOX_SYNC_ASYNC: how many updates the weights had between those that gradients were computed from
 * and those that they were applied to. */
typedef struct vox_team_staleness {
    double mean;
    int64_t most, bound;
    int64_t updates; /* that these are of */
} vox_team_staleness;
/* Of the last step's batch, or of all so far. */
vox_team_staleness vox_team_last_staleness(const vox_team *team, bool all);
/* How many updates device i made so far. */
int64_t vox_team_updates(const vox_team *team, size_t i);
/* VOX_SYNC_ASYNC begins batches that it knows (vox_team_batch.next, and so on) before the step's is
 * whole: as many as this.  Their steps have to follow.  Otherwise 1. */
int64_t vox_team_ahead(const vox_team *team);
/* How many batches were begun whose steps have not been; only with none the weights are those
 * between two steps, and may be evaluated or set. */
int64_t vox_team_begun(const vox_team *team);

/* Where the last step's time went, on the host's clock; 0 without a model on the host. */
typedef struct vox_team_times {
    double compute_s; /* until the slowest replica was through with the gradients */
    double reduce_s;  /* after that: what was left of summing them */
    double update_s;  /* the update's call */
    double send_s;    /* until all replicas could go on */
} vox_team_times;
vox_team_times vox_team_last_times(const vox_team *team);
/* Seconds that member i worked on the last step's (last part's) samples; 0: it had none. */
double vox_team_busy(const vox_team *team, size_t i);

/* Whether a step on a batch of n can be done at all: not if ranks that exchange numbers in mid-step
 * have no sample of it. */
vox_status vox_team_check(const vox_team *team, int64_t n, vox_error *err);

/* Evaluation semantics; output[n, ...] as vox_plan_output has it, loss[n] if there are labels: of
 * this rank's samples, each in its place. */
vox_status vox_team_eval(vox_team *team, const vox_team_batch *batch, float *output, float *loss,
                         vox_error *err);
/* Several ranks: after s, an error of one of them that vox_team_share made all ranks'.  VOX_OK if
 * it was that its last device failed, and others can do its samples: this rank's are others now
 * (vox_team_slice), and the batch is to be evaluated again.  Else s.  Collective. */
vox_status vox_team_eval_again(vox_team *team, vox_status s, vox_error *err);

/* After vox_team_step gave a loss that is not finite: the first layer
 * whose output is not, or "" if only the loss itself is; on every rank. */
vox_status vox_team_find_nonfinite(vox_team *team, char layer[64], vox_error *err);

#endif
