/* avg_pool.c - the mean of each window, padding counted as zeros or left out. */
#include "ref/ref.h"

typedef struct window {
    int64_t first[3], last[3]; /* inside the input */
    double divisor;
} window;

static window find(const vox_node *node, const int64_t o[3])
{
    const int64_t *k = ref_triple(node, "kernel"), *s = ref_triple(node, "stride");
    const int64_t *p = ref_triple(node, "pad"), *in = &node->in[0].dim[2];
    window w = {.divisor = 1};
    for (int i = 0; i < 3; i++) {
        int64_t first = o[i] * s[i] - p[i], last = first + k[i];
        last = last < in[i] + p[i] ? last : in[i] + p[i];
        w.first[i] = first > 0 ? first : 0;
        w.last[i] = last < in[i] ? last : in[i];
        w.divisor *=
            (double)(ref_bool(node, "count_include_pad") ? last - first : w.last[i] - w.first[i]);
    }
    return w;
}

static void walk(const ref_io *io, bool backward)
{
    const vox_node *node = io->node;
    const int64_t *in = &node->in[0].dim[2], *out = &node->out.dim[2];
    int64_t planes = io->n * node->in[0].dim[1], voxels = out[0] * out[1] * out[2];
    for (int64_t i = 0; i < planes * voxels; i++) {
        int64_t v = i % voxels, base = i / voxels * in[0] * in[1] * in[2];
        window win =
            find(node, (int64_t[3]){v / (out[1] * out[2]), v / out[2] % out[1], v % out[2]});
        double sum = 0;
        for (int64_t d = win.first[0]; d < win.last[0]; d++)
            for (int64_t h = win.first[1]; h < win.last[1]; h++)
                for (int64_t w = win.first[2]; w < win.last[2]; w++) {
                    int64_t at = base + (d * in[1] + h) * in[2] + w;
                    if (backward)
                        io->dx[0][at] += io->dy[i] / win.divisor;
                    else
                        sum += io->x[0][at];
                }
        if (!backward)
            io->y[i] = sum / win.divisor;
    }
}

void ref_avg_pool_forward(const ref_io *io)
{
    walk(io, false);
}

void ref_avg_pool_backward_data(const ref_io *io)
{
    walk(io, true);
}
