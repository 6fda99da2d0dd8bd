/* team_share.c - which samples of a batch a member has, and what it found for them. */
#include "parallel/team_parts.h"

#include <string.h>

vox_part vox_team_part_at(vox_team *team, const vox_team_batch *batch, int64_t at)
{
    const int64_t left = batch->n - at;
    vox_part p = {.batch = batch, .at = at, .all = left < team->part ? left : team->part};
    if (at > 0) /* the parts before were full */
        p.from = at / team->part * vox_team_split(team, team->part);
    p.n = vox_team_split(team, p.all);
    return p;
}

/* The next one of the batch, or the first one of the next batch if that is known. */
static vox_part part_after(vox_team *team, const vox_part *p)
{
    const int64_t end = p->at + p->all;
    if (end < p->batch->n)
        return vox_team_part_at(team, p->batch, end);
    return p->batch->next ? vox_team_part_at(team, p->batch->next, 0) : (vox_part){0};
}

/* One member's share, its place among all ranks' samples; team->count and first are set for the
 * part. */
static vox_share share_of(const vox_team *team, size_t i, const vox_part *p)
{
    const int64_t first = p->from + team->first[i];
    const vox_team_batch *b = p->batch;
    return (vox_share){
        .voxel = b->voxel ? b->voxel + (size_t)first * team->sample_floats : NULL,
        .sample = b->sample ? b->sample + first : NULL,
        .label = b->label ? b->label + (size_t)first * team->sample_labels : NULL,
        .n = team->count[i],
        .first = vox_team_slice(team, b->n).first + first,
        .step = b->step,
        .scale = 1.0f / (float)b->n,
        .all = !team->meeting ? 0 : p->all,
    };
}

void vox_team_share_out(vox_team *team, const vox_part *p, float *loss)
{
    const vox_part after = part_after(team, p);
    for (size_t i = 0; after.n > 0 && i < team->size; i++)
        if (!team->member[i].hung)
            team->member[i].next = share_of(team, i, &after);
    bool led = !vox_team_keeps(team);
    vox_team_split(team, p->all);
    for (size_t i = 0; i < team->size; i++) {
        vox_member *m = &team->member[i];
        if (m->hung) { /* its thread has its share still */
            m->started = false;
            continue;
        }
        m->share = share_of(team, i, p);
        m->share.loss = loss ? m->loss : NULL;
        m->loss_to = loss ? loss + m->share.first : NULL;
        m->share.factors = m->factors;
        m->share.next = after.n > 0 ? &m->next : NULL;
        m->share.accumulate = p->at > 0 && m->started;
        m->started = m->share.n > 0 || m->share.accumulate;
        m->share.bystander = led; /* the first at work leads */
        led = led || m->started;
    }
}

vox_share vox_team_piece_of(const vox_member *m, const vox_share *share, int64_t from)
{
    const vox_team *team = m->team;
    vox_share piece = *share;
    if (share->voxel)
        piece.voxel += (size_t)from * team->sample_floats;
    else
        piece.sample += from;
    if (share->label)
        piece.label += (size_t)from * team->sample_labels;
    if (share->loss)
        piece.loss += from;
    piece.first += from;
    piece.factors_at = from;
    piece.n = share->n - from < m->limit ? share->n - from : m->limit;
    piece.accumulate = share->accumulate || from > 0;
    return piece;
}

void vox_team_collect(vox_team *team, vox_work_kind kind)
{
    for (size_t i = 0; i < team->size; i++) {
        const vox_member *m = &team->member[i];
        const size_t n = m->hung ? 0 : (size_t)m->share.n;
        if (n > 0 && m->share.loss && (kind == VOX_WORK_GRADIENTS || m->share.label))
            memcpy(m->loss_to, m->loss, n * sizeof *m->loss);
        if (n > 0 && m->factors && kind == VOX_WORK_GRADIENTS)
            vox_factors_put(&team->factors, m->share.first, m->share.n, m->factors);
        if (n > 0 && kind == VOX_WORK_EVAL)
            memcpy(m->output_to, m->output, n * vox_team_output(team) * sizeof *m->output);
    }
}
