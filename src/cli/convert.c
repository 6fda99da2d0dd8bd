/* convert.c - voxcl convert: any readable image to .npy, NIfTI, MetaImage or PNG, or what it is. */
#include "cli.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct range {
    float min, max; /* of the finite values; 0 when there is none */
    size_t nonfinite, count;
} range;

static range find_range(const vox_image *im)
{
    range r = {INFINITY, -INFINITY, 0,
               (size_t)(im->channels * im->size[0] * im->size[1] * im->size[2])};
    for (size_t i = 0; i < r.count; i++) {
        float v = im->voxel[i];
        if (!isfinite(v)) {
            r.nonfinite++;
            continue;
        }
        r.min = v < r.min ? v : r.min;
        r.max = v > r.max ? v : r.max;
    }
    if (r.nonfinite == r.count)
        r.min = r.max = 0;
    return r;
}

/* ---- for people ---- */

static void print_vector(const char *name, const double v[3], const char *what)
{
    printf("%-10s (%.6g, %.6g, %.6g)%s\n", name, v[0], v[1], v[2], what);
}

static void print_info(const vox_image *im, const char *path)
{
    range r = find_range(im);
    printf("%s\n", path);
    printf("%-10s %s, %s\n", "format", im->format, im->stored_type);
    printf(
        "%-10s %" PRId64 " channel%s of (%" PRId64 ", %" PRId64 ", %" PRId64 ") voxels (d, h, w)\n",
        "shape", im->channels, im->channels == 1 ? "" : "s", im->size[0], im->size[1], im->size[2]);
    if (im->has_geometry) {
        print_vector("spacing", im->spacing_mm, " mm (d, h, w)");
        print_vector("origin", im->origin_mm, " mm (x, y, z in LPS)");
        print_vector("direction", im->direction[0], " of d");
        print_vector("", im->direction[1], " of h");
        print_vector("", im->direction[2], " of w");
    } else {
        printf("%-10s none in the file\n", "geometry");
    }
    printf("%-10s %.9g to %.9g", "range", (double)r.min, (double)r.max);
    if (r.nonfinite)
        printf(", and %zu of %zu values NaN or infinite", r.nonfinite, r.count);
    printf("\n");
}

/* ---- for programs ---- */

static void json_string(const char *text)
{
    putchar('"');
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p == '"' || *p == '\\')
            printf("\\%c", *p);
        else if (*p < 32)
            printf("\\u%04x", *p);
        else
            putchar(*p);
    putchar('"');
}

static void json_vector(const char *name, const double v[3])
{
    printf("  \"%s\": [%.17g, %.17g, %.17g],\n", name, v[0], v[1], v[2]);
}

static void print_json(const vox_image *im, const char *path)
{
    const double(*dir)[3] = im->direction;
    range r = find_range(im);
    printf("{\n  \"path\": ");
    json_string(path);
    printf(",\n  \"format\": \"%s\",\n  \"type\": \"%s\",\n", im->format, im->stored_type);
    printf("  \"channels\": %" PRId64 ",\n  \"size\": [%" PRId64 ", %" PRId64 ", %" PRId64 "],\n",
           im->channels, im->size[0], im->size[1], im->size[2]);
    printf("  \"has_geometry\": %s,\n", im->has_geometry ? "true" : "false");
    json_vector("spacing_mm", im->spacing_mm);
    json_vector("origin_mm", im->origin_mm);
    printf(
        "  \"direction\": [[%.17g, %.17g, %.17g], [%.17g, %.17g, %.17g], [%.17g, %.17g, %.17g]],\n",
        dir[0][0], dir[0][1], dir[0][2], dir[1][0], dir[1][1], dir[1][2], dir[2][0], dir[2][1],
        dir[2][2]);
    printf("  \"min\": %.9g,\n  \"max\": %.9g,\n  \"nonfinite\": %zu\n}\n", (double)r.min,
           (double)r.max, r.nonfinite);
}

int cmd_convert(int argc, char **argv)
{
    bool info = false, json = false;
    const cli_option options[] = {
        {.name = "info",
         .help = "print shape, spacing, origin, direction, type, range",
         .flag = &info},
        {.name = "json", .help = "the same as JSON (with --info)", .flag = &json},
        {.name = NULL},
    };
    static const char *const operands[] = {"IN", "[OUT]", NULL};
    const cli_spec spec = {
        .usage = "convert IN OUT | convert --info [--json] IN",
        .about = "Converts an image, keeping its geometry, or says what it is.",
        .operands = operands,
        .options = options,
        .more =
            "IN is a DICOM file or the folder of one series (DIR#SERIES where there are several:\n"
            "its number, description or UID), NIfTI, MetaImage, .npy or PNG.\n"
            "OUT ends in:\n"
            "  .npy          float32 [D,H,W] or [C,D,H,W], without geometry\n"
            "  .nii .nii.gz  NIfTI, float32\n"
            "  .mhd .mha     MetaImage, float32 (.mhd with .raw beside it; name .zraw instead to\n"
            "                have it compressed)\n"
            "  .png          one slice; a name ending in / makes a folder of slices.  8-bit data "
            "are\n"
            "                kept; others are scaled from their range to 16 bits, and the file's\n"
            "                texts voxcl:min and voxcl:max say which range that was\n"
            "A file that is there already is replaced when the new one is complete.",
    };
    const char *operand[2];
    vox_error err = {0};
    vox_image *image;
    int code = cli_parse(&spec, argc, argv, operand);
    if (code != CLI_GO)
        return code;
    if (info && operand[1])
        return cli_usage("convert", NULL, "--info takes one file, \"%s\" is a second", operand[1]);
    if (!info && !operand[1])
        return cli_usage("convert", NULL, "the name to write to is missing");
    if (!info && json)
        return cli_usage("convert", NULL, "--json goes with --info");
    if (vox_image_read(&image, operand[0], &err) != VOX_OK)
        return cli_error(&err);
    vox_status status = info ? VOX_OK : vox_image_write(image, operand[1], &err);
    if (info && json)
        print_json(image, operand[0]);
    else if (info)
        print_info(image, operand[0]);
    vox_image_free(&image);
    return status == VOX_OK ? cli_finish(CLI_DONE) : cli_error(&err);
}
