/* async.c - client/server, asynchronous: every share of a batch is an update of its own, made as
 * soon as its gradients are there.
 *
 * The server is the caller's thread: it hands out shares, and has the model changed by each one's
 * gradients as they come.  The clients are the members, with weights of their own: a free one takes
 * the next share, in the order of the batches, fetches the newest weights and computes.  So fast
 * devices have more shares than slow ones.  stale.h bounds how old gradients get; batches that are
 * known beforehand (vox_team_batch.next) are begun while others are at work on the one before.
 *
 *   server    | apply 0.0 |       | apply 0.1 | apply 1.0 | ...
 *   client 0  fetch, 0.0 ..|fetch, 1.0 ........|
 *   client 1  fetch, 0.1 ..........|fetch, 1.1 .......
 *
 * After Dean et al.: "Large scale distributed deep networks", NIPS 2012 (Downpour SGD).
 *
 * One invariant: weights are fetched and changed in turn, never at once; a client's gradients are
 * from the weights after exactly stale.fetched[client] updates. */
#include "parallel/async.h"

#include "parallel/stale.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define AHEAD 4 /* most batches that are begun before the one under way is whole */

typedef enum client_state { FREE, FETCHING, WORKING, READY } client_state;

typedef struct client {
    struct vox_async *async;
    vox_member *member;
    client_state state; /* under the lock; FREE to FETCHING and READY to FREE: by the server */
    bool busy;          /* the server's own note: not FREE */
    uint64_t arrival;   /* when it became READY, counted */
    size_t slot;        /* of the batch it works on */
    float *kept;        /* its running statistics */
    int64_t updates;
} client;

/* A batch that is known. */
typedef struct slot {
    bool used;
    bool broken; /* a loss is not finite */
    vox_team_batch batch;
    int64_t *count, *first; /* [clients] of its shares */
    size_t shares, handed, applied;
    float *loss; /* [batch] */
    vox_team_staleness stale;
} slot;

struct vox_async {
    vox_team *team;
    client *client; /* [clients] */
    size_t clients;
    vox_stale stale;
    slot *slot; /* [slots]: batch number b is in b modulo slots */
    size_t slots;
    size_t *queue, free; /* [clients]: those that are free, the longest first */
    client *alone;       /* at work on a size that it never had: see run_in_turn; NULL: nobody */
    bool stopped;        /* nothing more is handed out: a loss was not finite */
    bool behind;         /* the clients have not the newest weights */
    int64_t number;      /* of the last update (vox_team_taking); -1: none */
    vox_team_staleness last, all;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* a client's state */
    uint64_t arrivals;
};

/* ---- open and free ---------------------------------------------------------- */

static vox_status open_clients(vox_async *a, vox_error *err)
{
    size_t kept = 1;
    for (size_t i = 0; i < a->team->kepts; i++)
        kept += a->team->kept[i].count;
    a->client = vox_calloc(a->clients, sizeof *a->client, "the clients", err);
    a->queue = vox_calloc(a->clients, sizeof *a->queue, "the clients", err);
    if (!a->client || !a->queue)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < a->clients; i++) {
        client *c = &a->client[i];
        *c = (client){.async = a, .member = &a->team->member[i]};
        c->kept = vox_calloc(kept, sizeof *c->kept, "running statistics", err);
        if (!c->kept)
            return VOX_ERR_MEMORY;
        a->queue[a->free++] = i;
    }
    return VOX_OK;
}

/* How many batches after the one under way are worth knowing: more than the bound allows to be
 * begun are not, nor more than memory for them. */
static size_t ahead(size_t clients, int64_t bound)
{
    const int64_t n = (int64_t)clients, batches = 1 + bound / n + (bound % n > 0);
    return clients == 1 ? 1 : batches < AHEAD ? (size_t)batches : AHEAD;
}

