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
#include "parallel/async_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- open and free ---------------------------------------------------------- */

static vox_status open_clients(vox_async *a, vox_error *err)
{
    a->client = vox_calloc(a->clients, sizeof *a->client, "the clients", err);
    a->queue = vox_calloc(a->clients, sizeof *a->queue, "the clients", err);
    if (!a->client || !a->queue)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < a->clients; i++) {
        vox_client *c = &a->client[i];
        *c = (vox_client){.async = a, .member = &a->team->member[i], .pace = (double)NAN};
        a->queue[a->free++] = i;
    }
    return VOX_OK;
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
        s = vox_async_open_slots(a, err);
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
    vox_async_free_slots(a);
    vox_stale_release(&a->stale);
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
    free(a->client);
    free(a->queue);
    free(a);
    *ap = NULL;
}

/* ---- taking in ---------------------------------------------------------------- */

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

/* Numbers grow by one with each update and are those of the batch at its begin, so that a training
 * that is resumed goes on with the same ones. */
static int64_t next_number(vox_async *a, uint64_t step)
{
    const int64_t least = (int64_t)step * (int64_t)a->clients;
    a->number = a->number + 1 > least ? a->number + 1 : least;
    return a->number;
}

/* Its share goes to another, and the job on without it. */
static vox_status lose(vox_async *a, vox_client *c, vox_status status, vox_error *err)
{
    vox_member *m = c->member;
    vox_async_take_back(a, c);
    vox_stale_drop(&a->stale, (size_t)(c - a->client));
    m->failed = true;
    status = vox_team_drop_failed(a->team, (int64_t)m->share.step + 1, status, err);
    vox_client_release(c);
    return status;
}

/* The gradients of a share are good for nothing, and so is what comes after it. */
static vox_status stop(vox_async *a, vox_client *c, vox_status status)
{
    a->slot[c->slot].broken = a->stopped = true;
    vox_stale_drop(&a->stale, (size_t)(c - a->client));
    vox_client_release(c);
    return status;
}

static vox_status call_update(vox_async *a, const vox_client *c, const vox_slot *s, uint64_t step,
                              vox_error *err)
{
    vox_team *team = a->team;
    team->taking = (vox_team_taking){.part = (double)c->member->share.n / (double)s->batch.n,
                                     .number = next_number(a, step),
                                     .whole = false};
    const double start = vox_now();
    const vox_span span = vox_span_begin("update", "update");
    vox_status status = team->update->host(
        team->update->arg, team->params, vox_buckets_host(vox_replica_buckets(c->member->replica)),
        NULL, team->pool, err);
    vox_span_end(&span);
    team->times.update_s += vox_now() - start;
    return status;
}

static vox_status apply(vox_async *a, vox_client *c, uint64_t step, vox_error *err)
{
    const vox_share *share = &c->member->share;
    vox_slot *s = &a->slot[c->slot];
    vox_status status = vox_client_outcome(c, err);
    if (vox_team_is_failure(status))
        return lose(a, c, status, err);
    if (status == VOX_OK)
        memcpy(s->loss + share->first, share->loss, (size_t)share->n * sizeof *share->loss);
    if (status != VOX_OK || !all_finite(share))
        return stop(a, c, status);
    vox_team_put_kept(a->team, c->member->kept); /* the last one's */
    s->applied++;
    status = call_update(a, c, s, step, err);
    const int64_t late = vox_stale_apply(&a->stale, (size_t)(c - a->client));
    count_staleness(&s->stale, late);
    count_staleness(&a->all, late);
    c->updates++;
    vox_client_release(c);
    return status;
}

void vox_async_rest(vox_async *a)
{
    for (size_t i = 0; i < a->clients; i++) {
        vox_client *c = &a->client[i];
        if (!c->busy)
            continue;
        c->member->failed = vox_team_is_failure(vox_client_outcome(c, NULL));
        vox_stale_drop(&a->stale, i);
        vox_client_release(c);
    }
    for (size_t i = 0; i < a->slots; i++)
        a->slot[i].used = false;
    a->alone = NULL;
    a->stopped = false;
}

/* What a device fails at, the others have done: the job goes on with them. */
static vox_status run_on_all(vox_async *a, vox_replica_fn fn, vox_error *err)
{
    vox_status s = vox_team_run(a->team, VOX_ALL, fn, err);
    return s == VOX_OK ? s : vox_team_drop_failed(a->team, a->team->step, s, err);
}

static vox_status give_back_job(vox_replica *r, void *arg, vox_error *err)
{
    (void)arg;
    return vox_buckets_give_back(vox_replica_buckets(r), err);
}

/* All of the batch is taken in, or a loss of it is not finite. */
static vox_status finish(vox_async *a, vox_slot *head, float *loss, vox_error *err)
{
    vox_team *team = a->team;
    memcpy(loss, head->loss, (size_t)head->batch.n * sizeof *loss);
    a->last = head->stale;
    const bool broken = head->broken;
    head->used = false;
    if (broken) {
        vox_async_rest(a);
        return run_on_all(a, give_back_job, err);
    }
    team->taking.whole = true;
    return team->update->host(team->update->arg, team->params, NULL, NULL, team->pool, err);
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
    vox_status s = vox_async_learn(a, batch, err);
    if (s == VOX_OK && !a->behind) /* weights may still be on their way to the clients */
        s = run_on_all(a, finish_job, err);
    if (s != VOX_OK)
        return s;
    vox_slot *head = vox_async_slot(a, step);
    leave_lost(a);
    while (s == VOX_OK && !head->broken && head->applied < head->shares) {
        vox_async_hand_out(a, step);
        vox_client *c = vox_async_await(a);
        if (c)
            s = apply(a, c, step, err);
    }
    if (s == VOX_OK)
        s = finish(a, head, loss, err);
    if (s == VOX_OK)
        vox_async_hand_out(a, step + 1); /* nobody waits for the caller */
    else
        vox_async_rest(a);
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
    return run_on_all(a, settle_job, err);
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

void vox_team_rest(vox_team *team)
{
    if (team && team->async)
        vox_async_rest(team->async);
}

int64_t vox_team_begun(const vox_team *team)
{
    return team->async ? begun_by(team->async) : 0;
}
