/* ref.h - the operations once more, in plain C and double, to check the kernels against.
 *
 * A reference works on PLAIN arrays of doubles, [N][C][D][H][W], and is written for being read: no
 * blocking, no tricks.  That its backward passes are the derivatives of its forward pass is itself
 * checked, by finite differences (tests/ops/harness.c). */
#ifndef VOX_TESTS_REF_H
#define VOX_TESTS_REF_H

#include "ops/op.h"

/* One call.  The arrays a pass writes are zeroed before, so that it may add to them. */
typedef struct ref_io {
    const vox_node *node;
    int64_t n; /* samples in the arrays */
    bool training;
    const double *x[VOX_MAX_INPUTS]; /* [n, node->in[i] ...]; labels as whole numbers */
    const double *param[VOX_MAX_PARAMS];
    double *y;                      /* forward: written; backward: what forward wrote */
    const double *dy;               /* backward, unless the operation is a loss */
    double *dx[VOX_MAX_INPUTS];     /* BACKWARD_DATA; NULL for labels */
    double *dparam[VOX_MAX_PARAMS]; /* BACKWARD_WEIGHTS */
    double *state[VOX_MAX_PARAMS];  /* forward: what a parameter that is not trainable becomes, and
                                       what it is; NULL: not wanted */
    double *keep[VOX_PASSES];       /* as vox_io.keep; likewise */
    double scale;                   /* losses */
    vox_step step;
} ref_io;

typedef void (*ref_fn)(const ref_io *io);

/* A layer's attributes by key; a key the operation does not have ends the test run. */
const int64_t *ref_triple(const vox_node *node, const char *key);
int64_t ref_int(const vox_node *node, const char *key);
int ref_word(const vox_node *node, const char *key); /* its place in the list of words */
double ref_float(const vox_node *node, const char *key);
bool ref_bool(const vox_node *node, const char *key);
const vox_floats *ref_floats(const vox_node *node, const char *key);

#endif
