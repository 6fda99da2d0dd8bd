/* shares.c - the shares follow the devices' speeds; what becomes of them is told in the log.
 *
 * One invariant: every rank tells its vox_speed the same numbers in the same order, so that all
 * share batches out alike. */
#include "base/log.h"
#include "parallel/team_parts.h"

#include <math.h>
#include <string.h>

/* ---- who computes what ------------------------------------------------------ */

/* A member that is lost still has a share until all ranks know: this rank's others do it. */
static bool has_lost_shares(const vox_team *team)
{
    for (size_t i = 0; i < team->size; i++)
        if (team->member[i].lost && team->count[i] > 0)
            return true;
    return false;
}

/* To those who have the least of it, one sample after the other. */
static bool give_away(vox_team *team, int64_t samples)
{
    for (; samples > 0; samples--) {
        size_t to = team->size;
        for (size_t i = 0; i < team->size; i++)
            if (!team->member[i].lost && (to == team->size || team->count[i] < team->count[to]))
                to = i;
        if (to == team->size)
            return false;
        team->count[to]++;
    }
    return true;
}

static bool share_lost(vox_team *team)
{
    int64_t samples = 0;
    for (size_t i = 0; i < team->size; i++)
        if (team->member[i].lost) {
            samples += team->count[i];
            team->count[i] = 0;
        }
    return give_away(team, samples);
}

int64_t vox_team_split(vox_team *team, int64_t n)
{
    int64_t at = 0;
    pthread_mutex_lock(team->lock);
    vox_speed_split(team->speed, n, team->every, team->begin);
    memcpy(team->count, team->every + team->fleet.own, team->size * sizeof *team->count);
    pthread_mutex_unlock(team->lock);
    const bool well = !has_lost_shares(team) || share_lost(team);
    for (size_t i = 0; i < team->size; at += team->count[i++])
        team->first[i] = at;
    return well ? at : -1;
}

/* ---- their times ------------------------------------------------------------- */

void vox_team_times_begin(vox_team *team)
{
    memset(team->seconds, 0, team->fleet.count * sizeof *team->seconds);
    team->full = 0;
    team->built = false;
}

void vox_team_times_add(vox_team *team, int64_t n)
{
    double *seconds = team->seconds + team->fleet.own;
    if (n < team->part)
        return;
    team->full++;
    for (size_t i = 0; i < team->size; i++)
        if (team->count[i] > 0)
            seconds[i] +=
                vox_faults_told(&team->faults, team->fleet.own + i, team->step, team->count[i],
                                team->member[i].busy_s -
                                    (team->meeting ? vox_meeting_waited(team->meeting, i) : 0));
}

void vox_team_times_close(vox_team *team)
{
    double *seconds = team->seconds + team->fleet.own;
    for (size_t i = 0; i < team->size; i++) {
        const bool counts = seconds[i] > 0 && !team->built;
        seconds[i] = counts ? seconds[i] / (double)team->full : (double)NAN;
        if (team->member[i].lost)
            seconds[i] = VOX_TEAM_LOST_S;
    }
}

void vox_team_tell_shares(const vox_team *team, uint64_t step, const vox_speed_change *change)
{
    char text[512];
    vox_speed_describe(team->speed, change, text, sizeof text);
    vox_log(VOX_LOG_INFO, "step %llu: %s", (unsigned long long)step + 1, text);
    for (size_t i = 0; i < team->fleet.count; i++)
        if (change->now[i] == 0 && change->was[i] > 0 && !team->gone[i].lost)
            vox_log(VOX_LOG_INFO,
                    "step %llu: device %s sits out: one sample there would make the step longer",
                    (unsigned long long)step + 1, team->fleet.title[i].text);
}

/* Between ranks a step's own length cannot be told before it is over, so that of the slowest
 * device's work is followed by what the step before took beyond it. */
static double length_of(vox_team *team, double step_s)
{
    double longest = 0;
    for (size_t i = 0; i < team->fleet.count; i++)
        longest = fmax(longest, team->seconds[i]);
    if (!team->before)
        return step_s;
    team->rest_s = fmax(step_s - longest, 0);
    return longest + team->rest_told_s;
}

vox_status vox_team_times_end(vox_team *team, uint64_t step, double seconds, vox_error *err)
{
    vox_speed_change change = {0};
    vox_status s = VOX_OK;
    bool other = false;
    vox_speed_shares(team->speed, team->used);
    if (team->before)
        s = vox_team_learn_lost(team, &other, err);
    if (s != VOX_OK || other || team->fleet.count == 1 || team->full == 0)
        return s;
    const double length = length_of(team, seconds / (double)team->full);
    pthread_mutex_lock(team->lock);
    vox_speed_step(team->speed, team->seconds, length, &change);
    pthread_mutex_unlock(team->lock);
    if (change.changed)
        vox_team_tell_shares(team, step, &change);
    return VOX_OK;
}

void vox_team_shares(const vox_team *team, int64_t *count)
{
    memcpy(count, team->used, team->fleet.count * sizeof *count);
}

const double *vox_team_weights(const vox_team *team)
{
    return vox_speed_weights(team->speed);
}
