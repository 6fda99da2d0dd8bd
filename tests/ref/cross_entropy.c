/* cross_entropy.c - each sample's mean of -log softmax(x)[label]. */
#include "ref/ref.h"

#include <math.h>

static double log_sum_exp(const double *x, int64_t channels, int64_t voxels, double *max)
{
    double m = x[0], sum = 0;
    for (int64_t c = 1; c < channels; c++)
        m = fmax(m, x[c * voxels]);
    for (int64_t c = 0; c < channels; c++)
        sum += exp(x[c * voxels] - m);
    *max = m;
    return log(sum);
}

void ref_cross_entropy_forward(const ref_io *io)
{
    const int64_t *in = io->node->in[0].dim, C = in[1], V = in[2] * in[3] * in[4];
    for (int64_t n = 0; n < io->n; n++) {
        double total = 0, m;
        for (int64_t v = 0; v < V; v++) {
            const double *x = io->x[0] + n * C * V + v;
            int64_t label = (int64_t)io->x[1][n * V + v];
            double lse = log_sum_exp(x, C, V, &m);
            total += label < 0 || label >= C ? NAN : lse - (x[label * V] - m);
        }
        io->y[n] = total / (double)V;
    }
}

void ref_cross_entropy_backward_data(const ref_io *io)
{
    const int64_t *in = io->node->in[0].dim, C = in[1], V = in[2] * in[3] * in[4];
    for (int64_t n = 0; n < io->n; n++)
        for (int64_t v = 0; v < V; v++) {
            const double *x = io->x[0] + n * C * V + v;
            double *dx = io->dx[0] + n * C * V + v, m;
            int64_t label = (int64_t)io->x[1][n * V + v];
            double lse = log_sum_exp(x, C, V, &m);
            for (int64_t c = 0; c < C; c++)
                dx[c * V] = label < 0 || label >= C
                                ? NAN
                                : io->scale / (double)V * (exp(x[c * V] - m - lse) - (c == label));
        }
}
