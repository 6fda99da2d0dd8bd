/* checkpoint.h - the state of a training as one safetensors file.
 *
 * Tensors: the parameters as `<layer>.<tensor>`, running statistics among them; with train.ema the
 * averages of all these as `ema.<layer>.<tensor>`; the optimiser's state, of those that are
 * trained, as `optimizer.<part>.<layer>.<tensor>`.  Metadata: the experiment's text, where the data
 * lies, step, epoch, position in the epoch, seed, the classes' names, the best validation, the
 * devices' shares.
 *
 * One invariant: predict and resume need nothing but this file (and the data). */
#ifndef VOX_TRAIN_CHECKPOINT_H
#define VOX_TRAIN_CHECKPOINT_H

#include "data/prepare.h"
#include "train/experiment.h"
#include "train/metrics.h"
#include "train/safetensors.h"

/* Where a training stands: `step` steps are done, the next batch begins at `position` of `epoch`.
 */
typedef struct vox_progress {
    int64_t step, epoch, position;
    double time_s;     /* spent training, resumed parts included */
    double loss;       /* of the last step */
    int64_t best_step; /* 0: none yet */
    vox_metrics_result best;
    /* early_stop: validations seen, and in a row not better than the best before, and that one */
    int64_t stop_seen, stop_waited;
    double stop_best;
} vox_progress;

/* The training data as far as a resume depends on it. */
typedef struct vox_data_mark {
    int64_t cases;
    uint64_t labels; /* hash of the labels in order */
} vox_data_mark;

typedef struct vox_class_names {
    char **name; /* [count]; owned */
    size_t count;
} vox_class_names;

void vox_class_names_release(vox_class_names *names);

/* What is saved or was loaded.  The vectors are flat (graph->flat_floats). */
typedef struct vox_checkpoint {
    float *params;
    float *ema;   /* NULL: none */
    float **part; /* [parts], the optimiser's state */
    char **part_name;
    size_t parts;
    vox_progress progress;
    vox_data_mark data;
    vox_class_names classes;
    vox_prepare_stats stats; /* that data.prepare goes by; channels 0: none */
    char *experiment;        /* its text */
    char *data_dir;          /* what relative data paths are relative to; absolute */
    char *shares;            /* the devices' shares (train/sharing.h), or NULL; not read back */
    uint64_t seed;
} vox_checkpoint;

/* Frees what is in it. */
void vox_checkpoint_release(vox_checkpoint *c);

/* Room for params, if wanted for ema, and `parts` state vectors (names are copied). */
vox_status vox_checkpoint_make(vox_checkpoint *c, const vox_graph *graph, bool ema,
                               const char *const *part_name, size_t parts, vox_error *err);

/* Whole or not at all.  A parameter that is not finite is VOX_ERR_NONFINITE with its name, and
 * nothing is written. */
vox_status vox_checkpoint_save(const vox_checkpoint *c, const vox_graph *graph, const char *path,
                               vox_error *err);

/* Reads the metadata into *c (which need not be made). */
vox_status vox_checkpoint_read_meta(vox_checkpoint *c, const vox_safetensors *file, vox_error *err);

/* Fills flat from the tensors `<prefix><layer>.<tensor>`; a missing one or another shape is
 * VOX_ERR_INPUT with the tensor's name and both shapes.  With `all`, a tensor in the file that the
 * network has not (optimiser state and averages excepted) is an error too. */
vox_status vox_checkpoint_read_flat(const vox_safetensors *file, const char *prefix,
                                    const vox_graph *graph, bool all, float *flat, vox_error *err);

/* An experiment that a checkpoint may be continued with: equal to the checkpoint's but for
 * train.iterations, train.epochs, train.max_minutes and train.early_stop.  Otherwise VOX_ERR_INPUT
 * naming the key. */
vox_status vox_checkpoint_same_experiment(const char *saved, const char *now, vox_error *err);

#endif
