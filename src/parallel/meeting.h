/* meeting.h - where the replicas that work on one batch exchange a few numbers in mid-step.
 *
 * Each replica runs on its own thread and waits here until all that have samples are there; then
 * the last one to come joins what they brought, in the order of the devices, and all take the
 * result along.  Nobody waits for ever: one that fails says so on leaving, and frees the others.
 *
 * One invariant: what comes out depends on what was brought and on the devices' order, never on who
 * came first, nor on which rank has which devices. */
#ifndef VOX_PARALLEL_MEETING_H
#define VOX_PARALLEL_MEETING_H

#include "ops/op.h"
#include "parallel/hosts.h"

typedef struct vox_meeting vox_meeting;

/* For members 0..members - 1. */
vox_status vox_meeting_open(vox_meeting **out, size_t members, vox_error *err);
void vox_meeting_free(vox_meeting **m);
/* From now on the members of all ranks meet, each rank with at most `most` members; every rank
 * brings numbers to every exchange.  If one fails instead, the others wait until the job is ended
 * (vox_hosts_settle). */
void vox_meeting_set_hosts(vox_meeting *m, vox_hosts *hosts, size_t most);

/* Before a batch, while no member is at work: member i will bring numbers of n[i] samples; those
 * with 0 do not come.  one_by_one: between two exchanges only one member works at a time, in turn.
 */
void vox_meeting_call(vox_meeting *m, const int64_t *n, bool one_by_one);

/* ---- on a member's thread ---- */

/* Comes to work: waits for its turn. */
vox_status vox_meeting_enter(vox_meeting *m, size_t member, vox_error *err);
/* values[floats] of all members are joined (vox_join_fn) and replaced by the result.  All must ask
 * for the same layer and pass.  VOX_ERR_INTERRUPTED: another one failed. */
vox_status vox_meeting_exchange(vox_meeting *m, size_t member, const vox_node *node, vox_pass pass,
                                vox_join_fn join, float *values, size_t floats, vox_error *err);
/* Is done with the batch; status: whether well, err: else why. */
void vox_meeting_leave(vox_meeting *m, size_t member, vox_status status, const vox_error *err);

/* ---- on any thread ---- */

/* Whether the member is there and waits for another one, so that it is not to blame. */
bool vox_meeting_waits(vox_meeting *m, size_t member);

/* ---- after the batch ---- */

/* Seconds that member i only waited for the others. */
double vox_meeting_waited(const vox_meeting *m, size_t i);

/* Why the first one that failed did; VOX_OK: all went well. */
vox_status vox_meeting_outcome(const vox_meeting *m, vox_error *err);

#endif
