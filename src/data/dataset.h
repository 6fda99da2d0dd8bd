/* dataset.h - cases on disk become prepared samples in host memory.
 *
 *   files -> formats -> prepare steps (once per case) -> host cache -> batches ahead of the devices
 *
 * A data set is opened from one entry of an experiment's `data` section (`train:` or `valid:`).
 * Every sample has the network's input shape [C, D, H, W].  Which thread prepares a case never
 * changes its voxels. */
#ifndef VOX_DATA_DATASET_H
#define VOX_DATA_DATASET_H

#include "base/yaml.h"

typedef struct vox_dataset vox_dataset;

typedef struct vox_dataset_options {
    const char *base_dir;    /* relative paths in the spec are relative to this */
    int64_t sample_shape[4]; /* C, D, H, W that every prepared case must have */
    bool skip_bad;           /* data.skip_bad: leave bad cases out and list them */
    uint64_t cache_bytes;    /* host memory for prepared cases; 0: no limit */
} vox_dataset_options;

/* spec: one of {manifest: F.csv}, {folder: DIR}, {prostatex: {...}}; prepare: the list under
 * `data.prepare` (NULL: none).  Scans the cases and their labels, and checks that
 * every named file exists; does not read voxels yet. */
vox_status vox_dataset_open(vox_dataset **out, const vox_yaml_node *spec,
                            const vox_yaml_node *prepare, const vox_dataset_options *opt,
                            vox_error *err);
void vox_dataset_free(vox_dataset **set);

size_t vox_dataset_count(const vox_dataset *set);   /* cases, bad ones included until found bad */
size_t vox_dataset_classes(const vox_dataset *set); /* number of classes (largest label + 1) */
const char *vox_dataset_class(const vox_dataset *set, size_t label); /* its name, never NULL */
const char *vox_dataset_case(const vox_dataset *set, size_t i); /* path or finding, for messages */
int32_t vox_dataset_label(const vox_dataset *set, size_t i);

/* Reads and prepares all cases on the threads of `pool` (NULL: the caller's), as far as the cache
 * holds.  Fails at the first bad case in order, or with skip_bad drops bad ones (count shrinks). */
struct vox_pool;
vox_status vox_dataset_load(vox_dataset *set, struct vox_pool *pool, vox_error *err);
size_t vox_dataset_bad_count(const vox_dataset *set);
const char *vox_dataset_bad(const vox_dataset *set, size_t i); /* "path: why" */

/* Copies case i's prepared voxels into out [C*D*H*W]; from the cache, else read anew.
 * Safe to call from several threads at once. */
vox_status vox_dataset_get(vox_dataset *set, size_t i, float *out, vox_error *err);

/* ---- batches ahead of the devices ---- */

/* One batch in host memory, valid until the next vox_loader_next. */
typedef struct vox_batch {
    const float *voxel;       /* [n, C, D, H, W] */
    const int32_t *label;     /* [n] */
    const size_t *case_index; /* [n] */
    size_t n;                 /* the last batch of an epoch may be smaller */
    uint64_t epoch;
    uint64_t first; /* position of sample 0 within the epoch */
} vox_batch;

typedef struct vox_loader vox_loader;

/* Batches of `batch` samples, epoch after epoch, in an order that depends on
 * (seed, epoch) alone (file order when shuffle is false), starting at position `first` of
 * `epoch`, so that a resumed run goes on where it stopped.  `threads` threads (0: the
 * processors less one, at least 1) read `ahead` batches ahead (at least 1). */
typedef struct vox_loader_options {
    size_t batch, threads, ahead;
    bool shuffle;
    uint64_t seed, epoch, first;
} vox_loader_options;

vox_status vox_loader_open(vox_loader **out, vox_dataset *set, const vox_loader_options *opt,
                           vox_error *err);
/* *batch is borrowed.  Wraps to the next epoch by itself. */
vox_status vox_loader_next(vox_loader *loader, const vox_batch **batch, vox_error *err);
void vox_loader_free(vox_loader **loader);

#endif
