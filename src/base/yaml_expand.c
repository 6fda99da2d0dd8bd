/* yaml_expand.c - parameters, $(formulas) and repeated list items of a YAML document.
 *
 *   parameters: {width: 16, depth: 3, size: [32, 32, 32]}
 *   ...
 *   - repeat:
 *       for: level
 *       first: 1
 *       last: $(depth)
 *       layers:
 *         - conv: {name: conv$(level), out: $(width * 2^(level - 1))}
 *
 * The tree is changed in place, before anybody reads it; copies keep the place where their
 * original was written. */
#include "base/yaml_tree.h"

#include "base/formula.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAMES  64
#define MAX_ROUNDS 10000 /* of one repeat */

/* A name and what stands for it: a parameter's node, or a repeat's number. */
typedef struct binding {
    const char *name;
    const vox_yaml_node *node; /* NULL: number */
    double number;
} binding;

typedef struct scope {
    binding bound[MAX_NAMES];
    size_t count;
    size_t nodes; /* copied so far */
} scope;

static vox_status expand(vox_yaml_node *node, scope *names, vox_error *err);

/* ---- names -------------------------------------------------------------- */

static const binding *find_name(const scope *names, const char *name, size_t length)
{
    for (size_t i = names->count; i-- > 0;) /* the inner ones first */
        if (strlen(names->bound[i].name) == length &&
            memcmp(names->bound[i].name, name, length) == 0)
            return &names->bound[i];
    return NULL;
}

static bool find_number(void *from, const char *name, size_t length, double *out)
{
    const binding *b = find_name(from, name, length);
    if (!b)
        return false;
    *out = b->number;
    return !b->node || vox_yaml_double(b->node, -HUGE_VAL, HUGE_VAL, out, NULL) == VOX_OK;
}

static vox_status bind(scope *names, const char *name, const vox_yaml_node *node, double number,
                       const vox_yaml_node *place, vox_error *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    const size_t n = strlen(name);
    if (n == 0 || n > 60 || strspn(name, letters) != n || strchr("0123456789", name[0]))
        return vox_yaml_fail(err, place, "the name \"%.70s\" has more than letters, digits and _",
                             name);
    if (find_name(names, name, n))
        return vox_yaml_fail(err, place, "the name \"%s\" is taken already", name);
    if (names->count == MAX_NAMES)
        return vox_yaml_fail(err, place, "over %d names", MAX_NAMES);
    names->bound[names->count++] = (binding){name, node, number};
    return VOX_OK;
}

/* The error of a formula that was not understood, put at its place. */
static vox_status formula_failed(const scope *names, const vox_yaml_node *node, const char *formula,
                                 size_t length, const char *unknown, vox_error *err)
{
    char why[sizeof err->message];
    if (length > 80) /* so that the reason has room */
        length = 80;
    const char *known[MAX_NAMES + 1];
    const binding *b = find_name(names, unknown, strlen(unknown));
    snprintf(why, sizeof why, "%s", err->message);
    for (size_t i = 0; i < names->count; i++)
        known[i] = names->bound[i].name;
    known[names->count] = NULL;
    if (unknown[0] && b)
        return vox_yaml_fail(err, node, "$(%.*s): \"%s\" is not a number", (int)length, formula,
                             unknown);
    if (!unknown[0])
        return vox_yaml_fail(err, node, "$(%.*s): %s", (int)length, formula, why);
    vox_yaml_fail(err, node, "$(%.*s): unknown name \"%s\"", (int)length, formula, unknown);
    if (names->count > 0)
        vox_yaml_suggest(err, unknown, known);
    else
        vox_hint(err, "name it in the section \"parameters\"");
    return VOX_ERR_INPUT;
}

/* ---- texts -------------------------------------------------------------- */

/* The ) that ends a formula which begins at p, or NULL. */
static const char *formula_end(const char *p)
{
    for (int open = 1; *p; p++) {
        open += (*p == '(') - (*p == ')');
        if (open == 0)
            return p;
    }
    return NULL;
}

