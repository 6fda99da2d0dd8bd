/* mark.c - places in a device's queue that other queues and threads wait for, and the copies that
 * begin there. */
#include "ocl/internal.h"

#include <stdlib.h>

struct vox_mark {
    vox_device *dev;
    cl_event event;
};

static vox_status open_mark(vox_mark **out, vox_device *dev, vox_error *err)
{
    *out = vox_calloc(1, sizeof **out, "a mark in a queue", err);
    if (!*out)
        return VOX_ERR_MEMORY;
    (*out)->dev = dev;
    return VOX_OK;
}

void vox_mark_free(vox_mark **mark)
{
    if (!mark || !*mark)
        return;
    if ((*mark)->event)
        clReleaseEvent((*mark)->event);
    free(*mark);
    *mark = NULL;
}

/* What the enqueueing call gave: the mark is whole, or goes.  command: to be recorded, or NULL. */
static vox_status settle(vox_mark **mark, cl_command_queue queue, cl_int code,
                         const vox_command *command, const char *what, vox_error *err)
{
    vox_device *dev = (*mark)->dev;
    if (code == CL_SUCCESS && command)
        vox_profile_add(dev, command, (*mark)->event);
    if (code == CL_SUCCESS)
        code = clFlush(queue);
    if (code == CL_SUCCESS)
        return VOX_OK;
    vox_mark_free(mark);
    return vox_cl_fail(err, dev, code, what);
}

vox_status vox_device_mark(vox_device *dev, vox_mark **out, vox_error *err)
{
    vox_status s = open_mark(out, dev, err);
    if (s != VOX_OK)
        return s;
    cl_int code = clEnqueueMarkerWithWaitList(dev->queue, 0, NULL, &(*out)->event);
    return settle(out, dev->queue, code, NULL, "marking a place in the queue", err);
}

vox_status vox_mark_wait(const vox_mark *mark, vox_error *err)
{
    cl_int code = clWaitForEvents(1, &mark->event);
    return code == CL_SUCCESS ? VOX_OK : vox_cl_fail(err, mark->dev, code, "waiting for the queue");
}

bool vox_mark_reached(const vox_mark *mark)
{
    cl_int status = CL_COMPLETE;
    const cl_int code = clGetEventInfo(mark->event, CL_EVENT_COMMAND_EXECUTION_STATUS,
                                       sizeof status, &status, NULL);
    return code != CL_SUCCESS || status <= CL_COMPLETE; /* an error is told by waiting */
}

vox_status vox_buffer_read_after(vox_buffer *buf, size_t offset, void *to, size_t bytes,
                                 const vox_mark *after, vox_mark **done, vox_error *err)
{
    vox_device *dev = buf->dev;
    vox_status s = open_mark(done, dev, err);
    if (s != VOX_OK)
        return s;
    dev->side_busy = true;
    cl_int code = clEnqueueReadBuffer(dev->side, buf->mem, CL_FALSE, offset, bytes, to, 1,
                                      &after->event, &(*done)->event);
    const vox_command command = {.kind = VOX_COMMAND_READ, .bytes = bytes, .side = true};
    return settle(done, dev->side, code, &command, "reading from the device", err);
}

vox_status vox_buffer_map_after(vox_buffer *buf, const vox_mark *after, vox_mark **done,
                                vox_error *err)
{
    vox_device *dev = buf->dev;
    vox_status s = open_mark(done, dev, err);
    if (s != VOX_OK)
        return s;
    cl_int code;
    dev->side_busy = true;
    buf->host = clEnqueueMapBuffer(dev->side, buf->mem, CL_FALSE, CL_MAP_READ | CL_MAP_WRITE, 0,
                                   buf->bytes, 1, &after->event, &(*done)->event, &code);
    const vox_command command = {.kind = VOX_COMMAND_MAP, .bytes = buf->bytes, .side = true};
    return settle(done, dev->side, code, &command, "mapping device memory", err);
}
