/* tuner.c - times the algorithms of a layer's pass. */
#include "tune/tuner.h"

#include "base/log.h"
#include "base/mem.h"
#include "tune/trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS            3
#define MOST_RUNS       7   /* where others disturb: */
#define AGREE           1.1 /* while the second fastest takes so many times as long */
#define MORE_SECONDS    0.5 /* but for no longer */
#define GIVE_UP         3.0 /* times the best */
#define COMPILE_SECONDS 10.0
#define CHECK_SECONDS   0.25 /* the baseline's share of samples is about this long */
#define CLEARLY         0.5  /* a first run of so many seconds is not slow by compiling alone */
#define HOPELESS        8.0  /* times the best, by the rule, which is not that wrong */
#define NEAR            1.5  /* times the best: of these algorithms the variants are tried */
#define MAX_CANDIDATES  64

const char *const vox_pass_names[VOX_PASSES] = {"forward", "backward_data", "backward_weights"};

/* An algorithm with the values of problem.variant. */
typedef struct candidate {
    const vox_algo *algo;
    vox_problem problem;
    double rule; /* expected seconds */
} candidate;

/* One pass being measured. */
typedef struct session {
    vox_tuner *t;
    const vox_problem *p;
    const char *key;
    vox_pass pass;
    vox_trial trial;
    candidate candidate[MAX_CANDIDATES]; /* fastest by the rule first */
    int candidates;
    const vox_algo *baseline;
    uint64_t cap; /* of a candidate's workspace */
    bool begun;   /* trial, check_n, want and baseline_s are there */
    int64_t check_n;
    vox_trial_result want;
    double best;               /* seconds; INFINITY: none yet */
    double best_rule;          /* what the rule says of that one */
    double baseline_s;         /* of its run on check_n samples */
    vox_trial_tensors tensors; /* of the last candidate, in its layouts */
    vox_layout in, out;
    bool open;                         /* they are there */
    vox_finding found[MAX_CANDIDATES]; /* [tried] */
    int tried;
} session;

static double rule(const vox_algo *a, const vox_problem *p)
{
    return a->seconds ? a->seconds(p) : 0;
}

static void add_candidate(session *m, const vox_algo *a, int variant)
{
    candidate c = {.algo = a, .problem = *m->p};
    c.problem.variant = variant;
    c.rule = rule(a, &c.problem);
    if (m->candidates == MAX_CANDIDATES)
        return;
    int i = m->candidates++;
    for (; i > 0 && m->candidate[i - 1].rule > c.rule; i--)
        m->candidate[i] = m->candidate[i - 1];
    m->candidate[i] = c;
}

static bool takes(const session *m, const vox_algo *a)
{
    return a->pass == m->pass && (!a->fits || a->fits(m->p));
}

/* Every algorithm with the values of its rule, in m->found's stead. */
static void list_algos(session *m)
{
    m->candidates = m->tried = 0;
    for (const vox_algo *a = m->p->node->op->algos; a && a->name; a++)
        if (takes(m, a))
            add_candidate(m, a, 0);
}

/* The variants not known yet (m->t->again: all) of the algorithms that are near the best. */
static void list_variants(session *m)
{
    const vox_finding *best, *second;
    m->candidates = m->tried = 0;
    vox_tuner_best(m->t->db, m->key, m->p, m->pass, &best, &second);
    m->best = best ? best->seconds : (double)INFINITY;
    for (const vox_algo *a = m->p->node->op->algos; best && a && a->name; a++) {
        const vox_finding *own = takes(m, a) ? vox_finddb_find(m->t->db, m->key, a, m->p) : NULL;
        if (!own || own->verdict != VOX_VERDICT_TIMED || own->seconds > NEAR * m->best)
            continue;
        for (int i = 1; i < vox_algo_variants(a, m->p); i++) {
            vox_problem with = *m->p;
            with.variant = i;
            if (m->t->again || !vox_finddb_find(m->t->db, m->key, a, &with))
                add_candidate(m, a, i);
        }
    }
}

static const vox_algo *find_baseline(const session *m)
{
    const vox_algo *last = NULL;
    for (const vox_algo *a = m->p->node->op->algos; a && a->name; a++)
        if (takes(m, a) && (!last || strcmp(last->name, "naive") != 0))
            last = a;
    return last;
}

