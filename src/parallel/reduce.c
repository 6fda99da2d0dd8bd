/* reduce.c - from the members' gradients to new weights on all of them, through host memory. */
#include "parallel/team_parts.h"

/* Running statistics are those of the first member at work. */
static vox_status take_kept(vox_member *m, vox_error *err)
{
    vox_team *team = m->team;
    vox_buffer *params = vox_plan_params(vox_replica_plan(m->replica));
    vox_status s = VOX_OK;
    for (size_t i = 0; s == VOX_OK && i < team->kepts; i++) {
        const vox_range *k = &team->kept[i];
        s = vox_buffer_read(params, k->offset * sizeof(float), team->params + k->offset,
                            k->count * sizeof(float), true, err);
    }
    return s;
}

static vox_member *leader(const vox_team *team)
{
    size_t i = 0;
    while (!team->member[i].started)
        i++;
    return &team->member[i];
}

static vox_status take_job(vox_replica *r, void *arg, vox_error *err)
{
    vox_member *m = arg;
    vox_status s = VOX_OK;
    m->host = NULL;
    if (m == leader(m->team))
        s = take_kept(m, err);
    return s == VOX_OK && m->started ? vox_replica_take(r, VOX_FLAT_GRADS, &m->host, err) : s;
}

static vox_status send_job(vox_replica *r, void *arg, vox_error *err)
{
    vox_member *m = arg;
    vox_status s = m->host ? vox_replica_give(r, VOX_FLAT_GRADS, false, err) : VOX_OK;
    m->host = NULL;
    return s == VOX_OK ? vox_replica_set_params(r, m->team->params, err) : s;
}

vox_status vox_team_send_params(vox_team *team, vox_error *err)
{
    return vox_team_run(team, true, send_job, err);
}

vox_status vox_team_reduce(vox_team *team, vox_error *err)
{
    float *sum = NULL;
    vox_status s = vox_team_run(team, true, take_job, err);
    if (s != VOX_OK)
        return s;
    for (size_t i = 0; i < team->size; i++) {
        team->in[i] = team->member[i].host;
        if (!sum)
            sum = team->member[i].host; /* where the sum goes: no memory of its own */
    }
    vox_tree_sum(&team->tree, team->in, sum, team->graph->flat_floats, team->pool);
    s = team->update->host(team->update->arg, team->params, sum, team->pool, err);
    vox_status sent = vox_team_send_params(team, s == VOX_OK ? err : NULL);
    return s == VOX_OK ? sent : s;
}
