/* ladder_softmax.c - a segmentation's loss from its logits: cl/ladder_softmax.cl and softmax.cl,
 * then the loss as training computes it. */
#include "tune/ladder.h"

#include "base/mem.h"
#include "base/philox.h"
#include "ops/attr.h"
#include "ops/loss.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WG 64

#define RUN 1024 /* voxels of an item of VECTORS */

enum { PASSES, KERNEL, ONLINE, VECTORS, FUSED };

static const vox_rung rungs[] = {
    [PASSES] = {"passes", "any", "three kernels: largest, sum, division; x read three times"},
    [KERNEL] = {"kernel", "any", "one kernel for all three: no maxima and sums written"},
    [ONLINE] = {"online", "any", "largest and sum in one loop: x read twice"},
    [VECTORS] = {"vectors", "CPU", "softmax and loss in one, 16 voxels in vectors"},
    [FUSED] = {"fused", "any", "what training uses: softmax and loss in one"},
    {NULL, NULL, NULL}};

typedef struct softmax {
    int64_t n, c, v, repeat;
    float *x;
    int32_t *label;
    double *want;  /* [n] */
    vox_node node; /* the loss */
    vox_loss_attr attr;
    vox_device *dev;
    vox_buffer *logits, *labels, *loss, *p, *m, *s;
    /* of the rung being measured */
    size_t rung;
    vox_kernel *kernel[5];
    vox_work work; /* FUSED */
} softmax;

/* ---- numbers ---- */

static double loss_of(const softmax *t, int64_t n)
{
    double sum = 0;
    for (int64_t v = 0; v < t->v; v++) {
        const float *x = t->x + n * t->c * t->v + v;
        double m = (double)x[0], s = 0;
        for (int64_t c = 1; c < t->c; c++)
            m = fmax(m, (double)x[c * t->v]);
        for (int64_t c = 0; c < t->c; c++)
            s += exp((double)x[c * t->v] - m);
        sum += log(s) + m - (double)x[t->label[n * t->v + v] * t->v];
    }
    return sum / (double)t->v;
}

static void close_ladder(void *state)
{
    softmax *t = state;
    free(t->x);
    free(t->label);
    free(t->want);
    free(t);
}

static vox_status draw(softmax *t, vox_error *err)
{
    const char *what = "benchmark data";
    const int64_t logits = t->n * t->c * t->v, labels = t->n * t->v;
    vox_random random;
    t->x = vox_calloc((size_t)logits, sizeof *t->x, what, err);
    t->label = vox_calloc((size_t)labels, sizeof *t->label, what, err);
    t->want = vox_calloc((size_t)t->n, sizeof *t->want, what, err);
    if (!t->x || !t->label || !t->want)
        return VOX_ERR_MEMORY;
    vox_random_init(&random, 1, VOX_RANDOM_INIT, 0, 0, 0);
    for (int64_t i = 0; i < logits; i++)
        t->x[i] = 8 * vox_random_uniform(&random) - 4;
    for (int64_t i = 0; i < labels; i++)
        t->label[i] = (int32_t)vox_random_below(&random, (uint32_t)t->c);
    for (int64_t n = 0; n < t->n; n++)
        t->want[n] = loss_of(t, n);
    return VOX_OK;
}

static vox_status open_ladder(void **state, const char *const *args, size_t count, vox_error *err)
{
    int64_t size[3] = {4, 8, 262144}, repeat = 7;
    vox_status s = vox_ladder_read("softmax", args, count, size, 3, &repeat, err);
    if (s == VOX_OK && (size[0] > 4096 || size[1] > 4096 || size[2] > 1 << 26 ||
                        size[0] * size[1] * size[2] > INT64_C(1) << 30))
        s = vox_fail(err, VOX_ERR_USAGE, "bench ladder softmax: that many logits are too many");
    if (s != VOX_OK)
        return s;
    softmax *t = *state = vox_calloc(1, sizeof *t, "a ladder", err);
    if (!t)
        return VOX_ERR_MEMORY;
    t->n = size[0];
    t->c = size[1];
    t->v = size[2];
    t->repeat = repeat;
    t->node = (vox_node){
        .op = vox_op_find("cross_entropy"), .name = "bench", .attr = &t->attr, .inputs = 2};
    t->node.in[0] = (vox_shape){5, {1, t->c, 1, 1, t->v}};
    t->node.in[1] = (vox_shape){5, {1, 1, 1, 1, t->v}};
    s = vox_attr_read(t->node.op->attrs, &t->attr, "bench ladder", NULL, NULL, NULL, err);
    if (s == VOX_OK)
        s = t->node.op->infer(&t->node, t->node.in, &t->node.out, err);
    if (s == VOX_OK)
        s = draw(t, err);
    if (s != VOX_OK) {
        close_ladder(t);
        *state = NULL;
    }
    return s;
}