/* The name that is all of a formula, if it is bound to a node that is no number. */
static const vox_yaml_node *whole_node(const scope *names, const char *formula, size_t length)
{
    while (length > 0 && *formula == ' ')
        formula++, length--;
    while (length > 0 && formula[length - 1] == ' ')
        length--;
    const binding *b = find_name(names, formula, length);
    double number;
    return b && b->node && vox_yaml_double(b->node, -HUGE_VAL, HUGE_VAL, &number, NULL) != VOX_OK
               ? b->node
               : NULL;
}

static vox_status add_formula(vox_str *out, scope *names, const vox_yaml_node *node,
                              const char *formula, size_t length, vox_error *err)
{
    char unknown[64];
    double value;
    const vox_yaml_node *whole = whole_node(names, formula, length);
    if (whole && vox_yaml_text(whole)) {
        vox_str_add(out, "%s", vox_yaml_text(whole));
        return VOX_OK;
    }
    if (whole)
        return vox_yaml_fail(err, node, "$(%.*s) is a list: it can only stand alone", (int)length,
                             formula);
    if (vox_formula(formula, length, find_number, names, &value, unknown, err) != VOX_OK)
        return formula_failed(names, node, formula, length, unknown, err);
    vox_str_add(out, "%.15g", value);
    return VOX_OK;
}

/* A text with its formulas replaced, to be freed by the caller; NULL in *out if it has none. */
static vox_status expand_text(char **out, const char *text, scope *names, const vox_yaml_node *node,
                              vox_error *err)
{
    vox_str made = {0};
    const char *at = text, *next;
    vox_status s = VOX_OK;
    *out = NULL;
    while (s == VOX_OK && (next = strstr(at, "$("))) {
        const char *end = formula_end(next + 2);
        vox_str_add(&made, "%.*s", (int)(next - at), at);
        if (!end)
            s = vox_yaml_fail(err, node, "\"%.60s\": the ) of a formula is missing", text);
        else
            s = add_formula(&made, names, node, next + 2, (size_t)(end - next - 2), err);
        at = end ? end + 1 : at;
    }
    if (at != text && s == VOX_OK)
        vox_str_add(&made, "%s", at);
    if (s == VOX_OK && made.failed)
        s = vox_fail_memory(err, "a YAML text", made.capacity);
    if (s == VOX_OK && at != text)
        *out = made.text;
    else
        vox_str_release(&made);
    return s;
}

/* ---- nodes -------------------------------------------------------------- */

static vox_status copy_node(vox_yaml_node **out, const vox_yaml_node *node, scope *names,
                            vox_error *err)
{
    *out = NULL;
    if (++names->nodes > VOX_YAML_MAX_NODES)
        return vox_yaml_fail(err, node, "the document grows over %zu nodes", VOX_YAML_MAX_NODES);
    vox_yaml_node *copy =
        vox_yaml_node_open(node->kind, node->where, node->line, node->column, err);
    if (!copy)
        return VOX_ERR_MEMORY;
    copy->flow = node->flow;
    copy->text = vox_strdup(node->text, err);
    vox_status s = copy->text || !node->text ? VOX_OK : VOX_ERR_MEMORY;
    for (size_t i = 0; i < node->count && s == VOX_OK; i++) {
        vox_yaml_node *below;
        s = copy_node(&below, node->child[i].value, names, err);
        if (s == VOX_OK && !vox_yaml_node_add(copy, node->child[i].key, below, err)) {
            vox_yaml_node_free(below);
            s = VOX_ERR_MEMORY;
        }
    }
    if (s == VOX_OK)
        *out = copy;
    else
        vox_yaml_node_free(copy);
    return s;
}

