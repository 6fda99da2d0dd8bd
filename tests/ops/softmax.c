/* softmax.c - cases of softmax. */
#include "ops/harness.h"

void ref_softmax_forward(const ref_io *io);
void ref_softmax_backward_data(const ref_io *io);

static const vt_case cases[] = {
    {"a classifier", NULL, {4, 5, 1, 1, 1}, 3, VT_TINY, VT_UNIFORM},
    {"a volume, not a multiple of a work-group", NULL, {2, 3, 3, 5, 7}, 1, VT_TINY, VT_UNIFORM},
    {"1e4 does not overflow", NULL, {3, 6, 2, 2, 2}, 2, VT_TINY, VT_LARGE},
    {"an offset of 1000", NULL, {2, 4, 3, 3, 3}, 1, VT_ALWAYS, VT_OFFSET},
    {"NaN and infinities", NULL, {9, 3, 1, 2, 2}, 5, VT_ALWAYS, VT_SPECIAL},
    {"NaN and infinities in a volume", NULL, {9, 3, 2, 3, 3}, 5, VT_ALWAYS, VT_SPECIAL},
    {"several runs of voxels, the last one short", NULL, {2, 3, 9, 23, 41}, 1, VT_ALWAYS, VT_OFFSET},
    {"one channel: all 1", NULL, {2, 1, 1, 2, 2}, 1, VT_ALWAYS, VT_UNIFORM},
    {"two classes over 64^3", NULL, {2, 2, 64, 64, 64}, 0, VT_BENCH, VT_UNIFORM},
    {0}};

static void random_case(vt_case *c, char attr[160], vox_random *r, bool tiny)
{
    (void)attr;
    for (int i = 0; i < 5; i++)
        c->in[i] = 1 + vox_random_below(r, tiny ? 4 : 9);
}

/* exp of float is good to 3 ulp, division to 2.5 (OpenCL 1.2, 7.4).  In the gradient dy - sum
 * cancels. */
const vt_suite vt_suite_softmax = {.op = "softmax",
                                   .cases = cases,
                                   .reference = {ref_softmax_forward, ref_softmax_backward_data},
                                   .tolerance = {{1e-6, 3e-6}, {1e-6, 5e-6}},
                                   .floor = {0, 0.1},
                                   .random = random_case};
