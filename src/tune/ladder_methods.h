/* ladder_methods.h - ladders whose rungs are methods of a convolution's forward pass, its own or
 * made for the ladder; for src/tune only. */
#ifndef VOX_TUNE_LADDER_METHODS_H
#define VOX_TUNE_LADDER_METHODS_H

#include "tune/conv_trial.h"
#include "tune/ladder.h"

typedef struct vox_ladder_methods {
    vox_conv_request r;
    vox_conv_data data;
    vox_device *dev;
    const vox_rung *rung;
    const vox_algo *own; /* rungs that conv's table has not, by name; ends with name NULL */
} vox_ladder_methods;

/* Opens *state with a request from args; bias: whether the convolution has one. */
vox_status vox_methods_open(void **state, const vox_rung *rung, const vox_algo *own, bool bias,
                            const char *const *args, size_t count, vox_error *err);
/* The rest of a vox_ladder. */
void vox_methods_close(void *state);
void vox_methods_work(const void *state, double *flops, double *bytes);
vox_status vox_methods_enter(void *state, vox_device *dev, vox_error *err);
void vox_methods_leave(void *state);
vox_status vox_methods_measure(void *state, size_t rung, vox_rung_figure *out, vox_error *err);

#endif
