/* norm.c - the passes of batch_norm, instance_norm and group_norm (cl/norm_rows.cl, norm_group.cl,
 * norm_finish.cl).
 *
 *   forward           statistics of chunks -> joined -> applied
 *   backward-weights  sums of chunks -> joined: sums, gradients of weight and bias
 *   backward-data     (sums, as above, if there are no weights) -> group sums -> applied */
#include "ops/norm.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "ops/flat.h"

#define CPU_BATCH 256 /* vectors that cl/norm_rows.cl adds up at once */
#define GPU_WG    128
#define FINISH_WG 64 /* on GPUs */
#define LEAST_GPU 4096

enum {
    STATS,
    APPLY,
    SUMS,
    BACKWARD = APPLY,
    FINISH = 3,
    GROUP = 4,
    RUNNING = 4,
    FOLLOW
};                    /* kernels */
enum { RUN, CHUNKS }; /* numbers */

/* ---- which numbers share statistics ------------------------------------- */

static bool is_batch(const vox_node *node)
{
    return node->op == &vox_op_batch_norm;
}

static const vox_norm_attr *attr_of(const vox_node *node)
{
    return node->attr;
}

/* Channels that share statistics. */
static int64_t group_of(const vox_node *node)
{
    const int64_t groups = attr_of(node)->groups;
    return groups ? node->in[0].dim[1] / groups : 1;
}

static int64_t voxels_of(const vox_node *node)
{
    const int64_t *d = node->in[0].dim;
    return d[2] * d[3] * d[4];
}

/* Numbers that share a statistic in a pass over n samples. */
static int64_t count_of(const vox_node *node, int64_t n)
{
    return group_of(node) * voxels_of(node) * (is_batch(node) ? n : 1);
}

/* Samples that a layer's statistics are of. */
static int64_t samples_of(const vox_node *node, const vox_io *io)
{
    return attr_of(node)->sync ? vox_io_samples(io) : io->n;
}

int64_t vox_norm_keeps(const vox_node *node, vox_pass pass, int64_t n)
{
    const int64_t channels = node->in[0].dim[1] * (is_batch(node) ? 1 : n);
    const bool affine = attr_of(node)->affine;
    if (pass == VOX_FORWARD)
        return 4 * channels;
    return (pass == VOX_BACKWARD_WEIGHTS) == affine ? 2 * channels : 0;
}

int vox_norm_params(const vox_node *node, vox_param out[VOX_MAX_PARAMS])
{
    const vox_shape per_channel = {1, {node->in[0].dim[1]}};
    int count = 0;
    if (attr_of(node)->affine) {
        out[count++] = (vox_param){"weight", per_channel, VOX_INIT_ONE, 0, true};
        out[count++] = (vox_param){"bias", per_channel, VOX_INIT_ZERO, 0, true};
    }
    if (is_batch(node)) {
        out[count++] = (vox_param){"running_mean", per_channel, VOX_INIT_ZERO, 0, false};
        out[count++] = (vox_param){"running_var", per_channel, VOX_INIT_ONE, 0, false};
    }
    return count;
}

/* ---- several devices ---------------------------------------------------- */

/* Means and variances, each of n[i] samples of as many voxels. */
static void join_stats(const vox_node *node, const float *const *from, const int64_t *n,
                       size_t replicas, size_t floats, float *to)
{
    const double eps = attr_of(node)->eps;
    for (size_t c = 0; c < floats; c += 4) {
        double all = 0, mean = 0, variance = 0;
        for (size_t i = 0; i < replicas; i++) {
            all += (double)n[i];
            mean += (double)n[i] * ((double)from[i][c] + (double)from[i][c + 1]);
        }
        mean /= all;
        for (size_t i = 0; i < replicas; i++) {
            const double apart = (double)from[i][c] + (double)from[i][c + 1] - mean;
            variance += (double)n[i] / all * ((double)from[i][c + 3] + apart * apart);
        }
        to[c] = (float)mean;
        to[c + 1] = (float)(mean - (double)to[c]);
        to[c + 2] = (float)(1 / sqrt(variance + eps));
        to[c + 3] = (float)variance;
    }
}

