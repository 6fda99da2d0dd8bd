/* loop.h - a training under way: what its parts share. */
#ifndef VOX_TRAIN_LOOP_H
#define VOX_TRAIN_LOOP_H

#include "train/cases.h"
#include "train/ema.h"
#include "train/optimizer.h"
#include "train/run_dir.h"
#include "train/schedule.h"
#include "train/sharing.h"

typedef struct vox_usage_sum vox_usage_sum; /* usage.c */

/* The samples [from, from + count) of a step's batch. */
typedef struct vox_labelled {
    int64_t step; /* from 1; 0: of none */
    size_t from, count;
} vox_labelled;

typedef struct vox_trainer {
    const vox_experiment *exp;
    const vox_train_options *opt;
    bool leads;             /* rank 0, which alone reads and writes the run's folder */
    vox_cases train, valid; /* valid.set NULL: none */
    vox_finddb *times;      /* measured ones it goes by; NULL: the rule */
    vox_sharing sharing;
    vox_team *team;
    size_t lost_said; /* devices lost, as last said in metrics.jsonl */
    int64_t *shares;  /* [devices of all ranks], as last said in metrics.jsonl; -1: not yet */
    vox_optimizer *optimizer; /* where the model lives (vox_team_home), like: */
    vox_ema *ema;             /* NULL: none */
    bool averaged;            /* the team has the averaged weights; state.params the others */
    vox_loader *loader;
    vox_usage_sum *used;             /* NULL: no step was counted yet */
    vox_trace *trace;                /* NULL: none is written */
    bool traced;                     /* it has all that it is to have */
    int64_t trace_steps, trace_last; /* steps in it, and the last one's number */
    vox_run_dir run;
    vox_checkpoint state; /* params and parts are filled when it is saved */
    int64_t classes, steps;
    vox_rate rate;
    int64_t saved_step; /* of the last checkpoint written or read; -1: none */
    int64_t valid_step; /* of the last validation; -1: none */
    vox_metrics_result valid_last;
    float *loss;            /* [batch] */
    int64_t ahead;          /* batches after the one under way that the devices take note of */
    vox_team_batch *next;   /* [ahead] */
    int32_t *label;         /* [ahead + 1][batch, vox_graph_labels]: step s in s modulo ahead + 1 */
    vox_labelled *labelled; /* [ahead + 1]: what is there */
    bool closing;           /* it is to end as soon as the model is between two steps */
    double began;           /* vox_now() - seconds trained before */
    double started;         /* vox_now() of this call */
} vox_trainer;

/* Fills a zeroed trainer, ready for its next step; on failure vox_trainer_close cleans up. */
vox_status vox_trainer_open(vox_trainer *t, const vox_experiment *exp, vox_ctx *ctx,
                            const vox_train_options *opt, vox_error *err);
void vox_trainer_close(vox_trainer *t);

/* ---- usage.c: where the devices' time goes ---- */

/* Around every step but the first of this call. */
void vox_usage_begin(vox_trainer *t);
void vox_usage_end(vox_trainer *t, double data_s);
/* Fills the result's devices, and the run's usage.json; what cannot be written is told in the log.
 * together: every rank calls it so, and learns of all ranks' devices; else of its own. */
void vox_usage_report(vox_trainer *t, vox_train_result *result, bool together);

/* ---- loop.c ---- */

/* Whether it validates or saves, or ends, after so many steps; epoch_end: they end an epoch. */
bool vox_train_pauses(const vox_trainer *t, int64_t done, bool epoch_end);

/* ---- ahead.c ---- */

vox_status vox_ahead_open(vox_trainer *t, vox_error *err);
/* The loader's batch for the next step, and behind it those that are read already. */
vox_team_batch vox_ahead_take(vox_trainer *t, const vox_batch *batch);

/* ---- scheme.c ---- */

/* Whether opt->sync and staleness go together with each other and the experiment. */
vox_status vox_scheme_check(const vox_train_options *opt, const vox_experiment *exp,
                            vox_error *err);
void vox_scheme_log_step(const vox_trainer *t, vox_json *j);
void vox_scheme_fill(const vox_trainer *t, vox_train_result *r);

/* ---- tracing.c ---- */

/* Begins the trace that the options want, and the calling thread's track in it. */
vox_status vox_tracing_begin(vox_trainer *t, vox_error *err);
/* After every step: ends the trace when it has all that it is to have. */
void vox_tracing_step(vox_trainer *t);
/* When nothing is left that records: the file appears, if it is worth having. */
void vox_tracing_end(vox_trainer *t, bool wanted);

#endif
