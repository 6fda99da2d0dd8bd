/* async_client.c - a client of the asynchronous server: what its thread does, and how the server
 * waits for it.
 *
 * A client that takes too long is given up (`gone`): its thread may come to life again, and then
 * touches nothing but what is the client's own. */
#include "parallel/async_parts.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>

/* ---- on its replica's thread -------------------------------------------------- */

static void set_state(vox_client *c, vox_client_state state, bool failed)
{
    vox_async *a = c->async;
    pthread_mutex_lock(&a->lock);
    if (!c->gone) {
        c->state = state;
        c->failed = failed;
        if (state == VOX_CLIENT_READY)
            c->arrival = a->arrivals++;
        pthread_cond_broadcast(&a->changed);
    }
    pthread_mutex_unlock(&a->lock);
}

/* For tests: until the others can do no more without it. */
static void wait_on_demand(vox_client *c)
{
    vox_async *a = c->async;
    const size_t i = (size_t)(c - a->client);
    if (!vox_faults_waits(&a->team->faults, i, (int64_t)c->member->share.step + 1))
        return;
    pthread_mutex_lock(&a->lock);
    c->waits = true;
    pthread_cond_broadcast(&a->changed);
    while (!c->let_go && !c->gone)
        pthread_cond_wait(&a->changed, &a->lock);
    c->waits = false;
    pthread_mutex_unlock(&a->lock);
}

/* All of its gradients are in host memory, and so are its running statistics. */
static vox_status deliver(vox_replica *r, vox_client *c, vox_error *err)
{
    vox_status s = VOX_OK;
    bool late;
    for (size_t b = 0; s == VOX_OK && b < c->async->team->buckets; b++)
        s = vox_buckets_await(vox_replica_buckets(r), b, 1e9, &late, err);
    return s == VOX_OK ? vox_team_read_kept(r, c->member, err) : s;
}

static vox_status client_job(vox_replica *r, void *arg, vox_error *err)
{
    vox_client *c = arg;
    vox_status s = vox_buckets_give_back(vox_replica_buckets(r), err);
    if (s == VOX_OK)
        s = vox_replica_set_params(r, c->async->team->params, true, err);
    set_state(c, VOX_CLIENT_WORKING, false);
    wait_on_demand(c);
    if (s == VOX_OK)
        s = vox_team_gradients_job(r, c->member, err);
    if (s == VOX_OK)
        s = deliver(r, c, err);
    set_state(c, VOX_CLIENT_READY, s != VOX_OK);
    return s;
}

/* ---- the server's side -------------------------------------------------------- */

void vox_client_start(vox_client *c)
{
    vox_buckets_begin(vox_replica_buckets(c->member->replica));
    c->busy = true;
    c->let_go = false;
    c->deadline = vox_now() + c->limit;
    set_state(c, VOX_CLIENT_FETCHING, false);
    vox_replica_post(c->member->replica, client_job, c);
}

void vox_client_release(vox_client *c)
{
    vox_async *a = c->async;
    set_state(c, VOX_CLIENT_FREE, false);
    c->busy = false;
    if (!c->member->lost && !c->member->failed)
        a->queue[a->free++] = (size_t)(c - a->client);
}

static bool at_work(const vox_client *c)
{
    return c->state == VOX_CLIENT_FETCHING || c->state == VOX_CLIENT_WORKING;
}

/* The lock is held.  Weights must not change while somebody fetches them. */
static vox_client *find_ready(vox_async *a)
{
    vox_client *found = NULL;
    bool fetching = false;
    for (size_t i = 0; i < a->clients; i++) {
        vox_client *c = &a->client[i];
        fetching = fetching || c->state == VOX_CLIENT_FETCHING;
        if (c->state != VOX_CLIENT_READY || !c->busy)
            continue;
        if (c->failed)
            return c;
        if (vox_stale_may_apply(&a->stale, i) && (!found || c->arrival < found->arrival))
            found = c;
    }
    return fetching ? NULL : found;
}

/* The lock is held.  If all who are at work wait for the others, the first need not. */
static void let_one_go(vox_async *a)
{
    vox_client *first = NULL;
    for (size_t i = 0; i < a->clients; i++) {
        vox_client *c = &a->client[i];
        if (at_work(c) && (!c->waits || c->let_go))
            return;
        if (at_work(c) && !first)
            first = c;
    }
    if (first) {
        first->let_go = true;
        pthread_cond_broadcast(&a->changed);
    }
}

/* The lock is held: who has taken too long is given up; otherwise waits for a change, until the
 * first one would have. */
static void wait_or_give_up(vox_async *a)
{
    const double now = vox_now();
    double soonest = now + 3600;
    let_one_go(a);
    for (size_t i = 0; i < a->clients; i++) {
        vox_client *c = &a->client[i];
        if (!at_work(c))
            continue;
        if (c->deadline <= now) {
            c->gone = c->failed = true;
            c->state = VOX_CLIENT_READY;
            return;
        }
        soonest = fmin(soonest, c->deadline);
    }
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    const double seconds = soonest - now + 1e-3, whole = floor(seconds);
    end.tv_sec += (time_t)whole;
    end.tv_nsec += (long)((seconds - whole) * 1e9);
    end.tv_sec += end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&a->changed, &a->lock, &end);
}

vox_client *vox_async_await(vox_async *a)
{
    vox_client *found = NULL, *alone = a->alone;
    pthread_mutex_lock(&a->lock);
    while (!(found = find_ready(a)) && !(alone && alone->state == VOX_CLIENT_READY))
        wait_or_give_up(a);
    const bool done_alone = alone && alone->state == VOX_CLIENT_READY;
    const bool failed = found && found->failed;
    pthread_mutex_unlock(&a->lock);
    if (done_alone) {
        a->alone = NULL;
        if (!failed)
            alone->member->ran[VOX_WORK_GRADIENTS][alone->member->share.n] = true;
    }
    return done_alone && !failed ? NULL : found;
}

vox_status vox_client_outcome(vox_client *c, vox_error *err)
{
    vox_async *a = c->async;
    vox_member *m = c->member;
    pthread_mutex_lock(&a->lock);
    const bool ready = c->state == VOX_CLIENT_READY;
    c->let_go = true;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    if (ready && !c->gone) {
        m->status = vox_replica_wait(m->replica, &m->why);
    } else if (c->gone || !vox_replica_wait_for(m->replica, fmax(c->deadline - vox_now(), 0),
                                                &m->status, &m->why)) {
        pthread_mutex_lock(&a->lock);
        c->gone = true;
        pthread_mutex_unlock(&a->lock);
        vox_team_abandon(m, c->limit);
    }
    if (m->status != VOX_OK && err)
        *err = m->why;
    if (m->status == VOX_OK && m->share.n > 0)
        c->pace = m->busy_s / (double)m->share.n;
    return m->status;
}
