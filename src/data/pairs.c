/* pairs.c - data sets that are a folder of images and a folder of masks:
 *
 *   DIR/images/<name>          a file, or a folder with one DICOM series
 *   DIR/masks/<name>           or DIR/labels/<name>; endings may differ (a.mhd and a.nii.gz)
 *
 * or {pairs: {images: DIR, masks: DIR}}.  Several channels of one case are images <name>_0000,
 * <name>_0001 and so on, as nnU-Net has them.  Names that begin with a dot (macOS leaves "._a") and
 * the voxel files of headers are no cases. */
#include "data/source.h"

#include <stdlib.h>
#include <string.h>

size_t vox_case_stem(const char *path, const char **base)
{
    static const char *const endings[] = {".gz",  ".nii", ".mhd", ".mha",   ".npy",
                                          ".png", ".hdr", ".dcm", ".dicom", ".img"};
    *base = vox_path_base(path);
    char *name = vox_strdup(*base, NULL);
    size_t length = name ? strlen(name) : 0;
    for (size_t i = 0; i < sizeof endings / sizeof *endings && name; i++)
        if (vox_path_ends(name, endings[i]) && strlen(endings[i]) < length) {
            length -= strlen(endings[i]);
            name[length] = '\0';
        }
    free(name);
    return length;
}

/* The files of a folder that may be cases. */
static vox_status list_cases(vox_names *out, const char *dir, vox_error *err)
{
    vox_names all = {0};
    vox_status s = vox_dir_list(&all, dir, err);
    for (size_t i = 0; s == VOX_OK && i < all.count; i++)
        if (all.name[i][0] != '.' && !vox_is_voxel_file(&all, all.name[i]))
            s = vox_names_add(out, all.name[i], err);
    vox_names_release(&all);
    return s;
}

/* Is `name` stem[length], or with channel >= 0 the stem and "_" and four digits? */
static bool is_image_of(const char *name, const char *stem, size_t length, int channel)
{
    char suffix[16] = "";
    const char *base;
    size_t own = vox_case_stem(name, &base);
    if (channel >= 0)
        snprintf(suffix, sizeof suffix, "_%04d", channel);
    return own == length + strlen(suffix) && memcmp(base, stem, length) == 0 &&
           memcmp(base + length, suffix, strlen(suffix)) == 0;
}

/* The image of that channel (-1: the only one); count: no image. */
static size_t find_image(const vox_names *images, const char *stem, size_t length, int channel)
{
    size_t i = 0;
    while (i < images->count && !is_image_of(images->name[i], stem, length, channel))
        i++;
    return i;
}

static vox_status add_image(vox_dataset *set, vox_case **c, const char *dir, const char *name,
                            vox_error *err)
{
    char *path = vox_path_join(dir, name, err);
    vox_status s = path ? VOX_OK : VOX_ERR_MEMORY;
    if (s == VOX_OK && !*c && !(*c = vox_set_add(set, path, NULL, 0, err)))
        s = VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = vox_names_add(&(*c)->file, path, err);
    free(path);
    return s;
}

/* The case of a mask, if it has an image; used marks its images. */
static vox_status add_pair(vox_dataset *set, const char *image_dir, const vox_names *images,
                           const char *mask_dir, const char *mask, bool *used, vox_error *err)
{
    const char *stem;
    size_t length = vox_case_stem(mask, &stem);
    size_t only = find_image(images, stem, length, -1);
    vox_case *c = NULL;
    vox_status s = VOX_OK;
    for (int channel = only < images->count ? -1 : 0; s == VOX_OK; channel++) {
        size_t i = find_image(images, stem, length, channel);
        if (i == images->count)
            break;
        used[i] = true;
        s = add_image(set, &c, image_dir, images->name[i], err);
        if (channel < 0)
            break;
    }
    char *path = vox_path_join(mask_dir, mask, err);
    if (!path) {
        s = VOX_ERR_MEMORY;
    } else if (s == VOX_OK && !c) {
        vox_error bad = {0};
        vox_fail(&bad, VOX_ERR_INPUT, "a mask has no image");
        vox_detail(&bad, "%s: there is no %.*s in %s", path, (int)length, stem, image_dir);
        s = vox_set_reject(set, path, &bad, err);
    } else if (s == VOX_OK) {
        c->mask = vox_strdup(path, err);
        c->patient = vox_format(err, "%.*s", (int)length, stem);
        s = c->mask && c->patient ? VOX_OK : VOX_ERR_MEMORY;
    }
    free(path);
    return s;
}

