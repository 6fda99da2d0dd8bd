/* op.c - the table of operations and what they share. */
#include "ops/op.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define VOX_OP(x) extern const vox_op vox_op_##x;
#include "ops/ops.def"
#undef VOX_OP

const vox_op *const vox_ops[] = {
#define VOX_OP(x) &vox_op_##x,
#include "ops/ops.def"
#undef VOX_OP
    NULL};

const vox_op *vox_op_find(const char *name)
{
    for (const vox_op *const *op = vox_ops; *op; op++)
        if (strcmp((*op)->name, name) == 0)
            return *op;
    return NULL;
}

const vox_algo *vox_op_algo(const vox_op *op, vox_pass pass, int i)
{
    for (const vox_algo *a = op->algos; a && a->name; a++)
        if (a->pass == pass && i-- == 0)
            return a;
    return NULL;
}

int vox_algo_variants(const vox_algo *a, const vox_problem *p)
{
    return a->variants ? a->variants(p) : 1;
}

const char *vox_algo_text(const vox_algo *a, const vox_problem *p, char text[VOX_ALGO_TEXT])
{
    char values[VOX_VARIANT_TEXT];
    if (p->variant == 0) {
        snprintf(text, VOX_ALGO_TEXT, "%s", a->name);
    } else {
        a->variant_text(p, p->variant, values);
        snprintf(text, VOX_ALGO_TEXT, "%s:%s", a->name, values);
    }
    return text;
}

int vox_algo_find_variant(const vox_algo *a, const vox_problem *p, const char *text)
{
    const int count = vox_algo_variants(a, p);
    char values[VOX_VARIANT_TEXT];
    for (int i = 1; i < count; i++) {
        a->variant_text(p, i, values);
        if (strcmp(values, text) == 0)
            return i;
    }
    return -1;
}

int64_t vox_shape_count(const vox_shape *s)
{
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++)
        n *= s->dim[i];
    return n;
}

bool vox_shape_equal(const vox_shape *a, const vox_shape *b)
{
    return a->rank == b->rank && memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]) == 0;
}

const char *vox_shape_text(const vox_shape *s, char out[96])
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < s->rank && used < 96; i++)
        used += (size_t)snprintf(out + used, 96 - used, "%s%" PRId64, i ? "x" : "", s->dim[i]);
    return out;
}

int64_t vox_sample_floats(const vox_shape *s, vox_layout layout)
{
    int64_t voxels = s->dim[2] * s->dim[3] * s->dim[4];
    int64_t channels = layout == VOX_LAYOUT_BLOCK16 ? (s->dim[1] + 15) / 16 * 16 : s->dim[1];
    return channels * voxels;
}

vox_status vox_infer_same(const vox_node *node, const vox_shape *in, vox_shape *out, vox_error *err)
{
    (void)node;
    (void)err;
    *out = in[0];
    return VOX_OK;
}

int64_t vox_io_samples(const vox_io *io)
{
    return io->step.all > 0 ? io->step.all : io->n;
}

static void write_relu_options(vox_work *w)
{
    const vox_problem *p = &w->problem;
    if (!p->relu_out && !p->relu_in)
        return;
    int n = snprintf(w->relu, sizeof w->relu, " -DRELU_%s", p->relu_out ? "OUT" : "IN");
    if (p->relu_slope > 0)
        snprintf(w->relu + n, sizeof w->relu - (size_t)n, " -DRELU_SLOPE=%.8ef",
                 (double)p->relu_slope);
}

vox_status vox_work_build(vox_work *w, const vox_problem *p, const vox_algo *a, vox_error *err)
{
    memset(w, 0, sizeof *w);
    w->problem = *p;
    w->algo = a;
    write_relu_options(w);
    vox_status s = a->build ? a->build(w, err) : VOX_OK;
    if (s != VOX_OK) {
        vox_error_at(err, "layer %s, algorithm %s", p->node->name, a->name);
        vox_work_release(w);
    }
    return s;
}

void vox_work_release(vox_work *w)
{
    for (int i = 0; i < VOX_MAX_KERNELS; i++)
        vox_kernel_free(&w->kernel[i]);
    for (size_t i = 0; i < sizeof w->scratch / sizeof *w->scratch; i++)
        vox_buffer_free(&w->scratch[i]);
    for (size_t i = 0; i < sizeof w->fft / sizeof *w->fft; i++)
        vox_fft_free(&w->fft[i]);
    memset(w, 0, sizeof *w);
}

const char *vox_relu_options(const vox_work *w)
{
    return w->relu;
}

vox_buffer *vox_relu_input(const vox_work *w, const vox_io *io)
{
    return w->algo->pass == VOX_BACKWARD_DATA && w->problem.relu_in ? io->x[0]->buf : NULL;
}

uint64_t vox_work_bytes(const vox_work *w)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < sizeof w->scratch / sizeof *w->scratch; i++)
        bytes += w->scratch[i] ? vox_buffer_bytes(w->scratch[i]) : 0;
    return bytes;
}

const char *vox_stream_options(const vox_device *dev, double bytes)
{
    const vox_device_desc *d = vox_device_get(dev);
    return vox_device_is_cpu(dev) && d->cache_bytes && bytes > (double)d->cache_bytes ? " -DSTREAM"
                                                                                      : "";
}

double vox_rule_seconds(const vox_device *dev, double flops, double flop_share, double bytes,
                        double byte_share)
{
    const vox_device_desc *d = vox_device_get(dev);
    double clock = d->clock_mhz ? 1e6 * d->clock_mhz : 1e9;
    /* Two 512-bit FMAs a cycle and core on CPUs, 128 FMA lanes a compute unit on GPUs. */
    double lanes = d->type == VOX_DEVICE_CPU ? 64.0 : 256.0;
    double peak = clock * lanes * (d->compute_units ? d->compute_units : 1);
    double bandwidth = d->type == VOX_DEVICE_CPU ? 20e9 : 300e9;
    return flops / (peak * flop_share) + bytes / (bandwidth * byte_share) + 5e-6;
}
