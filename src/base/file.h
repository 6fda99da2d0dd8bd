/* file.h - paths and files: whole reads, writes that happen whole or not at all. */
#ifndef VOX_BASE_FILE_H
#define VOX_BASE_FILE_H

#include "base/mem.h"

#include <stdio.h>

/* The whole file, plus one NUL byte that *size does not count.  Fails on a
 * folder, and on files over `limit` bytes (0: none).  The caller frees *data. */
vox_status vox_file_read(char **data, size_t *size, const char *path, size_t limit, vox_error *err);

/* A file being written beside its final place; nothing appears at path until
 * commit has written, fsynced and renamed it. */
typedef struct vox_file {
    FILE *stream; /* write here */
    char *path, *temporary;
} vox_file;

vox_status vox_file_begin(vox_file *f, const char *path, vox_error *err);
/* Both release f; commit reports a failed write, flush, fsync or rename. */
vox_status vox_file_commit(vox_file *f, vox_error *err);
void vox_file_abandon(vox_file *f);

/* While on, what this thread commits is not fsynced: for many files in a folder that appears as a
 * whole by one rename, before which vox_dir_sync brings all of it to the disk at once. */
void vox_file_lazy(bool on);
vox_status vox_dir_sync(const char *dir, vox_error *err);

/* The three in one. */
vox_status vox_file_write(const char *path, const void *data, size_t size, vox_error *err);

bool vox_path_exists(const char *path);
bool vox_path_is_dir(const char *path);
/* Makes the folder and its parents; one that exists is fine. */
vox_status vox_mkdirs(const char *path, vox_error *err);

/* "a/b"; name alone when it is absolute or dir is NULL or "".  Caller frees. */
char *vox_path_join(const char *dir, const char *name, vox_error *err);
/* The folder part ("." if none) and the file part.  Caller frees the first;
 * the second points into path. */
char *vox_path_dir(const char *path, vox_error *err);
const char *vox_path_base(const char *path);
/* true if path ends in `suffix`, case ignored. */
bool vox_path_ends(const char *path, const char *suffix);

/* Names in a folder except . and .., sorted by bytes. */
typedef struct vox_names {
    char **name; /* [count] */
    size_t count, capacity;
} vox_names;

vox_status vox_dir_list(vox_names *out, const char *dir, vox_error *err);
vox_status vox_names_add(vox_names *names, const char *name, vox_error *err);
void vox_names_release(vox_names *names);

/* $VOXCL_CACHE_DIR, else $XDG_CACHE_HOME/voxcl, else ~/.cache/voxcl; made if
 * missing.  Caller frees. */
char *vox_cache_dir(vox_error *err);

#endif
