/* cross_entropy.c - cases of cross_entropy. */
#include "ops/harness.h"

void ref_loss_forward(const ref_io *io);
void ref_loss_backward_data(const ref_io *io);

static const vt_case cases[] = {
    {"a classifier: one voxel", NULL, {4, 5, 1, 1, 1}, 3, VT_TINY, VT_UNIFORM},
    {"a segmentation, more voxels than a work-group",
     NULL,
     {3, 3, 4, 5, 7},
     2,
     VT_TINY,
     VT_UNIFORM},
    {"logits of 1e4 do not overflow", NULL, {4, 5, 1, 1, 1}, 3, VT_TINY, VT_LARGE},
    {"logits of 1e4 in a volume", NULL, {2, 4, 3, 5, 7}, 1, VT_ALWAYS, VT_LARGE},
    {"an offset of 1000 to all logits", NULL, {2, 4, 3, 5, 7}, 1, VT_ALWAYS, VT_OFFSET},
    {"equal logits", NULL, {2, 7, 2, 2, 2}, 1, VT_ALWAYS, VT_TIES},
    {"NaN, infinities, labels out of range", NULL, {40, 3, 1, 1, 1}, 30, VT_TINY, VT_SPECIAL},
    {"NaN, infinities, labels out of range in volumes",
     NULL,
     {9, 2, 1, 4, 5},
     5,
     VT_ALWAYS,
     VT_SPECIAL},
    {"one class: the loss is 0", NULL, {2, 1, 1, 2, 2}, 1, VT_ALWAYS, VT_UNIFORM},
    {"several runs of voxels, the last one short",
     NULL,
     {2, 3, 9, 23, 41},
     1,
     VT_ALWAYS,
     VT_OFFSET},
    {"several runs of work-groups @group @items",
     NULL,
     {1, 2, 1, 90, 91},
     0,
     VT_ALWAYS,
     VT_UNIFORM},
    {"weights and a label that is ignored",
     "weights=1,0.25,3 ignore=2",
     {3, 3, 4, 5, 7},
     2,
     VT_TINY,
     VT_UNIFORM},
    {"weights, NaN, infinities, labels out of range",
     "weights=1,2,3",
     {40, 3, 1, 1, 1},
     30,
     VT_ALWAYS,
     VT_SPECIAL},
    {"a sample of nothing but ignored voxels",
     "ignore=0",
     {4, 2, 1, 1, 1},
     3,
     VT_ALWAYS,
     VT_UNIFORM},
    {"two classes over 64^3", NULL, {2, 2, 64, 64, 64}, 0, VT_BENCH, VT_UNIFORM},
    {"AlexNet", NULL, {4, 5, 1, 1, 1}, 0, VT_BENCH, VT_UNIFORM},
    {0}};

static int inputs(const vt_case *c, vox_shape in[VOX_MAX_INPUTS])
{
    in[1] = in[0];
    (void)c;
    in[1].dim[1] = 1;
    return 2;
}

static void random_case(vt_case *c, char attr[160], vox_random *r, bool tiny)
{
    (void)attr;
    for (int i = 0; i < 5; i++)
        c->in[i] = 1 + vox_random_below(r, tiny ? 4 : 9);
}

/* exp and log of float are good to 3 ulp (OpenCL 1.2, 7.4), and x - m loses what x has lost. */
const vt_suite vt_suite_cross_entropy = {.op = "cross_entropy",
                                         .cases = cases,
                                         .reference = {ref_loss_forward, ref_loss_backward_data},
                                         .tolerance = {{2e-6, 1e-5}, {2e-6, 1e-5}},
                                         .random = random_case,
                                         .inputs = inputs,
                                         .labels = true};
