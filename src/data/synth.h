/* synth.h - kinds of synthetic data sets, for vox_synth.
 *
 * A kind is one struct, listed once in synth.c.  It writes into a folder that is not yet where the
 * user wants it: vox_synth renames it when all is there. */
#ifndef VOX_DATA_SYNTH_H
#define VOX_DATA_SYNTH_H

#include "base/error.h"

typedef struct vox_synth_kind {
    const char *name;
    int64_t patients, patients_max; /* the default, and what the format's names have room for */
    vox_status (*write)(const char *dir, uint64_t seed, size_t patients, vox_error *err);
} vox_synth_kind;

extern const vox_synth_kind vox_synth_prostate;

#endif
