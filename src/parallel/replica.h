/* replica.h - the network on one device, with the host thread that drives it.
 *
 * One invariant: between vox_replica_post and vox_replica_wait the device and all that lives on it
 * belong to the replica's thread; at all other times to the caller's. */
#ifndef VOX_PARALLEL_REPLICA_H
#define VOX_PARALLEL_REPLICA_H

#include "base/mem.h"
#include "data/augment.h"
#include "net/plan.h"
#include "parallel/buckets.h"
#include "parallel/factors.h"
#include "parallel/meter.h"

typedef struct vox_replica vox_replica;

/* Work for a replica's thread. */
typedef vox_status (*vox_replica_fn)(vox_replica *r, void *arg, vox_error *err);

typedef struct vox_replica_options {
    const vox_graph *graph; /* borrowed */
    int64_t n_max;          /* most samples it will be given at once, >= 1 */
    bool training;
    const vox_yaml_node *augment; /* list of steps, borrowed; NULL: none */
    uint64_t seed;
    const char *algo;        /* methods forced by name (vox_plan_options), or NULL */
    uint64_t workspace;      /* see vox_plan_options */
    uint64_t memory;         /* likewise */
    const vox_finddb *times; /* measured times (vox_plan_options), borrowed while opened, or NULL */
    bool copy;               /* go through pinned buffers even where device memory is host memory */
    /* The host's weights, borrowed: the replica's own are these where device memory is host memory
     * (unless copy).  NULL: there are none. */
    vox_host_memory *params;
    /* Likewise where its gradients are to be, for this replica alone; NULL: in memory of its own.
     */
    vox_host_memory *grads;
    /* How gradients go to the host: borrowed, [buckets] (vox_buckets_cut), of which there are 0
     * where all go as factors.  NULL: they do not. */
    const vox_range *bucket;
    size_t buckets;
    /* The layers whose gradients go as factors instead, borrowed; NULL: none. */
    const vox_factors *factors;
} vox_replica_options;

/* Starts a thread bound near dev, which builds the plan: wait for it before anything else.  dev is
 * borrowed; index counts the job's devices. */
vox_status vox_replica_open(vox_replica **out, size_t index, vox_device *dev,
                            const vox_replica_options *opt, vox_error *err);
/* Ends the thread (after the work it has) and releases the plan. */
void vox_replica_free(vox_replica **r);

/* Hands the thread one piece of work; arg is borrowed until vox_replica_wait, which gives the
 * work's status.  Errors say which device. */
void vox_replica_post(vox_replica *r, vox_replica_fn fn, void *arg);
vox_status vox_replica_wait(vox_replica *r, vox_error *err);

/* The same, but gives up after so many seconds: false, and the work still goes on. */
bool vox_replica_wait_for(vox_replica *r, double seconds, vox_status *status, vox_error *err);
/* Its work does not end: the thread is left to itself, and with it all that it may yet touch; the
 * device, and what vox_replica_free would release. */
void vox_replica_abandon(vox_replica *r);

vox_device *vox_replica_device(const vox_replica *r);
vox_plan *vox_replica_plan(const vox_replica *r);
const char *vox_replica_title(const vox_replica *r); /* "0 pthread-AVX512" */

/* Where its time went; while it has work the thread's, which calls the latter, else the caller's.
 */
vox_meter *vox_replica_meter(vox_replica *r);
vox_meter *vox_replica_work_meter(vox_replica *r);

/* Profiling labels (vox_device_label) of what no layer does; those of layers are the plan's. */
enum {
    VOX_LABEL_TRANSFER = VOX_LABELS - 1, /* between host and device */
    VOX_LABEL_UPDATE = VOX_LABELS - 2,   /* the optimiser */
    VOX_LABEL_AUGMENT = VOX_LABELS - 3
};

/* ---- for work: called on the replica's thread ---- */

/* One share of a batch; pointers stay valid until the work is done. */
typedef struct vox_share {
    const float *voxel;         /* [n, C, D, H, W]; or */
    const float *const *sample; /* [n]: each sample's voxels, where voxel is NULL */
    const int32_t *label; /* [n, vox_graph_labels]; NULL: no losses (only vox_replica_forward) */
    int64_t n, first;     /* samples, and the global index of the first */
    uint64_t step;
    float scale; /* of the losses' gradient: 1 / samples of the whole batch */
    /* samples that all devices have at once, if they exchange numbers in mid-step; else 0 */
    int64_t all;
    bool bystander;  /* see vox_step */
    bool last;       /* of the batch: the gradients go to the host (vox_replica_buckets) */
    bool accumulate; /* its gradients are added to those there: another part of the same batch */
    float *loss;     /* [n], written */
    float *factors;  /* written from sample factors_at on; see vox_factors_x */
    int64_t factors_at;
    /* The share that will come next, to be uploaded meanwhile; NULL: not known yet. */
    const struct vox_share *next;
} vox_share;

/* Augments (unless that is done), runs forward and backward; the gradients stay on the device,
 * share->loss is read. Enqueues only: vox_replica_finish waits, and until then share and what it
 * points to stay. */
vox_status vox_replica_gradients(vox_replica *r, const vox_share *share, vox_error *err);
vox_status vox_replica_finish(vox_replica *r, vox_error *err);
/* After that: augments share->next, which is uploaded, as nobody waits for the device now. Enqueues
 * only. */
vox_status vox_replica_augment_next(vox_replica *r, vox_error *err);
/* Evaluation: output[n, ...] is read, and loss if there are labels. */
vox_status vox_replica_forward(vox_replica *r, const vox_share *share, float *output,
                               vox_error *err);

/* Whether its weights are the host's own (vox_replica_options.params). */
bool vox_replica_shares(const vox_replica *r);

/* Its gradients' way to the host; NULL: there is none. */
vox_buckets *vox_replica_buckets(const vox_replica *r);

/* Of one that shares: waits for its work; the weights are the host's until given back. */
vox_status vox_replica_take_params(vox_replica *r, vox_error *err);
vox_status vox_replica_give_params(vox_replica *r, vox_error *err);

/* Overwrites the parameters of one that does not share.  Without wait flat must stay as it is until
 * vox_replica_finish. */
vox_status vox_replica_set_params(vox_replica *r, const float *flat, bool wait, vox_error *err);

#endif
