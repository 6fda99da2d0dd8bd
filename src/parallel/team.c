/* team.c - the replicas of a job working together on one batch after the other. */
#include "parallel/team.h"

#include "ops/loss.h"
#include "parallel/meeting.h"
#include "parallel/shard.h"
#include "parallel/tree.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One replica's part in the work under way. */
typedef struct member {
    struct vox_team *team;
    vox_replica *replica;
    vox_share share, next; /* next: of the batch after this one, if it is known */
    float *output;         /* vox_team_eval: where its samples' outputs go */
    float *host;           /* its gradients while they are summed */
    bool started;          /* it had samples of the batch under way */
} member;

typedef enum work_kind { WORK_GRADIENTS, WORK_EVAL, WORK_KINDS } work_kind;

struct vox_team {
    const vox_graph *graph;
    int64_t batch;
    int64_t part; /* most samples of it at once */
    size_t size;
    member *member; /* [size] */
    int64_t *count, *first;
    const float **in; /* [size], the tree's inputs */
    vox_tree tree;
    vox_pool *pool;        /* sums; NULL with one device */
    size_t sample_floats;  /* of one input */
    size_t sample_labels;  /* as vox_graph_labels */
    const float *weights;  /* replica 0's, while the others copy them */
    vox_meeting *meeting;  /* NULL: the replicas exchange nothing in mid-step */
    vox_replica_fn work;   /* what they do when they meet */
    bool *ran[WORK_KINDS]; /* [batch + 1]: a batch of so many samples was computed before */
    vox_replica_fn update; /* the caller's */
    void *update_arg;
};

/* ---- work on all ---------------------------------------------------------- */

/* Runs fn on the replicas from `from` on that have samples (or on all), each with its member as
 * argument; waits for all of them and gives the first error in the order of the devices. */
static vox_status run_all(vox_team *team, size_t from, bool idle_too, vox_replica_fn fn,
                          vox_error *err)
{
    vox_status first = VOX_OK;
    for (size_t i = from; i < team->size; i++)
        if (idle_too || team->count[i] > 0)
            vox_replica_post(team->member[i].replica, fn, &team->member[i]);
    for (size_t i = from; i < team->size; i++) {
        if (!idle_too && team->count[i] == 0)
            continue;
        vox_status s = vox_replica_wait(team->member[i].replica, first == VOX_OK ? err : NULL);
        if (first == VOX_OK)
            first = s;
    }
    return first;
}

static vox_status work_job(vox_replica *r, void *arg, vox_error *err)
{
    const member *m = arg;
    const size_t i = (size_t)(m - m->team->member);
    vox_status s = vox_meeting_enter(m->team->meeting, i, err);
    if (s == VOX_OK)
        s = m->team->work(r, arg, err);
    if (s != VOX_OK && s != VOX_ERR_INTERRUPTED && err &&
        !strstr(err->detail, vox_replica_title(r)))
        vox_error_at(err, "device %s", vox_replica_title(r));
    vox_meeting_leave(m->team->meeting, i, s, err);
    return s;
}

/* A batch through replicas that exchange numbers in mid-step, and so must all be at work. */
static vox_status meet(vox_team *team, bool one_by_one, vox_replica_fn fn, vox_error *err)
{
    team->work = fn;
    vox_meeting_call(team->meeting, team->count, one_by_one);
    vox_status s = run_all(team, 0, false, work_job, err);
    return s == VOX_OK ? VOX_OK : vox_meeting_outcome(team->meeting, err);
}

/* A batch through the replicas.  The first one of each size goes through one after the other:
 * PoCL (seen with 3.1, told of 5.0) specialises kernels at their first launch on a larger grid, and
 * if another of its devices is running the same kernel then, it loses count of the uses and aborts
 * (assertion in pocl_release_dlhandle_cache). */
static vox_status run_batch(vox_team *team, work_kind kind, int64_t n, vox_replica_fn fn,
                            vox_error *err)
{
    vox_status s = VOX_OK;
    if (team->meeting) {
        s = meet(team, !team->ran[kind][n], fn, err);
        team->ran[kind][n] = s == VOX_OK || team->ran[kind][n];
        return s;
    }
    if (team->ran[kind][n])
        return run_all(team, 0, false, fn, err);
    for (size_t i = 0; s == VOX_OK && i < team->size; i++) {
        if (team->count[i] == 0)
            continue;
        vox_replica_post(team->member[i].replica, fn, &team->member[i]);
        s = vox_replica_wait(team->member[i].replica, err);
    }
    team->ran[kind][n] = s == VOX_OK;
    return s;
}

