/* cross_entropy.c - the loss of a classifier or a segmentation, per sample.
 *   loss[n] = mean over voxels v of  log(sum_c exp x[n,c,v]) - x[n, label[n,v], v]
 * as torch.nn.functional.cross_entropy does for a sample of its own; with weights of the classes
 * the weighted mean, and without the voxels whose label is `ignore`. */
#include <inttypes.h>
#include <stdio.h>

#include "ops/loss.h"

#define GROUP 64 /* items of a work-group */

static int64_t voxels(const vox_node *node)
{
    return node->in[0].dim[2] * node->in[0].dim[3] * node->in[0].dim[4];
}

static int64_t classes(const vox_node *node)
{
    return node->in[0].dim[1];
}

/* One output, and all voxels count the same: the algorithms of this file's own. */
static bool simple(const vox_problem *p)
{
    const vox_loss_attr *a = p->node->attr;
    return p->node->inputs == 2 && a->weights.count == 0 && a->ignore == VOX_LOSS_NO_LABEL;
}

static double bytes(const vox_problem *p)
{
    return 8 * (double)vox_sample_floats(&p->node->in[0], VOX_LAYOUT_PLAIN) * (double)p->n_max;
}

static vox_status open_kernel(vox_work *w, const char *file, const char *entry, int64_t run,
                              vox_error *err)
{
    char options[128];
    const vox_node *node = w->problem.node;
    snprintf(options, sizeof options, "-DC=%" PRId64 " -DV=%" PRId64 " -DWG=%d -DRUN=%" PRId64,
             classes(node), voxels(node), GROUP, run);
    return vox_kernel_open(&w->kernel[0], w->problem.dev, file, entry, options, err);
}

/* ---- forward: runs of voxels, then the sum of their sums ---- */

static vox_status open_runs(vox_work *w, const char *file, const char *entry, int64_t run,
                            vox_error *err)
{
    vox_device *dev = w->problem.dev;
    const int64_t runs = (voxels(w->problem.node) + run - 1) / run;
    w->number[0] = runs;
    vox_status s = open_kernel(w, file, entry, run, err);
    if (s != VOX_OK || runs == 1)
        return s; /* the only run's sum is the loss */
    s = vox_buffer_open(&w->scratch[0], dev, sizeof(float) * (size_t)(runs * w->problem.n_max),
                        VOX_BUFFER_DEVICE, "partial losses", err);
    return s == VOX_OK ? vox_kernel_open(&w->kernel[1], dev, "loss_sum.cl", "loss_sum", "", err)
                       : s;
}

static vox_status forward_runs(vox_work *w, const vox_io *io, int group, vox_error *err)
{
    const int64_t runs = w->number[0];
    const vox_grid grid = {{(size_t)(runs * group), (size_t)io->n, 1}, {(size_t)group, 1, 1}};
    vox_buffer *to = runs == 1 ? io->y->buf : w->scratch[0];
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->x[1]->buf),
                            vox_arg_buffer(to)};
    vox_status s = vox_kernel_launch(w->kernel[0], &grid, args, 3, err);
    if (s != VOX_OK || runs == 1)
        return s;
    const vox_grid samples = {{(size_t)io->n, 1, 1}, {1, 1, 1}};
    const vox_arg sum[] = {vox_arg_buffer(to), vox_arg_buffer(io->y->buf),
                           vox_arg_u32((uint32_t)runs),
                           vox_arg_f32((float)voxels(w->problem.node))};
    return vox_kernel_launch(w->kernel[1], &samples, sum, 4, err);
}

static vox_status backward(vox_work *w, const vox_io *io, int64_t items, size_t group,
                           vox_error *err)
{
    const vox_grid grid = {{(size_t)items, (size_t)io->n, 1}, {group, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->x[1]->buf),
                            vox_arg_buffer(io->dx[0]->buf),
                            vox_arg_f32(io->scale / (float)voxels(w->problem.node))};
    return vox_kernel_launch(w->kernel[0], &grid, args, 4, err);
}

/* ---- items: a voxel each ---- */

#define GROUP_RUN 4096 /* voxels of a work-group: 64 an item */

static double seconds_items(const vox_problem *p)
{
    return vox_rule_seconds(p->dev, 0, 1, bytes(p), vox_device_is_cpu(p->dev) ? 0.03 : 0.3);
}

static vox_status build_group(vox_work *w, vox_error *err)
{
    return open_runs(w, "cross_entropy.cl", "cross_entropy_forward", GROUP_RUN, err);
}

static vox_status forward_group(vox_work *w, const vox_io *io, vox_error *err)
{
    return forward_runs(w, io, GROUP, err);
}

static vox_status build_items(vox_work *w, vox_error *err)
{
    return open_kernel(w, "cross_entropy.cl", "cross_entropy_backward", GROUP_RUN, err);
}

static vox_status backward_items(vox_work *w, const vox_io *io, vox_error *err)
{
    return backward(w, io, voxels(w->problem.node), GROUP, err);
}

/* ---- vectors: CPUs, sixteen voxels side by side ---- */

#define VECTORS_RUN     4096 /* voxels of an item */
#define VECTORS_CLASSES 128  /* two vectors each in private memory */

static bool vectors_fit(const vox_problem *p)
{
    return simple(p) && voxels(p->node) >= 16 && classes(p->node) <= VECTORS_CLASSES;
}

static double seconds_vectors(const vox_problem *p)
{
    return vox_rule_seconds(p->dev, 0, 1, bytes(p), vox_device_is_cpu(p->dev) ? 0.6 : 0.01);
}

static vox_status build_vectors(vox_work *w, vox_error *err)
{
    const char *file = "cross_entropy_vectors.cl";
    return w->algo->pass == VOX_FORWARD
               ? open_runs(w, file, "cross_entropy_vectors_forward", VECTORS_RUN, err)
               : open_kernel(w, file, "cross_entropy_vectors_backward", VECTORS_RUN, err);
}

static vox_status forward_vectors(vox_work *w, const vox_io *io, vox_error *err)
{
    return forward_runs(w, io, 1, err);
}

static vox_status backward_vectors(vox_work *w, const vox_io *io, vox_error *err)
{
    return backward(w, io, (voxels(w->problem.node) + VECTORS_RUN - 1) / VECTORS_RUN, 1, err);
}

/* ---- sums: the kernels of all losses over voxels, which know weights and several outputs ---- */

static vox_loss_form form_of(const vox_node *node)
{
    (void)node;
    return (vox_loss_form){.voxel = VOX_LOSS_CROSS_ENTROPY, .voxel_weight = 1};
}

VOX_LOSS_RUNS(form_of)

static bool weighted(const vox_problem *p)
{
    return !simple(p);
}

#define PLAIN VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN

static const vox_algo algos[] = {
    {"group", VOX_FORWARD, PLAIN, simple, seconds_items, build_group, forward_group},
    {"vectors", VOX_FORWARD, PLAIN, vectors_fit, seconds_vectors, build_vectors, forward_vectors},
    {"items", VOX_BACKWARD_DATA, PLAIN, simple, seconds_items, build_items, backward_items},
    {"vectors", VOX_BACKWARD_DATA, PLAIN, vectors_fit, seconds_vectors, build_vectors,
     backward_vectors},
    VOX_LOSS_ALGOS("sums_vectors", "sums_group", weighted),
    {0}};

static const vox_attr attrs[] = {VOX_LOSS_WEIGHTS, VOX_LOSS_KEYS, {0}};

const vox_op vox_op_cross_entropy = VOX_LOSS_OP("cross_entropy");
