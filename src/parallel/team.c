/* team.c - the replicas of a job, set up to work together: opening, describing, weights. */
#include "ops/loss.h"
#include "parallel/async.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- open and free -------------------------------------------------------- */

/* Neighbours are summed first, but by a server. */
static vox_status make_tree(vox_team *team, const vox_ctx *ctx, vox_error *err)
{
    if (team->sync == VOX_SYNC_SERVER)
        return vox_tree_init_star(&team->tree, team->size, err);
    vox_place *place = vox_calloc(team->size, sizeof *place, "the replicas' places", err);
    if (!place)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < team->size; i++)
        vox_device_place(vox_ctx_get(ctx, i), &place[i]);
    vox_status s = vox_tree_init_near(&team->tree, team->size, place, err);
    free(place);
    return s;
}

static vox_status make_lists(vox_team *team, const vox_ctx *ctx, vox_error *err)
{
    team->member = vox_calloc(team->size, sizeof *team->member, "the replicas", err);
    team->count = vox_calloc(team->size, sizeof *team->count, "the replicas", err);
    team->first = vox_calloc(team->size, sizeof *team->first, "the replicas", err);
    team->in = vox_calloc(team->size, sizeof *team->in, "the replicas", err);
    if (!team->member || !team->count || !team->first || !team->in)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < team->size; i++) {
        vox_member *m = &team->member[i];
        m->team = team;
        m->loss = vox_calloc((size_t)team->batch, sizeof *m->loss, "losses", err);
        if (!m->loss)
            return VOX_ERR_MEMORY;
        for (int k = 0; k < VOX_WORK_KINDS; k++) {
            m->ran[k] = vox_calloc((size_t)team->batch + 1, sizeof *m->ran[k], "sizes", err);
            if (!m->ran[k])
                return VOX_ERR_MEMORY;
        }
    }
    return make_tree(team, ctx, err);
}

/* The parameters that are not trained, neighbours taken together. */
static vox_status list_kept(vox_team *team, vox_error *err)
{
    const vox_graph *g = team->graph;
    team->kept = vox_calloc((size_t)g->params + 1, sizeof *team->kept, "the model", err);
    if (!team->kept)
        return VOX_ERR_MEMORY;
    for (int i = 0; i < g->params; i++) {
        const vox_graph_param *p = &g->param[i];
        vox_range *last = team->kepts ? &team->kept[team->kepts - 1] : NULL;
        if (p->desc.trainable)
            continue;
        if (last && i > 0 && !g->param[i - 1].desc.trainable)
            last->count = p->offset + p->count - last->offset;
        else
            team->kept[team->kepts++] = (vox_range){p->offset, p->count};
    }
    size_t floats = 1;
    for (size_t i = 0; i < team->kepts; i++)
        floats += team->kept[i].count;
    team->kept_before = vox_calloc(floats, sizeof *team->kept_before, "the model", err);
    bool all = team->kept_before != NULL;
    for (size_t i = 0; all && i < team->size; i++) {
        team->member[i].kept = vox_calloc(floats, sizeof *team->member[i].kept, "the model", err);
        all = team->member[i].kept != NULL;
    }
    return all ? VOX_OK : VOX_ERR_MEMORY;
}

/* The model in host memory. */
static vox_status open_model(vox_team *team, size_t bucket_bytes, vox_error *err)
{
    const size_t bytes = (team->graph->flat_floats ? team->graph->flat_floats : 1) * sizeof(float);
    vox_status s = vox_pool_open(&team->pool, 0, err);
    if (s != VOX_OK)
        return s;
    if (!team->model)
        s = vox_host_memory_open(&team->model, bytes, "the model", err);
    if (s != VOX_OK)
        return s;
    team->params = vox_host_memory_at(team->model);
    s = list_kept(team, err);
    return s == VOX_OK ? vox_buckets_cut(team->graph, team->factors.has,
                                         bucket_bytes ? bucket_bytes : VOX_BUCKET_BYTES,
                                         &team->bucket, &team->buckets, err)
                       : s;
}

/* Before the model is opened. */
static vox_status open_factors(vox_team *team, vox_error *err)
{
    const size_t batch = (size_t)team->batch;
    vox_status s = vox_factors_init(&team->factors, team->graph, team->batch, err);
    for (size_t i = 0; s == VOX_OK && i < team->size; i++) {
        vox_member *m = &team->member[i];
        m->factors = vox_calloc(batch * team->factors.row + 1, sizeof *m->factors, "factors", err);
        s = m->factors ? VOX_OK : VOX_ERR_MEMORY;
    }
    return s;
}

static vox_status make_lists_of_all(vox_team *team, vox_error *err)
{
    const size_t all = team->fleet.count;
    team->used = vox_calloc(all, sizeof *team->used, "the devices", err);
    team->seconds = vox_calloc(all, sizeof *team->seconds, "the devices", err);
    team->gone = vox_calloc(all, sizeof *team->gone, "the devices", err);
    team->every = vox_calloc(all, sizeof *team->every, "the devices", err);
    team->begin = vox_calloc(all, 2 * sizeof *team->begin, "the devices", err);
    team->lock = vox_calloc(1, sizeof *team->lock, "the devices", err);
    if (team->lock)
        pthread_mutex_init(team->lock, NULL);
    return team->used && team->seconds && team->gone && team->every && team->begin && team->lock
               ? VOX_OK
               : VOX_ERR_MEMORY;
}

