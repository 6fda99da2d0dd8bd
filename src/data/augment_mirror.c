/* augment_mirror.c - {mirror: {axes: [d, h, w], p: 0.5}}: each axis named is reversed with
 * probability p, on its own, for all channels and the labels alike. */
#include "data/augment_step.h"

#include <stdio.h>

vox_status vox_augment_axes(const vox_yaml_node *map, unsigned *axes, vox_error *err)
{
    static const char *const words[] = {"d", "h", "w", NULL};
    const vox_yaml_node *node = vox_yaml_find(map, "axes");
    if (!node)
        return vox_yaml_fail(err, map, "axes is missing: a list of d, h and w");
    if (vox_yaml_kind_of(node) != VOX_YAML_LIST || vox_yaml_count(node) == 0)
        return vox_yaml_fail(err, node, "axes is a list of d, h and w");
    for (size_t i = 0; i < vox_yaml_count(node); i++) {
        int axis;
        vox_status s = vox_yaml_word(vox_yaml_item(node, i), words, &axis, err);
        if (s != VOX_OK)
            return s;
        if (*axes >> axis & 1)
            return vox_yaml_fail(err, vox_yaml_item(node, i), "axis %s is named twice",
                                 words[axis]);
        *axes |= 1u << axis;
    }
    return VOX_OK;
}

/* number: p, axes as bits (d 1, h 2, w 4). */
static vox_status parse(vox_augment_step *step, const vox_yaml_node *node, vox_error *err)
{
    static const char *const keys[] = {"axes", "p", NULL};
    unsigned axes = 0;
    vox_status s = vox_yaml_keys(node, "mirror", keys, err);
    if (s == VOX_OK)
        s = vox_augment_number(node, "p", 0, 1, 0.5, &step->number[0], err);
    if (s == VOX_OK)
        s = vox_augment_axes(node, &axes, err);
    step->number[1] = axes;
    return s;
}

/* The kernel's LINES and ACROSS. */
static int64_t lines(const vox_augment_step *step)
{
    return vox_device_is_cpu(step->dev) ? 16 : 1;
}

static int64_t across(const vox_augment_step *step)
{
    return vox_device_is_cpu(step->dev) ? 1 : 32;
}

static vox_status build(vox_augment_step *step, vox_error *err)
{
    char more[64];
    snprintf(more, sizeof more, "-DAXES=%d -DLINES=%d -DACROSS=%d", (int)step->number[1],
             (int)lines(step), (int)across(step));
    return vox_augment_kernel(step, 0, "augment_mirror.cl", "augment_mirror", VOX_RANDOM_MIRROR,
                              more, err);
}

static vox_status run(vox_augment_step *step, vox_buffer *x, int64_t channels, int64_t n,
                      const vox_step *at, vox_error *err)
{
    const int64_t *d = step->input.dim, items = (d[2] * d[3] + lines(step) - 1) / lines(step);
    const vox_grid grid = {{(size_t)(items * across(step)), (size_t)channels, (size_t)n}, {0}};
    vox_arg args[6] = {vox_arg_buffer(x), vox_arg_f32((float)step->number[0])};
    vox_augment_key(step, at, args + 2);
    return vox_kernel_launch(step->kernel[0], &grid, args, 6, err);
}

const vox_augment_kind vox_augment_mirror = {"mirror", parse, build, run, true};
