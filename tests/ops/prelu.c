/* prelu.c - cases of PReLU. */
#include "ops/harness.h"

#include "golden/prelu_golden.h"

#include <stdio.h>

void ref_prelu_forward(const ref_io *io);
void ref_prelu_backward_data(const ref_io *io);
void ref_prelu_backward_weights(const ref_io *io);

/* clang-format off */
static const vt_case cases[] = {
    {"one weight, padding channels", NULL, {2, 3, 2, 3, 5}, 1, VT_TINY, VT_UNIFORM},
    {"a weight for each channel, two blocks", "parameters=channels", {2, 21, 1, 3, 3}, 1, VT_TINY, VT_UNIFORM},
    {"zeros exactly", "parameters=channels", {2, 17, 1, 3, 3}, 1, VT_ALWAYS, VT_TIES},
    {"several work-groups, the last not full", "parameters=channels", {3, 20, 5, 31, 37}, 2, VT_ALWAYS, VT_UNIFORM},
    {"a large volume: sums in stretches", NULL, {1, 2, 17, 33, 65}, 0, VT_ALWAYS, VT_LARGE},
    {"64 MiB", "parameters=channels", {1, 16, 16, 256, 256}, 0, VT_BENCH, VT_UNIFORM},
    {0}};
/* clang-format on */

static void random_case(vt_case *c, char attr[160], vox_random *r, bool tiny)
{
    for (int i = 0; i < 5; i++)
        c->in[i] = 1 + vox_random_below(r, i == 1 ? 40 : tiny ? 3 : 12);
    snprintf(attr, 160, "parameters=%s", vox_random_below(r, 2) ? "one" : "channels");
}

/* Forward and backward-data are one product; sums of products are added pairwise or nearly so. */
const vt_suite vt_suite_prelu = {
    .op = "prelu",
    .cases = cases,
    .golden = prelu_golden,
    .reference = {ref_prelu_forward, ref_prelu_backward_data, ref_prelu_backward_weights},
    .tolerance = {{1e-7, 3e-7}, {1e-7, 3e-7}, {1e-5, 1e-4}},
    .floor = {[VOX_BACKWARD_WEIGHTS] = 0.3},
    .random = random_case};
