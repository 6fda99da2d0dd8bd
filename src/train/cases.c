/* cases.c - the labelled cases of a training or an evaluation. */
#include "train/cases.h"

#include "base/hash.h"
#include "base/log.h"
#include "ops/loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

vox_status vox_cases_classes(const vox_graph *graph, int64_t *classes, vox_error *err)
{
    const vox_shape *out = vox_graph_edge_shape(graph, graph->layers);
    char text[96];
    bool voxels = vox_graph_labels(graph) > 1;
    *classes = voxels ? vox_loss_classes(&graph->loss.node) : out->dim[1];
    if (*classes >= 2 && *classes <= VOX_CLASSES_MAX)
        return VOX_OK;
    vox_fail(err, VOX_ERR_INPUT, "a network needs 2 to %d outputs, one for each class",
             VOX_CLASSES_MAX);
    vox_detail(err, "the last layer \"%s\" gives %s", vox_graph_edge_name(graph, graph->layers),
               vox_shape_text(out, text));
    if (voxels && *classes == 1)
        vox_hint(err,
                 "cross_entropy of one channel is always 0: one channel is for bce_logits, dice "
                 "or dice_ce");
    return VOX_ERR_INPUT;
}

/* ---- classes ---------------------------------------------------------------- */

/* The first case of a class, for messages. */
static const char *case_of(const vox_dataset *set, int32_t label)
{
    if (vox_dataset_masks(set))
        return "the masks";
    for (size_t i = 0; i < vox_dataset_count(set); i++)
        if (vox_dataset_label(set, i) == label)
            return vox_dataset_case(set, i);
    return "no case";
}

static vox_status name_classes(vox_cases *c, int64_t classes, vox_class_names *names,
                               vox_error *err)
{
    size_t count = vox_dataset_classes(c->set);
    if (count > (size_t)classes) {
        vox_fail(err, VOX_ERR_INPUT, "the data has %zu classes, the network %lld", count,
                 (long long)classes);
        vox_detail(err, "class \"%s\" (number %lld) of %s has no output",
                   vox_dataset_class(c->set, (size_t)classes), (long long)classes,
                   case_of(c->set, (int32_t)classes));
        return vox_hint(err, "set `out` of the last layer to %zu", count);
    }
    if (count < (size_t)classes)
        vox_log(VOX_LOG_WARN, "the network has %lld outputs, the training data %zu classes",
                (long long)classes, count);
    names->name = vox_calloc(count, sizeof *names->name, "class names", err);
    if (!names->name)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        names->name[i] = vox_strdup(vox_dataset_class(c->set, i), err);
        if (!names->name[i])
            return VOX_ERR_MEMORY;
        names->count = i + 1;
    }
    return VOX_OK;
}

/* One label a case, or one a voxel: the network and the data must agree. */
static vox_status check_labels(const vox_cases *c, const vox_graph *graph, vox_error *err)
{
    size_t labels = vox_dataset_labels(c->set), want = vox_graph_labels(graph);
    char text[96];
    if (labels == want)
        return VOX_OK;
    vox_fail(err, VOX_ERR_INPUT, "the %s data has %zu label%s a case, the network wants %zu",
             c->what, labels, labels == 1 ? "" : "s", want);
    vox_detail(err, "the network's last layer \"%s\" gives %s",
               vox_graph_edge_name(graph, graph->layers),
               vox_shape_text(vox_graph_edge_shape(graph, graph->layers), text));
    return vox_hint(err, want > 1 ? "a classifier ends with flatten and dense"
                                  : "give each image its label, or a network with an output for "
                                    "every voxel");
}

