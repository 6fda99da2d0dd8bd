/* relu.c - y = max(x, 0), NaN passing through as in PyTorch. */
#include "ops/flat.h"

static double seconds(const vox_problem *p)
{
    return vox_flat_seconds(p, 2 * (double)vox_sample_floats(&p->node->out, VOX_LAYOUT_PLAIN));
}

static double seconds_backward(const vox_problem *p)
{
    return 1.5 * seconds(p);
}

static vox_status build(vox_work *w, vox_error *err)
{
    bool forward = w->algo->pass == VOX_FORWARD;
    return vox_flat_build(w, "relu.cl", forward ? "relu_forward" : "relu_backward", err);
}

static vox_status forward(vox_work *w, const vox_io *io, vox_error *err)
{
    const int64_t floats = vox_tensor_floats(io->y, io->n);
    const vox_grid grid = vox_flat_grid(w->problem.dev, floats);
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->y->buf),
                            vox_arg_u64((uint64_t)floats)};
    return vox_kernel_launch(w->kernel[0], &grid, args, 3, err);
}

static vox_status backward(vox_work *w, const vox_io *io, vox_error *err)
{
    const int64_t floats = vox_tensor_floats(io->y, io->n);
    const vox_grid grid = vox_flat_grid(w->problem.dev, floats);
    const vox_arg args[] = {vox_arg_buffer(io->y->buf), vox_arg_buffer(io->dy->buf),
                            vox_arg_buffer(io->dx[0]->buf), vox_arg_u64((uint64_t)floats)};
    return vox_kernel_launch(w->kernel[0], &grid, args, 4, err);
}

#define PLAIN   VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN
#define BLOCK16 VOX_LAYOUT_BLOCK16, VOX_LAYOUT_BLOCK16

static const vox_algo algos[] = {
    {"flat", VOX_FORWARD, PLAIN, NULL, seconds, build, forward},
    {"flat", VOX_FORWARD, BLOCK16, NULL, seconds, build, forward},
    {"flat", VOX_BACKWARD_DATA, PLAIN, NULL, seconds_backward, build, backward},
    {"flat", VOX_BACKWARD_DATA, BLOCK16, NULL, seconds_backward, build, backward},
    {0}};

const vox_op vox_op_relu = {.name = "relu",
                            .min_inputs = 1,
                            .max_inputs = 1,
                            .infer = vox_infer_same,
                            .algos = algos,
                            .backward_reads_y = true,
                            .relu = true};
