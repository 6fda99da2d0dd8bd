/* avg_pool.c - cases of avg_pool. */
#include "ops/pool_random.h"

void ref_avg_pool_forward(const ref_io *io);
void ref_avg_pool_backward_data(const ref_io *io);

static const vt_case cases[] = {
    {"overlapping windows", "kernel=2,3,3 stride=2", {2, 3, 4, 7, 7}, 1, VT_TINY, VT_UNIFORM},
    {"stride defaults to the kernel", "kernel=2,1,3", {2, 17, 5, 3, 7}, 1, VT_ALWAYS, VT_UNIFORM},
    {"gaps between windows", "kernel=1,2,2 stride=3", {1, 5, 7, 8, 8}, 0, VT_ALWAYS, VT_UNIFORM},
    {"padding counts", "kernel=3 stride=2 pad=1", {2, 4, 4, 5, 6}, 1, VT_TINY, VT_UNIFORM},
    {"padding does not count",
     "kernel=3 stride=2 pad=1 count_include_pad=false",
     {2, 18, 4, 5, 6},
     1,
     VT_ALWAYS,
     VT_UNIFORM},
    {"ceil: what passes even the padding does not count",
     "kernel=3 stride=2 pad=1 ceil=true",
     {1, 3, 4, 6, 8},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"ceil, padding left out",
     "kernel=2 stride=3 pad=1 ceil=true count_include_pad=false",
     {1, 3, 4, 5, 6},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"NaN stays in its windows", "kernel=2", {1, 17, 4, 4, 4}, 0, VT_ALWAYS, VT_SPECIAL},
    {"CT values keep their digits", "kernel=4", {1, 3, 8, 8, 8}, 0, VT_ALWAYS, VT_OFFSET},
    {"rows of one voxel", "kernel=2,2,1 stride=1", {2, 17, 3, 4, 1}, 1, VT_ALWAYS, VT_UNIFORM},
    {"rows of a vector less one",
     "kernel=3 stride=2 pad=1",
     {1, 3, 3, 5, 15},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"rows of a vector", "kernel=2,2,3 stride=1", {2, 2, 3, 3, 16}, 1, VT_ALWAYS, VT_UNIFORM},
    {"rows of a vector and one", "kernel=3 stride=2", {2, 18, 4, 5, 17}, 1, VT_ALWAYS, VT_UNIFORM},
    {"rows of two vectors and one",
     "kernel=2,3,3 stride=2",
     {1, 3, 4, 5, 33},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"rows of four vectors and a rest; far apart",
     "kernel=2 stride=3 ceil=true",
     {1, 2, 3, 7, 70},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"an image, cut into slabs that windows reach across",
     "kernel=1,3,3 stride=1,2,2 pad=0,1,1",
     {1, 2, 1, 40, 20},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"a row too long for private memory",
     "kernel=1,2,2",
     {1, 1, 1, 2, 1100},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"AlexNet's first pool, as a mean",
     "kernel=2,3,3 stride=2",
     {4, 32, 13, 56, 56},
     0,
     VT_BENCH,
     VT_UNIFORM},
    {0}};

static const vt_bad bad[] = {
    {"kernel larger than the padded input", "kernel=5,1,1", {1, 1, 4, 4, 4}, "5x1x1"},
    {"padding over half the kernel", "kernel=3 pad=2", {1, 1, 8, 8, 8}, "pad 2x2x2"},
    {0}};

static void random_case(vt_case *c, char attr[160], vox_random *r, bool tiny)
{
    vt_random_pool(c, attr, r, tiny, vox_random_below(r, 2) ? "" : " count_include_pad=false");
}

/* Float sums of up to 343 numbers of both signs. */
const vt_suite vt_suite_avg_pool = {.op = "avg_pool",
                                    .cases = cases,
                                    .bad = bad,
                                    .reference = {ref_avg_pool_forward, ref_avg_pool_backward_data},
                                    .tolerance = {{1e-6, 1e-5}, {1e-6, 1e-5}},
                                    .random = random_case};