static vox_status match_classes(vox_cases *c, const vox_class_names *names, vox_error *err)
{
    for (size_t i = 0; i < vox_dataset_classes(c->set); i++) {
        const char *name = vox_dataset_class(c->set, i);
        c->class_of[i] = -1;
        for (size_t k = 0; k < names->count; k++)
            if (strcmp(names->name[k], name) == 0)
                c->class_of[i] = (int32_t)k;
    }
    for (size_t i = 0; vox_dataset_masks(c->set) && i < vox_dataset_classes(c->set); i++)
        if (c->class_of[i] < 0) {
            vox_fail(err, VOX_ERR_INPUT, "the %s data has a class that the training data has not",
                     c->what);
            return vox_detail(err, "class \"%s\"", vox_dataset_class(c->set, i));
        }
    for (size_t i = 0; i < vox_dataset_count(c->set); i++) {
        int32_t label = vox_dataset_label(c->set, i);
        if (label >= 0 && (size_t)label < vox_dataset_classes(c->set) && c->class_of[label] >= 0)
            continue;
        vox_fail(err, VOX_ERR_INPUT, "the %s data has a class that the training data has not",
                 c->what);
        return vox_detail(err, "%s: class \"%s\"", vox_dataset_case(c->set, i),
                          label >= 0 ? vox_dataset_class(c->set, (size_t)label) : "(none)");
    }
    return VOX_OK;
}

vox_status vox_cases_open(vox_cases *c, const vox_experiment *exp, const vox_yaml_node *spec,
                          const char *data_dir, const char *what, int64_t classes,
                          vox_class_names *names, const vox_prepare_stats *stats, vox_pool *pool,
                          vox_error *err)
{
    int32_t ignore;
    vox_dataset_options opt = {.base_dir = data_dir,
                               .skip_bad = exp->data.skip_bad,
                               .cache_bytes = exp->data.cache_bytes,
                               .class_name = (const char *const *)names->name,
                               .class_count = names->count,
                               .classes = classes,
                               .ignore = vox_loss_ignored(&exp->graph->loss.node, &ignore) ? &ignore
                                                                                           : NULL,
                               .patches = exp->data.patches,
                               .foreground = exp->data.foreground,
                               .stats = stats};
    memset(c, 0, sizeof *c);
    c->what = what;
    memcpy(opt.sample_shape, exp->graph->input.dim + 1, sizeof opt.sample_shape);
    vox_status s = vox_dataset_open(&c->set, spec, exp->data.prepare, &opt, err);
    if (s == VOX_OK)
        s = check_labels(c, exp->graph, err);
    if (s == VOX_OK && names->count == 0)
        s = name_classes(c, classes, names, err);
    if (s == VOX_OK) {
        c->class_of =
            vox_calloc(vox_dataset_classes(c->set), sizeof *c->class_of, "class numbers", err);
        s = c->class_of ? match_classes(c, names, err) : VOX_ERR_MEMORY;
    }
    if (s == VOX_OK)
        s = vox_dataset_load(c->set, pool, err);
    if (s == VOX_OK && vox_dataset_count(c->set) == 0) {
        s = vox_fail(err, VOX_ERR_INPUT, "there is no %s case", what);
        if (vox_dataset_bad_count(c->set) > 0)
            vox_detail(err, "all %zu cases are bad; the first: %s", vox_dataset_bad_count(c->set),
                       vox_dataset_bad(c->set, 0));
    }
    return s;
}

void vox_cases_release(vox_cases *c)
{
    vox_dataset_free(&c->set);
    free(c->class_of);
    memset(c, 0, sizeof *c);
}

void vox_cases_labels(const vox_cases *c, const vox_batch *batch, int32_t *out)
{
    size_t count = batch->count * vox_dataset_labels(c->set);
    int32_t classes = (int32_t)vox_dataset_classes(c->set);
    for (size_t i = 0; i < count; i++) /* the label that the loss ignores stays what it is */
        out[i] = batch->label[i] >= 0 && batch->label[i] < classes ? c->class_of[batch->label[i]]
                                                                   : batch->label[i];
}

vox_data_mark vox_cases_mark(const vox_cases *c)
{
    vox_data_mark mark = {(int64_t)vox_dataset_count(c->set), VOX_HASH_START};
    for (size_t i = 0; i < vox_dataset_count(c->set); i++) {
        int32_t label = c->class_of[vox_dataset_label(c->set, i)];
        uint64_t mask = vox_dataset_mark(c->set, i);
        mark.labels = vox_dataset_masks(c->set) ? vox_hash(mark.labels, &mask, sizeof mask)
                                                : vox_hash(mark.labels, &label, sizeof label);
    }
    return mark;
}

