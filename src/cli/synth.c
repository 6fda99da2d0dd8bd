/* synth.c - voxcl synth KIND DIR: a labelled synthetic data set in the real formats. */
#include "cli.h"

#include <inttypes.h>
#include <string.h>

static const char about[] =
    "Writes a labelled synthetic data set in the real formats, whole or not at all.\n"
    "KIND is\n"
    "  prostate  patients in the layout of ProstateX (DICOM T2 and ADC, Ktrans as MetaImage,\n"
    "            the CSV tables) with lesions of grade group 1 to 5\n"
    "  nodule    CT of the chest (MetaImage, HU) with lung nodules of 3 to 15 mm radius, their\n"
    "            masks, and manifest.csv; slices 1 to 1.5 times as thick as DIR's thinnest\n"
    "  tumour    MR of the brain (NIfTI, four channels, several orientations) with tumours of\n"
    "            three nested classes, in the layout of the Medical Segmentation Decathlon\n"
    "A patient depends on the seed and its number alone, not on how many there are.";

/* What trains on a set of this kind. */
static const char *model_of(const char *kind)
{
    return strcmp(kind, "nodule") == 0   ? "lung-nodule-unet3d"
           : strcmp(kind, "tumour") == 0 ? "brain-tumour-unet3d"
                                         : "prostatex-quickstart";
}

/* "96" or "64,96,96". */
static bool read_size(const char *text, int64_t size[3])
{
    char rest;
    if (sscanf(text, "%" SCNd64 ",%" SCNd64 ",%" SCNd64 "%c", &size[0], &size[1], &size[2],
               &rest) == 3)
        return size[0] || size[1] || size[2];
    if (sscanf(text, "%" SCNd64 "%c", &size[0], &rest) != 1)
        return false;
    size[1] = size[2] = size[0];
    return size[0] != 0;
}

int cmd_synth(int argc, char **argv)
{
    cli_number seed = {0, 0, INT64_MAX}, patients = {0, 1, INT64_MAX};
    const char *size = NULL;
    const cli_option options[] = {
        {.name = "seed", .value = "N", .help = "another seed is another set (0)", .number = &seed},
        {.name = "patients",
         .value = "N",
         .help = "how many (160; nodule, tumour: 24)",
         .number = &patients},
        {.name = "size",
         .value = "D,H,W",
         .help = "voxels (nodule: 96,160,160, d of the thinnest slices; tumour: 64,96,96)",
         .text = &size},
        {.name = NULL}};
    static const char *const operands[] = {"KIND", "DIR", NULL};
    const cli_spec spec = {.usage = "synth KIND DIR [options]",
                           .about = about,
                           .operands = operands,
                           .options = options};
    const char *operand[2];
    int code = cli_parse(&spec, argc, argv, operand);
    if (code != CLI_GO)
        return code;
    vox_error err = {0};
    vox_synth_options opt = {.seed = (uint64_t)seed.value, .patients = patients.value};
    if (size && !read_size(size, opt.size))
        return cli_usage("synth", NULL, "--size %s is not one length or three (d,h,w)", size);
    if (vox_synth(operand[0], operand[1], &opt, &err) != VOX_OK)
        return cli_error(&err);
    printf("wrote %s (see its README.txt)\n", operand[1]);
    printf("to train on it: voxcl train models/%s.yaml --data %s\n", model_of(operand[0]),
           operand[1]);
    return cli_finish(CLI_DONE);
}
