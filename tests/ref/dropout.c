/* dropout.c - elements dropped by the counter-based generator. */
#include "base/philox.h"
#include "ref/ref.h"

static void mask(const ref_io *io, const double *from, double *to)
{
    const int64_t *s = io->node->out.dim, voxels = s[2] * s[3] * s[4], count = s[1] * voxels;
    const double p = ref_float(io->node, "p"), scale = p < 1 ? 1 / (1 - p) : 0;
    const bool whole = ref_bool(io->node, "whole_channels");
    for (int64_t n = 0; n < io->n; n++)
        for (int64_t i = 0; i < count; i++) {
            uint32_t block[4];
            int64_t e = whole ? i / voxels : i;
            vox_random_block(io->step.seed, VOX_RANDOM_DROPOUT, io->node->lane, io->step.step,
                             io->step.first + (uint64_t)n, (uint32_t)(e / 4), block);
            bool keep = vox_uniform(block[e % 4]) >= (float)p;
            to[n * count + i] = from[n * count + i] * (keep ? (double)(float)scale : 0);
        }
}

void ref_dropout_forward(const ref_io *io)
{
    int64_t count = io->n * vox_shape_count(&io->node->out);
    if (io->training)
        mask(io, io->x[0], io->y);
    for (int64_t i = 0; i < count && !io->training; i++)
        io->y[i] = io->x[0][i];
}

void ref_dropout_backward_data(const ref_io *io)
{
    mask(io, io->dy, io->dx[0]);
}
