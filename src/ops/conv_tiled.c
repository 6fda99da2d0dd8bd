/* conv_tiled.c - the GPU's method: an implicit matrix product on tiles in local memory.
 *
 * The products are conv_product.c's and conv_split.c's; here they are given a layer's shape. */
#include "ops/conv_tiles.h"

/* w->number: what build chose */
enum { VARIANT, SPLITS };
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

static double seconds_of(const vox_problem *p, bool back)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    const vox_product k = vox_product_of(&s, back, p->n_max, -1, p->dev);
    return vox_product_seconds(&k, p->n_max, p->dev);
}

double vox_conv_tiled_seconds(const vox_problem *p)
{
    return seconds_of(p, false);
}

double vox_conv_tiled_data_seconds(const vox_problem *p)
{
    return seconds_of(p, true);
}

static vox_product product_of(const vox_work *w, int variant)
{
    const vox_problem *p = &w->problem;
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    return vox_product_of(&s, w->algo->pass == VOX_BACKWARD_DATA, p->n_max, variant, p->dev);
}

vox_status vox_conv_tiled_build(vox_work *w, vox_error *err)
{
    vox_product p = product_of(w, -1);
    vox_status status = vox_product_build(w, PRODUCT, TABLE, &p, err);
    w->number[VARIANT] = p.variant;
    return status == VOX_OK ? vox_product_pack_build(w, PACK, PACKED, SOURCE, &p, err) : status;
}

vox_status vox_conv_tiled_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_product p = product_of(w, (int)w->number[VARIANT]);
    vox_status status = vox_product_pack_run(w, PACK, PACKED, SOURCE, &p, io->param[0], err);
    if (status != VOX_OK)
        return status;
    if (p.back)
        return vox_product_run(w, PRODUCT, TABLE, &p, io->dy->buf, w->scratch[PACKED], NULL,
                               io->dx[0]->buf, io->n, err);
    return vox_product_run(w, PRODUCT, TABLE, &p, io->x[0]->buf, w->scratch[PACKED],
                           vox_conv_bias(&p.s, io->param), io->y->buf, io->n, err);
}

/* ---- the weights' gradient ---- */

double vox_conv_tiled_weights_seconds(const vox_problem *p)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    const vox_split k = vox_split_of(&s, p->n_max, -1, p->dev);
    return vox_split_seconds(&k, p->n_max, p->dev);
}

vox_status vox_conv_tiled_weights_build(vox_work *w, vox_error *err)
{
    const vox_problem *p = &w->problem;
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    vox_split k = vox_split_of(&s, p->n_max, -1, p->dev);
    vox_status status = vox_split_build(w, SPLIT, &k, err);
    w->number[VARIANT] = k.variant;
    w->number[SPLITS] = k.splits;
    if (status == VOX_OK)
        status = vox_kernel_open(&w->kernel[SUM], p->dev, "conv3d_sums.cl", "sum_parts", "", err);
    if (status == VOX_OK)
        status = vox_conv_scratch(w, PARTS, k.splits * s.co * k.columns, "partial weight gradients",
                                  err);
    if (status == VOX_OK && s.bias)
        status = vox_conv_scratch(w, BIAS_PARTS, k.splits * s.co, "partial bias gradients", err);
    return status;
}

vox_status vox_conv_tiled_weights_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_problem *p = &w->problem;
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    vox_split k = vox_split_of(&s, p->n_max, (int)w->number[VARIANT], p->dev);
    k.splits = w->number[SPLITS];
    vox_kernel *const sum = w->kernel[SUM];
    vox_status status = vox_split_run(w, SPLIT, &k, io->x[0]->buf, io->dy->buf, w->scratch[PARTS],
                                      w->scratch[BIAS_PARTS], io->n, err);
    if (status == VOX_OK)
        status = vox_conv_parts_run(sum, w->scratch[PARTS], io->dparam[0], s.co * k.columns,
                                    k.splits, io->accumulate, err);
    if (status == VOX_OK && s.bias)
        status = vox_conv_parts_run(sum, w->scratch[BIAS_PARTS], io->dparam[1], s.co, k.splits,
                                    io->accumulate, err);
    return status;
}
