/* graph.h - a network as layers in execution order, from the `network:` section of an experiment.
 *
 * A graph knows shapes for one sample and nothing of devices.  Tensors ("edges") are numbered: edge
 * 0 is the input, edge i + 1 the output of layer i. */
#ifndef VOX_NET_GRAPH_H
#define VOX_NET_GRAPH_H

#include "base/yaml.h"
#include "ops/op.h"

typedef struct vox_graph_layer {
    vox_node node;
    int from[VOX_MAX_INPUTS]; /* edges it reads */
    int first_param, params;  /* its range in vox_graph.param */
} vox_graph_layer;

/* One tensor of the network's flat parameter vector. */
typedef struct vox_graph_param {
    char name[96]; /* "conv1.weight" */
    int layer;
    vox_param desc;
    size_t offset; /* in floats, a multiple of VOX_BUFFER_ALIGN / 4 */
    size_t count;  /* floats */
} vox_graph_param;

typedef struct vox_graph {
    vox_shape input; /* dim[0] == 1 */
    vox_graph_layer *layer;
    int layers;
    vox_graph_param *param;
    int params;
    size_t flat_floats; /* length of the flat parameter vector, padding (zeros) included */
    /* inputs: the last layer's output, further layers' (deep supervision), the labels;
     * node.op->loss */
    vox_graph_layer loss;
} vox_graph;

/* A tensor of one sample, or a parameter, holds at most this many elements. */
#define VOX_GRAPH_MAX_ELEMENTS ((int64_t)1 << 34)
#define VOX_GRAPH_MAX_LAYERS                                                                       \
    500 /* so that every step of a plan has a profiling label of its own                           \
         */

/* network: the `network:` map.  Errors carry file:line:column and, for shapes, the layer's name and
 * all the shapes involved. */
vox_status vox_graph_open(vox_graph **out, const vox_yaml_node *network, vox_error *err);
void vox_graph_free(vox_graph **graph);

int64_t vox_graph_parameters(const vox_graph *g, bool trainable_only); /* without padding */
int vox_graph_find_param(const vox_graph *g, const char *name);        /* -1: none */

/* Labels of one sample: one for each voxel of the network's output, so 1 for a classifier. */
size_t vox_graph_labels(const vox_graph *g);

/* Floating-point operations for one sample: forward, or a whole training step (no gradient of
 * the input). */
vox_status vox_graph_flops(const vox_graph *g, bool training, double *out, vox_error *err);
/* The layer that writes an edge, or "input". */
const char *vox_graph_edge_name(const vox_graph *g, int edge);
const vox_shape *vox_graph_edge_shape(const vox_graph *g, int edge);

/* Fills flat[flat_floats] with initial values: VOX_INIT_* drawn from (seed, VOX_RANDOM_INIT,
 * sample = index of the parameter); padding is 0. */
void vox_graph_init_params(const vox_graph *g, uint64_t seed, float *flat);

#endif
