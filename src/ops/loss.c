/* loss.c - shapes, kernels and launches of the losses over voxels. */
#include "ops/loss.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/error.h"

const char *const vox_loss_per_words[] = {"sample", "batch", NULL};

static const vox_loss_attr *attr_of(const vox_node *node)
{
    return node->attr;
}

static int outputs(const vox_node *node)
{
    return node->inputs - 1;
}

static int64_t voxels(const vox_shape *s)
{
    return s->dim[2] * s->dim[3] * s->dim[4];
}

/* ---- keys and shapes ---------------------------------------------------- */

static bool is_named(const vox_node *node, const char *name)
{
    return node->op == vox_op_find(name);
}

int64_t vox_loss_classes(const vox_node *node)
{
    const int64_t channels = node->in[0].dim[1];
    return channels == 1 && !is_named(node, "cross_entropy") ? 2 : channels;
}

bool vox_loss_ignored(const vox_node *node, int32_t *label)
{
    const int64_t ignore = attr_of(node)->ignore;
    *label = (int32_t)ignore;
    return ignore != VOX_LOSS_NO_LABEL;
}

double vox_loss_output_weight(const vox_node *node, int i)
{
    const vox_loss_attr *a = attr_of(node);
    const int last = outputs(node) - 1;
    if (a->from_weights.count > 0)
        return a->from_weights.value[i];
    if (last <= 0)
        return 1;
    return i == last ? 0 : pow(0.5, i) / (2 - pow(0.5, last - 1));
}

bool vox_loss_per_batch(const vox_node *node)
{
    for (const vox_attr *a = node->op->attrs; a && a->key; a++)
        if (a->words == vox_loss_per_words)
            return attr_of(node)->per == VOX_LOSS_BATCH;
    return false;
}

/* The outputs' sums one after the other. */
int64_t vox_loss_keeps(const vox_node *node, vox_pass pass, int64_t n)
{
    (void)n;
    const bool keeps = pass == VOX_FORWARD && vox_loss_per_batch(node);
    return keeps ? 3 * node->in[0].dim[1] * outputs(node) : 0;
}

static void join_sums(const vox_node *node, const float *const *from, const int64_t *n,
                      size_t replicas, size_t floats, float *to)
{
    (void)node;
    (void)n;
    for (size_t k = 0; k < floats; k++) {
        double sum = 0;
        for (size_t i = 0; i < replicas; i++)
            sum += (double)from[i][k];
        to[k] = (float)sum;
    }
}

vox_join_fn vox_loss_joins(const vox_node *node, vox_pass pass, bool training)
{
    (void)training; /* the loss of a validation is the batch's too */
    return vox_loss_keeps(node, pass, 1) ? join_sums : NULL;
}

static vox_status shapes_differ(const vox_node *node, const vox_shape *a, const vox_shape *b,
                                const char *what, vox_error *err)
{
    char text[2][96];
    vox_fail(err, VOX_ERR_INPUT, "%s: %s", node->name, what);
    vox_detail(err, "%s and %s", vox_shape_text(a, text[0]), vox_shape_text(b, text[1]));
    return VOX_ERR_INPUT;
}

static vox_status wrong_count(const vox_node *node, const char *key, int64_t got, int64_t wanted,
                              vox_error *err)
{
    vox_fail(err, VOX_ERR_INPUT, "%s (%s): \"%s\" must have %" PRId64 " number%s", node->name,
             node->op->name, key, wanted, wanted == 1 ? "" : "s");
    vox_detail(err, "it has %" PRId64, got);
    return VOX_ERR_INPUT;
}

static bool all_zero(const vox_floats *f)
{
    double most = 0; /* none is negative */
    for (int i = 0; i < f->count; i++)
        most = f->value[i] > most ? f->value[i] : most;
    return f->count > 0 && most == 0;
}

static vox_status nothing_left(const vox_node *node, const char *key, vox_error *err)
{
    vox_fail(err, VOX_ERR_INPUT, "%s (%s): \"%s\" are all 0", node->name, node->op->name, key);
    return vox_hint(err, "nothing would be learnt: give at least one of them more");
}

static vox_status check_counts(const vox_node *node, const vox_shape *in, vox_error *err)
{
    const vox_loss_attr *a = attr_of(node);
    const vox_node probe = {.op = node->op, .in = {in[0]}};
    const bool alpha = is_named(node, "focal") && in[0].dim[1] == 1; /* of the foreground */
    const int64_t wanted = alpha ? 1 : vox_loss_classes(&probe);
    const int64_t n = a->weights.count, outs = a->from_weights.count;
    const char *weights = is_named(node, "focal") ? "alpha" : "weights";
    if (n > 0 && n != wanted)
        return wrong_count(node, weights, n, wanted, err);
    if (outs > 0 && outs != outputs(node))
        return wrong_count(node, "from_weights", outs, outputs(node), err);
    if (all_zero(&a->from_weights))
        return nothing_left(node, "from_weights", err);
    if (all_zero(&a->weights) && !alpha) /* alpha 0: the background's is 1 */
        return nothing_left(node, weights, err);
    return VOX_OK;
}

