/* hosts_mpi.h - the thread that owns MPI, for hosts.c alone.
 *
 * One invariant: an ask belongs to the thread from vox_mpi_post until vox_mpi_wait. */
#ifndef VOX_PARALLEL_HOSTS_MPI_H
#define VOX_PARALLEL_HOSTS_MPI_H

#include "base/error.h"

#include <stdatomic.h>

typedef struct vox_mpi vox_mpi;
typedef struct vox_ask vox_ask;

/* The ranks by groups, each the ranks of a host that have memory in common, or one alone. */
typedef struct vox_groups {
    size_t count, own;  /* groups; this rank's */
    const size_t *of;   /* [ranks]: each rank's group */
    const size_t *rank; /* [ranks]: all ranks, group by group ... */
    const size_t *at;   /* [count + 1]: ... of which each one's begin here */
} vox_groups;

/* The first that is 0; 0 if none is. */
static inline size_t vox_mpi_first_there(atomic_uint *away, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!atomic_load(&away[i]))
            return i;
    return 0;
}

/* What a sum works on where this rank's group has several: the values of the group's ranks, in its
 * order, the first of which that is not away become the sum; and each one's count of the sums it
 * began, which is how the others see that its values are there. */
typedef struct vox_sum_memory {
    float *const *data;   /* [ranks of the group], copied */
    atomic_uint *started; /* [the same]; borrowed, as the next */
    /* [the same]: not 0: its values are left out.  Changes between sums. */
    atomic_uint *away;
    size_t index; /* of this rank */
} vox_sum_memory;

/* MPI is started in a thread of its own.  name: of each host; borrowed.  Without MPI in this
 * build: VOX_ERR_UNSUPPORTED. */
vox_status vox_mpi_open(vox_mpi **out, size_t *rank, size_t *size, vox_error *err);
/* abort: ends all processes of the job, this one too.  Else collective. */
void vox_mpi_close(vox_mpi **mpi, bool abort);
const char *vox_mpi_name(const vox_mpi *mpi, size_t rank);
/* "Open MPI v4.1.4 ..."; borrowed. */
const char *vox_mpi_library(const vox_mpi *mpi);

/* hosts.h says what they do.  The memory is borrowed until waited for. */
vox_status vox_mpi_gather(vox_mpi *mpi, const void *mine, size_t bytes, void *all, vox_error *err);
vox_status vox_mpi_broadcast(vox_mpi *mpi, void *data, size_t bytes, vox_error *err);
vox_status vox_mpi_barrier(vox_mpi *mpi, vox_error *err);

/* groups: borrowed for as long; NULL: every rank is one by itself.  memory: NULL: this rank is. */
vox_status vox_mpi_sum_open(vox_ask **out, vox_mpi *mpi, int key, size_t count,
                            const vox_groups *groups, const vox_sum_memory *memory, vox_error *err);
void vox_mpi_sum_free(vox_ask **sum);
void vox_mpi_sum_start(vox_mpi *mpi, vox_ask *sum, float *data);
vox_status vox_mpi_wait(vox_mpi *mpi, vox_ask *ask, vox_error *err);

/* Waits until all of count[n] have reached turn, modulo 2^32. */
vox_status vox_mpi_wait_for_counts(vox_mpi *mpi, atomic_uint *count, size_t n, unsigned turn,
                                   vox_error *err);

#endif
