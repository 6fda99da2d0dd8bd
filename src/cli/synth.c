/* synth.c - voxcl synth KIND DIR: a labelled synthetic data set in the real formats. */
#include "cli.h"

int cmd_synth(int argc, char **argv)
{
    cli_number seed = {0, 0, INT64_MAX}, patients = {0, 1, INT64_MAX};
    const cli_option options[] = {
        {.name = "seed", .value = "N", .help = "another seed is another set (0)", .number = &seed},
        {.name = "patients", .value = "N", .help = "how many (160)", .number = &patients},
        {.name = NULL}};
    static const char *const operands[] = {"KIND", "DIR", NULL};
    const cli_spec spec = {
        .usage = "synth KIND DIR [options]",
        .about = "Writes a labelled synthetic data set in the real formats, whole or not at all.\n"
                 "KIND is prostate: patients in the layout of ProstateX (DICOM T2 and ADC, Ktrans\n"
                 "as MetaImage, the CSV tables) with lesions of grade group 1 to 5.",
        .operands = operands,
        .options = options};
    const char *operand[2];
    int code = cli_parse(&spec, argc, argv, operand);
    if (code != CLI_GO)
        return code;
    vox_error err = {0};
    const vox_synth_options opt = {(uint64_t)seed.value, patients.value};
    if (vox_synth(operand[0], operand[1], &opt, &err) != VOX_OK)
        return cli_error(&err);
    printf("wrote %s (see its README.txt)\n", operand[1]);
    printf("to train on it: voxcl train models/prostatex-quickstart.yaml --data %s\n", operand[1]);
    return cli_finish(CLI_DONE);
}
