/* thread.c - a small pool for loops over independent items. */
#define _GNU_SOURCE
#include "base/thread.h"

#include "base/mem.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct vox_pool {
    pthread_t *thread; /* [count]; the caller of vox_pool_for works too */
    size_t count;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    void (*fn)(void *, size_t);
    void *user;
    size_t items, next, running; /* of the loop under way */
    bool quit;
};

/* Takes items until none is left; called and left with the lock held. */
static void take_items(vox_pool *pool)
{
    while (pool->next < pool->items) {
        size_t i = pool->next++;
        pool->running++;
        pthread_mutex_unlock(&pool->lock);
        pool->fn(pool->user, i);
        pthread_mutex_lock(&pool->lock);
        pool->running--;
    }
    if (pool->running == 0)
        pthread_cond_broadcast(&pool->done);
}

static void *worker(void *arg)
{
    vox_pool *pool = arg;
    pthread_mutex_lock(&pool->lock);
    while (!pool->quit) {
        if (pool->next < pool->items)
            take_items(pool);
        else
            pthread_cond_wait(&pool->work, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

vox_status vox_pool_open(vox_pool **out, size_t threads, vox_error *err)
{
    *out = NULL;
    if (threads == 0)
        threads = vox_processors();
    vox_pool *pool = vox_calloc(1, sizeof *pool, "a thread pool", err);
    if (!pool)
        return VOX_ERR_MEMORY;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    pool->thread = vox_calloc(threads, sizeof *pool->thread, "a thread pool", err);
    if (!pool->thread) {
        vox_pool_free(&pool);
        return VOX_ERR_MEMORY;
    }
    for (; pool->count + 1 < threads; pool->count++)
        if (pthread_create(&pool->thread[pool->count], NULL, worker, pool) != 0)
            break; /* fewer threads do the same work */
    *out = pool;
    return VOX_OK;
}

void vox_pool_free(vox_pool **poolp)
{
    if (!poolp || !*poolp)
        return;
    vox_pool *pool = *poolp;
    pthread_mutex_lock(&pool->lock);
    pool->quit = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < pool->count; i++)
        pthread_join(pool->thread[i], NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool->thread);
    free(pool);
    *poolp = NULL;
}

size_t vox_pool_threads(const vox_pool *pool)
{
    return pool ? pool->count + 1 : 1;
}

void vox_pool_for(vox_pool *pool, size_t count, void (*fn)(void *, size_t), void *user)
{
    if (!pool || pool->count == 0 || count < 2) {
        for (size_t i = 0; i < count; i++)
            fn(user, i);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->fn = fn;
    pool->user = user;
    pool->next = 0;
    pool->items = count;
    pthread_cond_broadcast(&pool->work);
    take_items(pool);
    while (pool->running > 0)
        pthread_cond_wait(&pool->done, &pool->lock);
    pool->items = pool->next = 0;
    pthread_mutex_unlock(&pool->lock);
}

size_t vox_portion_items(const vox_portion *portion, size_t count, size_t *from)
{
    const size_t i = portion ? portion->index : 0, of = portion ? portion->of : 1;
    *from = count / of * i + count % of * i / of;
    return count / of * (i + 1) + count % of * (i + 1) / of;
}

vox_status vox_portion_meet(const vox_portion *portion, vox_error *err)
{
    return portion && portion->of > 1 ? portion->meet(portion->user, err) : VOX_OK;
}

size_t vox_processors(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (size_t)CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (size_t)n : 1;
}

double vox_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
