/* layout.c - what moves data and changes no value: flatten, reorder, concat; and sums of several.
 */
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

void ref_add_backward_data(const ref_io *io)
{
    int64_t count = io->n * vox_shape_count(&io->node->in[0]);
    for (int k = 0; k < io->node->inputs; k++)
        for (int64_t i = 0; i < count; i++)
            io->dx[k][i] = io->dy[i];
}

/* Moves every input's channels to their place (or back). */
static void concat(const ref_io *io, bool back)
{
    const int64_t *d = io->node->out.dim, voxels = d[2] * d[3] * d[4];
    int64_t first = 0;
    for (int k = 0; k < io->node->inputs; k++) {
        const int64_t channels = io->node->in[k].dim[1];
        for (int64_t n = 0; n < io->n; n++)
            for (int64_t i = 0; i < channels * voxels; i++) {
                const int64_t one = n * channels * voxels + i;
                const int64_t all = (n * d[1] + first) * voxels + i;
                if (back)
                    io->dx[k][one] = io->dy[all];
                else
                    io->y[all] = io->x[k][one];
            }
        first += channels;
    }
}

void ref_concat_forward(const ref_io *io)
{
    concat(io, false);
}

void ref_concat_backward_data(const ref_io *io)
{
    concat(io, true);
}