/* Layers that take statistics over the whole batch exchange numbers in mid-step. */
static bool meets(const vox_team *team, bool training)
{
    return vox_graph_exchanges(team->graph, false) ||
           (training && vox_graph_exchanges(team->graph, true));
}

static vox_status open_speed(vox_team *team, const vox_team_options *opt, vox_error *err)
{
    const bool all_speak = team->before && meets(team, opt->training);
    const vox_speed_options speed = {.devices = team->fleet.count,
                                     .batch = team->part,
                                     .weight = opt->sync == VOX_SYNC_ASYNC ? NULL : opt->weight,
                                     .fixed = opt->shard != VOX_SHARD_AUTO ||
                                              opt->sync == VOX_SYNC_ASYNC,
                                     .group = team->before,
                                     .groups = all_speak ? team->fleet.ranks : 0};
    vox_status s = make_lists_of_all(team, err);
    if (s == VOX_OK)
        s = vox_speed_open(&team->speed, &speed, err);
    if (s == VOX_OK)
        vox_speed_shares(team->speed, team->used);
    return s;
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

/* What the devices have of a batch at once. */
static vox_status set_part(vox_team *team, int64_t parts, vox_error *err)
{
    team->part = parts > 1 ? (team->batch + parts - 1) / parts : team->batch;
    return check_loss(team, err);
}

/* The replicas of networks with layers that take statistics over the whole batch meet. */
static vox_status open_meeting(vox_team *team, bool training, vox_error *err)
{
    const bool several = team->size > 1 || team->before;
    vox_status s = several && meets(team, training)
                       ? vox_meeting_open(&team->meeting, team->size, err)
                       : VOX_OK;
    return s == VOX_OK && team->meeting && team->before ? vox_team_meet_hosts(team, err) : s;
}

vox_status vox_team_open(vox_team **out, const vox_ctx *ctx, const vox_team_options *opt,
                         vox_error *err)
{
    *out = NULL;
    vox_team *team = vox_calloc(1, sizeof *team, "the replicas", err);
    if (!team)
        return VOX_ERR_MEMORY;
    team->ctx = ctx;
    team->graph = opt->graph;
    team->batch = opt->batch;
    team->hosts = opt->hosts;
    team->size = vox_ctx_device_count(ctx);
    team->sync = opt->sync;
    team->hang_s = opt->hang_s;
    team->sample_floats = (size_t)vox_sample_floats(&opt->graph->input, VOX_LAYOUT_PLAIN);
    team->sample_labels = vox_graph_labels(opt->graph);
    vox_status s = vox_team_join_hosts(team, err);
    if (s == VOX_OK)
        s = vox_faults_parse(&team->faults, getenv(VOX_FAULT_VARIABLE), team->fleet.count, err);
    if (s == VOX_OK && team->before && opt->training)
        s = vox_team_open_window(team, opt->room_bytes, err);
    if (s == VOX_OK)
        s = set_part(team, opt->parts, err);
    if (s == VOX_OK)
        s = make_lists(team, ctx, err);
    if (s == VOX_OK)
        s = open_speed(team, opt, err);
    const bool on_host = opt->training && (opt->on_host || opt->sync == VOX_SYNC_ASYNC ||
                                           team->before || team->size > 1);
    if (s == VOX_OK && on_host && opt->sync != VOX_SYNC_ASYNC && !opt->whole_gradients)
        s = open_factors(team, err);
    if (s == VOX_OK && on_host)
        s = open_model(team, opt->bucket_bytes, err);
    if (s == VOX_OK && team->before && team->params)
        s = vox_team_open_sums(team, err);
    team->options =
        (vox_replica_options){.graph = opt->graph,
                              .training = opt->training,
                              .augment = opt->augment,
                              .seed = opt->seed,
                              .algo = opt->algo,
                              .workspace = opt->workspace,
                              .memory = opt->memory,
                              .times = opt->times,
                              .copy = opt->copy,
                              .params = opt->sync == VOX_SYNC_ASYNC ? NULL : team->model,
                              .grads = team->size == 1 ? team->own : NULL,
                              .bucket = team->bucket,
                              .buckets = team->buckets,
                              .factors = team->factors.layers ? &team->factors : NULL};
    if (s == VOX_OK)
        s = open_meeting(team, opt->training, err);
    if (s == VOX_OK)
        s = vox_team_open_members(team, err);
    if (team->before)
        s = vox_hosts_agree(team->hosts, s, err);
    if (s == VOX_OK && team->before)
        s = vox_team_tell_left_out(team, err);
    if (s == VOX_OK && opt->training && opt->sync == VOX_SYNC_ASYNC)
        s = vox_async_open(
            &team->async, team,
            opt->staleness < 0 ? vox_team_usual_staleness(team->size) : opt->staleness, err);
    if (s != VOX_OK)
        vox_team_free(&team);
    *out = team;
    return s;
}

static void free_lists_of_all(vox_team *team)
{
    vox_speed_free(&team->speed);
    vox_fleet_release(&team->fleet);
    if (team->lock)
        pthread_mutex_destroy(team->lock);
    free(team->lock);
    free(team->used);
    free(team->seconds);
    free(team->gone);
    free(team->every);
    free(team->begin);
}

void vox_team_free(vox_team **teamp)
{
    vox_team *team = teamp ? *teamp : NULL;
    if (!team)
        return;
    const bool hangs = vox_team_hangs(team) > 0;
    for (size_t i = 0; team->member && i < team->size; i++) {
        if (!team->member[i].hung)
            vox_replica_free(&team->member[i].replica);
        if (hangs)
            continue;
        free(team->member[i].loss);
        free(team->member[i].factors);
        free(team->member[i].output);
        free(team->member[i].kept);
        for (int k = 0; k < VOX_WORK_KINDS; k++)
            free(team->member[i].ran[k]);
    }
    vox_team_leave_hosts(team);
    if (hangs) { /* the thread that does may come to life again */
        vox_leave_behind(team);
        *teamp = NULL;
        return;
    }
    vox_async_free(&team->async);
    vox_meeting_free(&team->meeting);
    vox_pool_free(&team->pool);
    vox_tree_release(&team->tree);
    free(team->member);
    free(team->count);
    free(team->first);
    free_lists_of_all(team);
    vox_faults_release(&team->faults);
    free(team->in);
    vox_host_memory_free(&team->model);
    vox_host_memory_free(&team->own);
    vox_host_window_free(&team->window);
    free(team->bucket);
    vox_factors_release(&team->factors);
    free(team->kept);
    free(team->kept_before);
    free(team);
    *teamp = NULL;
}

size_t vox_team_size(const vox_team *team)
{
    return team->size;
}

const vox_fleet *vox_team_fleet(const vox_team *team)
{
    return &team->fleet;
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

vox_team_times vox_team_last_times(const vox_team *team)
{
    return team->times;
}

double vox_team_busy(const vox_team *team, size_t i)
{
    return team->member[i].started ? team->member[i].busy_s : 0;
}

vox_device *vox_team_home(const vox_team *team)
{
    return team->params ? NULL : vox_replica_device(team->member[0].replica);
}

static void describe_scheme(const vox_team *team, const char *const *label, vox_str *text)
{
    const size_t n = team->size;
    if (team->async)
        vox_str_add(text,
                    "server for %zu device%s, each share an update of its own, at most %lld late\n",
                    n, n == 1 ? "" : "s", (long long)vox_team_last_staleness(team, true).bound);
    else if (n == 1 && !team->before)
        vox_str_add(text, "one device, no reduction\n");
    else if (n > 1 && team->sync == VOX_SYNC_SERVER)
        vox_str_add(text, "server for %zu devices, whose gradients it takes in in turn\n", n);
    else if (n > 1)
        vox_str_add(text, "reduction tree over %zu devices, %u level%s\n", n, team->tree.levels,
                    team->tree.levels == 1 ? "" : "s");
    for (size_t i = 0; i < n && (team->async || (n == 1 && !team->before)); i++)
        vox_str_add(text, "  %s\n", label[i]);
    if (n > 1 && !team->async)
        vox_tree_draw(&team->tree, "  ", label, text);
}

void vox_team_describe(const vox_team *team, vox_str *text)
{
    char(*line)[200] = vox_calloc(team->size, sizeof *line, "a drawing", NULL);
    const char **label = vox_calloc(team->size, sizeof *label, "a drawing", NULL);
    int64_t *count = vox_calloc(team->fleet.count, sizeof *count, "a drawing", NULL);
    if (team->before)
        vox_team_describe_hosts(team, text);
    if (line && label && count) {
        vox_team_shares(team, count);
        for (size_t i = 0; i < team->size; i++) {
            snprintf(line[i], sizeof line[i], "%s: %lld of %lld samples%s",
                     vox_replica_title(team->member[i].replica),
                     (long long)count[team->fleet.own + i], (long long)team->part,
                     team->async ? " or another share" : "");
            label[i] = line[i];
        }
        if (team->part < team->batch)
            vox_str_add(text,
                        "batches of %lld samples in parts of %lld, their gradients added up\n",
                        (long long)team->batch, (long long)team->part);
        describe_scheme(team, label, text);
        vox_factors_describe(&team->factors, team->graph, text);
    } else {
        text->failed = true;
    }
    free(count);
    free(label);
    free(line);
}

/* ---- weights -------------------------------------------------------------- */

static vox_status set_job(vox_replica *r, void *arg, vox_error *err)
{
    return vox_replica_set_params(r, arg, true, err);
}

vox_status vox_team_set_params(vox_team *team, const float *flat, vox_error *err)
{
    vox_status s = VOX_OK;
    if (team->params)
        return vox_team_put_model(team, flat, err);
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
    if (!team->params)
        return vox_team_run_first(team, get_job, &arg, err);
    memcpy(flat, team->params, arg.bytes);
    return VOX_OK;
}
