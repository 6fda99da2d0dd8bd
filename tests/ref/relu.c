/* relu.c - y = max(x, 0); NaN passes. */
#include "ref/ref.h"

void ref_relu_forward(const ref_io *io)
{
    int64_t count = io->n * vox_shape_count(&io->node->out);
    for (int64_t i = 0; i < count; i++)
        io->y[i] = io->x[0][i] <= 0 ? 0 : io->x[0][i];
}

void ref_relu_backward_data(const ref_io *io)
{
    int64_t count = io->n * vox_shape_count(&io->node->out);
    for (int64_t i = 0; i < count; i++)
        io->dx[0][i] = io->y[i] <= 0 ? 0 : io->dy[i];
}
