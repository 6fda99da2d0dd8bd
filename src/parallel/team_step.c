/* team_step.c - one batch after the other through the replicas of a job. */
#include "parallel/async.h"

#include "base/thread.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- work on all ---------------------------------------------------------- */

static bool meant(const vox_team *team, size_t i, vox_whom whom)
{
    const vox_member *m = &team->member[i];
    return !m->lost && !m->failed &&
           (whom == VOX_ALL || team->count[i] > 0 || (whom == VOX_STARTED && m->started));
}

void vox_team_post(vox_team *team, vox_whom whom, vox_replica_fn fn)
{
    for (size_t i = 0; i < team->size; i++)
        if (meant(team, i, whom))
            vox_replica_post(team->member[i].replica, fn, &team->member[i]);
}

vox_status vox_team_wait(vox_team *team, vox_whom whom, vox_error *err)
{
    vox_status first = VOX_OK;
    for (size_t i = 0; i < team->size; i++) {
        if (!meant(team, i, whom))
            continue;
        vox_status s = vox_team_wait_for(&team->member[i], first == VOX_OK ? err : NULL);
        if (first == VOX_OK)
            first = s;
    }
    return first;
}

vox_status vox_team_run(vox_team *team, vox_whom whom, vox_replica_fn fn, vox_error *err)
{
    vox_team_post(team, whom, fn);
    return vox_team_wait(team, whom, err);
}

/* Work of replicas that exchange numbers in mid-step, and so must all be there. */
static vox_status work_job(vox_replica *r, void *arg, vox_error *err)
{
    const vox_member *m = arg;
    const size_t i = (size_t)(m - m->team->member);
    const vox_replica_fn work = m->team->work;
    if (m->team->count[i] == 0)
        return work(r, arg, err);
    vox_status s = vox_meeting_enter(m->team->meeting, i, err);
    if (s == VOX_OK)
        s = work(r, arg, err);
    else if (vox_replica_buckets(r)) /* another failed before this one began: nobody waits for it */
        vox_buckets_end(vox_replica_buckets(r), true);
    if (s != VOX_OK && s != VOX_ERR_INTERRUPTED && err &&
        !strstr(err->detail, vox_replica_title(r)))
        vox_error_at(err, "device %s", vox_replica_title(r));
    vox_meeting_leave(m->team->meeting, i, s, err);
    return s;
}

/* Whether every member has had as many samples as now before. */
static bool ran_before(const vox_team *team, vox_work_kind kind)
{
    for (size_t i = 0; i < team->size; i++)
        if (team->count[i] > 0 && !team->member[i].ran[kind][team->count[i]])
            return false;
    return true;
}

static void note_ran(vox_team *team, vox_work_kind kind)
{
    for (size_t i = 0; i < team->size; i++)
        team->member[i].ran[kind][team->count[i]] = true;
}

/* A part of a batch through the replicas.  The first one of each size goes through one after the
 * other: PoCL (seen with 3.1, told of 5.0) specialises kernels at their first launch on a larger
 * grid, and if another of its devices is running the same kernel then, it loses count of the uses
 * and aborts (assertion in pocl_release_dlhandle_cache). */
static vox_status run_in_turn(vox_team *team, vox_whom whom, vox_replica_fn fn, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t i = 0; s == VOX_OK && i < team->size; i++) {
        if (!meant(team, i, whom))
            continue;
        vox_replica_post(team->member[i].replica, fn, &team->member[i]);
        s = vox_team_wait_for(&team->member[i], err);
    }
    return s;
}

