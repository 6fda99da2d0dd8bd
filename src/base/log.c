/* log.c - one process-wide sink, set before other threads run. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static vox_log_fn sink;
static void *sink_user;

void vox_log_set(vox_log_fn fn, void *user)
{
    sink = fn;
    sink_user = user;
}

void vox_log(vox_log_level level, const char *fmt, ...)
{
    char line[1024];
    va_list args;
    if (!sink)
        return;
    va_start(args, fmt);
    if (vsnprintf(line, sizeof line, fmt, args) >= 0)
        sink(sink_user, level, line);
    va_end(args);
}