static void work(const void *state, double *flops, double *bytes)
{
    const softmax *t = state;
    *flops = 5.0 * (double)(t->n * t->c * t->v); /* an exp counted as one */
    *bytes = 4.0 * (double)(t->n * (t->c + 1) * t->v);
}

/* ---- a device ---- */

static vox_status open_floats(softmax *t, vox_buffer **out, int64_t floats, const void *from,
                              vox_error *err)
{
    const size_t bytes = sizeof(float) * (size_t)floats;
    vox_status s = vox_buffer_open(out, t->dev, bytes, VOX_BUFFER_DEVICE, "benchmark data", err);
    if (s != VOX_OK)
        return s;
    return from ? vox_buffer_write(*out, 0, from, bytes, true, err)
                : vox_buffer_fill(*out, 0, bytes, 0, err);
}

static vox_status enter(void *state, vox_device *dev, vox_error *err)
{
    softmax *t = state;
    const int64_t voxels = t->n * t->v;
    t->dev = dev;
    vox_status s = open_floats(t, &t->logits, voxels * t->c, t->x, err);
    if (s == VOX_OK)
        s = open_floats(t, &t->labels, voxels, t->label, err);
    if (s == VOX_OK)
        s = open_floats(t, &t->p, voxels * t->c, NULL, err);
    if (s == VOX_OK)
        s = open_floats(t, &t->m, voxels, NULL, err);
    if (s == VOX_OK)
        s = open_floats(t, &t->s, voxels, NULL, err);
    return s == VOX_OK ? open_floats(t, &t->loss, t->n, NULL, err) : s;
}

static void leave(void *state)
{
    softmax *t = state;
    vox_buffer **const buffer[] = {&t->logits, &t->labels, &t->p, &t->m, &t->s, &t->loss};
    for (size_t i = 0; i < sizeof buffer / sizeof *buffer; i++)
        vox_buffer_free(buffer[i]);
}

/* ---- a rung ---- */

/* A launch over the voxels, with up to four buffers. */
static vox_status launch(const softmax *t, int kernel, vox_buffer *const *buffer, size_t count,
                         vox_error *err)
{
    const vox_grid grid = {{(size_t)t->v, (size_t)t->n, 1}, {WG, 1, 1}};
    vox_arg args[4];
    for (size_t i = 0; i < count; i++)
        args[i] = vox_arg_buffer(buffer[i]);
    return vox_kernel_launch(t->kernel[kernel], &grid, args, count, err);
}

static vox_status run_passes(const softmax *t, vox_error *err)
{
    vox_buffer *const most[] = {t->logits, t->m}, *const sum[] = {t->logits, t->m, t->s};
    vox_buffer *const divide[] = {t->logits, t->m, t->s, t->p};
    vox_status s = launch(t, 0, most, 2, err);
    if (s == VOX_OK)
        s = launch(t, 1, sum, 3, err);
    return s == VOX_OK ? launch(t, 2, divide, 4, err) : s;
}

