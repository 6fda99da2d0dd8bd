/* mem.c - allocation whose size arithmetic cannot overflow. */
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool vox_mul(size_t a, size_t b, size_t *out)
{
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *out = a * b;
    return true;
}

bool vox_add(size_t a, size_t b, size_t *out)
{
    if (a > SIZE_MAX - b)
        return false;
    *out = a + b;
    return true;
}

void *vox_calloc(size_t count, size_t size, const char *what, vox_error *err)
{
    size_t bytes = SIZE_MAX;
    void *p = NULL;
    if (vox_mul(count, size, &bytes))
        p = calloc(count ? count : 1, size ? size : 1);
    if (!p)
        vox_fail_memory(err, what, bytes);
    return p;
}

void *vox_aligned(size_t align, size_t bytes, const char *what, vox_error *err)
{
    void *p = NULL;
    if (posix_memalign(&p, align, bytes ? bytes : 1) != 0) {
        vox_fail_memory(err, what, bytes);
        return NULL;
    }
    return p;
}

bool vox_grow(void *array, size_t *capacity, size_t want, size_t size, vox_error *err)
{
    if (want <= *capacity)
        return true;
    size_t next = *capacity ? *capacity : 8;
    while (next < want) {
        if (next > SIZE_MAX / 2)
            return vox_fail_memory(err, "a growing array", want), false;
        next *= 2;
    }
    void *old;
    memcpy(&old, array, sizeof old); /* array is the address of some T *; copying avoids aliasing */
    size_t bytes;
    void *grown = vox_mul(next, size, &bytes) ? realloc(old, bytes) : NULL;
    if (!grown)
        return vox_fail_memory(err, "a growing array", next), false;
    memset((char *)grown + *capacity * size, 0, (next - *capacity) * size);
    memcpy(array, &grown, sizeof grown);
    *capacity = next;
    return true;
}

size_t vox_room_of(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

void *vox_room_take(vox_room *room, size_t bytes)
{
    const size_t taken = vox_room_of(bytes);
    void *at = room->at;
    if (taken > room->left)
        return NULL;
    room->at += taken;
    room->left -= taken;
    return at;
}

void vox_leave_behind(void *p)
{
    static struct left {
        struct left *next;
        void *p;
    } * all;
    struct left *l = p ? malloc(sizeof *l) : NULL;
    if (!l)
        return;
    *l = (struct left){all, p};
    all = l;
}

char *vox_strdup(const char *text, vox_error *err)
{
    if (!text)
        return NULL;
    size_t bytes = strlen(text) + 1;
    char *copy = vox_calloc(bytes, 1, "a string", err);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}

char *vox_format(vox_error *err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (length < 0)
        return vox_fail_memory(err, "a string", 0), NULL;
    char *text = vox_calloc((size_t)length + 1, 1, "a string", err);
    if (!text)
        return NULL;
    va_start(args, fmt);
    vsnprintf(text, (size_t)length + 1, fmt, args);
    va_end(args);
    return text;
}

void vox_str_add(vox_str *s, const char *fmt, ...)
{
    va_list args;
    if (s->failed)
        return;
    va_start(args, fmt);
    int length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (length < 0 || !vox_grow(&s->text, &s->capacity, s->length + (size_t)length + 1, 1, NULL)) {
        s->failed = true;
        return;
    }
    va_start(args, fmt);
    vsnprintf(s->text + s->length, (size_t)length + 1, fmt, args);
    va_end(args);
    s->length += (size_t)length;
}

void vox_str_release(vox_str *s)
{
    free(s->text);
    memset(s, 0, sizeof *s);
}

void vox_string_free(char **text)
{
    if (!text)
        return;
    free(*text);
    *text = NULL;
}
