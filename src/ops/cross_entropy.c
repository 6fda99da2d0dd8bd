/* cross_entropy.c - the loss of a classifier or a segmentation, per sample.
 *   loss[n] = mean over voxels v of  log(sum_c exp x[n,c,v]) - x[n, label[n,v], v]
 * as torch.nn.functional.cross_entropy does for a sample of its own. */
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "ops/op.h"

#define GROUP 64 /* items that share a sample's sum */

static vox_status infer(const vox_node *node, const vox_shape *in, vox_shape *out, vox_error *err)
{
    char a[96], b[96];
    bool equal = in[1].dim[1] == 1;
    for (int i = 2; i < 5; i++)
        equal = equal && in[0].dim[i] == in[1].dim[i];
    if (!equal) {
        vox_fail(err, VOX_ERR_INPUT, "%s: logits and labels do not match", node->name);
        vox_detail(err, "logits %s, labels %s", vox_shape_text(&in[0], a),
                   vox_shape_text(&in[1], b));
        vox_hint(err, "a classifier's last layer gives [N, classes, 1, 1, 1]; flatten before it");
        return VOX_ERR_INPUT;
    }
    *out = (vox_shape){5, {in[0].dim[0], 1, 1, 1, 1}};
    return VOX_OK;
}

static int64_t voxels(const vox_node *node)
{
    return node->in[0].dim[2] * node->in[0].dim[3] * node->in[0].dim[4];
}

static double seconds(const vox_problem *p)
{
    double floats = (double)vox_sample_floats(&p->node->in[0], VOX_LAYOUT_PLAIN);
    return vox_rule_seconds(p->dev, 0, 1, 8 * floats * (double)p->n_max, 0.3);
}

static vox_status build(vox_work *w, vox_error *err)
{
    char options[96];
    const vox_node *node = w->problem.node;
    snprintf(options, sizeof options, "-DC=%" PRId64 " -DV=%" PRId64 " -DWG=%d", node->in[0].dim[1],
             voxels(node), GROUP);
    return vox_kernel_open(&w->kernel[0], w->problem.dev, "cross_entropy.cl",
                           w->algo->pass == VOX_FORWARD ? "cross_entropy_forward"
                                                        : "cross_entropy_backward",
                           options, err);
}

static vox_status forward(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_grid grid = {{GROUP, (size_t)io->n, 1}, {GROUP, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->x[1]->buf),
                            vox_arg_buffer(io->y->buf)};
    return vox_kernel_launch(w->kernel[0], &grid, args, 3, err);
}

static vox_status backward(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_grid grid = {{(size_t)voxels(w->problem.node), (size_t)io->n, 1}, {GROUP, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->x[1]->buf),
                            vox_arg_buffer(io->dx[0]->buf),
                            vox_arg_f32(io->scale / (float)voxels(w->problem.node))};
    return vox_kernel_launch(w->kernel[0], &grid, args, 4, err);
}

#define PLAIN VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN

static const vox_algo algos[] = {
    {"group", VOX_FORWARD, PLAIN, NULL, seconds, build, forward},
    {"items", VOX_BACKWARD_DATA, PLAIN, NULL, seconds, build, backward},
    {0}};

const vox_op vox_op_cross_entropy = {.name = "cross_entropy",
                                     .min_inputs = 2,
                                     .max_inputs = 2,
                                     .infer = infer,
                                     .algos = algos,
                                     .backward_reads_x = true,
                                     .loss = true};