/* The sums of m's numbers, `count` for each sample. */
static vox_status run_mean(const softmax *t, int64_t count, vox_error *err)
{
    const vox_grid grid = {{WG, (size_t)t->n, 1}, {WG, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(t->m), vox_arg_buffer(t->loss),
                            vox_arg_u32((uint32_t)count)};
    return vox_kernel_launch(t->kernel[4], &grid, args, 3, err);
}

/* From the probabilities to each sample's loss. */
static vox_status run_loss(const softmax *t, vox_error *err)
{
    vox_buffer *const pick[] = {t->p, t->labels, t->m};
    vox_status s = launch(t, 3, pick, 3, err);
    return s == VOX_OK ? run_mean(t, t->v, err) : s;
}

static vox_status run_vectors(const softmax *t, vox_error *err)
{
    const int64_t parts = (t->v + RUN - 1) / RUN;
    const vox_grid grid = {{(size_t)parts, (size_t)t->n, 1}, {1, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(t->logits), vox_arg_buffer(t->labels),
                            vox_arg_buffer(t->m)};
    vox_status s = vox_kernel_launch(t->kernel[0], &grid, args, 3, err);
    return s == VOX_OK ? run_mean(t, parts, err) : s;
}

static vox_status run_fused(softmax *t, vox_error *err)
{
    vox_tensor x = {.buf = t->logits, .shape = t->node.in[0]};
    vox_tensor label = {.buf = t->labels, .shape = t->node.in[1], .dtype = VOX_I32};
    vox_tensor y = {.buf = t->loss, .shape = t->node.out};
    x.shape.dim[0] = label.shape.dim[0] = y.shape.dim[0] = t->n;
    const vox_io io = {.n = t->n, .training = true, .x = {&x, &label}, .y = &y, .scale = 1};
    return t->work.algo->run(&t->work, &io, err);
}

static vox_status run(void *what, vox_error *err)
{
    softmax *t = what;
    vox_buffer *const both[] = {t->logits, t->p};
    if (t->rung == FUSED)
        return run_fused(t, err);
    if (t->rung == VECTORS)
        return run_vectors(t, err);
    vox_status s = t->rung == PASSES ? run_passes(t, err) : launch(t, 0, both, 2, err);
    return s == VOX_OK ? run_loss(t, err) : s;
}

/* What the rule chooses for training. */
static vox_status build_fused(softmax *t, vox_error *err)
{
    const vox_problem p = {.node = &t->node, .dev = t->dev, .n_max = t->n, .training = true};
    const vox_algo *a, *best = NULL;
    for (int i = 0; (a = vox_op_algo(t->node.op, VOX_FORWARD, i)); i++)
        if (a->in == VOX_LAYOUT_PLAIN && (!a->fits || a->fits(&p)) &&
            (!best || a->seconds(&p) < best->seconds(&p)))
            best = a;
    if (!best)
        return vox_fail(err, VOX_ERR_UNSUPPORTED, "no way to compute the loss fits");
    return vox_work_build(&t->work, &p, best, err);
}

static vox_status build(softmax *t, vox_error *err)
{
    static const char *const entry[][3] = {
        [PASSES] = {"softmax_max", "softmax_sum", "softmax_divide"},
        [KERNEL] = {"softmax_forward"},
        [ONLINE] = {"softmax_online"},
        [VECTORS] = {"softmax_vectors"},
    };
    static const char *const ends[] = {"softmax_pick", "softmax_mean"};
    const char *file = t->rung == KERNEL ? "softmax.cl" : "ladder_softmax.cl";
    char options[96];
    vox_status s = VOX_OK;
    if (t->rung == FUSED)
        return build_fused(t, err);
    snprintf(options, sizeof options, "-DC=%" PRId64 " -DV=%" PRId64 " -DWG=%d -DRUN=%d", t->c,
             t->v, WG, RUN);
    for (int i = 0; s == VOX_OK && i < 3 && entry[t->rung][i]; i++)
        s = vox_kernel_open(&t->kernel[i], t->dev, file, entry[t->rung][i], options, err);
    for (int i = 0; s == VOX_OK && i < 2; i++)
        s = vox_kernel_open(&t->kernel[3 + i], t->dev, "ladder_softmax.cl", ends[i], options, err);
    return s;
}

static vox_status read_error(const softmax *t, double *error, vox_error *err)
{
    const size_t bytes = sizeof(float) * (size_t)t->n;
    double wrong = 0, norm = 0;
    float *got = vox_calloc(1, bytes, "benchmark result", err);
    vox_status s = got ? vox_buffer_read(t->loss, 0, got, bytes, true, err) : VOX_ERR_MEMORY;
    for (int64_t n = 0; s == VOX_OK && n < t->n; n++) {
        const double off = (double)got[n] - t->want[n];
        wrong += off * off;
        norm += t->want[n] * t->want[n];
    }
    free(got);
    *error = sqrt(wrong / norm);
    return s;
}

static vox_status measure(void *state, size_t rung, vox_rung_figure *out, vox_error *err)
{
    softmax *t = state;
    t->rung = rung;
    if (vox_device_get(t->dev)->max_work_group < WG || (rung == VECTORS && t->v % 16 != 0))
        return VOX_OK;
    vox_status s = build(t, err);
    if (s == VOX_OK)
        s = vox_buffer_fill(t->loss, 0, sizeof(float) * (size_t)t->n, 0x7fc00000u, err);
    if (s == VOX_OK)
        s = vox_time_runs(t->dev, run, t, 0, t->repeat, &out->time, err);
    if (s == VOX_OK)
        s = read_error(t, &out->error, err);
    out->done = s == VOX_OK;
    for (int i = 0; i < 5; i++)
        vox_kernel_free(&t->kernel[i]);
    vox_work_release(&t->work);
    return s;
}

const vox_ladder vox_ladder_softmax = {.kind = "softmax",
                                       .about = "softmax and cross-entropy of a segmentation",
                                       .rung = rungs,
                                       .memory = true,
                                       .open = open_ladder,
                                       .close = close_ladder,
                                       .work = work,
                                       .enter = enter,
                                       .leave = leave,
                                       .measure = measure};
