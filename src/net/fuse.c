/* fuse.c - relu and leaky_relu layers that need no step of their own, as the layers around them do
 * their work.
 *
 *   forward    conv -> relu          conv writes max(y, 0); its own y never exists
 *   backward   conv <- relu <- pool  pool, whose x is relu's output, writes dx * (x > 0): that is
 *                                    already the gradient of what relu read
 *
 * The two are independent.  Forward needs a layer before whose output only the relu reads; backward
 * needs every reader of relu's output to fuse, in whatever layouts: the gradients are summed after.
 */
#include "net/plan_parts.h"

static bool is_relu(const vox_wiring *w, int layer)
{
    return !w->skip[layer] && vox_wiring_node(w, layer)->op->relu;
}

int vox_fuse_after(const vox_wiring *w, int layer)
{
    const int edge = layer + 1;
    if (layer >= w->graph->layers || w->reader_start[edge + 1] - w->reader_start[edge] != 1)
        return 0;
    const int reader = w->reader[w->reader_start[edge]].layer;
    /* its own backward pass would find relu's output where it expects its own */
    const bool reads_y = w->training && vox_wiring_node(w, layer)->op->backward_reads_y;
    return is_relu(w, reader) && !reads_y ? reader : 0;
}

int vox_fuse_before(const vox_wiring *w, int layer, int slot)
{
    const int edge = vox_wiring_from(w, layer, slot);
    return edge > 0 && is_relu(w, edge - 1) ? edge - 1 : -1;
}

float vox_fuse_slope(const vox_node *relu)
{
    return relu->op->relu_slope ? (float)relu->op->relu_slope(relu) : 0;
}

bool vox_fuse_can(const vox_algo *a, const vox_node *relu)
{
    return a && a->fuses_relu && (!a->no_slope || vox_fuse_slope(relu) == 0);
}

static void fuse_forward(vox_choice *choice, const vox_wiring *w, int layer)
{
    const int relu = vox_fuse_after(w, layer);
    if (!relu || !vox_fuse_can(choice[layer].algo[VOX_FORWARD], vox_wiring_node(w, relu)) ||
        choice[layer].out != choice[relu].in)
        return;
    choice[layer].relu = relu;
    choice[relu].fused[VOX_FORWARD] = true;
}

/* A reader of several relus' outputs takes those of one slope. */
static bool takes(const vox_choice *reader, const vox_node *relu)
{
    return vox_fuse_can(reader->algo[VOX_BACKWARD_DATA], relu) &&
           (!reader->relu_in || reader->slope_in == vox_fuse_slope(relu));
}

static void fuse_backward(vox_choice *choice, const vox_wiring *w, int relu)
{
    const int first = w->reader_start[relu + 1], end = w->reader_start[relu + 2];
    const vox_node *node = vox_wiring_node(w, relu);
    bool all = vox_wiring_runs(w, relu, VOX_BACKWARD_DATA);
    for (int r = first; r < end; r++)
        all = all && takes(&choice[w->reader[r].layer], node);
    if (!all)
        return;
    for (int r = first; r < end; r++) {
        choice[w->reader[r].layer].relu_in |= 1u << w->reader[r].slot;
        choice[w->reader[r].layer].slope_in = vox_fuse_slope(node);
    }
    choice[relu].fused[VOX_BACKWARD_DATA] = true;
}

void vox_fuse(vox_choice *choice, const vox_wiring *w, const vox_forced *forced)
{
    for (int i = w->first; i < w->last; i++) {
        const int relu = w->skip[i] ? 0 : vox_fuse_after(w, i);
        if (relu && !vox_forced_algo(forced, vox_wiring_node(w, relu)->op, VOX_FORWARD))
            fuse_forward(choice, w, i);
        if (is_relu(w, i) && !vox_forced_algo(forced, vox_wiring_node(w, i)->op, VOX_BACKWARD_DATA))
            fuse_backward(choice, w, i);
    }
}
