/* yaml_value.c - typed reads of a YAML tree, and the complaints about what was found instead. */
#include "base/yaml_tree.h"

#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *vox_yaml_place(const vox_yaml_node *node, char out[VOX_YAML_PLACE])
{
    out[0] = '\0';
    if (node && node->line > 0)
        snprintf(out, VOX_YAML_PLACE, "%s:%d:%d", node->where, node->line, node->column);
    else if (node)
        snprintf(out, VOX_YAML_PLACE, "%s", node->where);
    return out;
}

vox_status vox_yaml_fail(vox_error *err, const vox_yaml_node *node, const char *fmt, ...)
{
    char text[sizeof err->message], where[VOX_YAML_PLACE];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    vox_fail(err, VOX_ERR_INPUT, "%s", text);
    vox_detail(err, "%s", vox_yaml_place(node, where));
    return VOX_ERR_INPUT;
}

/* "expected a whole number, found the list [..]" at the node. */
static vox_status expected(vox_error *err, const vox_yaml_node *node, const char *what)
{
    switch (vox_yaml_kind_of(node)) {
    case VOX_YAML_SCALAR:
        return vox_yaml_fail(err, node, "expected %s, found \"%.60s\"", what, node->text);
    case VOX_YAML_LIST:
        return vox_yaml_fail(err, node, "expected %s, found a list of %zu", what, node->count);
    case VOX_YAML_MAP:
        return vox_yaml_fail(err, node, "expected %s, found a map", what);
    case VOX_YAML_NULL:
        break;
    }
    return vox_yaml_fail(err, node, "expected %s, found nothing", what);
}

vox_status vox_yaml_int(const vox_yaml_node *node, int64_t min, int64_t max, int64_t *out,
                        vox_error *err)
{
    char what[100];
    int64_t v;
    if (max == INT64_MAX && min == INT64_MIN)
        snprintf(what, sizeof what, "a whole number");
    else if (max == INT64_MAX)
        snprintf(what, sizeof what, "a whole number, %" PRId64 " or more", min);
    else
        snprintf(what, sizeof what, "a whole number from %" PRId64 " to %" PRId64, min, max);
    const char *text = vox_yaml_text(node);
    if (!text || !vox_parse_i64(text, &v) || v < min || v > max)
        return expected(err, node, what);
    *out = v;
    return VOX_OK;
}

vox_status vox_yaml_double(const vox_yaml_node *node, double min, double max, double *out,
                           vox_error *err)
{
    char what[100];
    double v;
    if (isinf(min) && isinf(max))
        snprintf(what, sizeof what, "a number");
    else if (isinf(max))
        snprintf(what, sizeof what, "a number, %g or more", min);
    else
        snprintf(what, sizeof what, "a number from %g to %g", min, max);
    const char *text = vox_yaml_text(node);
    if (!text || !vox_parse_double(text, &v) || !isfinite(v) || v < min || v > max)
        return expected(err, node, what);
    *out = v;
    return VOX_OK;
}

vox_status vox_yaml_bool(const vox_yaml_node *node, bool *out, vox_error *err)
{
    const char *text = vox_yaml_text(node);
    if (text && strcmp(text, "true") == 0)
        *out = true;
    else if (text && strcmp(text, "false") == 0)
        *out = false;
    else
        return expected(err, node, "true or false");
    return VOX_OK;
}

vox_status vox_yaml_triple(const vox_yaml_node *node, int64_t min, int64_t max, int64_t out[3],
                           vox_error *err)
{
    int64_t v[3] = {0, 0, 0};
    if (vox_yaml_kind_of(node) == VOX_YAML_LIST) {
        if (node->count != 3)
            return expected(err, node, "three numbers [d, h, w] or one for all three");
        for (size_t i = 0; i < 3; i++) {
            vox_status s = vox_yaml_int(node->child[i].value, min, max, &v[i], err);
            if (s != VOX_OK)
                return s;
        }
    } else {
        vox_status s = vox_yaml_int(node, min, max, &v[0], err);
        if (s != VOX_OK)
            return s;
        v[1] = v[2] = v[0];
    }
    memcpy(out, v, sizeof v);
    return VOX_OK;
}

