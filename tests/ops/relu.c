/* relu.c - cases of relu. */
#include "ops/harness.h"

void ref_relu_forward(const ref_io *io);
void ref_relu_backward_data(const ref_io *io);

static const vt_case cases[] = {
    {"a tail after whole vectors, padding channels", NULL, {2, 3, 2, 3, 5}, 1, VT_TINY, VT_UNIFORM},
    {"zeros exactly", NULL, {2, 17, 1, 3, 3}, 1, VT_ALWAYS, VT_TIES},
    {"NaN and infinities pass", NULL, {2, 16, 2, 3, 3}, 1, VT_TINY, VT_SPECIAL},
    {"several work-groups, the last not full", NULL, {3, 20, 5, 11, 13}, 2, VT_ALWAYS, VT_UNIFORM},
    {"one element", NULL, {1, 1, 1, 1, 1}, 0, VT_ALWAYS, VT_UNIFORM},
    {"64 MiB", NULL, {1, 16, 16, 256, 256}, 0, VT_BENCH, VT_UNIFORM},
    {"AlexNet after conv1", NULL, {4, 32, 13, 56, 56}, 0, VT_BENCH, VT_UNIFORM},
    {"AlexNet after conv2", NULL, {4, 64, 6, 19, 19}, 0, VT_BENCH, VT_UNIFORM},
    {0}};

static void random_case(vt_case *c, char attr[160], vox_random *r, bool tiny)
{
    (void)attr;
    for (int i = 0; i < 5; i++)
        c->in[i] = 1 + vox_random_below(r, i == 1 ? 40 : tiny ? 3 : 12);
}

/* Exact: nothing is computed. */
const vt_suite vt_suite_relu = {.op = "relu",
                                .cases = cases,
                                .reference = {ref_relu_forward, ref_relu_backward_data},
                                .random = random_case};
