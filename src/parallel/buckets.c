/* buckets.c - a replica's gradients on their way to the host, while backward goes on. */
#include "parallel/buckets.h"

#include "base/mem.h"
#include "base/thread.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct bucket {
    vox_range range;
    vox_buffer *window; /* in place: of the gradients; else NULL */
    vox_mark *ready;    /* the gradients are complete */
    vox_mark *here;     /* ... and the host's; NULL: not told of yet */
} bucket;

struct vox_buckets {
    vox_plan *plan;
    vox_device *dev;
    float *host;
    bool in_place;
    bucket *bucket; /* [count] */
    int *after;     /* [count] */
    size_t count;
    vox_plan_watch watch;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool failed;
};

/* ---- cutting --------------------------------------------------------------- */

vox_status vox_buckets_cut(const vox_graph *graph, const bool *without, size_t bytes,
                           vox_range **range, size_t *count, vox_error *err)
{
    *count = 0;
    *range = vox_calloc((size_t)graph->params + 1, sizeof **range, "buckets", err);
    if (!*range)
        return VOX_ERR_MEMORY;
    size_t end = graph->flat_floats, from = end; /* the bucket in the making */
    for (int i = graph->params - 1; i >= 0; i--) {
        const vox_graph_param *p = &graph->param[i];
        const bool out = without && without[p->layer];
        if (!out)
            from = i > 0 ? p->offset : 0;
        if (from < end && (out || i == 0 || (bytes > 0 && (end - from) * sizeof(float) >= bytes))) {
            (*range)[(*count)++] = (vox_range){from, end - from};
            end = from;
        }
        if (out)
            end = from = p->offset;
    }
    return VOX_OK;
}

/* ---- open and free --------------------------------------------------------- */

static vox_status tell(void *user, size_t i, vox_error *err);

static vox_status open_windows(vox_buckets *b, const vox_range *range, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t i = 0; s == VOX_OK && i < b->count; i++) {
        b->bucket[i].range = range[i];
        b->after[i] = vox_plan_last_writer(b->plan, range[i].offset, range[i].count);
        if (b->in_place)
            s = vox_buffer_sub(&b->bucket[i].window, vox_plan_grads(b->plan),
                               range[i].offset * sizeof(float), range[i].count * sizeof(float),
                               err);
    }
    return s;
}

vox_status vox_buckets_open(vox_buckets **out, vox_plan *plan, vox_device *dev,
                            const vox_range *range, size_t count, float *host, bool in_place,
                            vox_error *err)
{
    *out = NULL;
    vox_buckets *b = vox_calloc(1, sizeof *b, "buckets", err);
    if (!b)
        return VOX_ERR_MEMORY;
    *b =
        (vox_buckets){.plan = plan, .dev = dev, .host = host, .in_place = in_place, .count = count};
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->changed, NULL);
    b->bucket = vox_calloc(count + 1, sizeof *b->bucket, "buckets", err);
    b->after = vox_calloc(count + 1, sizeof *b->after, "buckets", err);
    b->watch = (vox_plan_watch){count, b->after, tell, b};
    vox_status s = b->bucket && b->after ? open_windows(b, range, err) : VOX_ERR_MEMORY;
    if (s != VOX_OK)
        vox_buckets_free(&b);
    *out = b;
    return s;
}

void vox_buckets_free(vox_buckets **bp)
{
    vox_buckets *b = bp ? *bp : NULL;
    if (!b)
        return;
    for (size_t i = 0; b->bucket && i < b->count; i++) {
        vox_mark_free(&b->bucket[i].ready);
        vox_mark_free(&b->bucket[i].here);
        vox_buffer_free(&b->bucket[i].window);
    }
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->lock);
    free(b->bucket);
    free(b->after);
    free(b);
    *bp = NULL;
}

/* ---- the replica's side ---------------------------------------------------- */

void vox_buckets_begin(vox_buckets *b)
{
    pthread_mutex_lock(&b->lock);
    b->failed = false;
    pthread_mutex_unlock(&b->lock);
}

void vox_buckets_watch(vox_buckets *b, bool on)
{
    vox_plan_set_watch(b->plan, on ? &b->watch : NULL);
}

/* All that writes bucket i is enqueued: sends it on its way. */
static vox_status tell(void *user, size_t i, vox_error *err)
{
    vox_buckets *b = user;
    bucket *k = &b->bucket[i];
    const size_t offset = k->range.offset, bytes = k->range.count * sizeof(float);
    vox_mark *here = NULL;
    vox_status s = vox_device_mark(b->dev, &k->ready, err);
    if (s == VOX_OK && b->in_place)
        s = vox_buffer_map_after(k->window, k->ready, &here, err);
    else if (s == VOX_OK)
        s = vox_buffer_read_after(vox_plan_grads(b->plan), offset * sizeof(float), b->host + offset,
                                  bytes, k->ready, &here, err);
    pthread_mutex_lock(&b->lock);
    k->here = here;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
    return s;
}

vox_status vox_buckets_tell_all(vox_buckets *b, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t i = 0; s == VOX_OK && i < b->count; i++)
        if (!b->bucket[i].here)
            s = tell(b, i, err);
    return s;
}

void vox_buckets_end(vox_buckets *b, bool failed)
{
    pthread_mutex_lock(&b->lock);
    b->failed = failed;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

vox_status vox_buckets_give_back(vox_buckets *b, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t i = 0; i < b->count; i++) {
        bucket *k = &b->bucket[i];
        vox_status done = VOX_OK;
        if (k->here && k->window)
            done = vox_buffer_unmap(k->window, s == VOX_OK ? err : NULL);
        if (s == VOX_OK)
            s = done;
        vox_mark_free(&k->here);
        vox_mark_free(&k->ready);
    }
    return s;
}

/* ---- the host's side ------------------------------------------------------- */

/* OpenCL cannot wait with a limit: looks again and again, the longer it takes the less often. */
static bool reached(const vox_mark *mark, double end)
{
    long pause_ns = 10000;
    while (!vox_mark_reached(mark)) {
        if (vox_now() > end)
            return false;
        nanosleep(&(struct timespec){0, pause_ns}, NULL);
        pause_ns = pause_ns < 200000 ? pause_ns * 2 : pause_ns;
    }
    return true;
}

vox_status vox_buckets_await(vox_buckets *b, size_t i, double seconds, bool *late, vox_error *err)
{
    const double end = vox_now() + seconds;
    struct timespec soon;
    pthread_mutex_lock(&b->lock);
    while (!b->bucket[i].here && !b->failed && vox_now() < end) {
        clock_gettime(CLOCK_REALTIME, &soon);
        soon.tv_sec++;
        pthread_cond_timedwait(&b->changed, &b->lock, &soon);
    }
    const bool failed = b->failed;
    const vox_mark *here = failed ? NULL : b->bucket[i].here;
    pthread_mutex_unlock(&b->lock);
    const bool there = here && reached(here, end);
    *late = !failed && !there;
    if (!there)
        return vox_fail(err, VOX_ERR_INTERRUPTED, "a device failed in mid-step");
    return vox_mark_wait(here, err);
}

float *vox_buckets_host(const vox_buckets *b)
{
    return b->host;
}