vox_status vox_loss_infer(const vox_node *node, const vox_shape *in, vox_shape *out, vox_error *err)
{
    const vox_shape *labels = &in[outputs(node)];
    bool equal = labels->dim[1] == 1;
    for (int i = 2; i < 5; i++)
        equal = equal && in[0].dim[i] == labels->dim[i];
    if (!equal) {
        shapes_differ(node, &in[0], labels, "logits and labels do not match", err);
        vox_hint(err, "a classifier's last layer gives [N, classes, 1, 1, 1]; flatten before it");
        return VOX_ERR_INPUT;
    }
    for (int k = 1; k < outputs(node); k++) {
        bool fits = in[k].dim[1] == in[0].dim[1];
        for (int i = 2; i < 5; i++)
            fits = fits && in[k].dim[i] <= in[0].dim[i];
        if (!fits) {
            shapes_differ(node, &in[0], &in[k],
                          "an output has other channels than the first, or more voxels", err);
            vox_hint(err,
                     "end each level in a convolution (kernel: 1) of %" PRId64
                     " channels; the finest comes first",
                     in[0].dim[1]);
            return VOX_ERR_INPUT;
        }
    }
    *out = (vox_shape){5, {in[0].dim[0], 1, 1, 1, 1}};
    return check_counts(node, in, err);
}

/* ---- time --------------------------------------------------------------- */

/* x once in forward; twice, and dx, in backward. */
static double seconds(const vox_problem *p, double cpu, double gpu)
{
    double floats = 0;
    for (int k = 0; k < outputs(p->node); k++)
        floats += (double)vox_sample_floats(&p->node->in[k], VOX_LAYOUT_PLAIN);
    return vox_rule_seconds(p->dev, 0, 1, 12 * floats * (double)p->n_max,
                            vox_device_is_cpu(p->dev) ? cpu : gpu);
}

double vox_loss_seconds_vectors(const vox_problem *p)
{
    return seconds(p, 0.3, 0.01);
}

double vox_loss_seconds_group(const vox_problem *p)
{
    return seconds(p, 0.02, 0.5);
}

/* ---- building ----------------------------------------------------------- */

enum { SUMS, FINISH, GRADIENT, LABELS, TOTALS };      /* kernels */
enum { PARTS, FACTORS, WEIGHTS, COARSE };             /* scratch */
enum { GROUP, HAS_WEIGHTS };                          /* numbers */
enum { CHUNK = 2048, MOST_CHUNKS = 256, ITEMS = 64 }; /* of voxels; items of a GPU's work-group */

/* Voxels of a work-group: a multiple of all that its items take at once. */
static int64_t chunk_of(int64_t count)
{
    const int64_t even = (count + MOST_CHUNKS - 1) / MOST_CHUNKS;
    return even <= CHUNK ? CHUNK : (even + ITEMS - 1) / ITEMS * ITEMS;
}

static int64_t chunks_of(int64_t count)
{
    return (count + chunk_of(count) - 1) / chunk_of(count);
}

static int64_t sums(const vox_node *node, const vox_loss_form *form)
{
    return (form->region != 0 ? 3 * node->in[0].dim[1] : 0) + 2;
}

/* Where the chunks of output k begin among all. */
static int64_t part_at(const vox_work *w, const vox_loss_form *form, int k)
{
    const vox_node *node = w->problem.node;
    int64_t at = 0;
    for (int i = 0; i < k; i++)
        at += w->problem.n_max * chunks_of(voxels(&node->in[i])) * sums(node, form);
    return at;
}

static vox_status open_scratch(vox_work *w, int which, int64_t words, const char *what,
                               vox_error *err)
{
    return vox_buffer_open(&w->scratch[which], w->problem.dev, (size_t)words * 4, VOX_BUFFER_DEVICE,
                           what, err);
}

/* The classes' weights; of one channel, focal's alpha is the foreground's, the background's 1 - it.
 */
static vox_status open_weights(vox_work *w, const vox_loss_form *form, vox_error *err)
{
    const vox_floats *f = &attr_of(w->problem.node)->weights;
    const bool alpha = form->voxel == VOX_LOSS_FOCAL && w->problem.node->in[0].dim[1] == 1;
    float value[VOX_FLOATS_MAX + 1];
    int count = 0;
    w->number[HAS_WEIGHTS] = f->count > 0;
    if (f->count == 0)
        return VOX_OK;
    if (alpha)
        value[count++] = (float)(1 - f->value[0]);
    for (int i = 0; i < f->count; i++)
        value[count++] = (float)f->value[i];
    vox_status s = open_scratch(w, WEIGHTS, count, "class weights", err);
    return s == VOX_OK
               ? vox_buffer_write(w->scratch[WEIGHTS], 0, value, (size_t)count * 4, true, err)
               : s;
}

