/* activation.c - cases of leaky_relu, elu, sigmoid and tanh. */
#include "ops/harness.h"

#include <stdio.h>

#define REFERENCE(op)                                                                              \
    void ref_##op##_forward(const ref_io *io);                                                     \
    void ref_##op##_backward_data(const ref_io *io)
REFERENCE(leaky_relu);
REFERENCE(elu);
REFERENCE(sigmoid);
REFERENCE(tanh);

/* clang-format off */
/* `with`: an attribute that is not the default. */
#define CASES(with) {                                                                               \
    {"a tail after whole vectors, padding channels", NULL, {2, 3, 2, 3, 5}, 1, VT_TINY, VT_UNIFORM}, \
    {"another constant", with, {2, 21, 1, 3, 3}, 1, VT_TINY, VT_UNIFORM},                           \
    {"zeros exactly", with, {2, 17, 1, 3, 3}, 1, VT_ALWAYS, VT_TIES},                               \
    {"NaN and infinities", NULL, {2, 16, 2, 3, 3}, 1, VT_TINY, VT_SPECIAL},                         \
    {"1e4 does not overflow", NULL, {2, 4, 1, 3, 3}, 1, VT_ALWAYS, VT_LARGE},                       \
    {"several work-groups, the last not full", NULL, {3, 20, 5, 11, 13}, 2, VT_ALWAYS, VT_UNIFORM}, \
    {"one element", NULL, {1, 1, 1, 1, 1}, 0, VT_ALWAYS, VT_UNIFORM},                               \
    {"64 MiB", NULL, {1, 16, 16, 256, 256}, 0, VT_BENCH, VT_UNIFORM},                               \
    {0}}
/* clang-format on */

static const vt_case leaky_cases[] = CASES("slope=0.3");
static const vt_case elu_cases[] = CASES("alpha=1.7");
static const vt_case cases[] = CASES(NULL);

static void random_case(vt_case *c, char attr[160], vox_random *r, bool tiny)
{
    (void)attr;
    for (int i = 0; i < 5; i++)
        c->in[i] = 1 + vox_random_below(r, i == 1 ? 40 : tiny ? 3 : 12);
}

/* exp and expm1 are good to 3 ulp, tanh to 5, division to 2.5 (OpenCL 1.2, 7.4); in 1 - y^2 and y +
 * a the rounding of y is what is left near the ends, and past float's range nothing. */
#define SUITE(name, list)                                                                          \
    const vt_suite vt_suite_##name = {                                                             \
        .op = #name,                                                                               \
        .cases = list,                                                                             \
        .reference = {ref_##name##_forward, ref_##name##_backward_data},                           \
        .tolerance = {{1e-6, 3e-6}, {1e-6, 3e-6}},                                                 \
        .floor = {0, 1e-30},                                                                       \
        .random = random_case}

SUITE(leaky_relu, leaky_cases);
SUITE(elu, elu_cases);
SUITE(sigmoid, cases);
SUITE(tanh, cases);