/* Makes a scalar that is nothing but "$(name)" of a list that list. */
static vox_status replace_whole(vox_yaml_node *node, const vox_yaml_node *by, scope *names,
                                vox_error *err)
{
    vox_yaml_node *copy;
    vox_status s = copy_node(&copy, by, names, err);
    if (s != VOX_OK)
        return s;
    free(node->text);
    node->text = NULL;
    node->kind = copy->kind;
    node->flow = copy->flow;
    node->child = copy->child;
    node->count = copy->count;
    node->capacity = copy->capacity;
    free(copy);
    return VOX_OK;
}

static vox_status expand_scalar(vox_yaml_node *node, scope *names, vox_error *err)
{
    const size_t n = strlen(node->text);
    if (n > 3 && memcmp(node->text, "$(", 2) == 0 &&
        formula_end(node->text + 2) == node->text + n - 1) {
        const vox_yaml_node *whole = whole_node(names, node->text + 2, n - 3);
        if (whole && !vox_yaml_text(whole))
            return replace_whole(node, whole, names, err);
    }
    char *text;
    vox_status s = expand_text(&text, node->text, names, node, err);
    if (text) {
        free(node->text);
        node->text = text;
    }
    return s;
}

/* ---- repeat ------------------------------------------------------------- */

static const vox_yaml_node *repeat_of(const vox_yaml_node *item)
{
    return vox_yaml_kind_of(item) == VOX_YAML_MAP && item->count == 1
               ? vox_yaml_find(item, "repeat")
               : NULL;
}

static vox_status repeat_number(vox_yaml_node *repeat, const char *key, bool required, scope *names,
                                int64_t *out, vox_error *err)
{
    vox_yaml_node *node = (vox_yaml_node *)(uintptr_t)vox_yaml_find(repeat, key);
    if (!node)
        return required ? vox_yaml_fail(err, repeat, "repeat needs the key \"%s\"", key) : VOX_OK;
    vox_status s = expand(node, names, err);
    return s == VOX_OK ? vox_yaml_int(node, -1000000, 1000000, out, err) : s;
}

static vox_status add_copies(vox_yaml_node *list, const vox_yaml_node *layers, scope *names,
                             vox_error *err)
{
    vox_yaml_node *copy;
    vox_status s = copy_node(&copy, layers, names, err);
    if (s == VOX_OK)
        s = expand(copy, names, err);
    for (size_t i = 0; copy && i < copy->count && s == VOX_OK; i++) {
        if (vox_yaml_node_add(list, NULL, copy->child[i].value, err))
            copy->child[i].value = NULL;
        else
            s = VOX_ERR_MEMORY;
    }
    vox_yaml_node_free(copy);
    return s;
}

/* Appends what a repeat stands for. */
static vox_status add_rounds(vox_yaml_node *list, vox_yaml_node *repeat, scope *names,
                             vox_error *err)
{
    static const char *const keys[] = {"for", "first", "last", "by", "layers", NULL};
    const vox_yaml_node *variable = vox_yaml_find(repeat, "for"),
                        *layers = vox_yaml_find(repeat, "layers");
    int64_t first = 0, last = 0, by = 1;
    vox_status s = vox_yaml_keys(repeat, "repeat", keys, err);
    if (s == VOX_OK && !vox_yaml_text(variable)) {
        s = vox_yaml_fail(err, variable ? variable : repeat, "repeat needs a name under \"for\"");
        vox_hint(err, "repeat: {for: level, first: 1, last: 3, layers: [...]}");
    }
    if (s == VOX_OK && vox_yaml_kind_of(layers) != VOX_YAML_LIST)
        s = vox_yaml_fail(err, layers ? layers : repeat, "repeat needs a list under \"layers\"");
    if (s == VOX_OK)
        s = repeat_number(repeat, "first", true, names, &first, err);
    if (s == VOX_OK)
        s = repeat_number(repeat, "last", true, names, &last, err);
    if (s == VOX_OK)
        s = repeat_number(repeat, "by", false, names, &by, err);
    if (s == VOX_OK && (by == 0 || (last - first) / by > MAX_ROUNDS))
        s = vox_yaml_fail(err, repeat,
                          "a repeat from %" PRId64 " to %" PRId64 " by %" PRId64
                          " has no end or over %d rounds",
                          first, last, by, MAX_ROUNDS);
    for (int64_t i = first; s == VOX_OK && (by > 0 ? i <= last : i >= last); i += by) {
        s = bind(names, vox_yaml_text(variable), NULL, (double)i, variable, err);
        if (s == VOX_OK) {
            s = add_copies(list, layers, names, err);
            names->count--;
        }
    }
    return s;
}

