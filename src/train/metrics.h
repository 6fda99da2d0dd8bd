/* metrics.h - how good a classifier is, from its class scores.
 *
 * Definitions (K classes, truth t_i, scores s_i[k]):
 *  accuracy   share of samples whose highest score is at t_i; among equal scores the lowest class.
 *  confusion  confusion[t * K + p]: samples of class t predicted as p.
 *  auc        one class against the rest: the probability that a sample of the class has a higher
 *             s[k] than one of another class, ties counting half (Mann-Whitney U by mid-ranks;
 *             Hanley & McNeil, Radiology 143, 1982).  The mean over the classes that have both
 *             (macro, unweighted); NaN if there is none.
 *  kappa      quadratic-weighted: 1 - sum w O / sum w E with w = ((i-j)/(K-1))^2, O the confusion
 *             matrix and E the outer product of its margins over the number of samples (Cohen,
 *             Psychological Bulletin 70, 1968).  NaN where sum w E = 0 (one class only).
 *  dice       of maps, each class: 2 TP / (2 TP + FP + FN), counted over the voxels of all samples
 *             together (nnU-Net's "pseudo Dice" of its validations); NaN for a class that is
 *             neither there nor predicted.  Means over cases are metrics_segmentation.h's. */
#ifndef VOX_TRAIN_METRICS_H
#define VOX_TRAIN_METRICS_H

#include "base/mem.h"

#define VOX_CLASSES_MAX 64

/* Collects samples; zero-initialise, set classes (2..64), release. */
typedef struct vox_metrics {
    int64_t classes;
    size_t samples, room, score_room;
    float *score;   /* [samples, classes] */
    int32_t *truth; /* [samples] */
    double loss_sum;
    int64_t *voxels; /* of maps: confusion[classes, classes]; NULL: none were added */
} vox_metrics;

typedef struct vox_metrics_result {
    int64_t samples, classes;
    double loss, accuracy, auc, kappa;
    bool maps;                          /* of voxels; else NaN: */
    double dice;                        /* the mean of class_dice without class 0 and NaN */
    double class_dice[VOX_CLASSES_MAX]; /* classes used */
    int64_t confusion[VOX_CLASSES_MAX * VOX_CLASSES_MAX]; /* classes*classes used */
} vox_metrics_result;

void vox_metrics_clear(vox_metrics *m); /* forgets the samples */
void vox_metrics_release(vox_metrics *m);

/* score[n, classes], truth[n] in [0, classes), loss[n]: one for each sample. */
vox_status vox_metrics_add(vox_metrics *m, size_t n, const float *score, const int32_t *truth,
                           const float *loss, vox_error *err);

/* A class for every voxel.  channels == 1: class 1 where the output is above the threshold. */
typedef struct vox_metrics_map {
    int64_t channels;
    size_t voxels; /* of one sample */
    float threshold;
} vox_metrics_map;

/* output[n, channels, voxels], truth[n, voxels] (voxels whose truth is no class do not count),
 * loss[n].  Accuracy, confusion and dice are then of all voxels together; auc and kappa NaN. */
vox_status vox_metrics_add_maps(vox_metrics *m, size_t n, const vox_metrics_map *map,
                                const float *output, const int32_t *truth, const float *loss,
                                vox_error *err);
/* dice and class_dice, from confusion. */
void vox_metrics_dice(vox_metrics_result *r);
/* With no sample everything is NaN. */
vox_status vox_metrics_get(const vox_metrics *m, vox_metrics_result *out, vox_error *err);

/* The class with the highest score, the lowest among equals. */
int64_t vox_metrics_argmax(const float *score, int64_t classes);

/* p = softmax(x) over `classes` numbers, in double; x may be +-1e30. */
void vox_metrics_softmax(const float *x, int64_t classes, float *p);

#endif
