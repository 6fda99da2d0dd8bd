/* conv.c - cases of the 3D convolution. */
#include "ops/harness.h"

#include <stdio.h>

void ref_conv_forward(const ref_io *io);
void ref_conv_backward_data(const ref_io *io);
void ref_conv_backward_weights(const ref_io *io);

static const vt_case cases[] = {
    /* the AlexNet's five, shrunk */
    {"AlexNet conv1: one channel, large kernel, stride 4",
     "out=32 kernel=3,11,11 stride=2,4,4 pad=1,5,5",
     {2, 1, 5, 23, 21},
     1,
     VT_ALWAYS,
     VT_UNIFORM},
    {"AlexNet conv2: 5x5 @direct16 @tiled",
     "out=64 kernel=3,5,5 pad=1,2,2",
     {2, 32, 2, 7, 9},
     1,
     VT_ALWAYS,
     VT_UNIFORM},
    {"AlexNet conv3: even kernel, output deeper than input @direct16",
     "out=128 kernel=2,3,3 pad=1",
     {1, 64, 2, 5, 13},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"AlexNet conv4 @direct16",
     "out=128 kernel=3 pad=1",
     {2, 128, 2, 4, 4},
     1,
     VT_ALWAYS,
     VT_UNIFORM},
    {"AlexNet conv5: a row of 13 @direct16 @tiled",
     "out=64 kernel=3 pad=1",
     {1, 128, 2, 3, 13},
     0,
     VT_ALWAYS,
     VT_UNIFORM},

    /* where formulas have their edges */
    {"1x1x1: planes become rows", "out=5 kernel=1", {2, 3, 2, 3, 4}, 1, VT_TINY, VT_UNIFORM},
    {"1x1x1 with pad: not flattened @direct16 @naive",
     "out=18 kernel=1 pad=1",
     {1, 17, 2, 3, 4},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"1x1x1 with stride @direct16 @tiled",
     "out=18 kernel=1 stride=2",
     {1, 17, 3, 4, 5},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"one voxel, one channel, one weight @naive @direct16",
     "out=1 kernel=1",
     {1, 1, 1, 1, 1},
     0,
     VT_TINY,
     VT_UNIFORM},
    {"kernel = padded input: one output",
     "out=4 kernel=4,5,6 pad=1",
     {2, 2, 2, 3, 4},
     1,
     VT_TINY,
     VT_UNIFORM},
    {"kernel mostly in the padding @direct16 @tiled",
     "out=3 kernel=5 pad=3",
     {1, 2, 1, 1, 2},
     0,
     VT_TINY,
     VT_UNIFORM},
    {"pad larger than kernel: outputs that see nothing @direct16 @naive @first16",
     "out=3 kernel=2 pad=4",
     {1, 2, 1, 2, 1},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"stride > kernel: inputs that nobody reads @direct16 @tiled @naive",
     "out=20 kernel=2 stride=3,4,5",
     {2, 18, 5, 6, 11},
     1,
     VT_ALWAYS,
     VT_UNIFORM},
    {"stride > kernel, first layer @first16",
     "out=20 kernel=2 stride=3,4,5",
     {2, 2, 5, 6, 11},
     1,
     VT_ALWAYS,
     VT_UNIFORM},
    {"stride that leaves a rest @direct16",
     "out=16 kernel=3 stride=2",
     {1, 16, 4, 6, 8},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"stride 2, tiny", "out=2 kernel=3 stride=2 pad=1", {2, 3, 3, 2, 5}, 1, VT_TINY, VT_UNIFORM},
    {"2D: D = 1, as the images are @direct16 @tiled",
     "out=24 kernel=1,3,3 pad=0,1,1",
     {3, 3, 1, 9, 11},
     1,
     VT_ALWAYS,
     VT_UNIFORM},
    {"2D 7x7 stride 2: several tiles of taps @first16",
     "out=64 kernel=1,7,7 stride=1,2,2 pad=0,3,3",
     {1, 3, 1, 15, 17},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"a kernel row longer than the registers @first16",
     "out=32 kernel=1,2,31 pad=0,0,15",
     {1, 1, 1, 3, 40},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"rows longer than a tile, the last tile partial @direct16",
     "out=16 kernel=3 pad=1",
     {1, 16, 2, 3, 61},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"one row of one plane, long: shared by work-groups @direct16",
     "out=16 kernel=1,1,3",
     {1, 16, 1, 1, 200},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"W = 1 @direct16 @tiled",
     "out=17 kernel=3,3,1 pad=1,1,0",
     {2, 5, 4, 5, 1},
     1,
     VT_ALWAYS,
     VT_UNIFORM},

    /* channels around the block of 16 */
    {"3 to 15 channels @first16 @direct16",
     "out=15 kernel=2",
     {1, 3, 3, 4, 5},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"15 to 16 channels @direct16",
     "out=16 kernel=2 pad=1",
     {1, 15, 3, 4, 5},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"16 to 17 channels @direct16", "out=17 kernel=2", {1, 16, 3, 4, 5}, 0, VT_ALWAYS, VT_UNIFORM},
    {"17 to 33 channels: three blocks out @direct16 @tiled @naive",
     "out=33 kernel=3 pad=1",
     {1, 17, 3, 4, 5},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"33 to 1: a segmentation head @direct16",
     "out=1 kernel=1",
     {2, 33, 2, 4, 5},
     1,
     VT_ALWAYS,
     VT_UNIFORM},
    {"4 to 80: five blocks out, the last first layer @first16",
     "out=80 kernel=3 pad=1",
     {1, 4, 2, 4, 5},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"5 channels: no first layer any more @direct16",
     "out=16 kernel=3 pad=1",
     {1, 5, 2, 4, 5},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"no bias @direct16 @tiled",
     "out=17 kernel=3 bias=false",
     {2, 17, 3, 4, 5},
     1,
     VT_ALWAYS,
     VT_UNIFORM},
    {"no bias, first layer @first16 @naive",
     "out=17 kernel=3 bias=false",
     {2, 1, 3, 4, 5},
     1,
     VT_TINY,
     VT_UNIFORM},

    /* groups and dilation */
    {"groups @naive @tiled", "out=6 kernel=2 groups=2", {2, 4, 2, 3, 3}, 1, VT_TINY, VT_UNIFORM},
    {"groups of 16 channels @naive @tiled",
     "out=32 kernel=3 pad=1 groups=2",
     {1, 32, 2, 3, 5},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"depthwise @naive",
     "out=20 kernel=3 pad=1 groups=20",
     {2, 20, 3, 4, 5},
     1,
     VT_ALWAYS,
     VT_UNIFORM},
    {"depthwise with two outputs each, strided @naive",
     "out=6 kernel=3 pad=1 stride=2 groups=3",
     {1, 3, 3, 4, 5},
     0,
     VT_TINY,
     VT_UNIFORM},
    {"dilation @direct16 @tiled",
     "out=17 kernel=3 dilation=2 pad=2",
     {1, 16, 5, 6, 7},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"dilation of each axis, tiny",
     "out=2 kernel=2,3,2 dilation=3,1,2 pad=1",
     {1, 2, 3, 3, 4},
     0,
     VT_TINY,
     VT_UNIFORM},
    {"dilation and stride without a common divisor @direct16 @naive",
     "out=17 kernel=3 dilation=2,3,2 stride=3,2,3 pad=2",
     {1, 16, 6, 8, 11},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"dilation and stride, first layer @first16",
     "out=17 kernel=3 dilation=2,3,2 stride=3,2,3 pad=2",
     {1, 2, 6, 8, 11},
     0,
     VT_ALWAYS,
     VT_UNIFORM},

    /* numbers */
    {"odd batch of three @direct16 @tiled",
     "out=16 kernel=3 pad=1",
     {3, 16, 2, 3, 4},
     2,
     VT_ALWAYS,
     VT_UNIFORM},
    {"CT values: an offset of 1000 @first16 @naive @tiled",
     "out=16 kernel=3 pad=1",
     {1, 1, 4, 5, 6},
     0,
     VT_ALWAYS,
     VT_OFFSET},

    {"AlexNet conv1",
     "out=32 kernel=3,11,11 stride=2,4,4 pad=1,5,5",
     {4, 1, 25, 224, 224},
     0,
     VT_BENCH,
     VT_UNIFORM},
    {"AlexNet conv4", "out=128 kernel=3 pad=1", {4, 128, 4, 13, 13}, 0, VT_BENCH, VT_UNIFORM},
    {0}};

