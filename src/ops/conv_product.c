/* conv_product.c - forward and backward-data as a product on tiles (cl/conv3d_tiled.cl): the choice
 * of the tile, the table of what to read, packed weights.
 *
 * Along an axis, backward-data with stride S and dilation L falls into S phases: voxels q, q + S,
 * ... of the input are reached by the same taps k, those with (q + P - k*L) % S == 0.  These are S
 * / gcd(S, L) apart, and from one to the next the output voxel they read moves back by L / gcd(S,
 * L). */
#include "ops/conv_tiles.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* One axis of one phase: tap number j of `taps` is first_tap + j * tap_step of the kernel, and
 * voxel number i of `size` is to + i * stride (forward: i), reading from + i (forward: from +
 * i * stride) + j * leap. */
typedef struct axis {
    int64_t to, size, from;
    int64_t taps, first_tap, tap_step, leap;
} axis;

static int64_t common_divisor(int64_t a, int64_t b)
{
    return b ? common_divisor(b, a % b) : a;
}

static axis axis_of(const vox_product *p, int i, int64_t to)
{
    const vox_conv_shape *s = &p->s;
    if (!p->back)
        return (axis){0, s->out[i], -s->pad[i], s->kernel[i], 0, 1, s->dilation[i]};
    const int64_t stride = s->stride[i], divisor = common_divisor(stride, s->dilation[i]);
    axis a = {.to = to, .tap_step = stride / divisor, .leap = -s->dilation[i] / divisor};
    a.size = to < s->in[i] ? vox_divide_up(s->in[i] - to, stride) : 0;
    while (a.first_tap < a.tap_step &&
           (to + s->pad[i] - a.first_tap * s->dilation[i]) % stride != 0)
        a.first_tap++;
    if (a.first_tap == a.tap_step || a.first_tap >= s->kernel[i])
        return a; /* no tap: nobody reads these voxels */
    a.taps = vox_divide_up(s->kernel[i] - a.first_tap, a.tap_step);
    a.from = (to + s->pad[i] - a.first_tap * s->dilation[i]) / stride;
    return a;
}

static void axes_of(const vox_product *p, int64_t phase, axis a[3])
{
    const int64_t *stride = p->s.stride;
    a[2] = axis_of(p, 2, p->back ? phase % stride[2] : 0);
    a[1] = axis_of(p, 1, p->back ? phase / stride[2] % stride[1] : 0);
    a[0] = axis_of(p, 0, p->back ? phase / stride[2] / stride[1] : 0);
}

/* Of "from": where the product reads. */
static int64_t from_channels(const vox_product *p)
{
    return (p->back ? p->s.co : p->s.ci) / p->s.groups;
}

static int64_t steps_of(const vox_product *p, const axis a[3])
{
    const int64_t k = vox_tile_get(p->tile)->k;
    return vox_divide_up(from_channels(p) * a[0].taps * a[1].taps * a[2].taps, k);
}

static void set_tile(vox_product *p, int tile)
{
    const vox_tile *t = vox_tile_get(tile);
    p->tile = tile;
    p->pitch = vox_divide_up(p->rows, t->m) * t->m;
    p->depth = 0;
    for (int64_t i = 0; i < p->phases; i++) {
        axis a[3];
        axes_of(p, i, a);
        p->depth += steps_of(p, a) * t->k;
    }
}

static int64_t groups_of(const vox_product *p, const vox_tile *t, int64_t n)
{
    return vox_divide_up(p->rows, t->m) * vox_divide_up(p->columns * n, t->n) * p->phases *
           p->s.groups;
}

/* Multiply-adds of a lane for all products, over the share of the device that is busy. */
static double cost_of(const vox_product *p, const vox_tile *t, int64_t n, const vox_device *dev)
{
    const double depth = (double)(from_channels(p) * p->s.taps);
    return vox_tile_cost(t, p->rows, p->columns * n) * depth * (double)p->s.groups /
           vox_tile_use(t, dev, groups_of(p, t, n));
}

