/* conv_transpose.c - cases of the transposed 3D convolution.
 *
 * Its methods are the convolution's, whose edges are tested there: these cases are about what is
 * exchanged, the bias, output_pad, and the shapes of U-Nets. */
#include "ops/harness.h"

#include "golden/conv_transpose_golden.h"

#include <stdio.h>

void ref_conv_transpose_forward(const ref_io *io);
void ref_conv_transpose_backward_data(const ref_io *io);
void ref_conv_transpose_backward_weights(const ref_io *io);

static const vt_case cases[] = {
    {"the way up in a U-Net @taps16 @direct16 @tiled @naive",
     "out=16 kernel=2 stride=2",
     {2, 32, 3, 4, 5},
     1,
     VT_ALWAYS,
     VT_UNIFORM},
    {"the same, tiny", "out=2 kernel=2 stride=2", {2, 3, 1, 2, 3}, 1, VT_TINY, VT_UNIFORM},
    {"stride, pad and output_pad of each axis, no bias @direct16 @tiled @naive",
     "out=17 kernel=3,4,2 stride=2,3,1 pad=1,0,1 output_pad=1,2,0 bias=false",
     {2, 18, 3, 4, 6},
     1,
     VT_ALWAYS,
     VT_UNIFORM},
    {"kernel as the stride of each axis; channels past blocks; rows that tiles do not divide "
     "@taps16 @direct16",
     "out=18 kernel=3,1,4 stride=3,1,4",
     {3, 17, 2, 5, 13},
     2,
     VT_ALWAYS,
     VT_UNIFORM},
    {"output_pad below the dilation but not the stride: voxels that only the bias reaches",
     "out=3 kernel=2 dilation=3 output_pad=2 stride=2,1,1",
     {1, 2, 2, 3, 2},
     0,
     VT_TINY,
     VT_UNIFORM},
    {"stride > kernel: gaps that only the bias fills @direct16 @tiled @naive",
     "out=18 kernel=2 stride=3,4,5",
     {2, 20, 3, 2, 4},
     1,
     VT_ALWAYS,
     VT_UNIFORM},
    {"dilation, stride and groups @direct16 @naive",
     "out=20 kernel=2,3,2 stride=2,1,3 dilation=1,2,2 pad=1,2,0 groups=2",
     {1, 18, 3, 4, 3},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"groups, tiny @naive", "out=4 kernel=1,2,2 groups=2", {1, 4, 2, 3, 3}, 0, VT_TINY, VT_UNIFORM},
    {"stride 1 @winograd16",
     "out=18 kernel=2,3,3 pad=1",
     {2, 17, 3, 7, 9},
     1,
     VT_ALWAYS,
     VT_UNIFORM},
    {"to a large volume: the bias's gradient in shares @direct16",
     "out=2 kernel=2 stride=2",
     {1, 3, 5, 16, 17},
     0,
     VT_ALWAYS,
     VT_OFFSET},
    {"a U-Net's last way up",
     "out=16 kernel=2 stride=2",
     {2, 32, 32, 32, 32},
     0,
     VT_BENCH,
     VT_UNIFORM},
    {"a U-Net's second", "out=32 kernel=2 stride=2", {2, 64, 16, 16, 16}, 0, VT_BENCH, VT_UNIFORM},
    {0}};

static const vt_bad bad[] = {{"all cut off", "out=1 kernel=2 pad=2", {1, 1, 3, 3, 2}, "pad 2,2,2"},
                             {"output_pad too large",
                              "out=1 kernel=2 stride=2 output_pad=2",
                              {1, 1, 3, 3, 3},
                              "output_pad 2,2,2"},
                             {"input channels not divisible by the groups",
                              "out=4 kernel=1 groups=2",
                              {1, 3, 3, 3, 5},
                              "groups 2"},
                             {0}};

static int64_t below(vox_random *r, uint32_t n)
{
    return vox_random_below(r, n);
}

/* Kernel 1-4, stride 1-4, pad, output_pad, dilation, groups; channels around the blocks of 16. */
static void random_case(vt_case *c, char attr[160], vox_random *r, bool tiny)
{
    static const int64_t channels[] = {1, 2, 5, 15, 16, 17, 33};
    int64_t kernel[3], stride[3], pad[3], more[3], dilation[3];
    const int64_t groups = below(r, 3) ? 1 : 1 + below(r, 3);
    const int64_t ci = tiny ? 1 + below(r, 2) : channels[below(r, 7)];
    const int64_t co = tiny ? 1 + below(r, 2) : channels[below(r, 7)];
    c->in[0] = 1 + below(r, tiny ? 2 : 3);
    c->in[1] = ci * groups;
    for (int i = 0; i < 3; i++) {
        kernel[i] = 1 + below(r, tiny ? 2 : 4);
        stride[i] = 1 + below(r, tiny ? 2 : 4);
        dilation[i] = below(r, 2) ? 1 : 1 + below(r, 3);
        pad[i] = below(r, (uint32_t)(dilation[i] * (kernel[i] - 1) / 2 + 2));
        more[i] = below(r, (uint32_t)stride[i]);
        c->in[2 + i] = 1 + below(r, tiny ? 2 : 5);
    }
    snprintf(attr, 160,
             "out=%d kernel=%d,%d,%d stride=%d,%d,%d pad=%d,%d,%d dilation=%d,%d,%d "
             "output_pad=%d,%d,%d groups=%d bias=%s",
             (int)(co * groups), (int)kernel[0], (int)kernel[1], (int)kernel[2], (int)stride[0],
             (int)stride[1], (int)stride[2], (int)pad[0], (int)pad[1], (int)pad[2],
             (int)dilation[0], (int)dilation[1], (int)dilation[2], (int)more[0], (int)more[1],
             (int)more[2], (int)groups, below(r, 4) ? "true" : "false");
}

/* As the convolution's. */
#define TOLERANCE                                                                                  \
    {                                                                                              \
        1e-5, 1e-4                                                                                 \
    }

const vt_suite vt_suite_conv_transpose = {.op = "conv_transpose",
                                          .cases = cases,
                                          .bad = bad,
                                          .golden = conv_transpose_golden,
                                          .reference = {ref_conv_transpose_forward,
                                                        ref_conv_transpose_backward_data,
                                                        ref_conv_transpose_backward_weights},
                                          .tolerance = {TOLERANCE, TOLERANCE, TOLERANCE},
                                          .floor = {[VOX_BACKWARD_WEIGHTS] = 0.3},
                                          .random = random_case};
