/* ref_net.c - a whole network in plain C and double, made of the operations' references. */
#include "net/ref_net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REF(op)                                                                                    \
    void ref_##op##_forward(const ref_io *io);                                                     \
    void ref_##op##_backward_data(const ref_io *io);
REF(conv)
REF(relu)
REF(max_pool)
REF(copy)
REF(dense)
REF(loss)
void ref_conv_backward_weights(const ref_io *io);
void ref_dense_backward_weights(const ref_io *io);
void ref_sum_forward(const ref_io *io);
REF(norm)
void ref_norm_backward_weights(const ref_io *io);
#define NORM                                                                                       \
    {                                                                                              \
        ref_norm_forward, ref_norm_backward_data, ref_norm_backward_weights                        \
    }

static void add_backward(const ref_io *io)
{
    int64_t count = io->n * vox_shape_count(&io->node->out);
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; io->dx[k] && i < count; i++)
            io->dx[k][i] = io->dy[i];
}

/* Of two inputs, as everywhere here. */
static void join(const ref_io *io, bool back)
{
    const int64_t voxels = io->node->out.dim[2] * io->node->out.dim[3] * io->node->out.dim[4];
    int64_t at = 0;
    for (int64_t n = 0; n < io->n; n++)
        for (int k = 0; k < 2; k++) {
            const int64_t count = io->node->in[k].dim[1] * voxels;
            for (int64_t i = 0; i < count; i++, at++)
                if (back)
                    io->dx[k][n * count + i] = io->dy[at];
                else
                    io->y[at] = io->x[k][n * count + i];
        }
}

static void concat_forward(const ref_io *io)
{
    join(io, false);
}

static void concat_backward(const ref_io *io)
{
    join(io, true);
}

static const struct {
    const char *op;
    ref_fn pass[VOX_PASSES];
} refs[] = {
    {"conv", {ref_conv_forward, ref_conv_backward_data, ref_conv_backward_weights}},
    {"relu", {ref_relu_forward, ref_relu_backward_data, NULL}},
    {"max_pool", {ref_max_pool_forward, ref_max_pool_backward_data, NULL}},
    {"flatten", {ref_copy_forward, ref_copy_backward_data, NULL}},
    {"dense", {ref_dense_forward, ref_dense_backward_data, ref_dense_backward_weights}},
    {"cross_entropy", {ref_loss_forward, ref_loss_backward_data, NULL}},
    {"dice_ce", {ref_loss_forward, ref_loss_backward_data, NULL}},
    {"batch_norm", NORM},
    {"instance_norm", NORM},
    {"group_norm", NORM},
    {"add", {ref_sum_forward, add_backward, NULL}},
    {"concat", {concat_forward, concat_backward, NULL}},
};

static ref_fn find_ref(const vox_node *node, vox_pass pass)
{
    for (size_t i = 0; i < sizeof refs / sizeof *refs; i++)
        if (strcmp(refs[i].op, node->op->name) == 0)
            return refs[i].pass[pass];
    fprintf(stderr, "no reference for %s\n", node->op->name);
    abort();
}

static double *zeros(int64_t count)
{
    double *p = calloc((size_t)count, sizeof *p);
    if (!p)
        abort();
    return p;
}

static int64_t edge_count(const ref_net *r, int e)
{
    return r->n * vox_shape_count(vox_graph_edge_shape(r->graph, e));
}

void ref_net_init(ref_net *r, const vox_graph *g, int64_t n, const float *params,
                  const float *input, const int32_t *label)
{
    memset(r, 0, sizeof *r);
    r->graph = g;
    r->n = n;
    for (int e = 0; e <= g->layers; e++) {
        r->act[e] = zeros(edge_count(r, e));
        r->grad[e] = zeros(edge_count(r, e));
    }
    for (int64_t i = 0; i < edge_count(r, 0); i++)
        r->act[0][i] = input[i];
    for (int p = 0; p < g->params; p++) {
        r->param[p] = zeros((int64_t)g->param[p].count);
        r->dparam[p] = zeros((int64_t)g->param[p].count);
        for (size_t i = 0; i < g->param[p].count; i++)
            r->param[p][i] = params[g->param[p].offset + i];
    }
    const int64_t labels = n * (int64_t)vox_graph_labels(g);
    r->label = zeros(labels);
    r->loss = zeros(n);
    for (int64_t i = 0; i < labels; i++)
        r->label[i] = label[i];
}

