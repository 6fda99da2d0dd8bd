/* attr.c - reading the keys of a map into a struct by a table of vox_attr. */
#include "ops/attr.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define MAX_KEYS 32

static int64_t to_int(double v)
{
    if (v >= 9.2e18)
        return INT64_MAX;
    return v <= -9.2e18 ? INT64_MIN : (int64_t)v;
}

static vox_status read_value(const vox_attr *a, void *field, const vox_yaml_node *node,
                             vox_error *err)
{
    switch (a->kind) {
    case VOX_ATTR_INT:
        return vox_yaml_int(node, to_int(a->min), to_int(a->max), field, err);
    case VOX_ATTR_FLOAT:
        return vox_yaml_double(node, a->min, a->max, field, err);
    case VOX_ATTR_BOOL:
        return vox_yaml_bool(node, field, err);
    case VOX_ATTR_TRIPLE:
        return vox_yaml_triple(node, to_int(a->min), to_int(a->max), field, err);
    case VOX_ATTR_WORD:
        return vox_yaml_word(node, a->words, field, err);
    case VOX_ATTR_FLOATS: {
        vox_floats *list = field;
        return vox_yaml_doubles(node, a->min, a->max, list->value, VOX_FLOATS_MAX, &list->count,
                                err);
    }
    }
    return vox_fail(err, VOX_ERR_UNSUPPORTED, "the key \"%s\" has no known kind", a->key);
}

static size_t kind_bytes(vox_attr_kind kind)
{
    switch (kind) {
    case VOX_ATTR_BOOL:
        return sizeof(bool);
    case VOX_ATTR_TRIPLE:
        return 3 * sizeof(int64_t);
    case VOX_ATTR_WORD:
        return sizeof(int);
    case VOX_ATTR_FLOAT:
        return sizeof(double);
    case VOX_ATTR_FLOATS:
        return sizeof(vox_floats);
    case VOX_ATTR_INT:
        break;
    }
    return sizeof(int64_t);
}

static const vox_attr *find_attr(const vox_attr *attrs, const char *key)
{
    for (; attrs->key; attrs++)
        if (strcmp(attrs->key, key) == 0)
            return attrs;
    return NULL;
}

static void set_default(const vox_attr *attrs, const vox_attr *a, unsigned char *out)
{
    unsigned char *field = out + a->offset;
    const vox_attr *same = a->same_as ? find_attr(attrs, a->same_as) : NULL;
    int64_t triple[3] = {to_int(a->dflt), to_int(a->dflt), to_int(a->dflt)};
    bool yes = a->dflt != 0;
    int word = (int)a->dflt;
    static const vox_floats none;
    const void *from = a->kind == VOX_ATTR_FLOAT    ? (const void *)&a->dflt
                       : a->kind == VOX_ATTR_BOOL   ? (const void *)&yes
                       : a->kind == VOX_ATTR_WORD   ? (const void *)&word
                       : a->kind == VOX_ATTR_FLOATS ? (const void *)&none
                                                    : (const void *)triple;
    memcpy(field, same && same->kind == a->kind ? out + same->offset : from, kind_bytes(a->kind));
}

static vox_status check_keys(const vox_attr *attrs, const char *what, const char *const *more,
                             const vox_yaml_node *map, vox_error *err)
{
    const char *keys[MAX_KEYS + 1];
    size_t n = 0;
    for (const vox_attr *a = attrs; a && a->key && n < MAX_KEYS; a++)
        keys[n++] = a->key;
    for (; more && *more && n < MAX_KEYS; more++)
        keys[n++] = *more;
    keys[n] = NULL;
    return vox_yaml_keys(map, what, keys, err);
}