static void join_sums(const vox_node *node, const float *const *from, const int64_t *n,
                      size_t replicas, size_t floats, float *to)
{
    (void)node;
    (void)n;
    for (size_t c = 0; c < floats; c++) {
        double sum = 0;
        for (size_t i = 0; i < replicas; i++)
            sum += (double)from[i][c];
        to[c] = (float)sum;
    }
}

vox_join_fn vox_norm_joins(const vox_node *node, vox_pass pass, bool training)
{
    if (!training || !attr_of(node)->sync || vox_norm_keeps(node, pass, 1) == 0)
        return NULL;
    return pass == VOX_FORWARD ? join_stats : join_sums;
}

/* ---- how planes are cut ------------------------------------------------- */

static bool is_rows(const vox_work *w)
{
    return w->algo->name[0] == 'r';
}

static int64_t lanes_of(vox_layout layout)
{
    return layout == VOX_LAYOUT_BLOCK16 ? 16 : 1;
}

/* Planes of a sample: channels, or blocks of 16 of them. */
static int64_t planes_of(const vox_node *node, vox_layout layout)
{
    return (node->in[0].dim[1] + lanes_of(layout) - 1) / lanes_of(layout);
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Chunks of planes: several for each compute unit, but none smaller than the kernels add up at
 * once.  RUN is vectors of 16 floats (rows) or floats. */
static void cut(vox_work *w)
{
    const vox_problem *p = &w->problem;
    const int64_t floats = voxels_of(p->node) * lanes_of(w->algo->in);
    const int64_t planes = p->n_max * planes_of(p->node, w->algo->in);
    const int64_t units = vox_device_get(p->dev)->compute_units;
    const bool rows = is_rows(w);
    const int64_t length = rows ? floats / 16 : floats, least = rows ? CPU_BATCH : LEAST_GPU;
    const int64_t wanted = divide_up((rows ? 8 : 16) * (units > 0 ? units : 1), planes);
    w->number[RUN] = divide_up(divide_up(length, wanted), least) * least;
    if (w->number[RUN] < least)
        w->number[RUN] = least;
    w->number[CHUNKS] = length > 0 ? divide_up(length, w->number[RUN]) : 1;
}

static double seconds(const vox_problem *p, double floats, bool rows)
{
    const bool fits_device = vox_device_is_cpu(p->dev) == rows;
    const double each = (double)vox_sample_floats(&p->node->in[0], VOX_LAYOUT_PLAIN);
    return vox_rule_seconds(p->dev, 0, 1, 4 * floats * each * (double)p->n_max,
                            fits_device ? 0.8 : 0.1);
}

static double seconds_forward_rows(const vox_problem *p)
{
    return seconds(p, 3, true);
}

static double seconds_forward_group(const vox_problem *p)
{
    return seconds(p, 3, false);
}

/* Weights: x and dy; data: those and dx, after the sums if there are no weights. */
static double seconds_weights_rows(const vox_problem *p)
{
    return seconds(p, 2, true);
}

static double seconds_weights_group(const vox_problem *p)
{
    return seconds(p, 2, false);
}

static double seconds_data_rows(const vox_problem *p)
{
    return seconds(p, attr_of(p->node)->affine ? 3 : 5, true);
}

static double seconds_data_group(const vox_problem *p)
{
    return seconds(p, attr_of(p->node)->affine ? 3 : 5, false);
}

/* ---- building ----------------------------------------------------------- */

/* Whether x and what is written, in BLOCK16, are more than the caches hold. */
static bool is_large(const vox_problem *p)
{
    const int64_t floats = p->n_max * vox_sample_floats(&p->node->in[0], VOX_LAYOUT_BLOCK16);
    return *vox_stream_options(p->dev, 8 * (double)floats) != '\0';
}

/* Of rows on BLOCK16: past the caches or not; number 1 is what the rule does not take. */
static int variants(const vox_problem *p)
{
    (void)p;
    return 2;
}

static void variant_text(const vox_problem *p, int i, char text[VOX_VARIANT_TEXT])
{
    (void)i;
    snprintf(text, VOX_VARIANT_TEXT, "%s", is_large(p) ? "store" : "stream");
}

static bool streams(const vox_work *w)
{
    return w->algo->variants && is_large(&w->problem) == (w->problem.variant == 0);
}

/* writes: y or dx, which may have a relu. */
static vox_status open_kernel(vox_work *w, int slot, const char *entry, bool writes, vox_error *err)
{
    char name[64], options[128];
    const bool grouped =
        writes && w->algo->pass == VOX_BACKWARD_DATA && group_of(w->problem.node) > 1;
    snprintf(name, sizeof name, "%s_%s", entry, is_rows(w) ? "rows" : "group");
    snprintf(options, sizeof options, "-DLANES=%d%s%s%s", (int)lanes_of(w->algo->in),
             grouped ? " -DGROUPED=1" : "", writes && streams(w) ? " -DSTREAM" : "",
             writes ? vox_relu_options(w) : "");
    return vox_kernel_open(&w->kernel[slot], w->problem.dev,
                           is_rows(w) ? "norm_rows.cl" : "norm_group.cl", name, options, err);
}

static size_t finish_group(const vox_work *w)
{
    return vox_device_is_cpu(w->problem.dev) ? 1 : FINISH_WG;
}

static vox_status open_finish(vox_work *w, int slot, const char *entry, vox_error *err)
{
    char options[32];
    snprintf(options, sizeof options, "-DWG=%zu", finish_group(w));
    return vox_kernel_open(&w->kernel[slot], w->problem.dev, "norm_finish.cl", entry, options, err);
}

/* Room for `floats` numbers of each chunk's lanes. */
static vox_status open_parts(vox_work *w, int64_t floats, vox_error *err)
{
    const vox_problem *p = &w->problem;
    const int64_t lanes = lanes_of(w->algo->in);
    const int64_t count = p->n_max * planes_of(p->node, w->algo->in) * w->number[CHUNKS] * lanes;
    return vox_buffer_open(&w->scratch[0], p->dev, (size_t)(count * floats) * sizeof(float),
                           VOX_BUFFER_DEVICE, "partial statistics", err);
}

static vox_status build_forward(vox_work *w, vox_error *err)
{
    cut(w);
    vox_status s = open_kernel(w, STATS, "norm_stats", false, err);
    if (s == VOX_OK)
        s = open_kernel(w, APPLY, "norm_apply", true, err);
    if (s == VOX_OK)
        s = open_finish(w, FINISH, "norm_finish_stats", err);
    if (s == VOX_OK && is_batch(w->problem.node))
        s = open_finish(w, RUNNING, "norm_running", err);
    if (s == VOX_OK && is_batch(w->problem.node) && w->problem.training)
        s = open_finish(w, FOLLOW, "norm_follow", err);
    return s == VOX_OK ? open_parts(w, 4, err) : s;
}

static vox_status build_sums(vox_work *w, vox_error *err)
{
    vox_status s = open_kernel(w, SUMS, "norm_sums", false, err);
    if (s == VOX_OK)
        s = open_finish(w, FINISH, "norm_finish_sums", err);
    return s == VOX_OK ? open_parts(w, 2, err) : s;
}

static vox_status build_weights(vox_work *w, vox_error *err)
{
    cut(w);
    return build_sums(w, err);
}

static vox_status build_data(vox_work *w, vox_error *err)
{
    const vox_problem *p = &w->problem;
    cut(w);
    vox_status s = open_kernel(w, BACKWARD, "norm_backward", true, err);
    if (s == VOX_OK && !attr_of(p->node)->affine)
        s = build_sums(w, err);
    if (s != VOX_OK || group_of(p->node) == 1)
        return s;
    s = open_finish(w, GROUP, "norm_group_sums", err);
    if (s == VOX_OK)
        s = vox_buffer_open(&w->scratch[1], p->dev,
                            (size_t)(p->n_max * p->node->in[0].dim[1]) * 2 * sizeof(float),
                            VOX_BUFFER_DEVICE, "sums of groups", err);
    return s;
}

/* ---- running ------------------------------------------------------------ */

/* Launches kernel[slot] over all chunks of x's planes; args end with what they all begin their
 * sizes with: floats of a plane, run, chunks, and, unless they are statistics, planes of a sample,
 * C and the step from one sample's statistics to the next one's. */
static vox_status launch(vox_work *w, int slot, const vox_io *io, const vox_arg *args, size_t count,
                         vox_error *err)
{
    const vox_node *node = w->problem.node;
    const int64_t lanes = lanes_of(w->algo->in), planes = planes_of(node, w->algo->in);
    const int64_t C = node->in[0].dim[1];
    const size_t group = is_rows(w) ? 1 : GPU_WG;
    const vox_grid grid = {{(size_t)w->number[CHUNKS] * group, (size_t)(io->n * planes), 1},
                           {group, 1, 1}};
    const vox_arg sizes[] = {vox_arg_u64((uint64_t)(voxels_of(node) * lanes)),
                             vox_arg_u32((uint32_t)w->number[RUN]),
                             vox_arg_u32((uint32_t)w->number[CHUNKS]),
                             vox_arg_u32((uint32_t)planes),
                             vox_arg_u32((uint32_t)C),
                             vox_arg_u32(is_batch(node) ? 0 : (uint32_t)C)};
    const size_t wanted = slot == STATS && w->algo->pass == VOX_FORWARD ? 3 : 6;
    vox_arg all[16];
    for (size_t i = 0; i < count; i++)
        all[i] = args[i];
    for (size_t i = 0; i < wanted; i++)
        all[count + i] = sizes[i];
    return vox_kernel_launch(w->kernel[slot], &grid, all, count + wanted, err);
}

/* One value for a whole batch is its own mean: PyTorch refuses that too. */
static vox_status check_count(const vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_node *node = w->problem.node;
    if (count_of(node, samples_of(node, io)) > 1)
        return VOX_OK;
    vox_fail(err, VOX_ERR_INPUT, "layer %s: batch statistics need more than one value per channel",
             node->name);
    vox_detail(err, "%s is 1 sample of 1x1x1 voxels",
               attr_of(node)->sync ? "the whole batch" : "this device's share of the batch");
    vox_hint(err, "use a larger train.batch%s, or no batch_norm where only one voxel is left",
             attr_of(node)->sync ? "" : ", fewer devices, sync: true");
    return VOX_ERR_INPUT;
}

static vox_status statistics(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_node *node = w->problem.node;
    const bool batch = is_batch(node);
    const int64_t C = node->in[0].dim[1], group = group_of(node);
    const size_t wg = finish_group(w);
    const vox_grid grid = {{(size_t)(C / group * (batch ? 1 : io->n)) * wg, 1, 1}, {wg, 1, 1}};
    const vox_arg part[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(w->scratch[0])};
    const vox_arg args[] = {vox_arg_buffer(w->scratch[0]),
                            vox_arg_buffer(io->keep[VOX_FORWARD]),
                            vox_arg_u32((uint32_t)C),
                            vox_arg_u32((uint32_t)group),
                            vox_arg_u32(batch ? (uint32_t)io->n : 1),
                            vox_arg_u32((uint32_t)planes_of(node, w->algo->in)),
                            vox_arg_u32((uint32_t)lanes_of(w->algo->in)),
                            vox_arg_u32((uint32_t)w->number[CHUNKS]),
                            vox_arg_f32((float)attr_of(node)->eps)};
    vox_status s = check_count(w, io, err);
    if (s == VOX_OK)
        s = launch(w, STATS, io, part, 2, err);
    return s == VOX_OK ? vox_kernel_launch(w->kernel[FINISH], &grid, args, 9, err) : s;
}

/* The running statistics are parameters, after weight and bias if there are any. */
static vox_buffer *const *running_of(const vox_work *w, const vox_io *io)
{
    return io->param + (attr_of(w->problem.node)->affine ? 2 : 0);
}

static vox_status follow(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_node *node = w->problem.node;
    const int64_t C = node->in[0].dim[1];
    const double count = (double)count_of(node, samples_of(node, io));
    const vox_grid grid = {{(size_t)C, 1, 1}, {0}};
    const vox_arg args[] = {
        vox_arg_buffer(io->keep[VOX_FORWARD]),       vox_arg_buffer(running_of(w, io)[0]),
        vox_arg_buffer(running_of(w, io)[1]),        vox_arg_u32((uint32_t)C),
        vox_arg_f32((float)attr_of(node)->momentum), vox_arg_f32((float)(count / (count - 1)))};
    return vox_kernel_launch(w->kernel[FOLLOW], &grid, args, 6, err);
}

static vox_status running(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_norm_attr *a = attr_of(w->problem.node);
    const int64_t C = w->problem.node->in[0].dim[1];
    const vox_grid grid = {{(size_t)C, 1, 1}, {0}};
    const vox_arg args[] = {vox_arg_buffer(running_of(w, io)[0]),
                            vox_arg_buffer(running_of(w, io)[1]),
                            vox_arg_buffer(io->keep[VOX_FORWARD]), vox_arg_u32((uint32_t)C),
                            vox_arg_f32((float)a->eps)};
    return vox_kernel_launch(w->kernel[RUNNING], &grid, args, 5, err);
}

/* weight or bias, or NULL */
static vox_arg param_arg(const vox_work *w, const vox_io *io, int k)
{
    return vox_arg_buffer(attr_of(w->problem.node)->affine ? io->param[k] : NULL);
}

/* First half: the statistics; second half: what is done with them. */
static vox_status forward(vox_work *w, const vox_io *io, vox_error *err)
{
    const bool batch = is_batch(w->problem.node);
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->y->buf),
                            vox_arg_buffer(io->keep[VOX_FORWARD]), param_arg(w, io, 0),
                            param_arg(w, io, 1)};
    vox_status s = VOX_OK;
    if (batch && !io->training)
        s = running(w, io, err);
    else if (io->half != VOX_SECOND_HALF)
        s = statistics(w, io, err);
    if (s != VOX_OK || io->half == VOX_FIRST_HALF)
        return s;
    if (batch && io->training && !io->step.bystander)
        s = follow(w, io, err);
    return s == VOX_OK ? launch(w, APPLY, io, args, 5, err) : s;
}

