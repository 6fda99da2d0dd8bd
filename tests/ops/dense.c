/* dense.c - cases of dense. */
#include "ops/harness.h"

#include <stdio.h>

void ref_dense_forward(const ref_io *io);
void ref_dense_backward_data(const ref_io *io);
void ref_dense_backward_weights(const ref_io *io);

static const vt_case cases[] = {
    {"sizes that fill nothing", "out=5", {3, 19, 1, 1, 1}, 2, VT_TINY, VT_UNIFORM},
    {"less than a vector", "out=3", {2, 7, 1, 1, 1}, 1, VT_TINY, VT_UNIFORM},
    {"no bias", "out=6 bias=false", {2, 33, 1, 1, 1}, 1, VT_ALWAYS, VT_UNIFORM},
    {"whole vectors, more samples than are taken at once",
     "out=64",
     {7, 64, 1, 1, 1},
     5,
     VT_ALWAYS,
     VT_UNIFORM},
    {"several parts of backward_data, the last not full, relu at their sum",
     "out=333",
     {5, 130, 1, 1, 1},
     1,
     VT_ALWAYS,
     VT_UNIFORM},
    {"many samples", "out=9", {70, 21, 1, 1, 1}, 64, VT_ALWAYS, VT_UNIFORM},
    {"one by one", "out=1", {1, 1, 1, 1, 1}, 0, VT_ALWAYS, VT_UNIFORM},
    {"a long sum with an offset", "out=4", {2, 2500, 1, 1, 1}, 1, VT_ALWAYS, VT_OFFSET},
    {"AlexNet fc1", "out=2048", {4, 4608, 1, 1, 1}, 0, VT_BENCH, VT_UNIFORM},
    {"AlexNet fc2", "out=1024", {4, 2048, 1, 1, 1}, 0, VT_BENCH, VT_UNIFORM},
    {"AlexNet fc3", "out=5", {4, 1024, 1, 1, 1}, 0, VT_BENCH, VT_UNIFORM},
    {0}};

static const vt_bad bad[] = {
    {"a volume", "out=10", {1, 8, 2, 3, 4}, "1x8x2x3x4"},
    {"weights past all memory", "out=16777216", {1, 1 << 20, 1, 1, 1}, "16777216"},
    {0}};

static void random_case(vt_case *c, char attr[160], vox_random *r, bool tiny)
{
    snprintf(attr, 160, "out=%u bias=%s", 1 + vox_random_below(r, tiny ? 9 : 200),
             vox_random_below(r, 3) ? "true" : "false");
    c->in[0] = 1 + vox_random_below(r, tiny ? 3 : 12);
    c->in[1] = 1 + vox_random_below(r, tiny ? 20 : 300);
    c->in[2] = c->in[3] = c->in[4] = 1;
}

/* A float sum of up to 4608 products of both signs: rms about sqrt(4608) / 2 * 2^-24 in the naive
 * order, relative to a sum of the same growth; the worst of many elements some times that. */
const vt_suite vt_suite_dense = {
    .op = "dense",
    .cases = cases,
    .bad = bad,
    .reference = {ref_dense_forward, ref_dense_backward_data, ref_dense_backward_weights},
    .tolerance = {{3e-6, 2e-5}, {3e-6, 2e-5}, {1e-6, 1e-5}},
    .random = random_case};