/* Without a tile. */
static vox_product bare_product(const vox_conv_shape *s, bool back)
{
    vox_product p = {.s = *s, .back = back, .phases = 1, .columns = 1};
    p.rows = (back ? s->ci : s->co) / s->groups;
    for (int i = 0; i < 3; i++) {
        p.phases *= back ? s->stride[i] : 1;
        p.columns *= back ? vox_divide_up(s->in[i], s->stride[i]) : s->out[i];
    }
    return p;
}

vox_product vox_product_with(const vox_conv_shape *s, bool back, int tile)
{
    vox_product p = bare_product(s, back);
    set_tile(&p, tile);
    return p;
}

int vox_product_list(const vox_conv_shape *s, bool back, int64_t n_max, const vox_device *dev,
                     int list[VOX_TILES])
{
    const vox_product p = bare_product(s, back);
    double cost[VOX_TILES];
    for (int i = 0; i < VOX_TILES; i++) {
        const vox_tile *t = vox_tile_get(i);
        cost[i] = vox_tile_fits(t, dev) ? cost_of(&p, t, n_max, dev) : INFINITY;
    }
    return vox_tile_list(cost, list);
}

vox_product vox_product_of(const vox_conv_shape *s, bool back, int64_t n_max, int variant,
                           const vox_device *dev)
{
    int list[VOX_TILES];
    const int count = vox_product_list(s, back, n_max, dev, list);
    return vox_product_with(s, back, list[variant < count ? variant : 0]);
}

double vox_product_seconds(const vox_product *p, int64_t n_max, const vox_device *dev)
{
    const double cost = cost_of(p, vox_tile_get(p->tile), n_max, dev);
    return vox_rule_seconds(dev, 2 * cost, vox_device_is_cpu(dev) ? 0.05 : 0.6, 0, 1);
}

/* ---- the table ---- */

static bool wide_tapset(const vox_conv_shape *s)
{
    return s->kernel[0] + s->kernel[1] + s->kernel[2] > 31;
}

bool vox_product_fits(const vox_conv_shape *s, bool back, int64_t n_max, const vox_device *dev)
{
    const int64_t most = INT32_MAX / 2;
    int64_t phases = 1, in = s->ci / s->groups, out = s->co / s->groups, span = n_max;
    for (int i = 0; i < 3; i++) {
        phases *= back ? s->stride[i] : 1;
        in *= s->in[i];
        out *= s->out[i];
        span *= back ? s->in[i] : s->out[i];
    }
    /* a first layer's padding may be large: no index may pass what an int holds */
    const int64_t beyond =
        (s->in[0] + 2 * s->pad[0]) * (s->in[1] + 2 * s->pad[1]) * (s->in[2] + 2 * s->pad[2]);
    bool any = false;
    for (int i = 0; !any && i < VOX_TILES; i++)
        any = vox_tile_fits(vox_tile_get(i), dev);
    return any && s->kernel[0] + s->kernel[1] + s->kernel[2] <= 63 && phases * s->groups <= 65535 &&
           in < most && out < most && beyond < most && span < most &&
           s->ci / s->groups * s->co * s->taps < most;
}

static int64_t entry_words(const vox_conv_shape *s)
{
    return wide_tapset(s) ? 12 : 8; /* of four k */
}

static void set_entry(int32_t *entries, const vox_conv_shape *s, int64_t k, int64_t offset,
                      uint64_t taps)
{
    int32_t *four = entries + k / 4 * entry_words(s);
    four[k % 4] = (int32_t)offset;
    if (wide_tapset(s))
        ((uint64_t *)(void *)(four + 4))[k % 4] = taps;
    else
        ((uint32_t *)(void *)(four + 4))[k % 4] = (uint32_t)taps;
}

/* What tap number j (d, h, w) of a phase is: the offset it reads at, and its bits of a tapset. */
static int64_t tap_offset(const vox_product *p, const axis a[3], const int64_t j[3], uint64_t *bits)
{
    const int64_t *from = p->back ? p->s.out : p->s.in, *kernel = p->s.kernel;
    *bits = (uint64_t)1 << j[0] | (uint64_t)1 << (kernel[0] + j[1]) |
            (uint64_t)1 << (kernel[0] + kernel[1] + j[2]);
    return (j[0] * a[0].leap * from[1] + j[1] * a[1].leap) * from[2] + j[2] * a[2].leap;
}