/* ---- the whole ---------------------------------------------------------- */

static vox_status expand_list(vox_yaml_node *node, scope *names, vox_error *err)
{
    vox_yaml_node made = {.kind = VOX_YAML_LIST};
    vox_status s = VOX_OK;
    for (size_t i = 0; i < node->count && s == VOX_OK; i++) {
        vox_yaml_node *item = node->child[i].value;
        const vox_yaml_node *repeat = repeat_of(item);
        if (repeat) {
            s = add_rounds(&made, (vox_yaml_node *)(uintptr_t)repeat, names, err);
            continue;
        }
        s = expand(item, names, err);
        if (s == VOX_OK && !vox_yaml_node_add(&made, NULL, item, err))
            s = VOX_ERR_MEMORY;
        if (s == VOX_OK)
            node->child[i].value = NULL; /* moved */
    }
    for (size_t i = 0; i < node->count; i++)
        vox_yaml_node_free(node->child[i].value);
    free(node->child);
    node->child = made.child;
    node->count = made.count;
    node->capacity = made.capacity;
    return s;
}

static vox_status expand_map(vox_yaml_node *node, scope *names, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t i = 0; i < node->count && s == VOX_OK; i++) {
        char *key;
        s = expand_text(&key, node->child[i].key, names, node->child[i].value, err);
        if (key && vox_yaml_find(node, key))
            s = vox_yaml_fail(err, node->child[i].value, "the key \"%.60s\" stands here twice",
                              key);
        if (key && s == VOX_OK) {
            free(node->child[i].key);
            node->child[i].key = key;
        } else {
            free(key);
        }
        if (s == VOX_OK)
            s = expand(node->child[i].value, names, err);
    }
    return s;
}

static vox_status expand(vox_yaml_node *node, scope *names, vox_error *err)
{
    switch (node->kind) {
    case VOX_YAML_SCALAR:
        return expand_scalar(node, names, err);
    case VOX_YAML_LIST:
        return expand_list(node, names, err);
    case VOX_YAML_MAP:
        return expand_map(node, names, err);
    case VOX_YAML_NULL:
        break;
    }
    return VOX_OK;
}

vox_status vox_yaml_expand(vox_yaml *doc, vox_error *err)
{
    scope names = {.count = 0};
    const vox_yaml_node *parameters = vox_yaml_find(doc->root, "parameters");
    vox_status s = VOX_OK;
    if (vox_yaml_kind_of(parameters) != VOX_YAML_NULL &&
        vox_yaml_kind_of(parameters) != VOX_YAML_MAP)
        return vox_yaml_fail(err, parameters, "\"parameters\" must be a map of names and values");
    for (size_t i = 0; i < vox_yaml_count(parameters) && s == VOX_OK; i++) {
        vox_yaml_node *value = parameters->child[i].value;
        s = expand(value, &names, err);
        if (s == VOX_OK)
            s = bind(&names, parameters->child[i].key, value, 0, value, err);
    }
    for (size_t i = 0;
         s == VOX_OK && vox_yaml_kind_of(doc->root) == VOX_YAML_MAP && i < doc->root->count; i++)
        if (doc->root->child[i].value != parameters)
            s = expand(doc->root->child[i].value, &names, err);
    return s;
}
