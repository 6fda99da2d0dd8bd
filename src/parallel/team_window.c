/* team_window.c - ranks that share the memory of a host have one model.
 *
 *   common  | weights | optimiser's state |      every rank changes a part of it
 *   own     | sum of the gradients of this rank's devices |
 *
 * A rank's only device writes its gradients there at once, if its memory is the host's; otherwise
 * they are summed to there.  All ranks add up a part of each bucket, to the first rank's own
 * memory; nothing is copied.
 *
 * One invariant: between two meetings a place is written by one rank, or read.  They meet when the
 * sums are whole, and when the model is changed.  So gradients of the next step are written when
 * nobody reads those of the last any more, and weights when nobody computes with them. */
#include "parallel/team_parts.h"

#include <string.h>

static vox_status lay_over(vox_host_memory **out, vox_host_window *w, void *at, size_t bytes,
                           vox_error *err)
{
    vox_host_window_hold(w);
    vox_status s = vox_host_memory_over(out, at, bytes, vox_host_window_let_go, w, err);
    if (s != VOX_OK)
        vox_host_window_let_go(w);
    return s;
}

vox_status vox_team_open_window(vox_team *team, size_t room_bytes, vox_error *err)
{
    const size_t floats = team->graph->flat_floats ? team->graph->flat_floats : 1;
    const size_t bytes = floats * sizeof(float), common = vox_room_of(bytes) + room_bytes;
    vox_status s = vox_host_window_open(&team->window, team->hosts, common, bytes, err);
    char *at = vox_host_window_common(team->window);
    if (s != VOX_OK || !at)
        return s;
    team->room = (vox_room){at, common};
    s = lay_over(&team->model, team->window, vox_room_take(&team->room, bytes), bytes, err);
    return s == VOX_OK ? lay_over(&team->own, team->window,
                                  vox_host_window_own(team->window, vox_team_portion(team)->index),
                                  bytes, err)
                       : s;
}

static bool shares(const vox_team *team)
{
    return vox_host_window_common(team->window) != NULL;
}

const vox_portion *vox_team_portion(const vox_team *team)
{
    return shares(team) ? vox_host_window_portion(team->window) : NULL;
}

vox_room *vox_team_room(vox_team *team)
{
    return shares(team) ? &team->room : NULL;
}

float *vox_team_own_sum(const vox_team *team)
{
    return team->own ? vox_host_memory_at(team->own) : NULL;
}

float *vox_team_common_sum(const vox_team *team)
{
    return vox_host_window_sum(team->window);
}

bool vox_team_keeps(const vox_team *team)
{
    return !shares(team) || team->keeps;
}

bool vox_team_writes(const vox_team *team)
{
    return !shares(team) || vox_team_portion(team)->index == 0;
}

void vox_team_withdraw(vox_team *team)
{
    if (shares(team) && team->size == 1 && team->member[0].hung)
        vox_host_window_withdraw(team->window);
}

/* The window before stays, as the optimiser's state is in it. */
vox_status vox_team_move_window(vox_team *team, vox_error *err)
{
    const size_t bytes = (team->graph->flat_floats ? team->graph->flat_floats : 1) * sizeof(float);
    vox_host_window *w;
    vox_host_memory *fresh = NULL;
    vox_status s = vox_host_window_open(&w, team->hosts, vox_room_of(bytes), 0, err);
    float *at = vox_host_window_common(w);
    if (s == VOX_OK && team->own && !at) {
        vox_fail(err, VOX_ERR_DEVICE, "a device that hangs has the model that ranks share");
        s = vox_detail(err, "there is no room for another one");
    } else if (s == VOX_OK && team->own) {
        s = lay_over(&fresh, w, at, bytes, err);
    }
    vox_host_window_free(&w);
    s = vox_hosts_agree(team->hosts, s, err);
    if (s != VOX_OK || !team->own) {
        vox_host_memory_free(&fresh);
        return s;
    }
    if (vox_team_writes(team))
        memcpy(at, team->params, bytes);
    s = vox_team_meet(team, err);
    vox_host_memory_free(&team->model); /* it stays while a device has it */
    team->model = team->options.params = fresh;
    team->params = at;
    if (s == VOX_OK && team->undecided && vox_team_keeps(team))
        vox_team_put_kept(team, team->kept_before);
    return s == VOX_OK ? vox_team_meet(team, err) : s;
}

vox_status vox_team_meet(vox_team *team, vox_error *err)
{
    return vox_portion_meet(vox_team_portion(team), err);
}
