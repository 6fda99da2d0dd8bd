/* eval.c - voxcl eval: a checkpoint's metrics on labelled data. */
#include "cli.h"
#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct request {
    const char *checkpoint, *data, *devices, *overlap;
    bool json;
    vox_segment_eval_options segment;
} request;

/* ---- classifiers ---------------------------------------------------------- */

static void print_text(const vox_eval_result *r)
{
    char a[CLI_TEXT];
    printf("samples            %" PRId64 "\n", r->samples);
    printf("loss               %s\n", cli_number_or_dash(a, r->loss));
    printf("accuracy           %s\n", cli_number_or_dash(a, r->accuracy));
    printf("AUC, one vs rest   %s\n", cli_number_or_dash(a, r->auc));
    printf("kappa, quadratic   %s\n", cli_number_or_dash(a, r->kappa));
    if (r->classes > 0) {
        printf("confusion matrix\n");
        cli_confusion_print(r->confusion, r->classes);
    }
}

#ifdef VOXCL_WITH_JANSSON
static int print_json(const vox_eval_result *r)
{
    json_t *o = json_object();
    cli_json_set(o, "samples", json_integer(r->samples));
    cli_json_set(o, "loss", cli_json_real(r->loss));
    cli_json_set(o, "accuracy", cli_json_real(r->accuracy));
    cli_json_set(o, "auc", cli_json_real(r->auc));
    cli_json_set(o, "kappa", cli_json_real(r->kappa));
    cli_json_set(o, "classes", json_integer(r->classes));
    cli_json_set(o, "confusion", cli_json_square(r->confusion, r->classes));
    return cli_json_print(o);
}
#else
static int print_json(const vox_eval_result *r)
{
    (void)r;
    return cli_no_json();
}
#endif

static int classify(vox_model *model, const request *q)
{
    static vox_eval_result result; /* 32 KiB */
    vox_error err = {0};
    if (q->segment.csv || q->overlap || q->segment.mirror)
        return cli_usage("eval", "they are for networks with an output for every voxel",
                         "a classifier takes no --csv, --overlap or --mirror");
    if (vox_model_eval(model, q->data, &result, &err) != VOX_OK)
        return cli_error(&err);
    if (q->json)
        return print_json(&result);
    print_text(&result);
    return CLI_DONE;
}

/* ---- segmentations -------------------------------------------------------- */

typedef struct watch {
    const request *q;
    const vox_model *model;
} watch;

static void on_case(void *user, const vox_case_score *c, int64_t done, int64_t total)
{
    const watch *w = user;
    const int64_t classes = vox_model_classes(w->model);
    char line[512] = "", text[2][CLI_TEXT];
    for (int64_t k = 1; k < classes; k++) {
        const size_t n = strlen(line);
        snprintf(line + n, sizeof line - n, "  %" PRId64 ": %s", k,
                 cli_number_or_dash(text[0], c->score[k - 1].dice_nnunet));
    }
    if (!w->q->json)
        cli_line("%s  Dice%s", c->name, line);
    snprintf(text[1], sizeof text[1], "case %" PRId64 " of %" PRId64, done, total);
    cli_bar(done, total, NAN, text[1]);
}

static void number_cell(cli_table *t, double x)
{
    char text[CLI_TEXT];
    cli_cell(t, "%s", cli_number_or_dash(text, x));
}

static void print_means(const vox_model *model, const vox_segment_scores *s)
{
    static const char *const header[] = {
        "class",        "name",       ">Dice",    ">if empty: 1",  ">IoU",
        ">sensitivity", ">precision", ">HD95 mm", ">volume error", NULL};
    cli_table table = {.header = header};
    for (int64_t k = 1; k < s->classes; k++) {
        const vox_class_score *m = &s->mean[k - 1];
        cli_cell(&table, "%" PRId64, k);
        cli_cell(&table, "%s", vox_model_class(model, k));
        number_cell(&table, m->dice_nnunet);
        number_cell(&table, m->dice_one);
        number_cell(&table, m->iou);
        number_cell(&table, m->sensitivity);
        number_cell(&table, m->precision);
        number_cell(&table, m->hd95_mm);
        number_cell(&table, m->volume_error);
    }
    printf("means over %zu case%s", s->count, s->count == 1 ? "" : "s");
    if (s->bad_cases)
        printf(", %zu bad ones left out", s->bad_cases);
    printf("\n");
    cli_table_print(&table, "");
}

