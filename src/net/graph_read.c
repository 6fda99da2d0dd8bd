/* graph_read.c - the `network:` section of an experiment as a graph.
 *
 * Names first (given ones, then automatic ones), so that `from` can tell a layer that comes later
 * from one that does not exist. */
#include "net/graph.h"

#include "base/mem.h"
#include "ocl/device.h"
#include "ops/attr.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARAM_ALIGN (VOX_BUFFER_ALIGN / sizeof(float))

/* Where a layer stands in the file. */
typedef struct source {
    const vox_yaml_node *item;  /* the list item */
    const vox_yaml_node *value; /* the keys; may be NULL */
} source;

typedef struct reader {
    vox_graph *g;
    source *source; /* [layers] */
    bool *used;     /* [layers + 1]: the edge has a reader */
} reader;

static bool is_layer(const vox_op *op)
{
    return !op->loss && !op->internal;
}

/* The words an op of the wanted kind goes by, for suggestions. */
static void list_words(bool loss, const char **words, size_t max)
{
    size_t n = 0;
    for (const vox_op *const *op = vox_ops; *op && n + 1 < max; op++)
        if (loss ? (*op)->loss : is_layer(*op))
            words[n++] = (*op)->name;
    words[n] = NULL;
}

static vox_status find_op(const vox_op **out, const char *word, bool loss,
                          const vox_yaml_node *place, vox_error *err)
{
    const char *words[128];
    const vox_op *op = vox_op_find(word);
    if (op && (loss ? op->loss : is_layer(op))) {
        *out = op;
        return VOX_OK;
    }
    list_words(loss, words, sizeof words / sizeof *words);
    vox_yaml_fail(err, place, "unknown %s \"%.60s\"", loss ? "loss" : "layer", word);
    vox_yaml_suggest(err, word, words);
    return VOX_ERR_INPUT;
}

/* An op's error, put at its place, with the layers that it takes:
 * "exp.yaml:7:5: layer join (concat) of up 1x4x8x8x8, down 1x4x9x8x8: ...". */
static vox_status at_layer(vox_error *err, const vox_graph *g, const vox_graph_layer *l,
                           const vox_yaml_node *item)
{
    const vox_node *node = &l->node;
    char place[VOX_YAML_PLACE], inputs[300] = "", one[96];
    size_t used = 0;
    for (int i = 0; i < node->inputs && used < sizeof inputs; i++)
        used += (size_t)snprintf(inputs + used, sizeof inputs - used, "%s%s %s", i ? ", " : "",
                                 l->from[i] < 0 ? "labels" : vox_graph_edge_name(g, l->from[i]),
                                 vox_shape_text(&node->in[i], one));
    return vox_error_at(err, "%s: layer %s (%s) of %s", vox_yaml_place(item, place), node->name,
                        node->op->name, inputs);
}

/* ---- names -------------------------------------------------------------- */

static int find_layer(const vox_graph *g, const char *name)
{
    for (int i = 0; i < g->layers; i++)
        if (strcmp(g->layer[i].node.name, name) == 0)
            return i;
    return -1;
}

static vox_status given_name(reader *r, int i, const vox_yaml_node *name, vox_error *err)
{
    static const char *const taken[] = {"input", "labels", "loss", "optimizer", "ema", NULL};
    const char *text = vox_yaml_text(name);
    vox_node *node = &r->g->layer[i].node;
    if (!text)
        return vox_yaml_fail(err, name, "a layer's name must be a word");
    if (strlen(text) >= sizeof node->name)
        return vox_yaml_fail(err, name, "a layer's name is over %zu letters",
                             sizeof node->name - 1);
    if (strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") !=
            strlen(text) ||
        text[0] == '\0' || text[0] == '.')
        return vox_yaml_fail(err, name, "the name \"%s\" has more than letters, digits, _ - .",
                             text);
    for (int k = 0; taken[k]; k++)
        if (strcmp(text, taken[k]) == 0 || strncmp(text, "optimizer.", 10) == 0 ||
            strncmp(text, "ema.", 4) == 0)
            return vox_yaml_fail(err, name, "the name \"%s\" is taken by voxcl itself", text);
    int other = find_layer(r->g, text);
    if (other >= 0) {
        char place[VOX_YAML_PLACE];
        vox_yaml_fail(err, name, "two layers are named \"%s\"", text);
        return vox_hint(err, "the other one is at %s",
                        vox_yaml_place(r->source[other].item, place));
    }
    memcpy(node->name, text, strlen(text) + 1);
    return VOX_OK;
}

