/* ref_net.h - a whole network in plain C and double, made of the operations' references. */
#ifndef VOX_TESTS_REF_NET_H
#define VOX_TESTS_REF_NET_H

#include "net/graph.h"
#include "ref/ref.h"

typedef struct ref_net {
    const vox_graph *graph;
    int64_t n;
    double *act[64], *grad[64]; /* by edge, [n, ...]; grad of the input stays NULL */
    double *param[64], *dparam[64];
    double *label, *loss; /* [n, voxels], [n] */
} ref_net;

/* params: flat, as vox_graph_init_params fills it; input [n, C, D, H, W]. */
void ref_net_init(ref_net *r, const vox_graph *g, int64_t n, const float *params,
                  const float *input, const int32_t *label);
void ref_net_release(ref_net *r);
/* Returns the sum of the losses. */
double ref_net_forward(ref_net *r);
/* After forward: gradients of scale * the sum of the losses into dparam. */
void ref_net_backward(ref_net *r, double scale);

/* "add", y = x0 + x1: a layer with two inputs, so that tensors with several readers can be tested
 * whatever operations there are.  PLAIN only; forward is the planner's own sum. */
const vox_op *ref_net_add(void);

#endif
