/* dense.c - y = x W^T + b. */
#include "ref/ref.h"

void ref_dense_forward(const ref_io *io)
{
    const int64_t in = io->node->in[0].dim[1], out = io->node->out.dim[1];
    const bool bias = ref_bool(io->node, "bias");
    for (int64_t s = 0; s < io->n; s++)
        for (int64_t o = 0; o < out; o++) {
            double sum = bias ? io->param[1][o] : 0;
            for (int64_t i = 0; i < in; i++)
                sum += io->x[0][s * in + i] * io->param[0][o * in + i];
            io->y[s * out + o] = sum;
        }
}

void ref_dense_backward_data(const ref_io *io)
{
    const int64_t in = io->node->in[0].dim[1], out = io->node->out.dim[1];
    for (int64_t s = 0; s < io->n; s++)
        for (int64_t o = 0; o < out; o++)
            for (int64_t i = 0; i < in; i++)
                io->dx[0][s * in + i] += io->dy[s * out + o] * io->param[0][o * in + i];
}

void ref_dense_backward_weights(const ref_io *io)
{
    const int64_t in = io->node->in[0].dim[1], out = io->node->out.dim[1];
    for (int64_t s = 0; s < io->n; s++)
        for (int64_t o = 0; o < out; o++) {
            for (int64_t i = 0; i < in; i++)
                io->dparam[0][o * in + i] += io->dy[s * out + o] * io->x[0][s * in + i];
            if (ref_bool(io->node, "bias"))
                io->dparam[1][o] += io->dy[s * out + o];
        }
}
