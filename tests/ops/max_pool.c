/* max_pool.c - cases of max_pool. */
#include "ops/pool_random.h"

void ref_max_pool_forward(const ref_io *io);
void ref_max_pool_backward_data(const ref_io *io);

#define OVERLAP "kernel=2,3,3 stride=2"

static const vt_case cases[] = {
    {"AlexNet's window: overlapping in h and w", OVERLAP, {2, 3, 4, 7, 7}, 1, VT_TINY, VT_UNIFORM},
    {"overlapping in all axes", "kernel=3 stride=2", {2, 17, 7, 7, 9}, 1, VT_ALWAYS, VT_UNIFORM},
    {"stride 1: each input in many windows",
     "kernel=3 stride=1",
     {1, 2, 5, 4, 5},
     0,
     VT_TINY,
     VT_UNIFORM},
    {"stride defaults to the kernel", "kernel=2,1,3", {2, 16, 5, 3, 7}, 1, VT_ALWAYS, VT_UNIFORM},
    {"gaps between windows get no gradient",
     "kernel=1,2,2 stride=3",
     {1, 5, 7, 8, 8},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"padding", "kernel=3 stride=2 pad=1", {2, 4, 4, 5, 6}, 1, VT_ALWAYS, VT_UNIFORM},
    {"padding on large kernels",
     "kernel=5 stride=3 pad=2",
     {1, 18, 6, 7, 8},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"ceil: the last window is cut",
     "kernel=3 stride=2 ceil=true",
     {1, 3, 6, 6, 8},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"ceil and padding: a window in the right padding alone is dropped",
     "kernel=2 stride=3 pad=1 ceil=true",
     {1, 3, 4, 5, 6},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"equal values: the first one takes the gradient",
     OVERLAP,
     {2, 17, 4, 9, 9},
     1,
     VT_ALWAYS,
     VT_TIES},
    {"equal values, few", OVERLAP, {1, 2, 4, 5, 5}, 0, VT_TINY, VT_TIES},
    {"NaN wins, the last one; windows of -inf alone",
     OVERLAP,
     {2, 17, 4, 9, 9},
     1,
     VT_ALWAYS,
     VT_SPECIAL},
    {"NaN and padding", "kernel=3 stride=1 pad=1", {1, 3, 3, 3, 3}, 0, VT_TINY, VT_SPECIAL},
    {"2D image", "kernel=1,2,2", {3, 33, 1, 8, 8}, 2, VT_ALWAYS, VT_UNIFORM},
    {"one window", "kernel=3", {1, 1, 3, 3, 3}, 0, VT_ALWAYS, VT_UNIFORM},
    {"AlexNet after conv1", OVERLAP, {4, 32, 13, 56, 56}, 0, VT_BENCH, VT_UNIFORM},
    {"AlexNet after conv2", OVERLAP, {4, 64, 6, 27, 27}, 0, VT_BENCH, VT_UNIFORM},
    {"AlexNet after conv5", OVERLAP, {4, 64, 3, 13, 13}, 0, VT_BENCH, VT_UNIFORM},
    {0}};

static const vt_bad bad[] = {
    {"kernel larger than the padded input", "kernel=5,1,1 pad=0", {1, 1, 4, 4, 4}, "5x1x1"},
    {"padding over half the kernel", "kernel=3 pad=2", {1, 1, 8, 8, 8}, "pad 2x2x2"},
    {0}};

static void random_case(vt_case *c, char attr[160], vox_random *r, bool tiny)
{
    vt_random_pool(c, attr, r, tiny, "");
}

/* Forward copies values: exact.  Backward adds up to K/S+1 cubed gradients in float. */
const vt_suite vt_suite_max_pool = {.op = "max_pool",
                                    .cases = cases,
                                    .bad = bad,
                                    .reference = {ref_max_pool_forward, ref_max_pool_backward_data},
                                    .tolerance = {{0, 0}, {1e-6, 3e-6}},
                                    .random = random_case};
