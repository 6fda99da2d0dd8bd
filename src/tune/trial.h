/* trial.h - one layer's pass with made-up numbers, to run algorithms on; for src/tune only.
 *
 * The numbers are drawn once on the host and put into whatever layouts an algorithm wants, so that
 * algorithms of different layouts are given, and give, the same. */
#ifndef VOX_TUNE_TRIAL_H
#define VOX_TUNE_TRIAL_H

#include "ops/op.h"

#define VOX_TRIAL_RESULTS (VOX_MAX_INPUTS + VOX_MAX_PARAMS)

typedef struct vox_trial {
    const vox_problem *problem; /* borrowed */
    vox_pass pass;
    vox_param param[VOX_MAX_PARAMS];
    int params;
    /* PLAIN [n_max, ...]; labels are int32_t in the same memory; NULL: the pass reads none. */
    float *x[VOX_MAX_INPUTS], *y, *dy, *weight[VOX_MAX_PARAMS];
} vox_trial;

/* What an algorithm gave: for each tensor it writes, PLAIN values of n samples. */
typedef struct vox_trial_result {
    float *value[VOX_TRIAL_RESULTS];
    size_t count[VOX_TRIAL_RESULTS];
    int tensors;
    bool dirty; /* channels past C of a BLOCK16 tensor are not 0 */
} vox_trial_result;

/* The tensors on the device, in one algorithm's layouts. */
typedef struct vox_trial_tensors {
    vox_tensor x[VOX_MAX_INPUTS], y, dy, dx[VOX_MAX_INPUTS];
    vox_buffer *param[VOX_MAX_PARAMS], *dparam[VOX_MAX_PARAMS], *keep[VOX_PASSES];
    vox_pass pass;
    vox_io io; /* n is the caller's */
} vox_trial_tensors;

/* Draws the numbers.  If the pass reads y, it is what `forward` gives. */
vox_status vox_trial_init(vox_trial *t, const vox_problem *p, vox_pass pass,
                          const vox_algo *forward, vox_error *err);
void vox_trial_release(vox_trial *t);

vox_status vox_trial_open(vox_trial_tensors *d, const vox_trial *t, const vox_algo *a,
                          vox_error *err);
void vox_trial_close(vox_trial_tensors *d);
/* Fills the outputs with NaN: what is not written will show. */
vox_status vox_trial_clear(vox_trial_tensors *d, vox_error *err);
/* Runs it on n samples and waits. */
vox_status vox_trial_run(vox_trial_tensors *d, vox_work *w, int64_t n, vox_error *err);
/* Reads the outputs of the first n samples. */
vox_status vox_trial_read(vox_trial_result *r, const vox_trial *t, vox_trial_tensors *d, int64_t n,
                          vox_error *err);
void vox_trial_result_release(vox_trial_result *r);

/* The largest relative root-mean-square difference of a tensor; INFINITY if got is not finite
 * where want is, or is dirty. */
double vox_trial_error(const vox_trial_result *got, const vox_trial_result *want);

#endif
