/* norm.c - cases of batch_norm, instance_norm and group_norm. */
#include "ops/harness.h"

#include <stdio.h>

void ref_norm_forward(const ref_io *io);
void ref_norm_backward_data(const ref_io *io);
void ref_norm_backward_weights(const ref_io *io);

static const vt_case batch_cases[] = {
    {"channels that do not fill a block, a tail after whole vectors",
     NULL,
     {3, 5, 2, 3, 7},
     2,
     VT_TINY,
     VT_UNIFORM},
    {"a block and a part, no weights", "affine=false", {2, 18, 1, 2, 3}, 1, VT_TINY, VT_UNIFORM},
    {"one voxel of several samples", NULL, {9, 17, 1, 1, 1}, 8, VT_ALWAYS, VT_UNIFORM},
    {"eps and momentum", "eps=0.125 momentum=0.75", {2, 3, 1, 4, 4}, 1, VT_ALWAYS, VT_UNIFORM},
    {"several chunks, the last cut", NULL, {2, 3, 19, 37, 41}, 1, VT_ALWAYS, VT_UNIFORM},
    {"a large volume of CT values", NULL, {1, 2, 40, 60, 60}, 0, VT_ALWAYS, VT_OFFSET},
    {"CT values in blocks", NULL, {2, 32, 8, 16, 40}, 1, VT_ALWAYS, VT_OFFSET},
    {"NaN and infinities stay in their channel", NULL, {3, 17, 1, 1, 2}, 1, VT_ALWAYS, VT_SPECIAL},
    {"U-Net's highest level", NULL, {2, 16, 64, 64, 64}, 0, VT_BENCH, VT_UNIFORM},
    {"hippocampus, second level", NULL, {4, 32, 48, 64, 48}, 0, VT_BENCH, VT_UNIFORM},
    {0}};

static const vt_case instance_cases[] = {
    {"channels that do not fill a block, a tail",
     "affine=true",
     {3, 5, 2, 3, 7},
     2,
     VT_TINY,
     VT_UNIFORM},
    {"a block and a part", NULL, {2, 18, 1, 2, 3}, 1, VT_TINY, VT_UNIFORM},
    {"few voxels", "affine=true", {2, 16, 1, 1, 5}, 1, VT_ALWAYS, VT_UNIFORM},
    {"several chunks, the last cut", "affine=true", {2, 3, 19, 37, 41}, 1, VT_ALWAYS, VT_UNIFORM},
    {"a large volume of CT values", NULL, {1, 2, 40, 60, 60}, 0, VT_ALWAYS, VT_OFFSET},
    {"NaN stays in its channel", "affine=true", {2, 17, 1, 3, 3}, 1, VT_ALWAYS, VT_SPECIAL},
    {"U-Net's highest level", "affine=true", {2, 16, 64, 64, 64}, 0, VT_BENCH, VT_UNIFORM},
    {0}};

static const vt_case group_cases[] = {
    {"groups across blocks", "groups=4", {2, 20, 1, 3, 5}, 1, VT_TINY, VT_UNIFORM},
    {"one group, no weights", "groups=1 affine=false", {3, 5, 2, 3, 7}, 2, VT_TINY, VT_UNIFORM},
    {"groups of one", "groups=6", {2, 6, 2, 2, 2}, 1, VT_ALWAYS, VT_UNIFORM},
    {"several chunks, CT values", "groups=2", {2, 4, 19, 37, 41}, 1, VT_ALWAYS, VT_OFFSET},
    {"U-Net's highest level", "groups=4", {2, 16, 64, 64, 64}, 0, VT_BENCH, VT_UNIFORM},
    {0}};

static const vt_bad instance_bad[] = {{"one voxel", NULL, {4, 8, 1, 1, 1}, "1x8x1x1x1"}, {0}};

static const vt_bad group_bad[] = {
    {"channels left over", "groups=4", {1, 6, 2, 2, 2}, "6 channels, groups 4"},
    {"groups of one number", "groups=8", {4, 8, 1, 1, 1}, "1x8x1x1x1"},
    {0}};

static void shape(vt_case *c, vox_random *r, bool tiny, uint32_t group)
{
    for (int i = 0; i < 5; i++)
        c->in[i] = 1 + vox_random_below(r, i == 1 ? 40 : tiny ? 3 : 14);
    if (c->in[2] * c->in[3] * c->in[4] < 6) /* of two numbers nothing is left but eps */
        c->in[4] = 6;
    c->in[1] *= group;
    while (c->in[1] > 40 && c->in[1] > group)
        c->in[1] -= group;
}

static void random_batch(vt_case *c, char attr[160], vox_random *r, bool tiny)
{
    snprintf(attr, 160, "affine=%s", vox_random_below(r, 3) ? "true" : "false");
    shape(c, r, tiny, 1);
}

static void random_group(vt_case *c, char attr[160], vox_random *r, bool tiny)
{
    const uint32_t groups = 1 + vox_random_below(r, 5);
    snprintf(attr, 160, "groups=%u affine=%s", groups, vox_random_below(r, 3) ? "true" : "false");
    shape(c, r, tiny, groups);
}

/* Statistics: runs of at most 256 numbers joined pair by pair, some 1e-7; then a handful of
 * operations.  A mean of 1000 is kept with what its float misses, so CT values lose nothing. The
 * gradient is what is left of dy after its mean and its part along x are taken out. */
#define NORM_SUITE(name, table, bad_table, random_case, statistics)                                \
    const vt_suite vt_suite_##name = {                                                             \
        .op = #name,                                                                               \
        .cases = table,                                                                            \
        .bad = bad_table,                                                                          \
        .reference = {ref_norm_forward, ref_norm_backward_data, ref_norm_backward_weights},        \
        .tolerance = {{1e-6, 1e-5}, {1e-6, 1e-5}, {2e-6, 1e-5}},                                   \
        .floor = {0, 0.1, 0},                                                                      \
        .random = random_case,                                                                     \
        .positive = (statistics) ? 0xe : 0,                                                        \
        .eval = statistics}

NORM_SUITE(batch_norm, batch_cases, NULL, random_batch, true);
NORM_SUITE(instance_norm, instance_cases, instance_bad, random_batch, false);
NORM_SUITE(group_norm, group_cases, group_bad, random_group, false);
