/* softmax.c - exp(x) / sum exp(x) over channels. */
#include "ref/ref.h"

#include <math.h>

void ref_softmax_forward(const ref_io *io)
{
    const int64_t *s = io->node->out.dim, C = s[1], V = s[2] * s[3] * s[4];
    for (int64_t n = 0; n < io->n; n++)
        for (int64_t v = 0; v < V; v++) {
            const double *x = io->x[0] + n * C * V + v;
            double *y = io->y + n * C * V + v, m = x[0], sum = 0;
            for (int64_t c = 1; c < C; c++)
                m = fmax(m, x[c * V]);
            for (int64_t c = 0; c < C; c++)
                sum += exp(x[c * V] - m);
            for (int64_t c = 0; c < C; c++)
                y[c * V] = exp(x[c * V] - m) / sum;
        }
}

void ref_softmax_backward_data(const ref_io *io)
{
    const int64_t *s = io->node->out.dim, C = s[1], V = s[2] * s[3] * s[4];
    for (int64_t n = 0; n < io->n; n++)
        for (int64_t v = 0; v < V; v++) {
            const int64_t at = n * C * V + v;
            double sum = 0;
            for (int64_t c = 0; c < C; c++)
                sum += io->dy[at + c * V] * io->y[at + c * V];
            for (int64_t c = 0; c < C; c++)
                io->dx[0][at + c * V] = io->y[at + c * V] * (io->dy[at + c * V] - sum);
        }
}
