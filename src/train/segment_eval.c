/* segment_eval.c - vox_model_eval_segments: every case of a data set predicted whole, on its own
 * grid, and compared with its mask there. */
#include "base/log.h"
#include "data/mask.h"
#include "ops/loss.h"
#include "train/metrics_segmentation.h"
#include "train/segment.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct evaluation {
    vox_model *model;
    const vox_segment_eval_options *opt;
    vox_dataset *set;
    vox_prepare *steps;
    vox_pool *pool;
    vox_sliding_options sliding;
    vox_segment_scores *out;
} evaluation;

/* ---- one case ------------------------------------------------------------- */

static vox_status score_class(const vox_segmentation *s, const int32_t *truth,
                              const int32_t *predicted, int32_t k, vox_class_score *out,
                              vox_error *err)
{
    vox_class_metrics m;
    vox_status status =
        vox_class_metrics_get(&m, truth, predicted, s->grid.size, s->grid.spacing_mm, k,
                              VOX_MASK_IGNORED, VOX_EMPTY_NNUNET, err);
    if (status != VOX_OK)
        return status;
    *out = (vox_class_score){.truth = m.truth,
                             .predicted = m.predicted,
                             .both = m.both,
                             .dice_nnunet = m.dice,
                             .dice_monai = vox_dice(m.truth, m.predicted, m.both, VOX_EMPTY_MONAI),
                             .dice_one = vox_dice(m.truth, m.predicted, m.both, VOX_EMPTY_ONE),
                             .iou = m.iou,
                             .sensitivity = m.sensitivity,
                             .precision = m.precision,
                             .hd95_mm = m.hd95_mm,
                             .truth_ml = m.truth_ml,
                             .predicted_ml = m.predicted_ml,
                             .volume_error_ml = m.volume_error_ml,
                             .volume_error = m.volume_error};
    return VOX_OK;
}

static vox_status score_mask(const evaluation *e, const vox_segmentation *s, const vox_image *mask,
                             vox_class_score *score, vox_error *err)
{
    const size_t n = vox_volume_voxels(mask);
    uint8_t *label = vox_calloc(n, 1, "the mask", err);
    int32_t *map = vox_calloc(n, 2 * sizeof *map, "the masks", err);
    vox_status status = label && map ? VOX_OK : VOX_ERR_MEMORY;
    if (status == VOX_OK)
        vox_restore_labels(&s->restore, e->pool, label);
    for (size_t i = 0; status == VOX_OK && i < n; i++) {
        map[i] = (int32_t)mask->voxel[i];
        map[n + i] = label[i];
    }
    for (int64_t k = 1; k < e->out->classes && status == VOX_OK; k++)
        status = score_class(s, map, map + n, (int32_t)k, &score[k - 1], err);
    free(label);
    free(map);
    return status;
}

static vox_status score_case(evaluation *e, size_t i, vox_class_score *score, vox_error *err)
{
    vox_prepared p;
    vox_segmentation s = {.score = NULL};
    vox_status status = vox_dataset_open_case(e->set, i, &p, err);
    if (status == VOX_OK) {
        vox_image *mask = p.mask; /* it stays on its own grid */
        p.mask = NULL;
        status = vox_segment_run(&s, e->model, &p, e->steps, &e->sliding, false, e->pool, err);
        if (status == VOX_OK)
            status = score_mask(e, &s, mask, score, err);
        vox_image_free(&mask);
    }
    vox_image_free(&p.image);
    vox_segmentation_release(&s);
    return status;
}

/* ---- all of them ---------------------------------------------------------- */

/* Means over the cases in which a figure is defined. */
static void add_means(vox_segment_scores *out)
{
    static const size_t figure[] = {
        offsetof(vox_class_score, dice_nnunet),  offsetof(vox_class_score, dice_monai),
        offsetof(vox_class_score, dice_one),     offsetof(vox_class_score, iou),
        offsetof(vox_class_score, sensitivity),  offsetof(vox_class_score, precision),
        offsetof(vox_class_score, hd95_mm),      offsetof(vox_class_score, truth_ml),
        offsetof(vox_class_score, predicted_ml), offsetof(vox_class_score, volume_error_ml),
        offsetof(vox_class_score, volume_error)};
    for (int64_t k = 0; k < out->classes - 1; k++) {
        vox_class_score *mean = &out->mean[k];
        for (size_t i = 0; i < out->count; i++) {
            mean->truth += out->item[i].score[k].truth;
            mean->predicted += out->item[i].score[k].predicted;
            mean->both += out->item[i].score[k].both;
        }
        for (size_t f = 0; f < sizeof figure / sizeof *figure; f++) {
            double sum = 0;
            size_t defined = 0;
            for (size_t i = 0; i < out->count; i++) {
                const double x =
                    *(const double *)((const char *)&out->item[i].score[k] + figure[f]);
                sum += isnan(x) ? 0 : x;
                defined += isnan(x) ? 0 : 1;
            }
            *(double *)((char *)mean + figure[f]) = defined ? sum / (double)defined : NAN;
        }
    }
}

static bool leave_out(const evaluation *e, vox_status s)
{
    return e->model->exp->data.skip_bad &&
           (s == VOX_ERR_INPUT || s == VOX_ERR_IO || s == VOX_ERR_UNSUPPORTED);
}