static vox_status open_kernels(vox_work *w, const vox_loss_form *form, int lanes, vox_error *err)
{
    static const char *const entry[] = {"loss_sums", "loss_finish", "loss_gradient", "loss_labels",
                                        "loss_totals"};
    const bool forward = w->algo->pass == VOX_FORWARD;
    const vox_node *node = w->problem.node;
    const bool softmax = form->region != 0 || form->voxel == VOX_LOSS_FOCAL;
    char options[200];
    vox_status s = VOX_OK;
    snprintf(options, sizeof options,
             "-DC=%" PRId64 " -DCLASSES=%" PRId64
             " -DSIGMOID=%d -DREGION=%d -DVOXEL=%d -DWEIGHTED=%d -DLANES=%d -DWG=%d",
             node->in[0].dim[1], vox_loss_classes(node), node->in[0].dim[1] == 1 && softmax,
             form->region != 0, (int)form->voxel, (int)w->number[HAS_WEIGHTS], lanes,
             (int)w->number[GROUP]);
    for (int k = 0; k < 5 && s == VOX_OK; k++)
        if ((k != GRADIENT || !forward) && (k != LABELS || outputs(node) > 1) &&
            (k != TOTALS || (forward && vox_loss_per_batch(node))))
            s = vox_kernel_open(&w->kernel[k], w->problem.dev, "loss.cl", entry[k], options, err);
    return s;
}

static vox_status build(vox_work *w, const vox_loss_form *form, int lanes, int group,
                        vox_error *err)
{
    const vox_node *node = w->problem.node;
    const int64_t n = w->problem.n_max, channels = node->in[0].dim[1];
    int64_t coarse = 0;
    w->number[GROUP] = group;
    for (int k = 1; k < outputs(node); k++)
        coarse = voxels(&node->in[k]) > coarse ? voxels(&node->in[k]) : coarse;
    vox_status s = open_scratch(w, PARTS, part_at(w, form, outputs(node)), "partial losses", err);
    if (s == VOX_OK)
        s = open_scratch(w, FACTORS, n * (2 * channels + 1), "factors of a loss's gradient", err);
    if (s == VOX_OK && coarse > 0)
        s = open_scratch(w, COARSE, n * coarse, "labels of coarser outputs", err);
    if (s == VOX_OK)
        s = open_weights(w, form, err);
    return s == VOX_OK ? open_kernels(w, form, lanes, err) : s;
}

vox_status vox_loss_build_vectors(vox_work *w, const vox_loss_form *form, vox_error *err)
{
    return build(w, form, 16, 1, err);
}

vox_status vox_loss_build_group(vox_work *w, const vox_loss_form *form, vox_error *err)
{
    return build(w, form, 1, ITEMS, err);
}

/* ---- running ------------------------------------------------------------ */

static vox_arg u32(int64_t v)
{
    return vox_arg_u32((uint32_t)v);
}

static vox_arg f32(double v)
{
    return vox_arg_f32((float)v);
}

