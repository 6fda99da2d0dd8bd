/* layout.c - what moves data and changes no value: flatten, reorder; and the sum of several. */
#include "ref/ref.h"

void ref_copy_forward(const ref_io *io)
{
    int64_t count = io->n * vox_shape_count(&io->node->in[0]);
    for (int64_t i = 0; i < count; i++)
        io->y[i] = io->x[0][i];
}

void ref_copy_backward_data(const ref_io *io)
{
    int64_t count = io->n * vox_shape_count(&io->node->in[0]);
    for (int64_t i = 0; i < count; i++)
        io->dx[0][i] = io->dy[i];
}

void ref_sum_forward(const ref_io *io)
{
    int64_t count = io->n * vox_shape_count(&io->node->in[0]);
    for (int k = 0; k < io->node->inputs; k++)
        for (int64_t i = 0; i < count; i++)
            io->y[i] += io->x[k][i];
}
