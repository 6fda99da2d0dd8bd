/* prelu.c - PyTorch's PReLU. */
#include "ref/ref.h"

/* The weight of an element. */
static int64_t weight_of(const vox_node *node, int64_t element)
{
    const int64_t *d = node->out.dim;
    return ref_word(node, "parameters") == 1 ? element / (d[2] * d[3] * d[4]) % d[1] : 0;
}

static int64_t count_of(const ref_io *io)
{
    return io->n * vox_shape_count(&io->node->out);
}

void ref_prelu_forward(const ref_io *io)
{
    for (int64_t i = 0; i < count_of(io); i++) {
        const double x = io->x[0][i];
        io->y[i] = x > 0 ? x : io->param[0][weight_of(io->node, i)] * x;
    }
}

void ref_prelu_backward_data(const ref_io *io)
{
    for (int64_t i = 0; i < count_of(io); i++)
        io->dx[0][i] = (io->x[0][i] > 0 ? 1 : io->param[0][weight_of(io->node, i)]) * io->dy[i];
}

void ref_prelu_backward_weights(const ref_io *io)
{
    for (int64_t i = 0; i < count_of(io); i++)
        if (!(io->x[0][i] > 0))
            io->dparam[0][weight_of(io->node, i)] += io->x[0][i] * io->dy[i];
}
