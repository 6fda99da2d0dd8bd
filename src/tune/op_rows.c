/* op_rows.c - every algorithm of an operation, compared and timed. */
#include "tune/op_rows.h"

#include "base/log.h"
#include "tune/trial.h"
#include "tune/tuner.h"

#include <math.h>
#include <string.h>

#define HOPELESS 20.0 /* expected seconds of a run not worth waiting for */

/* ---- figures ---- */

static double floats_of(const vox_shape *one)
{
    return (double)vox_sample_floats(one, VOX_LAYOUT_PLAIN);
}

static double input_bytes(const vox_node *node, bool labels_too)
{
    double floats = 0;
    for (int i = 0; i < node->inputs; i++)
        if (labels_too || !node->op->loss || i < node->inputs - 1)
            floats += floats_of(&node->in[i]);
    return 4 * floats;
}

static double param_bytes(const vox_node *node)
{
    vox_param param[VOX_MAX_PARAMS];
    const int count = node->op->params ? node->op->params(node, param) : 0;
    double bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += 4 * (double)vox_shape_count(&param[i].shape);
    return bytes;
}

double vox_op_bytes(const vox_node *node, vox_pass pass, int64_t n)
{
    const vox_op *op = node->op;
    const double out = 4 * floats_of(&node->out), dy = op->loss ? 0 : out;
    double each = input_bytes(node, true); /* x */
    if (pass == VOX_FORWARD)
        each += out;
    else if (pass == VOX_BACKWARD_WEIGHTS)
        each += dy;
    else /* dx, dy; convolutions and the like keep x for the weights' gradient */
        each = input_bytes(node, false) + dy +
               (op->backward_reads_x && (!op->params || op->keeps) ? input_bytes(node, true) : 0) +
               (op->backward_reads_y ? out : 0);
    return each * (double)n + param_bytes(node); /* read, or their gradients written */
}

void vox_op_row_write(vox_json *j, const vox_op_row *row)
{
    vox_json_begin(j, NULL, '{');
    vox_json_string(j, "device", row->device);
    vox_json_string(j, "pass", row->pass);
    vox_json_string(j, "layout", row->layout);
    vox_json_string(j, "algorithm", row->algorithm);
    vox_json_bool(j, "chosen", row->chosen);
    vox_json_number(j, "time_s", row->time.median);
    vox_json_number(j, "least_s", row->time.least);
    vox_json_number(j, "most_s", row->time.most);
    vox_json_number(j, "device_s", row->time.device);
    vox_json_number(j, "gb_per_s", row->bytes / row->time.median * 1e-9);
    vox_json_number(j, "copy_share", row->time.copy_seconds / row->time.median);
    vox_json_number(j, "gflops", row->flops > 0 ? row->flops / row->time.median * 1e-9 : NAN);
    vox_json_number(j, "rel_rms_error", row->error);
    vox_json_int(j, "workspace_bytes", (int64_t)row->workspace);
    vox_json_end(j, '}');
}

/* ---- one algorithm ---- */

typedef struct timed_work {
    vox_trial_tensors *tensors;
    vox_work *work;
} timed_work;

static vox_status run_work(void *what, vox_error *err)
{
    timed_work *t = what;
    return t->work->algo->run(t->work, &t->tensors->io, err);
}

/* want NULL: nothing to compare with. */
static vox_status measure(const vox_op_request *r, const vox_trial *trial, const vox_algo *a,
                          const vox_trial_result *want, vox_op_row *row, vox_error *err)
{
    vox_device *dev = trial->problem->dev;
    const uint64_t before = vox_device_bytes(dev);
    vox_trial_tensors d = {0};
    vox_work w = {0};
    vox_trial_result got = {0};
    timed_work timed = {&d, &w};
    vox_status s = vox_work_build(&w, trial->problem, a, err);
    row->workspace = vox_device_bytes(dev) - before;
    if (s == VOX_OK)
        s = vox_trial_open(&d, trial, a, err);
    if (s == VOX_OK)
        s = vox_trial_clear(&d, err);
    d.io.n = r->n;
    if (s == VOX_OK)
        s = vox_time_runs(dev, run_work, &timed, row->bytes, r->repeat, &row->time, err);
    if (s == VOX_OK && want)
        s = vox_trial_read(&got, trial, &d, r->n, err);
    row->error = s == VOX_OK && want ? vox_trial_error(&got, want) : NAN;
    vox_trial_result_release(&got);
    vox_work_release(&w);
    vox_trial_close(&d);
    return s;
}

/* ---- a pass ---- */

static bool fits(const vox_algo *a, const vox_problem *p)
{
    return !a->fits || a->fits(p);
}

/* What the others are compared with; NULL if that would take too long. */
static const vox_algo *find_baseline(const vox_problem *p, vox_pass pass)
{
    const vox_algo *a, *last = NULL;
    for (int i = 0; (a = vox_op_algo(p->node->op, pass, i)); i++)
        if (fits(a, p) && (!last || strcmp(last->name, "naive") != 0))
            last = a;
    return last && last->seconds(p) <= HOPELESS ? last : NULL;
}

