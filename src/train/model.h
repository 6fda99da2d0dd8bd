/* model.h - a trained network, opened: shared by evaluation and prediction. */
#ifndef VOX_TRAIN_MODEL_H
#define VOX_TRAIN_MODEL_H

#include "train/cases.h"

struct vox_model {
    vox_checkpoint saved; /* metadata; its vectors are not kept */
    vox_experiment *exp;
    vox_team *team;
    int64_t batch; /* samples at once: training's, and at least one for each device */
    int64_t classes;
};

#endif
