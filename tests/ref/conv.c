/* conv.c - 3D convolution by its definition: every (output voxel, weight) pair that meets inside
 * the input, once; each pass does something else with it. */
#include "ref/conv_pairs.h"

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
static void visit_taps(const ref_io *io, const sizes *s, const int64_t p[3], ref_pair at,
                       ref_pair_fn *fn)
{
    int64_t k[3];
    for (k[0] = 0; k[0] < s->kernel[0]; k[0]++)
        for (k[1] = 0; k[1] < s->kernel[1]; k[1]++)
            for (k[2] = 0; k[2] < s->kernel[2]; k[2]++) {
                bool inside = true;
                ref_pair q = at;
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

static void visit(const ref_io *io, ref_pair_fn *fn)
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
                    const ref_pair at = {.x = (n * s.ci * s.groups + channel) * in_voxels,
                                         .y = (n * s.co + o) * out_voxels + i,
                                         .w = (o * s.ci + c) * taps};
                    visit_taps(io, &s, p, at, fn);
                }
}

void ref_conv_forward(const ref_io *io)
{
    ref_pairs_forward(io, visit);
}

void ref_conv_backward_data(const ref_io *io)
{
    ref_pairs_backward_data(io, visit);
}

void ref_conv_backward_weights(const ref_io *io)
{
    ref_pairs_backward_weights(io, visit);
}
