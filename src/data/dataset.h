/* dataset.h - cases on disk become prepared samples in host memory.
 *
 *   files -> formats -> prepare steps (once per case) -> host cache -> batches ahead of the devices
 *
 * A data set is opened from one entry of an experiment's `data` section (`train:` or `valid:`).
 * Every sample has the network's input shape [C, D, H, W]; its labels are one class, or a class
 * for each voxel (a set with masks).  Which thread prepares a case never changes its voxels. */
#ifndef VOX_DATA_DATASET_H
#define VOX_DATA_DATASET_H

#include "data/prepare.h"

typedef struct vox_dataset vox_dataset;

typedef struct vox_dataset_options {
    const char *base_dir;    /* relative paths in the spec are relative to this */
    int64_t sample_shape[4]; /* C, D, H, W that every prepared case must have */
    bool skip_bad;           /* data.skip_bad: leave bad cases out and list them */
    uint64_t cache_bytes;    /* host memory for prepared cases; 0: no limit */
    /* The classes of another set (the training set's, for validation), so that a name means the
     * same label in both; NULL with count 0: found from the data. */
    const char *const *class_name;
    size_t class_count;
    int64_t classes; /* of the network: masks whose classes nobody names have 0 .. classes - 1 */
    const int32_t *ignore; /* the loss's `ignore`: a value that masks may have too; NULL: none */
    /* Samples are patches of sample_shape cut from cases of any size, a `foreground` share of them
     * around a voxel that is not class 0. */
    bool patches;
    double foreground;
    /* The training set's figures, for validation and test; borrowed until loaded.  NULL: made from
     * these cases where a prepare step wants them. */
    const vox_prepare_stats *stats;
} vox_dataset_options;

/* spec: one of
 *   {manifest: F.csv}     columns image and label or mask [, point, patient]: see manifest.c
 *   {folder: DIR}         a folder per class: see folder.c
 *   {pairs: DIR}          images/ and masks/ or labels/: see pairs.c
 *   {msd: DIR}            dataset.json, imagesTr/, labelsTr/: see msd.c
 *   {prostatex: {...}}    ProstateX as published: see prostatex.h
 * all but the last with `classes: [name, ...]` when the data alone do not show them, and
 * `patients: {folds: 5, without: 0}` (split.h); those with masks with `values: [0, 1, 1]`: the
 * class of each value.
 * prepare: the list under `data.prepare` (NULL: none), see prepare.h.  Scans the cases and their
 * labels, and checks that every named file exists; does not read voxels yet.  A set whose cases
 * are all of one class is an error unless the classes are given. */
vox_status vox_dataset_open(vox_dataset **out, const vox_yaml_node *spec,
                            const vox_yaml_node *prepare, const vox_dataset_options *opt,
                            vox_error *err);
void vox_dataset_free(vox_dataset **set);

size_t vox_dataset_count(const vox_dataset *set);   /* cases, bad ones included until found bad */
size_t vox_dataset_sample(const vox_dataset *set);  /* voxels in a sample, C*D*H*W */
size_t vox_dataset_classes(const vox_dataset *set); /* their number; labels are below it */
const char *vox_dataset_class(const vox_dataset *set, size_t label); /* its name, never NULL */
const char *vox_dataset_case(const vox_dataset *set, size_t i); /* path or finding, for messages */
int32_t vox_dataset_label(const vox_dataset *set, size_t i);
size_t vox_dataset_labels(const vox_dataset *set); /* of a sample: 1, or D*H*W of a mask */
bool vox_dataset_masks(const vox_dataset *set);    /* have the cases masks? */
uint64_t vox_dataset_mark(const vox_dataset *set, size_t i); /* hash of a loaded case's mask */
/* The figures that prepare went by, made or given; channels 0: none.  After load. */
const vox_prepare_stats *vox_dataset_stats(const vox_dataset *set);

/* Reads and prepares all cases on the threads of `pool` (NULL: the caller's), so that a bad one is
 * found before training, and keeps as many as the cache holds.  Fails at the first bad case in
 * order, or with skip_bad drops bad ones (count shrinks); then no case left is an error. */
struct vox_pool;
vox_status vox_dataset_load(vox_dataset *set, struct vox_pool *pool, vox_error *err);
size_t vox_dataset_bad_count(const vox_dataset *set);
const char *vox_dataset_bad(const vox_dataset *set, size_t i); /* "path: why" */