static vox_status run_first(vox_team *team, vox_replica_fn fn, void *arg, vox_error *err)
{
    vox_replica_post(team->member[0].replica, fn, arg);
    return vox_replica_wait(team->member[0].replica, err);
}

/* ---- open and free -------------------------------------------------------- */

static vox_status make_lists(vox_team *team, vox_error *err)
{
    team->member = vox_calloc(team->size, sizeof *team->member, "the replicas", err);
    team->count = vox_calloc(team->size, sizeof *team->count, "the replicas", err);
    team->first = vox_calloc(team->size, sizeof *team->first, "the replicas", err);
    team->in = vox_calloc(team->size, sizeof *team->in, "the replicas", err);
    if (!team->member || !team->count || !team->first || !team->in)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < team->size; i++)
        team->member[i].team = team;
    for (int k = 0; k < WORK_KINDS; k++) {
        team->ran[k] = vox_calloc((size_t)team->batch + 1, sizeof **team->ran, "sizes", err);
        if (!team->ran[k])
            return VOX_ERR_MEMORY;
    }
    vox_status s = vox_tree_init(&team->tree, team->size, err);
    if (s == VOX_OK && team->size > 1)
        s = vox_pool_open(&team->pool, 0, err);
    return s;
}

static vox_status open_replicas(vox_team *team, const vox_ctx *ctx, const vox_team_options *opt,
                                vox_error *err)
{
    vox_status first = VOX_OK;
    vox_shards_make(team->part, team->size, NULL, team->count, team->first);
    for (size_t i = 0; first == VOX_OK && i < team->size; i++) {
        const vox_replica_options r = {.graph = opt->graph,
                                       .n_max = team->count[i] > 0 ? team->count[i] : 1,
                                       .training = opt->training,
                                       .augment = opt->augment,
                                       .seed = opt->seed,
                                       .algo = opt->algo,
                                       .workspace = opt->workspace,
                                       .times = opt->times,
                                       .copy = opt->copy};
        first = vox_replica_open(&team->member[i].replica, i, vox_ctx_get(ctx, i), &r, err);
    }
    for (size_t i = 0; i < team->size && team->member[i].replica; i++) {
        vox_status s = vox_replica_wait(team->member[i].replica, first == VOX_OK ? err : NULL);
        if (first == VOX_OK)
            first = s;
    }
    return first;
}

/* A loss of the batch as one volume would be one of each part. */
static vox_status check_loss(const vox_team *team, vox_error *err)
{
    if (team->part == team->batch || !vox_loss_per_batch(&team->graph->loss.node))
        return VOX_OK;
    vox_fail(err, VOX_ERR_UNSUPPORTED, "a loss \"per: batch\" needs the batch at once");
    vox_detail(err, "loss %s, %lld of %lld samples at once", team->graph->loss.node.op->name,
               (long long)team->part, (long long)team->batch);
    vox_hint(err, "use \"per: sample\", or leave train.accumulate away");
    return VOX_ERR_UNSUPPORTED;
}

static vox_status exchange(void *user, const vox_node *node, vox_pass pass, vox_join_fn join,
                           float *values, size_t floats, vox_error *err)
{
    member *m = user;
    return vox_meeting_exchange(m->team->meeting, (size_t)(m - m->team->member), node, pass, join,
                                values, floats, err);
}

/* The replicas of networks with layers that take statistics over the whole batch meet. */
static vox_status open_meeting(vox_team *team, bool training, vox_error *err)
{
    const bool meets = vox_graph_exchanges(team->graph, false) ||
                       (training && vox_graph_exchanges(team->graph, true));
    vox_status s =
        team->size > 1 && meets ? vox_meeting_open(&team->meeting, team->size, err) : VOX_OK;
    for (size_t i = 0; s == VOX_OK && team->meeting && i < team->size; i++)
        s = vox_plan_set_exchange(vox_replica_plan(team->member[i].replica), exchange,
                                  &team->member[i], err);
    return s;
}

