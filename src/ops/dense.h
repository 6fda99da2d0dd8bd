/* dense.h - what dense.c and dense_gemm.c share. */
#ifndef VOX_OPS_DENSE_H
#define VOX_OPS_DENSE_H

#include "ops/op.h"

typedef struct vox_dense_attr {
    int64_t out;
    bool bias;
} vox_dense_attr;

int64_t vox_dense_in(const vox_node *node);
int64_t vox_dense_out(const vox_node *node);
bool vox_dense_bias(const vox_node *node);

/* The three passes as matrix products of CLBlast. */
bool vox_dense_gemm_fits(const vox_problem *p);
double vox_dense_gemm_seconds(const vox_problem *p);
vox_status vox_dense_gemm_build(vox_work *w, vox_error *err);
vox_status vox_dense_gemm_forward(vox_work *w, const vox_io *io, vox_error *err);
vox_status vox_dense_gemm_backward_data(vox_work *w, const vox_io *io, vox_error *err);
vox_status vox_dense_gemm_backward_weights(vox_work *w, const vox_io *io, vox_error *err);

#endif
