/* yaml.c - the tree of a YAML document: opening, walking, overriding.  Reading the text is
 * yaml_read.c's part, writing it yaml_emit.c's, typed values yaml_value.c's. */
#include "base/yaml_tree.h"

#include "base/file.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

vox_yaml_node *vox_yaml_node_open(vox_yaml_kind kind, const char *where, int line, int column,
                                  vox_error *err)
{
    vox_yaml_node *n = vox_calloc(1, sizeof *n, "a YAML node", err);
    if (!n)
        return NULL;
    n->kind = kind;
    n->where = where;
    n->line = line;
    n->column = column;
    return n;
}

void vox_yaml_node_free(vox_yaml_node *node)
{
    if (!node)
        return;
    for (size_t i = 0; i < node->count; i++) {
        free(node->child[i].key);
        vox_yaml_node_free(node->child[i].value);
    }
    free(node->child);
    free(node->text);
    free(node);
}

bool vox_yaml_node_add(vox_yaml_node *parent, const char *key, vox_yaml_node *value, vox_error *err)
{
    if (!vox_grow(&parent->child, &parent->capacity, parent->count + 1, sizeof *parent->child, err))
        return false;
    char *copy = vox_strdup(key, err);
    if (key && !copy)
        return false;
    vox_yaml_child *c = &parent->child[parent->count++];
    *c = (vox_yaml_child){copy, value->line, value->column, value};
    return true;
}

static vox_status open_text(vox_yaml **out, const char *text, size_t bytes, const char *name,
                            vox_error *err)
{
    *out = NULL;
    vox_yaml *doc = vox_calloc(1, sizeof *doc, "a YAML document", err);
    if (!doc)
        return VOX_ERR_MEMORY;
    doc->name = vox_strdup(name, err);
    vox_status s =
        doc->name ? vox_yaml_read(&doc->root, text, bytes, doc->name, true, err) : VOX_ERR_MEMORY;
    if (s != VOX_OK) {
        vox_yaml_free(&doc);
        return s;
    }
    *out = doc;
    return VOX_OK;
}

vox_status vox_yaml_open(vox_yaml **out, const char *path, vox_error *err)
{
    char *text;
    size_t bytes;
    *out = NULL;
    vox_status s = vox_file_read(&text, &bytes, path, VOX_YAML_MAX_BYTES, err);
    if (s != VOX_OK)
        return s;
    s = open_text(out, text, bytes, path, err);
    free(text);
    return s;
}

vox_status vox_yaml_parse(vox_yaml **out, const char *text, const char *name, vox_error *err)
{
    return open_text(out, text, strlen(text), name, err);
}

void vox_yaml_free(vox_yaml **doc)
{
    if (!doc || !*doc)
        return;
    vox_yaml_node_free((*doc)->root);
    for (size_t i = 0; i < (*doc)->wheres; i++)
        free((*doc)->where[i]);
    free((*doc)->where);
    free((*doc)->name);
    free(*doc);
    *doc = NULL;
}

/* ---- walking ------------------------------------------------------------ */

const vox_yaml_node *vox_yaml_root(const vox_yaml *doc)
{
    return doc->root;
}

const char *vox_yaml_name(const vox_yaml *doc)
{
    return doc->name;
}

vox_yaml_kind vox_yaml_kind_of(const vox_yaml_node *node)
{
    return node ? node->kind : VOX_YAML_NULL;
}

size_t vox_yaml_count(const vox_yaml_node *node)
{
    return node ? node->count : 0;
}

const vox_yaml_node *vox_yaml_item(const vox_yaml_node *node, size_t i)
{
    return i < vox_yaml_count(node) ? node->child[i].value : NULL;
}

const char *vox_yaml_key(const vox_yaml_node *map, size_t i)
{
    return i < vox_yaml_count(map) ? map->child[i].key : NULL;
}

static vox_yaml_child *find_child(const vox_yaml_node *map, const char *key)
{
    if (vox_yaml_kind_of(map) != VOX_YAML_MAP)
        return NULL;
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->child[i].key, key) == 0)
            return &map->child[i];
    return NULL;
}

const vox_yaml_node *vox_yaml_find(const vox_yaml_node *map, const char *key)
{
    const vox_yaml_child *c = find_child(map, key);
    return c ? c->value : NULL;
}

const char *vox_yaml_text(const vox_yaml_node *node)
{
    return vox_yaml_kind_of(node) == VOX_YAML_SCALAR ? node->text : NULL;
}

/* ---- overriding --------------------------------------------------------- */

static vox_status set_fail(vox_error *err, const char *where, const char *fmt, ...)
    VOX_PRINTF(3, 4);

