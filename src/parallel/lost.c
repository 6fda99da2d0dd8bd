/* lost.c - devices that fail: their samples go to the others, and the job goes on without them. */
#include "base/log.h"
#include "parallel/team_parts.h"

#include <stdio.h>
#include <string.h>

bool vox_team_is_failure(vox_status s)
{
    return s == VOX_ERR_DEVICE || s == VOX_ERR_ROOM;
}

static void note_why(vox_member *m, int64_t step)
{
    const char *title = vox_replica_title(m->replica);
    m->lost = true;
    m->failed = false;
    m->lost_step = step;
    snprintf(m->reason, sizeof m->reason, "%s%s%s", m->why.message, m->why.detail[0] ? ": " : "",
             m->why.detail);
    if (step > 0)
        vox_log(VOX_LOG_WARN, "step %lld: device %s is lost, the job goes on without it",
                (long long)step, title);
    else
        vox_log(VOX_LOG_WARN, "device %s is left out", title);
    vox_log(VOX_LOG_WARN, "  %s", m->reason);
}

vox_status vox_team_drop_failed(vox_team *team, int64_t step, vox_status s, vox_error *err)
{
    size_t failed = 0, left = 0;
    for (size_t i = 0; i < team->size; i++) {
        failed += team->member[i].failed;
        left += !team->member[i].failed && !team->member[i].lost;
    }
    if (failed == 0 || left == 0)
        return s;
    for (size_t i = 0; i < team->size; i++) {
        vox_speed_change change;
        if (!team->member[i].failed)
            continue;
        note_why(&team->member[i], step);
        vox_speed_lose(team->speed, i, &change);
        if (step > 0)
            vox_team_tell_shares(team, (uint64_t)step - 1, &change);
    }
    if (err)
        *err = (vox_error){0};
    return VOX_OK;
}

/* Every rank keeps its samples, so each that has lost a device must have another. */
vox_status vox_team_drop_over_hosts(vox_team *team, vox_status s, vox_error *err)
{
    unsigned stuck = !vox_team_is_failure(s);
    size_t failed = 0, left = 0;
    if (!vox_hosts_agreed(team->hosts))
        return s; /* the others do not know of it */
    for (size_t i = 0; i < team->size; i++) {
        failed += team->member[i].failed;
        left += !team->member[i].failed && !team->member[i].lost;
    }
    stuck |= failed > 0 && left == 0;
    vox_status voted = vox_hosts_vote(team->hosts, VOX_OK, &stuck, err);
    if (voted != VOX_OK || stuck)
        return voted != VOX_OK ? voted : s;
    if (failed > 0)
        return vox_team_drop_failed(team, team->step, s, err);
    if (err)
        *err = (vox_error){0};
    return VOX_OK;
}

vox_status vox_team_drop_late(vox_team *team, vox_error *err)
{
    for (size_t i = 0; i < team->size; i++) {
        const vox_member *m = &team->member[i];
        if (!m->failed)
            continue;
        if (err)
            *err = m->why;
        return vox_team_drop_failed(team, team->step, m->status, err);
    }
    return VOX_OK;
}

bool vox_team_lost(const vox_team *team, size_t i, int64_t *step, const char **reason)
{
    const vox_member *m = &team->member[i];
    *step = m->lost_step;
    *reason = m->reason;
    return m->lost;
}

bool vox_team_intact(const vox_team *team)
{
    return team->params || !team->changed;
}
