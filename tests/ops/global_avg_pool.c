/* global_avg_pool.c - cases of global_avg_pool. */
#include "ops/harness.h"

void ref_global_avg_pool_forward(const ref_io *io);
void ref_global_avg_pool_backward_data(const ref_io *io);

static const vt_case cases[] = {
    {"a tail after whole vectors", NULL, {2, 5, 2, 3, 7}, 1, VT_TINY, VT_UNIFORM},
    {"less than a vector", NULL, {3, 18, 1, 2, 3}, 2, VT_TINY, VT_UNIFORM},
    {"one voxel", NULL, {2, 16, 1, 1, 1}, 1, VT_ALWAYS, VT_UNIFORM},
    {"several runs, the last cut", NULL, {2, 3, 9, 31, 37}, 1, VT_ALWAYS, VT_UNIFORM},
    {"a large volume of CT values", NULL, {1, 2, 40, 60, 60}, 0, VT_ALWAYS, VT_OFFSET},
    {"NaN stays in its channel", NULL, {2, 17, 1, 3, 3}, 1, VT_ALWAYS, VT_SPECIAL},
    {"AlexNet after conv2", NULL, {4, 64, 6, 27, 27}, 0, VT_BENCH, VT_UNIFORM},
    {0}};

static void random_case(vt_case *c, char attr[160], vox_random *r, bool tiny)
{
    (void)attr;
    for (int i = 0; i < 5; i++)
        c->in[i] = 1 + vox_random_below(r, i == 1 ? 40 : tiny ? 3 : 12);
}

/* Runs of 256 and their sums: errors grow with the root of that. */
const vt_suite vt_suite_global_avg_pool = {
    .op = "global_avg_pool",
    .cases = cases,
    .reference = {ref_global_avg_pool_forward, ref_global_avg_pool_backward_data},
    .tolerance = {{2e-6, 1e-5}, {1e-7, 2e-7}},
    .random = random_case};
