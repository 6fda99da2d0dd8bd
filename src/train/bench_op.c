/* bench_op.c - vox_bench_op: every algorithm of an operation, or an optimiser's update, beside the
 * device's copy bandwidth. */
#include "base/text.h"
#include "ops/attr_words.h"
#include "train/optimizer.h"
#include "tune/op_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_WORDS 32

static const char *const pass_words[VOX_PASSES] = {"fwd", "bwd_data", "bwd_weights"};

typedef struct request {
    vox_op_request rows;
    vox_node node; /* .op NULL: an optimiser */
    char what[64]; /* "bench op max_pool", for messages */
    int64_t in[5], inputs;
    const char *word[MOST_WORDS]; /* attributes */
    size_t words;
} request;

/* ---- arguments ---- */

static bool parse_shape(const char *text, int64_t dim[5])
{
    for (int i = 0; i < 5; i++)
        dim[i] = 1;
    bool ok = vox_parse_list(text, dim, 5) > 0;
    for (int i = 0; i < 5; i++)
        ok = ok && dim[i] >= 1 && dim[i] <= INT64_C(1) << 31;
    return ok;
}

static bool parse_pass(request *r, const char *text)
{
    bool any = false;
    for (int i = 0; i < VOX_PASSES; i++) {
        r->rows.pass[i] = strcmp(text, "all") == 0 || strcmp(text, pass_words[i]) == 0;
        any = any || r->rows.pass[i];
    }
    return any;
}

static bool parse_layout(request *r, const char *text)
{
    r->rows.layout = strcmp(text, "plain") == 0     ? VOX_LAYOUT_PLAIN
                     : strcmp(text, "block16") == 0 ? VOX_LAYOUT_BLOCK16
                                                    : -1;
    return r->rows.layout >= 0 || strcmp(text, "all") == 0;
}

static bool parse_algo(request *r, const char *text)
{
    const vox_op *op = r->node.op;
    r->rows.algo = strcmp(text, "all") == 0 ? NULL : text;
    bool known = !r->rows.algo;
    for (const vox_algo *a = op ? op->algos : NULL; a && a->name; a++)
        known = known || strcmp(a->name, text) == 0;
    return known;
}

static bool parse_value(request *r, const char *key, const char *value, bool *known)
{
    *known = true;
    if (strcmp(key, "--in") == 0)
        return parse_shape(value, r->in);
    if (strcmp(key, "--inputs") == 0)
        return vox_parse_i64(value, &r->inputs) && r->inputs >= 1 && r->inputs <= VOX_MAX_INPUTS;
    if (strcmp(key, "--pass") == 0)
        return parse_pass(r, value);
    if (strcmp(key, "--layout") == 0)
        return parse_layout(r, value);
    if (strcmp(key, "--algo") == 0)
        return parse_algo(r, value);
    if (strcmp(key, "--repeat") == 0)
        return vox_parse_i64(value, &r->rows.repeat) && r->rows.repeat >= 1 &&
               r->rows.repeat <= VOX_TIMING_MOST;
    *known = false;
    return false;
}

static vox_status fail_argument(const request *r, const char *key, const char *value, bool known,
                                vox_error *err)
{
    vox_fail(err, VOX_ERR_USAGE, known ? "%s: %s cannot be \"%s\"" : "%s does not know %s%s",
             r->what, key, known ? value : "");
    vox_hint(err,
             "--in N,C,D,H,W; --inputs 1 to %d; --pass fwd|bwd_data|bwd_weights|all; --layout "
             "plain|block16|all; --algo all or a name that bench op prints; --repeat 1 to %d",
             VOX_MAX_INPUTS, VOX_TIMING_MOST);
    return VOX_ERR_USAGE;
}

