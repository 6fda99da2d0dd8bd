/* bench_scaling.c - vox_bench_scaling: what more devices bring, measured on those there are and
 * predicted beyond by a model fitted to that (parallel/scaling_model.h). */
#include "base/file.h"
#include "base/json.h"
#include "ocl/device.h"
#include "parallel/factors.h"
#include "train/scaling.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STRONG, WEAK, KINDS };
static const char *const kind_names[KINDS] = {"strong", "weak"};

#define MOST_SUM_BYTES ((uint64_t)1 << 30) /* gradients at once when sums alone are measured */

typedef struct scaling {
    const vox_scaling_options *opt;
    vox_experiment *exp;
    vox_ctx *ctx;
    vox_methods methods;
    size_t most;          /* devices there are */
    int64_t batch, share; /* of all, strong; of each device, weak */
    vox_scaling_run *run; /* [runs] */
    int kind[64];         /* of run i: bits of STRONG and WEAK, 0: for the fit alone */
    size_t runs;
    vox_scaling_sum sum[8];
    size_t sums;
    vox_scaling_model model;
    vox_scaling_accuracy *accuracy;
    size_t accuracies;
    char accuracy_note[700]; /* why there are no more */
    vox_scaling_panel panel[3];
    vox_json j;
} scaling;

enum { MOST_RUNS = 64 };

/* ---- measuring ------------------------------------------------------------ */

static vox_status measure(scaling *b, size_t devices, int64_t batch, bool on_host, int kind,
                          vox_error *err)
{
    const vox_scaling_job job = {b->exp, &b->methods, b->opt->steps, on_host};
    vox_ctx *some = NULL;
    if (b->runs == MOST_RUNS)
        return VOX_OK;
    for (size_t i = 0; i < b->runs; i++) /* it may serve for both */
        if (b->run[i].devices == (int64_t)devices && b->run[i].batch == batch &&
            (b->run[i].point.update_s > 0) == (on_host || devices > 1)) {
            b->kind[i] |= kind;
            return VOX_OK;
        }
    if (b->opt->on_progress) {
        char text[96];
        snprintf(text, sizeof text, "%zu device%s, batch %" PRId64 "%s", devices,
                 devices == 1 ? "" : "s", batch,
                 on_host && devices == 1 ? ", the model on the host" : "");
        b->opt->on_progress(b->opt->user, text);
    }
    vox_status s = vox_ctx_first(&some, b->ctx, devices, err);
    if (s == VOX_OK) {
        b->kind[b->runs] = kind;
        s = vox_scaling_measure(&b->run[b->runs++], &job, some, batch, err);
    }
    vox_ctx_free(&some);
    return s;
}

/* 1, 2, 3 ... 8, then powers of two, and all there are. */
static size_t next_devices(const scaling *b, size_t n)
{
    const size_t next = n < 8 ? n + 1 : 2 * n;
    return next < b->most || n >= b->most ? next : b->most;
}

static vox_status measure_steps(scaling *b, vox_error *err)
{
    vox_status s = measure(b, 1, b->batch, false, 1 << STRONG, err);
    if (s == VOX_OK)
        s = measure(b, 1, b->share, false, 1 << WEAK, err);
    /* What a step is made of, with the model on the host as several devices have it. */
    if (s == VOX_OK)
        s = measure(b, 1, b->share, true, 0, err);
    if (s == VOX_OK && b->share > 1)
        s = measure(b, 1, (b->share + 1) / 2, true, 0, err);
    for (size_t n = 2; s == VOX_OK && n <= b->most; n = next_devices(b, n)) {
        if (b->batch >= (int64_t)n)
            s = measure(b, n, b->batch, true, 1 << STRONG, err);
        if (s == VOX_OK)
            s = measure(b, n, b->share * (int64_t)n, true, 1 << WEAK, err);
    }
    return s;
}

static vox_status measure_sums(scaling *b, vox_error *err)
{
    const size_t floats = b->exp->graph->flat_floats;
    vox_status s = VOX_OK;
    for (size_t k = 2; s == VOX_OK && k <= 16 && k * floats * sizeof(float) <= MOST_SUM_BYTES;
         k *= 2)
        s = vox_scaling_measure_sum(&b->sum[b->sums++], k, floats, b->opt->steps, err);
    return s;
}