/* Copies case i's prepared voxels into out [C*D*H*W] and its labels into label (NULL: not wanted,
 * either); from the cache, else read anew.  Of patches the first window.  Safe to call from several
 * threads at once. */
vox_status vox_dataset_get(vox_dataset *set, size_t i, float *out, int32_t *label, vox_error *err);

/* Case i as its files have it, not prepared: p->image, p->mask (classes, or VOX_MASK_IGNORED; NULL
 * where the set has none), which the caller frees, and p->point_mm. */
vox_status vox_dataset_open_case(const vox_dataset *set, size_t i, vox_prepared *p, vox_error *err);

/* Which part of a case: drawn from the generator (patch.h), or one of the windows that cover the
 * case, as few as possible and evenly spaced.  Without patches a case is its own only window, and
 * is what a draw gives. */
typedef struct vox_pick {
    bool random;
    uint64_t seed, step, sample; /* random: of the draw */
    size_t window;
} vox_pick;

vox_status vox_dataset_pick(vox_dataset *set, size_t i, const vox_pick *pick, float *out,
                            int32_t *label, vox_error *err);
size_t vox_dataset_windows(const vox_dataset *set, size_t i); /* after load */
/* Case i's prepared voxels where they are kept, for as long as the set lives; NULL: it is not kept,
 * or not as a sample (patches). */
const float *vox_dataset_kept(const vox_dataset *set, size_t i);

/* ---- batches ahead of the devices ---- */

/* One batch in host memory, valid until the next vox_loader_next.  A sample is always at the same
 * place, whatever the share. */
typedef struct vox_batch {
    const float *const *sample; /* [count], each [C, D, H, W]: where the set keeps it, or a copy */
    const int32_t *label;       /* [count, vox_dataset_labels] */
    const size_t *case_index;   /* [n] */
    size_t n;                   /* the last batch of an epoch may be smaller */
    size_t from, count;         /* those of them that were read: all, unless there is a share */
    uint64_t epoch;
    uint64_t first; /* position of sample 0 within the epoch */
} vox_batch;

typedef struct vox_loader vox_loader;

/* Batches of `batch` samples, epoch after epoch, in an order that depends on
 * (seed, epoch) alone (file order when shuffle is false), starting at position `first` of
 * `epoch`, so that a resumed run goes on where it stopped.  Draws are keyed by the seed, the
 * batches before this one, and the place in the batch.  `threads` threads (0: the processors less
 * one, at least 1) read `ahead` batches ahead (at least 1). */
typedef struct vox_loader_options {
    size_t batch, threads, ahead;
    bool shuffle;
    bool windows; /* every window of every case once an epoch, in order; else one draw of each */
    uint64_t seed, epoch, first;
    /* Reads of a batch of n samples only [*from, *from + *count), others work on the rest; asked
     * from any thread when a batch is begun, and by vox_loader_share_anew.  NULL: all. */
    void (*share)(void *user, size_t n, size_t *from, size_t *count);
    void *user;
} vox_loader_options;

/* set is borrowed: it must outlive the loader, and must not be loaded meanwhile.  A `first` past
 * the end of an epoch is an error: the data set is not the one that the position was saved with. */
vox_status vox_loader_open(vox_loader **out, vox_dataset *set, const vox_loader_options *opt,
                           vox_error *err);
size_t vox_loader_count(const vox_loader *loader); /* samples of an epoch */
/* *batch is borrowed.  Wraps to the next epoch by itself.  A case that cannot be read (it was not
 * cached and its file changed) fails the batch it is in, and every call after. */
vox_status vox_loader_next(vox_loader *loader, const vox_batch **batch, vox_error *err);
/* What options.share answers has changed: of the batches that come next, what was read already is
 * kept as far as it is still wanted, and the rest is read now. */
void vox_loader_share_anew(vox_loader *loader);
/* The same, and of the batch that vox_loader_next gave last: it is filled in where it is. */
vox_status vox_loader_again(vox_loader *loader, vox_error *err);
/* The batch that vox_loader_next will give after `skip` others, 0 .. ahead - 1, if it is read
 * already, else NULL; never waits.  It stays valid until the call after that one. */
const vox_batch *vox_loader_peek(vox_loader *loader, size_t skip);
/* Reads no more; what was read stays.  Only vox_loader_free may follow. */
void vox_loader_stop(vox_loader *loader);
void vox_loader_free(vox_loader **loader); /* at any time; waits for reads under way */

#endif
