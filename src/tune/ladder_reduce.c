/* ladder_reduce.c - the sum of squares of a long vector: cl/ladder_reduce.cl, then the kernel that
 * clips gradients, cl/grad_norm.cl. */
#include "tune/ladder.h"

#include "base/mem.h"
#include "base/philox.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define WG    256
#define BLOCK 256 /* of grad_norm.cl, as the optimisers have it */
#define PARTS 512 /* likewise */

enum { SERIAL, RUNS, VECTORS, NEIGHBOURS, TREE, GRAD_NORM };

static const vox_rung rungs[] = {
    [SERIAL] = {"serial", "any", "one work-item adds everything"},
    [RUNS] = {"runs", "CPU", "each item has a run of its own; all cores work"},
    [VECTORS] = {"vectors", "CPU", "float16, four of them: 64 sums that do not wait"},
    [NEIGHBOURS] = {"neighbours", "GPU", "neighbouring items read neighbouring words"},
    [TREE] = {"tree", "GPU", "a group's sums by a tree in local memory: fewer parts"},
    [GRAD_NORM] = {"grad_norm", "any", "what training uses: blocks shared out, 16 sums each"},
    {NULL, NULL, NULL}};

typedef struct reduce {
    int64_t count, repeat;
    float *x;
    double want;
    vox_device *dev;
    vox_buffer *vector, *part, *sum, *used;
    /* of the rung being measured */
    size_t rung;
    vox_kernel *kernel, *finish;
    size_t parts;
} reduce;

/* ---- numbers ---- */

static vox_status open_ladder(void **state, const char *const *args, size_t count, vox_error *err)
{
    int64_t size = 16777216, repeat = 7;
    vox_status s = vox_ladder_read("reduce", args, count, &size, 1, &repeat, err);
    if (s != VOX_OK)
        return s;
    reduce *r = *state = vox_calloc(1, sizeof *r, "a ladder", err);
    if (!r)
        return VOX_ERR_MEMORY;
    r->repeat = repeat;
    r->count = (size + BLOCK - 1) / BLOCK * BLOCK;
    r->x = vox_calloc((size_t)r->count, sizeof *r->x, "benchmark data", err);
    if (!r->x) {
        free(r);
        *state = NULL;
        return VOX_ERR_MEMORY;
    }
    vox_random random;
    vox_random_init(&random, 1, VOX_RANDOM_INIT, 0, 0, 0);
    for (int64_t i = 0; i < size; i++) { /* zeros fill the last block */
        r->x[i] = 2 * vox_random_uniform(&random) - 1;
        r->want += (double)r->x[i] * (double)r->x[i];
    }
    return VOX_OK;
}

static void close_ladder(void *state)
{
    reduce *r = state;
    free(r->x);
    free(r);
}

static void work(const void *state, double *flops, double *bytes)
{
    const reduce *r = state;
    *flops = 2.0 * (double)r->count;
    *bytes = 4.0 * (double)r->count;
}

/* ---- a device ---- */

/* Items that fill the device: a few runs for each core, or thousands of items for each unit. */
static size_t items_of(const reduce *r, bool runs)
{
    const size_t units = vox_device_get(r->dev)->compute_units;
    return (units ? units : 1) * (runs ? 8 : 8 * WG);
}

static vox_status enter(void *state, vox_device *dev, vox_error *err)
{
    reduce *r = state;
    const char *what = "benchmark data";
    const size_t bytes = sizeof(float) * (size_t)r->count, blocks = (size_t)(r->count / BLOCK);
    r->dev = dev;
    size_t most = items_of(r, false);
    most = most < PARTS ? PARTS : most;
    vox_status s = vox_buffer_open(&r->vector, dev, bytes, VOX_BUFFER_DEVICE, what, err);
    if (s == VOX_OK)
        s = vox_buffer_write(r->vector, 0, r->x, bytes, true, err);
    if (s == VOX_OK)
        s = vox_buffer_open(&r->part, dev, sizeof(float) * most, VOX_BUFFER_DEVICE, what, err);
    if (s == VOX_OK)
        s = vox_buffer_open(&r->sum, dev, sizeof(float), VOX_BUFFER_DEVICE, what, err);
    if (s == VOX_OK)
        s = vox_buffer_open(&r->used, dev, sizeof(uint32_t) * blocks, VOX_BUFFER_DEVICE, what, err);
    return s == VOX_OK ? vox_buffer_fill(r->used, 0, sizeof(uint32_t) * blocks, BLOCK, err) : s;
}

static void leave(void *state)
{
    reduce *r = state;
    vox_buffer_free(&r->vector);
    vox_buffer_free(&r->part);
    vox_buffer_free(&r->sum);
    vox_buffer_free(&r->used);
}

/* ---- a rung ---- */

