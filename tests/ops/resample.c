/* resample.c - cases of pad, crop and upsample. */
#include "ops/harness.h"

#include <stdio.h>

#define REFERENCE(op)                                                                              \
    void ref_##op##_forward(const ref_io *io);                                                     \
    void ref_##op##_backward_data(const ref_io *io)
REFERENCE(pad);
REFERENCE(crop);
REFERENCE(upsample);

static const vt_case pad_cases[] = {
    {"all sides differ", "before=1,2,0 after=0,1,3", {2, 3, 2, 3, 4}, 1, VT_TINY, VT_UNIFORM},
    {"a value, padding channels stay 0",
     "before=1 value=-2.5",
     {2, 17, 1, 2, 3},
     1,
     VT_TINY,
     VT_UNIFORM},
    {"nothing to add", NULL, {2, 16, 2, 3, 3}, 0, VT_ALWAYS, VT_SPECIAL},
    {"several rows", "before=2,3,4 after=1", {2, 20, 7, 11, 13}, 1, VT_ALWAYS, VT_UNIFORM},
    {"U-Net's highest level", "after=1", {2, 16, 63, 63, 63}, 0, VT_BENCH, VT_UNIFORM},
    {0}};

static const vt_case crop_cases[] = {
    {"all sides differ", "before=1,0,2 after=0,1,1", {2, 3, 2, 3, 5}, 1, VT_TINY, VT_UNIFORM},
    {"padding channels", "before=1", {2, 17, 2, 2, 3}, 1, VT_TINY, VT_UNIFORM},
    {"one voxel is left", "before=1,2,3 after=1", {2, 16, 3, 4, 5}, 0, VT_ALWAYS, VT_UNIFORM},
    {"several rows", "before=2,3,4 after=1", {2, 20, 11, 17, 19}, 1, VT_ALWAYS, VT_SPECIAL},
    {0}};

static const vt_bad crop_bad[] = {
    {"nothing is left", "before=1 after=1", {1, 1, 3, 3, 2}, "axis w"},
    {"one axis is cut away", "before=9,0,0", {1, 1, 9, 3, 2}, "nothing is left"},
    {0}};

static const vt_case upsample_cases[] = {
    {"nearest, twice", "scale=2", {2, 3, 2, 3, 2}, 1, VT_TINY, VT_UNIFORM},
    {"trilinear, twice", "scale=2 mode=trilinear", {2, 17, 1, 2, 3}, 1, VT_TINY, VT_UNIFORM},
    {"trilinear, by axis", "scale=1,2,3 mode=trilinear", {2, 4, 3, 2, 2}, 1, VT_ALWAYS, VT_UNIFORM},
    {"nearest to odd sizes", "size=5,4,7", {2, 16, 3, 3, 3}, 1, VT_ALWAYS, VT_UNIFORM},
    {"trilinear to odd sizes",
     "size=5,4,7 mode=trilinear",
     {2, 16, 3, 3, 3},
     1,
     VT_ALWAYS,
     VT_UNIFORM},
    {"smaller", "size=2,3,1 mode=trilinear", {2, 5, 7, 8, 9}, 1, VT_ALWAYS, VT_UNIFORM},
    {"smaller, nearest", "size=2,3,1", {2, 5, 7, 8, 9}, 1, VT_ALWAYS, VT_SPECIAL},
    {"several rows", "scale=2", {2, 20, 5, 7, 9}, 1, VT_ALWAYS, VT_UNIFORM},
    {"U-Net's highest level", "scale=2", {2, 32, 32, 32, 32}, 0, VT_BENCH, VT_UNIFORM},
    {"the same, trilinear", "scale=2 mode=trilinear", {2, 32, 32, 32, 32}, 0, VT_BENCH, VT_UNIFORM},
    {0}};

static const vt_bad upsample_bad[] = {{"both", "scale=2 size=4", {1, 1, 2, 2, 2}, "scale"}, {0}};

static void random_shape(vt_case *c, vox_random *r, bool tiny)
{
    for (int i = 0; i < 5; i++)
        c->in[i] = 1 + vox_random_below(r, i == 1 ? 40 : tiny ? 3 : 9);
}

static void random_sides(vt_case *c, char attr[160], vox_random *r, bool tiny)
{
    uint32_t v[6];
    random_shape(c, r, tiny);
    for (int i = 0; i < 6; i++)
        v[i] = vox_random_below(r, 4);
    snprintf(attr, 160, "before=%u,%u,%u after=%u,%u,%u", v[0], v[1], v[2], v[3], v[4], v[5]);
}

static void random_upsample(vt_case *c, char attr[160], vox_random *r, bool tiny)
{
    random_shape(c, r, tiny);
    const uint32_t d = 1 + vox_random_below(r, tiny ? 4 : 12), h = 1 + vox_random_below(r, 12);
    snprintf(attr, 160, "size=%u,%u,%u mode=%s", d, h, 1 + vox_random_below(r, tiny ? 4 : 12),
             vox_random_below(r, 2) ? "nearest" : "trilinear");
}

/* Exact: values are moved. */
const vt_suite vt_suite_pad = {.op = "pad",
                               .cases = pad_cases,
                               .reference = {ref_pad_forward, ref_pad_backward_data},
                               .random = random_sides};

const vt_suite vt_suite_crop = {.op = "crop",
                                .cases = crop_cases,
                                .bad = crop_bad,
                                .reference = {ref_crop_forward, ref_crop_backward_data},
                                .random = random_sides};

/* Eight products and seven sums forward; backward as many as outputs read an input. */
const vt_suite vt_suite_upsample = {.op = "upsample",
                                    .cases = upsample_cases,
                                    .bad = upsample_bad,
                                    .reference = {ref_upsample_forward, ref_upsample_backward_data},
                                    .tolerance = {{3e-7, 2e-6}, {5e-7, 4e-6}},
                                    .random = random_upsample};
