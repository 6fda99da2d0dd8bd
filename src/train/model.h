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

/* What `data` means (vox_model_eval): *spec is an entry as in `data:` and *dir what its paths are
 * relative to; *doc, to be freed after them, is set where the spec is not the experiment's. */
vox_status vox_model_choose_data(const vox_model *m, const char *data, vox_yaml **doc,
                                 const vox_yaml_node **spec, const char **dir, vox_error *err);

#endif
