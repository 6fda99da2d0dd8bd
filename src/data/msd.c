/* msd.c - the Medical Segmentation Decathlon's layout, which nnU-Net shares:
 *
 *   DIR/dataset.json           labels: {"0": "background", "1": ...} (or {"background": 0, ...});
 *                              training: [{"image": "./imagesTr/a.nii.gz", "label": ...}, ...]
 *   DIR/imagesTr, labelsTr     of a dataset.json without `training`, as in pairs.c
 *
 * Images of four dimensions have as many channels.  What macOS leaves ("._a.nii.gz") is no case. */
#include "data/source.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define LABEL_LIMIT 255

/* The names of the labels by their numbers, from either way of writing them. */
static vox_status label_names(const vox_yaml_node *map, const char **name, size_t *count,
                              vox_error *err)
{
    for (size_t i = 0; i < vox_yaml_count(map); i++) {
        const char *key = vox_yaml_key(map, i), *value = vox_yaml_text(vox_yaml_item(map, i));
        int64_t number;
        bool by_number = vox_parse_i64(key, &number);
        if (!value || (!by_number && !vox_parse_i64(value, &number)) || number < 0 ||
            number >= LABEL_LIMIT)
            return vox_yaml_fail(err, map, "label \"%s\" has no number from 0 to %d", key,
                                 LABEL_LIMIT - 1);
        if (name[number])
            return vox_yaml_fail(err, map, "two labels have the number %d", (int)number);
        name[number] = by_number ? value : key;
        *count = (size_t)number >= *count ? (size_t)number + 1 : *count;
    }
    return VOX_OK;
}

static vox_status read_labels(vox_dataset *set, const vox_yaml_node *root, vox_error *err)
{
    const vox_yaml_node *map = vox_yaml_find(root, "labels");
    const char *name[LABEL_LIMIT] = {NULL};
    size_t count = 0;
    if (set->classes_given)
        return VOX_OK;
    if (vox_yaml_kind_of(map) != VOX_YAML_MAP)
        return vox_yaml_fail(err, map ? map : root, "dataset.json has no map of labels");
    vox_status s = label_names(map, name, &count, err);
    for (size_t i = 0; i < count && s == VOX_OK; i++)
        s = name[i] ? vox_names_add(&set->class_name, name[i], err)
                    : vox_yaml_fail(err, map, "no label has the number %zu", i);
    return s;
}

/* A path of the list, which must be there. */
static vox_status find_file(char **out, const char *dir, const char *name, vox_error *err)
{
    *out = vox_path_join(dir, strncmp(name, "./", 2) == 0 ? name + 2 : name, err);
    if (!*out)
        return VOX_ERR_MEMORY;
    if (vox_path_exists(*out))
        return VOX_OK;
    vox_fail(err, VOX_ERR_INPUT, "a file that dataset.json names does not exist");
    vox_detail(err, "%s", *out);
    return vox_hint(err, "with data.skip_bad: true such cases are left out");
}

static vox_status fill_case(vox_case *c, const char *dir, const char *image, const char *mask,
                            vox_error *err)
{
    const char *base;
    char *path;
    size_t length = vox_case_stem(image, &base);
    vox_status s = find_file(&path, dir, image, err);
    if (s == VOX_OK)
        s = vox_names_add(&c->file, path, err);
    free(path);
    if (s == VOX_OK)
        s = find_file(&c->mask, dir, mask, err);
    if (s == VOX_OK && !(c->patient = vox_format(err, "%.*s", (int)length, base)))
        s = VOX_ERR_MEMORY;
    return s;
}

static vox_status add_case(vox_dataset *set, const char *dir, const vox_yaml_node *item,
                           vox_error *err)
{
    const char *image = vox_yaml_text(vox_yaml_find(item, "image"));
    const char *mask = vox_yaml_text(vox_yaml_find(item, "label"));
    vox_error bad = {0};
    if (!image || !mask)
        return vox_yaml_fail(err, item, "a case of training needs image and label");
    if (vox_path_base(image)[0] == '.')
        return VOX_OK;
    char *name = vox_path_join(dir, strncmp(image, "./", 2) == 0 ? image + 2 : image, err);
    vox_case *c = name ? vox_set_add(set, name, NULL, 0, err) : NULL;
    vox_status s = c ? fill_case(c, dir, image, mask, &bad) : VOX_ERR_MEMORY;
    if (c && s != VOX_OK) {
        s = vox_set_reject(set, name, &bad, err);
        vox_set_drop_last(set);
    }
    free(name);
    return s;
}

static vox_status add_cases(vox_dataset *set, const char *dir, const vox_yaml_node *root,
                            vox_error *err)
{
    const vox_yaml_node *list = vox_yaml_find(root, "training");
    vox_status s = VOX_OK;
    if (vox_yaml_kind_of(list) == VOX_YAML_LIST) {
        for (size_t i = 0; s == VOX_OK && i < vox_yaml_count(list); i++)
            s = add_case(set, dir, vox_yaml_item(list, i), err);
        return s;
    }
    char *images = vox_path_join(dir, "imagesTr", err);
    char *masks = vox_path_join(dir, "labelsTr", err);
    s = images && masks ? vox_set_add_pairs(set, images, masks, err) : VOX_ERR_MEMORY;
    free(images);
    free(masks);
    return s;
}

static vox_status open_msd(vox_dataset *set, const vox_yaml_node *value, vox_error *err)
{
    char *dir = NULL, *path = NULL;
    vox_yaml *doc = NULL; /* JSON is YAML */
    vox_status s = vox_set_path(set, value, "msd", &dir, err);
    set->masks = true;
    if (s == VOX_OK && !(path = vox_path_join(dir, "dataset.json", err)))
        s = VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = vox_yaml_open(&doc, path, err);
    if (s == VOX_OK)
        s = read_labels(set, vox_yaml_root(doc), err);
    if (s == VOX_OK)
        s = add_cases(set, dir, vox_yaml_root(doc), err);
    vox_yaml_free(&doc);
    free(path);
    free(dir);
    return s;
}

static vox_status read_files(const vox_dataset *set, const vox_case *c, vox_image **out,
                             vox_error *err)
{
    (void)set;
    return vox_input_read(&c->file, out, err);
}

const vox_source vox_source_msd = {"msd", open_msd, read_files, NULL, NULL};
