/* trace.c - a device's commands as spans of a trace, in the host's time.
 *
 * OpenCL 1.2 says nothing of how a device's clock, which events are stamped by, relates to the
 * host's (clGetDeviceAndHostTimer came with 2.1).  So now and then, when the queue is empty, a
 * marker is enqueued and waited for.  With h0 and h1 the host's times before and after,
 *   h0 <= marker's start + offset   and   marker's end + offset <= h1
 * bound the offset from both sides; several markers narrow it down, and the middle is taken.
 * Between two such moments the offset is interpolated, so that clocks of different rates stay
 * together.  What is left is half the bounds' distance, told in the trace's notes: some tens of
 * microseconds at most, far less than a step; spans of one device are exact among themselves.
 *
 * One invariant: spans of a track follow one another: what a driver says to have begun before the
 * command ahead of it ended is shown from that end on. */
#include "ocl/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MARKERS = 4 };
#define CALIBRATE_NS 100000000 /* at most so often, while the device is idle anyway */

/* Host time = device time + offset, at a moment of the device's clock. */
typedef struct moment {
    int64_t at, offset;
} moment;

struct vox_device_traced {
    vox_trace *trace;
    vox_track *track[2]; /* the queue's, and that of copies beside it */
    int64_t end[2];      /* of its last span, host time */
    moment before, now;  /* the last two calibrations */
    int64_t calibrated;  /* when, host time */
    double clock_us;     /* half the bounds' distance then */
    char *label[VOX_LABELS];
};

/* ---- clocks ---------------------------------------------------------------- */

typedef struct bounds {
    int64_t low, high, at;
} bounds;

/* Narrows the bounds by one marker; false: the driver does not time it. */
static bool bound(vox_device *dev, bounds *b)
{
    cl_event event = NULL;
    int64_t start, end;
    const int64_t h0 = vox_clock_ns();
    if (clEnqueueMarkerWithWaitList(dev->queue, 0, NULL, &event) != CL_SUCCESS)
        return false;
    const bool waited = clWaitForEvents(1, &event) == CL_SUCCESS;
    const int64_t h1 = vox_clock_ns();
    const bool timed = waited && vox_event_time(event, CL_PROFILING_COMMAND_START, &start) &&
                       vox_event_time(event, CL_PROFILING_COMMAND_END, &end) && start > 0 &&
                       end >= start;
    clReleaseEvent(event);
    if (!timed)
        return false;
    b->low = h0 - start > b->low ? h0 - start : b->low;
    b->high = h1 - end < b->high ? h1 - end : b->high;
    b->at = end;
    return true;
}

/* The queue is empty.  A driver that cannot say keeps what there was. */
static bool calibrate(vox_device *dev)
{
    vox_device_traced *t = dev->traced;
    bounds b = {INT64_MIN, INT64_MAX, 0};
    for (int i = 0; i < MARKERS; i++)
        if (!bound(dev, &b))
            return false;
    const bool same = b.low <= 0 && b.high >= 0; /* some drivers' clock is the host's */
    t->before = t->now;
    t->now = (moment){b.at, same ? 0 : b.low + (b.high - b.low) / 2};
    t->calibrated = vox_clock_ns();
    t->clock_us = 1e-3 * (double)(b.high > b.low ? b.high - b.low : b.low - b.high) / 2;
    return true;
}

static int64_t to_host(const vox_device_traced *t, int64_t ns)
{
    const moment *a = &t->before, *b = &t->now;
    if (ns >= b->at || b->at <= a->at)
        return ns + b->offset;
    if (ns <= a->at)
        return ns + a->offset;
    const double part = (double)(ns - a->at) / (double)(b->at - a->at);
    return ns + a->offset + (int64_t)(part * (double)(b->offset - a->offset));
}

/* ---- on and off -------------------------------------------------------------- */

static vox_status turn_on(vox_device *dev, vox_trace *trace, const char *name, vox_error *err)
{
    char title[128];
    vox_device_traced *t = vox_calloc(1, sizeof *t, "a trace", err);
    vox_status s = t ? vox_device_make_queues(dev, true, err) : VOX_ERR_MEMORY;
    if (s != VOX_OK) {
        free(t);
        return s;
    }
    dev->traced = t;
    dev->recording = true;
    t->trace = trace;
    snprintf(title, sizeof title, "device %s", name);
    const int process = vox_trace_process(trace, title);
    t->track[0] = vox_trace_track(trace, process, "queue");
    t->track[1] = vox_trace_track(trace, process, "copies beside it");
    if (calibrate(dev))
        vox_trace_note(trace, title, "its clock is within %.1f us of the host's", t->clock_us);
    else
        vox_trace_note(trace, title, "its driver does not time commands: none of it is shown");
    t->before = t->now;
    return VOX_OK;
}

/* Also where the device does not answer any more. */
static vox_status turn_off(vox_device *dev, vox_error *err)
{
    vox_device_trace_free(dev);
    vox_profile_book(dev, dev->records);
    if (dev->profiling)
        return VOX_OK;
    dev->recording = false;
    return vox_device_make_queues(dev, false, err);
}

