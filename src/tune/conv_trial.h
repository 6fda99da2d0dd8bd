/* conv_trial.h - one method of a convolution, built, timed and compared with float64: a row of
 * `voxcl bench conv`, or a rung of a ladder; for src/tune only. */
#ifndef VOX_TUNE_CONV_TRIAL_H
#define VOX_TUNE_CONV_TRIAL_H

#include "tune/conv_check.h"
#include "tune/conv_request.h"
#include "tune/timing.h"

#define VOX_CONV_HOPELESS 20.0 /* expected seconds of a run not worth waiting for */

typedef struct vox_conv_timing {
    bool done; /* false: the method does not take this shape, or not on this device */
    vox_timing time;
    double rms_error; /* relative root mean square, over elements spread evenly */
    double max_error; /* the largest difference among them over the reference's root mean square */
    double flops;     /* of a run */
    double bytes;     /* that have to move at least: input, output and weights once */
    uint64_t workspace;
} vox_conv_timing;

/* Random numbers for the convolution; free with vox_conv_data_release. */
vox_status vox_conv_data_open(vox_conv_data *d, const vox_conv_request *r, vox_error *err);
void vox_conv_data_release(vox_conv_data *d);

/* a need not be in conv's table; p is a problem of r's node, with the variant to take. */
vox_status vox_conv_measure(const vox_conv_request *r, const vox_conv_data *d, const vox_problem *p,
                            const vox_algo *a, vox_conv_timing *out, vox_error *err);

#endif
