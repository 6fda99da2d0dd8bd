/* reorder.c - y = x in another layout: the planner's, between layers that want different ones. */
#include "ops/layout.h"

#define TO_BLOCK VOX_LAYOUT_PLAIN, VOX_LAYOUT_BLOCK16
#define TO_PLAIN VOX_LAYOUT_BLOCK16, VOX_LAYOUT_PLAIN

static const vox_algo algos[] = {
    {"rows", VOX_FORWARD, TO_BLOCK, NULL, vox_layout_seconds, vox_layout_build, vox_layout_run},
    {"rows", VOX_FORWARD, TO_PLAIN, NULL, vox_layout_seconds, vox_layout_build, vox_layout_run},
    {"rows", VOX_BACKWARD_DATA, TO_BLOCK, NULL, vox_layout_seconds, vox_layout_build,
     vox_layout_run},
    {"rows", VOX_BACKWARD_DATA, TO_PLAIN, NULL, vox_layout_seconds, vox_layout_build,
     vox_layout_run},
    {0}};

const vox_op vox_op_reorder = {.name = "reorder",
                               .min_inputs = 1,
                               .max_inputs = 1,
                               .infer = vox_infer_same,
                               .algos = algos,
                               .internal = true};
