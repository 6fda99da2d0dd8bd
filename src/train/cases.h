/* cases.h - the labelled cases of a training or an evaluation: a data set opened, read, and its
 * classes brought to the network's.
 *
 * One invariant: a label given to the network is in [0, classes), and means the class that has this
 * place in the names. */
#ifndef VOX_TRAIN_CASES_H
#define VOX_TRAIN_CASES_H

#include "base/thread.h"
#include "data/dataset.h"
#include "parallel/team.h"
#include "train/checkpoint.h"

typedef struct vox_cases {
    vox_dataset *set;
    int32_t *class_of; /* [classes of the set]: the network's class */
    const char *what;  /* "training", "validation", for messages */
} vox_cases;

/* Classes a network tells apart, 2..64, else VOX_ERR_INPUT: the numbers of its output for one
 * sample, or, if it has an output for every voxel, its channels (a single channel tells two, but
 * not to cross_entropy). */
vox_status vox_cases_classes(const vox_graph *graph, int64_t *classes, vox_error *err);

/* Opens and reads the set that spec describes.  names->count == 0: the set's classes become the
 * names (at most `classes`); else its classes are found among them by name.  stats: of the training
 * data (vox_dataset_options); NULL: these are the training data.  pool may be NULL. */
vox_status vox_cases_open(vox_cases *c, const vox_experiment *exp, const vox_yaml_node *spec,
                          const char *data_dir, const char *what, int64_t classes,
                          vox_class_names *names, const vox_prepare_stats *stats, vox_pool *pool,
                          vox_error *err);
void vox_cases_release(vox_cases *c);

/* The network's labels of a loader's batch: out[n, vox_graph_labels]. */
void vox_cases_labels(const vox_cases *c, const vox_batch *batch, int32_t *out);
vox_data_mark vox_cases_mark(const vox_cases *c);
/* Tells the log which cases were left out; returns how many. */
size_t vox_cases_report_bad(const vox_cases *c);

/* Loss, accuracy ... over all cases, in batches of `batch` through the team.  Of a segmentation
 * accuracy and confusion count voxels. */
vox_status vox_cases_evaluate(vox_cases *c, vox_team *team, const vox_graph *graph, int64_t batch,
                              vox_metrics_result *out, vox_error *err);

#endif
