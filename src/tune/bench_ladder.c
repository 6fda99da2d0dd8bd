/* bench_ladder.c - vox_bench_ladder: a convolution's forward pass from the naive method to the
 * tuned one, each rung with what it changed and what that bought.
 *
 * The rungs between are no algorithms of their own: they are direct16 with a smaller register tile.
 * Rungs take turns, so that a busy moment of the machine hits all of them. */
#include "base/json.h"
#include "ops/conv.h"
#include "tune/conv_trial.h"
#include "tune/peak.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS    3
#define MOST_ARGS 32

/* ---- direct16 with a given tile: r positions x q blocks of output channels ---- */

static vox_pack16 tile_pack(const vox_conv_shape *s, int64_t q)
{
    return (vox_pack16){
        .groups = (s->ob + q - 1) / q, .blocks = s->ib, .bi = 16, .q = q, .first_kernel = 1};
}

static vox_status tile_build(vox_work *w, int64_t r, int64_t q, vox_error *err)
{
    const vox_conv_shape s = vox_conv_shape_get(w->problem.node);
    const vox_pack16 pack = tile_pack(&s, q);
    vox_str more = {0};
    vox_str_add(&more, "-DR=%" PRId64 " -DQ=%" PRId64 " -DPARTS=1", r, q);
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
};

typedef struct rung {
    const char *name;
    const vox_algo *algo; /* NULL: conv's own, by name */
    const char *made_for, *changed;
} rung;

static const rung rungs[] = {
    {"naive", NULL, "any", "one work-item per number; two loads for each multiply-add"},
    {"tiled", NULL, "GPU",
     "tiles in local memory, shared by a group; up to 8 x 8 sums in registers"},
    {"direct16 1x1", &tiles[0], "CPU", "blocked channels, float16, groups of one; one sum"},
    {"direct16 4x1", &tiles[1], "CPU", "4 positions share each weight vector"},
    {"direct16 4x2", &tiles[2], "CPU", "2 blocks of output channels share each input"},
    {"direct16", NULL, "CPU", "the tile that suits the row, rows shared out"},
    {"first16", NULL, "CPU", "plain input for few channels, taps in the inner loop"},
};
#define RUNGS (sizeof rungs / sizeof *rungs)

static const vox_algo *algo_of(const rung *r)
{
    const vox_op *conv = vox_op_find("conv");
    const vox_algo *a = r->algo;
    for (int i = 0; !a || strcmp(a->name, r->name) != 0; i++)
        if (!(a = vox_op_algo(conv, VOX_FORWARD, i)))
            return NULL;
    return a;
}

/* ---- measuring ---- */

typedef struct ladder {
    const vox_conv_request *r;
    vox_conv_data data;
    vox_conv_timing timing[RUNGS][ROUNDS];
    double peak; /* flop/s, the best of the rounds */
} ladder;

static vox_status climb(ladder *l, vox_device *dev, vox_error *err)
{
    vox_status s = VOX_OK;
    const vox_problem p = {.node = &l->r->node, .dev = dev, .n_max = l->data.n, .training = true};
    l->peak = 0;
    for (int round = 0; s == VOX_OK && round < ROUNDS; round++) {
        double peak = 0;
        s = vox_peak_flops(dev, &peak, err);
        l->peak = peak > l->peak ? peak : l->peak;
        for (size_t i = 0; s == VOX_OK && i < RUNGS; i++) {
            const vox_algo *a = algo_of(&rungs[i]);
            l->timing[i][round].done = false;
            if (a && (!a->fits || a->fits(&p)) && a->seconds(&p) <= VOX_CONV_HOPELESS)
                s = vox_conv_measure(l->r, &l->data, &p, a, &l->timing[i][round], err);
        }
    }
    return s;
}

static int by_time(const void *a, const void *b)
{
    const double x = ((const vox_conv_timing *)a)->time.median;
    const double y = ((const vox_conv_timing *)b)->time.median;
    return (x > y) - (x < y);
}

