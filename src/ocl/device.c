/* device.c - opening a device: one context and one in-order queue; and profiling by events. */
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

static vox_status make_queues(vox_device *dev, bool profiling, vox_error *err)
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
    vox_status s = dev->context ? make_queues(dev, false, err)
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

void vox_device_free(vox_device **devp)
{
    if (!devp || !*devp)
        return;
    vox_device *dev = *devp;
    if (dev->queue)
        clFinish(dev->queue);
    if (dev->side)
        clFinish(dev->side);
    vox_profile_release(dev);
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
    return code == CL_SUCCESS ? VOX_OK : vox_cl_fail(err, dev, code, "waiting for the device");
}

/* ---- profiling ---------------------------------------------------------- */

vox_status vox_device_profile(vox_device *dev, bool on, vox_error *err)
{
    if (on && !dev->label_seconds) {
        dev->label_seconds = vox_calloc(VOX_LABELS, sizeof *dev->label_seconds, "a profile", err);
        dev->label_launches = vox_calloc(VOX_LABELS, sizeof *dev->label_launches, "a profile", err);
        if (!dev->label_seconds || !dev->label_launches)
            return VOX_ERR_MEMORY;
    }
    if (on == dev->profiling)
        return VOX_OK;
    vox_status s = vox_device_finish(dev, err);
    if (s == VOX_OK)
        s = make_queues(dev, on, err);
    if (s == VOX_OK)
        dev->profiling = on;
    return s;
}

void vox_device_label(vox_device *dev, int label)
{
    dev->label = label >= 0 && label < VOX_LABELS ? label : 0;
}

cl_event *vox_profile_slot(vox_device *dev)
{
    /* A launch that cannot be recorded for want of memory still runs, untimed. */
    if (!dev->profiling ||
        !vox_grow(&dev->record, &dev->record_capacity, dev->records + 1, sizeof *dev->record, NULL))
        return NULL;
    vox_launch_record *r = &dev->record[dev->records++];
    *r = (vox_launch_record){.label = dev->label};
    return &r->event;
}

cl_event *vox_profile_span(vox_device *dev)
{
    cl_event *slot = vox_profile_slot(dev);
    if (slot)
        clEnqueueMarkerWithWaitList(dev->queue, 0, NULL, &dev->record[dev->records - 1].from);
    return slot;
}

static bool event_time(cl_event event, cl_profiling_info which, cl_ulong *ns)
{
    return event && clGetEventProfilingInfo(event, which, sizeof *ns, ns, NULL) == CL_SUCCESS;
}

static void release_record(vox_launch_record *r)
{
    if (r->event)
        clReleaseEvent(r->event);
    if (r->from)
        clReleaseEvent(r->from);
}

static void book(vox_device *dev, vox_launch_record *r)
{
    cl_ulong start = 0, end = 0;
    if (event_time(r->event, CL_PROFILING_COMMAND_START, &start) &&
        event_time(r->event, CL_PROFILING_COMMAND_END, &end) && end >= start) {
        cl_ulong from;
        if (event_time(r->from, CL_PROFILING_COMMAND_END, &from) && from <= start)
            start = from;
        dev->label_seconds[r->label] += 1e-9 * (double)(end - start);
        dev->label_launches[r->label]++;
    }
    release_record(r);
}

vox_status vox_device_profile_take(vox_device *dev, int label, double *seconds, int64_t *launches,
                                   vox_error *err)
{
    *seconds = 0;
    *launches = 0;
    if (!dev->label_seconds || label < 0 || label >= VOX_LABELS)
        return VOX_OK;
    if (dev->records > 0) {
        vox_status s = vox_device_finish(dev, err);
        if (s != VOX_OK)
            return s;
        for (size_t i = 0; i < dev->records; i++)
            book(dev, &dev->record[i]);
        dev->records = 0;
    }
    *seconds = dev->label_seconds[label];
    *launches = dev->label_launches[label];
    dev->label_seconds[label] = 0;
    dev->label_launches[label] = 0;
    return VOX_OK;
}

void vox_profile_release(vox_device *dev)
{
    for (size_t i = 0; i < dev->records; i++)
        release_record(&dev->record[i]);
    free(dev->record);
    free(dev->label_seconds);
    free(dev->label_launches);
    dev->record = NULL;
    dev->records = 0;
}
