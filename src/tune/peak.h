/* peak.h - what a device can do at most, measured. */
#ifndef VOX_TUNE_PEAK_H
#define VOX_TUNE_PEAK_H

#include "ocl/kernel.h"

/* Most float32 operations per second, from chains of fused multiply-adds in registers on all
 * compute units; takes a few tens of milliseconds.  The figure shares are given of. */
vox_status vox_peak_flops(vox_device *dev, double *flops_per_s, vox_error *err);

#endif