vox_status vox_team_open(vox_team **out, const vox_ctx *ctx, const vox_team_options *opt,
                         vox_error *err)
{
    *out = NULL;
    vox_team *team = vox_calloc(1, sizeof *team, "the replicas", err);
    if (!team)
        return VOX_ERR_MEMORY;
    team->graph = opt->graph;
    team->batch = opt->batch;
    team->part = opt->parts > 1 ? (opt->batch + opt->parts - 1) / opt->parts : opt->batch;
    team->size = vox_ctx_device_count(ctx);
    team->sample_floats = (size_t)vox_sample_floats(&opt->graph->input, VOX_LAYOUT_PLAIN);
    team->sample_labels = vox_graph_labels(opt->graph);
    vox_status s = check_loss(team, err);
    if (s == VOX_OK)
        s = make_lists(team, err);
    if (s == VOX_OK)
        s = open_replicas(team, ctx, opt, err);
    if (s == VOX_OK)
        s = open_meeting(team, opt->training, err);
    if (s != VOX_OK)
        vox_team_free(&team);
    *out = team;
    return s;
}

void vox_team_free(vox_team **teamp)
{
    vox_team *team = teamp ? *teamp : NULL;
    if (!team)
        return;
    for (size_t i = 0; team->member && i < team->size; i++)
        vox_replica_free(&team->member[i].replica);
    vox_meeting_free(&team->meeting);
    vox_pool_free(&team->pool);
    vox_tree_release(&team->tree);
    free(team->member);
    free(team->count);
    free(team->first);
    free(team->in);
    for (int k = 0; k < WORK_KINDS; k++)
        free(team->ran[k]);
    free(team);
    *teamp = NULL;
}

size_t vox_team_size(const vox_team *team)
{
    return team->size;
}

size_t vox_team_output(const vox_team *team)
{
    return (size_t)vox_sample_floats(vox_graph_edge_shape(team->graph, team->graph->layers),
                                     VOX_LAYOUT_PLAIN);
}

vox_replica *vox_team_replica(vox_team *team, size_t i)
{
    return team->member[i].replica;
}

void vox_team_describe(const vox_team *team, vox_str *text)
{
    char(*line)[200] = vox_calloc(team->size, sizeof *line, "a drawing", NULL);
    const char **label = vox_calloc(team->size, sizeof *label, "a drawing", NULL);
    int64_t *count = vox_calloc(team->size, sizeof *count, "a drawing", NULL);
    int64_t *first = vox_calloc(team->size, sizeof *first, "a drawing", NULL);
    if (line && label && count && first) {
        vox_shards_make(team->part, team->size, NULL, count, first);
        for (size_t i = 0; i < team->size; i++) {
            snprintf(line[i], sizeof line[i], "%s: %lld of %lld samples",
                     vox_replica_title(team->member[i].replica), (long long)count[i],
                     (long long)team->part);
            label[i] = line[i];
        }
        if (team->part < team->batch)
            vox_str_add(text,
                        "batches of %lld samples in parts of %lld, their gradients added up\n",
                        (long long)team->batch, (long long)team->part);
        if (team->size == 1)
            vox_str_add(text, "one device, no reduction\n  %s\n", label[0]);
        else
            vox_str_add(text, "reduction tree over %zu devices, %u level%s\n", team->size,
                        team->tree.levels, team->tree.levels == 1 ? "" : "s");
        if (team->size > 1)
            vox_tree_draw(&team->tree, "  ", label, text);
    } else {
        text->failed = true;
    }
    free(first);
    free(count);
    free(label);
    free(line);
}

/* ---- weights -------------------------------------------------------------- */

static vox_status set_job(vox_replica *r, void *arg, vox_error *err)
{
    return vox_replica_set_params(r, arg, err);
}

vox_status vox_team_set_params(vox_team *team, const float *flat, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t i = 0; s == VOX_OK && i < team->size; i++) {
        vox_replica_post(team->member[i].replica, set_job, (void *)(uintptr_t)flat);
        s = vox_replica_wait(team->member[i].replica, err);
    }
    return s;
}

typedef struct get_arg {
    float *flat;
    size_t bytes;
} get_arg;

static vox_status get_job(vox_replica *r, void *arg, vox_error *err)
{
    const get_arg *g = arg;
    return vox_buffer_read(vox_plan_params(vox_replica_plan(r)), 0, g->flat, g->bytes, true, err);
}

vox_status vox_team_get_params(vox_team *team, float *flat, vox_error *err)
{
    get_arg arg = {flat, team->graph->flat_floats * sizeof(float)};
    return run_first(team, get_job, &arg, err);
}

/* ---- a step --------------------------------------------------------------- */

static vox_status check_batch(const vox_team *team, const vox_team_batch *batch, vox_error *err)
{
    if (batch->n >= 1 && batch->n <= team->batch)
        return VOX_OK;
    vox_fail(err, VOX_ERR_USAGE, "a batch of %lld samples", (long long)batch->n);
    return vox_detail(err, "the devices were set up for 1 to %lld", (long long)team->batch);
}

