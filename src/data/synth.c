/* synth.c - writes a synthetic data set whole or not at all.
 *
 * Everything goes into <dir>.tmp<pid>, which becomes <dir> by one rename. */
#include "data/synth.h"

#include "base/file.h"
#include "base/text.h"
#include "base/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const vox_synth_kind *const kinds[] = {&vox_synth_prostate, &vox_synth_nodule,
                                              &vox_synth_tumour};
#define KINDS (sizeof kinds / sizeof kinds[0])

static vox_status find_kind(const vox_synth_kind **out, const char *name, vox_error *err)
{
    const char *names[KINDS + 1] = {NULL};
    for (size_t i = 0; i < KINDS; i++) {
        names[i] = kinds[i]->name;
        if (strcmp(names[i], name) == 0) {
            *out = kinds[i];
            return VOX_OK;
        }
    }
    const char *nearest = vox_nearest(name, names);
    vox_fail(err, VOX_ERR_USAGE, "there is no kind of synthetic data \"%s\"", name);
    if (nearest)
        vox_hint(err, "did you mean \"%s\"?", nearest);
    else
        vox_hint(err, "known: %s, %s, %s", names[0], names[1], names[2]);
    return VOX_ERR_USAGE;
}

/* ---- what the kinds share ---- */

typedef struct each {
    vox_status (*write)(void *user, size_t i, vox_error *err);
    void *user;
    struct {
        vox_status status;
        vox_error error;
    } * done; /* [patients] */
} each;

static void write_one(void *user, size_t i)
{
    each *e = user;
    vox_file_lazy(true);
    e->done[i].status = e->write(e->user, i, &e->done[i].error);
    vox_file_lazy(false);
}

vox_status vox_synth_each(size_t patients,
                          vox_status (*write)(void *user, size_t i, vox_error *err), void *user,
                          vox_error *err)
{
    vox_pool *pool;
    each e = {write, user, NULL};
    e.done = vox_calloc(patients, sizeof *e.done, "patients", err);
    vox_status s = e.done ? vox_pool_open(&pool, 0, err) : VOX_ERR_MEMORY;
    if (s == VOX_OK) {
        vox_pool_for(pool, patients, write_one, &e);
        vox_pool_free(&pool);
    }
    for (size_t i = 0; s == VOX_OK && i < patients; i++)
        if ((s = e.done[i].status) != VOX_OK && err)
            *err = e.done[i].error;
    free(e.done);
    return s;
}

vox_status vox_synth_folders(const char *dir, const char *one, const char *other, vox_error *err)
{
    const char *const name[2] = {one, other};
    vox_status s = VOX_OK;
    for (int i = 0; i < 2 && s == VOX_OK; i++) {
        char *path = vox_path_join(dir, name[i], err);
        s = path ? vox_mkdirs(path, err) : VOX_ERR_MEMORY;
        free(path);
    }
    return s;
}

vox_status vox_synth_text(const char *dir, const char *name, vox_str *text, vox_error *err)
{
    char *path = vox_path_join(dir, name, err);
    vox_status s = VOX_ERR_MEMORY;
    if (path)
        s = text->failed ? vox_fail_memory(err, name, text->length)
                         : vox_file_write(path, text->text, text->length, err);
    free(path);
    vox_str_release(text);
    return s;
}

/* ---- the whole set ---- */

static vox_status check_target(const char *dir, vox_error *err)
{
    vox_names names;
    struct stat st;
    if (lstat(dir, &st) != 0)
        return errno == ENOENT ? VOX_OK : vox_fail_errno(err, "write", dir);
    vox_status s = VOX_ERR_INPUT;
    bool empty = false;
    if (S_ISDIR(st.st_mode)) {
        s = vox_dir_list(&names, dir, err);
        if (s != VOX_OK)
            return s;
        empty = names.count == 0;
        vox_names_release(&names);
    }
    if (empty)
        return VOX_OK;
    vox_fail(err, VOX_ERR_INPUT, "%s exists and is not an empty folder", dir);
    vox_detail(err, "%s", dir);
    return vox_hint(err, "name another folder, or remove this one");
}