size_t vox_cases_report_bad(const vox_cases *c)
{
    size_t bad = c->set ? vox_dataset_bad_count(c->set) : 0;
    if (bad)
        vox_log(VOX_LOG_WARN, "%zu bad %s case%s left out:", bad, c->what, bad == 1 ? "" : "s");
    for (size_t i = 0; i < bad; i++)
        vox_log(VOX_LOG_WARN, "  %s", vox_dataset_bad(c->set, i));
    return bad;
}

/* ---- evaluation --------------------------------------------------------------- */

typedef struct eval_room {
    float *output, *score, *loss; /* of one batch; score: classifiers' */
    int32_t *label;
    size_t labels, outputs; /* of one sample */
    vox_metrics metrics;
} eval_room;

static vox_status room_open(eval_room *r, const vox_graph *graph, int64_t batch, vox_error *err)
{
    const char *what = "an evaluation's results";
    size_t n = (size_t)batch;
    vox_status s = vox_cases_classes(graph, &r->metrics.classes, err);
    if (s != VOX_OK)
        return s;
    r->labels = vox_graph_labels(graph);
    r->outputs = (size_t)vox_shape_count(vox_graph_edge_shape(graph, graph->layers));
    r->output = vox_calloc(n * r->outputs, sizeof(float), what, err);
    r->score = vox_calloc(n * (size_t)r->metrics.classes, sizeof(float), what, err);
    r->loss = vox_calloc(n, sizeof(float), what, err);
    r->label = vox_calloc(n * r->labels, sizeof(int32_t), what, err);
    return r->output && r->score && r->loss && r->label ? VOX_OK : VOX_ERR_MEMORY;
}

static void room_release(eval_room *r)
{
    free(r->output);
    free(r->score);
    free(r->loss);
    free(r->label);
    vox_metrics_release(&r->metrics);
}

/* Maps: this rank's samples, each for itself; what all ranks counted comes together at the end. */
static vox_status count_maps(eval_room *r, const vox_graph *graph, const vox_batch *b,
                             vox_error *err)
{
    vox_metrics_map map = {.channels = vox_graph_edge_shape(graph, graph->layers)->dim[1],
                           .voxels = r->labels,
                           .threshold = 0};
    /* the loss on probabilities has its middle elsewhere than those on logits */
    if (strcmp(graph->loss.node.op->name, "bce") == 0)
        map.threshold = 0.5f;
    return vox_metrics_add_maps(&r->metrics, b->count, &map, r->output + b->from * r->outputs,
                                r->label, r->loss + b->from, err);
}

/* Classes: all ranks get all scores, which the area under the curve is of. */
static vox_status count_classes(eval_room *r, vox_team *team, const vox_batch *b, vox_error *err)
{
    const int64_t classes = r->metrics.classes, n = (int64_t)b->n;
    memmove(r->label + b->from, r->label, b->count * sizeof *r->label);
    for (size_t i = b->from; i < b->from + b->count; i++)
        vox_metrics_softmax(r->output + i * r->outputs, classes, r->score + i * r->outputs);
    vox_status s = vox_team_share(team, n, VOX_OK, r->score, r->outputs * sizeof *r->score, err);
    if (s == VOX_OK)
        s = vox_team_share(team, n, VOX_OK, r->label, sizeof *r->label, err);
    return s == VOX_OK ? vox_metrics_add(&r->metrics, b->n, r->score, r->label, r->loss, err) : s;
}

/* Counts of voxels are whole numbers, which double holds up to 2^53. */
static vox_status add_ranks(eval_room *r, vox_team *team, vox_error *err)
{
    vox_metrics *m = &r->metrics;
    const size_t cells = m->voxels ? (size_t)(m->classes * m->classes) : 0;
    double *total = vox_calloc(cells + 2, sizeof *total, "an evaluation's results", err);
    if (!total)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < cells; i++)
        total[i] = (double)m->voxels[i];
    total[cells] = m->loss_sum;
    total[cells + 1] = (double)m->samples;
    vox_status s = vox_team_total(team, total, cells + 2, err);
    for (size_t i = 0; s == VOX_OK && i < cells; i++)
        m->voxels[i] = (int64_t)total[i];
    m->loss_sum = total[cells];
    m->samples = (size_t)total[cells + 1];
    free(total);
    return s;
}

