/* norm.c - batch_norm, instance_norm and group_norm: mean 0, variance 1 over whatever shares them.
 */
#include "ref/ref.h"

#include <math.h>
#include <string.h>

/* Numbers of `samples` samples from n0 on and `channels` channels from c0 on share statistics. */
typedef struct region {
    int64_t n0, samples, c0, channels;
} region;

static bool is_batch(const ref_io *io)
{
    return strcmp(io->node->op->name, "batch_norm") == 0;
}

static int64_t voxels_of(const ref_io *io)
{
    const int64_t *d = io->node->in[0].dim;
    return d[2] * d[3] * d[4];
}

static int regions(const ref_io *io, int64_t C)
{
    if (is_batch(io))
        return (int)C;
    const bool group = strcmp(io->node->op->name, "group_norm") == 0;
    return (int)(io->n * (group ? ref_int(io->node, "groups") : C));
}

static region region_of(const ref_io *io, int64_t C, int i)
{
    if (is_batch(io))
        return (region){0, io->n, i, 1};
    const int64_t groups = regions(io, C) / io->n;
    return (region){i / groups, 1, i % groups * (C / groups), C / groups};
}

/* Calls fn for every element of a region: its channel and where it is. */
#define FOR_REGION(r, C, V)                                                                        \
    for (int64_t n = (r).n0; n < (r).n0 + (r).samples; n++)                                        \
        for (int64_t c = (r).c0; c < (r).c0 + (r).channels; c++)                                   \
            for (int64_t at = (n * (C) + c) * (V); at < (n * (C) + c + 1) * (V); at++)

typedef struct stats {
    double mean, variance, rstd, count;
} stats;

static stats statistics(const ref_io *io, region r)
{
    const int64_t C = io->node->in[0].dim[1], V = voxels_of(io);
    stats s = {.count = (double)(r.samples * r.channels * V)};
    FOR_REGION(r, C, V)
    s.mean += io->x[0][at] / s.count;
    if (isinf(s.mean)) /* no number is left after its subtraction */
        s.mean = NAN;
    FOR_REGION(r, C, V)
    s.variance += (io->x[0][at] - s.mean) * (io->x[0][at] - s.mean) / s.count;
    s.rstd = 1 / sqrt(s.variance + ref_float(io->node, "eps"));
    return s;
}

static double weight_of(const ref_io *io, int64_t c)
{
    return ref_bool(io->node, "affine") ? io->param[0][c] : 1;
}

static void keep_stats(const ref_io *io, region r, stats s)
{
    const int64_t C = io->node->in[0].dim[1];
    for (int64_t c = r.c0; io->keep[VOX_FORWARD] && c < r.c0 + r.channels; c++) {
        double *to = io->keep[VOX_FORWARD] + 4 * (r.n0 * C + c);
        to[0] = (double)(float)s.mean;
        to[1] = s.mean - to[0];
        to[2] = s.rstd;
        to[3] = s.variance;
    }
}

static void update_running(const ref_io *io, int64_t c, stats s)
{
    const double m = ref_float(io->node, "momentum");
    double *const *running = io->state + (ref_bool(io->node, "affine") ? 2 : 0);
    if (!running[0])
        return;
    running[0][c] = (1 - m) * running[0][c] + m * s.mean;
    running[1][c] = (1 - m) * running[1][c] + m * s.variance * s.count / (s.count - 1);
}

static stats from_running(const ref_io *io, int64_t c)
{
    const double *const *running = io->param + (ref_bool(io->node, "affine") ? 2 : 0);
    return (stats){.mean = running[0][c],
                   .variance = running[1][c],
                   .rstd = 1 / sqrt(running[1][c] + ref_float(io->node, "eps"))};
}

void ref_norm_forward(const ref_io *io)
{
    const int64_t C = io->node->in[0].dim[1], V = voxels_of(io);
    for (int i = 0; i < regions(io, C); i++) {
        const region r = region_of(io, C, i);
        const bool running = is_batch(io) && !io->training;
        const stats s = running ? from_running(io, r.c0) : statistics(io, r);
        keep_stats(io, r, s);
        if (is_batch(io) && io->training)
            update_running(io, r.c0, s);
        FOR_REGION(r, C, V)
        io->y[at] = (io->x[0][at] - s.mean) * s.rstd * weight_of(io, c) +
                    (ref_bool(io->node, "affine") ? io->param[1][c] : 0);
    }
}

/* The sums of each channel that the pass keeps. */
static void keep_sums(const ref_io *io, vox_pass pass, region r, stats s)
{
    const int64_t C = io->node->in[0].dim[1], V = voxels_of(io);
    if (!io->keep[pass])
        return;
    double *to = io->keep[pass] + 2 * r.n0 * C;
    for (int64_t c = r.c0; c < r.c0 + r.channels; c++)
        to[2 * c] = to[2 * c + 1] = 0;
    FOR_REGION(r, C, V)
    {
        to[2 * c] += io->dy[at];
        to[2 * c + 1] += io->dy[at] * (io->x[0][at] - s.mean) * s.rstd;
    }
}

/* With z = (x - mean) rstd and g = weight dy:  dx = rstd (g - mean(g) - z mean(g z)). */
void ref_norm_backward_data(const ref_io *io)
{
    const int64_t C = io->node->in[0].dim[1], V = voxels_of(io);
    for (int i = 0; i < regions(io, C); i++) {
        const region r = region_of(io, C, i);
        const stats s = statistics(io, r);
        double g = 0, gz = 0;
        keep_sums(io, VOX_BACKWARD_DATA, r, s);
        FOR_REGION(r, C, V)
        {
            g += weight_of(io, c) * io->dy[at] / s.count;
            gz += weight_of(io, c) * io->dy[at] * (io->x[0][at] - s.mean) * s.rstd / s.count;
        }
        FOR_REGION(r, C, V)
        io->dx[0][at] =
            s.rstd * (weight_of(io, c) * io->dy[at] - g - (io->x[0][at] - s.mean) * s.rstd * gz);
    }
}

void ref_norm_backward_weights(const ref_io *io)
{
    const int64_t C = io->node->in[0].dim[1], V = voxels_of(io);
    for (int i = 0; ref_bool(io->node, "affine") && i < regions(io, C); i++) {
        const region r = region_of(io, C, i);
        const stats s = statistics(io, r);
        keep_sums(io, VOX_BACKWARD_WEIGHTS, r, s);
        FOR_REGION(r, C, V)
        {
            io->dparam[0][c] += io->dy[at] * (io->x[0][at] - s.mean) * s.rstd;
            io->dparam[1][c] += io->dy[at];
        }
    }
}
