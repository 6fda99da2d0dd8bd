/* augment_gaussian_noise.c - {gaussian_noise: {std: 0.05, p: 1}}: with probability p a sample gets
 * normal noise of that standard deviation, on every voxel of every channel. */
#include "data/augment_step.h"

#include <math.h>

/* number: p, std. */
static vox_status parse(vox_augment_step *step, const vox_yaml_node *node, vox_error *err)
{
    static const char *const keys[] = {"std", "p", NULL};
    vox_status s = vox_yaml_keys(node, "gaussian_noise", keys, err);
    if (s == VOX_OK)
        s = vox_augment_number(node, "p", 0, 1, 1, &step->number[0], err);
    if (s == VOX_OK)
        s = vox_augment_number(node, "std", 0, 1e30, NAN, &step->number[1], err);
    return s;
}

static vox_status build(vox_augment_step *step, vox_error *err)
{
    return vox_augment_kernel(step, 0, "augment_noise.cl", "augment_gaussian_noise",
                              VOX_RANDOM_GAUSSIAN_NOISE, "", err);
}

static vox_status run(vox_augment_step *step, vox_buffer *x, int64_t channels, int64_t n,
                      const vox_step *at, vox_error *err)
{
    (void)channels;
    const int64_t blocks = (vox_shape_count(&step->input) + 3) / 4, row = vox_augment_row(step);
    const vox_grid grid = {{(size_t)((blocks + row - 1) / row), (size_t)n, 1}, {0}};
    vox_arg args[7] = {vox_arg_buffer(x), vox_arg_f32((float)step->number[0]),
                       vox_arg_f32((float)step->number[1])};
    vox_augment_key(step, at, args + 3);
    return vox_kernel_launch(step->kernel[0], &grid, args, 7, err);
}

const vox_augment_kind vox_augment_gaussian_noise = {"gaussian_noise", parse, build, run, false};
