/* file.c - paths and files: whole reads, writes that happen whole or not at all. */
#define _GNU_SOURCE /* syncfs */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static vox_status read_stream(char **data, size_t *size, FILE *f, size_t bytes, const char *path,
                              vox_error *err)
{
    char *p = vox_calloc(bytes + 1, 1, path, err);
    if (!p)
        return VOX_ERR_MEMORY;
    size_t got = fread(p, 1, bytes, f);
    if (got != bytes) {
        free(p);
        if (ferror(f))
            return vox_fail_errno(err, "read", path);
        vox_fail(err, VOX_ERR_IO, "file shrank while it was read");
        vox_detail(err, "%s: %zu of %zu bytes", path, got, bytes);
        return VOX_ERR_IO;
    }
    *data = p;
    *size = bytes;
    return VOX_OK;
}

vox_status vox_file_read(char **data, size_t *size, const char *path, size_t limit, vox_error *err)
{
    struct stat st;
    FILE *f = fopen(path, "rbe");
    if (!f)
        return vox_fail_errno(err, "open", path);
    vox_status s;
    if (fstat(fileno(f), &st) != 0) {
        s = vox_fail_errno(err, "read", path);
    } else if (!S_ISREG(st.st_mode)) {
        vox_fail(err, VOX_ERR_IO, "not a regular file");
        vox_detail(err, "%s", path);
        s = VOX_ERR_IO;
    } else if (limit && (uint64_t)st.st_size > limit) {
        vox_fail(err, VOX_ERR_INPUT, "file is too large for what it should be");
        vox_detail(err, "%s: %lld bytes, limit %zu", path, (long long)st.st_size, limit);
        s = VOX_ERR_INPUT;
    } else {
        s = read_stream(data, size, f, (size_t)st.st_size, path, err);
    }
    fclose(f);
    return s;
}

vox_status vox_file_begin(vox_file *f, const char *path, vox_error *err)
{
    memset(f, 0, sizeof *f);
    f->path = vox_strdup(path, err);
    /* Two writers of one path, of this process or another, are kept apart. */
    static atomic_uint count;
    f->temporary =
        f->path ? vox_format(err, "%s.tmp%ld-%u", path, (long)getpid(), atomic_fetch_add(&count, 1))
                : NULL;
    if (!f->temporary) {
        vox_file_abandon(f);
        return VOX_ERR_MEMORY;
    }
    f->stream = fopen(f->temporary, "wbe");
    if (!f->stream) {
        const bool missing = errno == ENOENT;
        vox_status s = vox_fail_errno(err, "write", path);
        vox_hint(err, missing ? "make its folder first" : "check the folder's permissions");
        free(f->temporary);
        f->temporary = NULL;
        vox_file_abandon(f);
        return s;
    }
    return VOX_OK;
}

static _Thread_local bool lazy;

void vox_file_lazy(bool on)
{
    lazy = on;
}

vox_status vox_dir_sync(const char *dir, vox_error *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && syncfs(fd) == 0;
    int number = errno;
    if (fd >= 0)
        close(fd);
    errno = number;
    return good ? VOX_OK : vox_fail_errno(err, "write", dir);
}

/* The rename itself must survive a power cut, so its folder is synced too. */
static void sync_parent(const char *path)
{
    char *dir = vox_path_dir(path, NULL);
    int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(dir);
}

vox_status vox_file_commit(vox_file *f, vox_error *err)
{
    bool good =
        fflush(f->stream) == 0 && !ferror(f->stream) && (lazy || fsync(fileno(f->stream)) == 0);
    int number = errno;
    good = fclose(f->stream) == 0 && good;
    f->stream = NULL;
    if (good && rename(f->temporary, f->path) != 0) {
        good = false;
        number = errno;
    }
    vox_status s = VOX_OK;
    if (good) {
        if (!lazy)
            sync_parent(f->path);
        free(f->temporary);
        f->temporary = NULL;
    } else {
        errno = number;
        s = vox_fail_errno(err, "write", f->path);
        vox_hint(err, "check free space and permissions; what was there before is untouched");
    }
    vox_file_abandon(f);
    return s;
}

