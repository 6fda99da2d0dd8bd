/* team_parts.h - what the files of the team share; for them alone. */
#ifndef VOX_PARALLEL_TEAM_PARTS_H
#define VOX_PARALLEL_TEAM_PARTS_H

#include "parallel/faults.h"
#include "parallel/hosts_window.h"
#include "parallel/meeting.h"
#include "parallel/speed.h"
#include "parallel/team.h"
#include "parallel/tree.h"

#include <pthread.h>
#include <stdatomic.h>

typedef enum vox_work_kind { VOX_WORK_GRADIENTS, VOX_WORK_EVAL, VOX_WORK_KINDS } vox_work_kind;

/* One replica's part in the work under way. */
typedef struct vox_member {
    struct vox_team *team;
    vox_replica *replica;
    int64_t limit;         /* most samples it has at once; its share goes through it in pieces */
    bool tight;            /* it has no room for more */
    vox_share share, next; /* next: of the batch after this one, if it is known */
    /* Its samples' losses, in vox_team_eval outputs, come here and go there, and factors come here
     * and go to the team's: one that hangs may write to the first long after. */
    float *loss, *output, *factors;
    float *loss_to, *output_to;
    float *kept;  /* its running statistics, as vox_team.kept_before; no model on the host: NULL */
    size_t room;  /* floats of output */
    bool started; /* it had samples of the batch under way */
    vox_status status; /* of its last work ... */
    vox_error why;     /* ... and why it was not well */
    bool failed;       /* in that work, as devices fail: it gets none until the team has decided */
    atomic_bool hung;  /* its thread still is at it: see vox_replica_abandon */
    bool lost;         /* and so never again */
    const char *layer; /* the first whose output was not finite */
    double done_at;    /* when that was, on vox_now's clock */
    double busy_s;     /* what its work on the last part of a batch took */
    bool *ran[VOX_WORK_KINDS]; /* [batch + 1]: it has had so many samples before */
} vox_member;

/* A device of any rank that was lost: since step (0: before the first), for a reason. */
typedef struct vox_gone {
    bool lost;
    bool told; /* all ranks know, and the shares go by it */
    int64_t step;
    char reason[sizeof(vox_error)];
} vox_gone;

struct vox_team {
    const vox_ctx *ctx;
    vox_replica_options options; /* of all replicas, but for n_max */
    const vox_graph *graph;
    int64_t batch;
    int64_t part; /* most samples of it that all devices of all ranks have at once */
    vox_sync sync;
    struct vox_async *async; /* NULL: another scheme */
    vox_team_taking taking;
    size_t size;
    vox_member *member;     /* [size] */
    int64_t *count, *first; /* [size]: the shares of the part under way */
    vox_fleet fleet;        /* the devices of all ranks, which these lists are of: */
    vox_speed *speed;       /* what the shares go by; on every rank the same */
    int64_t *used;          /* [fleet.count]: of a full part, in the last step */
    double *seconds;        /* [fleet.count]: what they took for the full parts of this step */
    vox_gone *gone;         /* [fleet.count] */
    int64_t full;           /* how many full parts there were */
    pthread_mutex_t *lock;  /* guards the speeds' changes against vox_team_slice */
    int64_t *every;         /* [fleet.count], and ... */
    int64_t *begin;         /* ... [2][fleet.count]: room, guarded too */
    bool fresh;             /* the part under way is the first one of its sizes */
    double hang_s;          /* vox_team_options */
    bool built;             /* kernels were built in one of them: its times say nothing */
    const float **in;       /* [size], the tree's inputs */
    vox_tree tree;
    vox_pool *pool;                /* sums and updates; NULL without a model on the host */
    size_t sample_floats;          /* of one input */
    size_t sample_labels;          /* as vox_graph_labels */
    vox_meeting *meeting;          /* NULL: the replicas exchange nothing in mid-step */
    _Atomic(vox_replica_fn) work;  /* what they do when they meet */
    const vox_team_update *update; /* the caller's, during a step */
    bool changed;                  /* the step under way has begun to change the model */
    int64_t now;                   /* samples of its batch */
    _Atomic int64_t step;          /* the step under way, or after it the next one; from 1 */
    vox_faults faults;
    vox_team_times times; /* of the last step */

    /* The model, if several work on it; NULL: it is on the only device. */
    vox_host_memory *model;
    float *params;     /* what is in it, flat; the host's only while the members have none of it */
    vox_range *bucket; /* [buckets]: how the gradients come to the host */
    size_t buckets;
    vox_factors factors; /* gradients that do not come so, but as rows of the batch's samples */
    vox_range *kept;     /* parameters that the devices change themselves: running statistics */
    size_t kepts;
    float *kept_before; /* what these were before the step */
    bool undecided;     /* and may have to be again */
    bool shared;        /* one that hangs may write to the model: see vox_team_move_model */

