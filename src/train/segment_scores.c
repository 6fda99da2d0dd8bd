/* segment_scores.c - the figures of an evaluation as a table and as JSON. */
#include "base/json.h"
#include "train/segment.h"
#include "train/table.h"
#include "base/file.h"

#include <math.h>
#include <stddef.h>

/* The columns, by the names that both have. */
static const struct {
    const char *name;
    size_t offset;
} figure[] = {
    {"dice_nnunet", offsetof(vox_class_score, dice_nnunet)},
    {"dice_monai", offsetof(vox_class_score, dice_monai)},
    {"dice_one", offsetof(vox_class_score, dice_one)},
    {"iou", offsetof(vox_class_score, iou)},
    {"sensitivity", offsetof(vox_class_score, sensitivity)},
    {"precision", offsetof(vox_class_score, precision)},
    {"hd95_mm", offsetof(vox_class_score, hd95_mm)},
    {"truth_ml", offsetof(vox_class_score, truth_ml)},
    {"predicted_ml", offsetof(vox_class_score, predicted_ml)},
    {"volume_error_ml", offsetof(vox_class_score, volume_error_ml)},
    {"volume_error", offsetof(vox_class_score, volume_error)},
};
enum { FIGURES = sizeof figure / sizeof *figure };

static double get(const vox_class_score *c, int f)
{
    return *(const double *)((const char *)c + figure[f].offset);
}

/* ---- CSV ------------------------------------------------------------------ */

static void put_row(FILE *f, const vox_model *model, const char *name, int64_t k,
                    const vox_class_score *c)
{
    vox_table_text(f, name);
    fprintf(f, ",%lld,", (long long)k);
    vox_table_text(f, vox_model_class(model, k));
    fprintf(f, ",%lld,%lld,%lld", (long long)c->truth, (long long)c->predicted, (long long)c->both);
    for (int i = 0; i < FIGURES; i++) {
        fputc(',', f);
        vox_table_number(f, get(c, i));
    }
    fputc('\n', f);
}

vox_status vox_segment_scores_write(const vox_segment_scores *scores, const vox_model *model,
                                    const char *path, vox_error *err)
{
    vox_file file;
    vox_status s = vox_file_begin(&file, path, err);
    if (s != VOX_OK)
        return s;
    fputs("case,class,name,truth_voxels,predicted_voxels,both_voxels", file.stream);
    for (int i = 0; i < FIGURES; i++)
        fprintf(file.stream, ",%s", figure[i].name);
    fputc('\n', file.stream);
    for (size_t i = 0; i < scores->count; i++)
        for (int64_t k = 1; k < scores->classes; k++)
            put_row(file.stream, model, scores->item[i].name, k, &scores->item[i].score[k - 1]);
    return vox_file_commit(&file, err); /* a failed write above is found there */
}

/* ---- JSON ----------------------------------------------------------------- */

static void put_classes(vox_json *j, const char *key, const vox_segment_scores *scores,
                        const vox_model *model, const vox_class_score *c)
{
    vox_json_begin(j, key, '[');
    for (int64_t k = 1; k < scores->classes; k++, c++) {
        vox_json_begin(j, NULL, '{');
        vox_json_int(j, "class", k);
        vox_json_string(j, "name", vox_model_class(model, k));
        vox_json_int(j, "truth_voxels", c->truth);
        vox_json_int(j, "predicted_voxels", c->predicted);
        vox_json_int(j, "both_voxels", c->both);
        for (int i = 0; i < FIGURES; i++)
            vox_json_number(j, figure[i].name, get(c, i));
        vox_json_end(j, '}');
    }
    vox_json_end(j, ']');
}

/* Of the classes, as printed. */
static double mean_dice(const vox_segment_scores *scores)
{
    double sum = 0;
    int64_t defined = 0;
    for (int64_t k = 0; k < scores->classes - 1; k++) {
        const double x = scores->mean[k].dice_nnunet;
        sum += isnan(x) ? 0 : x;
        defined += isnan(x) ? 0 : 1;
    }
    return defined ? sum / (double)defined : NAN;
}

vox_status vox_segment_scores_json(const vox_segment_scores *scores, const vox_model *model,
                                   char **json, vox_error *err)
{
    vox_json j = {0};
    vox_json_begin(&j, NULL, '{');
    vox_json_int(&j, "samples", (int64_t)scores->count);
    vox_json_number(&j, "dice", mean_dice(scores));
    vox_json_begin(&j, "cases", '[');
    for (size_t i = 0; i < scores->count; i++) {
        vox_json_begin(&j, NULL, '{');
        vox_json_string(&j, "case", scores->item[i].name);
        put_classes(&j, "classes", scores, model, scores->item[i].score);
        vox_json_end(&j, '}');
    }
    vox_json_end(&j, ']');
    put_classes(&j, "mean", scores, model, scores->mean);
    vox_json_int(&j, "bad_cases", (int64_t)scores->bad_cases);
    vox_json_end(&j, '}');
    *json = vox_json_take(&j, err);
    return *json ? VOX_OK : VOX_ERR_MEMORY;
}
