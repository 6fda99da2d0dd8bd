/* hosts_mpi.h - the thread that owns MPI, for hosts.c alone.
 *
 * One invariant: an ask belongs to the thread from vox_mpi_post until vox_mpi_wait. */
#ifndef VOX_PARALLEL_HOSTS_MPI_H
#define VOX_PARALLEL_HOSTS_MPI_H

#include "base/error.h"

typedef struct vox_mpi vox_mpi;
typedef struct vox_ask vox_ask;

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

vox_status vox_mpi_sum_open(vox_ask **out, vox_mpi *mpi, int key, size_t count, vox_error *err);
void vox_mpi_sum_free(vox_ask **sum);
void vox_mpi_sum_start(vox_mpi *mpi, vox_ask *sum, float *data);
vox_status vox_mpi_wait(vox_mpi *mpi, vox_ask *ask, vox_error *err);

#endif
