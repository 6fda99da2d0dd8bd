/* loss.c - cases of the losses of segmentations: they share kernels, so each has the cases of what
 * is its own, and dice_ce those of what all have. */
#include "ops/harness.h"

#include <stdio.h>
#include <string.h>

void ref_loss_forward(const ref_io *io);
void ref_loss_backward_data(const ref_io *io);

/* "from_weights=a,b": as many outputs, each of half the last one's voxels along each axis; then the
 * labels. */
static int inputs(const vt_case *c, vox_shape in[VOX_MAX_INPUTS])
{
    const char *list = c->attr ? strstr(c->attr, "from_weights=") : NULL;
    int outputs = 1;
    for (; list && *list && *list != ' '; list++)
        outputs += *list == ',';
    for (int k = 1; k < outputs; k++) {
        in[k] = in[k - 1];
        for (int i = 2; i < 5; i++)
            in[k].dim[i] = (in[k].dim[i] + 1) / 2;
    }
    in[outputs] = in[0];
    in[outputs].dim[1] = 1;
    return outputs + 1;
}

static void random_case(vt_case *c, char attr[160], vox_random *r, bool tiny)
{
    static const char *const more[] = {"", "ignore=0", "from_weights=1,0.5",
                                       "from_weights=0.2,0,3"};
    for (int i = 0; i < 5; i++)
        c->in[i] = 1 + vox_random_below(r, tiny ? 4 : 9);
    c->in[1] = vox_random_below(r, 2) ? 3 : 1; /* of which there are kernels already */
    snprintf(attr, 160, "%s", more[vox_random_below(r, 4)]);
}

static void random_overlap(vt_case *c, char attr[160], vox_random *r, bool tiny)
{
    random_case(c, attr, r, tiny);
    snprintf(attr + strlen(attr), 160 - strlen(attr), " background=%s per=%s",
             vox_random_below(r, 2) || c->in[1] < 2 ? "true" : "false",
             vox_random_below(r, 2) ? "batch" : "sample");
}

/* clang-format off */
#define ONE    {3, 1, 3, 4, 5}
#define VOLUME {3, 3, 4, 5, 7}
#define TINY   {2, 3, 2, 3, 3}
/* clang-format on */

static const vt_case bce_logits_cases[] = {
    {"one channel", NULL, ONE, 2, VT_TINY, VT_UNIFORM},
    {"a channel for each label, several chunks",
     NULL,
     {2, 3, 13, 14, 15},
     1,
     VT_ALWAYS,
     VT_UNIFORM},
    {"logits of 1e4 do not overflow", NULL, ONE, 2, VT_ALWAYS, VT_LARGE},
    {"NaN, infinities, labels out of range", NULL, {40, 1, 1, 1, 2}, 30, VT_ALWAYS, VT_SPECIAL},
    {"64^3", NULL, {2, 1, 64, 64, 64}, 0, VT_BENCH, VT_UNIFORM},
    {0}};

static const vt_case bce_cases[] = {
    {"probabilities, and clipped ones below 0", NULL, ONE, 2, VT_TINY, VT_UNIFORM},
    {"0 and 1 themselves, and beyond", NULL, {2, 1, 3, 3, 3}, 1, VT_ALWAYS, VT_TIES},
    {"several channels, a label ignored", "ignore=1", VOLUME, 2, VT_ALWAYS, VT_UNIFORM},
    {"NaN, infinities, labels out of range", NULL, {40, 1, 1, 1, 2}, 30, VT_ALWAYS, VT_SPECIAL},
    {"64^3", NULL, {2, 1, 64, 64, 64}, 0, VT_BENCH, VT_UNIFORM},
    {0}};

static const vt_case dice_cases[] = {
    {"sigmoid", NULL, ONE, 2, VT_TINY, VT_UNIFORM},
    {"softmax without background", NULL, VOLUME, 2, VT_ALWAYS, VT_UNIFORM},
    {"with background", "background=true", VOLUME, 2, VT_ALWAYS, VT_UNIFORM},
    {"of the batch", "per=batch", TINY, 2, VT_TINY, VT_UNIFORM},
    {"smooth 1", "smooth=1", VOLUME, 1, VT_ALWAYS, VT_UNIFORM},
    {"a label ignored", "ignore=1", VOLUME, 2, VT_ALWAYS, VT_UNIFORM},
    {"logits of 1e4", "background=true", VOLUME, 2, VT_ALWAYS, VT_LARGE},
    {"several chunks", NULL, {2, 3, 13, 14, 15}, 1, VT_ALWAYS, VT_UNIFORM},
    {"NaN, infinities, labels out of range", NULL, {60, 3, 1, 1, 1}, 30, VT_ALWAYS, VT_SPECIAL},
    {"64^3", NULL, {2, 4, 64, 64, 64}, 0, VT_BENCH, VT_UNIFORM},
    {0}};

