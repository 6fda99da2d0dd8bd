/* node.c - a layer from a case's attribute text, by the operation's own attribute table. */
#include "ops/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "ops/attr_words.h"

static void *slot(const vox_node *node, const vox_attr *a)
{
    return (char *)node->attr + a->offset;
}

static const vox_attr *find_attr(const vox_op *op, const char *key)
{
    for (const vox_attr *a = op->attrs; a && a->key; a++)
        if (strcmp(a->key, key) == 0)
            return a;
    return NULL;
}

/* The words "key=value" of text into the node's attributes. */
static vox_status read_attrs(vox_node *node, const char *text, vox_error *err)
{
    char copy[256], *save = NULL, what[96];
    const char *word[16];
    size_t count = 0;
    snprintf(copy, sizeof copy, "%s", text ? text : "");
    snprintf(what, sizeof what, "test case of %s", node->op->name);
    for (char *w = strtok_r(copy, " ", &save); w && count < 16; w = strtok_r(NULL, " ", &save))
        word[count++] = w;
    return vox_attr_words(node->op->attrs, node->attr, what, word, count, err);
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

int ref_word(const vox_node *node, const char *key)
{
    return *(const int *)ref_slot(node, key, VOX_ATTR_WORD);
}

double ref_float(const vox_node *node, const char *key)
{
    return *(const double *)ref_slot(node, key, VOX_ATTR_FLOAT);
}

bool ref_bool(const vox_node *node, const char *key)
{
    return *(const bool *)ref_slot(node, key, VOX_ATTR_BOOL);
}

const vox_floats *ref_floats(const vox_node *node, const char *key)
{
    return ref_slot(node, key, VOX_ATTR_FLOATS);
}