/* Gives the y that a backward pass reads. */
static const vox_algo *find_forward(const vox_problem *p)
{
    const vox_algo *a, *best = NULL;
    for (int i = 0; (a = vox_op_algo(p->node->op, VOX_FORWARD, i)); i++)
        if (fits(a, p) && (!best || a->seconds(p) < best->seconds(p)))
            best = a;
    return best;
}

static vox_status run_baseline(const vox_trial *trial, const vox_algo *a, vox_trial_result *want,
                               vox_error *err)
{
    vox_trial_tensors d = {0};
    vox_work w = {0};
    vox_status s = vox_work_build(&w, trial->problem, a, err);
    if (s == VOX_OK)
        s = vox_trial_open(&d, trial, a, err);
    if (s == VOX_OK)
        s = vox_trial_run(&d, &w, trial->problem->n_max, err);
    if (s == VOX_OK)
        s = vox_trial_read(want, trial, &d, trial->problem->n_max, err);
    vox_work_release(&w);
    vox_trial_close(&d);
    return s;
}

/* The rule's choice among those of the same layouts. */
static bool is_chosen(const vox_algo *mine, const vox_problem *p)
{
    const vox_algo *a;
    for (int i = 0; (a = vox_op_algo(p->node->op, mine->pass, i)); i++)
        if (a->in == mine->in && a->out == mine->out && fits(a, p) &&
            a->seconds(p) < mine->seconds(p))
            return false;
    return true;
}

static bool is_wanted(const vox_op_request *r, const vox_algo *a, const vox_problem *p)
{
    if ((r->layout >= 0 && (int)a->in != r->layout) || (r->algo && strcmp(r->algo, a->name) != 0) ||
        !fits(a, p))
        return false;
    if (a->seconds(p) <= HOPELESS)
        return true;
    vox_log(VOX_LOG_INFO, "bench op: %s %s left out: about %.0f s a run", a->name,
            vox_pass_names[a->pass], a->seconds(p));
    return false;
}

static const char *layout_name(const vox_algo *a)
{
    static const char *const names[VOX_LAYOUTS][VOX_LAYOUTS] = {{"plain", "plain>block16"},
                                                                {"block16>plain", "block16"}};
    return names[a->in][a->out];
}

/* A layer may do without its weights (norms that are not affine). */
static bool has_weights(const vox_node *node)
{
    vox_param param[VOX_MAX_PARAMS];
    for (int i = node->op->params ? node->op->params(node, param) : 0; i-- > 0;)
        if (param[i].trainable)
            return true;
    return false;
}

static bool has_work(const vox_op_request *r, const vox_problem *p, vox_pass pass)
{
    const vox_algo *a;
    if (pass == VOX_BACKWARD_WEIGHTS && !has_weights(p->node))
        return false;
    for (int i = 0; r->pass[pass] && (a = vox_op_algo(p->node->op, pass, i)); i++)
        if (is_wanted(r, a, p))
            return true;
    return false;
}

static vox_status pass_rows(vox_json *j, const vox_problem *p, const vox_op_request *r,
                            vox_pass pass, vox_error *err)
{
    vox_trial trial;
    vox_trial_result want = {0};
    const vox_algo *a, *baseline = find_baseline(p, pass);
    vox_status s = vox_trial_init(&trial, p, pass, find_forward(p), err);
    if (s != VOX_OK)
        return s;
    if (baseline)
        s = run_baseline(&trial, baseline, &want, err);
    for (int i = 0; s == VOX_OK && (a = vox_op_algo(p->node->op, pass, i)); i++) {
        if (!is_wanted(r, a, p))
            continue;
        vox_op_row row = {.device = vox_device_get(p->dev)->name,
                          .pass = vox_pass_names[pass],
                          .layout = layout_name(a),
                          .algorithm = a->name,
                          .chosen = is_chosen(a, p),
                          .bytes = vox_op_bytes(p->node, pass, r->n)};
        if (p->node->op->flops)
            row.flops = p->node->op->flops(p->node, pass) * (double)r->n;
        s = measure(r, &trial, a, baseline && a != baseline ? &want : NULL, &row, err);
        if (s == VOX_OK)
            vox_op_row_write(j, &row);
    }
    vox_trial_result_release(&want);
    vox_trial_release(&trial);
    return s;
}

vox_status vox_op_rows(vox_json *j, vox_device *dev, const vox_op_request *r, vox_error *err)
{
    const vox_problem p = {r->node, dev, r->n, true};
    vox_status s = VOX_OK;
    for (int pass = 0; s == VOX_OK && pass < VOX_PASSES; pass++)
        if (has_work(r, &p, (vox_pass)pass))
            s = pass_rows(j, &p, r, (vox_pass)pass, err);
    return s;
}
