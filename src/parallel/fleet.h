/* fleet.h - the devices of a job: those of all its ranks, in the order of the ranks. */
#ifndef VOX_PARALLEL_FLEET_H
#define VOX_PARALLEL_FLEET_H

#include "ocl/device.h"
#include "parallel/hosts.h"

typedef struct vox_fleet_title {
    char text[200]; /* "0 pthread-AVX512"; of several ranks "rank 1: 0 pthread-AVX512" */
} vox_fleet_title;

typedef struct vox_fleet {
    size_t ranks;           /* >= 1 */
    size_t count;           /* devices of all */
    size_t own;             /* this rank's are from here on */
    size_t most;            /* devices of the rank that has the most */
    int64_t *before;        /* [ranks + 1]: devices of the ranks before each */
    vox_fleet_title *title; /* [count] */
} vox_fleet;

/* This rank's devices are those of ctx.  Collective.  On failure it is to be released, too. */
vox_status vox_fleet_init(vox_fleet *fleet, vox_hosts *hosts, const vox_ctx *ctx, vox_error *err);
void vox_fleet_release(vox_fleet *fleet);

/* The rank that device i is of. */
size_t vox_fleet_rank(const vox_fleet *fleet, size_t i);

#endif
