/* experiment.h - a whole experiment file, parsed and checked: the network as a graph, the data
 * section as nodes for src/data, the training section as numbers.
 *
 * Everything in it is owned by it; nodes are borrowed from its document. */
#ifndef VOX_TRAIN_EXPERIMENT_H
#define VOX_TRAIN_EXPERIMENT_H

#include "base/yaml.h"
#include "net/graph.h"

/* `data:`; every node is NULL where the file does not have it. */
typedef struct vox_data_spec {
    const vox_yaml_node *node;          /* the section; NULL: none (bench and info need none) */
    const vox_yaml_node *train, *valid; /* one of {manifest: F}, {folder: D}, {prostatex: {...}} */
    const vox_yaml_node *prepare;       /* a list of steps */
    const vox_yaml_node *augment;       /* a list of steps */
    bool skip_bad;                      /* leave bad cases out; default false */
    uint64_t cache_bytes;               /* host memory for prepared cases; 0 (default): no limit */
    bool patches;                       /* `patch`: samples are cut from larger cases */
    double foreground;                  /* share of them around foreground; 0.33 */
} vox_data_spec;

typedef enum vox_optimizer_kind {
    VOX_OPTIMIZER_SGD,
    VOX_OPTIMIZER_ADAM,
    VOX_OPTIMIZER_ADAMW,
    VOX_OPTIMIZER_LARS,
    VOX_OPTIMIZER_LAMB,
    VOX_OPTIMIZERS
} vox_optimizer_kind;

typedef enum vox_adapt { VOX_ADAPT_WEIGHTS, VOX_ADAPT_ALL } vox_adapt;

/* `optimizer: {sgd: {...}}`, `adam`, `adamw`: PyTorch's meanings and defaults; `lars` and `lamb`:
 * their papers'.  Without the key: sgd, lr 0.01. */
typedef struct vox_optimizer_spec {
    vox_optimizer_kind kind;
    double lr;           /* sgd 0.01, adam, adamw and lamb 0.001, lars 1 */
    double weight_decay; /* 0; adamw and lamb 0.01, lars 0.0005 */
    /* sgd and lars */
    double momentum; /* 0; lars 0.9 */
    /* sgd */
    double dampening; /* 0 */
    bool nesterov;    /* false; needs momentum > 0 and dampening 0 */
    /* adam, adamw and lamb */
    double beta1, beta2; /* 0.9, 0.999: below 1 */
    double eps;          /* 1e-8; lamb 1e-6; lars, in its ratio: 1e-8 */
    bool amsgrad;        /* false; not lamb */
    /* lars and lamb: optimizer_trust.h */
    double trust; /* lars: 0.001 */
    int adapt;    /* vox_adapt: weights (default): tensors of one dimension, that is biases and
                     weights of norms, are neither adapted nor do they decay; all: they are */
} vox_optimizer_spec;

typedef enum vox_schedule_kind {
    VOX_SCHEDULE_CONSTANT,
    VOX_SCHEDULE_STEP,        /* lr * gamma^floor(t / every) */
    VOX_SCHEDULE_POLY,        /* lr * (1 - t / T)^power */
    VOX_SCHEDULE_EXPONENTIAL, /* lr * gamma^(t / every) */
    VOX_SCHEDULE_INVERSE      /* lr / (1 + gamma * t / every)^power */
} vox_schedule_kind;

/* `schedule: poly` or `{poly: {...}}`: the rate at step t (from 0) of T, never below the floor. */
typedef struct vox_schedule_spec {
    vox_schedule_kind kind;
    double floor;  /* a learning rate; 0 */
    double power;  /* poly 0.9, inverse 1 */
    double gamma;  /* step 0.1; exponential and inverse: required */
    int64_t every; /* steps; step: required, else 1 */
} vox_schedule_spec;

/* `ema: {decay: 0.999}`: training keeps an average of the weights (train/ema.h), which validation,
 * eval and predict use. */
typedef struct vox_ema_spec {
    bool on;
    double decay; /* 0.999 */
    bool ramp;    /* true */
} vox_ema_spec;

typedef enum vox_monitor { VOX_MONITOR_SCORE, VOX_MONITOR_LOSS } vox_monitor;

/* `early_stop: {patience: 10}`: training ends, as if finished, after so many validations in a row
 * none of which was better than the best before by more than min_delta. */
typedef struct vox_early_stop_spec {
    int64_t patience; /* 0: off */
    double min_delta; /* 0 */
    int monitor;      /* vox_monitor; score (default): accuracy, or of segmentations Dice; loss */
} vox_early_stop_spec;

/* How the rate grows with the batch (train/schedule.h); auto: linear for sgd and lars, sqrt for
 * adam, adamw and lamb. */
typedef enum vox_scaling {
    VOX_SCALING_AUTO,
    VOX_SCALING_LINEAR,
    VOX_SCALING_SQRT,
    VOX_SCALING_NONE
} vox_scaling;

/* `train:`; without the section every value is its default. */
typedef struct vox_train_spec {
    const vox_yaml_node *node; /* the section, for messages; may be NULL */
    int64_t batch;             /* the GLOBAL batch; 1 */
    int64_t accumulate;        /* parts a batch is computed in, one after the other; 1 */
    int64_t memory_mib;        /* most of a device's memory; 0: vox_plan_options.memory's default */
    int64_t iterations, epochs; /* at most one is not 0; both 0: not given (bench, info) */
    vox_optimizer_spec optimizer;
    vox_schedule_spec schedule;
    int64_t reference_batch;  /* the batch that the rate was tuned for; 0: this one */
    int scaling;              /* vox_scaling; needs reference_batch */
    int64_t warmup;           /* steps in which the rate climbs linearly to the schedule's; 0 */
    bool warmup_given;        /* else a large batch has a default of its own: train/schedule.h */
    double clip_norm;         /* of all gradients together; 0: none */
    bool shuffle;             /* true */
    uint64_t seed;            /* 1 */
    int64_t validate_every;   /* steps; 0 (default): after every epoch */
    int64_t checkpoint_every; /* steps; 0 (default): after every validation */
    double max_minutes;       /* stops cleanly after these; 0: no limit */
    vox_ema_spec ema;
    vox_early_stop_spec early_stop;
} vox_train_spec;

/* "sgd {lr: 0.1, momentum: 0.9}": the optimiser with the keys that are not its defaults. */
void vox_optimizer_text(const vox_optimizer_spec *optimizer, char *out, size_t size);

/* Samples that go through the devices at once: batch / accumulate, rounded up. */
int64_t vox_train_at_once(const vox_train_spec *train);

struct vox_experiment {
    char *name;     /* letters, digits, . _ - only; the file's own name where none is given */
    char *path;     /* the file, or the name messages call the text by */
    char *base_dir; /* relative data paths are relative to this */
    char *text;     /* the document as run, overrides applied */
    vox_yaml *doc;
    vox_graph *graph;
    vox_data_spec data;
    vox_train_spec train;
};

/* Like vox_experiment_open, from a text (such as a checkpoint holds); messages call it `name`. */
vox_status vox_experiment_parse(vox_experiment **out, const char *text, const char *name,
                                const char *base_dir, vox_error *err);

#endif
