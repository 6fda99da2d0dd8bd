/* dropout.c - cases of dropout. */
#include "ops/harness.h"

#include <stdio.h>

void ref_dropout_forward(const ref_io *io);
void ref_dropout_backward_data(const ref_io *io);

static const vt_case cases[] = {
    {"after dense; a block of the generator that is not full",
     NULL,
     {3, 67, 1, 1, 1},
     2,
     VT_TINY,
     VT_UNIFORM},
    {"many items", "p=0.3", {4, 1030, 1, 1, 1}, 1, VT_ALWAYS, VT_UNIFORM},
    {"a volume: the same elements in each layout",
     "p=0.7",
     {2, 19, 2, 3, 5},
     1,
     VT_TINY,
     VT_UNIFORM},
    {"a volume of several rows", "p=0.2", {2, 3, 5, 7, 9}, 1, VT_ALWAYS, VT_UNIFORM},
    {"a volume of whole groups of four voxels, relu before",
     "p=0.4",
     {2, 35, 2, 6, 6},
     1,
     VT_ALWAYS,
     VT_UNIFORM},
    {"several items of whole vectors, relu before",
     "p=0.4",
     {2, 3, 9, 12, 12},
     1,
     VT_ALWAYS,
     VT_UNIFORM},
    {"whole channels", "whole_channels=true", {3, 37, 2, 3, 3}, 2, VT_TINY, VT_UNIFORM},
    {"nothing dropped", "p=0", {2, 9, 1, 2, 3}, 1, VT_ALWAYS, VT_UNIFORM},
    {"all dropped", "p=1", {2, 9, 1, 2, 3}, 1, VT_ALWAYS, VT_UNIFORM},
    {"NaN is not hidden by dropping it, nor by a relu before",
     "p=0.5",
     {2, 40, 1, 2, 3},
     1,
     VT_ALWAYS,
     VT_SPECIAL},
    {"AlexNet fc1", NULL, {4, 2048, 1, 1, 1}, 0, VT_BENCH, VT_UNIFORM},
    {"AlexNet conv3", NULL, {4, 128, 3, 12, 12}, 0, VT_BENCH, VT_UNIFORM},
    {"AlexNet conv2", NULL, {4, 64, 6, 27, 27}, 0, VT_BENCH, VT_UNIFORM},
    {0}};

static void random_case(vt_case *c, char attr[160], vox_random *r, bool tiny)
{
    snprintf(attr, 160, "p=0.%u whole_channels=%s", vox_random_below(r, 10),
             vox_random_below(r, 3) ? "false" : "true");
    for (int i = 0; i < 5; i++)
        c->in[i] = 1 + vox_random_below(r, i == 1 ? 40 : tiny ? 3 : 9);
}

/* One product in float. */
const vt_suite vt_suite_dropout = {.op = "dropout",
                                   .cases = cases,
                                   .reference = {ref_dropout_forward, ref_dropout_backward_data},
                                   .tolerance = {{1e-7, 2e-7}, {1e-7, 2e-7}},
                                   .random = random_case,
                                   .eval = true};