static const vox_algo *any_forward(const vox_problem *p)
{
    const session m = {.p = p, .pass = VOX_FORWARD};
    return find_baseline(&m);
}

/* ---- the baseline -------------------------------------------------------- */

static int64_t choose_check_n(const session *m)
{
    const double s = rule(m->baseline, m->p);
    if (s <= CHECK_SECONDS)
        return m->p->n_max;
    const double n = floor((double)m->p->n_max * CHECK_SECONDS / s);
    return n < 1 ? 1 : (int64_t)n;
}

static vox_status run_baseline(session *m, vox_error *err)
{
    vox_trial_tensors d = {0};
    vox_work w = {0};
    m->check_n = choose_check_n(m);
    vox_status s = vox_trial_open(&d, &m->trial, m->baseline, err);
    if (s == VOX_OK)
        s = vox_work_build(&w, m->p, m->baseline, err);
    if (s == VOX_OK)
        s = vox_trial_clear(&d, err);
    for (int i = 0; i < 2 && s == VOX_OK; i++) { /* again, if the first may have been compiling */
        const double start = m->t->now();
        s = vox_trial_run(&d, &w, m->check_n, err);
        m->baseline_s = m->t->now() - start;
        i += m->baseline_s > CLEARLY;
    }
    if (s == VOX_OK)
        s = vox_trial_read(&m->want, &m->trial, &d, m->check_n, err);
    vox_work_release(&w);
    vox_trial_close(&d);
    return s;
}

/* ---- candidates ---------------------------------------------------------- */

/* Seconds of a run on check_n samples, for n_max of them. */
static double scaled(const session *m, double seconds)
{
    return seconds * (double)m->p->n_max / (double)m->check_n;
}

static vox_status check(session *m, vox_trial_tensors *d, vox_finding *f, vox_error *err)
{
    vox_trial_result got;
    vox_status s = vox_trial_read(&got, &m->trial, d, m->check_n, err);
    if (s != VOX_OK)
        return s;
    const double error = vox_trial_error(&got, &m->want);
    if (!(error <= VOX_TUNER_TOLERANCE)) {
        f->verdict = VOX_VERDICT_WRONG;
        vox_log(VOX_LOG_WARN,
                "%s %s by algorithm %s is wrong on %s (layer %s, relative error %.2g against %s): "
                "never chosen",
                m->p->node->op->name, vox_pass_names[m->pass], f->algo,
                vox_device_get(m->p->dev)->name, m->p->node->name, error, m->baseline->name);
    }
    vox_trial_result_release(&got);
    return VOX_OK;
}

/* The runs so far as two numbers. */
typedef struct fastest {
    double first, second;
} fastest;

static fastest add_run(fastest f, double seconds)
{
    const fastest faster = {seconds, f.first}, slower = {f.first, fmin(f.second, seconds)};
    return seconds < f.first ? faster : slower;
}

/* Whether another run is worth its time: the first tells what is hopeless, three are enough where
 * nobody else uses the machine.  Others' work only ever adds time, so that the least counts. */
static bool another_run(const session *m, const fastest *f, int runs, double spent)
{
    if (runs == 0 || f->first > GIVE_UP * m->best)
        return runs == 0;
    return runs < RUNS ||
           (runs < MOST_RUNS && f->second > AGREE * f->first && spent < MORE_SECONDS);
}

static vox_status time_runs(session *m, vox_trial_tensors *d, vox_work *w, double compile_s,
                            double warm_s, vox_finding *f, vox_error *err)
{
    fastest fast = {INFINITY, INFINITY};
    double first_run = 0, spent = 0;
    for (int runs = 0; another_run(m, &fast, runs, spent); runs++) {
        const double start = m->t->now();
        vox_status s = vox_trial_run(d, w, m->p->n_max, err);
        if (s != VOX_OK)
            return s;
        const double run = m->t->now() - start;
        first_run = runs ? first_run : run;
        spent += run;
        fast = add_run(fast, run);
    }
    f->seconds = fast.first;
    /* Drivers compile at the first launch too. */
    const double first = warm_s - first_run * (double)m->check_n / (double)m->p->n_max;
    if (compile_s + fmax(first, 0) > COMPILE_SECONDS)
        f->verdict = VOX_VERDICT_COMPILE;
    return VOX_OK;
}

