/* segment.h - one scan through prepare, network and back: probabilities of its classes, and the way
 * to the scan's own grid.  Shared by prediction and evaluation. */
#ifndef VOX_TRAIN_SEGMENT_H
#define VOX_TRAIN_SEGMENT_H

#include "train/model.h"
#include "train/restore.h"
#include "train/sliding.h"

typedef struct vox_segmentation {
    vox_image grid; /* the scan's size and geometry; voxel: its first channel if kept; owned */
    int64_t classes;
    float *score;        /* [channels, prepared size]; owned */
    vox_restore restore; /* of score, to grid */
    vox_sliding_times times;
} vox_segmentation;

/* Fails unless the network has an output for every voxel. */
vox_status vox_segment_check(const vox_model *model, vox_error *err);

/* p->image is prepared in place (p->mask must be NULL), its first channel kept before if wanted.
 * opt->batch is set by this.  Release after a failure too.  VOX_ERR_MEMORY with the bytes, before
 * any are taken, if the host has less free. */
vox_status vox_segment_run(vox_segmentation *out, vox_model *model, vox_prepared *p,
                           const vox_prepare *steps, const vox_sliding_options *opt,
                           bool keep_channel, vox_pool *pool, vox_error *err);
void vox_segmentation_release(vox_segmentation *s);

/* The public options' overlap: 0 is half, negative none. */
double vox_segment_overlap(double overlap);

/* The axes (bits d 1, h 2, w 4) of "all", "trained" - those that the experiment's augmentation
 * mirrors - or letters; NULL: none. */
vox_status vox_segment_mirror(const vox_model *model, const char *text, unsigned *axes,
                              vox_error *err);

/* A CSV file with a row per case and class; whole or not at all. */
vox_status vox_segment_scores_write(const vox_segment_scores *scores, const vox_model *model,
                                    const char *path, vox_error *err);

#endif
