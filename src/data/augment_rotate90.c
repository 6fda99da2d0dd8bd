/* augment_rotate90.c - {rotate90: {axes: [h, w], p: 0.75}}: with probability p the planes of these
 * two axes, which must be equally long, are turned by one, two or three quarters, for all channels
 * and the labels alike. */
#include "data/augment_step.h"

#include <stdio.h>

#include "base/error.h"

/* number: p, the axis that stays (d 0, h 1, w 2), rings of four voxels in a channel. */
static vox_status parse(vox_augment_step *step, const vox_yaml_node *node, vox_error *err)
{
    static const char *const keys[] = {"axes", "p", NULL};
    const int64_t *size = step->input.dim + 2;
    unsigned axes = 6;
    vox_status s = vox_yaml_kind_of(node) == VOX_YAML_NULL
                       ? VOX_OK
                       : vox_yaml_keys(node, "rotate90", keys, err);
    if (s == VOX_OK)
        s = vox_augment_number(node, "p", 0, 1, 0.75, &step->number[0], err);
    if (s == VOX_OK && vox_yaml_find(node, "axes")) {
        axes = 0;
        s = vox_augment_axes(node, &axes, err);
    }
    if (s != VOX_OK)
        return s;
    if (axes != 3 && axes != 5 && axes != 6)
        return vox_yaml_fail(err, vox_yaml_find(node, "axes"), "rotate90 takes two axes");
    int stays = axes == 6 ? 0 : axes == 5 ? 1 : 2, one = stays == 0, other = stays == 2 ? 1 : 2;
    if (size[one] != size[other]) {
        vox_yaml_fail(err, node, "rotate90 of planes that are not square: %lld x %lld",
                      (long long)size[one], (long long)size[other]);
        return vox_hint(err, "network.input.size is [%lld, %lld, %lld]; name two equal axes",
                        (long long)size[0], (long long)size[1], (long long)size[2]);
    }
    step->number[1] = stays;
    step->number[2] = (double)(size[stays] * ((size[one] + 1) / 2) * (size[one] / 2));
    return VOX_OK;
}

static vox_status build(vox_augment_step *step, vox_error *err)
{
    char more[32];
    if (step->number[2] == 0) /* planes of one voxel: nothing turns */
        return VOX_OK;
    snprintf(more, sizeof more, "-DPLANE=%d", (int)step->number[1]);
    return vox_augment_kernel(step, 0, "augment_rotate90.cl", "augment_rotate90",
                              VOX_RANDOM_ROTATE90, more, err);
}

static vox_status run(vox_augment_step *step, vox_buffer *x, int64_t channels, int64_t n,
                      const vox_step *at, vox_error *err)
{
    const int64_t rings = (int64_t)step->number[2], row = vox_augment_row(step);
    const vox_grid grid = {{(size_t)((rings + row - 1) / row), (size_t)channels, (size_t)n}, {0}};
    vox_arg args[6] = {vox_arg_buffer(x), vox_arg_f32((float)step->number[0])};
    if (rings == 0)
        return VOX_OK;
    vox_augment_key(step, at, args + 2);
    return vox_kernel_launch(step->kernel[0], &grid, args, 6, err);
}

const vox_augment_kind vox_augment_rotate90 = {"rotate90", parse, build, run, true};
