/* timing.h - how long something takes on a device, by the clock and by device events, beside a copy
 * of as many bytes. */
#ifndef VOX_TUNE_TIMING_H
#define VOX_TUNE_TIMING_H

#include "ocl/device.h"

#define VOX_TIMING_MOST 100 /* runs */

typedef struct vox_timing {
    double median, least, most; /* seconds by the clock, from the call to the end on the device */
    double device; /* mean seconds by device events of its launches, without what lies between */
    double copy_seconds; /* median of copies of as many bytes */
} vox_timing;

/* Enqueues what is timed. */
typedef vox_status (*vox_timed)(void *what, vox_error *err);

/* Runs it once to warm up (drivers compile then), then `repeat` times (0: as many as fit in half a
 * second, 5 to 100), but for no longer than three seconds; if the first took longer than that, it
 * is the only one, and `device` NAN.  It takes turns with copies of so many bytes (read and written
 * together; 0: no copies, copy_seconds NAN), so that what else the machine does, and how much fits
 * its caches, hits both alike.  Afterwards a few runs more with profiling on, for the events. */
vox_status vox_time_runs(vox_device *dev, vox_timed run, void *what, double bytes, int64_t repeat,
                         vox_timing *out, vox_error *err);

#endif