static vox_status run_parts(reduce *r, vox_error *err)
{
    static const size_t group[] = {[RUNS] = 1, [VECTORS] = 1, [NEIGHBOURS] = WG, [TREE] = WG};
    const size_t items = r->rung == TREE ? r->parts * WG : r->parts;
    const vox_grid grid = {{items, 1, 1}, {group[r->rung], 1, 1}}, one = {{1, 1, 1}, {1, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(r->vector), vox_arg_buffer(r->part),
                            vox_arg_u64((uint64_t)r->count)};
    const vox_arg last[] = {vox_arg_buffer(r->part), vox_arg_buffer(r->sum),
                            vox_arg_u32((uint32_t)r->parts)};
    vox_status s = vox_kernel_launch(r->kernel, &grid, args, 3, err);
    return s == VOX_OK ? vox_kernel_launch(r->finish, &one, last, 3, err) : s;
}

static vox_status run_serial(reduce *r, vox_error *err)
{
    const vox_grid one = {{1, 1, 1}, {1, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(r->vector), vox_arg_buffer(r->sum),
                            vox_arg_u64((uint64_t)r->count)};
    return vox_kernel_launch(r->kernel, &one, args, 3, err);
}

/* With a clip of 1 its coefficient is 1 / norm. */
static vox_status run_grad_norm(reduce *r, vox_error *err)
{
    const size_t group = vox_device_is_cpu(r->dev) ? 1 : 64;
    const vox_grid grid = {{PARTS * group, 1, 1}, {group, 1, 1}}, one = {{1, 1, 1}, {1, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(r->vector), vox_arg_buffer(r->used),
                            vox_arg_buffer(r->part), vox_arg_u32((uint32_t)(r->count / BLOCK))};
    const vox_arg last[] = {vox_arg_buffer(r->part), vox_arg_buffer(r->sum), vox_arg_f32(1)};
    vox_status s = vox_kernel_launch(r->kernel, &grid, args, 4, err);
    return s == VOX_OK ? vox_kernel_launch(r->finish, &one, last, 3, err) : s;
}

static vox_status run(void *what, vox_error *err)
{
    reduce *r = what;
    return r->rung == SERIAL      ? run_serial(r, err)
           : r->rung == GRAD_NORM ? run_grad_norm(r, err)
                                  : run_parts(r, err);
}

static vox_status build(reduce *r, vox_error *err)
{
    static const char *const entry[] = {"reduce_serial",     "reduce_runs", "reduce_vectors",
                                        "reduce_neighbours", "reduce_tree", "grad_norm_parts"};
    const bool real = r->rung == GRAD_NORM;
    const char *file = real ? "grad_norm.cl" : "ladder_reduce.cl";
    char options[64];
    if (real)
        snprintf(options, sizeof options, "-DBLOCK=%d -DPARTS=%d -DWG=%d", BLOCK, PARTS,
                 vox_device_is_cpu(r->dev) ? 1 : 64);
    else
        snprintf(options, sizeof options, "-DWG=%d", WG);
    r->parts = items_of(r, r->rung != NEIGHBOURS);
    vox_status s = vox_kernel_open(&r->kernel, r->dev, file, entry[r->rung], options, err);
    if (s == VOX_OK)
        s = vox_kernel_open(&r->finish, r->dev, file,
                            real ? "grad_norm_coefficient" : "reduce_parts", options, err);
    return s;
}

static vox_status read_error(reduce *r, double *error, vox_error *err)
{
    float got = 0;
    vox_status s = vox_buffer_read(r->sum, 0, &got, sizeof got, true, err);
    double sum = (double)got;
    if (r->rung == GRAD_NORM) {
        const double norm = 1 / sum - 1e-6;
        sum = norm * norm;
    }
    *error = fabs(sum - r->want) / r->want;
    return s;
}

static vox_status measure(void *state, size_t rung, vox_rung_figure *out, vox_error *err)
{
    reduce *r = state;
    r->rung = rung;
    if ((rung == NEIGHBOURS || rung == TREE) && vox_device_get(r->dev)->max_work_group < WG)
        return VOX_OK;
    vox_status s = build(r, err);
    if (s == VOX_OK)
        s = vox_buffer_fill(r->sum, 0, sizeof(float), 0x7fc00000u, err);
    if (s == VOX_OK)
        s = vox_time_runs(r->dev, run, r, 0, r->repeat, &out->time, err);
    if (s == VOX_OK)
        s = read_error(r, &out->error, err);
    out->done = s == VOX_OK;
    vox_kernel_free(&r->kernel);
    vox_kernel_free(&r->finish);
    return s;
}

const vox_ladder vox_ladder_reduce = {.kind = "reduce",
                                      .about = "the sum of squares of a vector",
                                      .rung = rungs,
                                      .memory = true,
                                      .open = open_ladder,
                                      .close = close_ladder,
                                      .work = work,
                                      .enter = enter,
                                      .leave = leave,
                                      .measure = measure};