static const vox_scaling_run *find_run(const scaling *b, int kind, int64_t devices)
{
    for (size_t i = 0; i < b->runs; i++)
        if (b->kind[i] & 1 << kind && b->run[i].devices == devices)
            return &b->run[i];
    return NULL;
}

/* What the only device's step takes beyond what it computes for others is its own update. */
static double own_update_s(const scaling *b)
{
    double compute_s = 0;
    for (size_t i = 0; i < b->runs; i++)
        if (b->run[i].devices == 1 && b->run[i].batch == b->share && b->run[i].point.update_s > 0)
            compute_s = b->run[i].point.compute_s;
    const double alone_s = find_run(b, WEAK, 1)->step_s;
    return alone_s > compute_s ? alone_s - compute_s : 0;
}

static vox_scaling_sent sent(const void *graph, int64_t batch)
{
    size_t summed, rows;
    vox_factors_count(graph, batch, &summed, &rows);
    return (vox_scaling_sent){(double)(summed * sizeof(float)), (double)(rows * sizeof(float))};
}

static vox_status fit(scaling *b, vox_error *err)
{
    vox_scaling_point point[MOST_RUNS];
    const double own_s = own_update_s(b);
    size_t n = 0;
    for (size_t i = 0; i < b->runs; i++) {
        const vox_scaling_run *r = &b->run[i];
        const bool whole = r->point.update_s == 0; /* the model on the device: all in one */
        vox_scaling_point p = r->point;
        if (whole && r->batch == b->share)
            continue; /* measured in its parts too */
        if (whole)
            p.compute_s = r->step_s - own_s;
        if (r->devices == 1) {
            p.update_s = own_s;
            p.reduce_s = p.send_s = 0;
        }
        point[n++] = p;
    }
    b->model =
        (vox_scaling_model){.bytes = (double)(b->exp->graph->flat_floats * sizeof(float)),
                            .sent = sent,
                            .sent_arg = b->exp->graph,
                            .per_host = b->opt->per_host > 0 ? b->opt->per_host : (int64_t)b->most,
                            .latency_s = b->opt->network_latency_s,
                            .bandwidth = b->opt->network_bytes_per_s,
                            .hidden = b->opt->network_hidden};
    return vox_scaling_fit(&b->model, point, n, b->sum, b->sums, err);
}

static vox_status measure_accuracy(scaling *b, vox_error *err)
{
    const vox_scaling_options *o = b->opt;
    if (o->workers < 1)
        return VOX_OK;
    size_t most = 1;
    while ((INT64_C(1) << most) <= o->workers)
        most++;
    const vox_scaling_training how = {.path = o->experiment,
                                      .set = o->set,
                                      .sets = o->sets,
                                      .data_dir = o->data_dir,
                                      .methods = &b->methods,
                                      .minutes = o->minutes / (double)most};
    b->accuracy = vox_calloc(most, sizeof *b->accuracy, "accuracies", err);
    if (!b->accuracy)
        return VOX_ERR_MEMORY;
    vox_status s = VOX_OK;
    for (size_t i = 0; s == VOX_OK && i < most; i++) {
        char text[96];
        snprintf(text, sizeof text, "training with the batch of %d worker%s", 1 << i, i ? "s" : "");
        if (o->on_progress)
            o->on_progress(o->user, text);
        vox_error why = {0};
        s = vox_scaling_train(&b->accuracy[i], &how, b->ctx, INT64_C(1) << i, &why);
        b->accuracies += s == VOX_OK;
        if (s != VOX_OK && i == 0 && err)
            *err = why;
        if (s != VOX_OK && i > 0) { /* a batch too large for the data */
            snprintf(b->accuracy_note, sizeof b->accuracy_note, "%d workers: %s: %s", 1 << i,
                     why.message, why.detail);
            return VOX_OK;
        }
    }
    return s;
}

/* ---- the document --------------------------------------------------------- */

/* Of a step: measured, or the model's.  A single device's is all in one. */
static void put_parts(scaling *b, const vox_scaling_run *run, const vox_scaling_step *c)
{
    const bool one = run && run->point.update_s == 0;
    vox_json_number(&b->j, "compute_s",
                    one   ? run->step_s
                    : run ? run->point.compute_s
                          : c->compute_s);
    vox_json_number(&b->j, "reduce_s",
                    run ? run->point.reduce_s + run->point.send_s : c->reduce_s + c->send_s);
    vox_json_number(&b->j, "update_s", run ? run->point.update_s : c->update_s);
    vox_json_number(&b->j, "network_s", run ? 0 : c->network_s);
}

