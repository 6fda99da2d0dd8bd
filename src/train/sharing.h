/* sharing.h - which device gets what share of a batch: as the user says, or as the run to be
 * resumed had it.
 *
 * One invariant: shares change who computes what and how fast that is, never what is computed. */
#ifndef VOX_TRAIN_SHARING_H
#define VOX_TRAIN_SHARING_H

#include "parallel/team.h"
#include "train/experiment.h"

typedef struct vox_sharing {
    vox_shard_mode mode;
    vox_fleet fleet; /* the devices of all ranks */
    double *weight;  /* [fleet.count]; owned */
    bool recalled;   /* the weights are those the run to be resumed had */
} vox_sharing;

/* Reads opt->shard for all ranks' devices, this one's being those of ctx.  VOX_ERR_USAGE also if a
 * batch (in train.accumulate's parts) has fewer samples than there are devices to have some.
 * Collective. */
vox_status vox_sharing_init(vox_sharing *s, const vox_train_options *opt,
                            const vox_train_spec *train, const vox_ctx *ctx, vox_error *err);
void vox_sharing_release(vox_sharing *s);

/* What vox_sharing_text wrote (NULL: nothing) becomes the weights to begin with, if they are to be
 * found by measuring and the devices are the same ones. */
vox_status vox_sharing_recall(vox_sharing *s, const char *text, vox_error *err);
/* Rank 0's weights become everybody's.  Collective. */
vox_status vox_sharing_spread(vox_sharing *s, vox_hosts *hosts, vox_error *err);
/* A line "weight title" for each device; the caller frees it.  NULL and *err filled: no memory. */
char *vox_sharing_text(const vox_team *team, vox_error *err);

#endif