static const vt_bad bad[] = {
    {"a kernel larger than the padded input", "out=1 kernel=3,3,8 pad=1", {1, 1, 3, 3, 5}, "3,3,8"},
    {"dilation makes it larger", "out=1 kernel=2 dilation=1,1,5", {1, 1, 3, 3, 5}, "1,1,5"},
    {"input channels not divisible by the groups",
     "out=4 kernel=1 groups=2",
     {1, 3, 3, 3, 5},
     "groups 2"},
    {"output channels not divisible by the groups",
     "out=3 kernel=1 groups=2",
     {1, 4, 3, 3, 5},
     "3 output"},
    {0}};

static int64_t below(vox_random *r, uint32_t n)
{
    return vox_random_below(r, n);
}

/* Kernel 1-7, stride 1-6, pad 0-5, dilation 1-4, groups; channels around the blocks of 16.  The
 * output is held small, as the reference takes its time. */
static void random_case(vt_case *c, char attr[160], vox_random *r, bool tiny)
{
    static const int64_t channels[] = {1, 2, 3, 4, 8, 15, 16, 17, 32, 33};
    int64_t kernel[3], stride[3], pad[3], dilation[3];
    const int64_t groups = below(r, 3) ? 1 : 1 + below(r, 3);
    const int64_t ci = tiny ? 1 + below(r, 2) : channels[below(r, 10)];
    const int64_t co = tiny ? 1 + below(r, 2) : channels[below(r, 10)];
    c->in[0] = 1 + below(r, tiny ? 2 : 3);
    c->in[1] = ci * groups;
    for (int i = 0; i < 3; i++) {
        kernel[i] = 1 + below(r, tiny ? 3 : 7);
        stride[i] = below(r, 2) ? 1 : 1 + below(r, 6);
        pad[i] = below(r, tiny ? 2 : 6);
        dilation[i] = below(r, 2) ? 1 : 1 + below(r, 4);
        const int64_t reach = dilation[i] * (kernel[i] - 1) + 1 - 2 * pad[i];
        c->in[2 + i] = (reach > 1 ? reach : 1) + below(r, tiny ? 2 : i == 2 ? 6 : 3) * stride[i];
        if (tiny && c->in[2 + i] > 6)
            c->in[2 + i] = 6;
    }
    snprintf(attr, 160,
             "out=%d kernel=%d,%d,%d stride=%d,%d,%d pad=%d,%d,%d dilation=%d,%d,%d groups=%d "
             "bias=%s",
             (int)(co * groups), (int)kernel[0], (int)kernel[1], (int)kernel[2], (int)stride[0],
             (int)stride[1], (int)stride[2], (int)pad[0], (int)pad[1], (int)pad[2],
             (int)dilation[0], (int)dilation[1], (int)dilation[2], (int)groups,
             below(r, 4) ? "true" : "false");
}

/* Sums of at most some thousand products in float, each rounded to 6e-8: a relative RMS of 1e-6 at
 * the worst, 1e-5 allowed.  Single elements may cancel, hence more for them. */
#define TOLERANCE                                                                                  \
    {                                                                                              \
        1e-5, 1e-4                                                                                 \
    }

const vt_suite vt_suite_conv = {
    .op = "conv",
    .cases = cases,
    .bad = bad,
    .reference = {ref_conv_forward, ref_conv_backward_data, ref_conv_backward_weights},
    .tolerance = {TOLERANCE, TOLERANCE, TOLERANCE},
    .random = random_case};
