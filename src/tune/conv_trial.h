/* conv_trial.h - one method of a convolution, built, compared with float64 and timed: a row of
 * `voxcl bench conv`, for other benchmarks. */
#ifndef VOX_TUNE_CONV_TRIAL_H
#define VOX_TUNE_CONV_TRIAL_H

#include "ops/op.h"

typedef struct vox_conv_timing {
    bool done;      /* false: the method does not take this shape, or would take very long */
    double seconds; /* median run */
    double error;   /* relative RMS against float64 */
    double flops;   /* of a run */
} vox_conv_timing;

/* The convolution is given as to vox_bench_conv; a method of its own need not be in conv's table.
 */
vox_status vox_conv_measure(vox_device *dev, const char *const *args, size_t count,
                            const vox_algo *method, vox_conv_timing *timing, vox_error *err);

#endif
