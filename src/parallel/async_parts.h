/* async_parts.h - what the files of the asynchronous server share; for them alone. */
#ifndef VOX_PARALLEL_ASYNC_PARTS_H
#define VOX_PARALLEL_ASYNC_PARTS_H

#include "parallel/async.h"
#include "parallel/stale.h"

#include <pthread.h>

typedef enum vox_client_state {
    VOX_CLIENT_FREE,
    VOX_CLIENT_FETCHING,
    VOX_CLIENT_WORKING,
    VOX_CLIENT_READY
} vox_client_state;

typedef struct vox_client {
    struct vox_async *async;
    vox_member *member;
    /* Under the lock.  FREE to FETCHING and READY to FREE: by the server. */
    vox_client_state state;
    uint64_t arrival; /* when it became READY, counted */
    bool failed;      /* READY, but its work came to nothing */
    bool gone;        /* it took too long: what its thread yet says is not heard */
    bool let_go;      /* one that waits on demand (VOX_FAULT_WAIT) need not any more */
    bool waits;       /* one that does */
    /* The server's own notes. */
    bool busy;          /* not FREE */
    double deadline;    /* on vox_now's clock: when it has taken too long, and... */
    double limit;       /* ...the seconds that it had */
    double pace;        /* seconds a sample of its last share; NAN: not known */
    size_t slot, share; /* what it works on: share of the batch in slot */
    int64_t updates;
} vox_client;

/* A batch that is known. */
typedef struct vox_slot {
    bool used;
    bool broken; /* a loss is not finite */
    vox_team_batch batch;
    int64_t *count, *first; /* [clients] of its shares */
    size_t shares, handed, applied;
    size_t *back, backs; /* [clients]: of those handed out, what came back undone */
    float *loss;         /* [batch] */
    vox_team_staleness stale;
} vox_slot;

struct vox_async {
    vox_team *team;
    vox_client *client; /* [clients] */
    size_t clients;
    vox_stale stale;
    vox_slot *slot; /* [slots]: batch number b is in b modulo slots */
    size_t slots;
    size_t *queue, free; /* [clients]: those that are free, the longest first */
    vox_client *alone;   /* at work on a size that it never had: see run_in_turn; NULL: nobody */
    bool stopped;        /* no batch is begun any more: a loss was not finite */
    bool behind;         /* the clients have not the newest weights */
    int64_t number;      /* of the last update (vox_team_taking); -1: none */
    vox_team_staleness last, all;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* a client's state */
    uint64_t arrivals;
};

/* ---- async_client.c: a client's thread, and how the server waits for it ---- */

/* The client, which is free, begins with its member's share. */
void vox_client_start(vox_client *c);
/* Whose gradients are to be applied now: of those that may be, the first that came; or one whose
 * work came to nothing.  Waits for one.  NULL: hand out first, as the one who had to be alone is
 * done. */
vox_client *vox_async_await(vox_async *a);
/* The work's outcome, of one that is READY; otherwise waits until its deadline. */
vox_status vox_client_outcome(vox_client *c, vox_error *err);
/* It may work again. */
void vox_client_release(vox_client *c);

/* ---- async_shares.c: batches, and who gets what of them ---- */

vox_status vox_async_open_slots(vox_async *a, vox_error *err);
void vox_async_free_slots(vox_async *a);
/* Batch number step, if it is known. */
vox_slot *vox_async_slot(const vox_async *a, uint64_t step);
/* Takes note of a batch and of those after it, as many as there is room for. */
vox_status vox_async_learn(vox_async *a, const vox_team_batch *batch, vox_error *err);
/* Shares of batches from number step on to all who are free and may have one.  A size that is new
 * to a device is run while no other one is at work: see run_in_turn. */
void vox_async_hand_out(vox_async *a, uint64_t step);
/* What the client was given is to be done by another. */
void vox_async_take_back(vox_async *a, const vox_client *c);

#endif