void ref_net_release(ref_net *r)
{
    for (int i = 0; i < 64; i++) {
        free(r->act[i]);
        free(r->grad[i]);
        free(r->param[i]);
        free(r->dparam[i]);
    }
    free(r->label);
    free(r->loss);
}

static ref_io layer_io(const ref_net *r, int layer)
{
    const vox_graph_layer *l = &r->graph->layer[layer];
    ref_io io = {.node = &l->node, .n = r->n, .training = true, .y = r->act[layer + 1]};
    for (int k = 0; k < l->node.inputs; k++)
        io.x[k] = r->act[l->from[k]];
    for (int k = 0; k < l->params; k++) {
        io.param[k] = r->param[l->first_param + k];
        io.dparam[k] = r->dparam[l->first_param + k];
    }
    return io;
}

static ref_io loss_io(const ref_net *r)
{
    ref_io io = {.node = &r->graph->loss.node, .n = r->n, .training = true, .y = r->loss};
    const int outputs = io.node->inputs - 1;
    for (int k = 0; k < outputs; k++)
        io.x[k] = r->act[r->graph->loss.from[k]];
    io.x[outputs] = r->label;
    return io;
}

double ref_net_forward(ref_net *r)
{
    double sum = 0;
    for (int i = 0; i < r->graph->layers; i++) {
        ref_io io = layer_io(r, i);
        memset(io.y, 0, (size_t)edge_count(r, i + 1) * sizeof *io.y);
        find_ref(io.node, VOX_FORWARD)(&io);
    }
    memset(r->loss, 0, (size_t)r->n * sizeof *r->loss);
    ref_io io = loss_io(r);
    find_ref(io.node, VOX_FORWARD)(&io);
    for (int64_t i = 0; i < r->n; i++)
        sum += r->loss[i];
    return sum;
}

static void layer_backward(ref_net *r, int layer)
{
    const vox_graph_layer *l = &r->graph->layer[layer];
    ref_io io = layer_io(r, layer);
    io.dy = r->grad[layer + 1];
    if (l->params > 0)
        find_ref(io.node, VOX_BACKWARD_WEIGHTS)(&io);
    for (int k = 0; k < l->node.inputs; k++)
        io.dx[k] = zeros(edge_count(r, l->from[k]));
    find_ref(io.node, VOX_BACKWARD_DATA)(&io);
    for (int k = 0; k < l->node.inputs; k++) {
        for (int64_t i = 0; i < edge_count(r, l->from[k]); i++)
            r->grad[l->from[k]][i] += io.dx[k][i];
        free(io.dx[k]);
    }
}

void ref_net_backward(ref_net *r, double scale)
{
    const int last = r->graph->layers;
    for (int e = 0; e <= last; e++)
        memset(r->grad[e], 0, (size_t)edge_count(r, e) * sizeof(double));
    for (int p = 0; p < r->graph->params; p++)
        memset(r->dparam[p], 0, r->graph->param[p].count * sizeof(double));
    ref_io io = loss_io(r);
    for (int k = 0; k < io.node->inputs - 1; k++)
        io.dx[k] = r->grad[r->graph->loss.from[k]];
    io.scale = scale;
    find_ref(io.node, VOX_BACKWARD_DATA)(&io);
    for (int i = last - 1; i >= 0; i--)
        layer_backward(r, i);
}

/* ---- the operation "add" ------------------------------------------------ */

static vox_status add_copy(vox_work *w, const vox_io *io, vox_error *err)
{
    (void)w;
    size_t bytes = (size_t)(io->n * vox_sample_floats(&io->dy->shape, io->dy->layout)) * 4;
    for (int k = 0; k < 2; k++)
        if (io->dx[k]) {
            vox_status s = vox_buffer_copy(io->dx[k]->buf, 0, io->dy->buf, 0, bytes, err);
            if (s != VOX_OK)
                return s;
        }
    return VOX_OK;
}

const vox_op *ref_net_add(void)
{
    static vox_algo algos[3];
    static vox_op op = {.name = "add", .min_inputs = 2, .max_inputs = 2, .algos = algos};
    algos[0] = vox_op_find("sum")->algos[0];
    algos[1] = (vox_algo){.name = "copy", .pass = VOX_BACKWARD_DATA, .run = add_copy};
    return &op;
}
