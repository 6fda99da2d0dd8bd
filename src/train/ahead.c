/* ahead.c - the batches after the one under way, as far as the devices take note of them.
 *
 * They are uploaded while a step runs (one batch), or begun before it is whole (--sync async).
 * What was begun must come, so in the latter case nobody looks past a step after which the model is
 * validated or saved, nor, when the training is to end, at batches not begun yet. */
#include "train/loop.h"

static size_t labels_of_batch(const vox_trainer *t)
{
    return (size_t)t->exp->train.batch * vox_graph_labels(t->exp->graph);
}

vox_status vox_ahead_open(vox_trainer *t, vox_error *err)
{
    t->ahead = vox_team_ahead(t->team);
    t->next = vox_calloc((size_t)t->ahead, sizeof *t->next, "batches", err);
    t->label =
        vox_calloc((size_t)t->ahead + 1, labels_of_batch(t) * sizeof *t->label, "labels", err);
    t->labelled = vox_calloc((size_t)t->ahead + 1, sizeof *t->labelled, "labels", err);
    return t->next && t->label && t->labelled ? VOX_OK : VOX_ERR_MEMORY;
}

/* A batch's labels stay where they are until it is whole, as they may be uploaded from there; each
 * sample's are at its place in the batch, whatever this rank's share is. */
static vox_team_batch take(vox_trainer *t, const vox_batch *batch, int64_t step)
{
    const size_t slot = (size_t)(step % (t->ahead + 1));
    const vox_labelled now = {step + 1, batch->from, batch->count};
    vox_labelled *was = &t->labelled[slot];
    int32_t *label =
        t->label + slot * labels_of_batch(t) + batch->from * vox_graph_labels(t->exp->graph);
    if (was->step != now.step || was->from != now.from || was->count != now.count)
        vox_cases_labels(&t->train, batch, label);
    *was = now;
    return (vox_team_batch){
        .sample = batch->sample, .label = label, .n = (int64_t)batch->n, .step = (uint64_t)step};
}

static bool ends_epoch(const vox_trainer *t, const vox_batch *batch)
{
    return (int64_t)(batch->first + batch->n) == t->state.data.cases;
}

vox_team_batch vox_ahead_take(vox_trainer *t, const vox_batch *batch)
{
    const int64_t step = t->state.progress.step, begun = vox_team_begun(t->team) - 1;
    const bool begins = t->opt->sync == VOX_SYNC_ASYNC;
    vox_team_batch first = take(t, batch, step), *last = &first;
    /* Time is counted from the end of the first step on, when nobody is at work. */
    const int64_t most = t->closing ? begun : begins && !t->used ? 0 : t->ahead;
    for (int64_t k = 1; k <= most && k <= t->ahead; k++) {
        if (begins && vox_train_pauses(t, step + k, ends_epoch(t, batch)))
            break;
        batch = vox_loader_peek(t->loader, (size_t)k - 1);
        if (!batch)
            break;
        t->next[k - 1] = take(t, batch, step + k);
        last->next = &t->next[k - 1];
        last = &t->next[k - 1];
    }
    return first;
}