/* Samples [from, from + n) of a batch, which the devices have at once; n 0: none. */
typedef struct part {
    const vox_team_batch *batch;
    int64_t from, n;
} part;

static part part_at(const vox_team *team, const vox_team_batch *batch, int64_t from)
{
    const int64_t left = batch->n - from;
    return (part){batch, from, left < team->part ? left : team->part};
}

/* The next one of the batch, or the first one of the next batch if that is known. */
static part part_after(const vox_team *team, const part *p)
{
    const int64_t end = p->from + p->n;
    if (end < p->batch->n)
        return part_at(team, p->batch, end);
    return p->batch->next ? part_at(team, p->batch->next, 0) : (part){0};
}

/* One member's share; team->count and first are set for the part. */
static vox_share share_of(const vox_team *team, size_t i, const part *p)
{
    const int64_t first = p->from + team->first[i];
    const vox_team_batch *b = p->batch;
    return (vox_share){
        .voxel = b->voxel + (size_t)first * team->sample_floats,
        .label = b->label ? b->label + (size_t)first * team->sample_labels : NULL,
        .n = team->count[i],
        .first = first,
        .step = b->step,
        .scale = 1.0f / (float)b->n,
        .all = team->meeting ? p->n : 0,
    };
}

/* Sets everyone's share of a part, and of the one after it. */
static void share_out(vox_team *team, const part *p, float *loss)
{
    const part after = part_after(team, p);
    if (after.n) {
        vox_shards_make(after.n, team->size, NULL, team->count, team->first);
        for (size_t i = 0; i < team->size; i++)
            team->member[i].next = share_of(team, i, &after);
    }
    vox_shards_make(p->n, team->size, NULL, team->count, team->first);
    for (size_t i = 0; i < team->size; i++) {
        member *m = &team->member[i];
        m->host = NULL;
        m->share = share_of(team, i, p);
        m->share.loss = loss ? loss + m->share.first : NULL;
        m->share.next = after.n ? &m->next : NULL;
        m->share.accumulate = p->from > 0 && m->started;
        m->started = m->share.n > 0 || m->share.accumulate;
    }
}

/* The work that was enqueued is waited for even after an error. */
static vox_status finish(vox_replica *r, vox_status s, vox_error *err)
{
    vox_status done = vox_replica_finish(r, s == VOX_OK ? err : NULL);
    return s == VOX_OK ? done : s;
}

static vox_status gradients_job(vox_replica *r, void *arg, vox_error *err)
{
    return finish(r, vox_replica_gradients(r, &((member *)arg)->share, err), err);
}

static vox_status take_job(vox_replica *r, void *arg, vox_error *err)
{
    return vox_replica_take(r, VOX_FLAT_GRADS, &((member *)arg)->host, err);
}

static vox_status give_job(vox_replica *r, void *arg, vox_error *err)
{
    (void)arg;
    return vox_replica_give(r, VOX_FLAT_GRADS, false, err);
}

static vox_status call_update(vox_team *team, vox_replica *r, vox_error *err)
{
    vox_device_label(vox_replica_device(r), VOX_LABEL_UPDATE);
    return team->update(r, team->update_arg, err);
}

/* The only replica, once the gradients of all parts are added up. */
static vox_status last_job(vox_replica *r, void *arg, vox_error *err)
{
    return finish(r, call_update(arg, r, err), err);
}

/* The only replica: all of a step in one go. */
static vox_status whole_step_job(vox_replica *r, void *arg, vox_error *err)
{
    vox_team *team = arg;
    vox_status s = vox_replica_gradients(r, &team->member[0].share, err);
    if (s == VOX_OK)
        s = call_update(team, r, err);
    return finish(r, s, err);
}

/* Replica 0 of several: the sum goes in, the weights change and come out. */
static vox_status update_job(vox_replica *r, void *arg, vox_error *err)
{
    vox_team *team = arg;
    float *weights = NULL;
    vox_status s = vox_replica_give(r, VOX_FLAT_GRADS, true, err);
    if (s == VOX_OK)
        s = call_update(team, r, err);
    if (s == VOX_OK)
        s = vox_replica_take(r, VOX_FLAT_PARAMS, &weights, err);
    team->weights = weights;
    return s;
}

static vox_status weights_back_job(vox_replica *r, void *arg, vox_error *err)
{
    (void)arg;
    return vox_replica_give(r, VOX_FLAT_PARAMS, false, err);
}

