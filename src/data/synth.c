/* synth.c - writes a synthetic data set whole or not at all.
 *
 * Everything goes into <dir>.tmp<pid>, which becomes <dir> by one rename. */
#include "data/synth.h"

#include "base/file.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const vox_synth_kind *const kinds[] = {&vox_synth_prostate};
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
    vox_hint(err, nearest ? "did you mean \"%s\"?" : "known: %s", nearest ? nearest : names[0]);
    return VOX_ERR_USAGE;
}

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

static vox_status write_and_rename(const vox_synth_kind *kind, const char *dir, const char *parent,
                                   const char *temporary, uint64_t seed, size_t patients,
                                   vox_error *err)
{
    vox_status s = vox_mkdirs(parent, err);
    if (s != VOX_OK)
        return s;
    if (mkdir(temporary, 0777) != 0)
        return vox_fail_errno(err, "make folder", temporary);
    s = kind->write(temporary, seed, patients, err);
    if (s == VOX_OK)
        s = vox_dir_sync(temporary, err);
    if (s == VOX_OK && rename(temporary, dir) != 0)
        s = vox_fail_errno(err, "write", dir);
    if (s != VOX_OK)
        remove_tree(temporary);
    return s;
}

vox_status vox_synth(const char *kind_name, const char *dir, const vox_synth_options *opt,
                     vox_error *err)
{
    const vox_synth_kind *kind = NULL;
    vox_status s = find_kind(&kind, kind_name, err);
    if (s != VOX_OK)
        return s;
    int64_t patients = opt && opt->patients ? opt->patients : kind->patients;
    if (patients < 1 || patients > kind->patients_max) {
        vox_fail(err, VOX_ERR_USAGE, "%lld patients cannot be made", (long long)patients);
        vox_detail(err, "%s takes 1 to %lld", kind->name, (long long)kind->patients_max);
        return VOX_ERR_USAGE;
    }
    char *path = vox_strdup(dir, err); /* without slashes at its end */
    for (size_t n = path ? strlen(path) : 0; n > 1 && path[n - 1] == '/'; n--)
        path[n - 1] = '\0';
    char *parent = path ? vox_path_dir(path, err) : NULL;
    char *temporary = parent ? vox_format(err, "%s.tmp%ld", path, (long)getpid()) : NULL;
    s = temporary ? check_target(path, err) : VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = write_and_rename(kind, path, parent, temporary, opt ? opt->seed : 0, (size_t)patients,
                             err);
    free(temporary);
    free(parent);
    free(path);
    return s;
}
