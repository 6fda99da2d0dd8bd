/* device.c - opening a device: one context and its in-order queues. */
#include "ocl/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static vox_status make_queue(vox_device *dev, cl_command_queue *queue, bool profiling,
                             vox_error *err)
{
    cl_int code;
    cl_command_queue made = clCreateCommandQueue(dev->context, dev->found.id,
                                                 profiling ? CL_QUEUE_PROFILING_ENABLE : 0, &code);
    if (!made)
        return vox_cl_fail(err, dev, code, "making a command queue");
    if (*queue)
        clReleaseCommandQueue(*queue);
    *queue = made;
    return VOX_OK;
}

vox_status vox_device_make_queues(vox_device *dev, bool profiling, vox_error *err)
{
    vox_status s = make_queue(dev, &dev->queue, profiling, err);
    return s == VOX_OK ? make_queue(dev, &dev->side, profiling, err) : s;
}

static void set_title(vox_device *dev)
{
    const vox_device_desc *d = &dev->found.desc;
    if (dev->part)
        snprintf(dev->title, sizeof dev->title, "%d/%" PRIu32 ".%" PRIu32 " %s", d->index, d->parts,
                 d->part, d->name);
    else
        snprintf(dev->title, sizeof dev->title, "%d %s", d->index, d->name);
}

/* Takes over found->id of a sub-device, also on failure. */
static vox_status open_found(vox_device **out, const vox_found *found, vox_error *err)
{
    *out = NULL;
    vox_device *dev = vox_calloc(1, sizeof *dev, "a device", err);
    if (!dev) {
        if (found->desc.parts)
            vox_subdevice_release(found->id, found->quirks);
        return VOX_ERR_MEMORY;
    }
    dev->found = *found;
    dev->part = found->desc.parts > 0;
    set_title(dev);
    cl_int code;
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM,
                                                (cl_context_properties)found->platform, 0};
    dev->context = clCreateContext(properties, 1, &found->id, NULL, NULL, &code);
    vox_status s = dev->context ? vox_device_make_queues(dev, false, err)
                                : vox_cl_fail(err, dev, code, "making a context");
    if (s != VOX_OK)
        vox_device_free(&dev);
    *out = dev;
    return s;
}

/* All or none. */
static vox_status open_split(vox_device **out, const vox_found *whole, const vox_chosen *want,
                             vox_error *err)
{
    const uint32_t parts = want->parts, last = want->first + want->count - 1;
    cl_device_id *id = vox_calloc(parts, sizeof *id, "sub-devices", err);
    vox_status s = id ? vox_subdevice_make(id, whole, parts, err) : VOX_ERR_MEMORY;
    const bool made = s == VOX_OK;
    for (uint32_t i = 1; made && i <= parts; i++) {
        vox_found found = *whole;
        found.id = id[i - 1];
        vox_subdevice_describe(&found.desc, found.id, i, parts);
        if (s == VOX_OK && want->first <= i && i <= last)
            s = open_found(&out[i - want->first], &found, err);
        else
            vox_subdevice_release(found.id, whole->quirks);
    }
    for (uint32_t i = 0; s != VOX_OK && i < want->count; i++)
        vox_device_free(&out[i]);
    free(id);
    return s;
}

static vox_status open_chosen(vox_device **out, const vox_found *found, size_t count,
                              size_t platforms, const vox_chosen *want, vox_error *err)
{
    if (want->device >= count) {
        vox_fail(err, VOX_ERR_DEVICE, "there is no device %d", (int)want->device);
        return vox_detail(err, "%zu devices on %zu platforms", count, platforms);
    }
    found += want->device;
    if (!found->desc.usable) {
        vox_fail(err, VOX_ERR_DEVICE, "device %d cannot be used", found->desc.index);
        return vox_detail(err, "%s: %s", found->desc.name, found->desc.reason);
    }
    return want->parts == 1 ? open_found(out, found, err) : open_split(out, found, want, err);
}

vox_status vox_device_open_parts(vox_device **out, int index, uint32_t parts, uint32_t first,
                                 uint32_t count, vox_error *err)
{
    const vox_chosen want = {
        .device = (size_t)index, .parts = parts, .first = first, .count = count};
    vox_found *found = NULL;
    size_t devices = 0, platforms = 0;
    for (uint32_t i = 0; i < count; i++)
        out[i] = NULL;
    vox_status s = vox_discover(&found, &devices, &platforms, err);
    if (s == VOX_OK)
        s = open_chosen(out, found, devices, platforms, &want, err);
    free(found);
    return s;
}

vox_status vox_device_open(vox_device **out, int index, vox_error *err)
{
    return vox_device_open_parts(out, index, 1, 1, 1, err);
}

void vox_device_abandon(vox_device *dev)
{
    dev->abandoned = true;
}

void vox_device_free(vox_device **devp)
{
    if (!devp || !*devp)
        return;
    vox_device *dev = *devp;
    if (dev->abandoned) {
        *devp = NULL;
        return;
    }
    if (dev->queue)
        clFinish(dev->queue);
    if (dev->side)
        clFinish(dev->side);
    vox_profile_release(dev);
    vox_device_trace_free(dev);
    vox_programs_release(dev);
    if (dev->side)
        clReleaseCommandQueue(dev->side);
    if (dev->queue)
        clReleaseCommandQueue(dev->queue);
    if (dev->context)
        clReleaseContext(dev->context);
    if (dev->part)
        vox_subdevice_release(dev->found.id, dev->found.quirks);
    free(dev);
    *devp = NULL;
}

const vox_device_desc *vox_device_get(const vox_device *dev)
{
    return &dev->found.desc;
}

const char *vox_device_title(const vox_device *dev)
{
    return dev->title;
}

bool vox_device_is_cpu(const vox_device *dev)
{
    return dev->found.desc.type == VOX_DEVICE_CPU;
}

uint64_t vox_device_bytes(const vox_device *dev)
{
    return dev->bytes;
}

uint64_t vox_device_peak_bytes(const vox_device *dev)
{
    return dev->peak_bytes;
}

vox_status vox_device_flush(vox_device *dev, vox_error *err)
{
    cl_int code = clFlush(dev->queue);
    return code == CL_SUCCESS ? VOX_OK : vox_cl_fail(err, dev, code, "flushing the queue");
}

vox_status vox_device_finish(vox_device *dev, vox_error *err)
{
    cl_int code = clFinish(dev->queue);
    if (dev->side_busy && code == CL_SUCCESS)
        code = clFinish(dev->side);
    dev->side_busy = false;
    if (dev->traced)
        vox_device_trace_collect(dev);
    return code == CL_SUCCESS ? VOX_OK : vox_cl_fail(err, dev, code, "waiting for the device");
}
