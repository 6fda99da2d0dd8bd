/* again.c - where a plan would take too much memory: what is computed twice instead of kept.
 *
 * A tensor that the backward pass reads lives from its layer's forward step to there.  Where the
 * layer is as quick as a copy (vox_op.cheap: concat, upsample ...) and what it reads is kept anyway
 * or much smaller, the tensor may be given up after its last reader of the forward pass, and made
 * again before its first reader of the backward pass, by the same step: the same bits.  Likewise
 * the reordered copy of the network's input.
 *
 * The largest ones are given up first, until the plan fits; then those that it fits without are
 * kept after all.  (Chen et al., "Training deep nets with sublinear memory cost", 2016, do so with
 * whole segments of layers; here only what costs almost nothing is computed twice.) */
#include "net/plan_parts.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

typedef struct layouter {
    vox_steps *s;
    vox_memory *m;
    const vox_choice *choice;
    const vox_wiring *w;
    vox_device *dev;
    const vox_plan_options *opt;
    bool *again; /* [layers + 1], by edge */
} layouter;

static uint64_t allowed(const layouter *l)
{
    if (l->opt->memory || !l->dev)
        return l->opt->memory ? l->opt->memory : UINT64_MAX;
    const uint64_t all = vox_device_get(l->dev)->global_mem_bytes;
    return vox_device_has_host_memory(l->dev) ? all / 2 : all / 8 * 7;
}

static vox_status lay_steps(layouter *l, vox_error *err)
{
    vox_steps_release(l->s);
    return vox_steps_init(l->s, l->w, l->choice, l->again, l->dev, l->opt->n_max, err);
}

static vox_status lay_memory(layouter *l, vox_error *err)
{
    vox_memory_release(l->m);
    vox_status s = vox_memory_init(l->m, l->s, l->w, l->dev, err);
    if (s == VOX_OK && l->opt->ahead)
        vox_memory_ahead(l->m, l->s);
    return s;
}

static vox_status lay_both(layouter *l, vox_error *err)
{
    vox_status s = lay_steps(l, err);
    return s == VOX_OK ? lay_memory(l, err) : s;
}

/* ---- candidates ---------------------------------------------------------- */

/* The layer whose forward step writes an edge's values. */
static int writer(const layouter *l, int edge)
{
    const bool fused = l->choice[edge - 1].fused[VOX_FORWARD];
    return (fused ? vox_wiring_from(l->w, edge - 1, 0) : edge) - 1;
}

static bool may_go(const layouter *l, int edge)
{
    const vox_wiring *w = l->w;
    for (int r = w->reader_start[edge]; r < w->reader_start[edge + 1]; r++)
        if (w->reader[r].layer == w->graph->layers) /* the loss: no sooner gone than back */
            return false;
    if (edge == 0)
        return true; /* never itself: only what it was reordered to */
    return !w->skip[edge - 1] && vox_wiring_node(w, writer(l, edge))->op->cheap;
}

static int64_t floats_of(const layouter *l, int edge)
{
    return vox_sample_floats(vox_graph_edge_shape(l->w->graph, edge), VOX_LAYOUT_BLOCK16);
}

/* Those that may go, the largest first; returns how many. */
static int list_edges(const layouter *l, int *list)
{
    int n = 0;
    for (int edge = 0; edge < l->w->graph->layers; edge++) {
        if (!may_go(l, edge))
            continue;
        int i = n++;
        for (; i > 0 && floats_of(l, list[i - 1]) < floats_of(l, edge); i--)
            list[i] = list[i - 1];
        list[i] = edge;
    }
    return n;
}

/* ---- searching ----------------------------------------------------------- */

static bool fits(const layouter *l)
{
    return vox_memory_bytes(l->m) <= allowed(l);
}

/* Gives up one after the other, but for those that would only make it worse. */
static vox_status give_up(layouter *l, const int *list, int count, vox_error *err)
{
    uint64_t peak = vox_memory_peak(l->s);
    vox_status s = VOX_OK;
    for (int i = 0; i < count && s == VOX_OK && !fits(l); i++) {
        l->again[list[i]] = true;
        s = lay_steps(l, err);
        const uint64_t now = s == VOX_OK ? vox_memory_peak(l->s) : 0;
        l->again[list[i]] = now <= peak;
        peak = now <= peak ? now : peak;
        if (s == VOX_OK && now > peak)
            s = lay_steps(l, err);
        if (s == VOX_OK)
            s = lay_memory(l, err);
    }
    return s;
}

/* Keeps again, the smallest first, what the plan takes no more memory with than before, or fits
 * with. */
static vox_status keep_rest(layouter *l, const int *list, int count, vox_error *err)
{
    const uint64_t most = fits(l) ? allowed(l) : vox_memory_bytes(l->m);
    vox_status s = VOX_OK;
    for (int i = count - 1; i >= 0 && s == VOX_OK; i--) {
        if (!l->again[list[i]])
            continue;
        l->again[list[i]] = false;
        s = lay_both(l, err);
        l->again[list[i]] = s == VOX_OK && vox_memory_bytes(l->m) > most;
    }
    return s == VOX_OK ? lay_both(l, err) : s;
}

static vox_status search(layouter *l, vox_error *err)
{
    int *list = vox_calloc((size_t)l->w->graph->layers + 1, sizeof *list, "a plan", err);
    if (!list)
        return VOX_ERR_MEMORY;
    const int count = list_edges(l, list);
    vox_status s = give_up(l, list, count, err);
    if (s == VOX_OK)
        s = keep_rest(l, list, count, err);
    free(list);
    return s;
}

vox_status vox_lay_out(vox_steps *steps, vox_memory *m, const vox_choice *choice,
                       const vox_wiring *w, vox_device *dev, const vox_plan_options *opt,
                       vox_error *err)
{
    memset(steps, 0, sizeof *steps);
    memset(m, 0, sizeof *m);
    layouter l = {steps, m, choice, w, dev, opt, NULL};
    l.again = vox_calloc((size_t)w->graph->layers + 1, sizeof *l.again, "a plan", err);
    vox_status s = l.again ? lay_both(&l, err) : VOX_ERR_MEMORY;
    if (s == VOX_OK && w->training && !fits(&l))
        s = search(&l, err);
    free(l.again);
    return s;
}