static vox_status put_row(scaling *b, int kind, int64_t devices, vox_error *err)
{
    const vox_scaling_run *base = find_run(b, kind, 1), *run = find_run(b, kind, devices);
    const int64_t batch = kind == STRONG ? b->batch : b->share * devices;
    const vox_scaling_step c = vox_scaling_predict(&b->model, devices, batch);
    const double base_rate = (double)base->batch / base->step_s,
                 step_s = run ? run->step_s : c.step_s, rate = (double)batch / step_s,
                 up = rate / base_rate;
    double mean = c.utilisation_mean, least = c.utilisation_min;
    if (run) {
        mean = 0;
        least = INFINITY;
        for (int64_t d = 0; d < devices; d++) {
            mean += run->busy[d] / (double)devices;
            least = run->busy[d] < least ? run->busy[d] : least;
        }
    }
    vox_json_begin(&b->j, NULL, '{');
    vox_json_int(&b->j, "devices", devices);
    vox_json_int(&b->j, "hosts", c.hosts);
    vox_json_int(&b->j, "batch", batch);
    vox_json_bool(&b->j, "predicted", !run);
    vox_json_number(&b->j, "step_s", step_s);
    vox_json_number(&b->j, "samples_per_s", rate);
    vox_json_number(&b->j, "speedup", up);
    vox_json_number(&b->j, "efficiency_share", up / (double)devices);
    vox_json_number(&b->j, "busy_share", mean);
    vox_json_number(&b->j, "least_busy_share", least);
    put_parts(b, run, &c);
    vox_json_number(&b->j, "model_step_s", c.step_s);
    vox_json_end(&b->j, '}');
    vox_status s = vox_scaling_dot_add(&b->panel[0], kind, (double)devices, up, !run, err);
    if (s == VOX_OK)
        s = vox_scaling_dot_add(&b->panel[2], kind, (double)devices, mean, !run, err);
    return s;
}

static vox_status put_rows(scaling *b, int kind, vox_error *err)
{
    vox_status s = VOX_OK;
    int64_t n = 1;
    vox_json_begin(&b->j, kind_names[kind], '[');
    for (; s == VOX_OK && n <= (int64_t)b->most; n = (int64_t)next_devices(b, (size_t)n))
        if (find_run(b, kind, n))
            s = put_row(b, kind, n, err);
    for (n = 2; s == VOX_OK && n <= b->opt->most; n *= 2)
        if (n > (int64_t)b->most && (kind == WEAK || n <= b->batch))
            s = put_row(b, kind, n, err);
    vox_json_end(&b->j, ']');
    return s;
}

/* Of each device that was measured. */
static void put_utilisation(scaling *b)
{
    vox_json_begin(&b->j, "utilisation", '[');
    for (int kind = 0; kind < KINDS; kind++)
        for (size_t i = 0; i < b->runs; i++)
            for (int64_t d = 0; b->kind[i] & 1 << kind && d < b->run[i].devices; d++) {
                vox_json_begin(&b->j, NULL, '{');
                vox_json_string(&b->j, "scaling", kind_names[kind]);
                vox_json_int(&b->j, "devices", b->run[i].devices);
                vox_json_string(&b->j, "device", vox_device_title(vox_ctx_get(b->ctx, (size_t)d)));
                vox_json_number(&b->j, "busy_share", b->run[i].busy[d]);
                vox_json_end(&b->j, '}');
            }
    vox_json_end(&b->j, ']');
}

static void put_model(scaling *b)
{
    const vox_scaling_model *m = &b->model;
    const struct {
        const char *key;
        double value;
    } row[] = {{"fixed_s", m->fixed_s},
               {"per_sample_s", m->per_sample_s},
               {"crowding_share", m->crowding},
               {"reduce_fetch_s", m->fetch_s},
               {"reduce_level_s", m->level_s},
               {"reduce_gb_per_s", m->byte_reduced_s > 0 ? 1e-9 / m->byte_reduced_s : NAN},
               {"reduce_exposed_share", m->exposed},
               {"update_s", m->update_s},
               {"send_s", m->send_s},
               {"own_update_s", m->own_update_s},
               {"assumed_network_latency_s", m->latency_s},
               {"assumed_network_gb_per_s", m->bandwidth / 1e9},
               {"assumed_hidden_share", m->hidden},
               {"fit_error_share", m->error}};
    vox_json_begin(&b->j, "model", '{');
    vox_json_int(&b->j, "gradient_bytes", (int64_t)m->bytes);
    vox_json_int(&b->j, "summed_bytes", (int64_t)sent(b->exp->graph, b->batch).summed);
    vox_json_int(&b->j, "factor_bytes", (int64_t)sent(b->exp->graph, b->batch).factors);
    vox_json_int(&b->j, "devices_per_host", m->per_host);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        vox_json_number(&b->j, row[i].key, row[i].value);
    vox_json_end(&b->j, '}');
}

