/* dataset_classes.c - the classes of a data set: given, found, and looked up by name. */
#include "data/source.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

bool vox_set_class(const vox_dataset *set, const char *name, int32_t *label)
{
    for (size_t i = 0; i < set->class_name.count; i++)
        if (strcmp(set->class_name.name[i], name) == 0) {
            *label = (int32_t)i;
            return true;
        }
    return false;
}

vox_status vox_set_unknown_class(const vox_dataset *set, const char *name, vox_error *err)
{
    vox_str list = {0};
    const char **names = vox_calloc(set->class_name.count + 1, sizeof *names, "classes", err);
    if (!names)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < set->class_name.count; i++) {
        names[i] = set->class_name.name[i];
        vox_str_add(&list, "%s%s", i ? ", " : "", names[i]);
    }
    const char *nearest = vox_nearest(name, names);
    vox_fail(err, VOX_ERR_INPUT, "unknown label \"%s\"", name);
    vox_detail(err, "the classes are: %s", list.text ? list.text : "");
    if (nearest)
        vox_hint(err, "did you mean \"%s\"?", nearest);
    vox_str_release(&list);
    free(names);
    return VOX_ERR_INPUT;
}

/* `classes` of the spec, which must agree with those given by the caller. */
vox_status vox_set_read_classes(vox_dataset *set, const vox_yaml_node *spec,
                                const vox_dataset_options *opt, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t i = 0; i < opt->class_count && s == VOX_OK; i++)
        s = vox_names_add(&set->class_name, opt->class_name[i], err);
    const vox_yaml_node *list = vox_yaml_find(spec, "classes");
    set->classes_given = list || opt->class_count;
    if (s != VOX_OK || !list)
        return s;
    size_t count = vox_yaml_count(list);
    if (vox_yaml_kind_of(list) != VOX_YAML_LIST || count == 0)
        return vox_yaml_fail(err, list, "classes must be a list of names");
    if (opt->class_count && opt->class_count != count)
        return vox_yaml_fail(err, list, "%zu classes, but the training set has %zu", count,
                             opt->class_count);
    for (size_t i = 0; i < count && s == VOX_OK; i++) {
        const vox_yaml_node *item = vox_yaml_item(list, i);
        const char *name = vox_yaml_text(item);
        int32_t label = -1;
        bool known = name && vox_set_class(set, name, &label);
        if (!name)
            s = vox_yaml_fail(err, item, "a class must be a name");
        else if (opt->class_count ? !known || label != (int32_t)i : known)
            s = vox_yaml_fail(err, item,
                              known ? "class \"%s\" is at another place in the list"
                                    : "class \"%s\" is not one of the training set's",
                              name);
        else if (!opt->class_count)
            s = vox_names_add(&set->class_name, name, err);
    }
    return s;
}

vox_status vox_set_check_classes(const vox_dataset *set, const vox_yaml_node *spec, vox_error *err)
{
    if (set->count == 0) {
        vox_yaml_fail(err, spec, "the data set has no case");
        if (set->bad.count)
            vox_hint(err, "all %zu were bad; the first: %.150s", set->bad.count, set->bad.name[0]);
        return VOX_ERR_INPUT;
    }
    if (set->classes_given || set->masks)
        return VOX_OK;
    for (size_t i = 1; i < set->count; i++)
        if (set->item[i].label != set->item[0].label)
            return VOX_OK;
    vox_yaml_fail(err, spec, "all cases of the data set are of one class");
    return vox_hint(err,
                    "all %zu are \"%.60s\"; if that is meant, name the classes: classes: [...]",
                    set->count, vox_dataset_class(set, (size_t)set->item[0].label));
}

/* ---- masks ---- */

vox_status vox_set_number_classes(vox_dataset *set, int64_t classes, vox_error *err)
{
    vox_status s = VOX_OK;
    for (int64_t i = 0; i < classes && s == VOX_OK; i++) {
        char name[24];
        snprintf(name, sizeof name, "%lld", (long long)i);
        s = vox_names_add(&set->class_name, name, err);
    }
    return s;
}

vox_status vox_set_read_values(vox_dataset *set, const vox_yaml_node *spec, vox_error *err)
{
    const vox_yaml_node *list = vox_yaml_find(spec, "values");
    int64_t classes = (int64_t)set->class_name.count, class = 0;
    if (!list)
        return VOX_OK;
    if (!set->masks)
        return vox_yaml_fail(err, list, "values is for data sets with masks");
    set->values = vox_yaml_count(list);
    if (vox_yaml_kind_of(list) != VOX_YAML_LIST || set->values == 0) {
        vox_yaml_fail(err, list, "values must be a list: the class of 0, of 1, of 2 ...");
        return vox_hint(err, "[0, 1, 1, 1] makes one class of the values 1, 2 and 3");
    }
    set->class_of = vox_calloc(set->values, sizeof *set->class_of, "values", err);
    vox_status s = set->class_of ? VOX_OK : VOX_ERR_MEMORY;
    for (size_t i = 0; i < set->values && s == VOX_OK; i++) {
        const vox_yaml_node *item = vox_yaml_item(list, i);
        const char *word = vox_yaml_text(item);
        class = VOX_MASK_IGNORED;
        if (!word || strcmp(word, "ignore") != 0)
            s = vox_yaml_int(item, 0, classes - 1, &class, err);
        else if (!set->ignores)
            s = vox_yaml_fail(err, item, "the loss ignores no label: give it the key ignore");
        set->class_of[i] = (int32_t) class;
    }
    return s;
}
