/* upsample.c - a volume on another grid: nearest or trilinear, as torch.nn.Upsample with
 * align_corners=False.  Nearest takes floor(o * in / out) in whole numbers, where PyTorch rounds
 * in / out to float first. */
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "ops/flat.h"

#define CPU_ROW 256 /* voxels an item */

enum { NEAREST, TRILINEAR };

typedef struct upsample_attr {
    int64_t scale[3], size[3]; /* size 0: by scale */
    int mode;
} upsample_attr;

static const char *const modes[] = {[NEAREST] = "nearest", [TRILINEAR] = "trilinear", NULL};

static const vox_attr attrs[] = {{"scale", VOX_ATTR_TRIPLE, offsetof(upsample_attr, scale), false,
                                  1, 1, 1 << 10, NULL, NULL,
                                  "outputs for each input along each axis"},
                                 {"size", VOX_ATTR_TRIPLE, offsetof(upsample_attr, size), false, 0,
                                  1, 1 << 20, NULL, NULL, "voxels of the output, instead of scale"},
                                 {"mode", VOX_ATTR_WORD, offsetof(upsample_attr, mode), false,
                                  NEAREST, 0, 0, modes, NULL, "nearest or trilinear"},
                                 {0}};

static vox_status infer(const vox_node *node, const vox_shape *in, vox_shape *out, vox_error *err)
{
    const upsample_attr *a = node->attr;
    *out = in[0];
    for (int i = 0; i < 3; i++) {
        if (a->size[i] > 0 && a->scale[i] != 1) {
            vox_fail(err, VOX_ERR_INPUT, "both \"scale\" and \"size\" are given");
            return vox_hint(err, "keep one of them");
        }
        out->dim[2 + i] = a->size[i] > 0 ? a->size[i] : in->dim[2 + i] * a->scale[i];
    }
    return VOX_OK;
}

static int64_t voxels(const vox_shape *s)
{
    return s->dim[2] * s->dim[3] * s->dim[4];
}

static double seconds(const vox_problem *p)
{
    const upsample_attr *a = p->node->attr;
    const double floats = (double)vox_sample_floats(&p->node->out, VOX_LAYOUT_PLAIN);
    return (a->mode == TRILINEAR ? 3 : 1.5) * vox_flat_seconds(p, 2 * floats);
}

static vox_status build(vox_work *w, vox_error *err)
{
    const vox_node *node = w->problem.node;
    const bool back = w->algo->pass == VOX_BACKWARD_DATA;
    const int64_t *in = node->in[0].dim, *out = node->out.dim;
    const int64_t row = vox_device_is_cpu(w->problem.dev) ? CPU_ROW : 1;
    const int64_t lanes = w->algo->in == VOX_LAYOUT_BLOCK16 ? 16 : 1;
    char options[288];
    w->number[0] = (voxels(back ? &node->in[0] : &node->out) + row - 1) / row;
    w->number[1] = (out[1] + lanes - 1) / lanes;
    snprintf(options, sizeof options,
             "-DID=%" PRId64 " -DIH=%" PRId64 " -DIW=%" PRId64 " -DOD=%" PRId64 " -DOH=%" PRId64
             " -DOW=%" PRId64 " -DPLANES=%" PRId64 " -DLANES=%" PRId64 " -DROW=%" PRId64 "%s%s",
             in[2], in[3], in[4], out[2], out[3], out[4], w->number[1], lanes, row,
             ((const upsample_attr *)node->attr)->mode == NEAREST ? " -DNEAREST" : "",
             vox_relu_options(w));
    return vox_kernel_open(&w->kernel[0], w->problem.dev, "upsample.cl",
                           back ? "upsample_backward" : "upsample_forward", options, err);
}

static vox_status run(vox_work *w, const vox_io *io, vox_error *err)
{
    const bool back = w->algo->pass == VOX_BACKWARD_DATA;
    const size_t one = vox_device_is_cpu(w->problem.dev) ? 1 : 0;
    const vox_grid grid = {{(size_t)w->number[0], (size_t)w->number[1], (size_t)io->n},
                           {one, one, one}};
    const vox_arg args[] = {vox_arg_buffer(back ? io->dy->buf : io->x[0]->buf),
                            vox_arg_buffer(back ? io->dx[0]->buf : io->y->buf),
                            vox_arg_buffer(vox_relu_input(w, io))};
    return vox_kernel_launch(w->kernel[0], &grid, args, back ? 3 : 2, err);
}

#define PLAIN   VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN
#define BLOCK16 VOX_LAYOUT_BLOCK16, VOX_LAYOUT_BLOCK16

static const vox_algo algos[] = {
    {"gather", VOX_FORWARD, PLAIN, NULL, seconds, build, run},
    {"gather", VOX_FORWARD, BLOCK16, NULL, seconds, build, run},
    {"gather", VOX_BACKWARD_DATA, PLAIN, NULL, seconds, build, run, .fuses_relu = true},
    {"gather", VOX_BACKWARD_DATA, BLOCK16, NULL, seconds, build, run, .fuses_relu = true},
    {0}};

const vox_op vox_op_upsample = {.name = "upsample",
                                .attr_bytes = sizeof(upsample_attr),
                                .attrs = attrs,
                                .min_inputs = 1,
                                .max_inputs = 1,
                                .infer = infer,
                                .algos = algos,
                                .cheap = true};
