/* global_avg_pool.c - the mean of each channel. */
#include "ref/ref.h"

void ref_global_avg_pool_forward(const ref_io *io)
{
    const int64_t *in = io->node->in[0].dim, voxels = in[2] * in[3] * in[4];
    for (int64_t i = 0; i < io->n * in[1] * voxels; i++)
        io->y[i / voxels] += io->x[0][i] / (double)voxels;
}

void ref_global_avg_pool_backward_data(const ref_io *io)
{
    const int64_t *in = io->node->in[0].dim, voxels = in[2] * in[3] * in[4];
    for (int64_t i = 0; i < io->n * in[1] * voxels; i++)
        io->dx[0][i] = io->dy[i / voxels] / (double)voxels;
}