static vox_status put_accuracy(scaling *b, vox_error *err)
{
    vox_status s = VOX_OK;
    if (b->accuracies == 0) {
        vox_json_string(&b->j, "accuracy_note",
                        "not measured: --accuracy N trains with the batches of up to N workers");
        return VOX_OK;
    }
    vox_json_begin(&b->j, "accuracy", '[');
    for (size_t i = 0; s == VOX_OK && i < b->accuracies; i++) {
        const vox_scaling_accuracy *a = &b->accuracy[i];
        vox_json_begin(&b->j, NULL, '{');
        vox_json_int(&b->j, "workers", a->workers);
        vox_json_int(&b->j, "batch", a->batch);
        vox_json_int(&b->j, "steps", a->steps);
        vox_json_number(&b->j, a->dice ? "dice" : "accuracy", a->value);
        vox_json_bool(&b->j, "finished", a->finished);
        vox_json_number(&b->j, "time_s", a->time_s);
        vox_json_end(&b->j, '}');
        s = vox_scaling_dot_add(&b->panel[1], 0, (double)a->workers, a->value, false, err);
    }
    vox_json_end(&b->j, ']');
    if (b->accuracy_note[0])
        vox_json_string(&b->j, "accuracy_note", b->accuracy_note);
    return s;
}

static bool all_alike(const scaling *b)
{
    for (size_t i = 1; i < b->most; i++)
        if (strcmp(vox_ctx_device(b->ctx, i)->name, vox_ctx_device(b->ctx, 0)->name) != 0)
            return false;
    return true;
}

/* What a reader must know first. */
static const char *note_of(const scaling *b)
{
    const vox_device_desc *d = vox_ctx_device(b->ctx, 0);
    const double alone_s = find_run(b, WEAK, 1)->step_s;
    if (b->model.error > 0.15 || b->model.own_update_s > alone_s / 4)
        return "the steps measured do not fit together (is the machine busy?): do not trust what "
               "is "
               "predicted";
    if (!all_alike(b))
        return "the devices differ: more of them are predicted as if they were like the first";
    if (d->parts && d->parts_share)
        return "this driver lets a part use idle others' cores: several do better than it says";
    return "rows with \"predicted\" were not measured: they are the cost model's";
}

static void put_head(scaling *b)
{
    vox_json_begin(&b->j, NULL, '{');
    vox_json_string(&b->j, "experiment", b->exp->name);
    vox_json_string(&b->j, "baseline", vox_device_title(vox_ctx_get(b->ctx, 0)));
    vox_json_int(&b->j, "devices_measured", (int64_t)b->most);
    vox_json_int(&b->j, "strong_batch", b->batch);
    vox_json_int(&b->j, "weak_batch_each", b->share);
    vox_json_int(&b->j, "steps", b->opt->steps);
    vox_json_string(&b->j, "note", note_of(b));
}

static vox_status draw(scaling *b, vox_error *err)
{
    char title[200];
    vox_scaling_panel *p = b->panel;
    const bool dice = b->accuracies > 0 && b->accuracy[0].dice;
    snprintf(title, sizeof title, "%.60s on %.80s", b->exp->name,
             vox_device_title(vox_ctx_get(b->ctx, 0)));
    p[0].title = "speed-up";
    p[0].ideal = true;
    p[2].title = "utilisation of the devices";
    for (int i = 0; i < 3; i += 2) {
        p[i].series[STRONG] = "the same batch";
        p[i].series[WEAK] = "as much for each device";
        p[i].across = "devices";
        p[i].nothing = "";
    }
    p[1].title = dice ? "final Dice" : "final accuracy";
    p[1].series[0] = dice ? "Dice" : "accuracy";
    p[1].across = "workers (the batch grows with them)";
    p[1].nothing = "not measured (--accuracy)";
    return vox_scaling_draw(p, title, b->opt->png, err);
}