vox_status vox_device_trace(vox_device *dev, vox_trace *trace, const char *name, vox_error *err)
{
    vox_status s = vox_device_finish(dev, err);
    if (dev->traced) {
        vox_status off = turn_off(dev, s == VOX_OK ? err : NULL);
        s = s == VOX_OK ? off : s;
    }
    return s == VOX_OK && trace ? turn_on(dev, trace, name, err) : s;
}

void vox_device_trace_free(vox_device *dev)
{
    for (int i = 0; dev->traced && i < VOX_LABELS; i++)
        free(dev->traced->label[i]);
    free(dev->traced);
    dev->traced = NULL;
}

void vox_device_label_name(vox_device *dev, int label, const char *fmt, ...)
{
    char text[160];
    va_list args;
    if (!dev->traced || label < 0 || label >= VOX_LABELS)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    free(dev->traced->label[label]);
    dev->traced->label[label] = vox_strdup(text, NULL);
}

vox_device_busy vox_device_traced_busy(const vox_device *dev)
{
    return dev->busy;
}

bool vox_device_trace_on(const vox_device *dev)
{
    return dev->traced && vox_trace_on(dev->traced->trace);
}

/* ---- spans -------------------------------------------------------------------- */

static bool is_transfer(const vox_launch_record *r)
{
    return r->command.kind == VOX_COMMAND_WRITE || r->command.kind == VOX_COMMAND_READ;
}

/* Kernels are called by what they are for, copies by what they do. */
static const char *name_of(const vox_device_traced *t, const vox_launch_record *r)
{
    static const char *const plain[] = {"kernel", "library", "to device", "from device",
                                        "copy",   "fill",    "map",       "unmap"};
    if (r->command.kind <= VOX_COMMAND_LIBRARY && t->label[r->label])
        return t->label[r->label];
    return r->name[0] ? r->name : plain[r->command.kind];
}

static const char *category_of(const vox_launch_record *r)
{
    static const char *const category[] = {"kernel", "kernel", "copy", "copy",
                                           "copy",   "fill",   "map",  "map"};
    return category[r->command.kind];
}

static void count(vox_device_busy *busy, const vox_launch_record *r, double seconds)
{
    if (r->command.kind <= VOX_COMMAND_LIBRARY) {
        busy->kernel_s += seconds;
        busy->kernels++;
    } else if (is_transfer(r)) {
        busy->copy_s += seconds;
        busy->copy_bytes += (double)r->command.bytes;
        busy->copies++;
    }
}

static void write_span(const vox_device_traced *t, const vox_launch_record *r, int64_t queued,
                       int64_t start, int64_t end)
{
    vox_trace_arg args[4];
    size_t n = 0;
    if (r->name[0])
        args[n++] = (vox_trace_arg){"kernel", r->name, 0};
    else if (t->label[r->label])
        args[n++] = (vox_trace_arg){"for", t->label[r->label], 0};
    if (r->command.bytes > 0) {
        args[n++] = (vox_trace_arg){"bytes", NULL, (double)r->command.bytes};
        if (end > start && strcmp(category_of(r), "map") != 0)
            args[n++] =
                (vox_trace_arg){"GB/s", NULL, (double)r->command.bytes / (double)(end - start)};
    }
    if (queued > 0 && queued <= start)
        args[n++] = (vox_trace_arg){"queued_us", NULL, 1e-3 * (double)(start - queued)};
    vox_trace_span(t->track[r->command.side], name_of(t, r), category_of(r), start, end, args, n);
}

void vox_device_trace_record(vox_device *dev, const vox_launch_record *r)
{
    vox_device_traced *t = dev->traced;
    int64_t queued = 0, start, end, from;
    int64_t *last = &t->end[r->command.side];
    if (!vox_event_time(r->event, CL_PROFILING_COMMAND_START, &start) ||
        !vox_event_time(r->event, CL_PROFILING_COMMAND_END, &end) || start <= 0 || end < start ||
        t->now.at == 0)
        return;
    if (vox_event_time(r->from, CL_PROFILING_COMMAND_END, &from) && from > 0 && from <= start)
        start = from;
    count(&dev->busy, r, 1e-9 * (double)(end - start));
    vox_event_time(r->event, CL_PROFILING_COMMAND_QUEUED, &queued);
    start = to_host(t, start);
    end = to_host(t, end);
    start = start > *last ? start : *last;
    end = end > start ? end : start;
    *last = end;
    write_span(t, r, queued > 0 ? to_host(t, queued) : 0, start, end);
}

void vox_device_trace_collect(vox_device *dev)
{
    vox_device_traced *t = dev->traced;
    if (vox_trace_on(t->trace) && vox_clock_ns() - t->calibrated >= CALIBRATE_NS)
        calibrate(dev);
    vox_profile_book(dev, dev->records);
}
