/* device.h - opened OpenCL devices: one context, one in-order queue (and one beside it for early
 * writes) and one program cache each.
 *
 * src/ocl is the only room that calls cl*().  An opened device is used by one host thread at a
 * time (its own); different devices are independent.  Work enqueued on a device runs in the order
 * of the calls; nothing waits for the host unless it says so. */
#ifndef VOX_OCL_DEVICE_H
#define VOX_OCL_DEVICE_H

#include "base/trace.h"
#include "ocl/place.h"

typedef struct vox_device vox_device;
typedef struct vox_buffer vox_buffer;

/* Opens device number `index` of a fresh discovery (vox_device_desc.index). */
vox_status vox_device_open(vox_device **out, int index, vox_error *err);
/* Splits it into `parts` sub-devices of equally many compute units, each with a context and a queue
 * of its own, and opens `count` of them from part `first` (1..parts) on; what does not divide stays
 * idle.  out[count], all NULL on failure.  With parts 1 it is vox_device_open.  The compute units
 * of the parts are disjoint. */
vox_status vox_device_open_parts(vox_device **out, int index, uint32_t parts, uint32_t first,
                                 uint32_t count, vox_error *err);
/* Waits for its work, then releases everything; buffers and kernels of it must be freed before. */
void vox_device_free(vox_device **dev);
/* Work on it does not end: from now on vox_device_free releases nothing and does not wait. */
void vox_device_abandon(vox_device *dev);

const vox_device_desc *vox_device_get(const vox_device *dev); /* borrowed */
/* "0 pthread-AVX512", a sub-device "0/2.1 pthread-AVX512"; borrowed. */
const char *vox_device_title(const vox_device *dev);
bool vox_device_is_cpu(const vox_device *dev);

/* Bytes of buffers allocated on it now, and the most there have been at once. */
uint64_t vox_device_bytes(const vox_device *dev);
uint64_t vox_device_peak_bytes(const vox_device *dev);
/* Bytes of its memory that are free now, as far as the driver or the host tells; at most what
 * this process has left of it. */
uint64_t vox_device_free_bytes(const vox_device *dev);

/* Makes the driver start what was enqueued; waits until all of it is done, writes beside it too. */
vox_status vox_device_flush(vox_device *dev, vox_error *err);
vox_status vox_device_finish(vox_device *dev, vox_error *err);

/* Where it is. */
void vox_device_place(const vox_device *dev, vox_place *place);

/* Binds the calling thread to processors near the device (hwloc); does nothing
 * where the place is unknown.  Best effort, hence no status. */
void vox_device_bind_thread(const vox_device *dev);

/* The opened devices of a context (voxcl.h), for the other rooms; borrowed. */
vox_device *vox_ctx_get(const vox_ctx *ctx, size_t i);

/* A context of the first `count` devices of another, which it borrows; ctx must outlive it. */
vox_status vox_ctx_first(vox_ctx **out, const vox_ctx *ctx, size_t count, vox_error *err);

/* ---- buffers ------------------------------------------------------------ */

typedef enum vox_buffer_kind {
    VOX_BUFFER_DEVICE, /* in device memory; contents undefined until written */
    VOX_BUFFER_PINNED  /* host memory the device reads and writes directly, for transfers */
} vox_buffer_kind;

/* bytes >= 1.  `what` names it in errors ("activations of conv1").  Fails before
 * asking the driver when bytes pass the device's largest allocation or its memory. */
vox_status vox_buffer_open(vox_buffer **out, vox_device *dev, size_t bytes, vox_buffer_kind kind,
                           const char *what, vox_error *err);
/* A window on [offset, offset + bytes) of a device buffer, which must outlive it; offset is a
 * multiple of VOX_BUFFER_ALIGN.  Kernels see it as a buffer of its own. */
#define VOX_BUFFER_ALIGN                                                                           \
    1024 /* at least every device's CL_DEVICE_MEM_BASE_ADDR_ALIGN, in bytes                        \
          */
vox_status vox_buffer_sub(vox_buffer **out, vox_buffer *parent, size_t offset, size_t bytes,
                          vox_error *err);
