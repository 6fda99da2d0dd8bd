/* conv_direct16.c - the CPU's method: register tiles of float16, channels in blocks of 16.
 *
 * Chooses the register tile for the shape at hand; the kernels are cl/conv3d_direct16*.cl. */
#include "ops/conv.h"

#include <inttypes.h>
#include <stdio.h>

#define REGISTERS 28 /* of 32, as accumulators; the rest hold weights and a broadcast */
#define GROUPS    64 /* work-groups wanted at least: several times the cores of a CPU */
#define L1_BYTES  32768
#define MOST      9   /* tiles that are offered */
#define WORSE     1.6 /* times the cycles of the best: such tiles are not */

/* A register tile: r positions x q blocks of output channels. */
typedef struct tile {
    int64_t r, q;
    double cycles; /* of one tap of one row, over all channels, by the model below */
} tile;

/* Cycles of one step (one input channel and tap): two multiply-adds and two loads start in a
 * cycle, and a multiply-add takes four, so that fewer than eight wait for themselves. */
static double step_cycles(int64_t r, int64_t q)
{
    const double work = (double)(r * q) / 2, loads = (double)(r + q) / 2;
    const double busy = work > loads ? work : loads;
    return 0.5 + (busy > 4 ? busy : 4);
}

static double cycles_of(int64_t r, int64_t width, int64_t q, int64_t pairs)
{
    return (double)((width + r - 1) / r) * (double)(16 * pairs) * step_cycles(r, q);
}

/* What rows look like to a tile. */
typedef struct rows_seen {
    int64_t width;    /* outputs that share their taps */
    int64_t blocks;   /* of output channels */
    int64_t pairs[4]; /* q - 1: of input blocks with q output blocks that read them */
} rows_seen;

/* The tile that makes a row cheapest. */
static tile choose_tile(const rows_seen *n)
{
    tile best = {0};
    for (int64_t q = 1; q <= 4 && q <= n->blocks; q++)
        for (int64_t r = 1; r * q <= REGISTERS && r <= n->width; r++) {
            const double cycles = cycles_of(r, n->width, q, n->pairs[q - 1]);
            if (!best.r || cycles < best.cycles)
                best = (tile){r, q, cycles};
        }
    return best;
}

static bool is_among(const tile *list, int count, int64_t r, int64_t q)
{
    for (int i = 0; i < count; i++)
        if (list[i].r == r && list[i].q == q)
            return true;
    return false;
}

/* The model's best first, then for each q the two that the model likes most: it knows nothing of
 * decoders, caches or the compiler. */
static int list_tiles(const rows_seen *n, tile list[MOST])
{
    int count = 1;
    list[0] = choose_tile(n);
    for (int64_t q = 1; q <= 4 && q <= n->blocks; q++)
        for (int i = 0; i < 2; i++) {
            tile best = {.cycles = WORSE * list[0].cycles};
            for (int64_t r = 1; r * q <= REGISTERS && r <= n->width; r++) {
                const double cycles = cycles_of(r, n->width, q, n->pairs[q - 1]);
                if (cycles < best.cycles && !is_among(list, count, r, q))
                    best = (tile){r, q, cycles};
            }
            if (best.r)
                list[count++] = best;
        }
    return count;
}

/* The problem of one pass: rows of outputs ("to") gathered from inputs ("from"). */
typedef struct rows {
    vox_conv_shape s;
    tile tile;
    int64_t depth, height, width; /* of "to" */
    int64_t groups;               /* of tile.q blocks */
    int64_t parts;                /* work-groups that share a row */
} rows;

/* A 1x1x1 kernel does not care for axes: planes become rows, which longer tiles fill. */
static void flatten_pointwise(vox_conv_shape *s)
{
    if (s->taps != 1 || s->pad[0] || s->pad[1] || s->pad[2] ||
        s->stride[0] * s->stride[1] * s->stride[2] != 1)
        return;
    s->in[2] = s->out[2] = s->in[1] * s->in[2];
    s->in[1] = s->out[1] = 1;
}