/* sum: the gradients are summed as they come. */
static vox_status run_part(vox_team *team, vox_work_kind kind, vox_replica_fn fn, bool sum,
                           vox_error *err)
{
    vox_status s = vox_team_fit(team, err), summed = VOX_OK;
    const bool together = ran_before(team, kind);
    const vox_whom whom = sum ? VOX_STARTED : VOX_AT_WORK;
    vox_error why = {0};
    if (s != VOX_OK)
        return s;
    team->fresh = !together;
    team->built = team->built || !together;
    if (team->meeting)
        vox_meeting_call(team->meeting, team->count, !together);
    team->work = fn;
    if (!team->meeting && !together)
        s = run_in_turn(team, whom, fn, err);
    else
        vox_team_post(team, whom, team->meeting ? work_job : fn);
    if (s == VOX_OK && sum)
        summed = vox_team_sum(team, &why);
    if (team->meeting || together)
        s = vox_team_wait(team, whom, err);
    if (s != VOX_OK && team->meeting)
        s = vox_meeting_outcome(team->meeting, err);
    if (s == VOX_OK && summed != VOX_OK) {
        s = summed;
        if (err)
            *err = why;
    }
    if (s == VOX_OK)
        note_ran(team, kind);
    if (s == VOX_OK)
        vox_team_collect(team, kind);
    return s;
}

vox_status vox_team_run_first(vox_team *team, vox_replica_fn fn, void *arg, vox_error *err)
{
    if (team->member[0].hung)
        return vox_fail(err, VOX_ERR_DEVICE, "the device hangs");
    vox_replica_post(team->member[0].replica, fn, arg);
    vox_status s = vox_team_wait_for(&team->member[0], err);
    team->member[0].failed = false; /* there is no other */
    return s;
}

void vox_team_phase(vox_team *team, vox_phase phase)
{
    for (size_t i = 0; i < team->size; i++)
        vox_meter_set(vox_replica_meter(team->member[i].replica), phase);
}

/* ---- a step --------------------------------------------------------------- */

static vox_status check_batch(const vox_team *team, const vox_team_batch *batch, vox_error *err)
{
    if (batch->n >= 1 && batch->n <= team->batch)
        return VOX_OK;
    vox_fail(err, VOX_ERR_USAGE, "a batch of %lld samples", (long long)batch->n);
    return vox_detail(err, "the devices were set up for 1 to %lld", (long long)team->batch);
}

/* The work that was enqueued is waited for even after an error. */
static vox_status finish(vox_replica *r, vox_status s, vox_error *err)
{
    vox_status done = vox_replica_finish(r, s == VOX_OK ? err : NULL);
    return s == VOX_OK ? done : s;
}

/* The whole share, piece by piece. */
static vox_status run_pieces(vox_replica *r, const vox_member *m, const vox_share *share,
                             vox_error *err)
{
    vox_status s = VOX_OK;
    for (int64_t from = 0; s == VOX_OK && !m->hung && from < share->n; from += m->limit) {
        vox_share piece = vox_team_piece_of(m, share, from), next;
        const bool more = from + piece.n < share->n;
        piece.last = share->last && !more;
        if (more)
            piece.next = &next, next = vox_team_piece_of(m, share, from + piece.n);
        else if (share->next)
            piece.next = &next, next = vox_team_piece_of(m, share->next, 0);
        if (from == 0)
            s = vox_faults_at_step(&m->team->faults,
                                   m->team->fleet.own + (size_t)(m - m->team->member),
                                   (int64_t)share->step + 1, err);
        if (s == VOX_OK)
            s = finish(r, vox_replica_gradients(r, &piece, err), err);
    }
    return s;
}

vox_status vox_team_gradients_job(vox_replica *r, void *arg, vox_error *err)
{
    vox_member *m = arg;
    vox_buckets *buckets = vox_replica_buckets(r);
    const size_t i = m->team->fleet.own + (size_t)(m - m->team->member);
    const double start = vox_now();
    vox_share share = m->share, after; /* m's will be others if this hangs */
    if (share.next)
        after = *share.next, share.next = &after;
    const int64_t step = (int64_t)share.step + 1;
    vox_status s = run_pieces(r, m, &share, err);
    const double waited =
        m->team->meeting ? vox_meeting_waited(m->team->meeting, i - m->team->fleet.own) : 0;
    const bool dawdled = vox_faults_dawdle(&m->team->faults, i, step, vox_now() - start - waited);
    m->done_at = vox_now();
    m->busy_s = m->done_at - start;
    if (s == VOX_OK && share.last && buckets) /* those of one without samples in this part */
        s = vox_buckets_tell_all(buckets, err);
    if (share.last && buckets)
        vox_buckets_end(buckets, s != VOX_OK);
    /* One that is slow on purpose would be as quick as any at this. */
    return s == VOX_OK && !dawdled && !m->hung ? vox_replica_augment_next(r, err) : s;
}

