/* conv_split.c - weight gradients as a product on tiles, its sum over positions split
 * (cl/conv3d_tiled_weights.cl). */
#include "ops/conv_tiles.h"

#include <math.h>

#define PART_BYTES 268435456 /* most memory for partial gradients */
#define GROUPS     4         /* work-groups wanted for each compute unit */
#define LEAST      16        /* steps of a split worth its part */
#define MOST       16384     /* positions that one sum in float may run over */

static int64_t positions_of(const vox_conv_shape *s, int64_t n)
{
    return n * s->out[0] * s->out[1] * s->out[2];
}

static int64_t tiles_of(const vox_split *p, const vox_tile *t)
{
    return vox_divide_up(p->rows, t->m) * vox_divide_up(p->columns, t->n) * p->s.groups;
}

/* Enough splits to fill the device, few enough to be worth their parts, and none so long that its
 * sum loses digits. */
static int64_t choose_splits(const vox_split *p, int64_t n_max, const vox_device *dev)
{
    const vox_conv_shape *s = &p->s;
    const vox_tile *t = vox_tile_get(p->tile);
    const int64_t units =
        vox_device_get(dev)->compute_units ? vox_device_get(dev)->compute_units : 1;
    const int64_t positions = positions_of(s, n_max);
    const int64_t part = s->co * p->columns * (int64_t)sizeof(float);
    int64_t splits = vox_divide_up(GROUPS * units, tiles_of(p, t));
    const int64_t useful = vox_divide_up(positions, LEAST * t->k);
    const int64_t exact = vox_divide_up(positions, MOST);
    const int64_t room = PART_BYTES / part, grid = 65535 / s->groups;
    splits = splits < useful ? splits : useful;
    splits = splits > exact ? splits : exact;
    splits = splits < room ? splits : room;
    splits = splits < grid ? splits : grid;
    return splits < 1 ? 1 : splits;
}

bool vox_split_fits(const vox_conv_shape *s, int64_t n_max, const vox_device *dev)
{
    return vox_product_fits(s, false, n_max, dev);
}

/* Multiply-adds of a lane for all products, over the share of the device that is busy. */
static double cost_of(const vox_split *p, int64_t n_max, const vox_device *dev)
{
    const vox_tile *t = vox_tile_get(p->tile);
    const int64_t tiles = tiles_of(p, t);
    return vox_tile_cost(t, p->rows, p->columns) * (double)positions_of(&p->s, n_max) *
           (double)p->s.groups / vox_tile_use(t, dev, tiles * p->splits);
}

vox_split vox_split_with(const vox_conv_shape *s, int64_t splits, int tile)
{
    return (vox_split){.s = *s,
                       .tile = tile,
                       .rows = s->co / s->groups,
                       .columns = s->ci / s->groups * s->taps,
                       .splits = splits};
}

int vox_split_list(const vox_conv_shape *s, int64_t n_max, const vox_device *dev,
                   int list[VOX_TILES])
{
    double cost[VOX_TILES];
    for (int i = 0; i < VOX_TILES; i++) {
        vox_split p = vox_split_with(s, 1, i);
        p.splits = choose_splits(&p, n_max, dev);
        cost[i] = vox_tile_fits(vox_tile_get(i), dev) ? cost_of(&p, n_max, dev) : INFINITY;
    }
    return vox_tile_list(cost, list);
}

vox_split vox_split_of(const vox_conv_shape *s, int64_t n_max, int variant, const vox_device *dev)
{
    int list[VOX_TILES];
    const int count = vox_split_list(s, n_max, dev, list);
    vox_split p = vox_split_with(s, 1, list[variant < count ? variant : 0]);
    p.splits = choose_splits(&p, n_max, dev);
    return p;
}

double vox_split_seconds(const vox_split *p, int64_t n_max, const vox_device *dev)
{
    const double part = (double)(p->s.co * p->columns) * sizeof(float);
    return vox_rule_seconds(dev, 2 * cost_of(p, n_max, dev), vox_device_is_cpu(dev) ? 0.05 : 0.6,
                            2 * part * (double)p->splits, 1);
}

vox_status vox_split_build(vox_work *w, int kernel, vox_split *p, vox_error *err)
{
    return vox_tile_kernel(w, kernel, "conv3d_tiled_weights.cl", "conv3d_tiled_weights", &p->s, "",
                           &p->tile, err);
}

vox_status vox_split_run(vox_work *w, int kernel, const vox_split *p, const vox_split_io *io,
                         vox_error *err)
{
    const vox_tile *t = vox_tile_get(p->tile);
    const size_t items = (size_t)vox_tile_items(t);
    const int64_t tiles = vox_divide_up(p->rows, t->m) * vox_divide_up(p->columns, t->n);
    const vox_grid grid = {{(size_t)tiles * items, (size_t)(p->s.groups * p->splits), 1},
                           {items, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(io->x),          vox_arg_buffer(io->dy),
                            vox_arg_buffer(io->parts),      vox_arg_buffer(io->bias_parts),
                            vox_arg_i32((int32_t)io->n),    vox_arg_i32((int32_t)p->splits),
                            vox_arg_i32((int32_t)io->first)};
    return vox_kernel_launch(w->kernel[kernel], &grid, args, 7, err);
}