static vox_status open_slots(vox_async *a, vox_error *err)
{
    a->slots = ahead(a->clients, a->stale.bound) + 1;
    a->slot = vox_calloc(a->slots, sizeof *a->slot, "batches", err);
    for (size_t i = 0; a->slot && i < a->slots; i++) {
        slot *s = &a->slot[i];
        s->count = vox_calloc(a->clients, sizeof *s->count, "batches", err);
        s->first = vox_calloc(a->clients, sizeof *s->first, "batches", err);
        s->loss = vox_calloc((size_t)a->team->batch, sizeof *s->loss, "losses", err);
        if (!s->count || !s->first || !s->loss)
            return VOX_ERR_MEMORY;
    }
    return a->slot ? VOX_OK : VOX_ERR_MEMORY;
}

vox_status vox_async_open(vox_async **out, vox_team *team, int64_t bound, vox_error *err)
{
    *out = NULL;
    vox_async *a = vox_calloc(1, sizeof *a, "the server", err);
    if (!a)
        return VOX_ERR_MEMORY;
    a->team = team;
    a->clients = team->size;
    a->number = -1;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
    vox_status s = vox_stale_init(&a->stale, a->clients, bound, err);
    if (s == VOX_OK)
        s = open_clients(a, err);
    if (s == VOX_OK)
        s = open_slots(a, err);
    if (s != VOX_OK)
        vox_async_free(&a);
    *out = a;
    return s;
}

void vox_async_free(vox_async **ap)
{
    vox_async *a = ap ? *ap : NULL;
    if (!a)
        return;
    for (size_t i = 0; a->client && i < a->clients; i++)
        free(a->client[i].kept);
    for (size_t i = 0; a->slot && i < a->slots; i++) {
        free(a->slot[i].count);
        free(a->slot[i].first);
        free(a->slot[i].loss);
    }
    vox_stale_release(&a->stale);
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
    free(a->client);
    free(a->queue);
    free(a->slot);
    free(a);
    *ap = NULL;
}

/* ---- a client, on its replica's thread --------------------------------------- */

static void set_state(client *c, client_state state)
{
    vox_async *a = c->async;
    pthread_mutex_lock(&a->lock);
    c->state = state;
    if (state == READY)
        c->arrival = a->arrivals++;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

static vox_status read_kept(client *c, vox_error *err)
{
    const vox_team *team = c->async->team;
    vox_buffer *params = vox_plan_params(vox_replica_plan(c->member->replica));
    vox_status s = VOX_OK;
    float *to = c->kept;
    for (size_t i = 0; s == VOX_OK && i < team->kepts; to += team->kept[i++].count)
        s = vox_buffer_read(params, team->kept[i].offset * sizeof *to, to,
                            team->kept[i].count * sizeof *to, true, err);
    return s;
}

/* All of its gradients are in host memory, and so are its running statistics. */
static vox_status deliver(vox_replica *r, client *c, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t b = 0; s == VOX_OK && b < c->async->team->buckets; b++)
        s = vox_buckets_await(vox_replica_buckets(r), b, 1e9, err);
    return s == VOX_OK ? read_kept(c, err) : s;
}

static vox_status client_job(vox_replica *r, void *arg, vox_error *err)
{
    client *c = arg;
    vox_status s = vox_buckets_give_back(vox_replica_buckets(r), err);
    if (s == VOX_OK)
        s = vox_replica_set_params(r, c->async->team->params, true, err);
    set_state(c, WORKING);
    if (s == VOX_OK)
        s = vox_team_gradients_job(r, c->member, err);
    if (s == VOX_OK)
        s = deliver(r, c, err);
    set_state(c, READY);
    return s;
}

/* ---- handing out ------------------------------------------------------------- */

static slot *slot_of(const vox_async *a, uint64_t step)
{
    slot *s = &a->slot[step % a->slots];
    return s->used && s->batch.step == step ? s : NULL;
}

