/* volumes.c - a small cache of volumes by path, least recently used out first. */
#include "data/volumes.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    char *path;       /* NULL: free */
    vox_image *image; /* NULL: being read */
    size_t held;      /* by get without put, and by readers */
    uint64_t used;
} entry;

struct vox_volumes {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* an entry was read or put back */
    entry *entry;           /* [capacity] */
    size_t keep, capacity;
    uint64_t clock;
};

vox_status vox_volumes_open(vox_volumes **out, size_t keep, vox_error *err)
{
    *out = vox_calloc(1, sizeof **out, "the volume cache", err);
    if (!*out)
        return VOX_ERR_MEMORY;
    (*out)->keep = keep;
    pthread_mutex_init(&(*out)->lock, NULL);
    pthread_cond_init(&(*out)->changed, NULL);
    return VOX_OK;
}

static void clear(entry *e)
{
    free(e->path);
    vox_image_free(&e->image);
    memset(e, 0, sizeof *e);
}

void vox_volumes_free(vox_volumes **volumes)
{
    if (!volumes || !*volumes)
        return;
    for (size_t i = 0; i < (*volumes)->capacity; i++)
        clear(&(*volumes)->entry[i]);
    pthread_cond_destroy(&(*volumes)->changed);
    pthread_mutex_destroy(&(*volumes)->lock);
    free((*volumes)->entry);
    free(*volumes);
    *volumes = NULL;
}

static entry *find(vox_volumes *v, const char *path)
{
    for (size_t i = 0; i < v->capacity; i++)
        if (v->entry[i].path && strcmp(v->entry[i].path, path) == 0)
            return &v->entry[i];
    return NULL;
}

/* A free entry: unused, or the least recently used one that nobody holds once there are enough;
 * when all are held the table grows. */
static size_t free_entry(vox_volumes *v, vox_error *err)
{
    size_t taken = 0, empty = SIZE_MAX, oldest = SIZE_MAX;
    for (size_t i = 0; i < v->capacity; i++) {
        const entry *e = &v->entry[i];
        if (!e->path)
            empty = i;
        else
            taken++;
        if (e->path && !e->held && (oldest == SIZE_MAX || e->used < v->entry[oldest].used))
            oldest = i;
    }
    if (taken >= v->keep && oldest != SIZE_MAX) {
        clear(&v->entry[oldest]);
        return oldest;
    }
    if (empty != SIZE_MAX)
        return empty;
    size_t next = v->capacity;
    return vox_grow(&v->entry, &v->capacity, next + 1, sizeof *v->entry, err) ? next : SIZE_MAX;
}

/* Reads path into a new entry, without the lock meanwhile.  Entries may move (the table grows), so
 * the entry is found again by its path. */
static vox_status read_entry(vox_volumes *v, const char *path, vox_error *err)
{
    size_t i = free_entry(v, err);
    if (i == SIZE_MAX || !(v->entry[i].path = vox_strdup(path, err)))
        return VOX_ERR_MEMORY;
    v->entry[i].held = 1;
    pthread_mutex_unlock(&v->lock);
    vox_image *image = NULL;
    vox_status s = vox_image_read(&image, path, err);
    pthread_mutex_lock(&v->lock);
    entry *e = find(v, path);
    e->held--;
    if (s == VOX_OK)
        e->image = image;
    else
        clear(e); /* those who wait read it themselves, and fail as well */
    pthread_cond_broadcast(&v->changed);
    return s;
}

vox_status vox_volumes_get(vox_volumes *v, const char *path, const vox_image **out, vox_error *err)
{
    vox_status s = VOX_OK;
    pthread_mutex_lock(&v->lock);
    entry *e;
    while (s == VOX_OK && (!(e = find(v, path)) || !e->image)) {
        if (e)
            pthread_cond_wait(&v->changed, &v->lock);
        else
            s = read_entry(v, path, err);
    }
    if (s == VOX_OK) {
        e->held++;
        e->used = ++v->clock;
        *out = e->image;
    }
    pthread_mutex_unlock(&v->lock);
    return s;
}

void vox_volumes_clear(vox_volumes *v)
{
    pthread_mutex_lock(&v->lock);
    for (size_t i = 0; i < v->capacity; i++)
        if (!v->entry[i].held)
            clear(&v->entry[i]);
    pthread_mutex_unlock(&v->lock);
}

void vox_volumes_put(vox_volumes *v, const vox_image *image)
{
    if (!image)
        return;
    pthread_mutex_lock(&v->lock);
    for (size_t i = 0; i < v->capacity; i++)
        if (v->entry[i].image == image)
            v->entry[i].held--;
    pthread_mutex_unlock(&v->lock);
}