/* f: all but verdict, seconds, workspace set.  Fails where the candidate does. */
static vox_status try_on(session *m, const candidate *c, vox_trial_tensors *d, vox_work *w,
                         vox_finding *f, vox_error *err)
{
    const uint64_t before = vox_device_bytes(m->p->dev);
    const double start = m->t->now();
    vox_status s = vox_work_build(w, &c->problem, c->algo, err);
    const double compile_s = m->t->now() - start, warm_start = m->t->now();
    if (s != VOX_OK)
        return s;
    f->workspace = vox_device_bytes(m->p->dev) - before;
    if (f->workspace > m->cap) {
        f->verdict = VOX_VERDICT_LARGE;
        return VOX_OK;
    }
    s = vox_trial_clear(d, err);
    if (s == VOX_OK)
        s = vox_trial_run(d, w, m->check_n, err);
    const double warm_s = m->t->now() - warm_start;
    if (s == VOX_OK)
        s = check(m, d, f, err);
    if (s != VOX_OK || f->verdict == VOX_VERDICT_WRONG)
        return s;
    if (warm_s > CLEARLY && compile_s + warm_s <= COMPILE_SECONDS &&
        scaled(m, warm_s) > GIVE_UP * m->best) {
        f->seconds = scaled(m, warm_s);
        return VOX_OK;
    }
    return time_runs(m, d, w, compile_s, warm_s, f, err);
}

/* The baseline ran already; if that was slow it is not run again. */
static bool is_known_slow(const session *m, const candidate *c)
{
    return c->algo == m->baseline && c->problem.variant == 0 &&
           scaled(m, m->baseline_s) > GIVE_UP * m->best;
}

static void close_tensors(session *m)
{
    if (m->open)
        vox_trial_close(&m->tensors);
    m->open = false;
}

/* Those of the last candidate serve the next one of the same layouts. */
static vox_status open_tensors(session *m, const vox_algo *a, vox_error *err)
{
    if (m->open && m->in == a->in && m->out == a->out)
        return VOX_OK;
    close_tensors(m);
    m->in = a->in;
    m->out = a->out;
    vox_status s = vox_trial_open(&m->tensors, &m->trial, a, err);
    m->open = s == VOX_OK;
    return s;
}

static vox_status try_candidate(session *m, const candidate *c, vox_finding *f, vox_error *err)
{
    const vox_algo *a = c->algo;
    vox_work w = {0};
    vox_error why = {0};
    *f = (vox_finding){.pass = a->pass, .in = a->in, .out = a->out};
    vox_algo_text(a, &c->problem, f->algo);
    if (is_known_slow(m, c)) {
        f->seconds = scaled(m, m->baseline_s);
        return VOX_OK;
    }
    vox_status s = open_tensors(m, a, &why);
    if (s == VOX_OK)
        s = try_on(m, c, &m->tensors, &w, f, &why);
    vox_work_release(&w);
    if (s != VOX_OK)
        close_tensors(m);
    if (s == VOX_ERR_MEMORY) {
        if (err)
            *err = why;
        return s;
    }
    if (s != VOX_OK) {
        f->verdict = VOX_VERDICT_FAILED;
        vox_log(VOX_LOG_INFO, "not chosen: %s %s by algorithm %s: %s: %s", m->p->node->op->name,
                vox_pass_names[a->pass], f->algo, why.message, why.detail);
    }
    if (f->verdict == VOX_VERDICT_TIMED && f->seconds < m->best) {
        m->best = f->seconds;
        m->best_rule = c->rule;
    }
    return VOX_OK;
}

/* *all: none was left out for want of time. */
static vox_status try_all(session *m, bool *all, vox_error *err)
{
    vox_status s = VOX_OK;
    *all = true;
    for (int i = 0; i < m->candidates && s == VOX_OK && *all; i++) {
        const candidate *c = &m->candidate[i];
        *all = m->t->now() <= m->t->until;
        const bool hopeless =
            c->problem.variant == 0 && c->rule > HOPELESS * fmax(m->best, m->best_rule);
        if (*all && (c->algo == m->baseline || !hopeless))
            s = try_candidate(m, c, &m->found[m->tried++], err);
    }
    return s;
}

/* ---- a pass -------------------------------------------------------------- */

