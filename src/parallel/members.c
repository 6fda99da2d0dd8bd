/* members.c - the devices' replicas: setting them up for so many samples at once. */
#include "base/log.h"
#include "ops/loss.h"
#include "parallel/team_parts.h"

#include <string.h>

static vox_status exchange(void *user, const vox_node *node, vox_pass pass, vox_join_fn join,
                           float *values, size_t floats, vox_error *err)
{
    vox_member *m = user;
    vox_meter *meter = vox_replica_work_meter(m->replica);
    const vox_span span = vox_span_begin("meet", "wait");
    const vox_phase was = vox_meter_set(meter, VOX_PHASE_WAIT);
    vox_status s = vox_meeting_exchange(m->team->meeting, (size_t)(m - m->team->member), node, pass,
                                        join, values, floats, err);
    vox_meter_set(meter, was);
    vox_span_end(&span);
    return s;
}

static vox_status start_member(vox_team *team, size_t i, int64_t n, vox_error *err)
{
    vox_replica_options opt = team->options;
    opt.n_max = team->member[i].limit = n > 0 ? n : 1;
    return vox_replica_open(&team->member[i].replica, i, vox_ctx_get(team->ctx, i), &opt, err);
}

static vox_status finish_member(vox_team *team, size_t i, vox_error *err)
{
    vox_member *m = &team->member[i];
    vox_status s = vox_replica_wait(m->replica, err);
    if (s == VOX_OK)
        s = vox_faults_at_start(&team->faults, team->fleet.own + i, m->limit, err);
    return s == VOX_OK && team->meeting
               ? vox_plan_set_exchange(vox_replica_plan(m->replica), exchange, m, err)
               : s;
}

static bool can_halve(const vox_team *team)
{
    return !team->meeting && !vox_loss_per_batch(&team->graph->loss.node);
}

/* One that has no room for its share at once gets half of that at a time, its gradients being added
 * up; not if it exchanges numbers in mid-step, as then all are at it together. */
static vox_status settle_member(vox_team *team, size_t i, vox_error *err)
{
    vox_member *m = &team->member[i];
    vox_status s = finish_member(team, i, err);
    const int64_t wanted = m->limit;
    while (s == VOX_ERR_ROOM && m->limit > 1 && can_halve(team)) {
        vox_replica_free(&m->replica);
        s = start_member(team, i, (m->limit + 1) / 2, err);
        if (s == VOX_OK)
            s = finish_member(team, i, err);
    }
    m->tight = m->limit < wanted;
    if (s == VOX_OK && m->tight)
        vox_log(VOX_LOG_WARN,
                "device %s has no room for %lld samples at once: it gets %lld at a time, and their "
                "gradients are added up",
                vox_replica_title(m->replica), (long long)wanted, (long long)m->limit);
    return s;
}

/* Without a device that has no room for one sample the job goes on; other errors are its own: with
 * nothing done yet, the user had better know. */
vox_status vox_team_open_members(vox_team *team, vox_error *err)
{
    vox_status first = VOX_OK;
    vox_team_split(team, team->part);
    for (size_t i = 0; first == VOX_OK && i < team->size; i++)
        first = start_member(team, i,
                             team->sync == VOX_SYNC_ASYNC ? team->count[0] : team->count[i], err);
    for (size_t i = 0; i < team->size && team->member[i].replica; i++) {
        vox_member *m = &team->member[i];
        m->status = first == VOX_OK ? settle_member(team, i, &m->why)
                                    : vox_replica_wait(m->replica, &m->why);
        m->failed = m->status == VOX_ERR_ROOM;
        if (first == VOX_OK && m->status != VOX_OK && !m->failed) {
            first = m->status;
            if (err)
                *err = m->why;
        }
    }
    if (first == VOX_OK)
        first = vox_team_drop_late(team, err);
    vox_speed_shares(team->speed, team->used);
    team->step = 1;
    if (first == VOX_OK && team->size == 1 && !team->params && team->member[0].limit < team->part)
        team->part = team->used[0] = team->member[0].limit;
    return first;
}

static vox_status weights_job(vox_replica *r, void *arg, vox_error *err)
{
    return vox_replica_set_params(r, arg, true, err);
}

/* The plan is made anew: there may be no room for both. */
static vox_status reopen(vox_team *team, size_t i, int64_t n, const vox_meter *was, vox_error *err)
{
    vox_member *m = &team->member[i];
    const vox_meter meter = *was;
    vox_replica_free(&m->replica);
    for (int k = 0; k < VOX_WORK_KINDS; k++)
        memset(m->ran[k], 0, (size_t)(team->batch + 1) * sizeof *m->ran[k]);
    vox_status s = start_member(team, i, n, err);
    if (s == VOX_OK)
        s = finish_member(team, i, err);
    if (s == VOX_OK)
        *vox_replica_meter(m->replica) = meter; /* it has waited since */
    if (s != VOX_OK || vox_replica_shares(m->replica))
        return s;
    vox_replica_post(m->replica, weights_job, team->params);
    return vox_replica_wait(m->replica, err);
}

/* All that use the model in place use it where it is now. */
static vox_status reopen_sharing(vox_team *team, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t i = 0; s == VOX_OK && i < team->size; i++) {
        const vox_member *m = &team->member[i];
        if (!m->lost && !m->failed && vox_replica_shares(m->replica))
            s = reopen(team, i, m->limit, vox_replica_meter(m->replica), err);
    }
    return s;
}

vox_status vox_team_move_model(vox_team *team, vox_error *err)
{
    const size_t bytes = (team->graph->flat_floats ? team->graph->flat_floats : 1) * sizeof(float);
    vox_host_memory *fresh = NULL;
    vox_status s = vox_host_memory_open(&fresh, bytes, "the model", err);
    if (s != VOX_OK)
        return s;
    memcpy(vox_host_memory_at(fresh), team->params, bytes);
    team->model = team->options.params = fresh; /* the one before stays for good */
    team->params = vox_host_memory_at(fresh);
    if (team->undecided)
        vox_team_put_kept(team, team->kept_before);
    return reopen_sharing(team, err);
}

vox_status vox_team_move_common_model(vox_team *team, vox_error *err)
{
    vox_status s = vox_team_move_window(team, err);
    return s == VOX_OK && team->own ? reopen_sharing(team, err) : s;
}

/* For n samples at once; or as many as before, if that will do and there is no room for more. */
static vox_status grow(vox_team *team, size_t i, int64_t n, vox_error *err)
{
    vox_member *m = &team->member[i];
    const vox_meter meter = *vox_replica_meter(m->replica);
    const int64_t before = m->limit;
    vox_status s = reopen(team, i, n, &meter, err);
    if (s != VOX_ERR_ROOM || team->meeting)
        return s;
    m->tight = true;
    return reopen(team, i, before, &meter, err);
}

vox_status vox_team_fit(vox_team *team, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t i = 0; s == VOX_OK && i < team->size; i++) {
        vox_member *m = &team->member[i];
        if (team->count[i] <= m->limit)
            continue;
        const bool stays = !team->params || team->async || m->tight || m->share.accumulate;
        if (stays && !team->meeting)
            continue; /* in pieces */
        if (!team->params) {
            vox_fail(err, VOX_ERR_UNSUPPORTED, "a device cannot be given more samples than before");
            return vox_detail(err, "%s: %lld, not %lld", vox_replica_title(m->replica),
                              (long long)m->limit, (long long)team->count[i]);
        }
        s = m->status = grow(team, i, team->count[i], &m->why);
        m->failed = vox_team_is_failure(s);
        if (s != VOX_OK && err)
            *err = m->why;
    }
    return s;
}
