/* yaml.h - YAML documents as a tree in which every node knows its place.
 *
 * libfyaml does the reading; the tree is a copy, so nothing else depends on it.
 * Every complaint carries file:line:column.  Nodes are borrowed from their document. */
#ifndef VOX_BASE_YAML_H
#define VOX_BASE_YAML_H

#include "base/error.h"

typedef struct vox_yaml vox_yaml; /* a document */
typedef struct vox_yaml_node vox_yaml_node;

typedef enum vox_yaml_kind {
    VOX_YAML_NULL, /* nothing was written, or "null" or "~" */
    VOX_YAML_SCALAR,
    VOX_YAML_LIST,
    VOX_YAML_MAP
} vox_yaml_kind;

/* Reads a file, or a text that messages call `name`.  Fails on syntax errors and
 * duplicate keys, and on documents nested over 64 deep or over 4 MiB. */
vox_status vox_yaml_open(vox_yaml **out, const char *path, vox_error *err);
vox_status vox_yaml_parse(vox_yaml **out, const char *text, const char *name, vox_error *err);
void vox_yaml_free(vox_yaml **doc);

/* "train.batch=8": sets the value at the dotted path (list items by number), the
 * value being YAML itself; missing map keys on the way are made, the keys' spelling
 * is checked by whoever reads them.  Nothing after the "=" takes the key (or list item) out.
 * Messages call such nodes "--set train.batch". */
vox_status vox_yaml_set(vox_yaml *doc, const char *assignment, vox_error *err);

/* Replaces $(formulas) (base/formula.h) in keys and values by what they come to, and list items
 * `repeat: {for: level, first: 1, last: 3, by: 1, layers: [...]}` by their layers, once for each value
 * of `level`, first to last.  Formulas know the names around them and those of the document's map
 * `parameters`, each of whose values may use the ones before it; $(name) alone may stand for a
 * word or a list.  The document as it was written is to be taken by vox_yaml_emit before. */
vox_status vox_yaml_expand(vox_yaml *doc, vox_error *err);

/* The document as YAML text, overrides applied, ending in a newline; parsing it again gives
 * an equal tree.  Caller frees. */
char *vox_yaml_emit(const vox_yaml *doc, vox_error *err);

const vox_yaml_node *vox_yaml_root(const vox_yaml *doc);
const char *vox_yaml_name(const vox_yaml *doc); /* its path or name */

vox_yaml_kind vox_yaml_kind_of(const vox_yaml_node *node); /* node NULL: VOX_YAML_NULL */
/* Items of a list or pairs of a map, in the order written. */
size_t vox_yaml_count(const vox_yaml_node *node);
const vox_yaml_node *vox_yaml_item(const vox_yaml_node *node, size_t i); /* list item, map value */
const char *vox_yaml_key(const vox_yaml_node *map, size_t i);
/* The value of a key; NULL if absent or node is no map.  A key written without a value
 * ("relu:") gives a node of kind VOX_YAML_NULL. */
const vox_yaml_node *vox_yaml_find(const vox_yaml_node *map, const char *key);
/* A scalar's text; NULL for other kinds. */
const char *vox_yaml_text(const vox_yaml_node *node);

/* Typed reads; what they complain of names the place and what was expected.
 * min/max are inclusive. */
vox_status vox_yaml_int(const vox_yaml_node *node, int64_t min, int64_t max, int64_t *out,
                        vox_error *err);
vox_status vox_yaml_double(const vox_yaml_node *node, double min, double max, double *out,
                           vox_error *err);
vox_status vox_yaml_bool(const vox_yaml_node *node, bool *out, vox_error *err); /* true, false */
/* (d, h, w): a list of three, or one number for all three. */
vox_status vox_yaml_triple(const vox_yaml_node *node, int64_t min, int64_t max, int64_t out[3],
                           vox_error *err);
vox_status vox_yaml_triple_double(const vox_yaml_node *node, double min, double max, double out[3],
                                  vox_error *err);
/* A list of 1 to `most` numbers, or one number: into out[*count]. */
vox_status vox_yaml_doubles(const vox_yaml_node *node, double min, double max, double *out,
                            int most, int *count, vox_error *err);
/* One of the words (ends with NULL): its index. */
vox_status vox_yaml_word(const vox_yaml_node *node, const char *const *words, int *out,
                         vox_error *err);

/* "file:line:column", or "--set train.batch" for what came from there; "" for NULL. */
#define VOX_YAML_PLACE 400
const char *vox_yaml_place(const vox_yaml_node *node, char out[VOX_YAML_PLACE]);
/* An error at a node: message from fmt, detail "file:line:column". */
vox_status vox_yaml_fail(vox_error *err, const vox_yaml_node *node, const char *fmt, ...)
    VOX_PRINTF(3, 4);
/* The hint of an error already started: `did you mean "conv"? known: conv, relu`.  words ends
 * with NULL. */
void vox_yaml_suggest(vox_error *err, const char *word, const char *const *words);
/* Fails if node is not a map or holds a key not in `keys` (ends with NULL), with
 * the nearest one as hint. */
vox_status vox_yaml_keys(const vox_yaml_node *node, const char *what, const char *const *keys,
                         vox_error *err);
/* "{resize: {size: ...}}" or plain "resize": the single key of a one-key map (or the scalar) into
 * *word, its value (may be of kind NULL, never a NULL pointer for a map) into *value. */
vox_status vox_yaml_single(const vox_yaml_node *node, const char *what, const char **word,
                           const vox_yaml_node **value, vox_error *err);

#endif
