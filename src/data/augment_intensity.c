/* augment_intensity.c - {brightness: {range: [0.75, 1.25], p: 0.15}}, contrast and gamma: with
 * probability p each channel of a sample is changed by a factor drawn from the range
 * (cl/augment_intensity.cl has the formulas).  Labels have no part in it.
 * Defaults: the ranges and probabilities of nnU-Net's multiplicative brightness, contrast and
 * gamma. */
#include "data/augment_step.h"

#include <math.h>

#include "base/error.h"

enum { P, LOW, HIGH };                /* step->number */
enum { BRIGHTNESS, CONTRAST, GAMMA }; /* as in the kernel */

static vox_status parse_kind(vox_augment_step *step, const vox_yaml_node *node, double p,
                             double low, double high, vox_error *err)
{
    static const char *const keys[] = {"range", "p", NULL};
    double *number = step->number;
    vox_status s = vox_yaml_kind_of(node) == VOX_YAML_NULL
                       ? VOX_OK
                       : vox_yaml_keys(node, step->kind->word, keys, err);
    const vox_yaml_node *range = vox_yaml_find(node, "range");
    if (s == VOX_OK)
        s = vox_augment_number(node, "p", 0, 1, p, &number[P], err);
    number[LOW] = low;
    number[HIGH] = high;
    if (s != VOX_OK || !range)
        return s;
    if (vox_yaml_kind_of(range) != VOX_YAML_LIST || vox_yaml_count(range) != 2)
        return vox_yaml_fail(err, range, "range is a pair such as [0.75, 1.25]");
    s = vox_yaml_double(vox_yaml_item(range, 0), 1e-3, 1e3, &number[LOW], err);
    if (s == VOX_OK)
        s = vox_yaml_double(vox_yaml_item(range, 1), 1e-3, 1e3, &number[HIGH], err);
    if (s == VOX_OK && number[LOW] > number[HIGH])
        s = vox_yaml_fail(err, range, "the range's first number is over its second");
    return s;
}

static vox_status parse_scale(vox_augment_step *step, const vox_yaml_node *node, vox_error *err)
{
    return parse_kind(step, node, 0.15, 0.75, 1.25, err);
}

static vox_status parse_gamma(vox_augment_step *step, const vox_yaml_node *node, vox_error *err)
{
    return parse_kind(step, node, 0.3, 0.7, 1.5, err);
}

static vox_status build(vox_augment_step *step, vox_error *err)
{
    const char *wg = vox_device_is_cpu(step->dev) ? "-DWG=1" : "-DWG=64";
    const size_t planes = (size_t)(step->n_max * step->input.dim[1]);
    vox_status s = vox_buffer_open(&step->scratch, step->dev, 16 * planes, VOX_BUFFER_DEVICE,
                                   "values of channels", err);
    if (s == VOX_OK)
        s = vox_augment_kernel(step, 0, "augment_intensity.cl", "augment_plane",
                               VOX_RANDOM_INTENSITY, wg, err);
    if (s == VOX_OK)
        s = vox_augment_kernel(step, 1, "augment_intensity.cl", "augment_intensity",
                               VOX_RANDOM_INTENSITY, wg, err);
    return s;
}

static vox_status run_kind(vox_augment_step *step, vox_buffer *x, int64_t channels, int64_t n,
                           const vox_step *at, uint32_t kind, vox_error *err)
{
    const double *number = step->number;
    const size_t wg = vox_device_is_cpu(step->dev) ? 1 : 64;
    const vox_grid planes = {{wg * (size_t)(n * channels), 1, 1}, {wg, 1, 1}};
    vox_arg find[10] = {vox_arg_buffer(x),
                        vox_arg_buffer(step->scratch),
                        vox_arg_u32(kind),
                        vox_arg_f32((float)number[P]),
                        vox_arg_f32((float)number[LOW]),
                        vox_arg_f32((float)number[HIGH])};
    vox_augment_key(step, at, find + 6);
    vox_status s = vox_kernel_launch(step->kernel[0], &planes, find, 10, err);
    if (s != VOX_OK)
        return s;
    const int64_t voxels = step->input.dim[2] * step->input.dim[3] * step->input.dim[4];
    const int64_t blocks = (voxels + 15) / 16, row = vox_augment_row(step);
    const vox_grid grid = {{(size_t)((blocks + row - 1) / row), (size_t)channels, (size_t)n}, {0}};
    const vox_arg args[3] = {vox_arg_buffer(x), vox_arg_buffer(step->scratch), vox_arg_u32(kind)};
    return vox_kernel_launch(step->kernel[1], &grid, args, 3, err);
}

static vox_status run_brightness(vox_augment_step *step, vox_buffer *x, int64_t channels, int64_t n,
                                 const vox_step *at, vox_error *err)
{
    return run_kind(step, x, channels, n, at, BRIGHTNESS, err);
}

static vox_status run_contrast(vox_augment_step *step, vox_buffer *x, int64_t channels, int64_t n,
                               const vox_step *at, vox_error *err)
{
    return run_kind(step, x, channels, n, at, CONTRAST, err);
}

static vox_status run_gamma(vox_augment_step *step, vox_buffer *x, int64_t channels, int64_t n,
                            const vox_step *at, vox_error *err)
{
    return run_kind(step, x, channels, n, at, GAMMA, err);
}

const vox_augment_kind vox_augment_brightness = {"brightness", parse_scale, build, run_brightness,
                                                 false};
const vox_augment_kind vox_augment_contrast = {"contrast", parse_scale, build, run_contrast, false};
const vox_augment_kind vox_augment_gamma = {"gamma", parse_gamma, build, run_gamma, false};