vox_status vox_attr_read(const vox_attr *attrs, void *out, const char *what,
                         const char *const *more, const vox_yaml_node *map,
                         const vox_yaml_node *place, vox_error *err)
{
    vox_status s = VOX_OK;
    if (vox_yaml_kind_of(map) != VOX_YAML_NULL)
        s = check_keys(attrs, what, more, map, err);
    for (const vox_attr *a = attrs; s == VOX_OK && a && a->key; a++) {
        const vox_yaml_node *value = vox_yaml_find(map, a->key);
        if (value) {
            s = read_value(a, (unsigned char *)out + a->offset, value, err);
            if (s != VOX_OK && err) {
                char at[sizeof err->detail];
                snprintf(at, sizeof at, "%s", err->detail);
                vox_detail(err, "%s: %s, key %s", at, what, a->key);
            }
        } else if (a->required) {
            s = vox_yaml_fail(err, vox_yaml_kind_of(map) == VOX_YAML_MAP ? map : place,
                              "%s needs the key \"%s\"", what, a->key);
            if (a->help)
                vox_hint(err, "%s: %s", a->key, a->help);
        } else {
            set_default(attrs, a, out);
        }
    }
    return s;
}

/* ---- back to text ------------------------------------------------------- */

static bool is_default(const vox_attr *attrs, const vox_attr *a, const void *values)
{
    const vox_attr *same = a->same_as ? find_attr(attrs, a->same_as) : NULL;
    const unsigned char *field = (const unsigned char *)values + a->offset;
    const vox_floats *list = (const void *)field;
    double number;
    int64_t whole[3] = {0, 0, 0};
    int word;
    bool yes;
    if (same && same->kind == a->kind)
        return memcmp(field, (const unsigned char *)values + same->offset, kind_bytes(a->kind)) ==
               0;
    switch (a->kind) {
    case VOX_ATTR_FLOATS:
        return list->count == 0;
    case VOX_ATTR_BOOL:
        memcpy(&yes, field, sizeof yes);
        return yes == (a->dflt != 0);
    case VOX_ATTR_WORD:
        memcpy(&word, field, sizeof word);
        return word == (int)a->dflt;
    case VOX_ATTR_FLOAT:
        memcpy(&number, field, sizeof number);
        return !(number < a->dflt) && !(number > a->dflt);
    case VOX_ATTR_INT:
    case VOX_ATTR_TRIPLE:
        break;
    }
    memcpy(whole, field, kind_bytes(a->kind)); /* one or three */
    const int64_t dflt = to_int(a->dflt);
    return whole[0] == dflt && (a->kind == VOX_ATTR_INT || (whole[1] == dflt && whole[2] == dflt));
}

static void add_value(vox_str *text, const vox_attr *a, const void *field)
{
    const vox_floats *list = field;
    int64_t whole[3] = {0, 0, 0};
    double number;
    int word;
    switch (a->kind) {
    case VOX_ATTR_FLOATS:
        for (int i = 0; i < list->count; i++)
            vox_str_add(text, "%s%g", i ? ", " : "[", list->value[i]);
        vox_str_add(text, "]");
        break;
    case VOX_ATTR_BOOL:
        vox_str_add(text, "%s", *(const bool *)field ? "true" : "false");
        break;
    case VOX_ATTR_WORD:
        memcpy(&word, field, sizeof word);
        vox_str_add(text, "%s", a->words[word]);
        break;
    case VOX_ATTR_FLOAT:
        memcpy(&number, field, sizeof number);
        vox_str_add(text, "%g", number);
        break;
    case VOX_ATTR_INT:
    case VOX_ATTR_TRIPLE:
        memcpy(whole, field, kind_bytes(a->kind));
        if (a->kind == VOX_ATTR_INT)
            vox_str_add(text, "%lld", (long long)whole[0]);
        else
            vox_str_add(text, "[%lld, %lld, %lld]", (long long)whole[0], (long long)whole[1],
                        (long long)whole[2]);
        break;
    }
}

void vox_attr_text(const vox_attr *attrs, const void *values, char *out, size_t size)
{
    vox_str text = {0};
    for (const vox_attr *a = attrs; a && a->key; a++)
        if (!is_default(attrs, a, values)) {
            vox_str_add(&text, "%s%s: ", text.length ? ", " : "{", a->key);
            add_value(&text, a, (const unsigned char *)values + a->offset);
        }
    if (text.length)
        vox_str_add(&text, "}");
    snprintf(out, size, "%s", text.text ? text.text : "");
    vox_str_release(&text);
}
