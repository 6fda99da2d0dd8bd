/* ladder_conv.c - a convolution's forward pass from the naive method to the tuned one.
 *
 * The rungs between are no algorithms of their own: they are direct16 with a smaller register
 * tile. */
#include "tune/ladder_methods.h"

#include <inttypes.h>
#include <string.h>

#define MOST_ARGS 32

/* ---- direct16 with a given tile: r positions x q blocks of output channels ---- */

static vox_pack16 tile_pack(const vox_conv_shape *s, int64_t q)
{
    return (vox_pack16){.groups = (s->ob + q - 1) / q,
                        .blocks = vox_pack16_blocks(s, false, q, NULL),
                        .bi = 16,
                        .q = q,
                        .first_kernel = 1};
}

static vox_status tile_build(vox_work *w, int64_t r, int64_t q, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    const vox_pack16 pack = tile_pack(&s, q);
    vox_str more = {0};
    vox_str_add(&more, "-DR=%" PRId64 " -DQ=%" PRId64 " -DNB=%" PRId64 " -DPARTS=1", r, q,
                pack.blocks);
    vox_status status = more.failed ? vox_fail_memory(err, "kernel options", more.capacity)
                                    : vox_conv_kernel(w, 0, "conv3d_direct16.cl", "conv3d_direct16",
                                                      &s, more.text, err);
    vox_str_release(&more);
    return status == VOX_OK ? vox_pack16_build(w, &pack, &s, err) : status;
}

static vox_status tile_run(vox_work *w, int64_t q, const vox_io *io, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    const vox_pack16 pack = tile_pack(&s, q);
    vox_status status =
        vox_pack16_run(w, &pack, &s, io->param[0], vox_conv_bias(&s, io->param), err);
    if (status != VOX_OK)
        return status;
    const vox_grid grid = {{(size_t)s.out[1], (size_t)(io->n * s.out[0]), (size_t)pack.groups},
                           {1, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(w->scratch[0]),
                            vox_arg_buffer(w->scratch[1]), vox_arg_buffer(io->y->buf),
                            vox_arg_buffer(NULL)};
    return vox_kernel_launch(w->kernel[0], &grid, args, 5, err);
}

static bool two_blocks(const vox_problem *p)
{
    return vox_conv_direct16_fits(p) && vox_conv_shape_get(p->node).ob >= 2;
}

static vox_status build_1x1(vox_work *w, vox_error *err)
{
    return tile_build(w, 1, 1, err);
}

static vox_status build_4x1(vox_work *w, vox_error *err)
{
    return tile_build(w, 4, 1, err);
}

static vox_status build_4x2(vox_work *w, vox_error *err)
{
    return tile_build(w, 4, 2, err);
}

static vox_status run_1(vox_work *w, const vox_io *io, vox_error *err)
{
    return tile_run(w, 1, io, err);
}

static vox_status run_2(vox_work *w, const vox_io *io, vox_error *err)
{
    return tile_run(w, 2, io, err);
}

/* ---- the rungs ---- */

#define BLOCK16 VOX_LAYOUT_BLOCK16, VOX_LAYOUT_BLOCK16

static const vox_algo tiles[] = {
    {"direct16 1x1", VOX_FORWARD, BLOCK16, vox_conv_direct16_fits, vox_conv_direct16_seconds,
     build_1x1, run_1},
    {"direct16 4x1", VOX_FORWARD, BLOCK16, vox_conv_direct16_fits, vox_conv_direct16_seconds,
     build_4x1, run_1},
    {"direct16 4x2", VOX_FORWARD, BLOCK16, two_blocks, vox_conv_direct16_seconds, build_4x2, run_2},
    {0}};

static const vox_rung rungs[] = {
    {"naive", "any", "one work-item per number; two loads for each multiply-add"},
    {"tiled", "GPU", "tiles in local memory, shared by a group; up to 8 x 8 sums in registers"},
    {"direct16 1x1", "CPU", "blocked channels, float16, groups of one; one sum"},
    {"direct16 4x1", "CPU", "4 positions share each weight vector"},
    {"direct16 4x2", "CPU", "2 blocks of output channels share each input"},
    {"direct16", "CPU", "the tile that suits the row, rows shared out"},
    {"winograd16", "CPU", "fewer multiplications: tiles of input and output are transformed"},
    {"first16", "CPU", "plain input for few channels, taps in the inner loop"},
    {NULL, NULL, NULL}};

/* The arguments of the caller after those of the default shape: the last ones count. */
static vox_status join_args(const char *all[MOST_ARGS], size_t *joined, const char *const *args,
                            size_t count, vox_error *err)
{
    static const char *const shape[] = {"--in", "1,32,16,32,32", "--out", "32", "--kernel",
                                        "3",    "--pad",         "1"};
    static const char *const taken[] = {"--in",  "--out",      "--kernel", "--stride",
                                        "--pad", "--dilation", "--repeat"};
    const size_t own = sizeof shape / sizeof *shape;
    if (own + count > MOST_ARGS)
        return vox_fail(err, VOX_ERR_USAGE, "bench ladder: too many arguments");
    memcpy(all, shape, sizeof shape);
    for (size_t i = 0; i < count; i++) {
        bool known = i % 2 == 1;
        for (size_t k = 0; k < sizeof taken / sizeof *taken; k++)
            known = known || strcmp(args[i], taken[k]) == 0;
        if (!known) {
            vox_fail(err, VOX_ERR_USAGE, "bench ladder conv does not take %s", args[i]);
            vox_hint(err, "it shows the forward pass by every rung; `voxcl bench conv` takes more");
            return VOX_ERR_USAGE;
        }
        all[own + i] = args[i];
    }
    *joined = own + count;
    return VOX_OK;
}

static vox_status open_ladder(void **state, const char *const *args, size_t count, vox_error *err)
{
    const char *all[MOST_ARGS];
    size_t joined = 0;
    vox_status s = join_args(all, &joined, args, count, err);
    return s == VOX_OK ? vox_methods_open(state, rungs, tiles, true, all, joined, err) : s;
}

const vox_ladder vox_ladder_conv = {.kind = "conv",
                                    .about = "a convolution's forward pass",
                                    .rung = rungs,
                                    .open = open_ladder,
                                    .close = vox_methods_close,
                                    .work = vox_methods_work,
                                    .enter = vox_methods_enter,
                                    .leave = vox_methods_leave,
                                    .measure = vox_methods_measure};
