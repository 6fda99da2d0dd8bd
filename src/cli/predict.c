/* predict.c - voxcl predict: a checkpoint's answers for new images. */
#include "cli.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct request {
    const char *checkpoint, *devices, *output, *overlap;
    cli_list inputs;
    vox_segment_options segment;
} request;

/* ---- progress ------------------------------------------------------------- */

typedef struct watch {
    double begun; /* when the first windows were done, which build kernels */
    int64_t first;
} watch;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void on_progress(void *user, int64_t done, int64_t total)
{
    watch *w = user;
    char text[64];
    const double t = now();
    if (!w->first) {
        w->begun = t;
        w->first = done;
    }
    const double each = done > w->first ? (t - w->begun) / (double)(done - w->first) : NAN;
    snprintf(text, sizeof text, "window %" PRId64 " of %" PRId64, done, total);
    cli_bar(done, total, each * (double)(total - done), text);
}

/* ---- segmentations -------------------------------------------------------- */

/* The files of one scan as the library takes them: "a;b".  Caller frees. */
static char *join(const cli_list *list)
{
    size_t length = 1;
    for (size_t i = 0; i < list->count; i++)
        length += strlen(list->item[i]) + 1;
    char *text = calloc(length, 1);
    for (size_t i = 0; text && i < list->count; i++) {
        strcat(text, i ? ";" : "");
        strcat(text, list->item[i]);
    }
    return text;
}

static void print_classes(const vox_model *model, const vox_segment_result *r)
{
    static const char *const header[] = {"class", "name", ">voxels", ">ml", NULL};
    cli_table table = {.header = header};
    char text[CLI_TEXT];
    for (int64_t k = 0; k < r->classes; k++) {
        cli_cell(&table, "%" PRId64, k);
        cli_cell(&table, "%s", vox_model_class(model, k));
        cli_cell(&table, "%s", cli_count(text, r->voxels[k]));
        if (isnan(r->volume_ml[k]))
            cli_cell(&table, "-");
        else
            cli_cell(&table, "%.2f", r->volume_ml[k]);
    }
    cli_table_print(&table, "");
}

static void print_segmentation(const vox_model *model, const request *q,
                               const vox_segment_result *r)
{
    char text[CLI_TEXT];
    print_classes(model, r);
    printf("%" PRId64 " x %" PRId64 " x %" PRId64 " voxels, %" PRId64 " window%s, %s\n", r->size[0],
           r->size[1], r->size[2], r->windows, r->windows == 1 ? "" : "s",
           cli_duration(text, r->time_s));
    if (q->segment.mask)
        printf("wrote %s\n", q->segment.mask);
    if (q->segment.png)
        printf("wrote %s\n", q->segment.png);
    if (q->segment.probabilities)
        printf("wrote %s with _0 to _%" PRId64 " before its ending: each class's probability\n",
               q->segment.probabilities, r->classes - 1);
}

static int segment(vox_model *model, request *q)
{
    vox_error err = {0};
    vox_segment_result result;
    watch w = {0};
    char *input = join(&q->inputs);
    if (!input) {
        fprintf(stderr, "voxcl: error: out of memory\n");
        return CLI_FAILED;
    }
    q->segment.mask = q->output;
    q->segment.on_progress = on_progress;
    q->segment.should_stop = cli_stopped;
    q->segment.user = &w;
    cli_catch_signals("stopping; nothing will be written");
    vox_status s = vox_model_segment(model, input, &q->segment, &result, &err);
    cli_bar_end();
    free(input);
    if (s == VOX_ERR_INTERRUPTED) {
        cli_error(&err);
        return cli_stop_code();
    }
    if (s != VOX_OK)
        return cli_error(&err);
    print_segmentation(model, q, &result);
    return CLI_DONE;
}

/* ---- classifiers ---------------------------------------------------------- */

static int classify(vox_model *model, const request *q)
{
    vox_error err = {0};
    if (!q->output)
        return cli_usage("predict", NULL, "predict needs --output PATH");
    if (q->segment.mirror || q->overlap || q->segment.probabilities || q->segment.png)
        return cli_usage("predict", "they are for networks with an output for every voxel",
                         "a classifier takes no --overlap, --mirror, --probabilities or --png");
    if (vox_model_predict(model, q->inputs.item, q->inputs.count, q->output, &err) != VOX_OK)
        return cli_error(&err);
    printf("wrote %s\n", q->output);
    return CLI_DONE;
}

static int predict(request *q)
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

int cmd_predict(int argc, char **argv)
{
    request q = {0};
    const cli_option options[] = {
        {.name = "input",
         .value = "FILE...",
         .list = &q.inputs,
         .many = true,
         .help = "images, or folders with one DICOM series each"},
        {.name = "output",
         .value = "PATH",
         .text = &q.output,
         .help = "a mask: .nii.gz, .nii, .mhd, .mha, .npy; of a classifier: .csv, .npy"},
        {.name = "probabilities",
         .value = "PATH",
         .text = &q.segment.probabilities,
         .help = "p.nii.gz writes p_0.nii.gz, p_1.nii.gz ..., one for each class"},
        {.name = "png",
         .value = "FILE",
         .text = &q.segment.png,
         .help = "a picture: slices of the first channel with the mask's outlines"},
        CLI_OVERLAP_OPTION(q.overlap),
        CLI_MIRROR_OPTION(q.segment.mirror),
        CLI_DEVICES_OPTION(q.devices),
        {.name = NULL},
    };
    const cli_spec spec = {
        .usage = "predict CKPT --input FILE... --output PATH [options]",
        .about =
            "Runs a trained network on images, prepared as its experiment says.\n\n"
            "A network with an output for every voxel writes a mask on the input's own grid: the\n"
            "volume is seen through overlapping windows of the network's input size, their\n"
            "outputs are averaged with Gaussian weights, made probabilities and brought back\n"
            "through resampling, cropping and orientation. From NIfTI to NIfTI the header's\n"
            "geometry stays byte for byte. The files of --input (or a.nii.gz;b.nii.gz) are the\n"
            "channels of one scan, in the order of the training data's.\n\n"
            "A classifier writes the class and the probabilities of each input (.csv), or its\n"
            "raw outputs (.npy); channels are given as a.mhd;b.mhd.",
        .operands = (const char *const[]){"CKPT", NULL},
        .options = options,
        .more =
            "example: voxcl predict runs/a/best.safetensors --input t1.nii.gz --output mask.nii.gz",
    };
    int code = cli_parse(&spec, argc, argv, &q.checkpoint);
    if (code == CLI_GO && !q.inputs.count)
        code = cli_usage("predict", NULL, "predict needs --input FILE...");
    if (code == CLI_GO && !q.output && !q.segment.probabilities && !q.segment.png)
        code = cli_usage("predict", NULL, "predict needs --output PATH");
    if (code == CLI_GO)
        code = cli_overlap_get(&q.segment.overlap, q.overlap, "predict");
    if (code == CLI_GO)
        code = predict(&q);
    cli_list_release(&q.inputs);
    return code;
}
