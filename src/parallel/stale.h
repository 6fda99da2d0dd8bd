/* stale.h - how old gradients may be where every device works at a pace of its own.
 *
 * A server counts the updates of its weights.  A device fetches the weights of some number, and its
 * gradients are late by the updates made since when they are applied: their staleness.  It is
 * bounded by K: whoever would make another's gradients older than that waits for them.
 *
 * The devices at work, from the oldest weights to the newest, are r = 0, 1, 2 ...  As they are
 * applied one after the other at best, r of them before it, all can stay in the bound if and only
 * if updates + r <= fetched[r] + K    for every r. Every call below keeps this true, so the one
 * with the oldest weights may always be applied, and nobody waits for ever.  At most K + 1 devices
 * are at work; with K = 0 one after the other is.
 *
 * The bound on clocks that differ is that of Ho et al.: "More effective distributed ML via a stale
 * synchronous parallel parameter server", NIPS 2013; this one is on the age of each gradient. */
#ifndef VOX_PARALLEL_STALE_H
#define VOX_PARALLEL_STALE_H

#include "base/error.h"

typedef struct vox_stale {
    size_t devices;
    int64_t bound;
    int64_t updates;  /* of the weights so far */
    int64_t *fetched; /* [devices]: after how many each has fetched its weights; -1: not at work */
} vox_stale;

/* bound >= 0, devices >= 1. */
vox_status vox_stale_init(vox_stale *stale, size_t devices, int64_t bound, vox_error *err);
void vox_stale_release(vox_stale *stale);

/* Whether one more device may go to work; one that is not does. */
bool vox_stale_may_fetch(const vox_stale *stale);
void vox_stale_fetch(vox_stale *stale, size_t device);

/* Whether the gradients of a device at work may be applied now; they are: returns how stale they
 * were, 0 to bound. */
bool vox_stale_may_apply(const vox_stale *stale, size_t device);
int64_t vox_stale_apply(vox_stale *stale, size_t device);
/* They come to nothing. */
void vox_stale_drop(vox_stale *stale, size_t device);

#endif