/* conv1, conv2 ...: the number among the layers of its word, or the next free one. */
static void automatic_name(reader *r, int i)
{
    const vox_op *op = r->g->layer[i].node.op;
    char name[sizeof r->g->layer[i].node.name];
    int number = 0;
    for (int k = 0; k <= i; k++)
        number += r->g->layer[k].node.op == op;
    do
        snprintf(name, sizeof name, "%s%d", op->name, number++);
    while (find_layer(r->g, name) >= 0);
    memcpy(r->g->layer[i].node.name, name, sizeof name);
}

static vox_status read_words_and_names(reader *r, const vox_yaml_node *layers, vox_error *err)
{
    vox_graph *g = r->g;
    for (int i = 0; i < g->layers; i++) {
        source *src = &r->source[i];
        const char *word;
        src->item = vox_yaml_item(layers, (size_t)i);
        vox_status s = vox_yaml_single(src->item, "a layer", &word, &src->value, err);
        if (s == VOX_OK)
            s = find_op(&g->layer[i].node.op, word, false, src->item, err);
        const vox_yaml_node *name = s == VOX_OK ? vox_yaml_find(src->value, "name") : NULL;
        if (name)
            s = given_name(r, i, name, err);
        if (s != VOX_OK)
            return s;
    }
    for (int i = 0; i < g->layers; i++)
        if (!g->layer[i].node.name[0])
            automatic_name(r, i);
    return VOX_OK;
}

/* ---- edges -------------------------------------------------------------- */

static vox_status unknown_from(const reader *r, int i, const char *name, const vox_yaml_node *place,
                               vox_error *err)
{
    const char **words = vox_calloc((size_t)i + 2, sizeof *words, "layer names", err);
    if (!words)
        return VOX_ERR_MEMORY;
    vox_yaml_fail(err, place, "\"from\" names no earlier layer: \"%.60s\"", name);
    for (int k = 0; k <= i; k++)
        words[k] = vox_graph_edge_name(r->g, k);
    vox_yaml_suggest(err, name, words);
    free(words);
    int later = find_layer(r->g, name);
    if (later >= i)
        vox_hint(err, later == i ? "a layer cannot take its own output"
                                 : "that layer comes later; layers stand in the order they run");
    return VOX_ERR_INPUT;
}

/* Of layer i, or of the loss, which comes after all layers. */
static vox_status read_edge(reader *r, vox_graph_layer *l, int i, const vox_yaml_node *from,
                            vox_error *err)
{
    const char *name = vox_yaml_text(from);
    if (!name)
        return vox_yaml_fail(err, from, "\"from\" takes layers' names");
    int layer = find_layer(r->g, name);
    int edge = strcmp(name, "input") == 0 ? 0 : layer >= 0 && layer < i ? layer + 1 : -1;
    if (edge < 0)
        return unknown_from(r, i, name, from, err);
    l->from[l->node.inputs++] = edge;
    return VOX_OK;
}

