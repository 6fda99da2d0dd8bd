/* team_hosts.c - the teams of several ranks as one: who computes what, and what they tell each
 * other.
 *
 * A rank's samples of a batch are contiguous, and as many as the shares of its devices say, which
 * every rank computes from the same numbers (shares.c).  The gradients are summed over the ranks
 * after they were summed over each one's devices, and every rank changes its copy of the model in
 * the same way.
 *
 * One invariant: outside of a step all ranks hold the same model, to the bit. */
#include "parallel/team_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t ranks_of(const vox_team *team)
{
    return vox_hosts_size(team->hosts);
}

/* ---- who computes what ------------------------------------------------------ */

/* The samples of all devices in a batch of n, over its parts; the lock is held. */
static void count_all(const vox_team *team, int64_t n, int64_t *count)
{
    const size_t all = team->fleet.count;
    const int64_t full = n / team->part, rest = n % team->part;
    vox_speed_split(team->speed, full ? team->part : rest, count, team->begin);
    for (size_t i = 0; full && i < all; i++)
        count[i] *= full;
    if (!full || !rest)
        return;
    int64_t *last = team->begin + all;
    vox_speed_split(team->speed, rest, last, team->begin);
    for (size_t i = 0; i < all; i++)
        count[i] += last[i];
}

static vox_slice slice_of(const vox_team *team, size_t rank, int64_t n)
{
    vox_slice slice = {0};
    pthread_mutex_lock(team->lock);
    count_all(team, n, team->every);
    for (int64_t i = 0; i < team->before[rank + 1]; i++)
        *(i < team->before[rank] ? &slice.first : &slice.count) += team->every[i];
    pthread_mutex_unlock(team->lock);
    return slice;
}

vox_slice vox_team_slice(const vox_team *team, int64_t n)
{
    return team->before ? slice_of(team, vox_hosts_rank(team->hosts), n) : (vox_slice){0, n};
}

/* Everybody's, in team->slice. */
static void slice_all(vox_team *team, int64_t n)
{
    int64_t at = 0;
    pthread_mutex_lock(team->lock);
    count_all(team, n, team->every);
    for (size_t r = 0; r < ranks_of(team); r++) {
        team->slice[r] = (vox_slice){.first = at};
        for (int64_t i = team->before[r]; i < team->before[r + 1]; i++)
            team->slice[r].count += team->every[i];
        at += team->slice[r].count;
    }
    pthread_mutex_unlock(team->lock);
}

/* ---- open and free ---------------------------------------------------------- */

/* What a rank says beside its losses: rest_s, and the seconds of its devices, [fleet.most]. */
static size_t told_floats(const vox_team *team)
{
    return (1 + team->fleet.most) * sizeof(double) / sizeof(float);
}

vox_status vox_team_join_hosts(vox_team *team, vox_error *err)
{
    const size_t ranks = ranks_of(team);
    vox_status s = vox_fleet_init(&team->fleet, team->hosts, team->ctx, err);
    if (s != VOX_OK || ranks == 1)
        return s;
    team->before = team->fleet.before;
    team->slice = vox_calloc(ranks, sizeof *team->slice, "the ranks", err);
    team->told = vox_calloc((size_t)team->batch + ranks * told_floats(team), sizeof *team->told,
                            "the ranks", err);
    if (!team->slice || !team->told)
        return VOX_ERR_MEMORY;
    if (team->batch >= (int64_t)ranks)
        return VOX_OK;
    vox_fail(err, VOX_ERR_USAGE, "there are more ranks than samples in a batch");
    vox_detail(err, "%zu ranks, train.batch %lld", ranks, (long long)team->batch);
    return vox_hint(err, "start fewer ranks, or set train.batch to %zu or more", ranks);
}

vox_status vox_team_open_sums(vox_team *team, vox_error *err)
{
    team->sum = vox_calloc(team->buckets + 1, sizeof *team->sum, "the ranks", err);
    team->summing = vox_calloc(team->buckets + 1, sizeof *team->summing, "the ranks", err);
    if (!team->own)
        team->none = vox_calloc(team->graph->flat_floats + 1, sizeof *team->none, "the ranks", err);
    if (!team->sum || !team->summing || (!team->none && !team->own))
        return VOX_ERR_MEMORY;
    vox_status s = VOX_OK;
    for (size_t i = 0; s == VOX_OK && i < team->buckets; i++)
        s = vox_host_sum_open_in(&team->sum[i], team->hosts, team->window, (int)i,
                                 team->bucket[i].offset, team->bucket[i].count, err);
    return s;
}

void vox_team_leave_hosts(vox_team *team)
{
    for (size_t i = 0; team->sum && i < team->buckets; i++)
        vox_host_sum_free(&team->sum[i]);
    free(team->sum);
    free(team->summing);
    free(team->none);
    free(team->slice);
    free(team->told);
}

/* ---- a step ------------------------------------------------------------------ */

