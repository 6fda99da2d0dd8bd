/* resample.c - pad, crop and upsample by their definitions; gradients as the transposed maps. */
#include "ref/ref.h"

#include <math.h>
#include <string.h>

/* Voxel (d, h, w) of plane `plane` of a volume. */
static int64_t at(const vox_shape *s, int64_t plane, int64_t d, int64_t h, int64_t w)
{
    return ((plane * s->dim[2] + d) * s->dim[3] + h) * s->dim[4] + w;
}

static bool within(const vox_shape *s, int64_t d, int64_t h, int64_t w)
{
    return d >= 0 && d < s->dim[2] && h >= 0 && h < s->dim[3] && w >= 0 && w < s->dim[4];
}

/* Output (d, h, w) is input (d, h, w) - sign * before, or value. */
static void pad(const ref_io *io, int64_t sign, double value, bool back)
{
    const vox_shape *in = &io->node->in[0], *out = &io->node->out;
    const int64_t *before = ref_triple(io->node, "before");
    for (int64_t plane = 0; plane < io->n * out->dim[1]; plane++)
        for (int64_t d = 0; d < out->dim[2]; d++)
            for (int64_t h = 0; h < out->dim[3]; h++)
                for (int64_t w = 0; w < out->dim[4]; w++) {
                    const int64_t from[3] = {d - sign * before[0], h - sign * before[1],
                                             w - sign * before[2]};
                    const bool inside = within(in, from[0], from[1], from[2]);
                    const int64_t o = at(out, plane, d, h, w);
                    const int64_t i = inside ? at(in, plane, from[0], from[1], from[2]) : 0;
                    if (back && inside)
                        io->dx[0][i] = io->dy[o];
                    else if (!back)
                        io->y[o] = inside ? io->x[0][i] : value;
                }
}

void ref_pad_forward(const ref_io *io)
{
    pad(io, 1, ref_float(io->node, "value"), false);
}

void ref_pad_backward_data(const ref_io *io)
{
    pad(io, 1, 0, true);
}

void ref_crop_forward(const ref_io *io)
{
    pad(io, -1, 0, false);
}

void ref_crop_backward_data(const ref_io *io)
{
    pad(io, -1, 0, true);
}

/* The two inputs that output o of m reads along an axis of n, and the second one's weight. */
static void reads(bool nearest, int64_t o, int64_t n, int64_t m, int64_t i[2], double *f)
{
    double p = nearest ? floor((double)(o * n) / (double)m)
                       : ((double)o + 0.5) * (double)n / (double)m - 0.5;
    p = p < 0 ? 0 : p;
    i[0] = (int64_t)floor(p);
    i[1] = i[0] + 1 < n ? i[0] + 1 : n - 1;
    *f = nearest ? 0 : p - (double)i[0];
}

static void upsample(const ref_io *io, bool back)
{
    const vox_shape *in = &io->node->in[0], *out = &io->node->out;
    const bool nearest = ref_word(io->node, "mode") == 0;
    for (int64_t plane = 0; plane < io->n * out->dim[1]; plane++)
        for (int64_t o = 0; o < out->dim[2] * out->dim[3] * out->dim[4]; o++) {
            const int64_t p[3] = {o / out->dim[4] / out->dim[3], o / out->dim[4] % out->dim[3],
                                  o % out->dim[4]};
            const int64_t to = at(out, plane, p[0], p[1], p[2]);
            int64_t i[3][2];
            double f[3];
            for (int a = 0; a < 3; a++)
                reads(nearest, p[a], in->dim[2 + a], out->dim[2 + a], i[a], &f[a]);
            for (int c = 0; c < 8; c++) {
                const int k[3] = {c >> 2 & 1, c >> 1 & 1, c & 1};
                double weight = 1;
                for (int a = 0; a < 3; a++)
                    weight *= k[a] ? f[a] : 1 - f[a];
                const int64_t from = at(in, plane, i[0][k[0]], i[1][k[1]], i[2][k[2]]);
                if (weight != 0 && back)
                    io->dx[0][from] += weight * io->dy[to];
                else if (weight != 0)
                    io->y[to] += weight * io->x[0][from];
            }
        }
}

void ref_upsample_forward(const ref_io *io)
{
    upsample(io, false);
}

void ref_upsample_backward_data(const ref_io *io)
{
    upsample(io, true);
}
