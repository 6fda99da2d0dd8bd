/* conv_request.h - a convolution and what to measure of it, from the words of a command line; for
 * src/tune only. */
#ifndef VOX_TUNE_CONV_REQUEST_H
#define VOX_TUNE_CONV_REQUEST_H

#include "ops/conv.h"

/* Its node points into it: not to be copied. */
typedef struct vox_conv_request {
    vox_conv_attr attr;
    vox_shape in; /* dim[0]: samples */
    vox_node node;
    bool pass[VOX_PASSES];
    int64_t repeat;
    const char *algo; /* borrowed: "all", "chosen", a name, or a name with values */
    bool variants;    /* every variant has a row */
    vox_tune_mode tune;
    double budget_s;
    uint64_t workspace;
    const char *roofline; /* borrowed: a file to draw, or NULL */
} vox_conv_request;

extern const char *const vox_conv_passes[VOX_PASSES]; /* "fwd", "bwd_data", "bwd_weights" */

/* Pairs of "--key" and value; of one given twice the last counts. */
vox_status vox_conv_request_read(vox_conv_request *r, const char *const *args, size_t count,
                                 vox_error *err);

#endif
