/* async_shares.c - the batches that are known, and who gets what of them. */
#include "parallel/async_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define AHEAD 4 /* most batches that are begun before the one under way is whole */

/* ---- batches ------------------------------------------------------------------ */

/* How many batches after the one under way are worth knowing: more than the bound allows to be
 * begun are not, nor more than memory for them. */
static size_t ahead(size_t clients, int64_t bound)
{
    const int64_t n = (int64_t)clients, batches = 1 + bound / n + (bound % n > 0);
    return clients == 1 ? 1 : batches < AHEAD ? (size_t)batches : AHEAD;
}

vox_status vox_async_open_slots(vox_async *a, vox_error *err)
{
    a->slots = ahead(a->clients, a->stale.bound) + 1;
    a->slot = vox_calloc(a->slots, sizeof *a->slot, "batches", err);
    for (size_t i = 0; a->slot && i < a->slots; i++) {
        vox_slot *s = &a->slot[i];
        s->count = vox_calloc(a->clients, sizeof *s->count, "batches", err);
        s->first = vox_calloc(a->clients, sizeof *s->first, "batches", err);
        s->back = vox_calloc(a->clients, sizeof *s->back, "batches", err);
        s->loss = vox_calloc((size_t)a->team->batch, sizeof *s->loss, "losses", err);
        if (!s->count || !s->first || !s->back || !s->loss)
            return VOX_ERR_MEMORY;
    }
    return a->slot ? VOX_OK : VOX_ERR_MEMORY;
}

void vox_async_free_slots(vox_async *a)
{
    for (size_t i = 0; a->slot && i < a->slots; i++) {
        free(a->slot[i].count);
        free(a->slot[i].first);
        free(a->slot[i].back);
        free(a->slot[i].loss);
    }
    free(a->slot);
}

vox_slot *vox_async_slot(const vox_async *a, uint64_t step)
{
    vox_slot *s = &a->slot[step % a->slots];
    return s->used && s->batch.step == step ? s : NULL;
}

/* As many shares as there were devices at the start, also when some are lost: updates keep their
 * size. */
vox_status vox_async_learn(vox_async *a, const vox_team_batch *batch, vox_error *err)
{
    const uint64_t first = batch->step;
    for (size_t i = 0; i < a->slots; i++) {
        vox_slot *s = &a->slot[i];
        s->used = s->used && s->handed > 0; /* others may not come after all */
        if (s->used && s->batch.step - first >= a->slots)
            return vox_fail(err, VOX_ERR_USAGE, "a batch that was begun did not come");
    }
    for (; batch && batch->step - first < a->slots; batch = batch->next) {
        vox_slot *s = &a->slot[batch->step % a->slots];
        if (s->used)
            continue;
        s->used = true;
        s->broken = false;
        s->batch = *batch;
        s->handed = s->applied = s->backs = 0;
        s->stale = (vox_team_staleness){.bound = a->stale.bound};
        memset(s->loss, 0, (size_t)batch->n * sizeof *s->loss);
        vox_shards_make(batch->n, a->clients, NULL, s->count, s->first);
        s->shares = (uint64_t)batch->n < a->clients ? (size_t)batch->n : a->clients;
    }
    return VOX_OK;
}

/* ---- shares ------------------------------------------------------------------- */

static bool has_shares(const vox_slot *s)
{
    return s->backs > 0 || s->handed < s->shares;
}

/* The next one of a batch: first those that came back. */
static size_t next_share(const vox_slot *s)
{
    return s->backs > 0 ? s->back[s->backs - 1] : s->handed;
}

static void take_share(vox_slot *s)
{
    if (s->backs > 0)
        s->backs--;
    else
        s->handed++;
}

void vox_async_take_back(vox_async *a, const vox_client *c)
{
    vox_slot *s = &a->slot[c->slot];
    s->back[s->backs++] = c->share;
}

/* The first batch with shares left, from batch number `step` on; NULL: none is known.  When nothing
 * more is begun, the one that the caller waits for still is done. */
static vox_slot *next_slot(const vox_async *a, uint64_t step)
{
    vox_slot *s = vox_async_slot(a, step);
    while (s && !has_shares(s) && !a->stopped)
        s = vox_async_slot(a, s->batch.step + 1);
    return s && has_shares(s) && !s->broken ? s : NULL;
}

static vox_share share_of(const vox_team *team, const vox_slot *s, size_t k, float *loss)
{
    const int64_t first = s->first[k];
    const vox_team_batch *b = &s->batch;
    return (vox_share){.voxel = b->voxel ? b->voxel + (size_t)first * team->sample_floats : NULL,
                       .sample = b->sample ? b->sample + first : NULL,
                       .label = b->label + (size_t)first * team->sample_labels,
                       .n = s->count[k],
                       .first = first,
                       .step = b->step,
                       .scale = 1.0f / (float)s->count[k],
                       .loss = loss,
                       .last = true};
}

/* Share k goes to client k if that is free, so that with K = 0 it is always the same one; else to
 * the one that is free for longest. */
static vox_client *pick_client(vox_async *a, size_t k)
{
    size_t at = 0;
    for (size_t i = 0; i < a->free; i++)
        if (a->queue[i] == k)
            at = i;
    vox_client *c = &a->client[a->queue[at]];
    a->free--;
    memmove(a->queue + at, a->queue + at + 1, (a->free - at) * sizeof *a->queue);
    return c;
}

static void put_back(vox_async *a, const vox_client *c)
{
    memmove(a->queue + 1, a->queue, a->free++ * sizeof *a->queue);
    a->queue[0] = (size_t)(c - a->client);
}

static bool somebody_works(vox_async *a)
{
    bool found = false;
    pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < a->clients; i++)
        found = found || a->client[i].state == VOX_CLIENT_FETCHING ||
                a->client[i].state == VOX_CLIENT_WORKING;
    pthread_mutex_unlock(&a->lock);
    return found;
}

static void start(vox_async *a, vox_client *c, vox_slot *s, bool known)
{
    vox_member *m = c->member;
    c->share = next_share(s);
    c->slot = (size_t)(s - a->slot);
    take_share(s);
    m->share = share_of(a->team, s, c->share, m->loss);
    m->started = true;
    c->limit = vox_team_limit_of(a->team, !known, c->pace, m->share.n);
    vox_stale_fetch(&a->stale, (size_t)(c - a->client));
    a->alone = known ? NULL : c;
    a->behind = true;
    vox_client_start(c);
}

void vox_async_hand_out(vox_async *a, uint64_t step)
{
    vox_slot *s;
    while (!a->alone && a->free > 0 && (s = next_slot(a, step)) != NULL &&
           vox_stale_may_fetch(&a->stale)) {
        vox_client *c = pick_client(a, next_share(s));
        const bool known = c->member->ran[VOX_WORK_GRADIENTS][s->count[next_share(s)]];
        if (!known && somebody_works(a)) {
            put_back(a, c);
            return;
        }
        start(a, c, s, known);
    }
}