static vox_status set_fail(vox_error *err, const char *where, const char *fmt, ...)
{
    char why[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    vox_fail(err, VOX_ERR_USAGE, "cannot apply %s", where);
    vox_detail(err, "%s: %s", where, why);
    vox_hint(err, "write --set key.key=value, such as --set train.batch=8");
    return VOX_ERR_USAGE;
}

/* The existing child that one part of a path names, or NULL in *out for a key still to be made. */
static vox_status find_part(vox_yaml_child **out, const vox_yaml_node *node, const char *part,
                            const char *where, vox_error *err)
{
    int64_t i;
    *out = NULL;
    if (vox_yaml_kind_of(node) == VOX_YAML_SCALAR)
        return set_fail(err, where, "\"%s\" lies below \"%.100s\", a value and not a map", part,
                        node->text);
    if (vox_yaml_kind_of(node) != VOX_YAML_LIST) {
        *out = find_child(node, part);
        return VOX_OK;
    }
    if (!vox_parse_i64(part, &i) || i < 0 || (uint64_t)i >= node->count)
        return set_fail(err, where, "\"%s\" is no item of a list of %zu (they count from 0)", part,
                        node->count);
    *out = &node->child[i];
    return VOX_OK;
}

/* Takes the next part of a dotted path; *path moves past it, to NULL after the last. */
static vox_status next_part(char part[VOX_YAML_KEY_BYTES], const char **path, const char *where,
                            vox_error *err)
{
    size_t n = strcspn(*path, ".");
    if (n == 0)
        return set_fail(err, where, "the path has an empty part");
    if (n >= VOX_YAML_KEY_BYTES)
        return set_fail(err, where, "a key in the path is too long");
    memcpy(part, *path, n);
    part[n] = '\0';
    *path = (*path)[n] ? *path + n + 1 : NULL;
    return VOX_OK;
}

/* Walks a path without changing anything, so that a --set that fails leaves the tree alone. */
static vox_status check_path(const vox_yaml_node *node, const char *path, const char *where,
                             size_t *depth, vox_error *err)
{
    char part[VOX_YAML_KEY_BYTES];
    vox_yaml_child *c;
    for (*depth = 0; path; ++*depth) {
        vox_status s = next_part(part, &path, where, err);
        if (s == VOX_OK)
            s = find_part(&c, node, part, where, err);
        if (s != VOX_OK)
            return s;
        node = c ? c->value : NULL;
    }
    return VOX_OK;
}

static size_t depth_of(const vox_yaml_node *node)
{
    size_t deepest = 0;
    if (node->kind != VOX_YAML_LIST && node->kind != VOX_YAML_MAP)
        return 0;
    for (size_t i = 0; i < node->count; i++) {
        size_t d = depth_of(node->child[i].value);
        deepest = d > deepest ? d : deepest;
    }
    return 1 + deepest;
}

/* The place a checked path names, its missing keys made. */
static vox_status make_path(vox_yaml_node ***out, vox_yaml_node **root, const char *path,
                            const char *where, vox_error *err)
{
    char part[VOX_YAML_KEY_BYTES];
    vox_yaml_node **place = root;
    while (path) {
        vox_yaml_child *c;
        vox_status s = next_part(part, &path, where, err);
        if (s == VOX_OK)
            s = find_part(&c, *place, part, where, err);
        if (s != VOX_OK)
            return s;
        if (!c) {
            (*place)->kind = VOX_YAML_MAP; /* nothing was written there, or it is a map already */
            vox_yaml_node *made = vox_yaml_node_open(VOX_YAML_NULL, where, 0, 0, err);
            if (!made || !vox_yaml_node_add(*place, part, made, err)) {
                vox_yaml_node_free(made);
                return VOX_ERR_MEMORY;
            }
            c = &(*place)->child[(*place)->count - 1];
        }
        place = &c->value;
    }
    *out = place;
    return VOX_OK;
}

/* Puts value at path; takes it on success. */
static vox_status set_value(vox_yaml *doc, const char *path, vox_yaml_node *value,
                            const char *where, vox_error *err)
{
    size_t depth;
    vox_yaml_node **place;
    vox_status s = check_path(doc->root, path, where, &depth, err);
    if (s == VOX_OK && depth + depth_of(value) > VOX_YAML_DEPTH)
        s = set_fail(err, where, "that is over %d deep", VOX_YAML_DEPTH);
    if (s == VOX_OK)
        s = make_path(&place, &doc->root, path, where, err);
    if (s != VOX_OK)
        return s;
    vox_yaml_node_free(*place);
    *place = value;
    return VOX_OK;
}

/* Takes the place a path names out of its map or list; what is not there is out already. */
static vox_status remove_path(vox_yaml *doc, const char *path, const char *where, vox_error *err)
{
    char part[VOX_YAML_KEY_BYTES];
    vox_yaml_node *parent = NULL, *node = doc->root;
    vox_yaml_child *c = NULL;
    while (path && node) {
        vox_status s = next_part(part, &path, where, err);
        if (s == VOX_OK)
            s = find_part(&c, node, part, where, err);
        if (s != VOX_OK)
            return s;
        parent = node;
        node = c ? c->value : NULL;
    }
    if (!c)
        return VOX_OK;
    vox_yaml_node_free(c->value);
    free(c->key);
    size_t after = parent->count - (size_t)(c - parent->child) - 1;
    memmove(c, c + 1, after * sizeof *c);
    parent->count--;
    return VOX_OK;
}

vox_status vox_yaml_set(vox_yaml *doc, const char *assignment, vox_error *err)
{
    const char *equals = strchr(assignment, '=');
    if (!equals || equals == assignment) {
        char where[120];
        snprintf(where, sizeof where, "--set %s", assignment);
        return set_fail(err, where, "there is no key before \"=\"");
    }
    int length = (int)(equals - assignment > 4096 ? 4096 : equals - assignment);
    if (!vox_grow(&doc->where, &doc->where_capacity, doc->wheres + 1, sizeof *doc->where, err))
        return VOX_ERR_MEMORY;
    char *where = vox_format(err, "--set %.*s", length, assignment);
    if (!where)
        return VOX_ERR_MEMORY;
    doc->where[doc->wheres++] = where; /* kept even if this fails: nodes may point at it */
    vox_yaml_node *value;
    const char *text = equals + 1;
    if (text[strspn(text, " ")] == '\0')
        return remove_path(doc, where + strlen("--set "), where, err);
    vox_status s = vox_yaml_read(&value, text, strlen(text), where, false, err);
    if (s != VOX_OK)
        return s;
    s = set_value(doc, where + strlen("--set "), value, where, err);
    if (s != VOX_OK)
        vox_yaml_node_free(value);
    return s;
}
