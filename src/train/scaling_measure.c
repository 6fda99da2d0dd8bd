/* scaling_measure.c - training steps on so many devices, timed on made-up data. */
#include "base/mem.h"
#include "parallel/tree.h"
#include "train/made_up.h"
#include "train/scaling.h"

#include <stdlib.h>

/* The first step of a share builds kernels, one device after the other; after the second all memory
 * has been touched. */
#define WARM_UP 3

typedef struct bench {
    const vox_scaling_job *job;
    vox_made_up made;
    size_t devices;
    double *step_s, *compute_s, *reduce_s, *update_s, *send_s; /* [steps] */
    double *busy_s;                                            /* [devices][steps] */
} bench;

static vox_status make_room(bench *b, vox_error *err)
{
    const char *what = "a benchmark";
    const size_t n = (size_t)b->job->steps;
    double **list[] = {&b->step_s, &b->compute_s, &b->reduce_s, &b->update_s, &b->send_s};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (!(*list[i] = vox_calloc(n, sizeof(double), what, err)))
            return VOX_ERR_MEMORY;
    b->busy_s = vox_calloc(n * b->devices, sizeof(double), what, err);
    return b->busy_s ? VOX_OK : VOX_ERR_MEMORY;
}

static vox_status bench_open(bench *b, vox_ctx *ctx, int64_t batch, vox_error *err)
{
    const int64_t most = batch / (int64_t)b->devices, asked = b->job->exp->train.accumulate;
    const vox_team_options opt = {.shard = VOX_SHARD_EQUAL, /* or the figures would be of several */
                                  .parts = most < 1       ? 1
                                           : most < asked ? most
                                                          : asked,
                                  .on_host = b->job->on_host};
    vox_status s = make_room(b, err);
    return s == VOX_OK
               ? vox_made_up_open(&b->made, b->job->exp, ctx, batch, b->job->methods, opt, err)
               : s;
}

static void bench_close(bench *b)
{
    vox_made_up_close(&b->made);
    free(b->step_s);
    free(b->compute_s);
    free(b->reduce_s);
    free(b->update_s);
    free(b->send_s);
    free(b->busy_s);
}

/* ---- steps ---------------------------------------------------------------- */

static vox_status time_steps(bench *b, vox_error *err)
{
    vox_status s = VOX_OK;
    for (int i = 0; s == VOX_OK && i < WARM_UP; i++)
        s = vox_made_up_step(&b->made, err);
    for (int64_t i = 0; s == VOX_OK && i < b->job->steps; i++) {
        const double start = vox_now();
        s = vox_made_up_step(&b->made, err);
        b->step_s[i] = vox_now() - start;
        const vox_team_times t = vox_team_last_times(b->made.team);
        b->compute_s[i] = t.compute_s;
        b->reduce_s[i] = t.reduce_s;
        b->update_s[i] = t.update_s;
        b->send_s[i] = t.send_s;
        for (size_t d = 0; d < b->devices; d++)
            b->busy_s[d * (size_t)b->job->steps + (size_t)i] =
                vox_team_home(b->made.team) ? 1 /* it does all of the step by itself */
                                            : vox_team_busy(b->made.team, d) / b->step_s[i];
    }
    return s;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts. */
static double median(double *value, int64_t n)
{
    qsort(value, (size_t)n, sizeof *value, by_value);
    return (value[(n - 1) / 2] + value[n / 2]) / 2;
}

static vox_status sum_up(vox_scaling_run *run, bench *b, vox_error *err)
{
    const int64_t n = b->job->steps;
    run->busy = vox_calloc(b->devices, sizeof *run->busy, "a benchmark", err);
    if (!run->busy)
        return VOX_ERR_MEMORY;
    for (size_t d = 0; d < b->devices; d++)
        run->busy[d] = median(b->busy_s + d * (size_t)n, n);
    run->step_s = median(b->step_s, n);
    run->least_s = b->step_s[0];
    run->most_s = b->step_s[n - 1];
    run->point = (vox_scaling_point){.devices = run->devices,
                                     .share = (run->batch + run->devices - 1) / run->devices,
                                     .compute_s = median(b->compute_s, n),
                                     .reduce_s = median(b->reduce_s, n),
                                     .update_s = median(b->update_s, n),
                                     .send_s = median(b->send_s, n)};
    return VOX_OK;
}

vox_status vox_scaling_measure(vox_scaling_run *run, const vox_scaling_job *job, vox_ctx *ctx,
                               int64_t batch, vox_error *err)
{
    bench b = {.job = job, .devices = vox_ctx_device_count(ctx)};
    *run = (vox_scaling_run){.devices = (int64_t)b.devices, .batch = batch};
    vox_status s = bench_open(&b, ctx, batch, err);
    if (s == VOX_OK)
        s = time_steps(&b, err);
    if (s == VOX_OK)
        s = sum_up(run, &b, err);
    bench_close(&b);
    return s;
}

/* ---- the reduction by itself ---------------------------------------------- */

vox_status vox_scaling_measure_sum(vox_scaling_sum *sum, size_t leaves, size_t floats,
                                   int64_t steps, vox_error *err)
{
    const char *what = "gradients to sum";
    vox_tree tree;
    vox_pool *pool = NULL;
    float *in = vox_calloc(floats, leaves * sizeof *in, what, err);
    const float **leaf = vox_calloc(leaves, sizeof *leaf, what, err);
    double *seconds = vox_calloc((size_t)steps, sizeof *seconds, what, err);
    vox_status s = in && leaf && seconds ? vox_tree_init(&tree, leaves, err) : VOX_ERR_MEMORY;
    const bool made = s == VOX_OK;
    if (made)
        s = vox_pool_open(&pool, 0, err);
    for (size_t i = 0; s == VOX_OK && i < leaves * floats; i += 256) /* makes the pages */
        in[i] = 1;
    for (size_t i = 0; s == VOX_OK && i < leaves; i++)
        leaf[i] = in + i * floats;
    for (int64_t i = -1; s == VOX_OK && i < steps; i++) {
        const double start = vox_now();
        vox_tree_sum(&tree, leaf, in, floats, pool);
        if (i >= 0)
            seconds[i] = vox_now() - start;
    }
    if (s == VOX_OK)
        *sum = (vox_scaling_sum){(int64_t)leaves, median(seconds, steps)};
    vox_pool_free(&pool);
    if (made)
        vox_tree_release(&tree);
    free(seconds);
    free(leaf);
    free(in);
    return s;
}
