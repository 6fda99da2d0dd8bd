/* kernel.h - kernels: specialised by -D, compiled once, launched by table.
 *
 * A kernel file is found in the folder $VOXCL_KERNEL_DIR if that is set, else among those built
 * into the library.  A program is compiled once per (device, driver, text, options) and kept as a
 * binary in the cache directory; a damaged or foreign entry there is rebuilt. */
#ifndef VOX_OCL_KERNEL_H
#define VOX_OCL_KERNEL_H

#include "ocl/device.h"

typedef struct vox_kernel vox_kernel;

/* file: "conv3d_naive.cl"; entry: a __kernel in it; options: "-DC=16 -DK=3" (may be "").  On a
 * build failure the detail holds the start of the log with the kernel file's name and line, and
 * the whole log goes to the log callback. */
vox_status vox_kernel_open(vox_kernel **out, vox_device *dev, const char *file, const char *entry,
                           const char *options, vox_error *err);
void vox_kernel_free(vox_kernel **kernel);
/* A hash of the texts of all kernel files, from wherever they are taken, for keeping measurements
 * of kernels apart from those of other versions. */
vox_status vox_kernel_sources_hash(uint64_t *hash, vox_error *err);
/* Most work-items a work-group of this kernel may have on its device. */
size_t vox_kernel_max_group(const vox_kernel *kernel);

typedef enum vox_arg_kind { VOX_ARG_BUFFER, VOX_ARG_BYTES, VOX_ARG_LOCAL } vox_arg_kind;

typedef struct vox_arg {
    vox_arg_kind kind;
    vox_buffer *buffer; /* NULL passes a null pointer: for optional buffers such as a bias */
    unsigned char bytes[8];
    size_t size;
} vox_arg;

vox_arg vox_arg_buffer(vox_buffer *buffer);
vox_arg vox_arg_i32(int32_t value);
vox_arg vox_arg_u32(uint32_t value);
vox_arg vox_arg_i64(int64_t value);
vox_arg vox_arg_u64(uint64_t value);
vox_arg vox_arg_f32(float value);
vox_arg vox_arg_local(size_t bytes);

/* local[0] == 0 leaves the work-group to the driver.  Where local is given, global is rounded UP
 * to multiples of it: kernels guard their range (or the caller passes multiples). */
typedef struct vox_grid {
    size_t global[3]; /* unused dimensions 1 */
    size_t local[3];
} vox_grid;

/* Binds every argument (their number and sizes are checked) and enqueues. A global of 0 is no work.
 */
vox_status vox_kernel_launch(vox_kernel *kernel, const vox_grid *grid, const vox_arg *args,
                             size_t count, vox_error *err);

#endif