static vox_conv_shape row_shape(const vox_problem *p, vox_pass pass, rows_seen *n)
{
    vox_conv_shape s = vox_conv_shape_get(p->node);
    flatten_pointwise(&s);
    const bool back = pass == VOX_BACKWARD_DATA;
    const int64_t phases = back ? s.stride[2] : 1;
    n->width = ((back ? s.in[2] : s.out[2]) + phases - 1) / phases;
    n->blocks = back ? s.ib : s.ob;
    for (int q = 1; q <= 4; q++)
        vox_pack16_blocks(&s, back, q, &n->pairs[q - 1]);
    return s;
}

static rows rows_of(const vox_problem *p, vox_pass pass)
{
    rows_seen n;
    tile list[MOST];
    rows k = {.s = row_shape(p, pass, &n)};
    const int64_t *to = pass == VOX_BACKWARD_DATA ? k.s.in : k.s.out;
    k.depth = to[0];
    k.height = to[1];
    k.width = to[2];
    const int tiles_there = p->variant > 0 ? list_tiles(&n, list) : 0;
    k.tile = p->variant < tiles_there ? list[p->variant] : choose_tile(&n);
    k.groups = (n.blocks + k.tile.q - 1) / k.tile.q;
    const int64_t tiles = (n.width + k.tile.r - 1) / k.tile.r;
    const int64_t work_groups = k.depth * k.height * k.groups * p->n_max;
    k.parts = (GROUPS + work_groups - 1) / work_groups;
    k.parts = k.parts > tiles ? tiles : k.parts;
    return k;
}

static int count_tiles(const vox_problem *p, vox_pass pass)
{
    rows_seen n;
    tile list[MOST];
    row_shape(p, pass, &n);
    return list_tiles(&n, list);
}

static void tile_text(const vox_problem *p, vox_pass pass, int i, char text[VOX_VARIANT_TEXT])
{
    vox_problem with = *p;
    with.variant = i;
    const rows k = rows_of(&with, pass);
    snprintf(text, VOX_VARIANT_TEXT, "r%" PRId64 "q%" PRId64, k.tile.r, k.tile.q);
}

int vox_conv_direct16_variants(const vox_problem *p)
{
    return count_tiles(p, VOX_FORWARD);
}

void vox_conv_direct16_variant_text(const vox_problem *p, int i, char text[VOX_VARIANT_TEXT])
{
    tile_text(p, VOX_FORWARD, i, text);
}

int vox_conv_direct16_data_variants(const vox_problem *p)
{
    return count_tiles(p, VOX_BACKWARD_DATA);
}

void vox_conv_direct16_data_variant_text(const vox_problem *p, int i, char text[VOX_VARIANT_TEXT])
{
    tile_text(p, VOX_BACKWARD_DATA, i, text);
}

/* The kernels index a plane and the packed weights with int. */
bool vox_conv_direct16_fits(const vox_problem *p)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    const int64_t most = INT32_MAX / 16;
    return s.in[1] * s.in[2] < most && s.out[1] * s.out[2] < most && s.in[2] * s.stride[2] < most &&
           s.taps < most / 16 && s.ib * s.ob * s.taps < most / 16;
}

static double seconds_of(const vox_problem *p, vox_pass pass)
{
    const rows k = rows_of(p, pass);
    const vox_conv_shape *s = &k.s;
    const bool back = pass == VOX_BACKWARD_DATA;
    const double lines = (double)(k.depth * k.height) * (double)p->n_max;
    /* backward: of all taps, a row of a phase is reached by one in so many */
    const double apart = back ? (double)(s->stride[0] * s->stride[1]) : 1;
    const double steps = lines * (double)s->taps / apart;
    return vox_rule_seconds(p->dev, steps * k.tile.cycles * 64, /* 32 multiply-adds a cycle */
                            vox_device_is_cpu(p->dev) ? 0.8 : 0.002, 0, 1);
}