/* ---- all of it ------------------------------------------------------------ */

/* One CPU is split, so that one part of it is the measure of several. */
static vox_status default_devices(char *selector, size_t size, vox_error *err)
{
    enum { MOST_PARTS = 8 };
    vox_device_list *list;
    size_t usable = 0;
    const vox_device_desc *one = NULL;
    vox_status s = vox_device_list_open(&list, err);
    if (s != VOX_OK)
        return s;
    for (size_t i = 0; i < list->count; i++)
        if (list->device[i].usable) {
            usable++;
            one = &list->device[i];
        }
    if (usable == 1 && one->max_parts > 1)
        snprintf(selector, size, "%d/%d", one->index,
                 (int)(one->max_parts < MOST_PARTS ? one->max_parts : MOST_PARTS));
    else
        snprintf(selector, size, "all");
    vox_device_list_free(&list);
    return VOX_OK;
}

/* Before minutes of work. */
static vox_status check_png(const char *path, vox_error *err)
{
#ifdef VOXCL_WITH_PNG
    vox_file f;
    vox_status s = vox_file_begin(&f, path, err);
    if (s == VOX_OK)
        vox_file_abandon(&f);
    return s;
#else
    return vox_fail(err, VOX_ERR_UNSUPPORTED, "cannot draw %s: built without libpng", path);
#endif
}

static vox_status start(scaling *b, vox_error *err)
{
    const vox_scaling_options *o = b->opt;
    char selector[64];
    vox_status s = o->png ? check_png(o->png, err) : VOX_OK;
    if (s == VOX_OK)
        s = vox_experiment_open(&b->exp, o->experiment, o->set, o->sets, err);
    if (s == VOX_OK && !o->devices)
        s = default_devices(selector, sizeof selector, err);
    if (s == VOX_OK)
        s = vox_ctx_open(&b->ctx, o->devices ? o->devices : selector, err);
    if (s != VOX_OK)
        return s;
    b->most = vox_ctx_device_count(b->ctx);
    b->batch = b->exp->train.batch;
    b->share = o->share > 0 ? o->share : b->batch;
    b->run = vox_calloc(MOST_RUNS, sizeof *b->run, "a benchmark", err);
    return b->run ? VOX_OK : VOX_ERR_MEMORY;
}

static vox_status report(scaling *b, vox_error *err)
{
    put_head(b);
    vox_status s = put_rows(b, STRONG, err);
    if (s == VOX_OK)
        s = put_rows(b, WEAK, err);
    if (s == VOX_OK)
        s = put_accuracy(b, err);
    put_utilisation(b);
    put_model(b);
    vox_json_end(&b->j, '}');
    return s == VOX_OK && b->opt->png ? draw(b, err) : s;
}

static void release(scaling *b)
{
    for (size_t i = 0; i < b->runs; i++)
        free(b->run[i].busy);
    for (int i = 0; i < 3; i++)
        free(b->panel[i].dot);
    free(b->run);
    free(b->accuracy);
    vox_str_release(&b->j.text);
    vox_ctx_free(&b->ctx);
    vox_experiment_free(&b->exp);
}

vox_status vox_bench_scaling(const vox_scaling_options *opt, char **json, vox_error *err)
{
    vox_scaling_options o = *opt;
    scaling b = {.opt = &o};
    *json = NULL;
    o.steps = o.steps > 0 ? o.steps : 5;
    o.most = o.most > 0 ? o.most : 1024;
    o.network_latency_s = o.network_latency_s > 0 ? o.network_latency_s : 30e-6;
    o.network_bytes_per_s = o.network_bytes_per_s > 0 ? o.network_bytes_per_s : 1.25e9;
    o.minutes = o.minutes > 0 ? o.minutes : 10;
    if (o.methods)
        b.methods = *o.methods;
    vox_status s = start(&b, err);
    if (s == VOX_OK)
        s = measure_accuracy(&b, err); /* first: it is where data may be wrong */
    if (s == VOX_OK)
        s = measure_steps(&b, err);
    if (s == VOX_OK)
        s = measure_sums(&b, err);
    if (s == VOX_OK)
        s = fit(&b, err);
    if (s == VOX_OK)
        s = report(&b, err);
    if (s == VOX_OK) {
        *json = vox_json_take(&b.j, err);
        s = *json ? VOX_OK : VOX_ERR_MEMORY;
    }
    release(&b);
    return s;
}