static vox_status read_from(reader *r, int i, vox_error *err)
{
    vox_graph_layer *l = &r->g->layer[i];
    const vox_op *op = l->node.op;
    const vox_yaml_node *from = vox_yaml_find(r->source[i].value, "from");
    const vox_yaml_node *place = from ? from : r->source[i].item;
    vox_status s = VOX_OK;
    size_t wanted = vox_yaml_kind_of(from) == VOX_YAML_LIST ? vox_yaml_count(from) : 1;
    if (wanted < (size_t)op->min_inputs || wanted > (size_t)op->max_inputs) {
        s = vox_yaml_fail(err, place, "layer %s (%s) has %zu input%s and takes %d to %d",
                          l->node.name, op->name, wanted, wanted == 1 ? "" : "s", op->min_inputs,
                          op->max_inputs);
        if (!from)
            vox_hint(err, "name them: %s: {from: [layer, layer]}", op->name);
        return s;
    }
    if (!from)
        l->from[l->node.inputs++] = i; /* edge i is the output of the layer before, or the input */
    else if (vox_yaml_kind_of(from) == VOX_YAML_LIST)
        for (size_t k = 0; k < wanted && s == VOX_OK; k++)
            s = read_edge(r, l, i, vox_yaml_item(from, k), err);
    else
        s = read_edge(r, l, i, from, err);
    for (int k = 0; k < l->node.inputs && s == VOX_OK; k++) {
        l->node.in[k] = *vox_graph_edge_shape(r->g, l->from[k]);
        r->used[l->from[k]] = true;
    }
    return s;
}

/* ---- shapes and parameters ---------------------------------------------- */

/* Elements of a shape into *out; false when a dimension is below 1 or there are too many. */
static bool count_checked(const vox_shape *shape, int64_t *out)
{
    int64_t n = 1;
    if (shape->rank < 1 || shape->rank > 5)
        return false;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] < 1 || shape->dim[i] > VOX_GRAPH_MAX_ELEMENTS / n)
            return false;
        n *= shape->dim[i];
    }
    *out = n;
    return true;
}

static vox_status infer(const vox_graph *g, vox_graph_layer *l, const vox_yaml_node *item,
                        vox_error *err)
{
    const vox_node *node = &l->node;
    vox_shape *out = &l->node.out;
    char text[96];
    int64_t count;
    vox_status s = node->op->infer(node, node->in, out, err);
    if (s != VOX_OK)
        return at_layer(err, g, l, item), s;
    if (!count_checked(out, &count)) {
        vox_fail(err, VOX_ERR_INPUT, "the output of layer %s is too large", node->name);
        vox_detail(err, "%s", vox_shape_text(out, text));
        vox_hint(err, "one sample's tensor may hold %" PRId64 " elements", VOX_GRAPH_MAX_ELEMENTS);
        return at_layer(err, g, l, item), VOX_ERR_INPUT;
    }
    return VOX_OK;
}

static vox_status add_params(vox_graph *g, size_t *capacity, int layer, const vox_yaml_node *item,
                             vox_error *err)
{
    vox_graph_layer *l = &g->layer[layer];
    vox_param desc[VOX_MAX_PARAMS];
    char text[96];
    l->first_param = g->params;
    l->params = l->node.op->params ? l->node.op->params(&l->node, desc) : 0;
    for (int i = 0; i < l->params; i++) {
        int64_t count;
        if (!count_checked(&desc[i].shape, &count)) {
            vox_fail(err, VOX_ERR_INPUT, "the parameters of layer %s are too large", l->node.name);
            vox_detail(err, "%s is %s", desc[i].name, vox_shape_text(&desc[i].shape, text));
            return at_layer(err, g, l, item), VOX_ERR_INPUT;
        }
        if (!vox_grow(&g->param, capacity, (size_t)g->params + 1, sizeof *g->param, err))
            return VOX_ERR_MEMORY;
        vox_graph_param *p = &g->param[g->params++];
        *p = (vox_graph_param){
            .layer = layer, .desc = desc[i], .offset = g->flat_floats, .count = (size_t)count};
        snprintf(p->name, sizeof p->name, "%s.%s", l->node.name, desc[i].name);
        g->flat_floats += (p->count + PARAM_ALIGN - 1) / PARAM_ALIGN * PARAM_ALIGN;
    }
    return VOX_OK;
}

static vox_status read_attrs(vox_node *node, const source *src, bool loss, vox_error *err)
{
    static const char *const generic[] = {"name", "from", NULL};
    char what[120];
    snprintf(what, sizeof what, "%s %s (%s)", loss ? "the" : "layer", node->name, node->op->name);
    if (node->op->attr_bytes > 0) {
        node->attr = vox_calloc(1, node->op->attr_bytes, "a layer's keys", err);
        if (!node->attr)
            return VOX_ERR_MEMORY;
    }
    return vox_attr_read(node->op->attrs, node->attr, what, loss ? generic + 1 : generic,
                         src->value, src->item, err);
}

