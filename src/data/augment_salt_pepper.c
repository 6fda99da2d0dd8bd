/* augment_salt_pepper.c - {salt_pepper: {p: 0.3, amount: 0.01, low: L, high: H}}: with probability
 * p a sample has that share of its elements set to low or high, each as likely.  Where low or high
 * is not given it is the least or the greatest value of that channel of the sample. */
#include "data/augment_step.h"

#include <math.h>

#include "base/error.h"

enum { P, AMOUNT, LOW, HIGH }; /* step->number; low and high NaN where not given */

static vox_status parse_bound(const vox_yaml_node *node, const char *key, double *out,
                              vox_error *err)
{
    *out = NAN;
    return vox_yaml_find(node, key)
               ? vox_augment_number(node, key, -INFINITY, INFINITY, NAN, out, err)
               : VOX_OK;
}

static vox_status parse(vox_augment_step *step, const vox_yaml_node *node, vox_error *err)
{
    static const char *const keys[] = {"p", "amount", "low", "high", NULL};
    double *number = step->number;
    vox_status s = vox_yaml_keys(node, "salt_pepper", keys, err);
    if (s == VOX_OK)
        s = vox_augment_number(node, "p", 0, 1, 1, &number[P], err);
    if (s == VOX_OK)
        s = vox_augment_number(node, "amount", 0, 1, NAN, &number[AMOUNT], err);
    if (s == VOX_OK)
        s = parse_bound(node, "low", &number[LOW], err);
    if (s == VOX_OK)
        s = parse_bound(node, "high", &number[HIGH], err);
    if (s == VOX_OK && number[LOW] > number[HIGH])
        s = vox_yaml_fail(err, vox_yaml_find(node, "low"), "low is over high: %g, %g", number[LOW],
                          number[HIGH]);
    return s;
}

/* range: [n_max][C] pairs (low, high), found by the first kernel. */
static vox_status build(vox_augment_step *step, vox_error *err)
{
    const size_t planes = (size_t)(step->n_max * step->input.dim[1]);
    vox_status s = vox_buffer_open(&step->scratch, step->dev, 8 * planes, VOX_BUFFER_DEVICE,
                                   "ranges of salt_pepper", err);
    if (s == VOX_OK)
        s = vox_augment_kernel(step, 0, "augment_noise.cl", "augment_range", VOX_RANDOM_SALT_PEPPER,
                               vox_device_is_cpu(step->dev) ? "-DWG=1" : "-DWG=64", err);
    if (s == VOX_OK)
        s = vox_augment_kernel(step, 1, "augment_noise.cl", "augment_salt_pepper",
                               VOX_RANDOM_SALT_PEPPER, "", err);
    return s;
}

static vox_status run(vox_augment_step *step, vox_buffer *x, int64_t channels, int64_t n,
                      const vox_step *at, vox_error *err)
{
    const double *number = step->number;
    const size_t wg = vox_device_is_cpu(step->dev) ? 1 : 64;
    const vox_grid planes = {{wg * (size_t)(n * channels), 1, 1}, {wg, 1, 1}};
    vox_arg find[9] = {vox_arg_buffer(x), vox_arg_buffer(step->scratch),
                       vox_arg_f32((float)number[LOW]), vox_arg_f32((float)number[HIGH]),
                       vox_arg_f32((float)number[P])};
    vox_augment_key(step, at, find + 5);
    vox_status s = vox_kernel_launch(step->kernel[0], &planes, find, 9, err);
    if (s != VOX_OK)
        return s;
    const int64_t blocks = (vox_shape_count(&step->input) + 3) / 4, row = vox_augment_row(step);
    const vox_grid grid = {{(size_t)((blocks + row - 1) / row), (size_t)n, 1}, {0}};
    vox_arg args[8] = {vox_arg_buffer(x), vox_arg_buffer(step->scratch),
                       vox_arg_f32((float)number[P]), vox_arg_f32((float)number[AMOUNT])};
    vox_augment_key(step, at, args + 4);
    return vox_kernel_launch(step->kernel[1], &grid, args, 8, err);
}

const vox_augment_kind vox_augment_salt_pepper = {"salt_pepper", parse, build, run, false};
