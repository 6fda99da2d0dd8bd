/* synth.h - kinds of synthetic data sets, for vox_synth.
 *
 * A kind is one struct, listed once in synth.c.  It writes into a folder that is not yet where the
 * user wants it: vox_synth renames it when all is there. */
#ifndef VOX_DATA_SYNTH_H
#define VOX_DATA_SYNTH_H

#include "base/mem.h"

/* What is asked for, checked. */
typedef struct vox_synth_order {
    const char *dir;
    uint64_t seed;
    size_t patients;
    int64_t size[3]; /* d, h, w */
} vox_synth_order;

typedef struct vox_synth_kind {
    const char *name;
    int64_t patients, patients_max; /* the default, and what the format's names have room for */
    int64_t size[3];                /* the default; 0: the kind has sizes of its own */
    vox_status (*write)(const vox_synth_order *order, vox_error *err);
} vox_synth_kind;

extern const vox_synth_kind vox_synth_prostate, vox_synth_nodule, vox_synth_tumour;

/* Calls write(user, i) for each patient on all processors, its files unsynced (vox_file_lazy);
 * the error is that of the first patient that failed. */
vox_status vox_synth_each(size_t patients,
                          vox_status (*write)(void *user, size_t i, vox_error *err), void *user,
                          vox_error *err);

/* Two folders in dir. */
vox_status vox_synth_folders(const char *dir, const char *one, const char *other, vox_error *err);

/* Writes dir/name, and releases the text. */
vox_status vox_synth_text(const char *dir, const char *name, vox_str *text, vox_error *err);

#endif