static const vt_case dice_ce_cases[] = {
    {"one channel: with binary cross entropy", NULL, ONE, 2, VT_TINY, VT_UNIFORM},
    {"one channel, weights", "weights=0.5,3 ignore=7", ONE, 2, VT_ALWAYS, VT_UNIFORM},
    {"softmax", NULL, TINY, 1, VT_TINY, VT_UNIFORM},
    {"weights of both parts and of the classes",
     "dice_weight=0.25 ce_weight=2 weights=1,0,2.5 background=true", VOLUME, 2, VT_TINY,
     VT_UNIFORM},
    {"nothing left of a class", "weights=0,1,0 ignore=1", VOLUME, 2, VT_ALWAYS, VT_UNIFORM},
    {"of the batch", "per=batch", VOLUME, 2, VT_ALWAYS, VT_UNIFORM},
    {"three outputs, labels to the nearest voxel",
     "from_weights=0.6,0.4,0",
     {2, 3, 3, 4, 2},
     1,
     VT_TINY,
     VT_UNIFORM},
    {"NaN, infinities, labels out of range", NULL, {60, 3, 1, 1, 1}, 30, VT_ALWAYS, VT_SPECIAL},
    {"many classes @vectors", NULL, {1, 20, 3, 3, 5}, 0, VT_ALWAYS, VT_UNIFORM},
    {"64^3", NULL, {2, 2, 64, 64, 64}, 0, VT_BENCH, VT_UNIFORM},
    {"64^3", NULL, {2, 4, 64, 64, 64}, 0, VT_BENCH, VT_UNIFORM},
    {0}};

static const vt_case tversky_cases[] = {
    {"the paper's", NULL, TINY, 1, VT_TINY, VT_UNIFORM},
    {"alpha 0, background", "alpha=0 beta=2 background=true", VOLUME, 2, VT_ALWAYS, VT_UNIFORM},
    {"sigmoid, batch", "per=batch", ONE, 2, VT_ALWAYS, VT_UNIFORM},
    {"64^3", NULL, {2, 4, 64, 64, 64}, 0, VT_BENCH, VT_UNIFORM},
    {0}};

static const vt_case focal_cases[] = {
    {"sigmoid with alpha", "alpha=0.25", ONE, 2, VT_TINY, VT_UNIFORM},
    {"softmax", NULL, TINY, 1, VT_TINY, VT_UNIFORM},
    {"gamma 0 is cross entropy", "gamma=0", VOLUME, 2, VT_ALWAYS, VT_UNIFORM},
    {"gamma below 1", "gamma=0.5 alpha=1,2,0.5", VOLUME, 2, VT_ALWAYS, VT_UNIFORM},
    {"logits of 1e4", NULL, VOLUME, 2, VT_ALWAYS, VT_LARGE},
    {"a classifier, labels out of range", NULL, {40, 3, 1, 1, 1}, 30, VT_ALWAYS, VT_SPECIAL},
    {"64^3", NULL, {2, 4, 64, 64, 64}, 0, VT_BENCH, VT_UNIFORM},
    {0}};

static const vt_bad dice_ce_bad[] = {
    {"too few weights", "weights=1,2", {2, 3, 4, 4, 4}, "must have 3 numbers"},
    {"one channel has two classes", "weights=1", {2, 1, 4, 4, 4}, "must have 2 numbers"},
    {0}};
static const vt_bad focal_bad[] = {
    {"one channel, two alphas", "alpha=0.5,0.5", {2, 1, 4, 4, 4}, "must have 1 number"}, {0}};

/* exp16 and log16 are good to 2 ulp, and x - m loses what x has lost; sums over a volume of numbers
 * of one sign lose less than that. */
#define LOSS(word, draw, bads)                                                                     \
    const vt_suite vt_suite_##word = {.op = #word,                                                 \
                                      .cases = word##_cases,                                       \
                                      .bad = bads,                                                 \
                                      .reference = {ref_loss_forward, ref_loss_backward_data},     \
                                      .tolerance = {{2e-6, 1e-5}, {2e-6, 1e-5}},                   \
                                      .random = draw,                                              \
                                      .inputs = inputs,                                            \
                                      .labels = true,                                              \
                                      .binary = true}

LOSS(bce_logits, random_case, NULL);
LOSS(bce, random_case, NULL);
LOSS(dice, random_overlap, NULL);
LOSS(dice_ce, random_overlap, dice_ce_bad);
LOSS(tversky, random_overlap, NULL);
LOSS(focal, random_case, focal_bad);
