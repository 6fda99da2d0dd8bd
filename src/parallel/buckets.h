/* buckets.h - a replica's gradients on their way to the host, while backward goes on.
 *
 * The flat vector is cut into buckets, those of the last layers first, as backward comes to them.
 * Where device memory is host memory a bucket is mapped, else copied, as soon as it is complete;
 * the host waits for each by itself.
 *
 * One invariant: between vox_buckets_await of a bucket and vox_buckets_give_back its gradients are
 * the host's, to read and to write. */
#ifndef VOX_PARALLEL_BUCKETS_H
#define VOX_PARALLEL_BUCKETS_H

#include "net/plan.h"

typedef struct vox_buckets vox_buckets;

/* Elements [offset, offset + count) of the flat vectors. */
typedef struct vox_range {
    size_t offset, count;
} vox_range;

/* Cuts a graph's flat vector at tensors into ranges of about `bytes` or more (0: as few as there
 * can be), from its end to its beginning, leaving out layers whose gradients do not go that way
 * (without[layers], or NULL); range[*count] is the caller's (free). */
vox_status vox_buckets_cut(const vox_graph *graph, const bool *without, size_t bytes,
                           vox_range **range, size_t *count, vox_error *err);

/* For the gradients of plan on dev; range[count] is copied.  host is where they are
 * [flat_floats]: in_place, the memory that they lie over (vox_plan_options.grads), else pinned
 * memory of the device. */
vox_status vox_buckets_open(vox_buckets **out, vox_plan *plan, vox_device *dev,
                            const vox_range *range, size_t count, float *host, bool in_place,
                            vox_error *err);
void vox_buckets_free(vox_buckets **b);

/* Before the work whose gradients are wanted is handed to the replica's thread: none is there. */
void vox_buckets_begin(vox_buckets *b);

/* ---- on the replica's thread ---- */

/* Whether the backward passes from now on tell of their buckets: the last pass of a batch does. */
void vox_buckets_watch(vox_buckets *b, bool on);
/* All that were not told of: their gradients are enqueued. */
vox_status vox_buckets_tell_all(vox_buckets *b, vox_error *err);
/* After the work: if it failed, nobody waits for what will not come. */
void vox_buckets_end(vox_buckets *b, bool failed);
/* Gradients are the device's again. */
vox_status vox_buckets_give_back(vox_buckets *b, vox_error *err);

/* ---- on any thread ---- */

/* Waits until bucket i is in host memory, for so many seconds.  VOX_ERR_INTERRUPTED: the replica
 * failed, and knows why, or it does not come (*late). */
vox_status vox_buckets_await(vox_buckets *b, size_t i, double seconds, bool *late, vox_error *err);
/* [flat_floats]; of which only what was waited for is there. */
float *vox_buckets_host(const vox_buckets *b);

#endif
