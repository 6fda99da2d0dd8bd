/* yaml_tree.h - what a vox_yaml is made of; for src/base/yaml*.c only.
 *
 * Every node is owned by its parent, the root by the document; the texts that `where` points at
 * by the document. */
#ifndef VOX_BASE_YAML_TREE_H
#define VOX_BASE_YAML_TREE_H

#include "base/mem.h"
#include "base/yaml.h"

#define VOX_YAML_DEPTH     64                /* lists and maps within each other */
#define VOX_YAML_MAX_BYTES (4u << 20)       /* of a document */
#define VOX_YAML_MAX_NODES ((size_t)1 << 20) /* bounds what aliases may multiply */
#define VOX_YAML_KEY_BYTES 256u              /* YAML itself stops at 1024 for plain keys */

typedef struct vox_yaml_child {
    char *key; /* maps only; owned */
    int key_line, key_column;
    vox_yaml_node *value;
} vox_yaml_child;

struct vox_yaml_node {
    vox_yaml_kind kind;
    bool flow;         /* was written as [..] or {..}: emitted so again */
    const char *where; /* "exp.yaml" or "--set train.batch" */
    int line, column;  /* from 1; line 0: `where` is all there is to say */
    char *text;        /* scalars */
    vox_yaml_child *child;
    size_t count, capacity;
};

struct vox_yaml {
    char *name;
    vox_yaml_node *root;
    char **where; /* names of --set assignments */
    size_t wheres, where_capacity;
};

vox_yaml_node *vox_yaml_node_open(vox_yaml_kind kind, const char *where, int line, int column,
                                  vox_error *err);
void vox_yaml_node_free(vox_yaml_node *node); /* with all below it; NULL is fine */
/* Appends; on failure the value stays the caller's.  key is copied (NULL for lists). */
bool vox_yaml_node_add(vox_yaml_node *parent, const char *key, vox_yaml_node *value,
                       vox_error *err);
/* null, Null, NULL, ~ and nothing at all: the words that plain mean null. */
bool vox_yaml_null_word(const char *text);
/* The length of the valid UTF-8 sequence at p (below end) and its code point; 0: none. */
size_t vox_yaml_utf8(const unsigned char *p, const unsigned char *end, uint32_t *point);

/* Reads text into a tree whose nodes say `where` (borrowed by them) and, with `lines`, their
 * line and column. */
vox_status vox_yaml_read(vox_yaml_node **out, const char *text, size_t bytes, const char *where,
                         bool lines, vox_error *err);

#endif
