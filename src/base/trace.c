/* trace.c - spans into a file of Chrome's trace events: "X" events for spans, "M" events for the
 * names of processes and tracks, times in microseconds since the trace began.  (Format: "Trace
 * Event Format", the Chromium project.)
 *
 * One invariant: what is in the file ends with a whole event, so that three more bytes make it
 * whole JSON. */
#include "base/trace.h"

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct vox_track {
    vox_track *next;
    vox_trace *trace;
    int process, number;
    char name[160];
};

struct vox_trace {
    atomic_bool on;
    atomic_bool full;
    atomic_uint_fast64_t bytes; /* written so far */
    atomic_int threads;         /* that have a track of it */
    pthread_mutex_t lock;       /* guards all below */
    vox_file file;
    bool open; /* the file is */
    uint64_t limit;
    int64_t origin;
    int processes, tracks;
    bool comma;     /* an event was written */
    vox_track *all; /* the newest first */
    vox_json event; /* the one being made; its memory is kept */
    vox_json notes;
    vox_error failure; /* code VOX_OK: none */
};

_Thread_local vox_track *vox_trace_here;

int64_t vox_clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- writing; with the lock held ------------------------------------------ */

/* The rest of the disk is the training's: what was written is removed. */
static void give_up(vox_trace *t)
{
    vox_fail_errno(&t->failure, "write", t->file.path);
    vox_hint(&t->failure, "check free space; there is no trace, all else goes on");
    vox_log(VOX_LOG_WARN, "%s: %s; there will be no trace, all else goes on", t->failure.message,
            t->failure.detail);
    t->on = false;
    t->open = false;
    vox_file_abandon(&t->file);
}

static void put(vox_trace *t, const char *text, size_t length)
{
    if (!t->open)
        return;
    if (fwrite(text, 1, length, t->file.stream) == length)
        t->bytes += length;
    else
        give_up(t);
}

/* The text made in t->event, as the next one of the list. */
static void put_event(vox_trace *t)
{
    vox_str *s = &t->event.text;
    if (s->text && !s->failed) {
        put(t, t->comma ? ",\n" : "\n", t->comma ? 2 : 1);
        put(t, s->text, s->length);
        t->comma = true;
    }
    s->length = 0;
    s->failed = false;
}

static vox_json *begin_event(vox_trace *t, const char *phase, int process, int track)
{
    t->event.comma = false;
    vox_json_begin(&t->event, NULL, '{');
    vox_json_string(&t->event, "ph", phase);
    vox_json_int(&t->event, "pid", process);
    vox_json_int(&t->event, "tid", track);
    return &t->event;
}

static void end_event(vox_trace *t)
{
    vox_json_end(&t->event, '}');
    put_event(t);
}

/* Names a process or track, and its place in the order. */
static void put_name(vox_trace *t, const char *what, int process, int track, const char *name)
{
    char key[32];
    vox_json *j = begin_event(t, "M", process, track);
    snprintf(key, sizeof key, "%s_name", what);
    vox_json_string(j, "name", key);
    vox_json_begin(j, "args", '{');
    vox_json_string(j, "name", name);
    vox_json_end(j, '}');
    end_event(t);
    begin_event(t, "M", process, track);
    snprintf(key, sizeof key, "%s_sort_index", what);
    vox_json_string(j, "name", key);
    vox_json_begin(j, "args", '{');
    vox_json_int(j, "sort_index", track ? track : process);
    vox_json_end(j, '}');
    end_event(t);
}

/* Microseconds to the nanosecond: a double of nine digits could not say them. */
static void put_time(vox_json *j, const char *key, int64_t ns)
{
    const int64_t whole = ns < 0 ? 0 : ns;
    vox_str_add(&j->text, ", \"%s\": %lld.%03d", key, (long long)(whole / 1000),
                (int)(whole % 1000));
}

static void put_args(vox_json *j, const vox_trace_arg *args, size_t count)
{
    vox_json_begin(j, "args", '{');
    for (size_t i = 0; i < count; i++) {
        if (args[i].text)
            vox_json_string(j, args[i].key, args[i].text);
        else
            vox_json_number(j, args[i].key, args[i].number);
    }
    vox_json_end(j, '}');
}

/* With the lock held.  Processes are in the list too, as track 0. */
static vox_track *add_track(vox_trace *t, int process, int number, const char *name)
{
    vox_track *track = vox_calloc(1, sizeof *track, "a track", NULL);
    if (!track)
        return NULL;
    *track = (vox_track){.next = t->all, .trace = t, .process = process, .number = number};
    snprintf(track->name, sizeof track->name, "%s", name);
    t->all = track;
    put_name(t, number ? "thread" : "process", process, number, track->name);
    return track;
}

/* ---- open, finish, free ---------------------------------------------------- */