static vox_status read_arguments(request *r, const char *const *args, size_t count, vox_error *err)
{
    for (size_t i = 0; i < count; i++) {
        bool known, option = strncmp(args[i], "--", 2) == 0;
        const char *value = option && i + 1 < count ? args[i + 1] : "";
        if (option && !parse_value(r, args[i], value, &known))
            return fail_argument(r, args[i], value, known, err);
        i += option;
        if (!option && r->words == MOST_WORDS)
            return vox_fail(err, VOX_ERR_USAGE, "%s: too many attributes", r->what);
        if (!option)
            r->word[r->words++] = args[i];
    }
    if (r->in[0])
        return VOX_OK;
    vox_fail(err, VOX_ERR_USAGE, "%s needs --in", r->what);
    vox_hint(err, "for example --in 4,32,13,56,56; for an optimiser the number of weights");
    return VOX_ERR_USAGE;
}

static vox_status fail_name(const char *name, vox_error *err)
{
    char names[200] = "";
    size_t used = 0;
    for (const vox_op *const *op = vox_ops; *op && used < sizeof names; op++)
        used += (size_t)snprintf(names + used, sizeof names - used, " %s,", (*op)->name);
    vox_fail(err, VOX_ERR_USAGE, "bench op: there is no operation \"%s\"", name);
    vox_hint(err, "there are:%s and sgd", names);
    return VOX_ERR_USAGE;
}

/* ---- an operation ---- */

/* Labels have one channel; the other inputs are all alike. */
static vox_status open_node(request *r, vox_error *err)
{
    vox_node *node = &r->node;
    const vox_op *op = node->op;
    node->attr = vox_calloc(1, op->attr_bytes + 1, "attributes", err);
    if (!node->attr)
        return VOX_ERR_MEMORY;
    vox_status s = vox_attr_words(op->attrs, node->attr, r->what, r->word, r->words, err);
    if (s != VOX_OK)
        return s;
    node->inputs = r->inputs ? (int)r->inputs : op->min_inputs;
    if (node->inputs < op->min_inputs || node->inputs > op->max_inputs) {
        vox_fail(err, VOX_ERR_USAGE, "%s: it has not %d inputs", r->what, node->inputs);
        vox_hint(err, "--inputs %d to %d", op->min_inputs, op->max_inputs);
        return VOX_ERR_USAGE;
    }
    for (int i = 0; i < node->inputs; i++) {
        node->in[i] = (vox_shape){5, {1, r->in[1], r->in[2], r->in[3], r->in[4]}};
        if (op->loss && i == node->inputs - 1)
            node->in[i].dim[1] = 1;
    }
    return op->infer(node, node->in, &node->out, err);
}

static vox_status op_rows(vox_json *j, vox_device *dev, request *r, vox_error *err)
{
    r->rows.node = &r->node;
    r->rows.n = r->in[0];
    return vox_op_rows(j, dev, &r->rows, err);
}

/* ---- an optimiser ---- */

static const vox_attr sgd_attrs[] = {
    {"momentum", VOX_ATTR_FLOAT, offsetof(vox_optimizer_spec, momentum), false, 0.9, 0, 1, NULL,
     NULL, "share of the last step that is kept"},
    {"weight_decay", VOX_ATTR_FLOAT, offsetof(vox_optimizer_spec, weight_decay), false, 5e-4, 0, 1,
     NULL, NULL, "pull of the weights to zero"},
    {"nesterov", VOX_ATTR_BOOL, offsetof(vox_optimizer_spec, nesterov), false, 0, 0, 1, NULL, NULL,
     "looks ahead by the momentum"},
    {0}};

typedef struct update {
    vox_optimizer *optimizer;
    vox_buffer *params, *grads;
} update;

static vox_status run_update(void *what, vox_error *err)
{
    update *u = what;
    return vox_optimizer_step(u->optimizer, u->params, u->grads, NULL, 0, 0.001, 1, err);
}

