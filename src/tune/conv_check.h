/* conv_check.h - single numbers of a convolution in double, on the host: what `voxcl bench conv`
 * compares with. */
#ifndef VOX_TUNE_CONV_CHECK_H
#define VOX_TUNE_CONV_CHECK_H

#include "ops/conv.h"

/* PLAIN arrays on the host; dy of the output's shape. */
typedef struct vox_conv_data {
    vox_conv_shape s;
    int64_t n;
    const float *x, *dy, *weight, *bias; /* bias NULL: none */
} vox_conv_data;

/* How many numbers a pass makes: elements of y, dx or dw. */
int64_t vox_conv_results(const vox_conv_data *d, vox_pass pass);
/* Products that go into one of them. */
int64_t vox_conv_products(const vox_conv_data *d, vox_pass pass);
/* Element i of what the pass makes. */
double vox_conv_result(const vox_conv_data *d, vox_pass pass, int64_t i);

#endif
