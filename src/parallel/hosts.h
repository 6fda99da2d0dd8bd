/* hosts.h - the processes of one job, on one host or many, that mpirun or srun started: ranks.
 *
 * With one rank (also where vox_hosts is NULL) every call is done at once and costs nothing.
 * Otherwise a thread of our own makes all MPI calls and moves what is under way while others
 * compute; so MPI needs no more than MPI_THREAD_FUNNELED.
 *
 * Three invariants.  Every element of a sum is a binomial tree's over the ranks (tree.h), from the
 * rank on that adds it up: the same bits on every rank, run after run, with any MPI.  All but sums
 * are collective: every rank makes the same calls in the same order; sums are told apart by their
 * keys alone and may begin in any order, from any thread.  And nobody waits for ever: ranks tell
 * each other that they are alive, and one that is silent for 20 s (VOXCL_RANK_TIMEOUT, seconds)
 * makes every call fail. */
#ifndef VOX_PARALLEL_HOSTS_H
#define VOX_PARALLEL_HOSTS_H

#include "base/mem.h"

/* For tests: what this rank's host is called, as if it were another. */
#define VOX_HOST_NAME_VARIABLE "VOXCL_HOST_NAME"

/* The host's name; borrowed. */
const char *vox_hosts_name(const vox_hosts *h, size_t rank);

/* all[size][bytes]: what every rank brought, in their order. */
vox_status vox_hosts_gather(vox_hosts *h, const void *mine, size_t bytes, void *all,
                            vox_error *err);
/* Rank 0's data go to all. */
vox_status vox_hosts_broadcast(vox_hosts *h, void *data, size_t bytes, vox_error *err);
/* Waits until all are there. */
vox_status vox_hosts_barrier(vox_hosts *h, vox_error *err);

/* vox_hosts_agree, and *flags becomes all ranks' flags together. */
vox_status vox_hosts_vote(vox_hosts *h, vox_status mine, unsigned *flags, vox_error *err);

/* Rows, or samples, [first, first + count). */
typedef struct vox_slice {
    int64_t first, count;
} vox_slice;

/* vox_hosts_agree, and rows[][bytes], of which rank r brings those of slice[r], become everybody's.
 */
vox_status vox_hosts_share(vox_hosts *h, vox_status mine, void *rows, size_t bytes,
                           const vox_slice *slice, vox_error *err);

/* An error on every rank unless all brought the same mark: "the ranks have different <what>". */
vox_status vox_hosts_same(vox_hosts *h, const char *what, uint64_t mark, const char *hint,
                          vox_error *err);
/* Whether the last error that the calls above gave is every rank's; vox_hosts_clear: not any more.
 */
bool vox_hosts_agreed(const vox_hosts *h);
void vox_hosts_clear(vox_hosts *h);
/* What the job ends with on this rank: an error that did not come from the calls above is one that
 * not all know of (see vox_hosts_free). */
void vox_hosts_settle(vox_hosts *h, vox_status status);

/* The sum of an array over all ranks, again and again. */
typedef struct vox_host_sum vox_host_sum;

#define VOX_HOST_SUM_KEYS 4096

/* Not collective, but every rank opens the sum of this key with the same count.  key:
 * 0..VOX_HOST_SUM_KEYS - 1, one sum for each. */
vox_status vox_host_sum_open(vox_host_sum **out, vox_hosts *h, int key, size_t count,
                             vox_error *err);
void vox_host_sum_free(vox_host_sum **sum);
/* data[count] becomes the sum over the ranks; it is MPI's until waited for.  Returns at once. */
void vox_host_sum_start(vox_host_sum *sum, float *data);
vox_status vox_host_sum_wait(vox_host_sum *sum, vox_error *err);

#endif