static vox_status read_layer(reader *r, int i, size_t *capacity, vox_error *err)
{
    vox_graph_layer *l = &r->g->layer[i];
    l->node.lane = (uint32_t)i;
    vox_status s = read_attrs(&l->node, &r->source[i], false, err);
    if (s == VOX_OK)
        s = read_from(r, i, err);
    if (s == VOX_OK)
        s = infer(r->g, l, r->source[i].item, err);
    if (s == VOX_OK)
        s = add_params(r->g, capacity, i, r->source[i].item, err);
    return s;
}

static vox_status check_all_used(const reader *r, vox_error *err)
{
    for (int i = 0; i + 1 < r->g->layers; i++)
        if (!r->used[i + 1]) {
            vox_status s =
                vox_yaml_fail(err, r->source[i].item, "nothing takes the output of layer %s",
                              r->g->layer[i].node.name);
            vox_hint(err, "name it in a later layer's \"from\", or remove it");
            return s;
        }
    return VOX_OK;
}

/* ---- the whole ---------------------------------------------------------- */

static vox_status read_input(vox_graph *g, const vox_yaml_node *network, vox_error *err)
{
    static const char *const keys[] = {"channels", "size", NULL};
    const vox_yaml_node *input = vox_yaml_find(network, "input");
    int64_t channels = 1, size[3] = {0, 0, 0}, count;
    if (!input) {
        vox_status s = vox_yaml_fail(err, network, "the network has no input");
        vox_hint(err, "write input: {channels: 1, size: [d, h, w]}");
        return s;
    }
    vox_status s = vox_yaml_keys(input, "the network's input", keys, err);
    const vox_yaml_node *c = vox_yaml_find(input, "channels"), *d = vox_yaml_find(input, "size");
    if (s == VOX_OK && !d)
        s = vox_yaml_fail(err, input, "the network's input needs the key \"size\"");
    if (s == VOX_OK && c)
        s = vox_yaml_int(c, 1, VOX_GRAPH_MAX_ELEMENTS, &channels, err);
    if (s == VOX_OK)
        s = vox_yaml_triple(d, 1, VOX_GRAPH_MAX_ELEMENTS, size, err);
    if (s != VOX_OK)
        return s;
    g->input = (vox_shape){5, {1, channels, size[0], size[1], size[2]}};
    if (!count_checked(&g->input, &count)) {
        s = vox_yaml_fail(err, d, "the network's input is too large");
        vox_hint(err, "one sample's tensor may hold %" PRId64 " elements", VOX_GRAPH_MAX_ELEMENTS);
    }
    return s;
}

/* The loss reads the last layer's output, the network's, and with deep supervision those of other
 * layers after it. */
static vox_status read_loss_from(reader *r, const vox_yaml_node *from, vox_error *err)
{
    vox_graph *g = r->g;
    vox_node *loss = &g->loss.node;
    const bool list = vox_yaml_kind_of(from) == VOX_YAML_LIST;
    const size_t count = !from || !list ? 1 : vox_yaml_count(from);
    vox_status s = VOX_OK;
    if (count < 1 || count >= VOX_MAX_INPUTS)
        return vox_yaml_fail(err, from, "a loss is of 1 to %d layers' outputs, not %zu",
                             VOX_MAX_INPUTS - 1, count);
    if (!from)
        g->loss.from[loss->inputs++] = g->layers;
    for (size_t k = 0; from && k < count && s == VOX_OK; k++)
        s = read_edge(r, &g->loss, g->layers, list ? vox_yaml_item(from, k) : from, err);
    if (s == VOX_OK && g->loss.from[0] != g->layers) {
        s = vox_yaml_fail(err, list ? vox_yaml_item(from, 0) : from,
                          "a loss's first layer must be the network's last, %s",
                          vox_graph_edge_name(g, g->layers));
        vox_hint(err, "its output is what the network predicts; put the other outputs' layers "
                      "before it");
    }
    for (int k = 0; k < loss->inputs && s == VOX_OK; k++) {
        loss->in[k] = *vox_graph_edge_shape(g, g->loss.from[k]);
        r->used[g->loss.from[k]] = true;
    }
    return s;
}

