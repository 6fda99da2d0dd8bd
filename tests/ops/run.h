/* run.h - what harness.c and check.c share: a case's numbers, and one run on a device. */
#ifndef VOX_TESTS_RUN_H
#define VOX_TESTS_RUN_H

#include "ops/harness.h"

/* The arrays of a case for one batch size: inputs drawn, results of the reference. */
typedef struct vt_data {
    int64_t n;
    double *x[VOX_MAX_INPUTS], *y, *dy, *dx[VOX_MAX_INPUTS];
    double *param[VOX_MAX_PARAMS], *dparam[VOX_MAX_PARAMS];
    double *prior[VOX_MAX_PARAMS]; /* what dparam held before a += */
    double *state[VOX_MAX_PARAMS], *keep[VOX_PASSES]; /* as ref_io */
    ref_io io;
} vt_data;

/* Draws and computes all; on failure (memory) nothing is left. */
vox_status vt_data_open(vt_data *d, const vt_suite *suite, const vt_layer *l, const vt_case *c,
                        int64_t n, uint64_t seed, vox_error *err);
void vt_data_release(vt_data *d);

/* One algorithm's check. */
typedef struct vt_check {
    const vt_suite *suite;
    const vt_case *c;
    const vt_layer *layer;
    vox_work *work;
    const vt_data *data;
    int64_t n_max;
    bool accumulate, training;
    bool time;           /* fill the figures below after it passed */
    double seconds;      /* median of one run */
    double copy_seconds; /* of copying as many bytes */
    double bytes;        /* what must be read and written at least */
    char failure[1024];  /* what went wrong */
} vt_check;

/* false: c->failure says why. */
bool vt_check_run(vt_check *c);

/* Median seconds of a run, and of copying so many bytes (read and written) on the same device. */
vox_status vt_time(vox_work *w, const vox_io *io, double bytes, double *seconds,
                   double *copy_seconds, vox_error *err);

extern const char *const vt_pass_names[VOX_PASSES];
/* A case in words, for messages. */
void vt_case_text(const vt_case *c, char out[320]);

#endif
