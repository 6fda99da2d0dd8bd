/* trace.h - a record of what ran when, for people to look at: spans on tracks, written as Chrome's
 * trace events (JSON), which ui.perfetto.dev and chrome://tracing show.
 *
 * Spans go to the file as they come, up to a limit of bytes: a long run fills no memory.  The file
 * appears whole or not at all.  A write that fails ends the trace with a warning in the log, and
 * nothing else: recording has no other way to fail.
 *
 * A thread that has a track (vox_trace_thread) records what it does by vox_span_begin and
 * vox_span_end; one that has none spends a branch on them.  All calls but open, finish and free may
 * come from any thread.
 *
 * One invariant: times are of one clock, vox_clock_ns. */
#ifndef VOX_BASE_TRACE_H
#define VOX_BASE_TRACE_H

#include "base/error.h"

typedef struct vox_trace vox_trace;
typedef struct vox_track vox_track; /* one line of the picture; lives as long as its trace */

/* CLOCK_MONOTONIC, in nanoseconds. */
int64_t vox_clock_ns(void);

/* Begins the file beside its place.  limit: bytes of spans after which no more are taken. */
vox_status vox_trace_open(vox_trace **out, const char *path, uint64_t limit, vox_error *err);
/* Ends the recording, and the file appears.  Fails if it could not be written, also earlier; the
 * second call does nothing. */
vox_status vox_trace_finish(vox_trace *trace, vox_error *err);
/* Releases it, once no thread has a track of it.  What was not finished leaves no file. */
void vox_trace_free(vox_trace **trace);

/* Whether it takes spans still; NULL does not. */
bool vox_trace_on(const vox_trace *trace);
bool vox_trace_full(const vox_trace *trace); /* the limit was reached */
uint64_t vox_trace_bytes(const vox_trace *trace);

/* A fact about the whole, shown with it. */
void vox_trace_note(vox_trace *trace, const char *key, const char *fmt, ...) VOX_PRINTF(3, 4);

/* Tracks are shown grouped by process, in the order they were made; threads of ours belong to
 * VOX_TRACE_HOST. */
enum { VOX_TRACE_HOST = 1 };
/* The process of that name, and the process's track of that name, made if there is none.  NULL when
 * out of memory, which every function here takes for "not recorded". */
int vox_trace_process(vox_trace *trace, const char *name);
vox_track *vox_trace_track(vox_trace *trace, int process, const char *name);

/* More about a span: text, or a number where text is NULL. */
typedef struct vox_trace_arg {
    const char *key, *text;
    double number;
} vox_trace_arg;

/* A span from start to end (vox_clock_ns).  Spans of one track lie beside or within one another. */
void vox_trace_span(vox_track *track, const char *name, const char *category, int64_t start,
                    int64_t end, const vox_trace_arg *args, size_t count);

/* ---- the calling thread ---- */

extern _Thread_local vox_track *vox_trace_here; /* its track; NULL: it records nothing */

/* NULL when it ends: a trace outlives its threads, and is never released while one has a track. */
void vox_trace_thread(vox_track *track);
/* A track of the trace that this thread records in, or NULL: for a thread that it starts, and that
 * no other track of that name is in use by. */
vox_track *vox_trace_sibling(const char *fmt, ...) VOX_PRINTF(1, 2);
vox_trace *vox_track_trace(const vox_track *track); /* NULL: NULL */

typedef struct vox_span {
    vox_track *track; /* NULL: not recorded */
    const char *name, *category;
    int64_t start;
} vox_span;

/* name and category are borrowed until the end. */
static inline vox_span vox_span_begin(const char *name, const char *category)
{
    if (!vox_trace_here)
        return (vox_span){0};
    return (vox_span){vox_trace_here, name, category, vox_clock_ns()};
}

static inline void vox_span_end_with(const vox_span *span, const vox_trace_arg *args, size_t count)
{
    if (span->track)
        vox_trace_span(span->track, span->name, span->category, span->start, vox_clock_ns(), args,
                       count);
}

static inline void vox_span_end(const vox_span *span)
{
    vox_span_end_with(span, NULL, 0);
}

#endif
