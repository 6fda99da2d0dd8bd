/* faults.h - devices that fail or dawdle on demand, so that what happens then can be tested.
 *
 *   VOXCL_FAULT="DEVICE:STEP:KIND[,...]"      for tests, see docs/parallel.md
 *
 * DEVICE counts the job's devices from 0, STEP its steps from 1 as metrics.jsonl does; from that
 * step on the device fails in each one.  STEP 0 is the time before the first step.  KIND:
 *   lost       the device is gone               (CL_DEVICE_NOT_AVAILABLE)
 *   memory     it has no memory left            (CL_MEM_OBJECT_ALLOCATION_FAILURE)
 *   memory=N   at STEP 0: none for more than N samples at once
 *   driver     its driver fails                 (CL_OUT_OF_RESOURCES)
 *   hang       its work never ends; hang=S: after S seconds it goes on where it was
 *   wait       with --sync async: its work begins when the others can do no more without it
 *   slow=F     its work takes F times as long   (F >= 1)
 *   pace=S     its work is said to take S seconds a sample, whatever it took   (S > 0)
 *
 * One invariant: without the variable nothing here does anything. */
#ifndef VOX_PARALLEL_FAULTS_H
#define VOX_PARALLEL_FAULTS_H

#include "base/error.h"

#define VOX_FAULT_VARIABLE "VOXCL_FAULT"

typedef enum vox_fault_kind {
    VOX_FAULT_LOST,
    VOX_FAULT_MEMORY,
    VOX_FAULT_DRIVER,
    VOX_FAULT_HANG,
    VOX_FAULT_WAIT,
    VOX_FAULT_SLOW,
    VOX_FAULT_PACE
} vox_fault_kind;

typedef struct vox_fault {
    size_t device;
    int64_t step;
    vox_fault_kind kind;
    double value; /* of memory, hang (0: none was given), slow and pace */
} vox_fault;

typedef struct vox_faults {
    vox_fault *fault; /* [count]; owned */
    size_t count;
} vox_faults;

/* Reads text (NULL or "": no faults).  VOX_ERR_USAGE: it is none, or names a device that the job,
 * which has `devices`, has not. */
vox_status vox_faults_parse(vox_faults *faults, const char *text, size_t devices, vox_error *err);
void vox_faults_release(vox_faults *faults);

/* Before a device is set up for n samples at once. */
vox_status vox_faults_at_start(const vox_faults *faults, size_t device, int64_t n, vox_error *err);
/* On the device's own thread, where its work for a step (from 1) would begin: fails as the device
 * would, or never returns. */
vox_status vox_faults_at_step(const vox_faults *faults, size_t device, int64_t step,
                              vox_error *err);
/* Whether it is to wait for the others. */
bool vox_faults_waits(const vox_faults *faults, size_t device, int64_t step);
/* After its work, which took `seconds`: keeps the thread's processor busy for what slow= adds, if
 * anything. */
bool vox_faults_dawdle(const vox_faults *faults, size_t device, int64_t step, double seconds);
/* The seconds that its work on n samples is to be said to have taken. */
double vox_faults_told(const vox_faults *faults, size_t device, int64_t step, int64_t n,
                       double seconds);

#endif
