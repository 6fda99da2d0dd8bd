/* yaml_emit.c - a tree as YAML text that reads back as an equal tree.
 *
 * What was written in brackets stays in brackets; everything else is indented lines.  Comments are
 * not kept. */
#include "base/yaml_tree.h"

#include <string.h>

/* Without quotes only what no YAML reader can take for anything else. */
static bool plain_is_safe(const char *t)
{
    if (vox_yaml_null_word(t) || t[0] == '-' || t[0] == '.')
        return (t[0] == '-' || t[0] == '.') && t[1] >= '0' && t[1] <= '9' &&
               strspn(t + 1, "0123456789.eE+-") == strlen(t + 1);
    for (; *t; t++)
        if (!((*t >= 'a' && *t <= 'z') || (*t >= 'A' && *t <= 'Z') || (*t >= '0' && *t <= '9') ||
              strchr("_./+-", *t)))
            return false;
    return true;
}

static void add_quoted(vox_str *s, const char *text)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + strlen(text);
    vox_str_add(s, "\"");
    while (p < end) {
        uint32_t point = 0;
        size_t n = vox_yaml_utf8(p, end, &point); /* never 0: the reader lets only UTF-8 in */
        if (*p == '"' || *p == '\\')
            vox_str_add(s, "\\%c", *p);
        else if (*p == '\n')
            vox_str_add(s, "\\n");
        else if (*p == '\t')
            vox_str_add(s, "\\t");
        else if (point < 0x20 || (point >= 0x7f && point <= 0xa0))
            vox_str_add(s, "\\x%02x", (unsigned)point);
        else if (point == 0x2028 || point == 0x2029 || point == 0xfeff || point >= 0xfff0)
            vox_str_add(s, "\\U%08x", (unsigned)point); /* line ends to some, and oddities */
        else
            vox_str_add(s, "%.*s", (int)n, (const char *)p);
        p += n ? n : 1;
    }
    vox_str_add(s, "\"");
}

static void add_scalar(vox_str *s, const char *text)
{
    if (plain_is_safe(text))
        vox_str_add(s, "%s", text);
    else
        add_quoted(s, text);
}

/* On one line: scalars, null, and everything inside brackets. */
static void add_flow(vox_str *s, const vox_yaml_node *n)
{
    bool map = n->kind == VOX_YAML_MAP;
    if (n->kind == VOX_YAML_NULL) {
        vox_str_add(s, "null");
        return;
    }
    if (n->kind == VOX_YAML_SCALAR) {
        add_scalar(s, n->text);
        return;
    }
    vox_str_add(s, map ? "{" : "[");
    for (size_t i = 0; i < n->count; i++) {
        if (i)
            vox_str_add(s, ", ");
        if (map) {
            add_scalar(s, n->child[i].key);
            vox_str_add(s, ": ");
        }
        add_flow(s, n->child[i].value);
    }
    vox_str_add(s, map ? "}" : "]");
}

static bool on_one_line(const vox_yaml_node *n)
{
    return n->flow || n->count == 0 || n->kind == VOX_YAML_NULL || n->kind == VOX_YAML_SCALAR;
}

/* The cursor stands after the indent of the first child. */
static void add_block(vox_str *s, const vox_yaml_node *n, int indent)
{
    bool map = n->kind == VOX_YAML_MAP;
    for (size_t i = 0; i < n->count; i++) {
        const vox_yaml_node *value = n->child[i].value;
        if (i)
            vox_str_add(s, "%*s", indent, "");
        if (map) {
            add_scalar(s, n->child[i].key);
            vox_str_add(s, ":");
        } else {
            vox_str_add(s, "- ");
        }
        if (map && value->kind == VOX_YAML_NULL) {
            vox_str_add(s, "\n");
        } else if (on_one_line(value)) {
            vox_str_add(s, map ? " " : "");
            add_flow(s, value);
            vox_str_add(s, "\n");
        } else {
            if (map)
                vox_str_add(s, "\n%*s", indent + 2, "");
            add_block(s, value, indent + 2);
        }
    }
}

char *vox_yaml_emit(const vox_yaml *doc, vox_error *err)
{
    vox_str s = {0};
    if (on_one_line(doc->root)) {
        add_flow(&s, doc->root);
        vox_str_add(&s, "\n");
    } else {
        add_block(&s, doc->root, 0);
    }
    if (s.failed) {
        vox_fail_memory(err, "the experiment as text", s.capacity);
        vox_str_release(&s);
        return NULL;
    }
    return s.text;
}