double vox_conv_direct16_seconds(const vox_problem *p)
{
    return seconds_of(p, VOX_FORWARD);
}

double vox_conv_direct16_data_seconds(const vox_problem *p)
{
    return seconds_of(p, VOX_BACKWARD_DATA);
}

static vox_pack16 pack_of(const rows *k, vox_pass pass)
{
    const bool back = pass == VOX_BACKWARD_DATA;
    return (vox_pack16){.groups = k->groups,
                        .blocks = vox_pack16_blocks(&k->s, back, k->tile.q, NULL),
                        .bi = 16,
                        .q = k->tile.q,
                        .swap = back,
                        .first_kernel = 1};
}

vox_status vox_conv_direct16_build(vox_work *w, vox_error *err)
{
    const rows k = rows_of(&w->problem, w->algo->pass);
    const vox_pack16 pack = pack_of(&k, w->algo->pass);
    vox_str more = {0};
    vox_str_add(&more, "-DR=%" PRId64 " -DQ=%" PRId64 " -DNB=%" PRId64 " -DPARTS=%" PRId64 "%s%s",
                k.tile.r, k.tile.q, pack.blocks, k.parts,
                w->algo->pass == VOX_BACKWARD_DATA ? " -DBACKWARD" : "", vox_relu_options(w));
    vox_status status = more.failed ? vox_fail_memory(err, "kernel options", more.capacity)
                                    : vox_conv_kernel(w, 0, "conv3d_direct16.cl", "conv3d_direct16",
                                                      &k.s, more.text, err);
    vox_str_release(&more);
    return status == VOX_OK ? vox_pack16_build(w, &pack, &k.s, err) : status;
}

vox_status vox_conv_direct16_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_pass pass = w->algo->pass;
    const rows k = rows_of(&w->problem, pass);
    const vox_pack16 pack = pack_of(&k, pass);
    const bool forward = pass == VOX_FORWARD;
    vox_status status =
        vox_pack16_run(w, &pack, &k.s, io->param[0], vox_conv_start(w, &k.s, io), err);
    if (status != VOX_OK)
        return status;
    const vox_grid grid = {
        {(size_t)(k.height * k.parts), (size_t)(io->n * k.depth), (size_t)k.groups}, {1, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(forward ? io->x[0]->buf : io->dy->buf),
                            vox_arg_buffer(w->scratch[0]), vox_arg_buffer(w->scratch[1]),
                            vox_arg_buffer(forward ? io->y->buf : io->dx[0]->buf),
                            vox_arg_buffer(vox_conv_relu_input(w, io))};
    return vox_kernel_launch(w->kernel[0], &grid, args, 5, err);
}

/* ---- the weights' gradient ---- */

#define CR                                                                                         \
    16 /* input channels of its register tile, by one block of output channels: measured           \
          against 8 x 2, which loads less but left the loop shorter */

#define CHUNKS 6 /* numbers of rows that are offered */

typedef struct sums {
    vox_conv_shape s;
    int64_t chunk;  /* rows of dy summed at a time */
    int64_t splits; /* of the planes (n, od) */
    vox_pack16 pack;
} sums;

/* The rows of x and dy that fill the first-level cache, then other numbers of them. */
static int list_chunks(const vox_conv_shape *s, int64_t list[CHUNKS])
{
    static const int64_t part[CHUNKS][2] = {{1, 1}, {1, 2}, {1, 4}, {2, 1}, {4, 1}, {1 << 20, 1}};
    const int64_t row_bytes = s->out[2] * (16 + 16) * (int64_t)sizeof(float);
    const int64_t fit = L1_BYTES / row_bytes < 1 ? 1 : L1_BYTES / row_bytes;
    int count = 0;
    for (int i = 0; i < CHUNKS; i++) {
        int64_t chunk = fit * part[i][0] / part[i][1];
        chunk = chunk < 1 ? 1 : chunk > s->out[1] ? s->out[1] : chunk;
        bool there = false;
        for (int k = 0; k < count; k++)
            there = there || list[k] == chunk;
        if (!there)
            list[count++] = chunk;
    }
    return count;
}

