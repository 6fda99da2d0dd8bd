/* team_hosts.c - the teams of several ranks as one: who computes what, and what they tell each
 * other.
 *
 * A rank's samples of a batch are contiguous, and follow from the batch's size alone; its own
 * devices share them out among themselves.  The gradients are summed over the ranks after they were
 * summed over each one's devices, and every rank changes its copy of the model in the same way.
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

/* Where a rank's samples begin: at its share of the devices before it, rounded up, so that the
 * first rank has a sample of every batch. */
static int64_t begin_of(const vox_team *team, size_t rank, int64_t n)
{
    const int64_t all = team->before[ranks_of(team)];
    return (n / all) * team->before[rank] + (n % all * team->before[rank] + all - 1) / all;
}

static vox_slice slice_of(const vox_team *team, size_t rank, int64_t n)
{
    const int64_t first = begin_of(team, rank, n);
    return (vox_slice){first, begin_of(team, rank + 1, n) - first};
}

vox_slice vox_team_slice(const vox_team *team, int64_t n)
{
    return team->before ? slice_of(team, vox_hosts_rank(team->hosts), n) : (vox_slice){0, n};
}

int64_t vox_team_most(const vox_team *team)
{
    int64_t most = 0;
    for (int64_t n = team->before ? 1 : team->batch; n <= team->batch; n++) {
        const int64_t own = vox_team_slice(team, n).count;
        most = own > most ? own : most;
    }
    return most;
}

/* ---- open and free ---------------------------------------------------------- */

static vox_status count_devices(vox_team *team, vox_error *err)
{
    const size_t ranks = ranks_of(team);
    const int64_t own = (int64_t)team->size;
    team->before = vox_calloc(ranks + 1, sizeof *team->before, "the ranks", err);
    team->slice = vox_calloc(ranks, sizeof *team->slice, "the ranks", err);
    if (!team->before || !team->slice)
        return VOX_ERR_MEMORY;
    vox_status s = vox_hosts_gather(team->hosts, &own, sizeof own, team->before + 1, err);
    for (size_t i = 0; s == VOX_OK && i < ranks; i++)
        team->before[i + 1] += team->before[i];
    if (s != VOX_OK || team->batch >= (int64_t)ranks)
        return s;
    vox_fail(err, VOX_ERR_USAGE, "there are more ranks than samples in a batch");
    vox_detail(err, "%zu ranks, train.batch %lld", ranks, (long long)team->batch);
    return vox_hint(err, "start fewer ranks, or set train.batch to %zu or more", ranks);
}

vox_status vox_team_join_hosts(vox_team *team, vox_error *err)
{
    return ranks_of(team) > 1 ? count_devices(team, err) : VOX_OK;
}

vox_status vox_team_open_sums(vox_team *team, vox_error *err)
{
    team->sum = vox_calloc(team->buckets + 1, sizeof *team->sum, "the ranks", err);
    team->summing = vox_calloc(team->buckets + 1, sizeof *team->summing, "the ranks", err);
    team->none = vox_calloc(team->graph->flat_floats + 1, sizeof *team->none, "the ranks", err);
    if (!team->sum || !team->summing || !team->none)
        return VOX_ERR_MEMORY;
    vox_status s = VOX_OK;
    for (size_t i = 0; s == VOX_OK && i < team->buckets; i++)
        s = vox_host_sum_open(&team->sum[i], team->hosts, (int)i, team->bucket[i].count, err);
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
    free(team->before);
}

/* ---- a step ------------------------------------------------------------------ */

vox_status vox_team_share(vox_team *team, int64_t n, vox_status mine, void *rows, size_t bytes,
                          vox_error *err)
{
    if (!team->before)
        return mine;
    for (size_t i = 0; i < ranks_of(team); i++)
        team->slice[i] = slice_of(team, i, n);
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
    for (size_t i = 0; i < team->buckets; i++) {
        const vox_range *b = &team->bucket[i];
        float *none = team->none + b->offset;
        if (!team->summing[i])
            vox_team_start_hosts(team, i, memset(none, 0, b->count * sizeof *none));
    }
}

vox_status vox_team_finish_hosts(vox_team *team, int64_t n, vox_status mine, float *loss,
                                 vox_error *err)
{
    if (mine != VOX_OK && team->meeting)
        return mine; /* the other ranks wait for what this one was to bring */
    start_rest(team);
    vox_status first = vox_team_share(team, n, mine, loss, sizeof *loss, err);
    const vox_span span = vox_span_begin("sum over hosts", "reduce");
    for (size_t i = 0; i < team->buckets; i++) {
        vox_status s = vox_host_sum_wait(team->sum[i], first == VOX_OK ? err : NULL);
        first = first == VOX_OK ? s : first;
        team->summing[i] = false;
    }
    vox_span_end(&span);
    return first;
}

/* Running statistics are rank 0's, which has a sample of every batch.  kept_before is room: the
 * step has come to something. */
vox_status vox_team_share_kept(vox_team *team, vox_error *err)
{
    size_t floats = 0;
    if (!team->before || team->kepts == 0)
        return VOX_OK;
    vox_team_save_kept(team);
    for (size_t i = 0; i < team->kepts; i++)
        floats += team->kept[i].count;
    vox_status s = vox_hosts_broadcast(team->hosts, team->kept_before, floats * sizeof(float), err);
    const float *from = team->kept_before;
    for (size_t i = 0; s == VOX_OK && i < team->kepts; from += team->kept[i++].count)
        memcpy(team->params + team->kept[i].offset, from, team->kept[i].count * sizeof *from);
    return s;
}

/* ---- exchanges in mid-step ------------------------------------------------------ */

vox_status vox_team_meet_hosts(vox_team *team, vox_error *err)
{
    size_t most = 0;
    for (size_t i = 0; i < ranks_of(team); i++) {
        const size_t own = (size_t)(team->before[i + 1] - team->before[i]);
        most = own > most ? own : most;
    }
    vox_meeting_set_hosts(team->meeting, team->hosts, most);
    if (team->part == vox_team_most(team))
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
    }
    free(all);
}
