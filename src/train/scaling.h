/* scaling.h - what vox_bench_scaling is made of: measured steps, accuracies, and the picture. */
#ifndef VOX_TRAIN_SCALING_H
#define VOX_TRAIN_SCALING_H

#include "parallel/scaling_model.h"
#include "train/experiment.h"

/* A job that was measured. */
typedef struct vox_scaling_run {
    int64_t devices, batch;
    double step_s, least_s, most_s; /* the median, and the range */
    vox_scaling_point point;        /* medians; compute_s: of the slowest device */
    double *busy;                   /* [devices]: share of the step it computes, medians; owned */
} vox_scaling_run;

typedef struct vox_scaling_job {
    const vox_experiment *exp;
    const vox_methods *methods;
    int64_t steps;
    bool on_host; /* the model in host memory also with one device */
} vox_scaling_job;

/* Times steps of a batch, made up, on all devices of ctx.  run->busy is to be freed by the caller,
 * also on failure (NULL is fine). */
vox_status vox_scaling_measure(vox_scaling_run *run, const vox_scaling_job *job, vox_ctx *ctx,
                               int64_t batch, vox_error *err);
/* Times the sum of `leaves` gradients of `floats`, as often as job->steps says. */
vox_status vox_scaling_measure_sum(vox_scaling_sum *sum, size_t leaves, size_t floats,
                                   int64_t steps, vox_error *err);

/* One training with the batch of `workers` workers. */
typedef struct vox_scaling_accuracy {
    int64_t workers, batch, steps;
    double value;  /* accuracy, or Dice of a segmentation; of the last validation */
    bool dice;     /* value is one */
    bool finished; /* the experiment's epochs or iterations were done in time */
    double time_s;
} vox_scaling_accuracy;

typedef struct vox_scaling_training {
    const char *path; /* of the experiment */
    const char *const *set;
    size_t sets;
    const char *data_dir;
    const vox_methods *methods;
    double minutes; /* at most, for one training */
} vox_scaling_training;

/* Trains the experiment with a batch `workers` times its own, for the same epochs (or as many
 * samples), the workers simulated one after the other by accumulation. */
vox_status vox_scaling_train(vox_scaling_accuracy *out, const vox_scaling_training *how,
                             vox_ctx *ctx, int64_t workers, vox_error *err);

/* What the picture shows at one number of devices. */
typedef struct vox_scaling_dot {
    double devices, value;
    int series;
    bool predicted;
} vox_scaling_dot;

typedef struct vox_scaling_panel {
    const char *title;
    const char *series[4]; /* names; NULL: no such series */
    const char *nothing;   /* what to say where there is no dot */
    bool ideal;            /* a line value = devices, on logarithmic axes; else 0..1 upwards */
    const char *across;    /* "devices" */
    vox_scaling_dot *dot;  /* [count], of each series in the order of the devices; owned */
    size_t count, capacity;
} vox_scaling_panel;

vox_status vox_scaling_dot_add(vox_scaling_panel *p, int series, double devices, double value,
                               bool predicted, vox_error *err);
/* Three panels beside each other; measured dots are full, predicted ones hollow. */
vox_status vox_scaling_draw(const vox_scaling_panel panel[3], const char *title, const char *path,
                            vox_error *err);

#endif