static int show(const vox_model *model, const request *q, const vox_segment_scores *scores)
{
    vox_error err = {0};
    char *json = NULL;
    if (!q->json) {
        print_means(model, scores);
        if (q->segment.csv)
            printf("wrote %s\n", q->segment.csv);
        return CLI_DONE;
    }
    if (vox_segment_scores_json(scores, model, &json, &err) != VOX_OK)
        return cli_error(&err);
    puts(json);
    vox_string_free(&json);
    return CLI_DONE;
}

static int segment(vox_model *model, request *q)
{
    vox_error err = {0};
    vox_segment_scores *scores = NULL;
    watch w = {q, model};
    q->segment.on_case = on_case;
    q->segment.should_stop = cli_stopped;
    q->segment.user = &w;
    cli_catch_signals("stopping; nothing will be written");
    vox_status s = vox_model_eval_segments(model, q->data, &q->segment, &scores, &err);
    cli_bar_end();
    if (s != VOX_OK) {
        const int code = cli_error(&err);
        return s == VOX_ERR_INTERRUPTED ? cli_stop_code() : code;
    }
    const int code = show(model, q, scores);
    vox_segment_scores_free(&scores);
    return code;
}

static int evaluate(request *q)
{
    vox_error err = {0};
    vox_ctx *ctx = NULL;
    vox_model *model = NULL;
    int code;
    if (vox_ctx_open(&ctx, q->devices, &err) != VOX_OK ||
        vox_model_open(&model, ctx, q->checkpoint, &err) != VOX_OK)
        code = cli_error(&err);
    else
        code = vox_model_segments(model) ? segment(model, q) : classify(model, q);
    vox_model_free(&model);
    vox_ctx_free(&ctx);
    return code;
}

int cmd_eval(int argc, char **argv)
{
    request q = {0};
    const cli_option options[] = {
        {.name = "data",
         .value = "PATH",
         .text = &q.data,
         .help = "a manifest or a data folder (the experiment's own validation data)"},
        {.name = "csv",
         .value = "FILE",
         .text = &q.segment.csv,
         .help = "writes a row per case and class"},
        CLI_OVERLAP_OPTION(q.overlap),
        CLI_MIRROR_OPTION(q.segment.mirror),
        CLI_DEVICES_OPTION(q.devices),
        CLI_JSON_OPTION(q.json),
        {.name = NULL},
    };
    const cli_spec spec = {
        .usage = "eval CKPT [options]",
        .about =
            "Prints a trained network's metrics on labelled data. CKPT is a run's "
            "best.safetensors\n"
            "or last.safetensors.\n\n"
            "Of a classifier: loss, accuracy, AUC, kappa and confusion matrix. A network with an\n"
            "output for every voxel predicts each case whole, as voxcl predict does, and is\n"
            "compared with the mask on the case's own grid, class by class: Dice, IoU,\n"
            "sensitivity, precision, 95 % Hausdorff distance in mm, volume error. Where the\n"
            "truth is empty, Dice is left out of the mean if the prediction is empty too, else 0\n"
            "(nnU-Net's rule); the column \"if empty: 1\" has 1 there (the BraTS challenges').",
        .operands = (const char *const[]){"CKPT", NULL},
        .options = options,
    };
    int code = cli_parse(&spec, argc, argv, &q.checkpoint);
    if (code == CLI_GO)
        code = cli_overlap_get(&q.segment.overlap, q.overlap, "eval");
    return code == CLI_GO ? evaluate(&q) : code;
}
