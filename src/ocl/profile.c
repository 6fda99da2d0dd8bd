/* profile.c - events of the commands enqueued: booked under labels, or handed to the trace.
 *
 * One invariant: records are in the order of the calls, and each holds its event until it is
 * booked. */
#include "ocl/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Records after which those done are looked for, if nobody waits for the device meanwhile. */
enum { MANY = 4096 };

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
    const bool recording = on || dev->traced;
    vox_status s = vox_device_finish(dev, err);
    if (s == VOX_OK && recording != dev->recording)
        s = vox_device_make_queues(dev, recording, err);
    if (s == VOX_OK) {
        dev->profiling = on;
        dev->recording = recording;
    }
    return s;
}

void vox_device_label(vox_device *dev, int label)
{
    dev->label = label >= 0 && label < VOX_LABELS ? label : 0;
}

/* ---- records -------------------------------------------------------------- */

cl_event *vox_profile_slot(vox_device *dev, const vox_command *command)
{
    if (!dev->recording || (!dev->profiling && !vox_device_trace_on(dev)))
        return NULL;
    if (dev->traced && dev->records >= MANY && dev->records % MANY == 0)
        vox_profile_book(dev, vox_profile_done(dev));
    /* A launch that cannot be recorded for want of memory still runs, untimed. */
    if (!vox_grow(&dev->record, &dev->record_capacity, dev->records + 1, sizeof *dev->record, NULL))
        return NULL;
    vox_launch_record *r = &dev->record[dev->records++];
    *r = (vox_launch_record){.label = dev->label, .command = *command};
    r->command.name = NULL;
    if (dev->traced && command->name)
        snprintf(r->name, sizeof r->name, "%s", command->name);
    return &r->event;
}

cl_event *vox_profile_span(vox_device *dev, const char *library)
{
    const vox_command command = {.kind = VOX_COMMAND_LIBRARY, .name = library};
    cl_event *slot = vox_profile_slot(dev, &command);
    if (slot)
        clEnqueueMarkerWithWaitList(dev->queue, 0, NULL, &dev->record[dev->records - 1].from);
    return slot;
}

void vox_profile_add(vox_device *dev, const vox_command *command, cl_event event)
{
    cl_event *slot = dev->traced ? vox_profile_slot(dev, command) : NULL;
    if (slot && clRetainEvent(event) == CL_SUCCESS)
        *slot = event;
}

bool vox_event_time(cl_event event, cl_profiling_info which, int64_t *ns)
{
    cl_ulong time;
    if (!event || clGetEventProfilingInfo(event, which, sizeof time, &time, NULL) != CL_SUCCESS)
        return false;
    *ns = (int64_t)time;
    return true;
}

size_t vox_profile_done(const vox_device *dev)
{
    size_t n = 0;
    for (; n < dev->records; n++) {
        cl_int status = CL_COMPLETE;
        if (dev->record[n].event)
            clGetEventInfo(dev->record[n].event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status,
                           &status, NULL);
        if (status > CL_COMPLETE) /* below: it failed */
            break;
    }
    return n;
}

static void release_record(vox_launch_record *r)
{
    if (r->event)
        clReleaseEvent(r->event);
    if (r->from)
        clReleaseEvent(r->from);
}

static void book(vox_device *dev, const vox_launch_record *r)
{
    int64_t start, end, from;
    if (!vox_event_time(r->event, CL_PROFILING_COMMAND_START, &start) ||
        !vox_event_time(r->event, CL_PROFILING_COMMAND_END, &end) || end < start)
        return;
    if (vox_event_time(r->from, CL_PROFILING_COMMAND_END, &from) && from <= start)
        start = from;
    dev->label_seconds[r->label] += 1e-9 * (double)(end - start);
    dev->label_launches[r->label]++;
}

void vox_profile_book(vox_device *dev, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        vox_launch_record *r = &dev->record[i];
        if (dev->profiling)
            book(dev, r);
        if (dev->traced)
            vox_device_trace_record(dev, r);
        release_record(r);
    }
    dev->records -= count;
    if (dev->records > 0)
        memmove(dev->record, dev->record + count, dev->records * sizeof *dev->record);
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
        vox_profile_book(dev, dev->records);
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
