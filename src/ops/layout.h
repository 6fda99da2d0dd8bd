/* layout.h - moving tensors between layouts: what reorder and flatten share. */
#ifndef VOX_OPS_LAYOUT_H
#define VOX_OPS_LAYOUT_H

#include "ops/op.h"

/* An algorithm's build and run for a pass that moves its data and changes nothing but the layout,
 * from algo.in to algo.out (forward) or back (BACKWARD_DATA); the shapes are those of the node's
 * first input.  Equal layouts are copied. */
vox_status vox_layout_build(vox_work *w, vox_error *err);
vox_status vox_layout_run(vox_work *w, const vox_io *io, vox_error *err);
double vox_layout_seconds(const vox_problem *p);

#endif
