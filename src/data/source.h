/* source.h - inside the data set: what a kind of source must offer, and the set they fill.
 *
 * A source is one struct, listed once in dataset.c.  It adds cases at open; reading is later, from
 * several threads, so that read must not change the set. */
#ifndef VOX_DATA_SOURCE_H
#define VOX_DATA_SOURCE_H

#include "base/file.h"
#include "data/dataset.h"
#include "data/input.h"
#include "data/prepare.h"

typedef struct vox_case {
    char *name;     /* a path, or which finding: for messages; owned */
    char *where;    /* "train.csv:12", or NULL; owned */
    vox_names file; /* what the source reads; a channel or several each */
    int32_t label;
    bool has_point;
    double point_mm[3]; /* the place of interest, LPS */
    void *extra;        /* the source's own, freed with free() */
} vox_case;

typedef struct vox_source {
    const char *key; /* the word in data.train */
    /* Adds cases with labels, and the classes unless they were given. */
    vox_status (*open)(vox_dataset *set, const vox_yaml_node *value, vox_error *err);
    vox_status (*read)(const vox_dataset *set, const vox_case *c, vox_image **out, vox_error *err);
    void (*rest)(vox_dataset *set);  /* all cases are in the cache; NULL: nothing to let go of */
    void (*close)(vox_dataset *set); /* frees set->state; NULL: nothing to free */
} vox_source;

extern const vox_source vox_source_manifest, vox_source_folder, vox_source_prostatex;

struct vox_dataset {
    const vox_source *source;
    void *state; /* the source's own */
    vox_prepare *prepare;
    char *base_dir;
    int64_t shape[4];
    size_t sample; /* voxels in a sample */
    bool skip_bad;
    uint64_t cache_bytes;
    vox_case *item; /* [count] */
    size_t count, capacity;
    float **cache;        /* [count] after load; NULL: not kept */
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

/* The path in a YAML scalar, which `what` names, relative to the set's base folder.  Caller frees
 * *out. */
vox_status vox_set_path(const vox_dataset *set, const vox_yaml_node *node, const char *what,
                        char **out, vox_error *err);

#endif