vox_status vox_team_share(vox_team *team, int64_t n, vox_status mine, void *rows, size_t bytes,
                          vox_error *err)
{
    if (!team->before)
        return mine;
    slice_all(team, n);
    return vox_hosts_share(team->hosts, mine, rows, bytes, team->slice, err);
}

vox_status vox_team_total(vox_team *team, double *values, size_t count, vox_error *err)
{
    const size_t ranks = ranks_of(team);
    if (!team->before)
        return VOX_OK;
    double *all = vox_calloc(ranks * count + 1, sizeof *all, "the ranks", err);
    vox_status s = all ? VOX_OK : VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = vox_hosts_gather(team->hosts, values, count * sizeof *values, all, err);
    for (size_t k = 0; s == VOX_OK && k < count; k++) {
        values[k] = 0;
        for (size_t i = 0; i < ranks; i++)
            values[k] += all[i * count + k];
    }
    free(all);
    return s;
}

vox_status vox_team_agree(vox_team *team, vox_status mine, vox_error *err)
{
    return vox_hosts_agree(team->hosts, mine, err);
}

void vox_team_start_hosts(vox_team *team, size_t bucket, float *data)
{
    if (!team->sum)
        return;
    team->summing[bucket] = true;
    vox_host_sum_start(team->sum[bucket], data);
}

/* Every rank has its part in the sum of every bucket, also if it had no sample, or failed. */
static void start_rest(vox_team *team)
{
    vox_team_withdraw(team);
    for (size_t i = 0; i < team->buckets; i++) {
        const vox_range *b = &team->bucket[i];
        float *none = (team->own ? vox_team_own_sum(team) : team->none) + b->offset;
        if (!team->summing[i])
            vox_team_start_hosts(team, i, memset(none, 0, b->count * sizeof *none));
    }
}

/* This rank's losses, and after them what it says beside them: in its place of team->told. */
static void pack(const vox_team *team, const vox_slice *own, size_t rank, const float *loss)
{
    const size_t extra = told_floats(team), count = (size_t)own->count;
    float *to = team->told + (size_t)own->first + rank * extra;
    memcpy(to, loss + own->first, count * sizeof *to);
    memset(to + count, 0, extra * sizeof *to);
    memcpy(to + count, &team->rest_s, sizeof(double));
    memcpy(to + count + sizeof(double) / sizeof *to, team->seconds + team->fleet.own,
           team->size * sizeof(double));
}

static void unpack(vox_team *team, const vox_slice *slice, size_t rank, float *loss)
{
    const size_t extra = told_floats(team), count = (size_t)slice->count;
    const size_t devices = (size_t)(team->before[rank + 1] - team->before[rank]);
    const float *from = team->told + (size_t)slice->first + rank * extra;
    double rest;
    memcpy(loss + slice->first, from, count * sizeof *from);
    memcpy(&rest, from + count, sizeof rest);
    memcpy(team->seconds + team->before[rank], from + count + sizeof rest / sizeof *from,
           devices * sizeof(double));
    team->rest_told_s = rank == 0 || rest < team->rest_told_s ? rest : team->rest_told_s;
}

/* The losses of all, and how long their devices took, which costs no exchange of its own. */
static vox_status share_losses(vox_team *team, int64_t n, vox_status mine, float *loss,
                               vox_error *err)
{
    const size_t ranks = ranks_of(team), rank = vox_hosts_rank(team->hosts);
    const int64_t extra = (int64_t)told_floats(team);
    slice_all(team, n);
    pack(team, &team->slice[rank], rank, loss);
    for (size_t r = 0; r < ranks; r++)
        team->slice[r] =
            (vox_slice){team->slice[r].first + (int64_t)r * extra, team->slice[r].count + extra};
    vox_status s =
        vox_hosts_share(team->hosts, mine, team->told, sizeof *team->told, team->slice, err);
    slice_all(team, n);
    for (size_t r = 0; s == VOX_OK && r < ranks; r++)
        unpack(team, &team->slice[r], r, loss);
    return s;
}

vox_status vox_team_finish_hosts(vox_team *team, int64_t n, vox_status mine, float *loss,
                                 vox_error *err)
{
    if (mine != VOX_OK && team->meeting)
        return mine; /* the other ranks wait for what this one was to bring */
    start_rest(team);
    vox_status first = share_losses(team, n, mine, loss, err);
    if (first == VOX_OK && team->factors.layers) /* else nobody comes */
        first = vox_team_share(team, n, first, team->factors.rows,
                               team->factors.row * sizeof *team->factors.rows, err);
    const vox_span span = vox_span_begin("sum over hosts", "reduce");
    for (size_t i = 0; i < team->buckets; i++) {
        vox_status s = vox_host_sum_wait(team->sum[i], first == VOX_OK ? err : NULL);
        first = first == VOX_OK ? s : first;
        team->summing[i] = false;
    }
    vox_status met = vox_team_meet(team, first == VOX_OK ? err : NULL);
    vox_span_end(&span);
    return first == VOX_OK ? met : first;
}

