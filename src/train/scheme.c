/* scheme.c - --sync and --staleness: what goes together, and what a run says of it. */
#include "train/loop.h"

#include <string.h>

vox_status vox_scheme_check(const vox_train_options *opt, const vox_experiment *exp, vox_error *err)
{
    if (opt->sync != VOX_SYNC_ASYNC) {
        if (!opt->staleness_set)
            return VOX_OK;
        vox_fail(err, VOX_ERR_USAGE, "--staleness is for --sync async alone");
        return vox_hint(err, "the other schemes have no stale gradients");
    }
    if (opt->staleness_set && opt->staleness < 0)
        return vox_fail(err, VOX_ERR_USAGE, "--staleness cannot be negative, as %lld is",
                        (long long)opt->staleness);
    if (opt->shard && strcmp(opt->shard, "auto") != 0 && strcmp(opt->shard, "equal") != 0) {
        vox_fail(err, VOX_ERR_USAGE, "--shard %s does not go with --sync async", opt->shard);
        return vox_hint(err,
                        "there, devices take equal shares as they are free: the fast take more");
    }
    if (vox_hosts_size(opt->hosts) > 1) {
        vox_fail(err, VOX_ERR_UNSUPPORTED, "--sync async is for the devices of one process");
        vox_detail(err, "%zu ranks were started", vox_hosts_size(opt->hosts));
        return vox_hint(err, "take --sync tree, or start one rank with all devices of its host");
    }
    if (!vox_graph_exchanges(exp->graph, true) && !vox_graph_exchanges(exp->graph, false))
        return VOX_OK;
    vox_fail(err, VOX_ERR_UNSUPPORTED, "--sync async cannot take statistics over the whole batch");
    vox_detail(err,
               "%s has a batch_norm with sync: true, or a loss per: batch; the devices are at "
               "different batches",
               exp->path);
    return vox_hint(err, "leave sync (or per) away, or take --sync tree");
}

void vox_scheme_log_step(const vox_trainer *t, vox_json *j)
{
    if (t->opt->sync != VOX_SYNC_ASYNC)
        return;
    const vox_team_staleness of = vox_team_last_staleness(t->team, false);
    vox_json_number(j, "staleness", of.mean);
    vox_json_int(j, "staleness_max", of.most);
}

void vox_scheme_fill(const vox_trainer *t, vox_train_result *r)
{
    const vox_team_staleness of = vox_team_last_staleness(t->team, true);
    const bool async = t->opt->sync == VOX_SYNC_ASYNC;
    r->staleness = of.mean;
    r->staleness_most = of.most;
    r->staleness_bound = async ? of.bound : -1;
}