/* Host memory that buffers of several devices may lie over, zeroed; it is freed when its maker and
 * the drivers of them all have let go of it. */
typedef struct vox_host_memory vox_host_memory;
vox_status vox_host_memory_open(vox_host_memory **out, size_t bytes, const char *what,
                                vox_error *err);
/* The same over memory of somebody else's, who is told when all have let go of it. */
vox_status vox_host_memory_over(vox_host_memory **out, void *at, size_t bytes,
                                void (*gone)(void *user), void *user, vox_error *err);
void vox_host_memory_free(vox_host_memory **m);
void *vox_host_memory_at(const vox_host_memory *m); /* borrowed */

/* A device buffer that is all of m, for a device whose memory is the host's.  The host may look at
 * and write to it only between vox_buffer_map and vox_buffer_unmap of every such buffer, and the
 * devices only write to places that no other one uses meanwhile. */
vox_status vox_buffer_open_over(vox_buffer **out, vox_device *dev, vox_host_memory *m,
                                const char *what, vox_error *err);
void vox_buffer_free(vox_buffer **buf);
size_t vox_buffer_bytes(const vox_buffer *buf);

/* Enqueued copies.  The host memory must stay as it is until vox_device_finish (write: unless
 * `wait`).  With wait they return when the copy is done. */
vox_status vox_buffer_write(vox_buffer *buf, size_t offset, const void *from, size_t bytes,
                            bool wait, vox_error *err);
/* A write that runs beside the work enqueued: done when vox_device_finish returns, and until then
 * neither that work nor anything enqueued later may touch buf. */
vox_status vox_buffer_write_beside(vox_buffer *buf, size_t offset, const void *from, size_t bytes,
                                   vox_error *err);
vox_status vox_buffer_read(vox_buffer *buf, size_t offset, void *to, size_t bytes, bool wait,
                           vox_error *err);
vox_status vox_buffer_copy(vox_buffer *to, size_t to_offset, vox_buffer *from, size_t from_offset,
                           size_t bytes, vox_error *err);
/* Every 32-bit word of [offset, offset + bytes); both multiples of 4. */
vox_status vox_buffer_fill(vox_buffer *buf, size_t offset, size_t bytes, uint32_t word,
                           vox_error *err);
/* The host address of a pinned buffer, valid while it lives; NULL for device buffers. */
void *vox_buffer_host(vox_buffer *buf);

/* Whether the device's memory is the host's (CPUs), so that vox_buffer_map copies nothing. */
bool vox_device_has_host_memory(const vox_device *dev);
/* The host address of a device buffer for reading and writing, after waiting for the work
 * enqueued.  Nothing may be enqueued on the buffer until vox_buffer_unmap; not for windows or
 * pinned buffers. */
vox_status vox_buffer_map(vox_buffer *buf, void **host, vox_error *err);
/* The same beside the work enqueued, which must not touch buf. */
vox_status vox_buffer_map_beside(vox_buffer *buf, void **host, vox_error *err);
vox_status vox_buffer_unmap(vox_buffer *buf, vox_error *err);

/* ---- places in the queue -------------------------------------------------- */

/* A place in the order of a device's work, that has been reached once all before it is done. */
typedef struct vox_mark vox_mark;
/* After everything enqueued so far, which the driver is made to start. */
vox_status vox_device_mark(vox_device *dev, vox_mark **out, vox_error *err);
void vox_mark_free(vox_mark **mark);
/* On any thread.  The second asks whether it would return at once. */
vox_status vox_mark_wait(const vox_mark *mark, vox_error *err);
bool vox_mark_reached(const vox_mark *mark);

/* Beside the work enqueued after the mark, which must not write there: a copy to the host; or the
 * mapping of a buffer (a window of one too) that lies over host memory, where the host then may
 * read and write until vox_buffer_unmap.  *done is the caller's. */
vox_status vox_buffer_read_after(vox_buffer *buf, size_t offset, void *to, size_t bytes,
                                 const vox_mark *after, vox_mark **done, vox_error *err);