static sums sums_of(const vox_problem *p)
{
    sums k = {.s = vox_conv_shape_get(p->node)};
    flatten_pointwise(&k.s);
    const vox_conv_shape *s = &k.s;
    k.pack = (vox_pack16){.groups = s->ob,
                          .blocks = vox_pack16_blocks(s, false, 1, NULL) * 16 / CR,
                          .bi = CR,
                          .q = 1,
                          .first_kernel = 1};
    int64_t chunks[CHUNKS];
    k.chunk = chunks[p->variant < list_chunks(s, chunks) ? p->variant : 0];
    const int64_t tiles = s->kernel[0] * s->kernel[1] * k.pack.blocks * k.pack.groups;
    const int64_t planes = p->n_max * s->out[0];
    k.splits = (GROUPS + tiles - 1) / tiles;
    k.splits = k.splits > planes ? planes : k.splits;
    return k;
}

int vox_conv_direct16_weights_variants(const vox_problem *p)
{
    int64_t chunks[CHUNKS];
    vox_conv_shape s = vox_conv_shape_get(p->node);
    flatten_pointwise(&s);
    return list_chunks(&s, chunks);
}

void vox_conv_direct16_weights_variant_text(const vox_problem *p, int i,
                                            char text[VOX_VARIANT_TEXT])
{
    vox_problem with = *p;
    with.variant = i;
    snprintf(text, VOX_VARIANT_TEXT, "c%" PRId64, sums_of(&with).chunk);
}

double vox_conv_direct16_weights_seconds(const vox_problem *p)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    const double voxels = (double)(s.out[0] * s.out[1] * s.out[2]) * (double)p->n_max;
    int64_t pairs;
    vox_pack16_blocks(&s, false, 1, &pairs);
    const double flops = 2 * voxels * (double)(pairs * 256 * s.taps);
    return vox_rule_seconds(p->dev, flops, vox_device_is_cpu(p->dev) ? 0.7 : 0.002, 0, 1);
}

vox_status vox_conv_direct16_weights_build(vox_work *w, vox_error *err)
{
    const sums k = sums_of(&w->problem);
    vox_str more = {0};
    vox_str_add(&more, "-DCR=%d -DQ=%" PRId64 " -DG=%" PRId64 " -DNB=%" PRId64 " -DCHUNK=%" PRId64,
                CR, k.pack.q, k.pack.groups, k.pack.blocks * CR / 16, k.chunk);
    vox_status status = more.failed
                            ? vox_fail_memory(err, "kernel options", more.capacity)
                            : vox_conv_kernel(w, 0, "conv3d_direct16_weights.cl",
                                              "conv3d_direct16_weights", &k.s, more.text, err);
    vox_str_release(&more);
    return status == VOX_OK ? vox_unpack16_build(w, &k.pack, &k.s, k.splits, err) : status;
}

vox_status vox_conv_direct16_weights_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const sums k = sums_of(&w->problem);
    const vox_grid grid = {{(size_t)(k.s.kernel[0] * k.s.kernel[1]), (size_t)k.pack.blocks,
                            (size_t)(k.pack.groups * k.splits)},
                           {1, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->dy->buf),
                            vox_arg_buffer(w->scratch[0]), vox_arg_buffer(w->scratch[1]),
                            vox_arg_i32((int32_t)io->n),   vox_arg_i32((int32_t)k.splits)};
    vox_status status = vox_kernel_launch(w->kernel[0], &grid, args, 6, err);
    return status == VOX_OK ? vox_unpack16_run(w, &k.pack, &k.s, k.splits, io, err) : status;
}