/* The labels that output k is compared with. */
static vox_status labels_of(vox_work *w, const vox_io *io, int k, vox_buffer **out, vox_error *err)
{
    const int64_t *from = &w->problem.node->in[0].dim[2], *to = &w->problem.node->in[k].dim[2];
    *out = io->x[outputs(w->problem.node)]->buf;
    if (k == 0)
        return VOX_OK;
    const vox_grid grid = {{(size_t)(to[0] * to[1] * to[2]), (size_t)io->n, 1}, {64, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(*out), vox_arg_buffer(w->scratch[COARSE]),
                            u32(from[0]),         u32(from[1]),
                            u32(from[2]),         u32(to[0]),
                            u32(to[1]),           u32(to[2])};
    *out = w->scratch[COARSE];
    return vox_kernel_launch(w->kernel[LABELS], &grid, args, 8, err);
}

static vox_grid grid_of(const vox_work *w, int64_t groups, int64_t n)
{
    const size_t items = (size_t)w->number[GROUP];
    return (vox_grid){{(size_t)groups * items, (size_t)n, 1}, {items, 1, 1}};
}

static vox_status run_sums(vox_work *w, const vox_loss_form *form, const vox_io *io, int k,
                           vox_buffer *label, vox_error *err)
{
    const vox_node *node = w->problem.node;
    const int64_t count = voxels(&node->in[k]), chunks = chunks_of(count);
    const int64_t totals = 3 * node->in[0].dim[1], at = part_at(w, form, k);
    const vox_grid grid = grid_of(w, chunks, io->n);
    const vox_arg sum[] = {vox_arg_buffer(io->x[k]->buf),
                           vox_arg_buffer(label),
                           vox_arg_buffer(w->scratch[WEIGHTS]),
                           vox_arg_buffer(w->scratch[PARTS]),
                           u32(at),
                           u32(count),
                           u32(chunk_of(count)),
                           vox_arg_i32((int32_t)attr_of(node)->ignore),
                           f32(form->gamma)};
    vox_status s = vox_kernel_launch(w->kernel[SUMS], &grid, sum, 9, err);
    if (s != VOX_OK || !w->kernel[TOTALS])
        return s;
    const vox_grid items = {{(size_t)totals, 1, 1}, {0}};
    const vox_arg args[] = {vox_arg_buffer(w->scratch[PARTS]),
                            vox_arg_buffer(io->keep[VOX_FORWARD]), u32(at), u32(k * totals),
                            u32(io->n * chunks)};
    return vox_kernel_launch(w->kernel[TOTALS], &items, args, 5, err);
}

static vox_status run_finish(vox_work *w, const vox_loss_form *form, const vox_io *io, int k,
                             vox_error *err)
{
    const vox_node *node = w->problem.node;
    const vox_loss_attr *a = attr_of(node);
    const bool forward = w->algo->pass == VOX_FORWARD, sigmoid = node->in[0].dim[1] == 1;
    const bool batch = vox_loss_per_batch(node);
    const vox_grid grid = grid_of(w, 1, io->n);
    const vox_arg args[] = {vox_arg_buffer(w->scratch[PARTS]),
                            vox_arg_buffer(batch ? io->keep[VOX_FORWARD] : NULL),
                            vox_arg_buffer(forward ? io->y->buf : NULL),
                            vox_arg_buffer(forward ? NULL : w->scratch[FACTORS]),
                            u32(part_at(w, form, k)),
                            u32(k * 3 * node->in[0].dim[1]),
                            u32(chunks_of(voxels(&node->in[k]))),
                            f32(batch ? (double)vox_io_samples(io) : 1),
                            u32(sigmoid || a->background ? 0 : 1),
                            f32(form->alpha),
                            f32(form->beta),
                            f32(form->smooth),
                            f32(form->region),
                            f32(form->voxel_weight),
                            f32(vox_loss_output_weight(node, k)),
                            vox_arg_f32(io->scale),
                            vox_arg_i32(k > 0)};
    return vox_kernel_launch(w->kernel[FINISH], &grid, args, 17, err);
}

static vox_status run_gradient(vox_work *w, const vox_loss_form *form, const vox_io *io, int k,
                               vox_buffer *label, vox_error *err)
{
    const int64_t count = voxels(&w->problem.node->in[k]);
    const vox_grid grid = grid_of(w, chunks_of(count), io->n);
    const vox_arg args[] = {vox_arg_buffer(io->x[k]->buf),
                            vox_arg_buffer(label),
                            vox_arg_buffer(w->scratch[WEIGHTS]),
                            vox_arg_buffer(w->scratch[FACTORS]),
                            vox_arg_buffer(io->dx[k]->buf),
                            u32(count),
                            u32(chunk_of(count)),
                            vox_arg_i32((int32_t)attr_of(w->problem.node)->ignore),
                            f32(form->gamma)};
    return vox_kernel_launch(w->kernel[GRADIENT], &grid, args, 9, err);
}

/* First half: the sums, and of a loss per batch the totals; second half: what is made of them. */
static vox_status run_forward(vox_work *w, const vox_loss_form *form, const vox_io *io,
                              vox_error *err)
{
    vox_status s = VOX_OK;
    vox_buffer *label;
    for (int k = 0; k < outputs(w->problem.node) && s == VOX_OK; k++) {
        if (io->half != VOX_SECOND_HALF)
            s = labels_of(w, io, k, &label, err);
        if (s == VOX_OK && io->half != VOX_SECOND_HALF)
            s = run_sums(w, form, io, k, label, err);
        if (s == VOX_OK && io->half != VOX_FIRST_HALF)
            s = run_finish(w, form, io, k, err);
    }
    return s;
}

vox_status vox_loss_run(vox_work *w, const vox_loss_form *form, const vox_io *io, vox_error *err)
{
    vox_status s = VOX_OK;
    vox_buffer *label;
    if (w->algo->pass == VOX_FORWARD)
        return run_forward(w, form, io, err);
    for (int k = 0; k < outputs(w->problem.node) && s == VOX_OK; k++) {
        if (!io->dx[k])
            continue;
        s = labels_of(w, io, k, &label, err);
        if (s == VOX_OK)
            s = run_sums(w, form, io, k, label, err);
        if (s == VOX_OK)
            s = run_finish(w, form, io, k, err);
        if (s == VOX_OK)
            s = run_gradient(w, form, io, k, label, err);
    }
    return s;
}
