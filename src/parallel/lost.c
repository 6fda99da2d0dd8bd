/* lost.c - devices that fail: their samples go to the others, and the job goes on without them. */
#include "base/log.h"
#include "parallel/team_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool vox_team_is_failure(vox_status s)
{
    return s == VOX_ERR_DEVICE || s == VOX_ERR_ROOM;
}

/* ---- those that hang -------------------------------------------------------- */

/* Kernels may be compiled in a first step, for minutes; later it is a matter of the usual time. */
#define FIRST_S  600.0
#define LEAST_S  60.0
#define TIMES_AS 50.0

double vox_team_limit_of(const vox_team *team, bool first, double each, int64_t n)
{
    if (first)
        return fmax(team->hang_s, FIRST_S);
    if (team->hang_s > 0)
        return team->hang_s;
    return isnan(each) ? FIRST_S : fmax(LEAST_S, TIMES_AS * each * (double)n);
}

double vox_team_limit(const vox_member *m)
{
    const vox_team *team = m->team;
    const double each = vox_speed_of(team->speed, (size_t)(m - team->member));
    return vox_team_limit_of(team, team->fresh, each, m->share.n);
}

void vox_team_abandon(vox_member *m, double seconds)
{
    m->hung = true;
    m->status = VOX_ERR_DEVICE;
    vox_fail(&m->why, VOX_ERR_DEVICE, "the device gave no answer for %.3g s", seconds);
    vox_detail(&m->why, "device %s", vox_replica_title(m->replica));
    vox_replica_abandon(m->replica);
    if (m->team->meeting)
        vox_meeting_leave(m->team->meeting, (size_t)(m - m->team->member), m->status, &m->why);
}

/* Members that exchange numbers wait for the one that hangs: it alone is to blame, and the others
 * are told. */
static bool waits_for_another(vox_member *m, double seconds)
{
    vox_team *team = m->team;
    bool found = false;
    if (!team->meeting || !vox_meeting_waits(team->meeting, (size_t)(m - team->member)))
        return false;
    for (size_t i = 0; i < team->size; i++) {
        vox_member *other = &team->member[i];
        vox_status s;
        if (other->lost || other->failed || other->hung || other->share.n == 0 ||
            vox_meeting_waits(team->meeting, i) ||
            vox_replica_wait_for(other->replica, 0, &s, NULL))
            continue;
        vox_team_abandon(other, seconds);
        found = true;
    }
    return found;
}

vox_status vox_team_wait_for(vox_member *m, vox_error *err)
{
    const double limit = vox_team_limit(m);
    while (!m->hung && !vox_replica_wait_for(m->replica, limit, &m->status, &m->why))
        if (!waits_for_another(m, limit))
            vox_team_abandon(m, limit);
    m->failed = vox_team_is_failure(m->status);
    if (m->status != VOX_OK && err)
        *err = m->why;
    return m->status;
}

size_t vox_team_hangs(const vox_team *team)
{
    size_t hung = 0;
    for (size_t i = 0; team && team->member && i < team->size; i++)
        hung += team->member[i].hung;
    return hung;
}

/* ---- going on without them -------------------------------------------------- */

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
        if (step > 0 && !team->async) /* there, devices have no shares of their own */
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
    return team->params || (!team->changed && !vox_team_hangs(team));
}
