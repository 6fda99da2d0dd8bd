/* made_up.c - training steps on made-up data, for benchmarks. */
#include "train/made_up.h"

#include "base/mem.h"
#include "base/philox.h"
#include "train/cases.h"
#include "train/tuning.h"

#include <stdlib.h>

/* Made-up data must not drive the weights to infinity. */
#define TINY_RATE 1e-6

static vox_status make_input(vox_made_up *m, vox_error *err)
{
    const char *what = "synthetic input";
    const vox_graph *g = m->exp->graph;
    const size_t n = (size_t)m->batch, labels = n * vox_graph_labels(g),
                 sample = (size_t)vox_sample_floats(&g->input, VOX_LAYOUT_PLAIN);
    int64_t classes;
    vox_status s = vox_cases_classes(g, &classes, err);
    if (s != VOX_OK)
        return s;
    m->voxel = vox_calloc(n, sample * sizeof(float), what, err);
    m->label = vox_calloc(labels, sizeof *m->label, what, err);
    m->loss = vox_calloc(n, sizeof *m->loss, what, err);
    if (!m->voxel || !m->label || !m->loss)
        return VOX_ERR_MEMORY;
    vox_random r;
    vox_random_init(&r, 1, VOX_RANDOM_SYNTH, 0, 0, 0);
    for (size_t i = 0; i < n * sample; i++)
        m->voxel[i] = 2 * vox_random_uniform(&r) - 1;
    for (size_t i = 0; i < labels; i++)
        m->label[i] = (int32_t)((int64_t)i % classes);
    return VOX_OK;
}

static vox_status set_weights(vox_made_up *m, vox_error *err)
{
    const vox_graph *g = m->exp->graph;
    float *flat = vox_calloc(g->flat_floats, sizeof *flat, "weights", err);
    if (!flat)
        return VOX_ERR_MEMORY;
    vox_graph_init_params(g, m->exp->train.seed, flat);
    vox_status s = vox_team_set_params(m->team, flat, err);
    free(flat);
    return s;
}

vox_status vox_made_up_open(vox_made_up *m, const vox_experiment *exp, vox_ctx *ctx, int64_t batch,
                            const vox_methods *methods, vox_team_options opt, vox_error *err)
{
    const vox_train_spec *train = &exp->train;
    vox_finddb *times = NULL;
    m->exp = exp;
    m->batch = batch;
    vox_status s = make_input(m, err);
    if (s == VOX_OK)
        s = vox_tuning_open(&times, exp, ctx, methods, err);
    opt.graph = exp->graph;
    opt.batch = batch;
    opt.training = true;
    opt.seed = train->seed;
    opt.algo = methods->algo;
    opt.workspace = methods->workspace_bytes;
    opt.memory = (uint64_t)train->memory_mib << 20;
    opt.times = times;
    if (s == VOX_OK)
        s = vox_team_open(&m->team, ctx, &opt, err);
    vox_finddb_free(&times);
    if (s == VOX_OK)
        s = vox_optimizer_open(&m->optimizer, vox_team_home(m->team), exp->graph, &train->optimizer,
                               train->clip_norm, err);
    return s == VOX_OK ? set_weights(m, err) : s;
}

void vox_made_up_close(vox_made_up *m)
{
    vox_optimizer_free(&m->optimizer);
    vox_team_free(&m->team);
    free(m->voxel);
    free(m->label);
    free(m->loss);
}

static vox_status update_on_device(vox_replica *r, void *arg, vox_error *err)
{
    vox_made_up *m = arg;
    vox_plan *plan = vox_replica_plan(r);
    const int64_t unseen = vox_team_looks(m->team, m->batch) ? 0 : m->batch;
    return vox_optimizer_step(m->optimizer, vox_plan_params(plan), vox_plan_grads(plan),
                              vox_plan_loss(plan)->buf, unseen, TINY_RATE, m->done, err);
}

static vox_status update_on_host(void *arg, float *params, float *grads, const vox_factors *factors,
                                 vox_pool *pool, vox_error *err)
{
    vox_made_up *m = arg;
    return vox_optimizer_step_host(m->optimizer, params, grads, factors, TINY_RATE, m->done, pool,
                                   err);
}

vox_status vox_made_up_step(vox_made_up *m, vox_error *err)
{
    vox_team_batch batch = {
        .voxel = m->voxel, .label = m->label, .n = m->batch, .step = (uint64_t)m->done};
    vox_team_batch next = batch; /* the same numbers, uploaded anew as a training would */
    next.step++;
    batch.next = &next;
    m->done++;
    const vox_team_update update = {update_on_device, update_on_host, m};
    return vox_team_step(m->team, &batch, &update, m->loss, err);
}
