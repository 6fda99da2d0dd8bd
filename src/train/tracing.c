/* tracing.c - the trace of a training: when it begins and ends. */
#include "train/loop.h"

#include "base/log.h"

#include <stdlib.h>

#define LIMIT_BYTES 134217728 /* what browsers show without trouble; some thousand steps */

vox_status vox_tracing_begin(vox_trainer *t, vox_error *err)
{
    if (!t->opt->trace)
        return VOX_OK;
    vox_status s = vox_trace_open(&t->trace, t->opt->trace, LIMIT_BYTES, err);
    if (s != VOX_OK)
        return s;
    vox_trace_note(t->trace, "voxcl", "%s", vox_version());
    vox_trace_note(t->trace, "experiment", "%s", t->exp->name);
    vox_trace_thread(vox_trace_track(t->trace, VOX_TRACE_HOST, "training"));
    return VOX_OK;
}

static void finish(vox_trainer *t)
{
    vox_error err = {0};
    const long long step = (long long)t->trace_last;
    const bool full = vox_trace_full(t->trace), failed = !full && !vox_trace_on(t->trace);
    vox_trace_note(t->trace, "last step", "%lld", step);
    if (full)
        vox_trace_note(t->trace, "limit", "%d MiB reached in this step", LIMIT_BYTES >> 20);
    vox_status s = vox_trace_finish(t->trace, &err);
    if (s != VOX_OK && !failed) /* else the log has it already */
        vox_log(VOX_LOG_WARN, "no trace: %s: %s", err.message, err.detail);
    else if (s == VOX_OK)
        vox_log(VOX_LOG_INFO, "trace up to step %lld%s: %s", step,
                full ? ", where its limit of 128 MiB was reached" : "", t->opt->trace);
}

void vox_tracing_step(vox_trainer *t)
{
    const int64_t most = t->opt->trace_steps;
    if (!t->trace || t->traced)
        return;
    t->trace_steps++;
    t->trace_last = t->state.progress.step;
    if ((most && t->trace_steps >= most) || !vox_trace_on(t->trace)) {
        finish(t);
        t->traced = true;
    }
}

void vox_tracing_end(vox_trainer *t, bool wanted)
{
    if (t->trace && !t->traced && wanted)
        finish(t);
    vox_trace_thread(NULL);
    vox_trace_free(&t->trace);
}