static bool has_time(const session *m)
{
    const double least = rule(m->baseline, m->p) * (double)choose_check_n(m) / (double)m->p->n_max;
    return m->t->now() + least <= m->t->until;
}

/* Numbers to compute with, and the result to compare with; once for both rounds. */
static vox_status begin(session *m, vox_error *err)
{
    if (m->begun)
        return VOX_OK;
    vox_status s = vox_trial_init(&m->trial, m->p, m->pass, any_forward(m->p), err);
    if (s == VOX_OK)
        s = run_baseline(m, err);
    m->begun = s == VOX_OK;
    return s;
}

/* Tries the candidates and keeps what was found; with `whole` only if none was left out.  *done:
 * none was. */
static vox_status try_round(session *m, bool whole, bool *done, vox_error *err)
{
    vox_error why = {0};
    *done = false;
    if (!m->begun && !has_time(m))
        return VOX_OK;
    vox_status s = begin(m, &why);
    if (s == VOX_OK)
        s = try_all(m, done, &why);
    if (s == VOX_OK && m->tried > 0 && (*done || !whole))
        s = vox_finddb_add(m->t->db, m->key, m->found, (size_t)m->tried, &why);
    if (s == VOX_ERR_MEMORY) {
        if (err)
            *err = why;
        return s;
    }
    if (s != VOX_OK) /* without a trusted result nothing may win: the rule stays in force */
        vox_log(VOX_LOG_WARN, "cannot measure %s %s: the baseline %s fails: %s: %s",
                m->p->node->name, vox_pass_names[m->pass], m->baseline->name, why.message,
                why.detail);
    return VOX_OK;
}

/* First the algorithms, then the variants of the good ones. */
static vox_status measure(session *m, vox_error *err)
{
    const bool variants = m->t->round != VOX_TUNER_ALGORITHMS;
    bool done = true, measured = false;
    vox_status s = VOX_OK;
    const bool knows = vox_finddb_knows(m->t->db, m->key, m->pass);
    if (m->t->round != VOX_TUNER_VARIANTS && (m->t->again || !knows)) {
        list_algos(m);
        s = try_round(m, true, &done, err);
        measured = true;
    }
    if (s == VOX_OK && done && variants) {
        list_variants(m);
        measured = measured || m->candidates > 0;
        if (m->candidates > 0)
            s = try_round(m, false, &done, err);
    }
    if (m->t->round != VOX_TUNER_VARIANTS) {
        m->t->measured += measured && done;
        m->t->skipped += !done;
        m->t->known += !measured;
    }
    m->t->unfinished += variants && !done;
    return s;
}

vox_status vox_tuner_measure(vox_tuner *t, const vox_problem *p, vox_pass pass, vox_error *err)
{
    session *m = vox_calloc(1, sizeof *m, "the tuner", err);
    char *key = m ? vox_finddb_key(p, err) : NULL;
    vox_status s = m && key ? VOX_OK : err && m ? err->code : VOX_ERR_MEMORY;
    if (s == VOX_OK) {
        *m = (session){.t = t, .p = p, .key = key, .pass = pass, .best = INFINITY, .best_rule = 0};
        m->baseline = find_baseline(m);
        m->cap = t->workspace ? t->workspace : vox_device_free_bytes(p->dev) / 4;
        if (m->baseline)
            s = measure(m, err);
        close_tensors(m);
        vox_trial_result_release(&m->want);
        vox_trial_release(&m->trial);
    }
    free(key);
    free(m);
    return s;
}

void vox_tuner_best(const vox_finddb *db, const char *key, const vox_problem *p, vox_pass pass,
                    const vox_finding **best, const vox_finding **second)
{
    *best = *second = NULL;
    for (const vox_algo *a = p->node->op->algos; a && a->name; a++)
        for (int i = 0; a->pass == pass && i < vox_algo_variants(a, p); i++) {
            vox_problem with = *p;
            with.variant = i;
            const vox_finding *f = vox_finddb_find(db, key, a, &with);
            if (!f || f->verdict != VOX_VERDICT_TIMED)
                continue;
            if (!*best || f->seconds < (*best)->seconds) {
                *second = *best;
                *best = f;
            } else if (!*second || f->seconds < (*second)->seconds) {
                *second = f;
            }
        }
}
