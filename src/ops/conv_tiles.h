/* conv_tiles.h - convolutions for GPUs as matrix products on tiles in local memory (cl/tiles.h).
 *
 * conv_tiles.c has the sizes of tiles and the choice among them, conv_product.c the product that
 * forward and backward-data are, conv_split.c the one that weight gradients are.  They work on a
 * vox_conv_shape, not on a layer: conv_tiled.c gives them a layer's, conv_winograd.c one that it
 * made up. */
#ifndef VOX_OPS_CONV_TILES_H
#define VOX_OPS_CONV_TILES_H

#include "ops/conv.h"

/* m x n results of a work-group, k products a step, rm x rn results of an item. */
typedef struct vox_tile {
    int64_t m, n, k, rm, rn;
} vox_tile;

int64_t vox_divide_up(int64_t a, int64_t b);

#define VOX_TILES 9
const vox_tile *vox_tile_get(int i);
int64_t vox_tile_items(const vox_tile *t); /* of a work-group */
/* Whether work-groups and local memory of the device are large enough. */
bool vox_tile_fits(const vox_tile *t, const vox_device *dev);
/* Arithmetic that a rows x columns result costs per product of each, in multiply-adds of one lane:
 * those of padding, and what other instructions take, included. */
double vox_tile_cost(const vox_tile *t, int64_t rows, int64_t columns);
/* The share of the device that so many work-groups keep busy. */
double vox_tile_use(const vox_tile *t, const vox_device *dev, int64_t groups);
/* The tiles worth trying by their costs (INFINITY: does not fit), the cheapest first; how many. */
int vox_tile_list(const double cost[VOX_TILES], int list[VOX_TILES]);
/* "128x128k8r8x8" */
void vox_tile_text(int i, char text[VOX_VARIANT_TEXT]);

/* Opens w->kernel[i] for the tile, or, where the driver allows that kernel fewer items, for one
 * with smaller work-groups: *tile says. */
vox_status vox_tile_kernel(vox_work *w, int i, const char *file, const char *entry,
                           const vox_conv_shape *s, const char *more, int *tile, vox_error *err);

/* ---- forward and backward-data: conv3d_tiled.cl ---- */

typedef struct vox_product {
    vox_conv_shape s;
    bool back; /* backward-data */
    int tile;
    int64_t phases;        /* backward-data with strides */
    int64_t rows, columns; /* of a group; columns: of one sample, in the largest phase */
    int64_t depth, pitch;  /* packed weights are [groups][depth][pitch] */
} vox_product;

/* Whether the kernels' arithmetic can index it. */
bool vox_product_fits(const vox_conv_shape *s, bool back, int64_t n_max, const vox_device *dev);
/* For a problem's variant; by the tile that a build chose. */
vox_product vox_product_of(const vox_conv_shape *s, bool back, int64_t n_max, int variant,
                           const vox_device *dev);
vox_product vox_product_with(const vox_conv_shape *s, bool back, int tile);
/* The tiles worth trying, in the order of variants. */
int vox_product_list(const vox_conv_shape *s, bool back, int64_t n_max, const vox_device *dev,
                     int list[VOX_TILES]);
double vox_product_seconds(const vox_product *p, int64_t n_max, const vox_device *dev);
/* Opens w->kernel[kernel], with more options, and the table of what to read in w->scratch[table].
 * p->tile may change, and with it depth and pitch. */
vox_status vox_product_build(vox_work *w, int kernel, int table, vox_product *p, const char *more,
                             vox_error *err);
/* What a product reads and writes. */
typedef struct vox_product_io {
    int64_t n;
    vox_buffer *from, *to;   /* x and y, or dy and dx */
    vox_buffer *packed;      /* weights */
    vox_buffer *bias, *relu; /* relu: x, as of vox_relu_input(); both may be NULL */
} vox_product_io;
vox_status vox_product_run(vox_work *w, int kernel, int table, const vox_product *p,
                           const vox_product_io *io, vox_error *err);
/* Room for packed weights in w->scratch[packed], and in w->scratch[source] where in a group's
 * weights each of their k lies (row 0's; -1: nowhere). */
vox_status vox_product_weights_build(vox_work *w, int packed, int source, const vox_product *p,
                                     vox_error *err);
/* How far apart the weights of neighbouring rows lie. */
int64_t vox_product_row_stride(const vox_product *p);
/* Packing of PyTorch's weights, after vox_product_weights_build. */
vox_status vox_product_pack_build(vox_work *w, int kernel, vox_error *err);
vox_status vox_product_pack_run(vox_work *w, int kernel, int packed, int source,
                                const vox_product *p, vox_buffer *weight, vox_error *err);

/* ---- weight gradients: conv3d_tiled_weights.cl ---- */

typedef struct vox_split {
    vox_conv_shape s;
    int tile;
    int64_t rows, columns; /* of a group */
    int64_t splits;        /* parts, to be added up */
} vox_split;

bool vox_split_fits(const vox_conv_shape *s, int64_t n_max, const vox_device *dev);
vox_split vox_split_of(const vox_conv_shape *s, int64_t n_max, int variant, const vox_device *dev);
vox_split vox_split_with(const vox_conv_shape *s, int64_t splits, int tile);
int vox_split_list(const vox_conv_shape *s, int64_t n_max, const vox_device *dev,
                   int list[VOX_TILES]);
double vox_split_seconds(const vox_split *p, int64_t n_max, const vox_device *dev);
/* Opens w->kernel[kernel]; p->tile may change, the splits stay. */
vox_status vox_split_build(vox_work *w, int kernel, vox_split *p, vox_error *err);
typedef struct vox_split_io {
    int64_t n;
    vox_buffer *x, *dy;
    vox_buffer *parts;      /* [...][co][ci / groups][taps], written from number `first` on */
    vox_buffer *bias_parts; /* [...][co], may be NULL */
    int64_t first;
} vox_split_io;
vox_status vox_split_run(vox_work *w, int kernel, const vox_split *p, const vox_split_io *io,
                         vox_error *err);

#endif