static vox_status call_update(vox_team *team, vox_replica *r, vox_error *err)
{
    vox_device_label(vox_replica_device(r), VOX_LABEL_UPDATE);
    return team->update->device(r, team->update->arg, err);
}

/* The only replica, once the gradients of all parts are added up. */
static vox_status last_job(vox_replica *r, void *arg, vox_error *err)
{
    ((vox_team *)arg)->changed = true;
    return finish(r, call_update(arg, r, err), err);
}

/* The only replica: all of a step in one go. */
static vox_status whole_step_job(vox_replica *r, void *arg, vox_error *err)
{
    vox_team *team = arg;
    const vox_member *m = &team->member[0];
    const int64_t step = team->step;
    const double start = vox_now();
    vox_status s = vox_faults_at_step(&team->faults, 0, step, err);
    if (s == VOX_OK && !m->hung) /* else the caller has gone */
        s = vox_replica_gradients(r, &m->share, err);
    if (s == VOX_OK && !m->hung) {
        team->changed = true;
        s = call_update(team, r, err);
    }
    s = finish(r, s, err);
    const bool dawdled = vox_faults_dawdle(&team->faults, 0, step, vox_now() - start);
    return s == VOX_OK && !dawdled && !m->hung ? vox_replica_augment_next(r, err) : s;
}

static bool all_finite(const float *loss, int64_t n)
{
    bool finite = true;
    for (int64_t i = 0; i < n; i++)
        finite = finite && isfinite(loss[i]);
    return finite;
}

bool vox_team_looks(const vox_team *team, int64_t n)
{
    return team->params || n > team->part;
}

static vox_status check_batches(const vox_team *team, const vox_team_batch *batch, vox_error *err)
{
    vox_status s = check_batch(team, batch, err);
    while (s == VOX_OK && (batch = batch->next) != NULL)
        s = check_batch(team, batch, err);
    return s;
}

/* A member's share of a part is known; last: of the batch. */
static void begin(vox_member *m, bool last)
{
    if (m->hung)
        return;
    m->share.last = last;
    if (vox_replica_buckets(m->replica))
        vox_buckets_begin(vox_replica_buckets(m->replica));
}

/* A rank whose devices are all lost has no say until the others know; they have not failed it yet.
 */
static vox_status check_left(const vox_part *p, vox_error *err)
{
    return p->n >= 0 ? VOX_OK : vox_fail(err, VOX_ERR_DEVICE, "this rank has no device left");
}

/* The gradients of all parts of the batch; with the model on the host, summed there. */
static vox_status compute(vox_team *team, const vox_team_batch *batch, float *loss, bool *finite,
                          vox_error *err)
{
    const vox_slice own = vox_team_slice(team, batch->n);
    vox_status s = VOX_OK;
    *finite = true;
    team->factors.n = batch->n;
    vox_team_times_begin(team);
    for (int64_t at = 0; s == VOX_OK && *finite && at < batch->n; at += team->part) {
        const vox_part p = vox_team_part_at(team, batch, at);
        const bool last = at + p.all == batch->n;
        if ((s = check_left(&p, err)) != VOX_OK)
            break;
        vox_team_share_out(team, &p, loss);
        for (size_t i = 0; i < team->size; i++)
            begin(&team->member[i], last);
        s = run_part(team, VOX_WORK_GRADIENTS, vox_team_gradients_job, last && team->params, err);
        if (s == VOX_OK)
            vox_team_times_add(team, p.all);
        *finite = s == VOX_OK && all_finite(loss + own.first + p.from, p.n);
    }
    vox_team_times_close(team);
    if (team->before && team->params)
        s = vox_team_finish_hosts(team, batch->n, s, loss, err);
    *finite = *finite && s == VOX_OK && (!team->before || all_finite(loss, batch->n));
    return s;
}

