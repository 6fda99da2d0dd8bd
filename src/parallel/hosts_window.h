/* hosts_window.h - memory that the ranks of one host have in common, and sums that stay in it.
 *
 *   | common | own 0 | own 1 | ...      common: everybody's; own i: of the host's rank i
 *
 * Ranks that have such memory are a group; one that is alone on its host, or cannot have it, is a
 * group of its own.  What stands in the way is told in the log, and the job goes on without.
 *
 * One invariant: all ranks know all groups, and they do not change. */
#ifndef VOX_PARALLEL_HOSTS_WINDOW_H
#define VOX_PARALLEL_HOSTS_WINDOW_H

#include "base/thread.h"
#include "parallel/hosts.h"

/* "off": no such memory; a number: not more than so many bytes of it.  For tests, and for hosts
 * whose shared memory is for others. */
#define VOX_WINDOW_VARIABLE "VOXCL_RANK_MEMORY"

typedef struct vox_host_window vox_host_window;

/* Zeroed, on every host where several ranks run; common and own are the same on all ranks.  NULL
 * with one rank, or if no group has several ranks.  Collective. */
vox_status vox_host_window_open(vox_host_window **out, vox_hosts *h, size_t common, size_t own,
                                vox_error *err);
/* Not collective; the memory stays while somebody holds it. */
void vox_host_window_free(vox_host_window **w);
/* Somebody else looks at the memory until vox_host_window_let_go. */
void vox_host_window_hold(vox_host_window *w);
void vox_host_window_let_go(void *window);

/* NULL (also of no window): this rank is a group of its own.  Aligned to pages. */
void *vox_host_window_common(const vox_host_window *w);
/* Of rank i of this group. */
void *vox_host_window_own(const vox_host_window *w, size_t i);
/* This rank's own memory may be written to by who knows whom: it is left out of sums from the next
 * one on that the rank begins.  The sum then is where vox_host_window_sum says, that is in the own
 * memory of the first rank that has not withdrawn (or of the first); asked after a meeting. */
void vox_host_window_withdraw(vox_host_window *w);
void *vox_host_window_sum(const vox_host_window *w);

/* This rank among those of its group, 0 of 1 without a window.  Its meet is the group's: nobody
 * returns before all have come, and then sees what the others wrote; an error when MPI is lost. */
const vox_portion *vox_host_window_portion(const vox_host_window *w);

/* As vox_host_sum_open.  In a group of several, vox_host_sum_start's data are floats [offset,
 * offset + count) of this rank's own memory, and the sum comes to those of vox_host_window_sum: it
 * is whole, on every rank, after vox_host_sum_wait and a meeting.  w may be NULL. */
vox_status vox_host_sum_open_in(vox_host_sum **out, vox_hosts *h, vox_host_window *w, int key,
                                size_t offset, size_t count, vox_error *err);

/* "the 2 ranks on node7 share one model": a line for every group of several. */
void vox_host_window_describe(const vox_host_window *w, vox_str *text);

#endif
