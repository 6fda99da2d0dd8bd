/* conv.c - 3D convolution by its definition: every (output voxel, weight) pair that meets inside
 * the input, once; each pass does something else with it. */
#include "ref/ref.h"

typedef struct pair {
    int64_t x, y, w, o; /* elements of input, output, weight, bias */
} pair;

typedef void (*pair_fn)(const ref_io *io, const pair *p);

typedef struct sizes {
    const int64_t *kernel, *stride, *pad, *dilation;
    int64_t ci, co, in[3], out[3]; /* ci: of a group */
    int64_t groups;
} sizes;

static sizes sizes_of(const vox_node *node)
{
    sizes s = {.kernel = ref_triple(node, "kernel"),
               .stride = ref_triple(node, "stride"),
               .pad = ref_triple(node, "pad"),
               .dilation = ref_triple(node, "dilation"),
               .groups = ref_int(node, "groups"),
               .co = node->out.dim[1]};
    s.ci = node->in[0].dim[1] / s.groups;
    for (int i = 0; i < 3; i++) {
        s.in[i] = node->in[0].dim[2 + i];
        s.out[i] = node->out.dim[2 + i];
    }
    return s;
}

/* The taps of one output voxel p (d, h, w) with weights (o, c). */
static void visit_taps(const ref_io *io, const sizes *s, const int64_t p[3], pair at, pair_fn fn)
{
    int64_t k[3];
    for (k[0] = 0; k[0] < s->kernel[0]; k[0]++)
        for (k[1] = 0; k[1] < s->kernel[1]; k[1]++)
            for (k[2] = 0; k[2] < s->kernel[2]; k[2]++) {
                bool inside = true;
                pair q = at;
                int64_t x = 0, tap = 0;
                for (int i = 0; i < 3; i++) {
                    int64_t v = p[i] * s->stride[i] - s->pad[i] + k[i] * s->dilation[i];
                    inside = inside && v >= 0 && v < s->in[i];
                    x = x * s->in[i] + v;
                    tap = tap * s->kernel[i] + k[i];
                }
                q.x += x;
                q.w += tap;
                if (inside)
                    fn(io, &q);
            }
}

static void visit(const ref_io *io, pair_fn fn)
{
    const sizes s = sizes_of(io->node);
    const int64_t in_voxels = s.in[0] * s.in[1] * s.in[2];
    const int64_t out_voxels = s.out[0] * s.out[1] * s.out[2];
    const int64_t taps = s.kernel[0] * s.kernel[1] * s.kernel[2];
    for (int64_t n = 0; n < io->n; n++)
        for (int64_t o = 0; o < s.co; o++)
            for (int64_t c = 0; c < s.ci; c++)
                for (int64_t i = 0; i < out_voxels; i++) {
                    const int64_t p[3] = {i / s.out[2] / s.out[1], i / s.out[2] % s.out[1],
                                          i % s.out[2]};
                    const int64_t channel = o / (s.co / s.groups) * s.ci + c;
                    const pair at = {.x = (n * s.ci * s.groups + channel) * in_voxels,
                                     .y = (n * s.co + o) * out_voxels + i,
                                     .w = (o * s.ci + c) * taps,
                                     .o = o};
                    visit_taps(io, &s, p, at, fn);
                }
}

static void forward_pair(const ref_io *io, const pair *p)
{
    io->y[p->y] += io->x[0][p->x] * io->param[0][p->w];
}

static void data_pair(const ref_io *io, const pair *p)
{
    io->dx[0][p->x] += io->dy[p->y] * io->param[0][p->w];
}

static void weights_pair(const ref_io *io, const pair *p)
{
    io->dparam[0][p->w] += io->dy[p->y] * io->x[0][p->x];
}

static int64_t channel_of(const vox_node *node, int64_t element)
{
    const int64_t *d = node->out.dim;
    return element / (d[2] * d[3] * d[4]) % d[1];
}

void ref_conv_forward(const ref_io *io)
{
    visit(io, forward_pair);
    if (ref_bool(io->node, "bias"))
        for (int64_t i = 0; i < io->n * vox_shape_count(&io->node->out); i++)
            io->y[i] += io->param[1][channel_of(io->node, i)];
}

void ref_conv_backward_data(const ref_io *io)
{
    visit(io, data_pair);
}

void ref_conv_backward_weights(const ref_io *io)
{
    visit(io, weights_pair);
    if (ref_bool(io->node, "bias"))
        for (int64_t i = 0; i < io->n * vox_shape_count(&io->node->out); i++)
            io->dparam[1][channel_of(io->node, i)] += io->dy[i];
}
