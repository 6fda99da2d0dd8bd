/* hosts_none.c - hosts_mpi.h in a build without MPI: there is one rank. */
#include "parallel/hosts_mpi.h"

#ifndef VOXCL_WITH_MPI

static vox_status none(vox_error *err)
{
    vox_fail(err, VOX_ERR_UNSUPPORTED, "this voxcl was built without MPI");
    vox_hint(err, "build with -DVOXCL_WITH_MPI=ON");
    return VOX_ERR_UNSUPPORTED;
}

vox_status vox_mpi_open(vox_mpi **out, size_t *rank, size_t *size, vox_error *err)
{
    *out = NULL;
    *rank = 0;
    *size = 1;
    return none(err);
}

void vox_mpi_close(vox_mpi **mpi, bool abort)
{
    (void)abort;
    *mpi = NULL;
}

const char *vox_mpi_name(const vox_mpi *mpi, size_t rank)
{
    (void)mpi, (void)rank;
    return "";
}

const char *vox_mpi_library(const vox_mpi *mpi)
{
    (void)mpi;
    return "";
}

vox_status vox_mpi_gather(vox_mpi *mpi, const void *mine, size_t bytes, void *all, vox_error *err)
{
    (void)mpi, (void)mine, (void)bytes, (void)all;
    return none(err);
}

vox_status vox_mpi_broadcast(vox_mpi *mpi, void *data, size_t bytes, vox_error *err)
{
    (void)mpi, (void)data, (void)bytes;
    return none(err);
}

vox_status vox_mpi_barrier(vox_mpi *mpi, vox_error *err)
{
    (void)mpi;
    return none(err);
}

vox_status vox_mpi_sum_open(vox_ask **out, vox_mpi *mpi, int key, size_t count,
                            const vox_groups *groups, const vox_sum_memory *memory, vox_error *err)
{
    (void)mpi, (void)key, (void)count, (void)groups, (void)memory;
    *out = NULL;
    return none(err);
}

void vox_mpi_sum_free(vox_ask **sum)
{
    if (sum)
        *sum = NULL;
}

void vox_mpi_sum_start(vox_mpi *mpi, vox_ask *sum, float *data)
{
    (void)mpi, (void)sum, (void)data;
}

vox_status vox_mpi_wait(vox_mpi *mpi, vox_ask *ask, vox_error *err)
{
    (void)mpi, (void)ask;
    return none(err);
}

vox_status vox_mpi_wait_for_counts(vox_mpi *mpi, atomic_uint *count, size_t n, unsigned turn,
                                   vox_error *err)
{
    (void)mpi, (void)count, (void)n, (void)turn;
    return none(err);
}

#endif
