/* split.h - who is in the training set and who is held out, by patient.
 *
 *   patients: {folds: 5, without: 0}          all but fold 0: to train on
 *   patients: {folds: 5, only: 0, seed: 1}    fold 0 alone: to validate with
 *   patients: {folds: 5, only: 0, shuffle: false}    every fifth, beginning with the first
 *
 * The patients, sorted by name, are shuffled by `seed` (default 0; unless shuffle is false) and
 * dealt out to the folds in
 * turn, so that the folds depend on the names and the seed alone: not on what is on this disk, nor
 * on the order of a file. */
#ifndef VOX_DATA_SPLIT_H
#define VOX_DATA_SPLIT_H

#include "base/file.h"
#include "base/yaml.h"

typedef struct vox_split {
    int64_t folds, fold; /* folds 0: everybody */
    bool only;           /* this fold alone, else all the others */
    bool in_order;       /* not shuffled */
    uint64_t seed;
} vox_split;

/* node: the value of `patients`; NULL: everybody. */
vox_status vox_split_parse(vox_split *out, const vox_yaml_node *node, vox_error *err);

/* Takes from `patients` those who are out; what stays is sorted and without duplicates.  Fewer
 * patients than folds is an error. */
vox_status vox_split_apply(const vox_split *split, vox_names *patients, vox_error *err);

/* Is the name in a sorted list? */
bool vox_names_has(const vox_names *sorted, const char *name);

#endif
