/* max_pool.c - the largest value of each window; the first of equals, the last of NaNs. */
#include "ref/ref.h"

#include <math.h>

/* The input voxel of plane x that is window (o)'s maximum. */
static int64_t find(const vox_node *node, const double *x, const int64_t o[3])
{
    const int64_t *k = ref_triple(node, "kernel"), *s = ref_triple(node, "stride");
    const int64_t *p = ref_triple(node, "pad"), *in = &node->in[0].dim[2];
    double best = -INFINITY;
    int64_t at = -1;
    for (int64_t d = o[0] * s[0] - p[0]; d < o[0] * s[0] - p[0] + k[0]; d++)
        for (int64_t h = o[1] * s[1] - p[1]; h < o[1] * s[1] - p[1] + k[1]; h++)
            for (int64_t w = o[2] * s[2] - p[2]; w < o[2] * s[2] - p[2] + k[2]; w++) {
                if (d < 0 || h < 0 || w < 0 || d >= in[0] || h >= in[1] || w >= in[2])
                    continue;
                int64_t i = (d * in[1] + h) * in[2] + w;
                if (at < 0 || x[i] > best || isnan(x[i])) {
                    best = x[i];
                    at = i;
                }
            }
    return at;
}

static void walk(const ref_io *io, bool backward)
{
    const vox_node *node = io->node;
    const int64_t *in = &node->in[0].dim[2], *out = &node->out.dim[2];
    int64_t planes = io->n * node->in[0].dim[1], i = 0;
    for (int64_t plane = 0; plane < planes; plane++) {
        int64_t base = plane * in[0] * in[1] * in[2];
        for (int64_t d = 0; d < out[0]; d++)
            for (int64_t h = 0; h < out[1]; h++)
                for (int64_t w = 0; w < out[2]; w++, i++) {
                    int64_t at = base + find(node, io->x[0] + base, (int64_t[3]){d, h, w});
                    if (backward)
                        io->dx[0][at] += io->dy[i];
                    else
                        io->y[i] = io->x[0][at];
                }
    }
}

void ref_max_pool_forward(const ref_io *io)
{
    walk(io, false);
}

void ref_max_pool_backward_data(const ref_io *io)
{
    walk(io, true);
}
