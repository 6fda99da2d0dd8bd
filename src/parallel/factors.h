/* factors.h - gradients of dense layers, kept as the factors they are products of.
 *
 * The gradient of y = x W^T + b over the samples s of a batch is
 *
 *   dW[o][i] = sum over s of dy[s][o] * x[s][i]        db[o] = sum over s of dy[s][o]
 *
 * so whoever has the rows x[s] and dy[s] has all of it, and for a layer of 4,608 to 2,048 features
 * and a batch of 8 they are a hundred and seventy times smaller.  Devices bring these rows instead
 * of dW, ranks send them to each other, and the update multiplies them out piece by piece in the
 * cache: no device writes dW, nobody sums it, and it never is in memory.  The sum goes over the
 * samples in their order, so its bits do not depend on who computed which.
 *
 * Known as sufficient factors: Xie, Kim, Zhou, Ho, Kumar, Yu, Xing, "Lighter-communication
 * distributed machine learning via sufficient factor broadcasting", UAI 2016; the choice between
 * both ways by size as in Zhang et al., "Poseidon", USENIX ATC 2017. */
#ifndef VOX_PARALLEL_FACTORS_H
#define VOX_PARALLEL_FACTORS_H

#include "base/mem.h"
#include "net/graph.h"

/* Above, multiplying takes the host as long as adding up gradients. */
#define VOX_FACTORS_BATCH 32

/* A layer whose gradient is made from rows, with its place in them. */
typedef struct vox_factored {
    int layer; /* of the graph */
    size_t in, out;
    size_t x, dy;        /* where these are in a row */
    size_t weight, bias; /* where the gradients are in the flat vector; without bias: */
    bool has_bias;
} vox_factored;

typedef struct vox_factors {
    vox_factored *layer;
    size_t layers;
    bool *has;     /* [graph->layers]: it is one of these */
    size_t row;    /* floats of a sample */
    int64_t batch; /* samples there is room for */
    float *rows;   /* [batch][row] */
    int64_t n;     /* samples of the gradient */
} vox_factors;

/* The layers for which it pays in batches of so many; none may. */
vox_status vox_factors_init(vox_factors *f, const vox_graph *graph, int64_t batch, vox_error *err);
void vox_factors_release(vox_factors *f);
/* Floats of the gradients in batches of so many: those that are summed, and in the rows of a batch.
 */
void vox_factors_count(const vox_graph *graph, int64_t batch, size_t *summed, size_t *rows);

/* "fc1's gradient as factors, ...": a line for each layer. */
void vox_factors_describe(const vox_factors *f, const vox_graph *graph, vox_str *text);

/* What a device brings: x[batch][in], dy[batch][out] of one layer after the other.  Where number
 * i's are in it; and it becomes rows, of n samples from `first` on. */
float *vox_factors_x(const vox_factors *f, size_t i, float *brought);
float *vox_factors_dy(const vox_factors *f, size_t i, float *brought);
void vox_factors_put(vox_factors *f, int64_t first, int64_t n, const float *brought);

/* to[count]: the gradients of elements [at, at + count) of the flat vector that are made of rows;
 * others are left as they are.  From any thread. */
void vox_factors_fill(const vox_factors *f, size_t at, size_t count, float *to);
/* How many elements from `at` on, 1..count, are alike: all made of rows (*made), or none; f may be
 * NULL. */
size_t vox_factors_alike(const vox_factors *f, size_t at, size_t count, bool *made);

#endif