void vox_file_abandon(vox_file *f)
{
    if (f->stream)
        fclose(f->stream);
    if (f->temporary)
        unlink(f->temporary);
    free(f->temporary);
    free(f->path);
    memset(f, 0, sizeof *f);
}

vox_status vox_file_write(const char *path, const void *data, size_t size, vox_error *err)
{
    vox_file f;
    vox_status s = vox_file_begin(&f, path, err);
    if (s != VOX_OK)
        return s;
    if (fwrite(data, 1, size, f.stream) != size) {
        s = vox_fail_errno(err, "write", path);
        vox_file_abandon(&f);
        return s;
    }
    return vox_file_commit(&f, err);
}

bool vox_path_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool vox_path_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

vox_status vox_mkdirs(const char *path, vox_error *err)
{
    char *copy = vox_strdup(path, err);
    if (!copy)
        return VOX_ERR_MEMORY;
    vox_status s = VOX_OK;
    for (char *p = copy + 1; s == VOX_OK && *copy; p++) {
        bool end = *p == '\0';
        if (*p != '/' && !end)
            continue;
        *p = '\0';
        if (mkdir(copy, 0777) != 0 && !(errno == EEXIST && vox_path_is_dir(copy)))
            s = vox_fail_errno(err, "make folder", copy);
        if (end)
            break;
        *p = '/';
    }
    free(copy);
    return s;
}

char *vox_path_join(const char *dir, const char *name, vox_error *err)
{
    if (!dir || !*dir || name[0] == '/')
        return vox_strdup(name, err);
    size_t n = strlen(dir);
    return vox_format(err, "%s%s%s", dir, dir[n - 1] == '/' ? "" : "/", name);
}

char *vox_path_dir(const char *path, vox_error *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return vox_strdup(".", err);
    return vox_format(err, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

const char *vox_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool vox_path_ends(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);
    return n >= m && strcasecmp(path + n - m, suffix) == 0;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

vox_status vox_dir_list(vox_names *out, const char *dir, vox_error *err)
{
    memset(out, 0, sizeof *out);
    DIR *d = opendir(dir);
    if (!d)
        return vox_fail_errno(err, "list", dir);
    vox_status s = VOX_OK;
    struct dirent *entry;
    while (s == VOX_OK && (entry = readdir(d)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            s = vox_names_add(out, entry->d_name, err);
    closedir(d);
    if (s != VOX_OK)
        vox_names_release(out);
    else if (out->count > 1)
        qsort(out->name, out->count, sizeof *out->name, by_bytes);
    return s;
}

vox_status vox_names_add(vox_names *names, const char *name, vox_error *err)
{
    if (!vox_grow(&names->name, &names->capacity, names->count + 1, sizeof *names->name, err))
        return VOX_ERR_MEMORY;
    names->name[names->count] = vox_strdup(name, err);
    if (!names->name[names->count])
        return VOX_ERR_MEMORY;
    names->count++;
    return VOX_OK;
}

void vox_names_release(vox_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->name[i]);
    free(names->name);
    memset(names, 0, sizeof *names);
}

char *vox_cache_dir(vox_error *err)
{
    const char *own = getenv("VOXCL_CACHE_DIR");
    const char *xdg = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    char *path;
    if (own && *own)
        path = vox_strdup(own, err);
    else if (xdg && xdg[0] == '/') /* the XDG rules: a relative one is ignored */
        path = vox_path_join(xdg, "voxcl", err);
    else
        path = vox_path_join(home && *home ? home : "/tmp", ".cache/voxcl", err);
    if (path && vox_mkdirs(path, err) != VOX_OK) {
        free(path);
        path = NULL;
    }
    return path;
}