static void sum_gradients(vox_team *team)
{
    for (size_t i = 0; i < team->size; i++)
        team->in[i] = team->member[i].started ? team->member[i].host : NULL;
    vox_tree_sum(&team->tree, team->in, team->member[0].host, team->graph->flat_floats, team->pool);
}

/* The others overwrite their weights at once, each on its own thread. */
static vox_status broadcast(vox_team *team, vox_error *err)
{
    vox_status first = VOX_OK;
    for (size_t i = 1; i < team->size; i++)
        vox_replica_post(team->member[i].replica, set_job, (void *)(uintptr_t)team->weights);
    for (size_t i = 1; i < team->size; i++) {
        vox_status s = vox_replica_wait(team->member[i].replica, first == VOX_OK ? err : NULL);
        if (first == VOX_OK)
            first = s;
    }
    vox_status s = run_first(team, weights_back_job, NULL, first == VOX_OK ? err : NULL);
    return first == VOX_OK ? s : first;
}

static vox_status reduce_and_update(vox_team *team, vox_error *err)
{
    vox_status s = run_all(team, 0, true, take_job, err);
    if (s != VOX_OK)
        return s;
    sum_gradients(team);
    s = run_all(team, 1, true, give_job, err);
    if (s == VOX_OK)
        s = run_first(team, update_job, team, err);
    return s == VOX_OK ? broadcast(team, err) : s;
}

static bool all_finite(const float *loss, int64_t n)
{
    bool finite = true;
    for (int64_t i = 0; i < n; i++)
        finite = finite && isfinite(loss[i]);
    return finite;
}

bool vox_team_looks(const vox_team *team, int64_t n)
{
    return team->size > 1 || n > team->part;
}

static vox_status check_batches(const vox_team *team, const vox_team_batch *batch, vox_error *err)
{
    vox_status s = check_batch(team, batch, err);
    return s == VOX_OK && batch->next ? check_batch(team, batch->next, err) : s;
}

vox_status vox_team_step(vox_team *team, const vox_team_batch *batch, vox_replica_fn update,
                         void *arg, float *loss, vox_error *err)
{
    vox_status s = check_batches(team, batch, err);
    bool finite = true;
    team->update = update;
    team->update_arg = arg;
    for (int64_t from = 0; s == VOX_OK && finite && from < batch->n; from += team->part) {
        const part p = part_at(team, batch, from);
        share_out(team, &p, loss);
        if (!vox_team_looks(team, batch->n))
            return run_first(team, whole_step_job, team, err);
        s = run_batch(team, WORK_GRADIENTS, p.n, gradients_job, err);
        finite = s == VOX_OK && all_finite(loss + from, p.n);
    }
    if (s != VOX_OK || !finite)
        return s;
    return team->size == 1 ? run_first(team, last_job, team, err) : reduce_and_update(team, err);
}

/* ---- evaluation ----------------------------------------------------------- */

static vox_status eval_job(vox_replica *r, void *arg, vox_error *err)
{
    member *m = arg;
    return vox_replica_forward(r, &m->share, m->output, err);
}

vox_status vox_team_eval(vox_team *team, const vox_team_batch *batch, float *output, float *loss,
                         vox_error *err)
{
    vox_status s = check_batches(team, batch, err);
    for (int64_t from = 0; s == VOX_OK && from < batch->n; from += team->part) {
        const part p = part_at(team, batch, from);
        share_out(team, &p, loss);
        for (size_t i = 0; i < team->size; i++)
            team->member[i].output =
                output + (size_t)team->member[i].share.first * vox_team_output(team);
        s = run_batch(team, WORK_EVAL, p.n, eval_job, err);
    }
    return s;
}

typedef struct find_arg {
    int64_t n;
    const char *layer;
} find_arg;

static vox_status find_job(vox_replica *r, void *arg, vox_error *err)
{
    find_arg *find = arg;
    return vox_plan_find_nonfinite(vox_replica_plan(r), find->n, &find->layer, err);
}

vox_status vox_team_find_nonfinite(vox_team *team, char layer[64], vox_error *err)
{
    layer[0] = '\0';
    for (size_t i = 0; i < team->size && !layer[0]; i++) {
        const vox_share *share = &team->member[i].share;
        if (all_finite(share->loss, share->n))
            continue;
        find_arg arg = {share->n, NULL};
        vox_replica_post(team->member[i].replica, find_job, &arg);
        vox_status s = vox_replica_wait(team->member[i].replica, err);
        if (s != VOX_OK)
            return s;
        if (arg.layer)
            snprintf(layer, 64, "%s", arg.layer);
    }
    return VOX_OK;
}