    /* Several ranks share the batches; before NULL: one. */
    vox_hosts *hosts;      /* borrowed */
    const int64_t *before; /* fleet.before */
    vox_slice *slice;      /* [ranks]: room */
    float *told;           /* [batch + ranks * what each says beside its losses]: room */
    double rest_s;      /* what this rank's last step took beyond the slowest device's work, ... */
    double rest_told_s; /* ... and the least of that of all ranks, of the step before */
    vox_host_sum **sum; /* [buckets]: the gradients */
    bool *summing;      /* [buckets]: under way */
    float *none;        /* [flat_floats]: the gradients where no device had a sample */
    /* Those on this host may have one model, in memory that they have in common; NULL: no rank of
     * the job has. */
    vox_host_window *window;
    vox_host_memory *own; /* in it: where this rank's gradients are summed; NULL: it has none */
    vox_room room;        /* in it: what is left of the common memory */
    bool keeps;           /* vox_team_keeps */
};

/* ---- team_hosts.c: several ranks ---- */

/* Once hosts, size, batch and graph are known; collective. */
vox_status vox_team_join_hosts(vox_team *team, vox_error *err);
/* Once the buckets are known. */
vox_status vox_team_open_sums(vox_team *team, vox_error *err);
void vox_team_leave_hosts(vox_team *team);
/* data, a bucket's sum over this rank's devices, begins to become the sum over all ranks. */
void vox_team_start_hosts(vox_team *team, size_t bucket, float *data);
/* All buckets' sums are there, the losses of all n samples and the seconds of all devices; or an
 * error, everybody's. */
vox_status vox_team_finish_hosts(vox_team *team, int64_t n, vox_status mine, float *loss,
                                 vox_error *err);
/* Before a try at a step. */
void vox_team_find_keeper(vox_team *team);
/* The running statistics in the model become those of the first rank at work. */
vox_status vox_team_share_kept(vox_team *team, vox_error *err);
/* The members of all ranks meet. */
vox_status vox_team_meet_hosts(vox_team *team, vox_error *err);
/* The first text that is not empty, in the order of the ranks, on every rank. */
vox_status vox_team_share_text(vox_team *team, char text[64], vox_error *err);
/* A line for every rank; collective. */
void vox_team_describe_hosts(const vox_team *team, vox_str *text);

/* ---- team_window.c: ranks with one model ---- */

/* Once the ranks are known; collective. */
vox_status vox_team_open_window(vox_team *team, size_t room_bytes, vox_error *err);
/* Where this rank's gradients are summed, and where the sum over the host's ranks will be, flat;
 * NULL: this rank has a model of its own. */
float *vox_team_own_sum(const vox_team *team);
float *vox_team_common_sum(const vox_team *team);
/* Whether the running statistics in the model are this rank's devices' business during the step
 * under way; of ranks with one model, the first that has samples. */
bool vox_team_keeps(const vox_team *team);
/* Of ranks with one model, the one that writes what all have to it. */
bool vox_team_writes(const vox_team *team);
/* The rank's only device, which wrote its gradients where others see them, hangs: nobody looks
 * there any more, as it may come to life again. */
void vox_team_withdraw(vox_team *team);
/* The model, that of the step's begin, goes to fresh memory, which they have in common too.
 * Collective, of all ranks; nothing happens to one with a model of its own. */
vox_status vox_team_move_window(vox_team *team, vox_error *err);
/* Returns once all ranks with this model are here. */
vox_status vox_team_meet(vox_team *team, vox_error *err);

/* ---- team_step.c: work on all ---- */

/* Of those that neither failed nor are lost: the ones with samples in the part under way; with
 * samples in the batch so far; all. */
typedef enum vox_whom { VOX_AT_WORK, VOX_STARTED, VOX_ALL } vox_whom;

/* Runs fn on them, each with its member as argument; waits for all and gives the first error in the
 * order of the devices. */
vox_status vox_team_run(vox_team *team, vox_whom whom, vox_replica_fn fn, vox_error *err);
/* The same in two halves. */
void vox_team_post(vox_team *team, vox_whom whom, vox_replica_fn fn);
vox_status vox_team_wait(vox_team *team, vox_whom whom, vox_error *err);
/* A member's whole share, on its thread: the gradients are on their way to the host. */
vox_status vox_team_gradients_job(vox_replica *r, void *member, vox_error *err);
vox_status vox_team_run_first(vox_team *team, vox_replica_fn fn, void *arg, vox_error *err);

/* All members, which have no work now, wait for this. */
void vox_team_phase(vox_team *team, vox_phase phase);

/* ---- team_share.c: who has what of a batch ---- */

/* What the devices of all ranks have at once of a batch: `all` samples (0: none) after `at` others.
 * This rank has [from, from + n) of its own in it. */
typedef struct vox_part {
    const vox_team_batch *batch;
    int64_t at, all;
    int64_t from, n;
} vox_part;