/* Where in a group's weights k = (channel c, tap j) of row 0 lies. */
static int64_t weight_place(const vox_product *p, const axis a[3], int64_t c, const int64_t j[3])
{
    const vox_conv_shape *s = &p->s;
    int64_t tap = 0;
    for (int i = 0; i < 3; i++)
        tap = tap * s->kernel[i] + a[i].first_tap + j[i] * a[i].tap_step;
    return (p->back ? c * (s->ci / s->groups) : c) * s->taps + tap;
}

/* One phase's k from `k` on: entries and source may be NULL.  Returns the next phase's. */
static int64_t fill_phase(const vox_product *p, const axis a[3], int64_t k, int32_t *entries,
                          int32_t *source)
{
    const int64_t *from = p->back ? p->s.out : p->s.in,
                  end = k + steps_of(p, a) * vox_tile_get(p->tile)->k;
    for (int64_t c = 0; c < from_channels(p); c++)
        for (int64_t t = 0; t < a[0].taps * a[1].taps * a[2].taps; t++, k++) {
            const int64_t j[3] = {t / a[2].taps / a[1].taps, t / a[2].taps % a[1].taps,
                                  t % a[2].taps};
            uint64_t bits;
            const int64_t offset = tap_offset(p, a, j, &bits);
            if (entries)
                set_entry(entries, &p->s, k, c * from[0] * from[1] * from[2] + offset, bits);
            if (source)
                source[k] = (int32_t)weight_place(p, a, c, j);
        }
    for (; k < end; k++) { /* to a whole step */
        if (entries)
            set_entry(entries, &p->s, k, 0, UINT64_MAX);
        if (source)
            source[k] = -1;
    }
    return k;
}

static void fill_record(const vox_product *p, const axis a[3], int64_t k, int32_t record[12])
{
    for (int i = 0; i < 3; i++) {
        record[i] = (int32_t)a[i].to;
        record[4 + i] = (int32_t)a[i].size;
        record[8 + i] = (int32_t)a[i].from;
    }
    record[3] = (int32_t)(k / 4);
    record[7] = (int32_t)steps_of(p, a);
    record[11] = 0;
}

static vox_status open_ints(vox_work *w, int i, const int32_t *from, int64_t count,
                            const char *what, vox_error *err)
{
    const size_t bytes = (size_t)count * sizeof *from;
    vox_status status =
        vox_buffer_open(&w->scratch[i], w->problem.dev, bytes, VOX_BUFFER_DEVICE, what, err);
    return status == VOX_OK ? vox_buffer_write(w->scratch[i], 0, from, bytes, true, err) : status;
}

static vox_status open_table(vox_work *w, int i, const vox_product *p, vox_error *err)
{
    static const char what[] = "a convolution's table";
    const int64_t words = 12 * p->phases + p->depth / 4 * entry_words(&p->s);
    int32_t *table = vox_calloc((size_t)words, sizeof *table, what, err);
    if (!table)
        return VOX_ERR_MEMORY;
    int64_t k = 0;
    for (int64_t phase = 0; phase < p->phases; phase++) {
        axis a[3];
        axes_of(p, phase, a);
        fill_record(p, a, k, table + 12 * phase);
        k = fill_phase(p, a, k, table + 12 * p->phases, NULL);
    }
    vox_status status = open_ints(w, i, table, words, what, err);
    free(table);
    return status;
}

