/* layout.c - cases of reorder, flatten, sum, add and concat. */
#include "ops/harness.h"

void ref_copy_forward(const ref_io *io);
void ref_copy_backward_data(const ref_io *io);
void ref_sum_forward(const ref_io *io);
void ref_add_backward_data(const ref_io *io);
void ref_concat_forward(const ref_io *io);
void ref_concat_backward_data(const ref_io *io);

static const vt_case cases[] = {
    {"channels that do not fill a block", NULL, {2, 3, 2, 3, 5}, 1, VT_TINY, VT_UNIFORM},
    {"a whole block and a part", NULL, {3, 21, 2, 3, 3}, 2, VT_TINY, VT_UNIFORM},
    {"whole blocks, more voxels than a row", NULL, {2, 32, 5, 11, 13}, 1, VT_ALWAYS, VT_UNIFORM},
    {"values of all kinds", NULL, {2, 17, 2, 3, 3}, 1, VT_ALWAYS, VT_SPECIAL},
    {"one voxel", NULL, {4, 64, 1, 1, 1}, 3, VT_ALWAYS, VT_UNIFORM},
    {"one element", NULL, {1, 1, 1, 1, 1}, 0, VT_ALWAYS, VT_UNIFORM},
    {"AlexNet before dense", NULL, {4, 64, 1, 6, 6}, 0, VT_BENCH, VT_UNIFORM},
    {"AlexNet after conv1", NULL, {4, 32, 13, 56, 56}, 0, VT_BENCH, VT_UNIFORM},
    {0}};

static void random_case(vt_case *c, char attr[160], vox_random *r, bool tiny)
{
    (void)attr;
    for (int i = 0; i < 5; i++)
        c->in[i] = 1 + vox_random_below(r, i == 1 ? 40 : tiny ? 3 : 12);
}

/* 2 to 8 inputs: as many as the case's width says. */
static int sum_inputs(const vt_case *c, vox_shape in[VOX_MAX_INPUTS])
{
    int count = 2 + (int)(c->in[4] % 7);
    for (int i = 1; i < count; i++)
        in[i] = in[0];
    return count;
}

/* Exact: values are moved. */
const vt_suite vt_suite_reorder = {.op = "reorder",
                                   .cases = cases,
                                   .reference = {ref_copy_forward, ref_copy_backward_data},
                                   .random = random_case};

const vt_suite vt_suite_flatten = {.op = "flatten",
                                   .cases = cases,
                                   .reference = {ref_copy_forward, ref_copy_backward_data},
                                   .random = random_case};

/* Up to seven additions in float. */
const vt_suite vt_suite_sum = {.op = "sum",
                               .cases = cases,
                               .reference = {ref_sum_forward},
                               .tolerance = {{3e-7, 1e-6}},
                               .random = random_case,
                               .inputs = sum_inputs};

const vt_suite vt_suite_add = {.op = "add",
                               .cases = cases,
                               .reference = {ref_sum_forward, ref_add_backward_data},
                               .tolerance = {{3e-7, 1e-6}},
                               .random = random_case,
                               .inputs = sum_inputs};

static const vt_case concat_cases[] = {
    {"whole blocks", NULL, {2, 32, 2, 3, 5}, 1, VT_TINY, VT_UNIFORM},
    {"inputs that share a block of 16", NULL, {2, 5, 1, 3, 4}, 1, VT_TINY, VT_UNIFORM},
    {"many, none a multiple of 16", NULL, {3, 23, 2, 2, 6}, 2, VT_ALWAYS, VT_SPECIAL},
    {"more voxels than a row", NULL, {2, 16, 5, 16, 20}, 1, VT_ALWAYS, VT_UNIFORM},
    {"one voxel", NULL, {4, 33, 1, 1, 1}, 3, VT_ALWAYS, VT_UNIFORM},
    {"U-Net's highest level", NULL, {2, 16, 64, 64, 64}, 0, VT_BENCH, VT_UNIFORM},
    {0}};

/* 2 to 4 inputs by the case's width, all multiples of 16 if the first is, else of any size. */
static int concat_inputs(const vt_case *c, vox_shape in[VOX_MAX_INPUTS])
{
    const int count = 2 + (int)(c->in[4] % 3);
    for (int i = 1; i < count; i++) {
        in[i] = in[0];
        in[i].dim[1] = c->in[1] % 16 ? 1 + (c->in[1] * (i + 3)) % 37 : 16 * i;
    }
    return count;
}

/* Exact: values are moved. */
const vt_suite vt_suite_concat = {.op = "concat",
                                  .cases = concat_cases,
                                  .reference = {ref_concat_forward, ref_concat_backward_data},
                                  .random = random_case,
                                  .inputs = concat_inputs};