vox_status vox_trace_open(vox_trace **out, const char *path, uint64_t limit, vox_error *err)
{
    static const char head[] = "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [";
    *out = NULL;
    if (vox_path_is_dir(path)) {
        errno = EISDIR;
        return vox_fail_errno(err, "write", path);
    }
    vox_trace *t = vox_calloc(1, sizeof *t, "a trace", err);
    if (!t)
        return VOX_ERR_MEMORY;
    vox_status s = vox_file_begin(&t->file, path, err);
    if (s != VOX_OK) {
        free(t);
        return s;
    }
    pthread_mutex_init(&t->lock, NULL);
    t->limit = limit;
    t->origin = vox_clock_ns();
    t->open = t->on = true;
    put(t, head, sizeof head - 1);
    t->processes = VOX_TRACE_HOST;
    add_track(t, VOX_TRACE_HOST, 0, "host");
    *out = t;
    return VOX_OK;
}

static void put_tail(vox_trace *t)
{
    vox_json *j = &t->event;
    j->comma = false;
    vox_str_add(&j->text, "\n], \"otherData\": {%s}}\n",
                t->notes.text.text && !t->notes.text.failed ? t->notes.text.text : "");
    if (j->text.text && !j->text.failed)
        put(t, j->text.text, j->text.length);
}

vox_status vox_trace_finish(vox_trace *t, vox_error *err)
{
    pthread_mutex_lock(&t->lock);
    t->on = false;
    if (t->open)
        put_tail(t);
    if (t->open) {
        t->open = false;
        vox_file_commit(&t->file, &t->failure);
    }
    vox_status s = t->failure.code;
    if (s != VOX_OK && err)
        *err = t->failure;
    pthread_mutex_unlock(&t->lock);
    return s;
}

void vox_trace_free(vox_trace **tp)
{
    vox_trace *t = tp ? *tp : NULL;
    if (!t)
        return;
    *tp = NULL;
    t->on = false;
    if (t->open)
        vox_file_abandon(&t->file);
    t->open = false;
    if (t->threads > 0) /* one hangs in a driver: should it come back, it finds its track */
        return;
    while (t->all) {
        vox_track *next = t->all->next;
        free(t->all);
        t->all = next;
    }
    vox_str_release(&t->event.text);
    vox_str_release(&t->notes.text);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

bool vox_trace_on(const vox_trace *t)
{
    return t && t->on;
}

bool vox_trace_full(const vox_trace *t)
{
    return t->full;
}

uint64_t vox_trace_bytes(const vox_trace *t)
{
    return t->bytes;
}

/* ---- recording ------------------------------------------------------------- */

void vox_trace_note(vox_trace *t, const char *key, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    pthread_mutex_lock(&t->lock);
    vox_json_string(&t->notes, key, text);
    pthread_mutex_unlock(&t->lock);
}

int vox_trace_process(vox_trace *t, const char *name)
{
    pthread_mutex_lock(&t->lock);
    vox_track *track = t->all;
    while (track && (track->number > 0 || strcmp(track->name, name) != 0))
        track = track->next;
    if (!track)
        track = add_track(t, ++t->processes, 0, name);
    const int process = track ? track->process : t->processes;
    pthread_mutex_unlock(&t->lock);
    return process;
}

vox_track *vox_trace_track(vox_trace *t, int process, const char *name)
{
    pthread_mutex_lock(&t->lock);
    vox_track *track = t->all;
    while (track &&
           (track->process != process || track->number == 0 || strcmp(track->name, name) != 0))
        track = track->next;
    if (!track)
        track = add_track(t, process, ++t->tracks, name);
    pthread_mutex_unlock(&t->lock);
    return track;
}

static bool has_room(vox_trace *t)
{
    if (t->bytes < t->limit)
        return true;
    t->on = false;
    t->full = true;
    return false;
}

void vox_trace_span(vox_track *track, const char *name, const char *category, int64_t start,
                    int64_t end, const vox_trace_arg *args, size_t count)
{
    if (!track || !vox_trace_on(track->trace))
        return;
    vox_trace *t = track->trace;
    pthread_mutex_lock(&t->lock);
    if (t->open && has_room(t)) {
        vox_json *j = begin_event(t, "X", track->process, track->number);
        put_time(j, "ts", start - t->origin);
        put_time(j, "dur", end - start);
        vox_json_string(j, "name", name);
        vox_json_string(j, "cat", category);
        if (count > 0)
            put_args(j, args, count);
        end_event(t);
    }
    pthread_mutex_unlock(&t->lock);
}

/* ---- the calling thread ------------------------------------------------------ */

void vox_trace_thread(vox_track *track)
{
    if (vox_trace_here)
        vox_trace_here->trace->threads--;
    vox_trace_here = track;
    if (track)
        track->trace->threads++;
}

vox_trace *vox_track_trace(const vox_track *track)
{
    return track ? track->trace : NULL;
}

vox_track *vox_trace_sibling(const char *fmt, ...)
{
    char name[160];
    va_list args;
    if (!vox_trace_here)
        return NULL;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    return vox_trace_track(vox_trace_here->trace, VOX_TRACE_HOST, name);
}
