/* describe.c - what `voxcl info` shows: layers, parameters, work and memory, before anything runs.
 */
#include "train/schedule.h"

#include "base/mem.h"
#include "net/plan.h"
#include "ops/attr.h"
#include "ops/loss.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

void vox_network_desc_free(vox_network_desc **desc)
{
    if (!desc || !*desc)
        return;
    free((*desc)->layer);
    free((*desc)->device);
    free(*desc);
    *desc = NULL;
}

static void describe_layer(vox_layer_desc *out, const vox_graph *g, int i)
{
    const vox_graph_layer *l = &g->layer[i];
    const vox_node *node = &l->node;
    snprintf(out->name, sizeof out->name, "%s", node->name);
    snprintf(out->kind, sizeof out->kind, "%s", node->op->name);
    memcpy(out->out_shape, node->out.dim, sizeof out->out_shape);
    for (int p = l->first_param; p < l->first_param + l->params; p++) {
        out->parameters += (int64_t)g->param[p].count;
        out->trainable += g->param[p].desc.trainable ? (int64_t)g->param[p].count : 0;
    }
    out->forward_flops = node->op->flops ? node->op->flops(node, VOX_FORWARD) : 0;
}

static void describe_loss(vox_network_desc *d, const vox_graph *g)
{
    const vox_node *node = &g->loss.node;
    const int outputs = node->inputs - 1;
    char keys[200];
    vox_attr_text(node->op->attrs, node->attr, keys, sizeof keys);
    size_t used = (size_t)snprintf(d->loss, sizeof d->loss, "%s%s%s", node->op->name,
                                   keys[0] ? " " : "", keys);
    for (int k = 0; outputs > 1 && k < outputs && used < sizeof d->loss; k++)
        used += (size_t)snprintf(d->loss + used, sizeof d->loss - used, "%s %s (%.3g)",
                                 k ? "," : " of", vox_graph_edge_name(g, g->loss.from[k]),
                                 vox_loss_output_weight(node, k));
}

static vox_plan_options plan_options(const vox_experiment *exp)
{
    return (vox_plan_options){.n_max = vox_train_at_once(&exp->train),
                              .training = true,
                              .memory = (uint64_t)exp->train.memory_mib << 20,
                              .ahead = true};
}

/* One device's own figures.  A device that cannot tell does not spoil the table: it says why. */
static void describe_device(vox_device_memory *out, const vox_experiment *exp,
                            const vox_device_desc *found)
{
    const vox_plan_options opt = plan_options(exp);
    vox_error why;
    vox_device *dev = NULL;
    *out = (vox_device_memory){.index = found->index, .global_mem_bytes = found->global_mem_bytes};
    snprintf(out->name, sizeof out->name, "%s", found->name);
    vox_status s = vox_device_open(&dev, found->index, &why);
    if (s == VOX_OK)
        s = vox_plan_estimate(exp->graph, dev, &opt, &out->activation_bytes, &out->device_bytes,
                              &why);
    if (s != VOX_OK)
        snprintf(out->reason, sizeof out->reason, "%s", why.message);
    out->fits = s == VOX_OK && out->device_bytes <= found->global_mem_bytes &&
                (!opt.memory || out->device_bytes <= opt.memory);
    vox_device_free(&dev);
}

static vox_status describe_devices(vox_network_desc *d, const vox_experiment *exp, vox_error *err)
{
    vox_device_list *list;
    vox_status s = vox_device_list_open(&list, err);
    if (s != VOX_OK)
        return s;
    d->device = vox_calloc(list->count, sizeof *d->device, "a description", err);
    for (size_t i = 0; d->device && i < list->count; i++)
        if (list->device[i].usable)
            describe_device(&d->device[d->device_count++], exp, &list->device[i]);
    vox_device_list_free(&list);
    return d->device ? VOX_OK : VOX_ERR_MEMORY;
}

static vox_status describe(vox_network_desc *d, const vox_experiment *exp, vox_error *err)
{
    const vox_graph *g = exp->graph;
    const vox_plan_options opt = plan_options(exp);
    d->layer = vox_calloc((size_t)g->layers, sizeof *d->layer, "a description", err);
    if (!d->layer)
        return VOX_ERR_MEMORY;
    for (int i = 0; i < g->layers; i++)
        describe_layer(&d->layer[d->count++], g, i);
    describe_loss(d, g);
    vox_rate_text(&exp->train, d->update, sizeof d->update);
    memcpy(d->input_shape, g->input.dim, sizeof d->input_shape);
    d->parameters = vox_graph_parameters(g, false);
    d->trainable = vox_graph_parameters(g, true);
    d->parameter_bytes = (uint64_t)d->parameters * sizeof(float);
    d->batch = exp->train.batch;
    d->at_once = vox_train_at_once(&exp->train);
    vox_status s = vox_graph_flops(g, false, &d->forward_flops, err);
    if (s == VOX_OK)
        s = vox_graph_flops(g, true, &d->training_flops, err);
    if (s == VOX_OK)
        s = vox_plan_estimate(g, NULL, &opt, &d->activation_bytes, &d->device_bytes, err);
    return s == VOX_OK ? describe_devices(d, exp, err) : s;
}

vox_status vox_experiment_describe(vox_network_desc **out, const vox_experiment *exp,
                                   vox_error *err)
{
    *out = NULL;
    vox_network_desc *d = vox_calloc(1, sizeof *d, "a description", err);
    vox_status s = d ? describe(d, exp, err) : VOX_ERR_MEMORY;
    if (s == VOX_OK)
        *out = d;
    else
        vox_network_desc_free(&d);
    return s;
}
