/* node.c - a layer from a case's attribute text, by the operation's own attribute table. */
#include "ops/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

static void *slot(const vox_node *node, const vox_attr *a)
{
    return (char *)node->attr + a->offset;
}

static void set_number(void *to, vox_attr_kind kind, double value)
{
    switch (kind) {
    case VOX_ATTR_INT:
        *(int64_t *)to = (int64_t)value;
        break;
    case VOX_ATTR_FLOAT:
        *(double *)to = value;
        break;
    case VOX_ATTR_BOOL:
        *(bool *)to = value != 0;
        break;
    case VOX_ATTR_TRIPLE:
        for (int i = 0; i < 3; i++)
            ((int64_t *)to)[i] = (int64_t)value;
        break;
    case VOX_ATTR_WORD:
        *(int *)to = (int)value;
        break;
    }
}

static bool set_text(void *to, const vox_attr *a, const char *text)
{
    int64_t t[3];
    double value;
    if (a->kind == VOX_ATTR_TRIPLE && strchr(text, ',')) {
        long long d, h, w;
        if (sscanf(text, "%lld,%lld,%lld", &d, &h, &w) != 3)
            return false;
        t[0] = d, t[1] = h, t[2] = w;
        memcpy(to, t, sizeof t);
        return true;
    }
    if (a->kind == VOX_ATTR_WORD) {
        for (int i = 0; a->words[i]; i++)
            if (strcmp(a->words[i], text) == 0) {
                *(int *)to = i;
                return true;
            }
        return false;
    }
    if (a->kind == VOX_ATTR_BOOL)
        value = strcmp(text, "true") == 0;
    else if (!vox_parse_double(text, &value))
        return false;
    set_number(to, a->kind, value);
    return true;
}

static const vox_attr *find_attr(const vox_op *op, const char *key)
{
    for (const vox_attr *a = op->attrs; a && a->key; a++)
        if (strcmp(a->key, key) == 0)
            return a;
    return NULL;
}

/* The words "key=value" of text into the node's attributes; bit i of *given: attribute i was. */
static vox_status read_words(vox_node *node, const char *text, uint64_t *given, vox_error *err)
{
    char copy[256], *save = NULL;
    snprintf(copy, sizeof copy, "%s", text ? text : "");
    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        char *value = strchr(w, '=');
        if (value)
            *value++ = '\0';
        const vox_attr *a = find_attr(node->op, w);
        if (!a || !value || !set_text(slot(node, a), a, value))
            return vox_fail(err, VOX_ERR_USAGE, "test case of %s: bad attribute \"%s\"",
                            node->op->name, w);
        *given |= UINT64_C(1) << (a - node->op->attrs);
    }
    return VOX_OK;
}

static vox_status read_attrs(vox_node *node, const char *text, vox_error *err)
{
    uint64_t given = 0;
    for (const vox_attr *a = node->op->attrs; a && a->key; a++)
        set_number(slot(node, a), a->kind, a->dflt);
    vox_status s = read_words(node, text, &given, err);
    for (const vox_attr *a = node->op->attrs; s == VOX_OK && a && a->key; a++) {
        bool has = given >> (a - node->op->attrs) & 1;
        if (a->required && !has)
            s = vox_fail(err, VOX_ERR_USAGE, "test case of %s lacks %s", node->op->name, a->key);
        if (a->same_as && !has)
            memcpy(slot(node, a), slot(node, find_attr(node->op, a->same_as)),
                   a->kind == VOX_ATTR_TRIPLE ? 3 * sizeof(int64_t) : sizeof(int64_t));
    }
    return s;
}

vox_status vt_layer_open(vt_layer *out, const vt_suite *suite, const vt_case *c, vox_error *err)
{
    memset(out, 0, sizeof *out);
    vox_node *node = &out->node;
    node->op = vox_op_find(suite->op);
    if (!node->op)
        return vox_fail(err, VOX_ERR_USAGE, "no operation %s in ops.def", suite->op);
    snprintf(node->name, sizeof node->name, "test_%s", suite->op);
    node->lane = 3;
    node->attr = vox_calloc(1, node->op->attr_bytes + 1, "attributes", err);
    if (!node->attr)
        return VOX_ERR_MEMORY;
    vox_status s = read_attrs(node, c->attr, err);
    if (s != VOX_OK)
        return s;
    node->inputs = 1;
    node->in[0].rank = 5;
    memcpy(node->in[0].dim, c->in, sizeof c->in);
    if (suite->inputs)
        node->inputs = suite->inputs(c, node->in);
    for (int i = 0; i < node->inputs; i++)
        node->in[i].dim[0] = 1;
    s = node->op->infer(node, node->in, &node->out, err);
    if (s == VOX_OK && node->op->params)
        out->params = node->op->params(node, out->param);
    return s;
}

void vt_layer_release(vt_layer *l)
{
    free(l->node.attr);
    memset(l, 0, sizeof *l);
}

static const void *ref_slot(const vox_node *node, const char *key, vox_attr_kind kind)
{
    const vox_attr *a = find_attr(node->op, key);
    if (!a || a->kind != kind) {
        fprintf(stderr, "reference of %s asks for attribute %s of another kind or none\n",
                node->op->name, key);
        exit(1);
    }
    return slot(node, a);
}

const int64_t *ref_triple(const vox_node *node, const char *key)
{
    return ref_slot(node, key, VOX_ATTR_TRIPLE);
}

int64_t ref_int(const vox_node *node, const char *key)
{
    return *(const int64_t *)ref_slot(node, key, VOX_ATTR_INT);
}

double ref_float(const vox_node *node, const char *key)
{
    return *(const double *)ref_slot(node, key, VOX_ATTR_FLOAT);
}

bool ref_bool(const vox_node *node, const char *key)
{
    return *(const bool *)ref_slot(node, key, VOX_ATTR_BOOL);
}
