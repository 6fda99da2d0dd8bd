/* lost.c - devices that fail: their samples go to the others, and the job goes on without them. */
#include "base/log.h"
#include "parallel/team_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
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
    const double each = vox_speed_of(team->speed, team->fleet.own + (size_t)(m - team->member));
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

void vox_team_give_up(vox_member *m, double seconds)
{
    if (!waits_for_another(m, seconds))
        vox_team_abandon(m, seconds);
}

vox_status vox_team_wait_for(vox_member *m, vox_error *err)
{
    const double limit = vox_team_limit(m);
    while (!m->hung && !vox_replica_wait_for(m->replica, limit, &m->status, &m->why))
        vox_team_give_up(m, limit);
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

/* Whether what hangs may come to life and write to the model, which it has in place. */
static bool may_write(const vox_team *team, const vox_member *m)
{
    return m->failed && m->hung && !m->share.bystander && team->params &&
           vox_replica_shares(m->replica);
}

static void note_why(vox_team *team, vox_member *m, int64_t step)
{
    vox_gone *gone = &team->gone[team->fleet.own + (size_t)(m - team->member)];
    team->shared = team->shared || may_write(team, m);
    m->lost = true;
    m->failed = false;
    gone->lost = true;
    gone->step = step;
    snprintf(gone->reason, sizeof gone->reason, "%s%s%s", m->why.message,
             m->why.detail[0] ? ": " : "", m->why.detail);
}

static void say_why(const vox_team *team, size_t i)
{
    const vox_gone *gone = &team->gone[i];
    const char *title = team->fleet.title[i].text;
    if (gone->step > 0)
        vox_log(VOX_LOG_WARN, "step %lld: device %s is lost, the job goes on without it",
                (long long)gone->step, title);
    else
        vox_log(VOX_LOG_WARN, "device %s is left out", title);
    vox_log(VOX_LOG_WARN, "  %s", gone->reason);
}

/* Of all ranks' devices: the shares go by it from now on. */
static void lose(vox_team *team, size_t i)
{
    vox_speed_change change;
    team->gone[i].told = true;
    say_why(team, i);
    pthread_mutex_lock(team->lock);
    vox_speed_lose(team->speed, i, &change);
    pthread_mutex_unlock(team->lock);
    if (team->gone[i].step > 0 && !team->async) /* there, devices have no shares of their own */
        vox_team_tell_shares(team, (uint64_t)team->gone[i].step - 1, &change);
}

static void count_left(const vox_team *team, size_t *failed, size_t *left)
{
    *failed = *left = 0;
    for (size_t i = 0; i < team->size; i++) {
        *failed += team->member[i].failed;
        *left += !team->member[i].failed && !team->member[i].lost;
    }
}

/* Where there are several ranks the shares stay until all of them know. */
static void drop(vox_team *team, int64_t step)
{
    for (size_t i = 0; i < team->size; i++) {
        if (!team->member[i].failed)
            continue;
        note_why(team, &team->member[i], step);
        if (!team->before)
            lose(team, i);
    }
}

/* One of the lost may yet write to the model.  One that ranks have in common moves only if it hung
 * in mid-step (go_on): later it has written the running statistics, all that it writes. */
static vox_status leave_model(vox_team *team, bool common, vox_error *err)
{
    const bool alone = team->shared && !team->own;
    vox_status s = common ? vox_team_move_common_model(team, err) : VOX_OK;
    team->shared = false;
    return s == VOX_OK && alone ? vox_team_move_model(team, err) : s;
}

vox_status vox_team_drop_failed(vox_team *team, int64_t step, vox_status s, vox_error *err)
{
    size_t failed, left;
    count_left(team, &failed, &left);
    if (failed == 0 || left == 0)
        return s;
    drop(team, step);
    if (err)
        *err = (vox_error){0};
    return leave_model(team, false, err);
}

/* ---- between ranks ----------------------------------------------------------- */

static size_t left_of_all(const vox_team *team)
{
    size_t left = 0;
    for (size_t i = 0; i < team->fleet.count; i++)
        left += !team->gone[i].lost;
    return left;
}

/* Everybody's vox_gone; what is new of it becomes the shares.  *any: something was.  If nobody is
 * left, the shares stay. */
static vox_status tell_all(vox_team *team, bool *any, vox_error *err)
{
    const vox_fleet *f = &team->fleet;
    vox_gone *own = vox_calloc(f->most, sizeof *own, "the devices lost", err);
    vox_gone *all = vox_calloc(f->ranks * f->most, sizeof *all, "the devices lost", err);
    vox_status s = vox_hosts_agree(team->hosts, own && all ? VOX_OK : VOX_ERR_MEMORY, err);
    *any = false;
    if (s == VOX_OK) {
        memcpy(own, team->gone + f->own, team->size * sizeof *own);
        s = vox_hosts_gather(team->hosts, own, f->most * sizeof *own, all, err);
    }
    for (size_t i = 0; s == VOX_OK && i < f->count; i++) {
        const size_t rank = vox_fleet_rank(f, i);
        const bool told = team->gone[i].told;
        team->gone[i] = all[rank * f->most + i - (size_t)f->before[rank]];
        team->gone[i].told = told;
    }
    for (size_t i = 0; s == VOX_OK && i < f->count && left_of_all(team) > 0; i++)
        if (team->gone[i].lost && !team->gone[i].told) {
            lose(team, i);
            *any = true;
        }
    free(own);
    free(all);
    return s;
}

vox_status vox_team_learn_lost(vox_team *team, bool *any, vox_error *err)
{
    *any = false;
    for (size_t i = 0; i < team->fleet.count; i++)
        if (team->seconds[i] == VOX_TEAM_LOST_S && !team->gone[i].told)
            return tell_all(team, any, err);
    return VOX_OK;
}

vox_status vox_team_tell_left_out(vox_team *team, vox_error *err)
{
    bool any;
    vox_status s = tell_all(team, &any, err);
    vox_speed_shares(team->speed, team->used);
    if (s != VOX_OK || left_of_all(team) > 0)
        return s;
    vox_fail(err, VOX_ERR_ROOM, "no device has room for a sample");
    vox_detail(err, "%s: %.300s", team->fleet.title[0].text, team->gone[0].reason);
    return vox_hosts_agree(team->hosts, VOX_ERR_ROOM, err);
}

/* The others that exchange numbers in mid-step need one of every rank. */
static bool is_stuck(const vox_team *team, vox_status s)
{
    size_t failed, left;
    count_left(team, &failed, &left);
    return !vox_team_is_failure(s) || (team->meeting && left == 0);
}

/* What a rank tells the others. */
enum { STUCK = 1, WRITES = 2 };

/* One that hangs may write to the model that ranks have in common. */
static bool writes_to_common(const vox_team *team)
{
    bool writes = false;
    for (size_t i = 0; team->own && team->kepts > 0 && i < team->size; i++)
        writes = writes || may_write(team, &team->member[i]);
    return writes;
}

/* stuck: this rank cannot go on.  VOX_OK: all can, with other shares. */
static vox_status go_on(vox_team *team, vox_status s, bool stuck, vox_error *err)
{
    unsigned flags =
        (stuck || is_stuck(team, s) ? STUCK : 0) | (writes_to_common(team) ? WRITES : 0);
    const vox_error why = err ? *err : (vox_error){0};
    bool any;
    if (!vox_hosts_agreed(team->hosts))
        return s; /* the others do not know of it */
    vox_status told = vox_hosts_vote(team->hosts, VOX_OK, &flags, err);
    if (told != VOX_OK || flags & STUCK)
        return told != VOX_OK ? told : s;
    drop(team, team->step);
    told = tell_all(team, &any, err);
    if (told == VOX_OK && !any) { /* none is left, or none failed */
        if (err)
            *err = why;
        return s;
    }
    if (told == VOX_OK && err)
        *err = (vox_error){0};
    if (told == VOX_OK)
        told = leave_model(team, flags & WRITES, err);
    told = vox_hosts_agree(team->hosts, told, err);
    if (told == VOX_OK)
        vox_hosts_clear(team->hosts);
    return told;
}

vox_status vox_team_drop_over_hosts(vox_team *team, vox_status s, vox_team_batch *batch,
                                    vox_error *err)
{
    s = go_on(team, s, !team->update->fetch, err);
    return s == VOX_OK ? vox_hosts_agree(team->hosts,
                                         team->update->fetch(team->update->arg, batch, err), err)
                       : s;
}

vox_status vox_team_eval_again(vox_team *team, vox_status s, vox_error *err)
{
    return team->before ? go_on(team, s, false, err) : s;
}

vox_status vox_team_drop_late(vox_team *team, vox_error *err)
{
    for (size_t i = 0; i < team->size; i++) {
        const vox_member *m = &team->member[i];
        if (!m->failed)
            continue;
        if (err)
            *err = m->why;
        vox_status s = vox_team_drop_failed(team, team->step, m->status, err);
        if (s == VOX_OK || !team->before || team->meeting)
            return s;
        drop(team, team->step); /* other ranks may have some left */
        return leave_model(team, false, err);
    }
    return VOX_OK;
}

bool vox_team_lost(const vox_team *team, size_t i, int64_t *step, const char **reason)
{
    const vox_gone *gone = &team->gone[i];
    *step = gone->step;
    *reason = gone->reason;
    return gone->lost;
}

bool vox_team_intact(const vox_team *team)
{
    return team->params || (!team->changed && !vox_team_hangs(team));
}
