/* flatten.c - [N,C,D,H,W] to [N,C*D*H*W,1,1,1], in the order C, D, H, W whatever the layout. */
#include "ops/layout.h"

static vox_status infer(const vox_node *node, const vox_shape *in, vox_shape *out, vox_error *err)
{
    (void)node;
    (void)err;
    vox_shape one = in[0];
    one.dim[0] = 1;
    *out = (vox_shape){5, {in[0].dim[0], vox_shape_count(&one), 1, 1, 1}};
    return VOX_OK;
}

#define PLAIN      VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN
#define FROM_BLOCK VOX_LAYOUT_BLOCK16, VOX_LAYOUT_PLAIN

static const vox_algo algos[] = {
    {"copy", VOX_FORWARD, PLAIN, NULL, vox_layout_seconds, vox_layout_build, vox_layout_run},
    {"rows", VOX_FORWARD, FROM_BLOCK, NULL, vox_layout_seconds, vox_layout_build, vox_layout_run},
    {"copy", VOX_BACKWARD_DATA, PLAIN, NULL, vox_layout_seconds, vox_layout_build, vox_layout_run,
     true},
    {"rows", VOX_BACKWARD_DATA, FROM_BLOCK, NULL, vox_layout_seconds, vox_layout_build,
     vox_layout_run, true},
    {0}};

const vox_op vox_op_flatten = {
    .name = "flatten", .min_inputs = 1, .max_inputs = 1, .infer = infer, .algos = algos};