/* With the model on the host.  status: of the gradients; a step that came to nothing leaves the
 * model as it was. */
static vox_status after_gradients(vox_team *team, double start, vox_status status, bool finite,
                                  vox_error *err)
{
    double done = start;
    for (const vox_member *m = team->member; m < team->member + team->size; m++)
        if (m->started && !m->hung && m->done_at > done) /* one that hangs may write it yet */
            done = m->done_at;
    const double now = vox_now();
    team->times = (vox_team_times){.compute_s = done - start, .reduce_s = now - done};
    for (size_t i = 0; i < team->size; i++) /* the sums that backward did not hide */
        vox_meter_move(vox_replica_meter(team->member[i].replica), VOX_PHASE_REDUCE, now - done);
    if (status == VOX_OK && finite) {
        status = vox_team_update_model(team, err);
        if (status == VOX_OK || team->changed)
            return status;
    }
    for (size_t i = 0; i < team->size; i++) /* again if one fails at that */
        if (vox_team_drop_sum(team, NULL) == VOX_OK && vox_team_restore_kept(team, NULL) == VOX_OK)
            break;
    return status;
}

/* One try with the model on the host, or where losses are looked at. */
static vox_status try_step(vox_team *team, const vox_team_batch *batch, float *loss, vox_error *err)
{
    const double start = vox_now();
    bool finite;
    vox_team_find_keeper(team);
    if (team->params)
        vox_team_save_kept(team);
    vox_status s = compute(team, batch, loss, &finite, err);
    if (!team->params)
        return s == VOX_OK && finite ? vox_team_run_first(team, last_job, team, err) : s;
    s = after_gradients(team, start, s, finite, err);
    if (vox_team_is_failure(s) && team->changed && team->before)
        s = vox_team_drop_late(team, err); /* the others need not know yet */
    return s == VOX_OK && finite ? vox_team_times_end(team, batch->step, vox_now() - start, err)
                                 : s;
}

/* As often as devices fail and others are left.  Only when all gradients are summed the model
 * changes, so those of the lost can be computed again; one that fails afterwards misses nothing but
 * the new weights. */
static vox_status step_on_all(vox_team *team, const vox_team_batch *batch, float *loss,
                              vox_error *err)
{
    vox_status s = VOX_OK;
    vox_team_batch now = *batch;
    do {
        vox_hosts_clear(team->hosts);
        s = try_step(team, &now, loss, err);
        if (s == VOX_OK)
            return s;
        s = team->before ? vox_team_drop_over_hosts(team, s, &now, err)
                         : vox_team_drop_failed(team, team->step, s, err);
    } while (s == VOX_OK && !team->changed);
    return s;
}

vox_status vox_team_step(vox_team *team, const vox_team_batch *batch, const vox_team_update *update,
                         float *loss, vox_error *err)
{
    vox_status s = check_batches(team, batch, err);
    if (s == VOX_OK)
        s = vox_team_drop_late(team, err);
    if (s != VOX_OK)
        return s;
    team->update = update;
    team->changed = false;
    team->now = batch->n;
    team->step = (int64_t)batch->step + 1;
    team->taking = (vox_team_taking){.part = 1, .number = (int64_t)batch->step, .whole = true};
    if (team->async) {
        team->changed = true; /* soon, by shares */
        s = vox_async_step(team->async, batch, loss, err);
    } else if (!vox_team_looks(team, batch->n)) {
        const vox_part p = vox_team_part_at(team, batch, 0);
        vox_team_share_out(team, &p, loss);
        team->fresh = !team->member[0].ran[VOX_WORK_GRADIENTS][p.n];
        s = vox_team_run_first(team, whole_step_job, team, err);
        team->member[0].ran[VOX_WORK_GRADIENTS][p.n] = s == VOX_OK;
        if (s == VOX_OK)
            vox_team_collect(team, VOX_WORK_GRADIENTS);
    } else {
        s = step_on_all(team, batch, loss, err);
    }
    team->undecided = false;
    if (s == VOX_OK) {
        team->changed = false; /* it is whole */
        team->step++;
    }
    return s;
}

