/* reduce.c - the model on the host: from the members' gradients to new weights on all of them.
 *
 * Members whose device memory is host memory use the model's weights where they are; the others
 * have copies.  Either way the model is the host's only between take_model and send_job.
 *
 * The order of a sum is the tree's, bucket by bucket: never that in which gradients arrive. */
#include "parallel/team_parts.h"

#include <string.h>

/* The member whose running statistics are the network's. */
static const vox_member *leader(const vox_team *team)
{
    for (size_t i = 0; i < team->size; i++)
        if (team->member[i].started)
            return &team->member[i];
    return NULL; /* this rank had nothing to do */
}

static vox_status take_model(vox_member *m, vox_error *err)
{
    return vox_replica_shares(m->replica)
               ? vox_replica_take_params(m->replica, err)
               : vox_replica_finish(m->replica, err); /* what was sent is there */
}

static vox_status take_job(vox_replica *r, void *arg, vox_error *err)
{
    vox_member *m = arg;
    vox_status s = take_model(m, err);
    const bool leads = m->started && m == leader(m->team);
    return s == VOX_OK && leads && !vox_replica_shares(r) ? vox_team_read_kept(r, m, err) : s;
}

static vox_status take_model_job(vox_replica *r, void *arg, vox_error *err)
{
    (void)r;
    return take_model(arg, err);
}

static vox_status give_back_job(vox_replica *r, void *arg, vox_error *err)
{
    (void)arg;
    return vox_buckets_give_back(vox_replica_buckets(r), err);
}

/* The model goes to the member; copies are on their way while the host goes on. */
static vox_status send_job(vox_replica *r, void *arg, vox_error *err)
{
    vox_status s = give_back_job(r, arg, err);
    if (s != VOX_OK)
        return s;
    return vox_replica_shares(r)
               ? vox_replica_give_params(r, err)
               : vox_replica_set_params(r, ((vox_member *)arg)->team->params, false, err);
}

/* The model is the host's; those that fail at it are lost. */
static vox_status take_from_all(vox_team *team, vox_error *err)
{
    vox_status s = vox_team_drop_late(team, err);
    while (s == VOX_OK && (s = vox_team_run(team, VOX_ALL, take_model_job, err)) != VOX_OK) {
        vox_team_run(team, VOX_ALL, send_job, NULL); /* the others have theirs back */
        s = vox_team_is_failure(s) ? vox_team_drop_late(team, err) : s;
        if (s != VOX_OK)
            return s;
    }
    return s;
}

vox_status vox_team_put_model(vox_team *team, const float *flat, vox_error *err)
{
    vox_status s = take_from_all(team, err);
    if (s == VOX_OK)
        s = vox_team_meet(team, err);
    if (s != VOX_OK)
        return s;
    if (vox_team_writes(team))
        memcpy(team->params, flat, team->graph->flat_floats * sizeof(float));
    s = vox_team_meet(team, err);
    if (s != VOX_OK)
        return s;
    s = vox_team_run(team, VOX_ALL, send_job, err);
    return vox_team_is_failure(s) ? vox_team_drop_late(team, err) : s;
}

/* The sum goes to the first member's place: no memory of its own; or where the other ranks of this
 * host see it. */
static float *place_of_sum(const vox_team *team)
{
    const vox_member *m = leader(team);
    if (team->own)
        return vox_team_own_sum(team);
    return m ? vox_buckets_host(vox_replica_buckets(m->replica)) : team->none;
}

/* One that is late counts as hanging, even if it came a moment after: the sum is not made again. */
static vox_status await(vox_member *m, size_t bucket, vox_error *err)
{
    const double limit = vox_team_limit(m);
    bool late;
    vox_status s = vox_buckets_await(vox_replica_buckets(m->replica), bucket, limit, &late, err);
    if (late)
        vox_team_give_up(m, limit);
    return s;
}

