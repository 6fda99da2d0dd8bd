/* source.h - inside the data set: what a kind of source must offer, and the set they fill.
 *
 * A source is one struct, listed once in dataset.c.  It adds cases at open; reading is later, from
 * several threads, so that read must not change the set. */
#ifndef VOX_DATA_SOURCE_H
#define VOX_DATA_SOURCE_H

#include "base/file.h"
#include "data/dataset.h"
#include "data/input.h"
#include "data/mask.h"
#include "data/prepare.h"
#include "data/split.h"

typedef struct vox_case {
    char *name;     /* a path, or which finding: for messages; owned */
    char *where;    /* "train.csv:12", or NULL; owned */
    char *patient;  /* whom folds keep together; owned; NULL: name */
    vox_names file; /* what the source reads; a channel or several each */
    char *mask;     /* path of its mask; owned; NULL: none */
    int32_t label;
    /* Of the prepared case, once it was loaded: */
    uint64_t mask_hash;
    int64_t size[3];
    bool empty; /* its mask has no foreground */
    bool has_point;
    double point_mm[3]; /* the place of interest, LPS */
    void *extra;        /* the source's own, freed with free() */
} vox_case;

typedef struct vox_source {
    const char *key; /* the word in data.train */
    /* Adds cases with labels or masks (then all have one, and set->masks is set), and the classes
     * unless they were given. */
    vox_status (*open)(vox_dataset *set, const vox_yaml_node *value, vox_error *err);
    vox_status (*read)(const vox_dataset *set, const vox_case *c, vox_image **out, vox_error *err);
    void (*rest)(vox_dataset *set);  /* all cases are in the cache; NULL: nothing to let go of */
    void (*close)(vox_dataset *set); /* frees set->state; NULL: nothing to free */
} vox_source;

extern const vox_source vox_source_manifest, vox_source_folder, vox_source_pairs, vox_source_msd,
    vox_source_prostatex;

void vox_case_release(vox_case *c); /* frees what is in it */

/* A prepared case in host memory. */
typedef struct vox_ready {
    float *voxel;     /* [C, size] */
    uint8_t *mask;    /* [size]; NULL: the set has none */
    uint32_t *voxels; /* [classes]: of the mask; NULL likewise */
    int64_t size[3];
} vox_ready;

void vox_ready_release(vox_ready *r);
size_t vox_ready_bytes(const vox_dataset *set, const vox_ready *r);
uint64_t vox_ready_mark(const vox_ready *r); /* hash of its mask */

/* dataset_read.c: a case's image and mask as the files have them (close them after a failure
 * too), and the case prepared.  The second's errors name the case. */
vox_status vox_case_open(const vox_dataset *set, const vox_case *c, vox_prepared *p,
                         vox_error *err);
void vox_case_close(vox_prepared *p);
vox_status vox_case_read(const vox_dataset *set, const vox_case *c, vox_ready *r, vox_error *err);

struct vox_dataset {
    const vox_source *source;
    void *state; /* the source's own */
    vox_prepare *prepare;
    char *base_dir;
    int64_t shape[4];
    size_t sample, labels; /* voxels in a sample, and its labels */
    bool masks, patches;   /* patches: cases have sizes of their own, samples are cut from them */
    double foreground;     /* share of patches around a foreground voxel */
    int32_t *class_of;     /* [values]: the class of a mask's value; NULL: its own */
    bool ignores;          /* `ignore` is the value, and the label, of voxels that do not count */
    int32_t ignore;
    size_t values;
    vox_split split;
    const vox_prepare_stats *stats; /* given, borrowed until load; NULL: made from these cases */
    bool skip_bad;
    uint64_t cache_bytes;
    vox_case *item; /* [count] */
    size_t count, capacity;
    vox_ready *cache;     /* [count] after load; voxel NULL: not kept */
    vox_names class_name; /* empty while unknown */
    bool classes_given;
    vox_names bad;
};

/* A new case at the end of the set (name and where are copied), or NULL. */
vox_case *vox_set_add(vox_dataset *set, const char *name, const char *where, int32_t label,
                      vox_error *err);
/* A bad case found at open: with skip_bad it is noted and this succeeds, else *bad becomes the
 * error. */
vox_status vox_set_reject(vox_dataset *set, const char *name, const vox_error *bad, vox_error *err);
void vox_set_drop_last(vox_dataset *set); /* takes the last case out again */
/* Index of a class name; false if there is none of that name. */
bool vox_set_class(const vox_dataset *set, const char *name, int32_t *label);
/* An error about a label that is no class, with the nearest as hint. */
vox_status vox_set_unknown_class(const vox_dataset *set, const char *name, vox_error *err);

/* dataset_classes.c: `classes` of the spec, which must agree with those given by the caller; are
 * there two or more; classes named 0, 1, ... ; and `values`. */
vox_status vox_set_read_classes(vox_dataset *set, const vox_yaml_node *spec,
                                const vox_dataset_options *opt, vox_error *err);
vox_status vox_set_check_classes(const vox_dataset *set, const vox_yaml_node *spec, vox_error *err);
vox_status vox_set_number_classes(vox_dataset *set, int64_t classes, vox_error *err);
vox_status vox_set_read_values(vox_dataset *set, const vox_yaml_node *spec, vox_error *err);

/* A case on the bad list. */
vox_status vox_set_note_bad(vox_dataset *set, const char *name, const vox_error *bad,
                            vox_error *err);
bool vox_set_skippable(const vox_dataset *set, vox_status code);

/* Does the file belong to a header among these names (.raw to .mhd, .img to .hdr)? */
bool vox_is_voxel_file(const vox_names *names, const char *name);

/* pairs.c: the cases of a folder with images and one with masks, matched by name. */
vox_status vox_set_add_pairs(vox_dataset *set, const char *images, const char *masks,
                             vox_error *err);
/* "a" of "x/a.nii.gz": length of the base name without the endings of formats, and *base. */
size_t vox_case_stem(const char *path, const char **base);

/* The path in a YAML scalar, which `what` names, relative to the set's base folder.  Caller frees
 * *out. */
vox_status vox_set_path(const vox_dataset *set, const vox_yaml_node *node, const char *what,
                        char **out, vox_error *err);

#endif
