/* eval.c - voxcl eval: a checkpoint's metrics on labelled data. */
#include "cli.h"
#include "json.h"

#include <inttypes.h>

static void print_text(const vox_eval_result *r)
{
    char a[CLI_TEXT];
    printf("samples            %" PRId64 "\n", r->samples);
    printf("loss               %s\n", cli_number_or_dash(a, r->loss));
    if (r->maps) {
        printf("Dice               %s (the classes' mean, of all voxels together)\n",
               cli_number_or_dash(a, r->dice));
        printf("voxels' accuracy   %s\n", cli_number_or_dash(a, r->accuracy));
        cli_class_dice_print(r->class_dice, r->class_name, r->classes);
        return;
    }
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
    if (r->maps) {
        json_t *dice = json_array();
        for (int64_t i = 0; i < r->classes; i++)
            json_array_append_new(dice, cli_json_real(r->class_dice[i]));
        cli_json_set(o, "dice", cli_json_real(r->dice));
        cli_json_set(o, "class_dice", dice);
    }
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

static int evaluate(const char *checkpoint, const char *data, const char *devices, bool json)
{
    static vox_eval_result result; /* 32 KiB */
    vox_error err = {0};
    vox_ctx *ctx = NULL;
    vox_model *model = NULL;
    int code = CLI_DONE;
    if (vox_ctx_open(&ctx, devices, &err) != VOX_OK ||
        vox_model_open(&model, ctx, checkpoint, &err) != VOX_OK ||
        vox_model_eval(model, data, &result, &err) != VOX_OK)
        code = cli_error(&err);
    else if (json)
        code = print_json(&result);
    else
        print_text(&result);
    vox_model_free(&model);
    vox_ctx_free(&ctx);
    return code;
}

int cmd_eval(int argc, char **argv)
{
    bool json = false;
    const char *checkpoint, *data = NULL, *devices = NULL;
    const cli_option options[] = {
        {.name = "data",
         .value = "PATH",
         .text = &data,
         .help = "a manifest or a data folder (the experiment's own validation data)"},
        CLI_DEVICES_OPTION(devices),
        CLI_JSON_OPTION(json),
        {.name = NULL},
    };
    const cli_spec spec = {
        .usage = "eval CKPT [options]",
        .about = "Prints a trained network's loss, accuracy, AUC, kappa and confusion matrix on\n"
                 "labelled data, or the classes' Dice if it segments. CKPT is a run's\n"
                 "best.safetensors or last.safetensors.",
        .operands = (const char *const[]){"CKPT", NULL},
        .options = options,
    };
    int code = cli_parse(&spec, argc, argv, &checkpoint);
    return code == CLI_GO ? evaluate(checkpoint, data, devices, json) : code;
}
