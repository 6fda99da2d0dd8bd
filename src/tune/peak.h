/* peak.h - what a device can do at most, measured. */
#ifndef VOX_TUNE_PEAK_H
#define VOX_TUNE_PEAK_H

#include "ocl/kernel.h"

/* Most float32 operations per second, from chains of fused multiply-adds in registers on all
 * compute units; takes a few tens of milliseconds.  The figure shares are given of. */
vox_status vox_peak_flops(vox_device *dev, double *flops_per_s, vox_error *err);

typedef struct vox_copy_rate {
    double bytes_per_s; /* read and written together */
    size_t bytes;       /* of each of the two arrays */
} vox_copy_rate;

/* The rate of a plain copy between two arrays in the device's memory, each of 256 MiB (less where
 * the device has little room): far beyond CPUs' second-level caches, though not beyond the largest
 * last-level ones.  What memory-bound kernels are compared with. */
vox_status vox_peak_copy(vox_device *dev, vox_copy_rate *rate, vox_error *err);

#endif
