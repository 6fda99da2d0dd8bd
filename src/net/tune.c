/* tune.c - measuring what a plan would choose from, and telling what it chooses then. */
#include "net/plan_parts.h"

#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct task {
    int layer;
    vox_pass pass;
    double seconds; /* of the best algorithm by the rule: what there is to win */
} task;

static vox_problem problem_of(const vox_wiring *w, int layer, vox_device *dev,
                              const vox_plan_options *opt)
{
    return (vox_problem){.node = vox_wiring_node(w, layer),
                         .dev = dev,
                         .n_max = opt->n_max,
                         .training = opt->training};
}

static double rule_seconds(const vox_problem *p, vox_pass pass)
{
    double best = INFINITY;
    for (const vox_algo *a = p->node->op->algos; a && a->name; a++)
        if (a->pass == pass && (!a->fits || a->fits(p)))
            best = fmin(best, a->seconds ? a->seconds(p) : 0);
    return isinf(best) ? 0 : best;
}

/* Every pass that runs, costly ones first, else in the order of the layers. */
static size_t list_tasks(task *list, const vox_wiring *w, vox_device *dev,
                         const vox_plan_options *opt)
{
    size_t n = 0;
    for (int layer = w->first; layer <= w->last; layer++)
        for (int pass = 0; pass < VOX_PASSES; pass++) {
            if (w->skip[layer] || !vox_wiring_runs(w, layer, (vox_pass)pass))
                continue;
            const vox_problem p = problem_of(w, layer, dev, opt);
            const task t = {layer, (vox_pass)pass, rule_seconds(&p, (vox_pass)pass)};
            size_t i = n++;
            for (; i > 0 && list[i - 1].seconds < t.seconds; i--)
                list[i] = list[i - 1];
            list[i] = t;
        }
    return n;
}

vox_status vox_plan_tune(const vox_graph *graph, vox_device *dev, const vox_plan_options *opt,
                         vox_tuner *tuner, vox_tune_news_fn news, void *user, vox_error *err)
{
    vox_wiring w;
    vox_status s = vox_wiring_init(&w, graph, opt->training, err);
    if (s != VOX_OK)
        return s;
    task *list = vox_calloc(((size_t)graph->layers + 1) * VOX_PASSES, sizeof *list, "tuning", err);
    const size_t total = list ? list_tasks(list, &w, dev, opt) : 0;
    s = list ? VOX_OK : VOX_ERR_MEMORY;
    for (size_t i = 0; i < 2 * total && s == VOX_OK; i++) { /* every pass, before any variant */
        const task *t = &list[i % total];
        const vox_problem p = problem_of(&w, t->layer, dev, opt);
        tuner->round = i < total ? VOX_TUNER_ALGORITHMS : VOX_TUNER_VARIANTS;
        if (news)
            news(user, (int64_t)i, (int64_t)(2 * total), p.node->name, t->pass);
        s = vox_tuner_measure(tuner, &p, t->pass, err);
    }
    free(list);
    vox_wiring_release(&w);
    return s;
}

/* ---- telling ------------------------------------------------------------ */

static double measured(const vox_finddb *times, const char *key, const vox_algo *a,
                       const vox_problem *p)
{
    const vox_finding *f = times && a ? vox_finddb_find(times, key, a, p) : NULL;
    return f && f->verdict == VOX_VERDICT_TIMED ? f->seconds : (double)NAN;
}

/* The fastest timed algorithm of the pass other than the chosen one (which may be slower, for the
 * sake of its layouts; NULL: fused), with any values. */
static void find_second(vox_tune_row *row, const vox_finddb *times, const char *key,
                        const vox_problem *p, const vox_algo *chosen)
{
    row->second_seconds = NAN;
    for (const vox_algo *a = p->node->op->algos; times && a && a->name; a++)
        for (int i = 0; a->pass == row->pass && a != chosen && i < vox_algo_variants(a, p); i++) {
            vox_problem with = *p;
            with.variant = i;
            const double t = measured(times, key, a, &with);
            if (!isnan(t) && !(t >= row->second_seconds)) {
                vox_algo_text(a, &with, row->second);
                row->second_in = a->in;
                row->second_out = a->out;
                row->second_seconds = t;
            }
        }
}

/* The name of what a choice runs for a pass, and its measured seconds. */
static double name_choice(char text[VOX_ALGO_TEXT], const vox_choice *choice, vox_pass pass,
                          const vox_problem *p, const char *key, const vox_finddb *times)
{
    vox_problem with = *p;
    if (choice->fused[pass]) {
        snprintf(text, VOX_ALGO_TEXT, "fused");
        return NAN;
    }
    with.variant = choice->variant[pass];
    vox_algo_text(choice->algo[pass], &with, text);
    return measured(times, key, choice->algo[pass], &with);
}

static void fill_row(vox_tune_row *r, const vox_problem *p, const char *key,
                     const vox_finddb *times, const vox_choice *by_times, const vox_choice *by_rule)
{
    const vox_algo *a = by_times->fused[r->pass] ? NULL : by_times->algo[r->pass];
    r->layer = p->node->name;
    r->op = p->node->op->name;
    r->in = a ? a->in : VOX_LAYOUT_PLAIN;
    r->out = a ? a->out : VOX_LAYOUT_PLAIN;
    r->seconds = name_choice(r->algo, by_times, r->pass, p, key, times);
    r->measured = !isnan(r->seconds);
    r->rule_seconds = name_choice(r->rule_algo, by_rule, r->pass, p, key, times);
    find_second(r, times, key, p, a);
}

static vox_status fill_rows(vox_tune_row *row, size_t *count, const vox_wiring *w, vox_device *dev,
                            const vox_plan_options *opt, const vox_choice *by_times,
                            const vox_choice *by_rule, vox_error *err)
{
    *count = 0;
    for (int layer = w->first; layer <= w->last; layer++) {
        if (w->skip[layer])
            continue;
        const vox_problem p = problem_of(w, layer, dev, opt);
        char *key = vox_finddb_key(&p, err);
        if (!key)
            return VOX_ERR_MEMORY;
        for (int pass = 0; pass < VOX_PASSES; pass++) {
            if (!by_times[layer].algo[pass] || !by_rule[layer].algo[pass])
                continue;
            vox_tune_row *r = &row[(*count)++];
            *r = (vox_tune_row){.pass = (vox_pass)pass};
            fill_row(r, &p, key, opt->times, &by_times[layer], &by_rule[layer]);
        }
        free(key);
    }
    return VOX_OK;
}

vox_status vox_plan_tuned(const vox_graph *graph, vox_device *dev, const vox_plan_options *opt,
                          vox_tune_row **rows, size_t *count, vox_error *err)
{
    const size_t n = (size_t)graph->layers + 1;
    vox_plan_options rule = *opt;
    vox_wiring w;
    rule.times = NULL;
    *rows = NULL;
    vox_status s = vox_wiring_init(&w, graph, opt->training, err);
    if (s != VOX_OK)
        return s;
    vox_choice *choice = vox_calloc(2 * n, sizeof *choice, "tuning", err);
    vox_tune_row *row = vox_calloc(n * VOX_PASSES, sizeof *row, "tuning", err);
    s = choice && row ? vox_choose(choice, &w, dev, opt, err) : VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = vox_choose(choice + n, &w, dev, &rule, err);
    if (s == VOX_OK)
        s = fill_rows(row, count, &w, dev, opt, choice, choice + n, err);
    if (s == VOX_OK)
        *rows = row;
    else
        free(row);
    free(choice);
    vox_wiring_release(&w);
    return s;
}
