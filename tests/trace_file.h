/* trace_file.h - reading a trace file back, with jansson, and what holds for every one: it is whole
 * JSON, each span has a named track and a length, and spans of a track lie beside or within one
 * another.  Only for tests that have jansson. */
#ifndef VOX_TESTS_TRACE_FILE_H
#define VOX_TESTS_TRACE_FILE_H

#include "test.h"

#include <jansson.h>
#include <math.h>

typedef struct trace_span {
    int process, track;
    double start, end; /* microseconds */
    const char *name, *category;
    json_t *args; /* NULL: none */
} trace_span;

typedef struct trace_file {
    json_t *root;
    trace_span *span; /* [count], by track and start */
    size_t count;
} trace_file;

/* The name that an "M" event gives a process (track 0) or a track. */
static inline const char *trace_name(const trace_file *t, int process, int track)
{
    size_t i;
    json_t *e;
    json_array_foreach(json_object_get(t->root, "traceEvents"), i, e)
    {
        const char *name = json_string_value(json_object_get(e, "name"));
        if (!strcmp(name, track ? "thread_name" : "process_name") &&
            json_integer_value(json_object_get(e, "pid")) == process &&
            json_integer_value(json_object_get(e, "tid")) == track)
            return json_string_value(json_object_get(json_object_get(e, "args"), "name"));
    }
    return NULL;
}

static inline int trace_by_start(const void *a, const void *b)
{
    const trace_span *x = a, *y = b;
    if (x->track != y->track)
        return x->track < y->track ? -1 : 1;
    if (x->start < y->start || x->start > y->start)
        return x->start < y->start ? -1 : 1;
    return x->end > y->end ? -1 : x->end < y->end; /* the outer one first */
}

/* nested: a span may lie within another.  Times are whole nanoseconds, so a little less than one is
 * the doubles'. */
static inline void trace_check_track(const trace_file *t, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        const trace_span *s = &t->span[i];
        for (size_t k = i + 1; k < end && t->span[k].start < s->end - 5e-4; k++)
            if (t->span[k].end > s->end + 5e-4)
                fail_msg("track %d: \"%s\" [%.3f %.3f] and \"%s\" [%.3f %.3f] overlap", s->track,
                         s->name, s->start, s->end, t->span[k].name, t->span[k].start,
                         t->span[k].end);
    }
}

static inline trace_file trace_read(const char *path)
{
    trace_file t = {0};
    json_error_t e;
    json_t *event;
    size_t i;
    t.root = json_load_file(path, 0, &e);
    if (!t.root)
        fail_msg("%s:%d:%d: %s", path, e.line, e.column, e.text);
    json_t *events = json_object_get(t.root, "traceEvents");
    assert_true(json_is_array(events));
    t.span = calloc(json_array_size(events) + 1, sizeof *t.span);
    json_array_foreach(events, i, event)
    {
        const char *phase = json_string_value(json_object_get(event, "ph"));
        assert_non_null(phase);
        if (strcmp(phase, "X") != 0) {
            assert_string_equal(phase, "M");
            continue;
        }
        trace_span *s = &t.span[t.count++];
        s->process = (int)json_integer_value(json_object_get(event, "pid"));
        s->track = (int)json_integer_value(json_object_get(event, "tid"));
        s->start = json_number_value(json_object_get(event, "ts"));
        s->end = s->start + json_number_value(json_object_get(event, "dur"));
        s->name = json_string_value(json_object_get(event, "name"));
        s->category = json_string_value(json_object_get(event, "cat"));
        s->args = json_object_get(event, "args");
        assert_non_null(s->name);
        assert_non_null(s->category);
        assert_true(s->start >= 0 && s->end >= s->start);
        assert_non_null(trace_name(&t, s->process, 0));
        assert_non_null(trace_name(&t, s->process, s->track));
    }
    qsort(t.span, t.count, sizeof *t.span, trace_by_start);
    for (size_t first = 0, k = 1; k <= t.count; k++)
        if (k == t.count || t.span[k].track != t.span[first].track) {
            trace_check_track(&t, first, k);
            first = k;
        }
    return t;
}

static inline void trace_release(trace_file *t)
{
    json_decref(t->root);
    free(t->span);
}

/* Spans of a track whose names begin so; track 0: of all. */
static inline size_t trace_count(const trace_file *t, int track, const char *prefix)
{
    size_t n = 0;
    for (size_t i = 0; i < t->count; i++)
        n += (!track || t->span[i].track == track) &&
             strncmp(t->span[i].name, prefix, strlen(prefix)) == 0;
    return n;
}

#endif
