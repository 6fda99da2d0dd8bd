/* made_up.h - training steps on made-up data, for benchmarks: no data is needed, nothing is
 * written.
 */
#ifndef VOX_TRAIN_MADE_UP_H
#define VOX_TRAIN_MADE_UP_H

#include "parallel/team.h"
#include "train/experiment.h"
#include "train/optimizer.h"

/* Zero-initialise; vox_made_up_close releases it, also after an error. */
typedef struct vox_made_up {
    const vox_experiment *exp; /* borrowed */
    vox_team *team;
    vox_optimizer *optimizer;
    int64_t batch, done; /* samples of a step; steps that were made */
    float *voxel, *loss; /* [batch, C, D, H, W], [batch] */
    int32_t *label;      /* [batch, labels of a sample] */
} vox_made_up;

/* A team on all devices of ctx, ready for steps of `batch` samples.  opt: what the benchmark asks
 * of it; graph, batch, seed, memory, methods and the measured times of these are filled in. */
vox_status vox_made_up_open(vox_made_up *m, const vox_experiment *exp, vox_ctx *ctx, int64_t batch,
                            const vox_methods *methods, vox_team_options opt, vox_error *err);
void vox_made_up_close(vox_made_up *m);

/* One step, as a training makes it: the next batch is uploaded meanwhile, the weights change. */
vox_status vox_made_up_step(vox_made_up *m, vox_error *err);

#endif