vox_status vox_yaml_triple_double(const vox_yaml_node *node, double min, double max, double out[3],
                                  vox_error *err)
{
    double v[3] = {0, 0, 0};
    if (vox_yaml_kind_of(node) == VOX_YAML_LIST) {
        if (node->count != 3)
            return expected(err, node, "three numbers [d, h, w] or one for all three");
        for (size_t i = 0; i < 3; i++) {
            vox_status s = vox_yaml_double(node->child[i].value, min, max, &v[i], err);
            if (s != VOX_OK)
                return s;
        }
    } else {
        vox_status s = vox_yaml_double(node, min, max, &v[0], err);
        if (s != VOX_OK)
            return s;
        v[1] = v[2] = v[0];
    }
    memcpy(out, v, sizeof v);
    return VOX_OK;
}

vox_status vox_yaml_doubles(const vox_yaml_node *node, double min, double max, double *out,
                            int most, int *count, vox_error *err)
{
    const bool list = vox_yaml_kind_of(node) == VOX_YAML_LIST;
    const size_t n = list ? node->count : 1;
    char what[60];
    snprintf(what, sizeof what, "a list of 1 to %d numbers", most);
    if (n < 1 || n > (size_t)most)
        return expected(err, node, what);
    for (size_t i = 0; i < n; i++) {
        vox_status s = vox_yaml_double(list ? node->child[i].value : node, min, max, &out[i], err);
        if (s != VOX_OK)
            return s;
    }
    *count = (int)n;
    return VOX_OK;
}

void vox_yaml_suggest(vox_error *err, const char *word, const char *const *words)
{
    char list[200];
    size_t used = 0;
    list[0] = '\0';
    for (size_t i = 0; words[i] && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", words[i]);
    const char *near = vox_nearest(word, words);
    if (near)
        vox_hint(err, "did you mean \"%s\"? known: %s", near, list);
    else
        vox_hint(err, "known: %s", list);
}

vox_status vox_yaml_word(const vox_yaml_node *node, const char *const *words, int *out,
                         vox_error *err)
{
    const char *text = vox_yaml_text(node);
    for (int i = 0; text && words[i]; i++)
        if (strcmp(text, words[i]) == 0) {
            *out = i;
            return VOX_OK;
        }
    vox_status s = expected(err, node, "a known word");
    vox_yaml_suggest(err, text ? text : "", words);
    return s;
}

vox_status vox_yaml_keys(const vox_yaml_node *node, const char *what, const char *const *keys,
                         vox_error *err)
{
    char map[120];
    if (vox_yaml_kind_of(node) != VOX_YAML_MAP) {
        snprintf(map, sizeof map, "a map for %s", what);
        return expected(err, node, map);
    }
    for (size_t i = 0; i < node->count; i++) {
        const vox_yaml_child *c = &node->child[i];
        size_t k = 0;
        while (keys[k] && strcmp(c->key, keys[k]) != 0)
            k++;
        if (keys[k])
            continue;
        vox_yaml_node at = *c->value;
        at.line = at.line > 0 ? c->key_line : 0; /* 0: the value came by --set */
        at.column = c->key_column;
        vox_status s = vox_yaml_fail(err, &at, "unknown key \"%.60s\" in %s", c->key, what);
        vox_yaml_suggest(err, c->key, keys);
        return s;
    }
    return VOX_OK;
}

vox_status vox_yaml_single(const vox_yaml_node *node, const char *what, const char **word,
                           const vox_yaml_node **value, vox_error *err)
{
    char form[160];
    if (vox_yaml_text(node)) {
        *word = node->text;
        *value = NULL;
        return VOX_OK;
    }
    if (vox_yaml_kind_of(node) == VOX_YAML_MAP && node->count == 1) {
        *word = node->child[0].key;
        *value = node->child[0].value;
        return VOX_OK;
    }
    if (vox_yaml_kind_of(node) == VOX_YAML_MAP) {
        vox_status s = vox_yaml_fail(err, node, "%s is a map of %zu keys where one is wanted", what,
                                     node->count);
        vox_hint(err, "write \"word: {key: value, ...}\"; check the indentation");
        return s;
    }
    snprintf(form, sizeof form, "%s as \"word\" or \"word: {...}\"", what);
    return expected(err, node, form);
}
