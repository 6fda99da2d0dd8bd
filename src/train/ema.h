/* ema.h - an exponential moving average of the weights, on a device or in host
 * memory, as the optimiser.
 *   average = d * average + (1 - d) * weights   after every step
 * It begins as the weights before the first step.  With `ramp` d is min(decay, (1 + t) / (10 + t))
 * at step t (from 0), so that these are soon forgotten, as TensorFlow's num_updates does. */
#ifndef VOX_TRAIN_EMA_H
#define VOX_TRAIN_EMA_H

#include "base/mem.h"
#include "base/thread.h"
#include "train/experiment.h"

typedef struct vox_ema vox_ema;

/* For `floats` floats; dev is borrowed and must outlive it; NULL: in host memory. */
vox_status vox_ema_open(vox_ema **out, vox_device *dev, size_t floats, const vox_ema_spec *spec,
                        vox_error *err);
void vox_ema_free(vox_ema **ema);

/* Overwrites the average; waits. */
vox_status vox_ema_set(vox_ema *ema, const float *flat, vox_error *err);
vox_status vox_ema_get(vox_ema *ema, float *flat, vox_error *err);
/* After step number `step` (from 0); on a device, enqueues only. */
vox_status vox_ema_step(vox_ema *ema, vox_buffer *params, int64_t step, vox_error *err);

/* In host memory, on the pool's threads (NULL: the caller's), whose number changes no bit. */
vox_status vox_ema_step_host(vox_ema *ema, const float *params, int64_t step, vox_pool *pool,
                             vox_error *err);
/* As vox_optimizer_share: several processes do each step together, once all are there with params
 * as they are to be.  Takes vox_room_of its floats' bytes. */
vox_status vox_ema_share(vox_ema *ema, vox_room *room, const vox_portion *portion, vox_error *err);

/* The decay at a step. */
double vox_ema_decay(const vox_ema_spec *spec, int64_t step);

#endif
