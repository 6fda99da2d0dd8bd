/* error.c - filling a vox_error; every text is cut to fit, never overrun. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void format(char *out, size_t size, const char *fmt, va_list args)
{
    if (vsnprintf(out, size, fmt, args) < 0)
        out[0] = '\0';
}

vox_status vox_fail(vox_error *err, vox_status code, const char *fmt, ...)
{
    if (err) {
        va_list args;
        memset(err, 0, sizeof *err);
        err->code = code;
        va_start(args, fmt);
        format(err->message, sizeof err->message, fmt, args);
        va_end(args);
    }
    return code;
}

vox_status vox_detail(vox_error *err, const char *fmt, ...)
{
    if (!err)
        return VOX_ERR_INPUT;
    va_list args;
    va_start(args, fmt);
    format(err->detail, sizeof err->detail, fmt, args);
    va_end(args);
    return err->code;
}

vox_status vox_hint(vox_error *err, const char *fmt, ...)
{
    if (!err)
        return VOX_ERR_INPUT;
    va_list args;
    va_start(args, fmt);
    format(err->hint, sizeof err->hint, fmt, args);
    va_end(args);
    return err->code;
}

vox_status vox_fail_full(vox_error *err, vox_status code, const char *message, const char *detail,
                         const char *hint)
{
    vox_fail(err, code, "%s", message);
    if (detail)
        vox_detail(err, "%s", detail);
    if (hint)
        vox_hint(err, "%s", hint);
    return code;
}

vox_status vox_fail_memory(vox_error *err, const char *what, size_t bytes)
{
    vox_fail(err, VOX_ERR_MEMORY, "out of host memory");
    vox_detail(err, "%s needs %zu bytes", what, bytes);
    vox_hint(err, "use a smaller batch, fewer cases in memory, or a machine with more memory");
    return VOX_ERR_MEMORY;
}

vox_status vox_fail_errno(vox_error *err, const char *verb, const char *path)
{
    int number = errno;
    vox_fail(err, VOX_ERR_IO, "cannot %s %s", verb, path);
    vox_detail(err, "%s: %s", path, strerror(number));
    return VOX_ERR_IO;
}

vox_status vox_error_at(vox_error *err, const char *fmt, ...)
{
    if (!err)
        return VOX_ERR_INPUT;
    char place[sizeof err->detail];
    char rest[sizeof err->detail];
    va_list args;
    va_start(args, fmt);
    format(place, sizeof place, fmt, args);
    va_end(args);
    memcpy(rest, err->detail, sizeof rest);
    size_t used = strlen(place);
    memcpy(err->detail, place, used + 1);
    if (used + 2 < sizeof err->detail && rest[0])
        snprintf(err->detail + used, sizeof err->detail - used, ": %s", rest);
    return err->code;
}