static vox_status reject_lonely(vox_dataset *set, const char *image_dir, const char *mask_dir,
                                const char *name, vox_error *err)
{
    vox_error bad = {0};
    char *path = vox_path_join(image_dir, name, err);
    if (!path)
        return VOX_ERR_MEMORY;
    vox_fail(&bad, VOX_ERR_INPUT, "an image has no mask");
    vox_detail(&bad, "%s: no file in %s has its name", path, mask_dir);
    vox_status s = vox_set_reject(set, path, &bad, err);
    free(path);
    return s;
}

vox_status vox_set_add_pairs(vox_dataset *set, const char *images, const char *masks,
                             vox_error *err)
{
    vox_names image = {0}, mask = {0};
    vox_status s = list_cases(&image, images, err);
    if (s == VOX_OK)
        s = list_cases(&mask, masks, err);
    bool *used = vox_calloc(image.count, sizeof *used, "pairs", err);
    set->masks = true;
    if (s == VOX_OK && !used)
        s = VOX_ERR_MEMORY;
    for (size_t i = 0; s == VOX_OK && i < mask.count; i++)
        s = add_pair(set, images, &image, masks, mask.name[i], used, err);
    for (size_t i = 0; s == VOX_OK && i < image.count; i++)
        if (!used[i])
            s = reject_lonely(set, images, masks, image.name[i], err);
    free(used);
    vox_names_release(&image);
    vox_names_release(&mask);
    return s;
}

/* {images: DIR, masks: DIR} */
static vox_status named_folders(const vox_dataset *set, const vox_yaml_node *value, char **images,
                                char **masks, vox_error *err)
{
    static const char *const keys[] = {"images", "masks", NULL};
    vox_status s = vox_yaml_keys(value, "pairs", keys, err);
    if (s == VOX_OK && (!vox_yaml_find(value, "images") || !vox_yaml_find(value, "masks")))
        s = vox_yaml_fail(err, value, "pairs needs both images and masks");
    if (s == VOX_OK)
        s = vox_set_path(set, vox_yaml_find(value, "images"), "images", images, err);
    if (s == VOX_OK)
        s = vox_set_path(set, vox_yaml_find(value, "masks"), "masks", masks, err);
    return s;
}

/* DIR with images/ and masks/ or labels/ in it. */
static vox_status usual_folders(const vox_dataset *set, const vox_yaml_node *value, char **images,
                                char **masks, vox_error *err)
{
    char *dir = NULL;
    vox_status s = vox_set_path(set, value, "pairs", &dir, err);
    if (s != VOX_OK)
        return s;
    *images = vox_path_join(dir, "images", err);
    *masks = vox_path_join(dir, "masks", err);
    if (*masks && !vox_path_is_dir(*masks)) {
        free(*masks);
        *masks = vox_path_join(dir, "labels", err);
    }
    s = *images && *masks ? VOX_OK : VOX_ERR_MEMORY;
    if (s == VOX_OK && (!vox_path_is_dir(*images) || !vox_path_is_dir(*masks))) {
        s = vox_fail(err, VOX_ERR_INPUT, "the folder has no images/ with masks/ or labels/");
        vox_detail(err, "%s", dir);
        vox_hint(err, "other names: pairs: {images: DIR, masks: DIR}");
    }
    free(dir);
    return s;
}

static vox_status open_pairs(vox_dataset *set, const vox_yaml_node *value, vox_error *err)
{
    char *images = NULL, *masks = NULL;
    vox_status s = vox_yaml_kind_of(value) == VOX_YAML_MAP
                       ? named_folders(set, value, &images, &masks, err)
                       : usual_folders(set, value, &images, &masks, err);
    if (s == VOX_OK)
        s = vox_set_add_pairs(set, images, masks, err);
    free(images);
    free(masks);
    return s;
}

static vox_status read_files(const vox_dataset *set, const vox_case *c, vox_image **out,
                             vox_error *err)
{
    (void)set;
    return vox_input_read(&c->file, out, err);
}

const vox_source vox_source_pairs = {"pairs", open_pairs, read_files, NULL, NULL};