/* Removes what lies below path and path itself; it was made by this process. */
static void remove_tree(const char *path)
{
    vox_names names;
    if (!vox_path_is_dir(path)) {
        unlink(path);
        return;
    }
    if (vox_dir_list(&names, path, NULL) != VOX_OK)
        return;
    for (size_t i = 0; i < names.count; i++) {
        char *child = vox_path_join(path, names.name[i], NULL);
        if (child)
            remove_tree(child);
        free(child);
    }
    vox_names_release(&names);
    rmdir(path);
}

static vox_status write_and_rename(const vox_synth_kind *kind, const vox_synth_order *order,
                                   const char *dir, const char *parent, vox_error *err)
{
    const char *temporary = order->dir;
    vox_status s = vox_mkdirs(parent, err);
    if (s != VOX_OK)
        return s;
    if (mkdir(temporary, 0777) != 0)
        return vox_fail_errno(err, "make folder", temporary);
    s = kind->write(order, err);
    if (s == VOX_OK)
        s = vox_dir_sync(temporary, err);
    if (s == VOX_OK && rename(temporary, dir) != 0)
        s = vox_fail_errno(err, "write", dir);
    if (s != VOX_OK)
        remove_tree(temporary);
    return s;
}

#define SIZE_LEAST 8
#define SIZE_MOST  1024

static vox_status make_order(vox_synth_order *order, const vox_synth_kind *kind,
                             const vox_synth_options *opt, vox_error *err)
{
    const bool sized = opt && (opt->size[0] || opt->size[1] || opt->size[2]);
    const int64_t patients = opt && opt->patients ? opt->patients : kind->patients;
    if (patients < 1 || patients > kind->patients_max) {
        vox_fail(err, VOX_ERR_USAGE, "%lld patients cannot be made", (long long)patients);
        vox_detail(err, "%s takes 1 to %lld", kind->name, (long long)kind->patients_max);
        return VOX_ERR_USAGE;
    }
    if (sized && !kind->size[0])
        return vox_fail(err, VOX_ERR_USAGE, "%s has sizes of its own: none can be given",
                        kind->name);
    order->seed = opt ? opt->seed : 0;
    order->patients = (size_t)patients;
    for (int a = 0; a < 3; a++) {
        order->size[a] = sized ? opt->size[a] : kind->size[a];
        if (sized && (order->size[a] < SIZE_LEAST || order->size[a] > SIZE_MOST)) {
            vox_fail(err, VOX_ERR_USAGE, "volumes of %lld x %lld x %lld voxels cannot be made",
                     (long long)opt->size[0], (long long)opt->size[1], (long long)opt->size[2]);
            vox_detail(err, "each of d, h, w may be %d to %d", SIZE_LEAST, SIZE_MOST);
            return VOX_ERR_USAGE;
        }
    }
    return VOX_OK;
}

vox_status vox_synth(const char *kind_name, const char *dir, const vox_synth_options *opt,
                     vox_error *err)
{
    const vox_synth_kind *kind = NULL;
    vox_synth_order order = {0};
    vox_status s = find_kind(&kind, kind_name, err);
    if (s == VOX_OK)
        s = make_order(&order, kind, opt, err);
    if (s != VOX_OK)
        return s;
    char *path = vox_strdup(dir, err); /* without slashes at its end */
    for (size_t n = path ? strlen(path) : 0; n > 1 && path[n - 1] == '/'; n--)
        path[n - 1] = '\0';
    char *parent = path ? vox_path_dir(path, err) : NULL;
    char *temporary = parent ? vox_format(err, "%s.tmp%ld", path, (long)getpid()) : NULL;
    order.dir = temporary;
    s = temporary ? check_target(path, err) : VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = write_and_rename(kind, &order, path, parent, err);
    free(temporary);
    free(parent);
    free(path);
    return s;
}
