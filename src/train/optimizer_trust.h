/* optimizer_trust.h - layer-wise rates: LARS and LAMB multiply the rate of each tensor by
 *   trust * |w| / (|d| + decay * |w| + eps)
 * of the norms of its weights w and of what they are to go along, d: the (clipped) gradient for
 * LARS; for LAMB Adam's step with its decay, where trust is 1 and decay and eps are 0.  Where one
 * of the norms is 0 the factor is 1.
 *
 * Tensors of one dimension (biases, the weights of norms) are not adapted, nor do they decay,
 * unless the experiment says `adapt: all`. */
#ifndef VOX_TRAIN_OPTIMIZER_TRUST_H
#define VOX_TRAIN_OPTIMIZER_TRUST_H

#include "ocl/kernel.h"
#include "train/optimizer.h"

typedef struct vox_trust {
    uint32_t *host_tensor; /* [blocks]: its tensor, from 1; 0: none that is adapted */
    uint32_t tensors;      /* one more than are adapted */
    double *host_sum;      /* on the host: [blocks][2] sums of squares of w and d, */
    float *host_ratio;     /* [tensors]; else: */
    vox_buffer *tensor, *segment, *first, *part, *ratio; /* cl/trust.cl */
    uint32_t segments;
    vox_kernel *norms_kernel, *ratios_kernel;
} vox_trust;

/* For an optimiser with its table of elements in use; on failure vox_trust_release cleans up. */
vox_status vox_trust_init(struct vox_optimizer *o, const vox_graph *g, vox_error *err);
void vox_trust_release(vox_trust *trust);

/* On a device: enqueues the ratios of tensors that go along `along`. */
vox_status vox_trust_enqueue(struct vox_optimizer *o, vox_buffer *params, vox_buffer *along,
                             vox_error *err);

/* On the host: the factor from a tensor's norms. */
double vox_trust_factor(const vox_optimizer_spec *spec, double weight, double along);

/* Whether d is the gradient as it came, which clipping still scales. */
bool vox_trust_scaled(const vox_optimizer_spec *spec);

#endif