/* Takes note of a batch and of those after it, as many as there is room for. */
static vox_status learn(vox_async *a, const vox_team_batch *batch, vox_error *err)
{
    const uint64_t first = batch->step;
    for (size_t i = 0; i < a->slots; i++) {
        slot *s = &a->slot[i];
        s->used = s->used && s->handed > 0; /* others may not come after all */
        if (s->used && s->batch.step - first >= a->slots)
            return vox_fail(err, VOX_ERR_USAGE, "a batch that was begun did not come");
    }
    for (; batch && batch->step - first < a->slots; batch = batch->next) {
        slot *s = &a->slot[batch->step % a->slots];
        if (s->used)
            continue;
        s->used = true;
        s->broken = false;
        s->batch = *batch;
        s->handed = s->applied = 0;
        s->stale = (vox_team_staleness){.bound = a->stale.bound};
        memset(s->loss, 0, (size_t)batch->n * sizeof *s->loss);
        vox_shards_make(batch->n, a->clients, NULL, s->count, s->first);
        s->shares = (uint64_t)batch->n < a->clients ? (size_t)batch->n : a->clients;
    }
    return VOX_OK;
}

/* The first batch with shares left, from batch number `step` on; NULL: none is known. */
static slot *next_slot(const vox_async *a, uint64_t step)
{
    slot *s = slot_of(a, step);
    while (s && s->handed == s->shares)
        s = slot_of(a, s->batch.step + 1);
    return s;
}

static vox_share share_of(const vox_team *team, const slot *s, size_t k)
{
    const int64_t first = s->first[k];
    const vox_team_batch *b = &s->batch;
    return (vox_share){.voxel = b->voxel ? b->voxel + (size_t)first * team->sample_floats : NULL,
                       .sample = b->sample ? b->sample + first : NULL,
                       .label = s->batch.label + (size_t)first * team->sample_labels,
                       .n = s->count[k],
                       .first = first,
                       .step = s->batch.step,
                       .scale = 1.0f / (float)s->count[k],
                       .loss = s->loss + first,
                       .last = true};
}

/* Share k goes to client k if that is free, so that with K = 0 it is always the same one; else to
 * the one that is free for longest. */
static client *pick_client(vox_async *a, size_t k)
{
    size_t at = 0;
    for (size_t i = 0; i < a->free; i++)
        if (a->queue[i] == k)
            at = i;
    client *c = &a->client[a->queue[at]];
    a->free--;
    memmove(a->queue + at, a->queue + at + 1, (a->free - at) * sizeof *a->queue);
    return c;
}

static bool somebody_is(vox_async *a, client_state x, client_state y)
{
    bool found = false;
    pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < a->clients; i++)
        found = found || a->client[i].state == x || a->client[i].state == y;
    pthread_mutex_unlock(&a->lock);
    return found;
}

static void start(vox_async *a, client *c, slot *s)
{
    const size_t k = s->handed++;
    vox_member *m = c->member;
    m->share = share_of(a->team, s, k);
    m->started = true;
    c->slot = (size_t)(s - a->slot);
    vox_buckets_begin(vox_replica_buckets(m->replica));
    vox_stale_fetch(&a->stale, (size_t)(c - a->client));
    a->behind = c->busy = true;
    set_state(c, FETCHING);
    vox_replica_post(m->replica, client_job, c);
}

/* Shares to all who are free and may have one.  A size that is new to a device is run while no
 * other one is at work: see run_in_turn. */
static void hand_out(vox_async *a, uint64_t step)
{
    slot *s;
    while (!a->stopped && !a->alone && a->free > 0 && (s = next_slot(a, step)) != NULL &&
           vox_stale_may_fetch(&a->stale)) {
        client *c = pick_client(a, s->handed);
        const int64_t n = s->count[s->handed];
        const bool known = c->member->ran[VOX_WORK_GRADIENTS][n];
        if (!known && somebody_is(a, FETCHING, WORKING)) {
            memmove(a->queue + 1, a->queue, a->free++ * sizeof *a->queue);
            a->queue[0] = (size_t)(c - a->client);
            return;
        }
        a->alone = known ? NULL : c;
        start(a, c, s);
    }
}

/* ---- taking in ---------------------------------------------------------------- */

/* Whose gradients are to be applied now: of those that may be, the first that came; waits for one.
 * NULL: hand out first, as the one who had to be alone is done. */