static vox_status open_vectors(update *u, vox_device *dev, size_t floats, vox_error *err)
{
    vox_buffer **const vector[] = {&u->params, &u->grads};
    vox_status s = VOX_OK;
    for (int i = 0; s == VOX_OK && i < 2; i++) {
        s = vox_buffer_open(vector[i], dev, 4 * floats, VOX_BUFFER_DEVICE, "benchmark data", err);
        if (s == VOX_OK) /* pages that were never written may all be one page of zeros */
            s = vox_buffer_fill(*vector[i], 0, 4 * floats, 0x3f800000u, err);
    }
    return s;
}

/* clip: the gradients' norm is computed first and scales them; they are read twice then. */
static vox_status optimizer_row(vox_json *j, vox_device *dev, const request *r,
                                const vox_optimizer_spec *spec, bool clip, vox_error *err)
{
    const size_t count = (size_t)(r->in[0] * r->in[1] * r->in[2] * r->in[3] * r->in[4]);
    const size_t block = VOX_BUFFER_ALIGN / sizeof(float);
    vox_graph_param param = {.name = "weights", .desc = {.trainable = true}, .count = count};
    const vox_graph graph = {
        .param = &param, .params = 1, .flat_floats = (count + block - 1) / block * block};
    const double streams = 3 + (spec->momentum != 0 ? 2 : 0) + (clip ? 1 : 0);
    vox_op_row row = {.device = vox_device_get(dev)->name,
                      .pass = clip ? "update, clipped" : "update",
                      .layout = "flat",
                      .algorithm = "sgd",
                      .chosen = true,
                      .bytes = streams * 4 * (double)count,
                      .error = NAN};
    update u = {0};
    vox_status s = vox_optimizer_open(&u.optimizer, dev, &graph, spec, clip ? 1 : 0, err);
    if (s == VOX_OK)
        s = open_vectors(&u, dev, graph.flat_floats, err);
    if (s == VOX_OK)
        s = vox_time_runs(dev, run_update, &u, row.bytes, r->rows.repeat, &row.time, err);
    if (s == VOX_OK)
        vox_op_row_write(j, &row);
    vox_optimizer_free(&u.optimizer);
    vox_buffer_free(&u.params);
    vox_buffer_free(&u.grads);
    return s;
}

static vox_status optimizer_rows(vox_json *j, vox_device *dev, request *r, vox_error *err)
{
    vox_optimizer_spec spec = {.kind = VOX_OPTIMIZER_SGD};
    vox_status s = vox_attr_words(sgd_attrs, &spec, r->what, r->word, r->words, err);
    for (int clip = 0; s == VOX_OK && clip < 2; clip++)
        s = optimizer_row(j, dev, r, &spec, clip, err);
    return s;
}

/* ---- both ---- */

static vox_status open_request(request *r, const char *name, const char *const *args, size_t count,
                               vox_error *err)
{
    *r = (request){.rows = {.pass = {true, true, true}, .layout = -1},
                   .node = {.op = vox_op_find(name), .name = "bench"}};
    snprintf(r->what, sizeof r->what, "bench op %s", name);
    if (!r->node.op && strcmp(name, "sgd") != 0)
        return fail_name(name, err);
    vox_status s = read_arguments(r, args, count, err);
    return s == VOX_OK && r->node.op ? open_node(r, err) : s;
}

vox_status vox_bench_op(vox_ctx *ctx, const char *name, const char *const *args, size_t count,
                        char **json, vox_error *err)
{
    request r;
    vox_json j = {0};
    *json = NULL;
    vox_status s = open_request(&r, name, args, count, err);
    vox_json_begin(&j, NULL, '[');
    for (size_t i = 0; s == VOX_OK && i < vox_ctx_device_count(ctx); i++)
        s = r.node.op ? op_rows(&j, vox_ctx_get(ctx, i), &r, err)
                      : optimizer_rows(&j, vox_ctx_get(ctx, i), &r, err);
    vox_json_end(&j, ']');
    free(r.node.attr);
    if (s != VOX_OK) {
        vox_str_release(&j.text);
        return s;
    }
    *json = vox_json_take(&j, err);
    return *json ? VOX_OK : VOX_ERR_MEMORY;
}