/* And one label for each voxel of the network's output. */
static vox_status read_loss(reader *r, const vox_yaml_node *network, vox_error *err)
{
    vox_graph *g = r->g;
    const vox_yaml_node *node = vox_yaml_find(network, "loss");
    source src = {node ? node : network, NULL};
    const char *word = "cross_entropy";
    vox_node *loss = &g->loss.node;
    vox_status s = VOX_OK;
    if (node)
        s = vox_yaml_single(node, "a loss", &word, &src.value, err);
    if (s == VOX_OK)
        s = find_op(&loss->op, word, true, src.item, err);
    if (s != VOX_OK)
        return s;
    snprintf(loss->name, sizeof loss->name, "loss");
    loss->lane = (uint32_t)g->layers;
    s = read_loss_from(r, vox_yaml_find(src.value, "from"), err);
    if (s != VOX_OK)
        return s;
    loss->in[loss->inputs] = loss->in[0];
    loss->in[loss->inputs].dim[1] = 1;
    g->loss.from[loss->inputs++] = -1;
    s = read_attrs(loss, &src, true, err);
    if (s == VOX_OK)
        s = infer(g, &g->loss, src.item, err);
    return s;
}

static vox_status read_network(reader *r, const vox_yaml_node *network, const vox_yaml_node *layers,
                               vox_error *err)
{
    vox_graph *g = r->g;
    size_t capacity = 0, count = vox_yaml_count(layers);
    g->layer = vox_calloc(count, sizeof *g->layer, "the network's layers", err);
    r->source = vox_calloc(count, sizeof *r->source, "the network's layers", err);
    r->used = vox_calloc(count + 1, sizeof *r->used, "the network's layers", err);
    if (!g->layer || !r->source || !r->used)
        return VOX_ERR_MEMORY;
    g->layers = (int)count;
    vox_status s = read_words_and_names(r, layers, err);
    for (int i = 0; i < g->layers && s == VOX_OK; i++)
        s = read_layer(r, i, &capacity, err);
    if (s == VOX_OK)
        s = read_loss(r, network, err);
    if (s == VOX_OK)
        s = check_all_used(r, err);
    return s;
}

static vox_status check_sections(const vox_yaml_node *network, vox_error *err)
{
    static const char *const keys[] = {"input", "layers", "loss", NULL};
    const vox_yaml_node *layers = vox_yaml_find(network, "layers");
    if (!network) {
        vox_fail(err, VOX_ERR_INPUT, "there is no network");
        return vox_hint(err, "an experiment has a section \"network\" with input and layers");
    }
    vox_status s = vox_yaml_keys(network, "the network", keys, err);
    if (s != VOX_OK)
        return s;
    if (vox_yaml_kind_of(layers) != VOX_YAML_LIST || vox_yaml_count(layers) == 0)
        return vox_yaml_fail(err, layers ? layers : network,
                             "the network needs a list of layers under \"layers\"");
    if (vox_yaml_count(layers) > VOX_GRAPH_MAX_LAYERS)
        return vox_yaml_fail(err, layers, "the network has over %d layers", VOX_GRAPH_MAX_LAYERS);
    return VOX_OK;
}

vox_status vox_graph_open(vox_graph **out, const vox_yaml_node *network, vox_error *err)
{
    *out = NULL;
    vox_status s = check_sections(network, err);
    if (s != VOX_OK)
        return s;
    reader r = {.g = vox_calloc(1, sizeof(vox_graph), "a network", err)};
    if (!r.g)
        return VOX_ERR_MEMORY;
    s = read_input(r.g, network, err);
    if (s == VOX_OK)
        s = read_network(&r, network, vox_yaml_find(network, "layers"), err);
    free(r.source);
    free(r.used);
    if (s == VOX_OK)
        *out = r.g;
    else
        vox_graph_free(&r.g);
    return s;
}
