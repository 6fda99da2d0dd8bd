/* wiring.c - who reads which tensor of a graph, and which gradients a plan needs. */
#include "net/plan_parts.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

const vox_node *vox_wiring_node(const vox_wiring *w, int layer)
{
    return layer < w->graph->layers ? &w->graph->layer[layer].node : &w->graph->loss.node;
}

int vox_wiring_inputs(const vox_wiring *w, int layer)
{
    return layer < w->graph->layers ? w->graph->layer[layer].node.inputs
                                    : w->graph->loss.node.inputs - 1;
}

int vox_wiring_from(const vox_wiring *w, int layer, int slot)
{
    const vox_graph_layer *l = layer < w->graph->layers ? &w->graph->layer[layer] : &w->graph->loss;
    return w->edge[l->from[slot]];
}

static bool has_trainable(const vox_graph *g, int layer)
{
    const vox_graph_layer *l = &g->layer[layer];
    for (int p = 0; p < l->params; p++)
        if (g->param[l->first_param + p].desc.trainable)
            return true;
    return false;
}

bool vox_wiring_runs(const vox_wiring *w, int layer, vox_pass pass)
{
    const vox_graph *g = w->graph;
    if (w->skip[layer])
        return false;
    if (pass == VOX_FORWARD)
        return true;
    if (!w->training || (layer < g->layers && !w->needs[layer + 1]))
        return false;
    if (pass == VOX_BACKWARD_WEIGHTS)
        return layer < g->layers && has_trainable(g, layer);
    for (int k = 0; k < vox_wiring_inputs(w, layer); k++)
        if (w->needs[vox_wiring_from(w, layer, k)])
            return true;
    return false;
}

/* What a plan without training need not run is taken out here, once: everybody downstream reads
 * its input instead. */
static void set_edges(vox_wiring *w)
{
    const vox_graph *g = w->graph;
    w->edge[0] = 0;
    for (int i = 0; i < g->layers; i++) {
        const vox_graph_layer *l = &g->layer[i];
        w->skip[i] = !w->training && l->node.op->training_only;
        w->edge[i + 1] = w->skip[i] ? w->edge[l->from[0]] : i + 1;
    }
}

/* A gradient is wanted only downstream of something to train: never for the input. */
static void set_needs(vox_wiring *w)
{
    const vox_graph *g = w->graph;
    w->needs[0] = false;
    for (int i = 0; i < g->layers && w->training; i++) {
        bool needs = has_trainable(g, i);
        for (int k = 0; k < g->layer[i].node.inputs; k++)
            needs = needs || w->needs[g->layer[i].from[k]];
        w->needs[i + 1] = needs;
    }
}

/* Readers by edge, in the order of the layers: the order in which gradients are summed. */
static vox_status set_readers(vox_wiring *w, vox_error *err)
{
    const vox_graph *g = w->graph;
    int total = 0;
    for (int i = w->first; i <= w->last; i++)
        total += w->skip[i] ? 0 : vox_wiring_inputs(w, i);
    w->reader = vox_calloc((size_t)total, sizeof *w->reader, "a plan", err);
    if (!w->reader)
        return VOX_ERR_MEMORY;
    for (int pass = 0; pass < 2; pass++) { /* count, then fill */
        int *at = w->reader_start;
        for (int i = w->first; i <= w->last; i++)
            for (int k = 0; !w->skip[i] && k < vox_wiring_inputs(w, i); k++) {
                int e = vox_wiring_from(w, i, k);
                if (pass == 0)
                    at[e + 1]++;
                else
                    w->reader[at[e]++] = (vox_reader){i, k};
            }
        for (int e = 0; pass == 0 && e <= g->layers; e++)
            at[e + 1] += at[e];
        for (int e = g->layers + 1; pass == 1 && e > 0; e--)
            at[e] = at[e - 1]; /* filling moved every start to its end */
        if (pass == 1)
            at[0] = 0;
    }
    return VOX_OK;
}

vox_status vox_wiring_init(vox_wiring *w, const vox_graph *graph, bool training, vox_error *err)
{
    const size_t edges = (size_t)graph->layers + 1;
    *w = (vox_wiring){.graph = graph, .first = 0, .last = graph->layers, .training = training};
    w->edge = vox_calloc(edges, sizeof *w->edge, "a plan", err);
    w->skip = vox_calloc(edges, sizeof *w->skip, "a plan", err);
    w->needs = vox_calloc(edges, sizeof *w->needs, "a plan", err);
    w->reader_start = vox_calloc(edges + 1, sizeof *w->reader_start, "a plan", err);
    vox_status s = VOX_ERR_MEMORY;
    if (w->edge && w->skip && w->needs && w->reader_start) {
        set_edges(w);
        set_needs(w);
        s = set_readers(w, err);
    }
    if (s != VOX_OK)
        vox_wiring_release(w);
    return s;
}

void vox_wiring_release(vox_wiring *w)
{
    free(w->edge);
    free(w->skip);
    free(w->needs);
    free(w->reader_start);
    free(w->reader);
    memset(w, 0, sizeof *w);
}

vox_status vox_graph_flops(const vox_graph *g, bool training, double *out, vox_error *err)
{
    vox_wiring w;
    vox_status s = vox_wiring_init(&w, g, training, err);
    if (s != VOX_OK)
        return s;
    *out = 0;
    for (int i = 0; i <= g->layers; i++)
        for (int pass = 0; pass < VOX_PASSES; pass++) {
            const vox_node *node = vox_wiring_node(&w, i);
            if (node->op->flops && vox_wiring_runs(&w, i, (vox_pass)pass))
                *out += node->op->flops(node, (vox_pass)pass);
        }
    vox_wiring_release(&w);
    return VOX_OK;
}