/* Sums into keep[to], and the gradients of weight and bias where there are some. */
static vox_status sums(vox_work *w, const vox_io *io, vox_pass to, vox_error *err)
{
    const vox_node *node = w->problem.node;
    const int64_t C = node->in[0].dim[1];
    const bool weights = to == VOX_BACKWARD_WEIGHTS;
    const size_t wg = finish_group(w);
    const vox_grid grid = {{(size_t)C * wg, 1, 1}, {wg, 1, 1}};
    const vox_arg part[] = {vox_arg_buffer(io->x[0]->buf), vox_arg_buffer(io->dy->buf),
                            vox_arg_buffer(io->keep[VOX_FORWARD]), vox_arg_buffer(w->scratch[0])};
    const vox_arg args[] = {vox_arg_buffer(w->scratch[0]),
                            vox_arg_buffer(io->keep[VOX_FORWARD]),
                            vox_arg_buffer(io->keep[to]),
                            vox_arg_buffer(weights ? io->dparam[0] : NULL),
                            vox_arg_buffer(weights ? io->dparam[1] : NULL),
                            vox_arg_u32((uint32_t)io->n),
                            vox_arg_u32(is_batch(node) ? 0 : (uint32_t)C),
                            vox_arg_u32((uint32_t)planes_of(node, w->algo->in)),
                            vox_arg_u32((uint32_t)lanes_of(w->algo->in)),
                            vox_arg_u32((uint32_t)w->number[CHUNKS]),
                            vox_arg_i32(io->accumulate)};
    vox_status s = launch(w, SUMS, io, part, 4, err);
    return s == VOX_OK ? vox_kernel_launch(w->kernel[FINISH], &grid, args, 11, err) : s;
}