vox_status vox_buffer_map_after(vox_buffer *buf, const vox_mark *after, vox_mark **done,
                                vox_error *err);

/* ---- profiling ---------------------------------------------------------- */

/* Off by default, as it costs a little.  While on, every launch is timed by device events and
 * booked under the label in force. */
vox_status vox_device_profile(vox_device *dev, bool on, vox_error *err);
void vox_device_label(vox_device *dev, int label); /* label in [0, VOX_LABELS) */
#define VOX_LABELS 4096
/* Waits for the device, then gives and clears the seconds and launches of one label... */
vox_status vox_device_profile_take(vox_device *dev, int label, double *seconds, int64_t *launches,
                                   vox_error *err);

/* ---- tracing ------------------------------------------------------------ */

/* From now on every command is a span in the trace: under the device's name, a track for each of
 * its queues.  The device's clock is brought to the host's by commands timed in both.  name tells
 * devices of a job apart.  Spans are written by vox_device_finish.  trace NULL: no more. */
vox_status vox_device_trace(vox_device *dev, vox_trace *trace, const char *name, vox_error *err);
/* What spans of commands under a label are called ("conv1 forward direct16"); nothing untraced. */
void vox_device_label_name(vox_device *dev, int label, const char *fmt, ...) VOX_PRINTF(3, 4);

/* Of the commands traced so far, by the device's own clock. */
typedef struct vox_device_busy {
    double kernel_s, copy_s; /* copies between host and device, also those beside kernels */
    double copy_bytes;
    int64_t kernels, copies;
} vox_device_busy;
vox_device_busy vox_device_traced_busy(const vox_device *dev);

/* ---- the BLAS ----------------------------------------------------------- */

/* C[m,n] = alpha * op(A)[m,k] * op(B)[k,n] + beta * C, row-major, offsets and leading dimensions
 * in floats, through CLBlast; VOX_ERR_UNSUPPORTED when built without it. */
typedef struct vox_gemm {
    bool transpose_a, transpose_b;
    size_t m, n, k;
    float alpha, beta;
    vox_buffer *a, *b, *c;
    size_t a_offset, b_offset, c_offset, lda, ldb, ldc;
} vox_gemm;
bool vox_gemm_available(void);
vox_status vox_gemm_run(vox_device *dev, const vox_gemm *g, vox_error *err);

/* ---- the FFT ------------------------------------------------------------ */

/* A batch of volumes to be transformed in place, real to complex or back.  A volume's real numbers
 * lie in rows of 2 * (size[2] / 2 + 1) floats, the last one or two of a row unused; transformed, a
 * row is size[2] / 2 + 1 complex numbers (re, im): the coefficients of exp(-2 pi i ...) up to the
 * middle, the others being their conjugates.  plane is even, volume a multiple of
 * VOX_BUFFER_ALIGN / 4. */
typedef struct vox_fft_shape {
    int64_t size[3];       /* (d, h, w), each as vox_fft_length gives it */
    int64_t plane, volume; /* floats from plane to plane and from volume to volume */
    int64_t batch;         /* volumes */
} vox_fft_shape;

typedef struct vox_fft vox_fft;

bool vox_fft_available(void);
/* The least length of an axis, not below `least`, that is a product of 2, 3, 5 and 7. */
int64_t vox_fft_length(int64_t least);
/* A transform through clFFT; dev is borrowed and must outlive it.  The inverse divides by the
 * number of voxels.  VOX_ERR_UNSUPPORTED when built without clFFT, or where clFFT cannot. */
vox_status vox_fft_open(vox_fft **out, vox_device *dev, const vox_fft_shape *shape, bool inverse,
                        vox_error *err);
void vox_fft_free(vox_fft **fft);
/* Device memory it holds for intermediate results. */
size_t vox_fft_temp_bytes(const vox_fft *fft);
/* Enqueues the transform of the batch that begins with volume `first` of buf. */
vox_status vox_fft_run(vox_fft *fft, vox_buffer *buf, int64_t first, vox_error *err);

#endif