/* Outputs and losses; once more if a rank lost its last device, whose samples others have then. */
static vox_status run_batch(vox_cases *c, vox_team *team, vox_loader *loader,
                            const vox_batch *batch, eval_room *r, vox_error *err)
{
    vox_status s;
    do {
        vox_cases_labels(c, batch, r->label);
        const vox_team_batch b = {
            .sample = batch->sample, .label = r->label, .n = (int64_t)batch->n};
        s = vox_team_eval(team, &b, r->output, r->loss, err);
        s = vox_team_share(team, b.n, s, r->loss, sizeof *r->loss, err);
        if (s == VOX_OK || (s = vox_team_eval_again(team, s, err)) != VOX_OK)
            return s;
        s = vox_team_agree(team, vox_loader_again(loader, err), err);
    } while (s == VOX_OK);
    return s;
}

static vox_status evaluate_batch(vox_cases *c, vox_team *team, const vox_graph *graph,
                                 vox_loader *loader, const vox_batch *batch, eval_room *r,
                                 vox_error *err)
{
    vox_status s = run_batch(c, team, loader, batch, r, err);
    if (s != VOX_OK)
        return s;
    for (size_t i = 0; i < batch->n; i++) {
        if (isfinite(r->loss[i]))
            continue;
        vox_fail(err, VOX_ERR_NONFINITE, "the %s loss is not finite", c->what);
        vox_detail(err, "%s: loss %g", vox_dataset_case(c->set, batch->case_index[i]),
                   (double)r->loss[i]);
        vox_hint(err, "lower the learning rate, add train.warmup or train.clip_norm");
        return vox_team_agree(team, VOX_ERR_NONFINITE, err);
    }
    return r->labels > 1 ? count_maps(r, graph, batch, err) : count_classes(r, team, batch, err);
}

static void own_samples(void *user, size_t n, size_t *from, size_t *count)
{
    const vox_slice own = vox_team_slice(user, (int64_t)n);
    *from = (size_t)own.first;
    *count = (size_t)own.count;
}

static void leave_behind(const eval_room *room, vox_loader *loader)
{
    eval_room *kept = vox_calloc(1, sizeof *kept, "an evaluation", NULL);
    if (kept)
        *kept = *room;
    vox_leave_behind(kept);
    vox_leave_behind(loader);
}

vox_status vox_cases_evaluate(vox_cases *c, vox_team *team, const vox_graph *graph, int64_t batch,
                              vox_metrics_result *out, vox_error *err)
{
    const vox_loader_options opt = {
        .batch = (size_t)batch, .ahead = 1, .windows = true, .share = own_samples, .user = team};
    const size_t hung = vox_team_hangs(team);
    size_t seen = 0;
    eval_room room = {0};
    vox_loader *loader = NULL;
    vox_status s = room_open(&room, graph, batch, err);
    if (s == VOX_OK)
        s = vox_loader_open(&loader, c->set, &opt, err);
    s = vox_team_agree(team, s, err);
    while (s == VOX_OK && seen < vox_loader_count(loader)) {
        const vox_batch *b;
        s = vox_team_agree(team, vox_loader_next(loader, &b, err), err);
        if (s == VOX_OK)
            s = evaluate_batch(c, team, graph, loader, b, &room, err);
        seen += s == VOX_OK ? b->n : 0;
    }
    if (s == VOX_OK && room.labels > 1)
        s = add_ranks(&room, team, err);
    if (s == VOX_OK)
        s = vox_metrics_get(&room.metrics, out, err);
    if (vox_team_hangs(team) > hung) { /* its thread may yet read the batch: that stays for good */
        vox_loader_stop(loader);
        leave_behind(&room, loader);
        return s;
    }
    vox_loader_free(&loader);
    room_release(&room);
    return s;
}
