/* scaling_model.h - how long a training step takes on n devices, by a model fitted to measured
 * steps.
 *
 * A step of batch B on n devices, k of them in each of h hosts (k = min(n, per_host),
 * h = ceil(n / per_host)), the largest share being m = ceil(B / n):
 *
 *   T(n, B) = compute + reduce + update + send + network
 *   compute = (fixed + per_sample * m) * (1 + crowding * (k - 1))
 *   reduce  = fetch + exposed * (level * ceil(log2 k) + byte_reduced * (k + 1) * summed)
 *   network = 2 * latency * ceil(log2 h) + 2 * (h - 1) / h * summed / bandwidth, less `hidden` of
 *             the compute time, beside which gradients travel, and, if there are factors,
 *             latency * ceil(log2 h) + (h - 1) / h * factors / bandwidth; 0 for h = 1
 *   summed, factors: bytes of gradients that are summed, and of what others are products of
 *             (factors.h), in batches of B
 *
 * and on one device T(1, B) = fixed + per_sample * B + own_update: nothing leaves it.
 *
 * fixed, per_sample: a device's step is a line over its samples, whose height at 0 is launching,
 *   packing of weights, and summing up their gradients.
 * crowding: what each further device at work in a host costs all of them (memory, clock, caches).
 * reduce: the tree reads k gradients and writes one; every level costs a little on top.  Buckets of
 *   gradients are summed while backward goes on: what is left after it is `exposed`.  fetch and
 *   send, gradients to the host and weights back, go over each device's own link at once: they do
 *   not depend on how many devices there are.  Nor does update, which is the host's.
 * network: reduce-scatter and all-gather by halves; Thakur, Rabenseifner, Gropp: "Optimization of
 *   collective communication operations in MPICH", IJHPCA 19(1), 2005, section 4.5.
 *
 * Nothing here measures: what is measured, fitted and assumed is the caller's to say. */
#ifndef VOX_PARALLEL_SCALING_MODEL_H
#define VOX_PARALLEL_SCALING_MODEL_H

#include "base/error.h"

/* One measured size of job on one host: medians over its steps. */
typedef struct vox_scaling_point {
    int64_t devices, share; /* share: the largest one's samples */
    double compute_s;       /* until the slowest device was through */
    double reduce_s, update_s, send_s;
} vox_scaling_point;

/* Sums of `leaves` gradients in host memory, measured by themselves. */
typedef struct vox_scaling_sum {
    int64_t leaves;
    double seconds;
} vox_scaling_sum;

/* Bytes of one batch. */
typedef struct vox_scaling_sent {
    double summed, factors;
} vox_scaling_sent;

typedef struct vox_scaling_model {
    double bytes; /* of all gradients */
    /* How they go in batches of so many; NULL: all of them summed. */
    vox_scaling_sent (*sent)(const void *arg, int64_t batch);
    const void *sent_arg; /* borrowed */
    int64_t per_host;
    /* fitted: seconds */
    double fixed_s, per_sample_s, crowding;
    double level_s, byte_reduced_s; /* a tree's level; a byte read or written */
    double exposed;                 /* share of the tree that is left when backward is done, 0..1 */
    double fetch_s;          /* of the reduction beside the tree: waking, mapping or copying */
    double update_s, send_s; /* on the host; to the devices */
    double own_update_s;     /* on the only device */
    /* assumed */
    double latency_s, bandwidth; /* of the network between hosts: one way; bytes/s each way */
    double hidden;               /* share of compute that the network works beside; 0..1 */
    double error;                /* largest relative error of the fit on the points' whole steps */
} vox_scaling_model;

/* Fits to points on 1 device (at least one; with two shares or more fixed_s is told apart from
 * per_sample_s) and on several (none: crowding, update and send are 0).  bytes, sent, per_host and
 * what is assumed are left as they are.  VOX_ERR_USAGE without a point on one device. */
vox_status vox_scaling_fit(vox_scaling_model *m, const vox_scaling_point *point, size_t points,
                           const vox_scaling_sum *sum, size_t sums, vox_error *err);

typedef struct vox_scaling_step {
    int64_t devices, hosts, batch;
    double compute_s, reduce_s, update_s, send_s, network_s, step_s;
    double utilisation_mean, utilisation_min; /* shares of the step in which devices compute */
} vox_scaling_step;

/* devices >= 1, batch >= 1.  Devices without a sample (batch < devices) idle. */
vox_scaling_step vox_scaling_predict(const vox_scaling_model *m, int64_t devices, int64_t batch);

#endif
