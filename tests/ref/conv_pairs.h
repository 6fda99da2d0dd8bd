/* conv_pairs.h - what the references of convolution and transposed convolution share: a pass over
 * all (input voxel, output voxel, weight) triples that meet.  Which those are is each one's own
 * matter. */
#ifndef VOX_TESTS_REF_CONV_PAIRS_H
#define VOX_TESTS_REF_CONV_PAIRS_H

#include "ref/ref.h"

typedef struct ref_pair {
    int64_t x, y, w; /* elements of input, output, weight */
} ref_pair;

typedef void ref_pair_fn(const ref_io *io, const ref_pair *p);
/* Calls fn once for each pair that meets. */
typedef void ref_pair_visit(const ref_io *io, ref_pair_fn *fn);

void ref_pairs_forward(const ref_io *io, ref_pair_visit *visit);
void ref_pairs_backward_data(const ref_io *io, ref_pair_visit *visit);
void ref_pairs_backward_weights(const ref_io *io, ref_pair_visit *visit);

#endif
