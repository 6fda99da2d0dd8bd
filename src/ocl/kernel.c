/* kernel.c - launching by table: the only place that binds kernel arguments. */
#include "ocl/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

vox_status vox_kernel_open(vox_kernel **out, vox_device *dev, const char *file, const char *entry,
                           const char *options, vox_error *err)
{
    cl_program program;
    *out = NULL;
    vox_status s = vox_program_get(&program, dev, file, options, err);
    if (s != VOX_OK)
        return s;
    vox_kernel *k = vox_calloc(1, sizeof *k, "a kernel", err);
    if (!k)
        return VOX_ERR_MEMORY;
    cl_int code;
    k->dev = dev;
    snprintf(k->name, sizeof k->name, "%s:%s", file, entry);
    k->kernel = clCreateKernel(program, entry, &code);
    if (!k->kernel) {
        s = vox_cl_fail(err, dev, code, "making a kernel");
        vox_error_at(err, "%s, options %s", k->name, options);
        free(k);
        return s;
    }
    clGetKernelInfo(k->kernel, CL_KERNEL_NUM_ARGS, sizeof k->args, &k->args, NULL);
    *out = k;
    return VOX_OK;
}

void vox_kernel_free(vox_kernel **kernel)
{
    if (!kernel || !*kernel)
        return;
    clReleaseKernel((*kernel)->kernel);
    free(*kernel);
    *kernel = NULL;
}

size_t vox_kernel_max_group(const vox_kernel *kernel)
{
    size_t most = 1;
    clGetKernelWorkGroupInfo(kernel->kernel, kernel->dev->found.id, CL_KERNEL_WORK_GROUP_SIZE,
                             sizeof most, &most, NULL);
    return most;
}

vox_arg vox_arg_buffer(vox_buffer *buffer)
{
    return (vox_arg){.kind = VOX_ARG_BUFFER, .buffer = buffer};
}

static vox_arg bytes_arg(const void *value, size_t size)
{
    vox_arg a = {.kind = VOX_ARG_BYTES, .size = size};
    memcpy(a.bytes, value, size);
    return a;
}

vox_arg vox_arg_i32(int32_t value)
{
    return bytes_arg(&value, sizeof value);
}

vox_arg vox_arg_u32(uint32_t value)
{
    return bytes_arg(&value, sizeof value);
}

vox_arg vox_arg_i64(int64_t value)
{
    return bytes_arg(&value, sizeof value);
}

vox_arg vox_arg_u64(uint64_t value)
{
    return bytes_arg(&value, sizeof value);
}

vox_arg vox_arg_f32(float value)
{
    return bytes_arg(&value, sizeof value);
}

vox_arg vox_arg_local(size_t bytes)
{
    return (vox_arg){.kind = VOX_ARG_LOCAL, .size = bytes};
}

static vox_status launch_failed(const vox_kernel *k, const vox_grid *g, cl_int code,
                                const char *what, vox_error *err)
{
    vox_status s = vox_cl_fail(err, k->dev, code, what);
    vox_error_at(err, "kernel %s, global %zux%zux%zu, local %zux%zux%zu", k->name, g->global[0],
                 g->global[1], g->global[2], g->local[0], g->local[1], g->local[2]);
    return s;
}

static vox_status bind(vox_kernel *k, const vox_grid *grid, const vox_arg *args, size_t count,
                       vox_error *err)
{
    if (count != k->args) {
        vox_fail(err, VOX_ERR_DEVICE, "kernel %s takes %u arguments", k->name, (unsigned)k->args);
        return vox_detail(err, "%zu were given", count);
    }
    for (size_t i = 0; i < count; i++) {
        const vox_arg *a = &args[i];
        cl_mem none = NULL;
        const void *value = a->kind == VOX_ARG_BYTES   ? (const void *)a->bytes
                            : a->kind == VOX_ARG_LOCAL ? NULL
                            : a->buffer                ? (const void *)&a->buffer->mem
                                                       : (const void *)&none;
        size_t size = a->kind == VOX_ARG_BUFFER ? sizeof(cl_mem) : a->size;
        cl_int code = clSetKernelArg(k->kernel, (cl_uint)i, size, value);
        if (code != CL_SUCCESS) {
            vox_status s = launch_failed(k, grid, code, "binding a kernel argument", err);
            vox_error_at(err, "argument %zu", i);
            return s;
        }
    }
    return VOX_OK;
}

vox_status vox_kernel_launch(vox_kernel *kernel, const vox_grid *grid, const vox_arg *args,
                             size_t count, vox_error *err)
{
    size_t global[3];
    for (int i = 0; i < 3; i++) {
        size_t local = grid->local[0] && grid->local[i] ? grid->local[i] : 1;
        global[i] = (grid->global[i] + local - 1) / local * local;
        if (global[i] == 0)
            return VOX_OK;
    }
    vox_status s = bind(kernel, grid, args, count, err);
    if (s != VOX_OK)
        return s;
    const vox_command command = {.kind = VOX_COMMAND_KERNEL, .name = kernel->name};
    cl_int code = clEnqueueNDRangeKernel(kernel->dev->queue, kernel->kernel, 3, NULL, global,
                                         grid->local[0] ? grid->local : NULL, 0, NULL,
                                         vox_profile_slot(kernel->dev, &command));
    return code == CL_SUCCESS ? VOX_OK
                              : launch_failed(kernel, grid, code, "launching a kernel", err);
}
