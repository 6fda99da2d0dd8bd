/* graph.c - a graph's parameters and what can be asked of it; graph_read.c makes it from YAML. */
#include "net/graph.h"

#include "base/philox.h"

#include <stdlib.h>
#include <string.h>

void vox_graph_free(vox_graph **graph)
{
    if (!graph || !*graph)
        return;
    vox_graph *g = *graph;
    for (int i = 0; g->layer && i < g->layers; i++)
        free(g->layer[i].node.attr);
    free(g->loss.node.attr);
    free(g->layer);
    free(g->param);
    free(g);
    *graph = NULL;
}

int64_t vox_graph_parameters(const vox_graph *g, bool trainable_only)
{
    int64_t n = 0;
    for (int i = 0; i < g->params; i++)
        if (g->param[i].desc.trainable || !trainable_only)
            n += (int64_t)g->param[i].count;
    return n;
}

int vox_graph_find_param(const vox_graph *g, const char *name)
{
    for (int i = 0; i < g->params; i++)
        if (strcmp(g->param[i].name, name) == 0)
            return i;
    return -1;
}

const char *vox_graph_edge_name(const vox_graph *g, int edge)
{
    return edge == 0 ? "input" : g->layer[edge - 1].node.name;
}

const vox_shape *vox_graph_edge_shape(const vox_graph *g, int edge)
{
    return edge == 0 ? &g->input : &g->layer[edge - 1].node.out;
}

size_t vox_graph_labels(const vox_graph *g)
{
    return (size_t)vox_shape_count(&g->loss.node.in[g->loss.node.inputs - 1]);
}

/* Element i of parameter p is a function of (seed, p, i) alone. */
static void init_uniform(const vox_graph_param *p, int index, uint64_t seed, float *value)
{
    const float bound = (float)p->desc.bound;
    uint32_t out[4];
    for (size_t i = 0; i < p->count; i++) {
        if (i % 4 == 0)
            vox_random_block(seed, VOX_RANDOM_INIT, 0, 0, (uint64_t)index, (uint32_t)(i / 4), out);
        value[i] = (2.0f * vox_uniform(out[i % 4]) - 1.0f) * bound;
    }
}

void vox_graph_init_params(const vox_graph *g, uint64_t seed, float *flat)
{
    memset(flat, 0, g->flat_floats * sizeof *flat);
    for (int p = 0; p < g->params; p++) {
        const vox_graph_param *param = &g->param[p];
        float *value = flat + param->offset;
        if (param->desc.init == VOX_INIT_UNIFORM)
            init_uniform(param, p, seed, value);
        const bool constant = param->desc.init == VOX_INIT_CONSTANT;
        const bool filled = constant || param->desc.init == VOX_INIT_ONE;
        for (size_t i = 0; filled && i < param->count; i++)
            value[i] = constant ? (float)param->desc.bound : 1.0f;
    }
}
