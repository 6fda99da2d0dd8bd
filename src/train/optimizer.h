/* optimizer.h - how gradients change the weights, on a device or in host memory.
 *
 * One invariant: the update is a function of weights, gradients, state, rate and step alone, with a
 * fixed order of summation in the gradients' norm.  A device and the host round differently; the
 * host's bits do not depend on the number of threads. */
#ifndef VOX_TRAIN_OPTIMIZER_H
#define VOX_TRAIN_OPTIMIZER_H

#include "base/mem.h"
#include "base/thread.h"
#include "parallel/factors.h"
#include "train/experiment.h"

typedef struct vox_optimizer vox_optimizer;

/* For the flat parameter vector of graph (only its trainable parameters change, padding stays 0).
 * State starts as zeros.  clip_norm: the gradients are scaled down so that their L2 norm over all
 * trainable parameters is at most this (torch.nn.utils.clip_grad_norm_); 0: not.  dev NULL: state
 * and work are the host's.  graph and dev are borrowed and must outlive it. */
vox_status vox_optimizer_open(vox_optimizer **out, vox_device *dev, const vox_graph *graph,
                              const vox_optimizer_spec *spec, double clip_norm, vox_error *err);
void vox_optimizer_free(vox_optimizer **optimizer);

/* On a device: enqueues update number `step` (from 0; PyTorch's first step takes no dampening) at
 * rate lr. params and grads are flat; grads may be overwritten.  loss [n] is on the device: if one
 * of them is not finite when the update's turn comes, it changes nothing; n 0: the host has looked,
 * loss may be NULL. */
vox_status vox_optimizer_step(vox_optimizer *o, vox_buffer *params, vox_buffer *grads,
                              vox_buffer *loss, int64_t n, double lr, int64_t step, vox_error *err);

/* In host memory (dev NULL): the same update of params [flat_floats] at once, on the pool's threads
 * (NULL: the caller's).  grads may be overwritten; gradients that factors (NULL: none) are of are
 * made of these, whatever is in grads.  The caller has seen that the losses are finite;
 * nothing can fail but meeting others (see below), and memory where factors are to be made whole.
 */
vox_status vox_optimizer_step_host(vox_optimizer *o, float *params, float *grads,
                                   const vox_factors *factors, double lr, int64_t step,
                                   vox_pool *pool, vox_error *err);

/* In host memory, right after opening: the state goes to memory that several processes have in
 * common, and they do every update together: each calls vox_optimizer_step_host for the same params
 * and grads, and does its portion, which is borrowed; nothing is done until all have.  The bits are
 * those of one.  All take the same from the room: vox_optimizer_room bytes. */
vox_status vox_optimizer_share(vox_optimizer *o, vox_room *room, const vox_portion *portion,
                               vox_error *err);
size_t vox_optimizer_room(const vox_optimizer_spec *spec, size_t flat_floats);

/* The state a checkpoint must keep, wherever it lives: flat vectors [flat_floats] laid out like the
 * parameters, by name ("momentum", borrowed).  A device's are waited for. */
size_t vox_optimizer_parts(const vox_optimizer *o);
const char *vox_optimizer_part_name(const vox_optimizer *o, size_t i);
vox_status vox_optimizer_get_part(const vox_optimizer *o, size_t i, float *flat, vox_error *err);
vox_status vox_optimizer_set_part(vox_optimizer *o, size_t i, const float *flat, vox_error *err);

#endif
