/* folder.c - data sets that are a folder per class:
 *
 *   DIR/<class>/<case>    a case is a file, or a folder with one DICOM series
 *
 * The classes are the folders' names sorted by bytes.  Names that begin with a dot, loose files in
 * DIR, and the voxel files that belong to a header (.raw and .zraw beside a .mhd, .img beside a
 * .hdr) are no cases. */
#include "data/source.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* Is there a file "<stem>.<ending>" (stem: name without its last ending) or, for stem NULL, any
 * with that ending? */
static bool has_header(const vox_names *names, const char *name, const char *ending)
{
    const char *dot = name ? strrchr(name, '.') : NULL;
    for (size_t i = 0; i < names->count; i++) {
        const char *other = names->name[i];
        if (!vox_path_ends(other, ending))
            continue;
        size_t stem = strlen(other) - strlen(ending);
        if (!name || (dot && (size_t)(dot - name) == stem && memcmp(name, other, stem) == 0))
            return true;
    }
    return false;
}

/* A MetaImage header may name any file, so that every .raw beside a header is taken for one's. */
bool vox_is_voxel_file(const vox_names *names, const char *name)
{
    if (vox_path_ends(name, ".raw") || vox_path_ends(name, ".zraw"))
        return has_header(names, NULL, ".mhd");
    return vox_path_ends(name, ".img") && has_header(names, name, ".hdr");
}

static vox_status add_case(vox_dataset *set, const char *dir, const char *name, int32_t label,
                           vox_error *err)
{
    char *path = vox_path_join(dir, name, err);
    vox_case *c = path ? vox_set_add(set, path, NULL, label, err) : NULL;
    vox_status s = c && (c->patient = vox_strdup(name, err)) ? vox_names_add(&c->file, path, err)
                                                             : VOX_ERR_MEMORY;
    free(path);
    return s;
}

static vox_status add_class(vox_dataset *set, const char *root, const char *name, vox_error *err)
{
    int32_t label = (int32_t)set->class_name.count;
    vox_names names = {0};
    vox_status s = VOX_OK;
    if (!set->classes_given)
        s = vox_names_add(&set->class_name, name, err);
    else if (!vox_set_class(set, name, &label)) {
        s = vox_set_unknown_class(set, name, err);
        vox_error_at(err, "%s/%s", root, name);
    }
    char *dir = s == VOX_OK ? vox_path_join(root, name, err) : NULL;
    if (s == VOX_OK)
        s = dir ? vox_dir_list(&names, dir, err) : VOX_ERR_MEMORY;
    size_t before = set->count;
    for (size_t i = 0; s == VOX_OK && i < names.count; i++)
        if (names.name[i][0] != '.' && !vox_is_voxel_file(&names, names.name[i]))
            s = add_case(set, dir, names.name[i], label, err);
    if (s == VOX_OK && set->count == before)
        vox_log(VOX_LOG_WARN, "class folder %s has no case", dir);
    vox_names_release(&names);
    free(dir);
    return s;
}

static vox_status add_classes(vox_dataset *set, const char *root, vox_error *err)
{
    vox_names names = {0};
    size_t folders = 0;
    vox_status s = vox_dir_list(&names, root, err);
    for (size_t i = 0; s == VOX_OK && i < names.count; i++) {
        char *path = vox_path_join(root, names.name[i], err);
        if (!path)
            s = VOX_ERR_MEMORY;
        else if (names.name[i][0] != '.' && vox_path_is_dir(path)) {
            folders++;
            s = add_class(set, root, names.name[i], err);
        }
        free(path);
    }
    if (s == VOX_OK && folders == 0) {
        vox_fail(err, VOX_ERR_INPUT, "the data folder has no class folders");
        vox_detail(err, "%s: %zu files and no folder", root, names.count);
        vox_hint(err, "put the cases of each class into a folder named after it");
        s = VOX_ERR_INPUT;
    }
    vox_names_release(&names);
    return s;
}

static vox_status open_folder(vox_dataset *set, const vox_yaml_node *value, vox_error *err)
{
    char *root = NULL;
    vox_status s = vox_set_path(set, value, "folder", &root, err);
    if (s == VOX_OK)
        s = add_classes(set, root, err);
    free(root);
    return s;
}

static vox_status read_files(const vox_dataset *set, const vox_case *c, vox_image **out,
                             vox_error *err)
{
    (void)set;
    return vox_input_read(&c->file, out, err);
}

const vox_source vox_source_folder = {"folder", open_folder, read_files, NULL, NULL};
