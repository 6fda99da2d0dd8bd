/* scaling_measure.c - training steps on so many devices, timed on made-up data. */
#include "base/philox.h"
#include "parallel/team.h"
#include "parallel/tree.h"
#include "train/cases.h"
#include "train/optimizer.h"
#include "train/scaling.h"
#include "train/tuning.h"

#include <stdlib.h>

/* The first step of a share builds kernels, one device after the other; after the second all memory
 * has been touched. */
#define WARM_UP 3

/* Made-up data must not drive the weights to infinity. */
#define TINY_RATE 1e-6

typedef struct bench {
    const vox_scaling_job *job;
    int64_t batch, done, classes;
    size_t devices;
    vox_team *team;
    vox_optimizer *optimizer;
    float *voxel, *loss;
    int32_t *label;
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

static vox_status make_input(bench *b, vox_error *err)
{
    const char *what = "synthetic input";
    const vox_graph *g = b->job->exp->graph;
    const size_t n = (size_t)b->batch, labels = n * vox_graph_labels(g),
                 sample = (size_t)vox_sample_floats(&g->input, VOX_LAYOUT_PLAIN);
    b->voxel = vox_calloc(n, sample * sizeof(float), what, err);
    b->label = vox_calloc(labels, sizeof *b->label, what, err);
    b->loss = vox_calloc(n, sizeof *b->loss, what, err);
    if (!b->voxel || !b->label || !b->loss)
        return VOX_ERR_MEMORY;
    vox_random r;
    vox_random_init(&r, 1, VOX_RANDOM_SYNTH, 0, 0, 0);
    for (size_t i = 0; i < n * sample; i++)
        b->voxel[i] = 2 * vox_random_uniform(&r) - 1;
    for (size_t i = 0; i < labels; i++)
        b->label[i] = (int32_t)((int64_t)i % b->classes);
    return VOX_OK;
}

static vox_status set_weights(bench *b, vox_error *err)
{
    const vox_graph *g = b->job->exp->graph;
    float *flat = vox_calloc(g->flat_floats, sizeof *flat, "weights", err);
    if (!flat)
        return VOX_ERR_MEMORY;
    vox_graph_init_params(g, b->job->exp->train.seed, flat);
    vox_status s = vox_team_set_params(b->team, flat, err);
    free(flat);
    return s;
}

static vox_status bench_open(bench *b, vox_ctx *ctx, vox_error *err)
{
    const vox_experiment *exp = b->job->exp;
    vox_team_options opt = {.graph = exp->graph,
                            .batch = b->batch,
                            .training = true,
                            .seed = exp->train.seed,
                            .algo = b->job->methods->algo,
                            .workspace = b->job->methods->workspace_bytes,
                            .on_host = b->job->on_host};
    vox_finddb *times = NULL;
    vox_status s = make_room(b, err);
    if (s == VOX_OK)
        s = vox_cases_classes(exp->graph, &b->classes, err);
    if (s == VOX_OK)
        s = make_input(b, err);
    if (s == VOX_OK)
        s = vox_tuning_open(&times, exp, ctx, b->job->methods, err);
    opt.times = times;
    if (s == VOX_OK)
        s = vox_team_open(&b->team, ctx, &opt, err);
    vox_finddb_free(&times);
    if (s == VOX_OK)
        s = vox_optimizer_open(&b->optimizer, vox_team_home(b->team), exp->graph,
                               &exp->train.optimizer, exp->train.clip_norm, err);
    return s == VOX_OK ? set_weights(b, err) : s;
}

static void bench_close(bench *b)
{
    vox_optimizer_free(&b->optimizer);
    vox_team_free(&b->team);
    free(b->voxel);
    free(b->label);
    free(b->loss);
    free(b->step_s);
    free(b->compute_s);
    free(b->reduce_s);
    free(b->update_s);
    free(b->send_s);
    free(b->busy_s);
}

/* ---- steps ---------------------------------------------------------------- */

static vox_status update_on_device(vox_replica *r, void *arg, vox_error *err)
{
    bench *b = arg;
    vox_plan *plan = vox_replica_plan(r);
    const int64_t unseen = vox_team_looks(b->team, b->batch) ? 0 : b->batch;
    return vox_optimizer_step(b->optimizer, vox_plan_params(plan), vox_plan_grads(plan),
                              vox_plan_loss(plan)->buf, unseen, TINY_RATE, b->done, err);
}

static vox_status update_on_host(void *arg, float *params, float *grads, vox_pool *pool,
                                 vox_error *err)
{
    (void)err;
    bench *b = arg;
    vox_optimizer_step_host(b->optimizer, params, grads, TINY_RATE, b->done, pool);
    return VOX_OK;
}

static vox_status one_step(bench *b, vox_error *err)
{
    vox_team_batch batch = {
        .voxel = b->voxel, .label = b->label, .n = b->batch, .step = (uint64_t)b->done};
    vox_team_batch next = batch; /* the same numbers, uploaded anew as a training would */
    next.step++;
    batch.next = &next;
    b->done++;
    const vox_team_update update = {update_on_device, update_on_host, b};
    return vox_team_step(b->team, &batch, &update, b->loss, err);
}

static vox_status time_steps(bench *b, vox_error *err)
{
    vox_status s = VOX_OK;
    for (int i = 0; s == VOX_OK && i < WARM_UP; i++)
        s = one_step(b, err);
    for (int64_t i = 0; s == VOX_OK && i < b->job->steps; i++) {
        const double start = vox_now();
        s = one_step(b, err);
        b->step_s[i] = vox_now() - start;
        const vox_team_times t = vox_team_last_times(b->team);
        b->compute_s[i] = t.compute_s;
        b->reduce_s[i] = t.reduce_s;
        b->update_s[i] = t.update_s;
        b->send_s[i] = t.send_s;
        for (size_t d = 0; d < b->devices; d++)
            b->busy_s[d * (size_t)b->job->steps + (size_t)i] =
                vox_team_home(b->team) ? 1 /* it does all of the step by itself */
                                       : vox_team_busy(b->team, d) / b->step_s[i];
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
    bench b = {.job = job, .batch = batch, .devices = vox_ctx_device_count(ctx)};
    *run = (vox_scaling_run){.devices = (int64_t)b.devices, .batch = batch};
    vox_status s = bench_open(&b, ctx, err);
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
