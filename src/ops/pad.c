/* pad.c - pad and crop: voxels put around a volume, or cut off it, on each side of each axis. */
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "ops/flat.h"

#define CPU_ROW 512 /* voxels an item */

typedef struct pad_attr {
    int64_t before[3], after[3]; /* d, h, w */
    double value;
} pad_attr;

#define SIDES(what)                                                                                \
    {"before",                                                                                     \
     VOX_ATTR_TRIPLE,                                                                              \
     offsetof(pad_attr, before),                                                                   \
     false,                                                                                        \
     0,                                                                                            \
     0,                                                                                            \
     1 << 20,                                                                                      \
     NULL,                                                                                         \
     NULL,                                                                                         \
     "voxels " what " the low end of each axis"},                                                  \
    {                                                                                              \
        "after", VOX_ATTR_TRIPLE, offsetof(pad_attr, after), false, 0, 0, 1 << 20, NULL, NULL,     \
            "voxels " what " the high end of each axis"                                            \
    }

static const vox_attr pad_attrs[] = {SIDES("put before"),
                                     {"value", VOX_ATTR_FLOAT, offsetof(pad_attr, value), false, 0,
                                      -1e30, 1e30, NULL, NULL, "what they hold"},
                                     {0}};
static const vox_attr crop_attrs[] = {SIDES("cut off"), {0}};

extern const vox_op vox_op_crop; /* below */

/* Voxels that an axis gains at its low end: negative for crop. */
static int64_t gain(const vox_node *node, int axis)
{
    const pad_attr *a = node->attr;
    return node->op == &vox_op_crop ? -a->before[axis] : a->before[axis];
}

static vox_status infer(const vox_node *node, const vox_shape *in, vox_shape *out, vox_error *err)
{
    const pad_attr *a = node->attr;
    const int64_t sign = node->op == &vox_op_crop ? -1 : 1;
    char text[96];
    *out = in[0];
    for (int i = 0; i < 3; i++) {
        out->dim[2 + i] += sign * (a->before[i] + a->after[i]);
        if (out->dim[2 + i] < 1) {
            vox_fail(err, VOX_ERR_INPUT, "nothing is left of the input");
            return vox_detail(err,
                              "input %s, axis %c: %" PRId64 " and %" PRId64 " voxels are cut off",
                              vox_shape_text(in, text), "dhw"[i], a -> before[i], a -> after[i]);
        }
    }
    return VOX_OK;
}

static double seconds(const vox_problem *p)
{
    return vox_flat_seconds(p, 2 * (double)vox_sample_floats(&p->node->out, VOX_LAYOUT_PLAIN));
}

static vox_status build(vox_work *w, vox_error *err)
{
    const vox_node *node = w->problem.node;
    const bool back = w->algo->pass == VOX_BACKWARD_DATA, cpu = vox_device_is_cpu(w->problem.dev);
    const int64_t *from = back ? node->out.dim : node->in[0].dim;
    const int64_t *to = back ? node->in[0].dim : node->out.dim;
    const int64_t sign = back ? 1 : -1, row = cpu ? CPU_ROW : 1;
    const int64_t lanes = w->algo->in == VOX_LAYOUT_BLOCK16 ? 16 : 1;
    char options[368];
    snprintf(options, sizeof options,
             "-DC=%" PRId64 " -DLANES=%" PRId64 " -DROW=%" PRId64 " -DFD=%" PRId64 " -DFH=%" PRId64
             " -DFW=%" PRId64 " -DTD=%" PRId64 " -DTH=%" PRId64 " -DTW=%" PRId64
             " -DSHIFT_D=%" PRId64 " -DSHIFT_H=%" PRId64 " -DSHIFT_W=%" PRId64 "%s",
             node->out.dim[1], lanes, row, from[2], from[3], from[4], to[2], to[3], to[4],
             sign * gain(node, 0), sign * gain(node, 1), sign * gain(node, 2), vox_relu_options(w));
    w->number[0] = (to[2] * to[3] * to[4] + row - 1) / row;
    w->number[1] = (node->out.dim[1] + lanes - 1) / lanes;
    return vox_kernel_open(&w->kernel[0], w->problem.dev, "pad.cl", "pad", options, err);
}

static vox_status run(vox_work *w, const vox_io *io, vox_error *err)
{
    const bool back = w->algo->pass == VOX_BACKWARD_DATA, cpu = vox_device_is_cpu(w->problem.dev);
    const pad_attr *a = w->problem.node->attr;
    const size_t one = cpu ? 1 : 0;
    const vox_grid grid = {{(size_t)w->number[0], (size_t)w->number[1], (size_t)io->n},
                           {one, one, one}};
    const vox_arg args[] = {vox_arg_buffer(back ? io->dy->buf : io->x[0]->buf),
                            vox_arg_buffer(back ? io->dx[0]->buf : io->y->buf),
                            vox_arg_buffer(vox_relu_input(w, io)),
                            vox_arg_f32(back ? 0.0f : (float)a->value)};
    return vox_kernel_launch(w->kernel[0], &grid, args, 4, err);
}

#define PLAIN   VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN
#define BLOCK16 VOX_LAYOUT_BLOCK16, VOX_LAYOUT_BLOCK16

static const vox_algo algos[] = {
    {"rows", VOX_FORWARD, PLAIN, NULL, seconds, build, run},
    {"rows", VOX_FORWARD, BLOCK16, NULL, seconds, build, run},
    {"rows", VOX_BACKWARD_DATA, PLAIN, NULL, seconds, build, run, .fuses_relu = true},
    {"rows", VOX_BACKWARD_DATA, BLOCK16, NULL, seconds, build, run, .fuses_relu = true},
    {0}};

const vox_op vox_op_pad = {.name = "pad",
                           .attr_bytes = sizeof(pad_attr),
                           .attrs = pad_attrs,
                           .min_inputs = 1,
                           .max_inputs = 1,
                           .infer = infer,
                           .algos = algos,
                           .cheap = true};

const vox_op vox_op_crop = {.name = "crop",
                            .attr_bytes = sizeof(pad_attr),
                            .attrs = crop_attrs,
                            .min_inputs = 1,
                            .max_inputs = 1,
                            .infer = infer,
                            .algos = algos,
                            .cheap = true};