static void put_device(vox_json *j, ladder *l, const vox_device_desc *d)
{
    double first = 0;
    for (size_t i = 0; i < RUNGS; i++) {
        vox_conv_timing *t = l->timing[i];
        if (!t[0].done)
            continue;
        qsort(t, ROUNDS, sizeof *t, by_time);
        const vox_conv_timing *median = &t[ROUNDS / 2];
        const double seconds = median->time.median;
        first = first > 0 ? first : seconds;
        vox_json_begin(j, NULL, '{');
        vox_json_string(j, "device", d->name);
        vox_json_string(j, "rung", rungs[i].name);
        vox_json_string(j, "made_for", rungs[i].made_for);
        vox_json_begin(j, "time_s", '{');
        vox_json_number(j, "median", seconds);
        vox_json_number(j, "min", t[0].time.median);
        vox_json_number(j, "max", t[ROUNDS - 1].time.median);
        vox_json_end(j, '}');
        vox_json_number(j, "gflops", median->flops / seconds / 1e9);
        vox_json_number(j, "peak_share", median->flops / seconds / l->peak);
        vox_json_number(j, "times_first", first / seconds);
        vox_json_number(j, "rel_rms_error", median->rms_error);
        vox_json_string(j, "changed", rungs[i].changed);
        vox_json_end(j, '}');
    }
}

/* The arguments of the caller after those of the default shape: the last ones count. */
static vox_status join_args(const char *all[MOST_ARGS], size_t *joined, const char *const *args,
                            size_t count, vox_error *err)
{
    static const char *const shape[] = {"--in", "1,32,16,32,32", "--out", "32", "--kernel",
                                        "3",    "--pad",         "1"};
    const size_t own = sizeof shape / sizeof *shape;
    if (own + count > MOST_ARGS)
        return vox_fail(err, VOX_ERR_USAGE, "bench ladder: too many arguments");
    memcpy(all, shape, sizeof shape);
    for (size_t i = 0; i < count; i++) {
        if (i % 2 == 0 && (strcmp(args[i], "--pass") == 0 || strcmp(args[i], "--algo") == 0)) {
            vox_fail(err, VOX_ERR_USAGE, "bench ladder does not take %s", args[i]);
            vox_hint(err, "it shows the forward pass by every rung; `voxcl bench conv` takes it");
            return VOX_ERR_USAGE;
        }
        all[own + i] = args[i];
    }
    *joined = own + count;
    return VOX_OK;
}

vox_status vox_bench_ladder(vox_ctx *ctx, const char *kind, const char *const *args, size_t count,
                            char **json, vox_error *err)
{
    const char *all[MOST_ARGS];
    size_t joined = 0;
    vox_json j = {0};
    ladder l;
    *json = NULL;
    if (strcmp(kind, "conv") != 0) {
        vox_fail(err, VOX_ERR_USAGE, "there is no ladder \"%s\"", kind);
        vox_hint(err, "there is: conv");
        return VOX_ERR_USAGE;
    }
    vox_status s = join_args(all, &joined, args, count, err);
    vox_conv_request r;
    if (s == VOX_OK)
        s = vox_conv_request_read(&r, all, joined, err);
    if (s == VOX_OK)
        s = vox_conv_data_open(&l.data, &r, err);
    if (s != VOX_OK)
        return s;
    l.r = &r;
    vox_json_begin(&j, NULL, '[');
    for (size_t i = 0; s == VOX_OK && i < vox_ctx_device_count(ctx); i++) {
        s = climb(&l, vox_ctx_get(ctx, i), err);
        if (s == VOX_OK)
            put_device(&j, &l, vox_ctx_device(ctx, i));
    }
    vox_json_end(&j, ']');
    vox_conv_data_release(&l.data);
    if (s != VOX_OK) {
        vox_str_release(&j.text);
        return s;
    }
    *json = vox_json_take(&j, err);
    return *json ? VOX_OK : VOX_ERR_MEMORY;
}
