/* async.h - client/server, asynchronous: for the team's files alone. */
#ifndef VOX_PARALLEL_ASYNC_H
#define VOX_PARALLEL_ASYNC_H

#include "parallel/team_parts.h"

typedef struct vox_async vox_async;

/* For a team whose members are open, with weights of their own; bound >= 0. */
vox_status vox_async_open(vox_async **out, vox_team *team, int64_t bound, vox_error *err);
void vox_async_free(vox_async **async);

/* As vox_team_step. */
vox_status vox_async_step(vox_async *a, const vox_team_batch *batch, float *loss, vox_error *err);

/* Waits for all that are at work, for nothing. */
void vox_async_rest(vox_async *a);

/* Brings the newest weights to all clients; VOX_ERR_USAGE if a batch is under way. */
vox_status vox_async_settle(vox_async *a, vox_error *err);

/* The bound if none is given: devices of up to four times the speed of others need not wait. */
int64_t vox_team_usual_staleness(size_t devices);

#endif
