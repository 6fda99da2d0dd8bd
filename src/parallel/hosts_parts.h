/* hosts_parts.h - what the files of the ranks share; for them alone. */
#ifndef VOX_PARALLEL_HOSTS_PARTS_H
#define VOX_PARALLEL_HOSTS_PARTS_H

#include "parallel/hosts.h"
#include "parallel/hosts_mpi.h"

struct vox_hosts {
    vox_mpi *mpi; /* NULL: one rank */
    size_t rank, size;
    char *all; /* [room]: what the ranks brought, and a place to make this one's ready */
    size_t room;
    bool agreed; /* on an error */
    bool alone;  /* an error that the others do not know of */
    char name[64];
};

struct vox_host_sum {
    vox_hosts *hosts;
    vox_ask *ask; /* NULL: one rank */
};

/* One without an ask yet. */
vox_status vox_host_sum_make(vox_host_sum **out, vox_hosts *h, int key, vox_error *err);

/* Of a status that is not VOX_OK it is noted that the other ranks do not know of it. */
vox_status vox_hosts_noted(vox_hosts *h, vox_status s);

#endif