static vox_status add_case(evaluation *e, size_t i, vox_error *err)
{
    vox_error local = {0};
    vox_case_score *c = &e->out->item[e->out->count];
    const char *name = vox_dataset_case(e->set, i);
    c->score = vox_calloc((size_t)e->out->classes, sizeof *c->score, "a case's figures", err);
    c->name = vox_strdup(name, err);
    if (!c->score || !c->name)
        return VOX_ERR_MEMORY;
    e->out->count++;
    vox_status s = score_case(e, i, c->score, &local);
    if (s != VOX_OK && leave_out(e, s)) {
        vox_log(VOX_LOG_WARN, "left out: %s: %s", name, local.message);
        e->out->count--;
        e->out->bad_cases++;
        free(c->name);
        free(c->score);
        memset(c, 0, sizeof *c);
        return VOX_OK;
    }
    if (s != VOX_OK && s != VOX_ERR_INTERRUPTED && !strstr(local.detail, name))
        vox_error_at(&local, "%s", name);
    if (s != VOX_OK && err)
        *err = local;
    if (s == VOX_OK && e->opt->on_case)
        e->opt->on_case(e->opt->user, c, (int64_t)i + 1, (int64_t)vox_dataset_count(e->set));
    return s;
}

static vox_status open_set(evaluation *e, const vox_yaml_node *spec, const char *dir,
                           vox_error *err)
{
    const vox_experiment *exp = e->model->exp;
    const vox_class_names *names = &e->model->saved.classes;
    int32_t ignore;
    vox_dataset_options opt = {.base_dir = dir,
                               .class_name = (const char *const *)names->name,
                               .class_count = names->count,
                               .classes = e->model->classes,
                               .ignore = vox_loss_ignored(&exp->graph->loss.node, &ignore) ? &ignore
                                                                                           : NULL,
                               .patches = true, /* cases of any size */
                               .stats = &e->model->saved.stats};
    memcpy(opt.sample_shape, exp->graph->input.dim + 1, sizeof opt.sample_shape);
    vox_status s = vox_dataset_open(&e->set, spec, exp->data.prepare, &opt, err);
    if (s == VOX_OK && !vox_dataset_masks(e->set)) {
        s = vox_fail(err, VOX_ERR_INPUT, "the data set has labels, the network makes masks");
        vox_hint(err, "name a manifest with the columns image and mask, or a folder of pairs");
    }
    if (s == VOX_OK)
        s = vox_prepare_open(&e->steps, exp->data.prepare, err);
    if (s == VOX_OK)
        vox_prepare_set_stats(e->steps, &e->model->saved.stats);
    return s;
}

/* Told before hours of work, not after them. */
static vox_status check_table(const char *path, vox_error *err)
{
    vox_file f;
    vox_status s = path ? vox_file_begin(&f, path, err) : VOX_OK;
    if (path && s == VOX_OK)
        vox_file_abandon(&f);
    return s;
}

static vox_status evaluate(evaluation *e, vox_error *err)
{
    const size_t count = vox_dataset_count(e->set);
    vox_segment_scores *out = e->out;
    out->classes = e->model->classes;
    out->item = vox_calloc(count, sizeof *out->item, "the figures", err);
    out->mean = vox_calloc((size_t)out->classes, sizeof *out->mean, "the figures", err);
    vox_status s = out->item && out->mean ? VOX_OK : VOX_ERR_MEMORY;
    for (size_t i = 0; i < count && s == VOX_OK; i++)
        s = add_case(e, i, err);
    if (s == VOX_OK && out->count == 0)
        s = vox_fail(err, VOX_ERR_INPUT, "there is no case to evaluate");
    if (s != VOX_OK)
        return s;
    add_means(out);
    return e->opt->csv ? vox_segment_scores_write(out, e->model, e->opt->csv, err) : VOX_OK;
}

vox_status vox_model_eval_segments(vox_model *model, const char *data,
                                   const vox_segment_eval_options *opt, vox_segment_scores **out,
                                   vox_error *err)
{
    vox_yaml *doc = NULL;
    const vox_yaml_node *spec;
    const char *dir;
    evaluation e = {.model = model,
                    .opt = opt,
                    .sliding = {.overlap = vox_segment_overlap(opt->overlap),
                                .should_stop = opt->should_stop,
                                .user = opt->user}};
    *out = NULL;
    vox_status s = vox_segment_check(model, err);
    if (s == VOX_OK)
        s = check_table(opt->csv, err);
    if (s == VOX_OK)
        s = vox_segment_mirror(model, opt->mirror, &e.sliding.mirror, err);
    if (s == VOX_OK)
        s = vox_model_choose_data(model, data, &doc, &spec, &dir, err);
    if (s == VOX_OK && !(e.out = vox_calloc(1, sizeof *e.out, "the figures", err)))
        s = VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = vox_pool_open(&e.pool, 0, err);
    if (s == VOX_OK)
        s = open_set(&e, spec, dir, err);
    if (s == VOX_OK)
        s = evaluate(&e, err);
    vox_prepare_free(&e.steps);
    vox_dataset_free(&e.set);
    vox_pool_free(&e.pool);
    vox_yaml_free(&doc);
    if (s != VOX_OK)
        vox_segment_scores_free(&e.out);
    *out = e.out;
    return s;
}

void vox_segment_scores_free(vox_segment_scores **scores)
{
    vox_segment_scores *s = scores ? *scores : NULL;
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++) {
        free(s->item[i].name);
        free(s->item[i].score);
    }
    free(s->item);
    free(s->mean);
    free(s);
    *scores = NULL;
}