static client *next_ready(vox_async *a)
{
    client *found = NULL;
    bool done_alone = false;
    pthread_mutex_lock(&a->lock);
    for (;;) {
        bool fetching = false;
        found = NULL;
        for (size_t i = 0; i < a->clients; i++) {
            client *c = &a->client[i];
            fetching = fetching || c->state == FETCHING;
            if (c->state == READY && vox_stale_may_apply(&a->stale, i) &&
                (!found || c->arrival < found->arrival))
                found = c;
        }
        done_alone = a->alone && a->alone->state == READY;
        if (done_alone || (found && !fetching))
            break;
        pthread_cond_wait(&a->changed, &a->lock);
    }
    if (done_alone) {
        a->alone->member->ran[VOX_WORK_GRADIENTS][a->alone->member->share.n] = true;
        a->alone = NULL;
        found = NULL;
    }
    pthread_mutex_unlock(&a->lock);
    return found;
}

static void release(vox_async *a, client *c)
{
    set_state(c, FREE);
    c->busy = false;
    a->queue[a->free++] = (size_t)(c - a->client);
}

static bool all_finite(const vox_share *share)
{
    bool finite = true;
    for (int64_t i = 0; i < share->n; i++)
        finite = finite && isfinite(share->loss[i]);
    return finite;
}

static void count_staleness(vox_team_staleness *of, int64_t late)
{
    of->mean += ((double)late - of->mean) / (double)++of->updates;
    of->most = late > of->most ? late : of->most;
}

/* The running statistics are those of the client that came last. */
static void take_kept(vox_async *a, const client *c)
{
    const vox_team *team = a->team;
    const float *from = c->kept;
    for (size_t i = 0; i < team->kepts; from += team->kept[i++].count)
        memcpy(team->params + team->kept[i].offset, from, team->kept[i].count * sizeof *from);
}

/* Numbers grow by one with each update and are those of the batch at its begin, so that a training
 * that is resumed goes on with the same ones. */
static int64_t next_number(vox_async *a, uint64_t step)
{
    const int64_t least = (int64_t)step * (int64_t)a->clients;
    a->number = a->number + 1 > least ? a->number + 1 : least;
    return a->number;
}

static vox_status apply(vox_async *a, client *c, uint64_t step, vox_error *err)
{
    vox_team *team = a->team;
    const vox_share *share = &c->member->share;
    slot *s = &a->slot[c->slot];
    vox_status status = vox_replica_wait(c->member->replica, err);
    const size_t i = (size_t)(c - a->client);
    if (status != VOX_OK || !all_finite(share)) {
        s->broken = a->stopped = true;
        vox_stale_drop(&a->stale, i);
        release(a, c);
        return status;
    }
    take_kept(a, c);
    s->applied++;
    team->taking = (vox_team_taking){.part = (double)share->n / (double)s->batch.n,
                                     .number = next_number(a, step),
                                     .whole = false};
    const double start = vox_now();
    const vox_span span = vox_span_begin("update", "update");
    status = team->update->host(team->update->arg, team->params,
                                vox_buckets_host(vox_replica_buckets(c->member->replica)),
                                team->pool, err);
    vox_span_end(&span);
    team->times.update_s += vox_now() - start;
    const int64_t late = vox_stale_apply(&a->stale, i);
    count_staleness(&s->stale, late);
    count_staleness(&a->all, late);
    c->updates++;
    release(a, c);
    return status;
}

/* Waits for all that are at work, for nothing. */
static void quiesce(vox_async *a)
{
    for (size_t i = 0; i < a->clients; i++) {
        client *c = &a->client[i];
        if (!c->busy)
            continue;
        vox_replica_wait(c->member->replica, NULL);
        vox_stale_drop(&a->stale, i);
        release(a, c);
    }
    for (size_t i = 0; i < a->slots; i++)
        a->slot[i].used = false;
    a->alone = NULL;
    a->stopped = false;
}

static vox_status give_back_job(vox_replica *r, void *arg, vox_error *err)
{
    (void)arg;
    return vox_buckets_give_back(vox_replica_buckets(r), err);
}

