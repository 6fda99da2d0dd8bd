/* conv_tiled.c - the GPU's method: an implicit matrix product on tiles in local memory.
 *
 * The products are conv_product.c's and conv_split.c's; here they are given a layer's shape. */
#include "ops/conv_tiles.h"

/* w->number: what build chose */
enum { TILE, SPLITS };
/* w->kernel and w->scratch of forward and backward-data ... */
enum { PRODUCT, PACK };
enum { PACKED, TABLE, SOURCE };
/* ... and of weight gradients */
enum { SPLIT, SUM };
enum { PARTS, BIAS_PARTS };

/* Many narrow groups would leave the tiles empty; the naive method takes those. */
static bool fits(const vox_problem *p, bool back)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    return (s.groups == 1 || s.co / s.groups >= 8) && vox_product_fits(&s, back, p->n_max, p->dev);
}

bool vox_conv_tiled_fits(const vox_problem *p)
{
    return fits(p, false);
}

bool vox_conv_tiled_data_fits(const vox_problem *p)
{
    return fits(p, true);
}

static vox_product product_of(const vox_problem *p, bool back)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    return vox_product_of(&s, back, p->n_max, p->variant, p->dev);
}

double vox_conv_tiled_seconds(const vox_problem *p)
{
    const vox_product k = product_of(p, false);
    return vox_product_seconds(&k, p->n_max, p->dev);
}

double vox_conv_tiled_data_seconds(const vox_problem *p)
{
    const vox_product k = product_of(p, true);
    return vox_product_seconds(&k, p->n_max, p->dev);
}

int vox_conv_tiled_variants(const vox_problem *p)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    int list[VOX_TILES];
    return vox_product_list(&s, false, p->n_max, p->dev, list);
}

void vox_conv_tiled_variant_text(const vox_problem *p, int i, char text[VOX_VARIANT_TEXT])
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    vox_tile_text(vox_product_of(&s, false, p->n_max, i, p->dev).tile, text);
}

int vox_conv_tiled_data_variants(const vox_problem *p)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    int list[VOX_TILES];
    return vox_product_list(&s, true, p->n_max, p->dev, list);
}

void vox_conv_tiled_data_variant_text(const vox_problem *p, int i, char text[VOX_VARIANT_TEXT])
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    vox_tile_text(vox_product_of(&s, true, p->n_max, i, p->dev).tile, text);
}

vox_status vox_conv_tiled_build(vox_work *w, vox_error *err)
{
    vox_product p = product_of(&w->problem, w->algo->pass == VOX_BACKWARD_DATA);
    vox_status status = vox_product_build(w, PRODUCT, TABLE, &p, vox_relu_options(w), err);
    w->number[TILE] = p.tile;
    if (status == VOX_OK)
        status = vox_product_weights_build(w, PACKED, SOURCE, &p, err);
    return status == VOX_OK ? vox_product_pack_build(w, PACK, err) : status;
}

vox_status vox_conv_tiled_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    const bool back = w->algo->pass == VOX_BACKWARD_DATA;
    const vox_product p = vox_product_with(&s, back, (int)w->number[TILE]);
    const vox_product_io product = {.n = io->n,
                                    .from = back ? io->dy->buf : io->x[0]->buf,
                                    .to = back ? io->dx[0]->buf : io->y->buf,
                                    .packed = w->scratch[PACKED],
                                    .bias = vox_conv_start(w, &s, io),
                                    .relu = vox_conv_relu_input(w, io)};
    vox_status status = vox_product_pack_run(w, PACK, PACKED, SOURCE, &p, io->param[0], err);
    return status == VOX_OK ? vox_product_run(w, PRODUCT, TABLE, &p, &product, err) : status;
}

/* ---- the weights' gradient ---- */

static vox_split split_of(const vox_problem *p, int variant)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    return vox_split_of(&s, p->n_max, variant, p->dev);
}

double vox_conv_tiled_weights_seconds(const vox_problem *p)
{
    const vox_split k = split_of(p, p->variant);
    return vox_split_seconds(&k, p->n_max, p->dev);
}

int vox_conv_tiled_weights_variants(const vox_problem *p)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    int list[VOX_TILES];
    return vox_split_list(&s, p->n_max, p->dev, list);
}

void vox_conv_tiled_weights_variant_text(const vox_problem *p, int i, char text[VOX_VARIANT_TEXT])
{
    vox_tile_text(split_of(p, i).tile, text);
}

vox_status vox_conv_tiled_weights_build(vox_work *w, vox_error *err)
{
    const vox_problem *p = &w->problem;
    vox_split k = split_of(p, p->variant);
    vox_status status = vox_split_build(w, SPLIT, &k, err);
    w->number[TILE] = k.tile;
    w->number[SPLITS] = k.splits;
    if (status == VOX_OK)
        status = vox_kernel_open(&w->kernel[SUM], p->dev, "conv3d_sums.cl", "sum_parts", "", err);
    if (status == VOX_OK)
        status = vox_conv_scratch(w, PARTS, k.splits * k.s.co * k.columns,
                                  "partial weight gradients", err);
    if (status == VOX_OK && k.s.bias)
        status = vox_conv_scratch(w, BIAS_PARTS, k.splits * k.s.co, "partial bias gradients", err);
    return status;
}

vox_status vox_conv_tiled_weights_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    const vox_split k = vox_split_with(&s, w->number[SPLITS], (int)w->number[TILE]);
    vox_kernel *const sum = w->kernel[SUM];
    const vox_split_io split = {.n = io->n,
                                .x = io->x[0]->buf,
                                .dy = io->dy->buf,
                                .parts = w->scratch[PARTS],
                                .bias_parts = w->scratch[BIAS_PARTS]};
    vox_status status = vox_split_run(w, SPLIT, &k, &split, err);
    if (status == VOX_OK)
        status = vox_conv_parts_run(sum, w->scratch[PARTS], io->dparam[0], s.co * k.columns,
                                    k.splits, io->accumulate, err);
    if (status == VOX_OK && s.bias)
        status = vox_conv_parts_run(sum, w->scratch[BIAS_PARTS], io->dparam[1], s.co, k.splits,
                                    io->accumulate, err);
    return status;
}
