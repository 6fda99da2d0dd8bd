/* conv_pairs.c - each pass of a convolution, given the pairs that meet; with the bias. */
#include "ref/conv_pairs.h"

static void forward_pair(const ref_io *io, const ref_pair *p)
{
    io->y[p->y] += io->x[0][p->x] * io->param[0][p->w];
}

static void data_pair(const ref_io *io, const ref_pair *p)
{
    io->dx[0][p->x] += io->dy[p->y] * io->param[0][p->w];
}

static void weights_pair(const ref_io *io, const ref_pair *p)
{
    io->dparam[0][p->w] += io->dy[p->y] * io->x[0][p->x];
}

static int64_t channel_of(const vox_node *node, int64_t element)
{
    const int64_t *d = node->out.dim;
    return element / (d[2] * d[3] * d[4]) % d[1];
}

void ref_pairs_forward(const ref_io *io, ref_pair_visit *visit)
{
    visit(io, forward_pair);
    if (ref_bool(io->node, "bias"))
        for (int64_t i = 0; i < io->n * vox_shape_count(&io->node->out); i++)
            io->y[i] += io->param[1][channel_of(io->node, i)];
}

void ref_pairs_backward_data(const ref_io *io, ref_pair_visit *visit)
{
    visit(io, data_pair);
}

void ref_pairs_backward_weights(const ref_io *io, ref_pair_visit *visit)
{
    visit(io, weights_pair);
    if (ref_bool(io->node, "bias"))
        for (int64_t i = 0; i < io->n * vox_shape_count(&io->node->out); i++)
            io->dparam[1][channel_of(io->node, i)] += io->dy[i];
}