/* ---- evaluation ----------------------------------------------------------- */

static vox_status eval_job(vox_replica *r, void *arg, vox_error *err)
{
    vox_member *m = arg;
    vox_team *team = m->team;
    const size_t i = team->fleet.own + (size_t)(m - team->member);
    const vox_share share = m->share; /* m's will be another if this hangs */
    float *output = m->output;
    const int64_t step = team->step;
    const double start = vox_now();
    vox_status s = vox_faults_at_step(&team->faults, i, step, err);
    for (int64_t from = 0; s == VOX_OK && !m->hung && from < share.n; from += m->limit) {
        const vox_share piece = vox_team_piece_of(m, &share, from);
        s = vox_replica_forward(r, &piece, output + (size_t)from * vox_team_output(team), err);
    }
    vox_faults_dawdle(&team->faults, i, step, vox_now() - start);
    return s;
}

static vox_status eval_part(vox_team *team, const vox_part *p, float *output, float *loss,
                            vox_error *err)
{
    vox_team_share_out(team, p, loss);
    for (size_t i = 0; i < team->size; i++) {
        vox_member *m = &team->member[i];
        const size_t floats = vox_team_output(team);
        if (m->hung)
            continue;
        m->share.bystander = true; /* running statistics stay as they are */
        m->output_to = output + (size_t)m->share.first * floats;
        if (!vox_grow(&m->output, &m->room, (size_t)m->share.n * floats, sizeof *m->output, err))
            return VOX_ERR_MEMORY;
    }
    return run_part(team, VOX_WORK_EVAL, eval_job, false, err);
}

vox_status vox_team_eval(vox_team *team, const vox_team_batch *batch, float *output, float *loss,
                         vox_error *err)
{
    vox_status s = check_batches(team, batch, err);
    if (s == VOX_OK && team->async)
        s = vox_async_settle(team->async, err);
    if (s == VOX_OK)
        s = vox_team_drop_late(team, err);
    for (int64_t at = 0; s == VOX_OK && at < batch->n;) {
        const vox_part p = vox_team_part_at(team, batch, at);
        if ((s = check_left(&p, err)) == VOX_OK)
            s = eval_part(team, &p, output, loss, err);
        if (s == VOX_OK)
            at += team->part;
        else
            s = vox_team_drop_failed(team, team->step, s, err);
    }
    return s;
}

/* The plan remembers its last run only: one that had more gets the others once more. */
static vox_status find_job(vox_replica *r, void *arg, vox_error *err)
{
    vox_member *m = arg;
    vox_status s = VOX_OK;
    m->layer = NULL;
    for (int64_t from = 0; s == VOX_OK && !m->layer && from < m->share.n; from += m->limit) {
        const vox_share piece = vox_team_piece_of(m, &m->share, from);
        if (m->share.n > m->limit)
            s = finish(r, vox_replica_gradients(r, &piece, err), err);
        if (s == VOX_OK)
            s = vox_plan_find_nonfinite(vox_replica_plan(r), piece.n, &m->layer, err);
    }
    return s;
}

vox_status vox_team_find_nonfinite(vox_team *team, char layer[64], vox_error *err)
{
    layer[0] = '\0';
    for (size_t i = 0; i < team->size && !layer[0]; i++) {
        vox_member *m = &team->member[i];
        if (m->lost || m->hung || m->share.n == 0 || all_finite(m->share.loss, m->share.n))
            continue;
        m->share.next = NULL;
        vox_replica_post(m->replica, find_job, m);
        vox_status s = vox_team_wait_for(m, err);
        if (s != VOX_OK)
            return s;
        if (m->layer)
            snprintf(layer, 64, "%s", m->layer);
    }
    return vox_team_share_text(team, layer, err);
}
