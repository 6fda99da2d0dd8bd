/* conv_transpose.c - transposed 3D convolution by its definition: every (input voxel, weight) pair
 * that lands inside the output, once; each pass does something else with it. */
#include "ref/conv_pairs.h"

static int64_t voxels(const vox_shape *s)
{
    return s->dim[2] * s->dim[3] * s->dim[4];
}

/* Where tap k (all three in one number, w fastest) of input voxel p lands, or -1. */
static int64_t landing(const vox_node *node, int64_t p, int64_t k)
{
    const int64_t *in = node->in[0].dim + 2, *out = node->out.dim + 2;
    const int64_t *kernel = ref_triple(node, "kernel"), *stride = ref_triple(node, "stride");
    const int64_t *pad = ref_triple(node, "pad"), *dilation = ref_triple(node, "dilation");
    int64_t at = 0, apart = 1;
    for (int i = 2; i >= 0; i--) {
        const int64_t q = p % in[i] * stride[i] - pad[i] + k % kernel[i] * dilation[i];
        if (q < 0 || q >= out[i])
            return -1;
        at += q * apart;
        apart *= out[i];
        p /= in[i];
        k /= kernel[i];
    }
    return at;
}

static void visit(const ref_io *io, ref_pair_fn *fn)
{
    const vox_node *node = io->node;
    const int64_t ci = node->in[0].dim[1], co = node->out.dim[1];
    const int64_t each = co / ref_int(node, "groups"), inputs = ci / ref_int(node, "groups");
    const int64_t *kernel = ref_triple(node, "kernel"), taps = kernel[0] * kernel[1] * kernel[2];
    for (int64_t n = 0; n < io->n; n++)
        for (int64_t i = 0; i < ci; i++)
            for (int64_t p = 0; p < voxels(&node->in[0]); p++)
                for (int64_t k = 0; k < taps; k++) {
                    const int64_t q = landing(node, p, k);
                    for (int64_t j = 0; j < each && q >= 0; j++) {
                        const int64_t o = i / inputs * each + j;
                        const ref_pair at = {.x = (n * ci + i) * voxels(&node->in[0]) + p,
                                             .y = (n * co + o) * voxels(&node->out) + q,
                                             .w = (i * each + j) * taps + k};
                        fn(io, &at);
                    }
                }
}

void ref_conv_transpose_forward(const ref_io *io)
{
    ref_pairs_forward(io, visit);
}

void ref_conv_transpose_backward_data(const ref_io *io)
{
    ref_pairs_backward_data(io, visit);
}

void ref_conv_transpose_backward_weights(const ref_io *io)
{
    ref_pairs_backward_weights(io, visit);
}
