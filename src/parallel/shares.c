/* shares.c - the shares follow the members' speeds; what becomes of them is told in the log. */
#include "base/log.h"
#include "parallel/team_parts.h"

#include <math.h>
#include <string.h>

void vox_team_times_begin(vox_team *team)
{
    memset(team->seconds, 0, team->size * sizeof *team->seconds);
    team->full = 0;
    team->built = false;
}

void vox_team_times_add(vox_team *team, int64_t n)
{
    if (n < team->part)
        return;
    team->full++;
    for (size_t i = 0; i < team->size; i++)
        if (team->count[i] > 0)
            team->seconds[i] +=
                team->member[i].busy_s - (team->meeting ? vox_meeting_waited(team->meeting, i) : 0);
}

void vox_team_tell_shares(const vox_team *team, uint64_t step, const vox_speed_change *change)
{
    char text[512];
    vox_speed_describe(team->speed, change, text, sizeof text);
    vox_log(VOX_LOG_INFO, "step %llu: %s", (unsigned long long)step + 1, text);
    for (size_t i = 0; i < team->size; i++) {
        const char *title = vox_replica_title(team->member[i].replica);
        if (change->now[i] == 0 && change->was[i] > 0 && !team->member[i].lost)
            vox_log(VOX_LOG_INFO,
                    "step %llu: device %s sits out: one sample there would make the step longer",
                    (unsigned long long)step + 1, title);
    }
}

void vox_team_times_end(vox_team *team, uint64_t step, double seconds)
{
    vox_speed_change change;
    vox_speed_shares(team->speed, team->used);
    if (team->size == 1 || team->full == 0)
        return;
    const double parts = (double)team->full;
    for (size_t i = 0; i < team->size; i++) {
        const bool counts = team->seconds[i] > 0 && !team->built;
        team->seconds[i] = counts ? team->seconds[i] / parts : (double)NAN;
    }
    vox_speed_step(team->speed, team->seconds, seconds / parts, &change);
    if (change.changed)
        vox_team_tell_shares(team, step, &change);
}

void vox_team_shares(const vox_team *team, int64_t *count)
{
    memcpy(count, team->used, team->size * sizeof *count);
}

const double *vox_team_weights(const vox_team *team)
{
    return vox_speed_weights(team->speed);
}