/* Of rank 0, mostly; else through what serves for losses, as rows of which one rank has the only
 * one. */
static vox_status spread(vox_team *team, size_t from, void *data, size_t bytes, vox_error *err)
{
    if (from == 0)
        return vox_hosts_broadcast(team->hosts, data, bytes, err);
    for (size_t r = 0; r < ranks_of(team); r++)
        team->slice[r] = (vox_slice){.count = r == from};
    return vox_hosts_share(team->hosts, VOX_OK, data, bytes, team->slice, err);
}

/* The first rank that has samples of the batch. */
static size_t first_at_work(vox_team *team)
{
    size_t rank = 0;
    slice_all(team, team->now);
    while (team->slice[rank].count == 0)
        rank++;
    return rank;
}

void vox_team_find_keeper(vox_team *team)
{
    if (team->before)
        team->keeps = first_at_work(team) == vox_hosts_rank(team->hosts);
}

/* Running statistics are those of that rank.  kept_before is room: the step has come to something.
 */
vox_status vox_team_share_kept(vox_team *team, vox_error *err)
{
    size_t floats = 0;
    if (!team->before || team->kepts == 0)
        return VOX_OK;
    if (vox_team_keeps(team))
        vox_team_save_kept(team);
    for (size_t i = 0; i < team->kepts; i++)
        floats += team->kept[i].count;
    vox_status s =
        spread(team, first_at_work(team), team->kept_before, floats * sizeof(float), err);
    const float *from = team->kept_before;
    for (size_t i = 0; s == VOX_OK && vox_team_writes(team) && i < team->kepts;
         from += team->kept[i++].count)
        memcpy(team->params + team->kept[i].offset, from, team->kept[i].count * sizeof *from);
    return s;
}

/* ---- exchanges in mid-step ------------------------------------------------------ */

vox_status vox_team_meet_hosts(vox_team *team, vox_error *err)
{
    vox_meeting_set_hosts(team->meeting, team->hosts, team->fleet.most);
    if (team->part == team->batch)
        return VOX_OK;
    vox_fail(err, VOX_ERR_UNSUPPORTED,
             "statistics over several ranks need each rank's samples at once");
    vox_hint(err, "leave train.accumulate away, or batch_norm's sync");
    return VOX_ERR_UNSUPPORTED;
}

vox_status vox_team_check(const vox_team *team, int64_t n, vox_error *err)
{
    for (size_t i = 0; team->meeting && team->before && i < ranks_of(team); i++) {
        if (slice_of(team, i, n).count > 0)
            continue;
        vox_fail(err, VOX_ERR_UNSUPPORTED, "a batch of %lld samples leaves rank %zu without one",
                 (long long)n, i);
        vox_detail(err, "batch_norm's sync, or a loss per batch, needs numbers of every rank");
        vox_hint(err, "start fewer ranks, or choose train.batch so that the last batch of an epoch "
                      "is larger");
        return VOX_ERR_UNSUPPORTED;
    }
    return VOX_OK;
}

/* ---- telling ------------------------------------------------------------------- */

vox_status vox_team_share_text(vox_team *team, char text[64], vox_error *err)
{
    const size_t ranks = ranks_of(team);
    char(*all)[64] = team->before ? vox_calloc(ranks, sizeof *all, "the ranks", err) : NULL;
    if (!team->before)
        return VOX_OK;
    if (!all)
        return VOX_ERR_MEMORY;
    vox_status s = vox_hosts_gather(team->hosts, text, sizeof *all, all, err);
    for (size_t i = 0; s == VOX_OK && i < ranks && !text[0]; i++)
        memcpy(text, all[i], sizeof *all);
    free(all);
    return s;
}

/* "rank 1 on node7: 4 of 8 samples; 0 Tesla V100, 1 Tesla V100" */
void vox_team_describe_hosts(const vox_team *team, vox_str *text)
{
    enum { LINE = 400 };
    const size_t ranks = ranks_of(team);
    char line[LINE] = "", (*all)[LINE] = vox_calloc(ranks, LINE, "a description", NULL);
    for (size_t i = 0, used = 0; i < team->size && used < LINE; i++)
        used += (size_t)snprintf(line + used, LINE - used, "%s%s", i ? ", " : "",
                                 vox_replica_title(team->member[i].replica));
    if (!all || vox_hosts_gather(team->hosts, line, LINE, all, NULL) != VOX_OK) {
        text->failed = true;
    } else {
        vox_str_add(text,
                    "%zu ranks, %lld devices; gradients are summed in each rank, then over all\n",
                    ranks, (long long)team->before[ranks]);
        for (size_t i = 0; i < ranks; i++)
            vox_str_add(text, "  rank %zu on %s: %lld of %lld samples; %s\n", i,
                        vox_hosts_name(team->hosts, i),
                        (long long)slice_of(team, i, team->batch).count, (long long)team->batch,
                        all[i]);
        vox_host_window_describe(team->window, text);
    }
    free(all);
}