/* The gradients of weight and bias are those of this device's samples: only the sums are exchanged.
 */
static vox_status backward_weights(vox_work *w, const vox_io *io, vox_error *err)
{
    return io->half == VOX_SECOND_HALF ? VOX_OK : sums(w, io, VOX_BACKWARD_WEIGHTS, err);
}

static vox_status group_sums(vox_work *w, const vox_io *io, vox_buffer *from, vox_error *err)
{
    const int64_t C = w->problem.node->in[0].dim[1];
    const vox_grid grid = {{(size_t)(io->n * C), 1, 1}, {0}};
    const vox_arg args[] = {vox_arg_buffer(from),
                            param_arg(w, io, 0),
                            vox_arg_buffer(w->scratch[1]),
                            vox_arg_u32((uint32_t)C),
                            vox_arg_u32((uint32_t)group_of(w->problem.node)),
                            vox_arg_u32((uint32_t)(io->n * C))};
    return vox_kernel_launch(w->kernel[GROUP], &grid, args, 6, err);
}

static vox_status backward_data(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_node *node = w->problem.node;
    const bool affine = attr_of(node)->affine;
    vox_buffer *total = io->keep[affine ? VOX_BACKWARD_WEIGHTS : VOX_BACKWARD_DATA];
    vox_status s = VOX_OK;
    if (!affine && io->half != VOX_SECOND_HALF)
        s = sums(w, io, VOX_BACKWARD_DATA, err);
    if (s != VOX_OK || io->half == VOX_FIRST_HALF)
        return s;
    if (group_of(node) > 1) {
        s = group_sums(w, io, total, err);
        total = w->scratch[1];
    }
    const vox_arg args[] = {vox_arg_buffer(io->x[0]->buf),
                            vox_arg_buffer(io->dy->buf),
                            vox_arg_buffer(io->dx[0]->buf),
                            vox_arg_buffer(io->keep[VOX_FORWARD]),
                            param_arg(w, io, 0),
                            vox_arg_buffer(total),
                            vox_arg_f32((float)(1 / (double)count_of(node, samples_of(node, io))))};
    return s == VOX_OK ? launch(w, BACKWARD, io, args, 7, err) : s;
}

#define PLAIN   VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN
#define BLOCK16 VOX_LAYOUT_BLOCK16, VOX_LAYOUT_BLOCK16
#define METHOD(name, layouts, variants, text)                                                      \
    {#name,         VOX_FORWARD, layouts, NULL,     seconds_forward_##name,                        \
     build_forward, forward,     true,    variants, text},                                         \
        {#name,      VOX_BACKWARD_DATA, layouts, NULL,     seconds_data_##name,                    \
         build_data, backward_data,     true,    variants, text},                                  \
    {                                                                                              \
#name, VOX_BACKWARD_WEIGHTS, layouts, NULL, seconds_weights_##name, build_weights,         \
            backward_weights                                                                       \
    }

const vox_algo vox_norm_algos[] = {METHOD(rows, PLAIN, NULL, NULL),
                                   METHOD(rows, BLOCK16, variants, variant_text),
                                   METHOD(group, PLAIN, NULL, NULL),
                                   METHOD(group, BLOCK16, NULL, NULL),
                                   {0}};