vox_status vox_product_build(vox_work *w, int kernel, int table, vox_product *p, const char *more,
                             vox_error *err)
{
    const vox_conv_shape *s = &p->s;
    vox_str all = {0};
    vox_str_add(&all, "%s", more);
    if (p->back)
        vox_str_add(&all, " -DBACKWARD -DGD=%" PRId64 " -DGH=%" PRId64 " -DGW=%" PRId64,
                    common_divisor(s->stride[0], s->dilation[0]),
                    common_divisor(s->stride[1], s->dilation[1]),
                    common_divisor(s->stride[2], s->dilation[2]));
    int tile = p->tile;
    vox_status status = all.failed ? vox_fail_memory(err, "kernel options", all.capacity)
                                   : vox_tile_kernel(w, kernel, "conv3d_tiled.cl", "conv3d_tiled",
                                                     s, all.text, &tile, err);
    vox_str_release(&all);
    if (status != VOX_OK)
        return status;
    set_tile(p, tile);
    return open_table(w, table, p, err);
}

vox_status vox_product_run(vox_work *w, int kernel, int table, const vox_product *p,
                           const vox_product_io *io, vox_error *err)
{
    const vox_tile *t = vox_tile_get(p->tile);
    const size_t items = (size_t)vox_tile_items(t);
    const int64_t tiles = vox_divide_up(p->rows, t->m) * vox_divide_up(p->columns * io->n, t->n);
    const vox_grid grid = {{(size_t)tiles * items, (size_t)(p->phases * p->s.groups), 1},
                           {items, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(io->from),          vox_arg_buffer(io->packed),
                            vox_arg_buffer(w->scratch[table]), vox_arg_buffer(io->bias),
                            vox_arg_buffer(io->relu),          vox_arg_buffer(io->to),
                            vox_arg_i32((int32_t)io->n),       vox_arg_i32((int32_t)p->depth)};
    return vox_kernel_launch(w->kernel[kernel], &grid, args, 8, err);
}

/* ---- packing ---- */

#define SIDE 16 /* of the blocks that conv3d_tiled_pack.cl turns */

int64_t vox_product_row_stride(const vox_product *p)
{
    return p->back ? p->s.taps : p->s.ci / p->s.groups * p->s.taps;
}

vox_status vox_product_weights_build(vox_work *w, int packed, int source, const vox_product *p,
                                     vox_error *err)
{
    static const char what[] = "the order of packed weights";
    vox_status status =
        vox_conv_scratch(w, packed, p->s.groups * p->depth * p->pitch, "packed weights", err);
    int32_t *place =
        status == VOX_OK ? vox_calloc((size_t)p->depth, sizeof *place, what, err) : NULL;
    if (!place)
        return status == VOX_OK ? VOX_ERR_MEMORY : status;
    int64_t k = 0;
    for (int64_t phase = 0; phase < p->phases; phase++) {
        axis a[3];
        axes_of(p, phase, a);
        k = fill_phase(p, a, k, NULL, place);
    }
    status = open_ints(w, source, place, p->depth, what, err);
    free(place);
    return status;
}

vox_status vox_product_pack_build(vox_work *w, int kernel, vox_error *err)
{
    return vox_kernel_open(&w->kernel[kernel], w->problem.dev, "conv3d_tiled_pack.cl",
                           "conv3d_tiled_pack", "", err);
}

vox_status vox_product_pack_run(vox_work *w, int kernel, int packed, int source,
                                const vox_product *p, vox_buffer *weight, vox_error *err)
{
    const vox_conv_shape *s = &p->s;
    const int64_t cig = s->ci / s->groups;
    const vox_grid grid = {{(size_t)(vox_divide_up(p->pitch, SIDE) * SIDE),
                            (size_t)(vox_divide_up(p->depth, SIDE) * 4), (size_t)s->groups},
                           {SIDE, 4, 1}};
    const vox_arg args[] = {vox_arg_buffer(weight),
                            vox_arg_buffer(w->scratch[source]),
                            vox_arg_buffer(w->scratch[packed]),
                            vox_arg_i32((int32_t)p->rows),
                            vox_arg_i32((int32_t)p->depth),
                            vox_arg_i32((int32_t)p->pitch),
                            vox_arg_i32((int32_t)vox_product_row_stride(p)),
                            vox_arg_u64((uint64_t)(s->co / s->groups * cig * s->taps))};
    return vox_kernel_launch(w->kernel[kernel], &grid, args, 8, err);
}
