/* thread.h - a small pool for loops over independent items.
 *
 * One invariant: which thread runs which item never changes a result; items
 * write to places of their own. */
#ifndef VOX_BASE_THREAD_H
#define VOX_BASE_THREAD_H

#include "base/error.h"

typedef struct vox_pool vox_pool;

/* threads 0: one per processor this process may run on. */
vox_status vox_pool_open(vox_pool **out, size_t threads, vox_error *err);
void vox_pool_free(vox_pool **pool);
size_t vox_pool_threads(const vox_pool *pool);

/* Calls fn(user, i) once for every i in [0, count), in any order, on the pool's
 * threads and the caller's; returns when all are done.  pool NULL runs them in
 * the caller.  One loop at a time per pool. */
void vox_pool_for(vox_pool *pool, size_t count, void (*fn)(void *user, size_t i), void *user);

/* The share that one of several has in a loop that they do together, each items of its own:
 * processes that have the memory in common, or in tests one after the other.  NULL stands for one
 * that is alone. */
typedef struct vox_portion {
    size_t index, of; /* this one is number index of so many */
    /* Returns when all are here, and then what any of them wrote before is there for all. */
    vox_status (*meet)(void *user, vox_error *err);
    void *user;
} vox_portion;

/* Its items of count: [*from, the result). */
size_t vox_portion_items(const vox_portion *portion, size_t count, size_t *from);
vox_status vox_portion_meet(const vox_portion *portion, vox_error *err);

/* Processors this process may run on (affinity counted), at least 1. */
size_t vox_processors(void);

/* Seconds of a clock that only goes forward. */
double vox_now(void);

#endif
