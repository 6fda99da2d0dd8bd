/* predict.c - voxcl predict: a checkpoint's answers for new images. */
#include "cli.h"

static int predict(const char *checkpoint, const char *devices, const cli_list *inputs,
                   const char *output)
{
    vox_error err = {0};
    vox_ctx *ctx = NULL;
    vox_model *model = NULL;
    int code = CLI_DONE;
    if (vox_ctx_open(&ctx, devices, &err) != VOX_OK ||
        vox_model_open(&model, ctx, checkpoint, &err) != VOX_OK ||
        vox_model_predict(model, inputs->item, inputs->count, output, &err) != VOX_OK)
        code = cli_error(&err);
    else
        printf("wrote %s\n", output);
    vox_model_free(&model);
    vox_ctx_free(&ctx);
    return code;
}

int cmd_predict(int argc, char **argv)
{
    const char *checkpoint, *devices = NULL, *output = NULL;
    cli_list inputs = {0};
    const cli_option options[] = {
        {.name = "input",
         .value = "FILE...",
         .list = &inputs,
         .many = true,
         .help = "images, or folders with one DICOM series each"},
        {.name = "output",
         .value = "PATH",
         .text = &output,
         .help = ".csv: class and probabilities per input; .npy: the raw outputs"},
        CLI_DEVICES_OPTION(devices),
        {.name = NULL},
    };
    const cli_spec spec = {
        .usage = "predict CKPT --input FILE... --output PATH [options]",
        .about = "Runs a trained network on images, prepared as its experiment says.",
        .operands = (const char *const[]){"CKPT", NULL},
        .options = options,
    };
    int code = cli_parse(&spec, argc, argv, &checkpoint);
    if (code == CLI_GO && !inputs.count)
        code = cli_usage("predict", NULL, "predict needs --input FILE...");
    if (code == CLI_GO && !output)
        code = cli_usage("predict", NULL, "predict needs --output PATH");
    if (code == CLI_GO)
        code = predict(checkpoint, devices, &inputs, output);
    cli_list_release(&inputs);
    return code;
}
