/* mem.h - allocation whose size arithmetic cannot overflow. */
#ifndef VOX_BASE_MEM_H
#define VOX_BASE_MEM_H

#include "base/error.h"

/* a*b and a+b into *out; false (and *out untouched) when it does not fit. */
bool vox_mul(size_t a, size_t b, size_t *out);
bool vox_add(size_t a, size_t b, size_t *out);

/* Zeroed memory for count elements of size bytes (count 0 gives a valid
 * pointer).  NULL and *err filled when it does not fit; `what` names it. */
void *vox_calloc(size_t count, size_t size, const char *what, vox_error *err);

/* Like vox_calloc, aligned to `align` (a power of two, at least sizeof(void *)),
 * not zeroed.  Free with free(). */
void *vox_aligned(size_t align, size_t bytes, const char *what, vox_error *err);

/* Grows *array (element size `size`) so that index `want` - 1 exists; new
 * elements are zeroed.  *capacity is updated.  false: *array is still valid. */
bool vox_grow(void *array, size_t *capacity, size_t want, size_t size, vox_error *err);

/* Zeroed memory of which pieces are taken, never given back one by one. */
typedef struct vox_room {
    char *at;
    size_t left;
} vox_room;

/* What vox_room_take of so many bytes takes. */
size_t vox_room_of(size_t bytes);
/* Aligned to 64; NULL if not enough is left. */
void *vox_room_take(vox_room *room, size_t bytes);

/* p is never freed, as a thread that hangs may yet use it; it stays in sight, so that no leak
 * checker takes it, and what it points to, for lost.  NULL is fine.  From one thread. */
void vox_leave_behind(void *p);

/* strdup with the error convention; text NULL gives NULL without an error. */
char *vox_strdup(const char *text, vox_error *err);

/* printf into a new string; NULL and *err filled on failure. */
char *vox_format(vox_error *err, const char *fmt, ...) VOX_PRINTF(2, 3);

/* A growing string; zero-initialise.  After a failed append `failed` stays set
 * and text is what fitted; one check at the end is enough. */
typedef struct vox_str {
    char *text; /* NUL terminated once anything was appended; owned */
    size_t length, capacity;
    bool failed;
} vox_str;

void vox_str_add(vox_str *s, const char *fmt, ...) VOX_PRINTF(2, 3);
void vox_str_release(vox_str *s);

#endif