vox_status vox_team_sum(vox_team *team, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t b = 0; b < team->buckets; b++) {
        const vox_range *range = &team->bucket[b];
        const vox_span wait = vox_span_begin("wait for gradients", "wait");
        for (size_t i = 0; i < team->size; i++) {
            vox_buckets *from = vox_replica_buckets(team->member[i].replica);
            team->in[i] = NULL;
            if (s != VOX_OK || !team->member[i].started)
                continue;
            s = await(&team->member[i], b, err);
            team->in[i] = vox_buckets_host(from) + range->offset;
        }
        vox_span_end(&wait);
        if (s != VOX_OK)
            break;
        const vox_span span = vox_span_begin("sum gradients", "reduce");
        vox_tree_sum(&team->tree, team->in, place_of_sum(team) + range->offset, range->count,
                     team->pool);
        const vox_trace_arg bytes = {.key = "bytes",
                                     .number = (double)range->count * sizeof(float)};
        vox_span_end_with(&span, &bytes, 1);
        vox_team_start_hosts(team, b, place_of_sum(team) + range->offset);
    }
    return s;
}

vox_status vox_team_update_model(vox_team *team, vox_error *err)
{
    const vox_team_update *update = team->update;
    vox_status s = vox_team_run(team, VOX_ALL, take_job, err);
    if (s != VOX_OK) { /* the others have theirs back, as it was */
        vox_team_run(team, VOX_ALL, send_job, NULL);
        return s;
    }
    const vox_member *first = leader(team);
    if (first && !vox_replica_shares(first->replica) && vox_team_keeps(team))
        vox_team_put_kept(team, first->kept);
    s = vox_team_share_kept(team, err);
    vox_team_phase(team, VOX_PHASE_UPDATE);
    const double start = vox_now();
    const vox_span span = vox_span_begin("update", "update");
    if (s == VOX_OK)
        s = update->host(update->arg, team->params,
                         team->own ? vox_team_common_sum(team) : place_of_sum(team),
                         team->factors.layers ? &team->factors : NULL, team->pool, err);
    if (s == VOX_OK)
        s = vox_team_meet(team, err);
    team->changed = s == VOX_OK;
    team->undecided = false;
    vox_span_end(&span);
    vox_team_phase(team, VOX_PHASE_WAIT);
    const double updated = vox_now();
    vox_status sent = vox_team_run(team, VOX_ALL, send_job, s == VOX_OK ? err : NULL);
    team->times.update_s = updated - start;
    team->times.send_s = vox_now() - updated;
    return s == VOX_OK ? sent : s;
}

vox_status vox_team_drop_sum(vox_team *team, vox_error *err)
{
    return vox_team_run(team, VOX_ALL, give_back_job, err);
}

/* ---- running statistics ---------------------------------------------------- */

vox_status vox_team_read_kept(const vox_replica *r, vox_member *m, vox_error *err)
{
    const vox_team *team = m->team;
    vox_buffer *params = vox_plan_params(vox_replica_plan(r));
    vox_status s = VOX_OK;
    float *to = m->kept;
    for (size_t i = 0; s == VOX_OK && i < team->kepts; to += team->kept[i++].count)
        s = vox_buffer_read(params, team->kept[i].offset * sizeof *to, to,
                            team->kept[i].count * sizeof *to, true, err);
    return s;
}

void vox_team_put_kept(vox_team *team, const float *from)
{
    for (size_t i = 0; i < team->kepts; from += team->kept[i++].count)
        memcpy(team->params + team->kept[i].offset, from, team->kept[i].count * sizeof *from);
}

/* The leader may change those in the model itself, and a step may have to be done again. */
void vox_team_save_kept(vox_team *team)
{
    float *to = team->kept_before;
    for (size_t i = 0; vox_team_keeps(team) && i < team->kepts; to += team->kept[i++].count)
        memcpy(to, team->params + team->kept[i].offset, team->kept[i].count * sizeof *to);
    team->undecided = true;
}

vox_status vox_team_restore_kept(vox_team *team, vox_error *err)
{
    vox_status s = team->kepts ? vox_team_run(team, VOX_ALL, take_model_job, err) : VOX_OK;
    if (s != VOX_OK || team->kepts == 0)
        return s;
    if (vox_team_keeps(team))
        vox_team_put_kept(team, team->kept_before);
    return vox_team_run(team, VOX_ALL, send_job, err);
}