/* All of the batch is taken in, or a loss of it is not finite. */
static vox_status finish(vox_async *a, slot *head, float *loss, vox_error *err)
{
    vox_team *team = a->team;
    memcpy(loss, head->loss, (size_t)head->batch.n * sizeof *loss);
    a->last = head->stale;
    const bool broken = head->broken;
    head->used = false;
    if (broken) {
        quiesce(a);
        return vox_team_run(team, VOX_ALL, give_back_job, err);
    }
    team->taking.whole = true;
    return team->update->host(team->update->arg, team->params, NULL, team->pool, err);
}

/* Devices that failed at the start or in a validation get nothing. */
static void leave_lost(vox_async *a)
{
    size_t left = 0;
    for (size_t i = 0; i < a->free; i++)
        if (!a->client[a->queue[i]].member->lost)
            a->queue[left++] = a->queue[i];
    a->free = left;
}

static vox_status finish_job(vox_replica *r, void *arg, vox_error *err)
{
    (void)arg;
    return vox_replica_finish(r, err);
}

vox_status vox_async_step(vox_async *a, const vox_team_batch *batch, float *loss, vox_error *err)
{
    const uint64_t step = batch->step;
    const double begin = vox_now();
    a->team->times = (vox_team_times){0};
    vox_status s = learn(a, batch, err);
    if (s == VOX_OK && !a->behind) /* weights may still be on their way to the clients */
        s = vox_team_run(a->team, VOX_ALL, finish_job, err);
    if (s != VOX_OK)
        return s;
    slot *head = slot_of(a, step);
    leave_lost(a);
    while (s == VOX_OK && !head->broken && head->applied < head->shares) {
        hand_out(a, step);
        client *c = next_ready(a);
        if (c)
            s = apply(a, c, step, err);
    }
    if (s == VOX_OK)
        s = finish(a, head, loss, err);
    if (s == VOX_OK)
        hand_out(a, step + 1); /* nobody waits for the caller */
    else
        quiesce(a);
    a->team->times.compute_s = vox_now() - begin - a->team->times.update_s;
    return s;
}

/* ---- between steps ------------------------------------------------------------- */

static int64_t begun_by(const vox_async *a)
{
    int64_t begun = 0;
    for (size_t i = 0; i < a->slots; i++)
        begun += a->slot[i].used && a->slot[i].handed > 0;
    return begun;
}

static vox_status settle_job(vox_replica *r, void *arg, vox_error *err)
{
    const vox_member *m = arg;
    vox_status s = vox_buckets_give_back(vox_replica_buckets(r), err);
    return s == VOX_OK ? vox_replica_set_params(r, m->team->params, true, err) : s;
}

vox_status vox_async_settle(vox_async *a, vox_error *err)
{
    if (begun_by(a) > 0)
        return vox_fail(err, VOX_ERR_USAGE, "batches are under way");
    if (!a->behind)
        return VOX_OK;
    a->behind = false;
    return vox_team_run(a->team, VOX_ALL, settle_job, err);
}

/* ---- the team's ------------------------------------------------------------------ */

vox_team_taking vox_team_now(const vox_team *team)
{
    return team->taking;
}

int64_t vox_team_usual_staleness(size_t devices)
{
    return 4 * ((int64_t)devices - 1);
}

vox_team_staleness vox_team_last_staleness(const vox_team *team, bool all)
{
    const vox_async *a = team->async;
    vox_team_staleness of = !a ? (vox_team_staleness){0} : all ? a->all : a->last;
    of.bound = a ? a->stale.bound : 0;
    return of;
}

int64_t vox_team_updates(const vox_team *team, size_t i)
{
    return team->async ? team->async->client[i].updates : 0;
}

int64_t vox_team_ahead(const vox_team *team)
{
    return team->async ? (int64_t)team->async->slots - 1 : 1;
}

int64_t vox_team_begun(const vox_team *team)
{
    return team->async ? begun_by(team->async) : 0;
}