/* The part after `at` others; team->count and first are set for it. */
vox_part vox_team_part_at(vox_team *team, const vox_team_batch *batch, int64_t at);
/* Sets everyone's share of a part, and of the one after it; loss: of the batch, or NULL. */
void vox_team_share_out(vox_team *team, const vox_part *p, float *loss);
/* Samples [from, ...) of a member's share, as many as it can have at once. */
vox_share vox_team_piece_of(const vox_member *m, const vox_share *share, int64_t from);
/* After the work: what the members found goes to the caller and to the team. */
void vox_team_collect(vox_team *team, vox_work_kind kind);

/* ---- members.c: the replicas ---- */

/* Opens them all, each for its share. */
vox_status vox_team_open_members(vox_team *team, vox_error *err);
/* The model moves to fresh memory, and with it all that use it in place: a lost one that hangs may
 * come to life again, and write to what it had. */
vox_status vox_team_move_model(vox_team *team, vox_error *err);
/* The same of the model that ranks have in common; collective. */
vox_status vox_team_move_common_model(vox_team *team, vox_error *err);
/* Before a part of a batch: one that was set up for less than its share is set up anew, as pieces
 * cost each what a step costs whatever its samples.  Without room it goes on in pieces, but for
 * those that exchange numbers in mid-step, which must have their shares at once. */
vox_status vox_team_fit(vox_team *team, vox_error *err);

/* ---- shares.c: the members' speeds ---- */

/* This rank's devices' shares of n samples that all have at once, n <= part, go to count and first;
 * returns their sum.  What members lost since the ranks agreed on the shares would have, this
 * rank's others do; -1: there are none. */
int64_t vox_team_split(vox_team *team, int64_t n);

/* Before a step, after each part of it (n samples of all ranks), when all parts are done, and after
 * a step that went well and took so long: the shares follow.  The last is collective. */
void vox_team_times_begin(vox_team *team);
void vox_team_times_add(vox_team *team, int64_t n);
void vox_team_times_close(vox_team *team);
vox_status vox_team_times_end(vox_team *team, uint64_t step, double seconds, vox_error *err);
void vox_team_tell_shares(const vox_team *team, uint64_t step, const vox_speed_change *change);

/* ---- lost.c: devices that fail ---- */

/* Whether a member's status says that its device failed, and not the job. */
bool vox_team_is_failure(vox_status s);
/* Waits for one member's work; that it failed as devices do is noted. */
vox_status vox_team_wait_for(vox_member *m, vox_error *err);
/* Seconds after which it counts as hanging; of one that takes `each` a sample (NAN: not known) with
 * n of them.  first: kernels may be built. */
double vox_team_limit(const vox_member *m);
double vox_team_limit_of(const vox_team *team, bool first, double each, int64_t n);
/* It took too long: the one that it waits for in mid-step is to blame, or it has hung itself. */
void vox_team_give_up(vox_member *m, double seconds);
/* It has hung for so long. */
void vox_team_abandon(vox_member *m, double seconds);
/* After s, which is not VOX_OK: VOX_OK if members failed and others are left, so that the work can
 * be done once more without them; else s.  step: from 1, 0: before the first. */
vox_status vox_team_drop_failed(vox_team *team, int64_t step, vox_status s, vox_error *err);
/* The same on all ranks after a step on *batch that came to nothing, if any has devices left;
 * *batch becomes this rank's new samples. */
vox_status vox_team_drop_over_hosts(vox_team *team, vox_status s, vox_team_batch *batch,
                                    vox_error *err);
/* Of seconds that a device cannot have taken: it is lost. */
#define VOX_TEAM_LOST_S (-1.0)
/* If that was said of some of which the others do not know: they learn of them, and the shares go
 * by it; *any then.  Collective. */
vox_status vox_team_learn_lost(vox_team *team, bool *any, vox_error *err);
/* The same of those that are left out from the start. */
vox_status vox_team_tell_left_out(vox_team *team, vox_error *err);
/* The same of those that failed when it no longer mattered. */
vox_status vox_team_drop_late(vox_team *team, vox_error *err);

/* ---- reduce.c: the model on the host ---- */

/* While the members work on the last part of a batch (or after): sums every bucket as soon as all
 * have it.  VOX_ERR_INTERRUPTED: a member failed. */
vox_status vox_team_sum(vox_team *team, vox_error *err);
/* Then: has the model changed by the sum and brings it to the members. */
vox_status vox_team_update_model(vox_team *team, vox_error *err);
/* Or: the sum is for nothing. */
vox_status vox_team_drop_sum(vox_team *team, vox_error *err);
/* flat becomes the model, on the host and on all members. */
vox_status vox_team_put_model(vox_team *team, const float *flat, vox_error *err);
/* A member's running statistics, on its thread, into its `kept`; from there into the model. */
vox_status vox_team_read_kept(const vox_replica *r, vox_member *m, vox_error *err);
void vox_team_put_kept(vox_team *team, const float *from);
/* Before a step; and after one that came to nothing: the model is as it was. */
void vox_team_save_kept(vox_team *team);
vox_status vox_team_restore_kept(vox_team *team, vox_error *err);

#endif
