/* ladder.h - what a ladder of `voxcl bench ladder` is: rungs from the naive method to the tuned
 * one; for src/tune only. */
#ifndef VOX_TUNE_LADDER_H
#define VOX_TUNE_LADDER_H

#include "ops/op.h"
#include "tune/timing.h"

#define VOX_MOST_RUNGS 12

typedef struct vox_rung {
    const char *name;     /* NULL ends a list */
    const char *made_for; /* "any", "CPU", "GPU" */
    const char *changed;  /* against the rung below that is made for the same */
} vox_rung;

typedef struct vox_rung_figure {
    bool done; /* false: not on this device, or not for this shape */
    vox_timing time;
    double error; /* relative, against float64 */
} vox_rung_figure;

typedef struct vox_ladder {
    const char *kind, *about;
    const vox_rung *rung;
    bool memory; /* its ceiling is the rate of copies, not that of multiply-adds */
    /* Reads "--key" and value pairs and makes the numbers to compute with. */
    vox_status (*open)(void **state, const char *const *args, size_t count, vox_error *err);
    void (*close)(void *state);
    /* Operations of one climb, and bytes that have to move at least. */
    void (*work)(const void *state, double *flops, double *bytes);
    /* The buffers that the rungs share; leave also after a failed enter. */
    vox_status (*enter)(void *state, vox_device *dev, vox_error *err);
    void (*leave)(void *state);
    vox_status (*measure)(void *state, size_t rung, vox_rung_figure *out, vox_error *err);
} vox_ladder;

extern const vox_ladder vox_ladder_conv, vox_ladder_gemm, vox_ladder_reduce, vox_ladder_softmax;

/* "--size" as `count` numbers and "--repeat", for ladders that know no other options; what is not
 * given stays as it is. */
vox_status vox_ladder_read(const char *kind, const char *const *args, size_t count, int64_t *size,
                           int sizes, int64_t *repeat, vox_error *err);

#endif
