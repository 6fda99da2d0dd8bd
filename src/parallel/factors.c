/* factors.c - gradients of dense layers, kept as the factors they are products of. */
#include "parallel/factors.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* ---- which layers ---------------------------------------------------------- */

/* Rows of a quarter of the gradient's size are too many: devices and update work on all of both. */
static bool pays(const vox_graph *g, int layer, int64_t batch)
{
    const vox_graph_layer *l = &g->layer[layer];
    if (!l->node.op->factors || batch > VOX_FACTORS_BATCH)
        return false;
    const vox_graph_param *w = &g->param[l->first_param];
    const int64_t out = w->desc.shape.dim[0], in = w->desc.shape.dim[1];
    return 4 * batch * (in + out) <= in * out;
}

static void add_layer(vox_factors *f, const vox_graph *g, int layer)
{
    const vox_graph_layer *l = &g->layer[layer];
    const vox_graph_param *w = &g->param[l->first_param];
    vox_factored *k = &f->layer[f->layers++];
    *k = (vox_factored){.layer = layer,
                        .out = (size_t)w->desc.shape.dim[0],
                        .in = (size_t)w->desc.shape.dim[1],
                        .weight = w->offset,
                        .has_bias = l->params > 1};
    k->bias = k->has_bias ? w[1].offset : 0;
    k->x = f->row;
    k->dy = k->x + k->in;
    f->row = k->dy + k->out;
    f->has[layer] = true;
}

vox_status vox_factors_init(vox_factors *f, const vox_graph *graph, int64_t batch, vox_error *err)
{
    *f = (vox_factors){.batch = batch};
    f->layer = vox_calloc((size_t)graph->layers + 1, sizeof *f->layer, "factors", err);
    f->has = vox_calloc((size_t)graph->layers + 1, sizeof *f->has, "factors", err);
    if (!f->layer || !f->has)
        return VOX_ERR_MEMORY;
    for (int i = 0; i < graph->layers; i++)
        if (pays(graph, i, batch))
            add_layer(f, graph, i);
    f->rows = vox_calloc((size_t)batch * f->row + 1, sizeof *f->rows, "factors", err);
    return f->rows ? VOX_OK : VOX_ERR_MEMORY;
}

void vox_factors_count(const vox_graph *graph, int64_t batch, size_t *summed, size_t *rows)
{
    *summed = graph->flat_floats;
    *rows = 0;
    for (int i = 0; i < graph->layers; i++) {
        const vox_graph_layer *l = &graph->layer[i];
        if (!pays(graph, i, batch))
            continue;
        const vox_shape *w = &graph->param[l->first_param].desc.shape;
        *rows += (size_t)(batch * (w->dim[0] + w->dim[1]));
        for (int k = 0; k < l->params; k++)
            *summed -= graph->param[l->first_param + k].count;
    }
}

void vox_factors_release(vox_factors *f)
{
    free(f->layer);
    free(f->has);
    free(f->rows);
    *f = (vox_factors){0};
}

void vox_factors_describe(const vox_factors *f, const vox_graph *graph, vox_str *text)
{
    for (size_t i = 0; i < f->layers; i++) {
        const vox_factored *k = &f->layer[i];
        const size_t rows = (size_t)f->batch * (k->in + k->out),
                     whole = (k->in + k->has_bias) * k->out;
        vox_str_add(text, "%s's gradient as factors: %zu KB for a batch instead of %zu KB\n",
                    graph->layer[k->layer].node.name, rows * sizeof(float) / 1000 + 1,
                    whole * sizeof(float) / 1000 + 1);
    }
}

/* ---- rows ------------------------------------------------------------------ */

float *vox_factors_x(const vox_factors *f, size_t i, float *brought)
{
    return brought + (size_t)f->batch * f->layer[i].x;
}

float *vox_factors_dy(const vox_factors *f, size_t i, float *brought)
{
    return brought + (size_t)f->batch * f->layer[i].dy;
}

void vox_factors_put(vox_factors *f, int64_t first, int64_t n, const float *brought)
{
    const size_t batch = (size_t)f->batch;
    for (size_t i = 0; i < f->layers; i++) {
        const vox_factored *k = &f->layer[i];
        const float *x = brought + batch * k->x, *dy = brought + batch * k->dy;
        float *row = f->rows + (size_t)first * f->row;
        for (int64_t s = 0; s < n; s++, row += f->row, x += k->in, dy += k->out) {
            memcpy(row + k->x, x, k->in * sizeof *x);
            memcpy(row + k->dy, dy, k->out * sizeof *dy);
        }
    }
}

/* ---- products --------------------------------------------------------------- */

/* to[count] = sum over n rows of dy * x, both `row` floats apart.  Four vectors of sums stay in
 * registers while the rows go by; what fills no four is done one by one.  The same operations in
 * the same order whatever the vectors' width: so are the bits. */
#define ADD_ROWS(name, bytes, attribute)                                                           \
    attribute static void name(const float *x, const float *dy, size_t row, int64_t n, float *to,  \
                               size_t count)                                                       \
    {                                                                                              \
        typedef float lanes __attribute__((vector_size(bytes), aligned(4), may_alias));            \
        enum { W = (bytes) / 4 };                                                                  \
        for (; count >= 4 * W; count -= 4 * W, x += 4 * W, to += 4 * W) {                          \
            lanes a = {0}, b = {0}, c = {0}, d = {0};                                              \
            for (int64_t s = 0; s < n; s++) {                                                      \
                const float g = dy[(size_t)s * row], *from = x + (size_t)s * row;                  \
                a += g * *(const lanes *)from;                                                     \
                b += g * *(const lanes *)(from + W);                                               \
                c += g * *(const lanes *)(from + 2 * W);                                           \
                d += g * *(const lanes *)(from + 3 * W);                                           \
            }                                                                                      \
            *(lanes *)to = a;                                                                      \
            *(lanes *)(to + W) = b;                                                                \
            *(lanes *)(to + 2 * W) = c;                                                            \
            *(lanes *)(to + 3 * W) = d;                                                            \
        }                                                                                          \
        for (size_t e = 0; e < count; e++) {                                                       \
            float sum = 0;                                                                         \
            for (int64_t s = 0; s < n; s++)                                                        \
                sum += dy[(size_t)s * row] * x[(size_t)s * row + e];                               \
            to[e] = sum;                                                                           \
        }                                                                                          \
    }

ADD_ROWS(add_rows, 16, )
#if defined __x86_64__
ADD_ROWS(add_rows_avx2, 32, __attribute__((target("avx2"))))
#endif

static void fill_part(const vox_factors *f, const vox_factored *k, size_t o, size_t i, size_t count,
                      float *to)
{
    const float *x = f->rows + k->x + i, *dy = f->rows + k->dy + o;
#if defined __x86_64__
    if (__builtin_cpu_supports("avx2")) {
        add_rows_avx2(x, dy, f->row, f->n, to, count);
        return;
    }
#endif
    add_rows(x, dy, f->row, f->n, to, count);
}

/* Elements [from, end) of a layer's weight; to: that of the first. */
static void fill_weight(const vox_factors *f, const vox_factored *k, size_t from, size_t end,
                        float *to)
{
    for (size_t at = from, count; at < end; at += count) {
        const size_t o = at / k->in, i = at % k->in;
        count = end - at < k->in - i ? end - at : k->in - i;
        fill_part(f, k, o, i, count, to + (at - from));
    }
}

static void fill_bias(const vox_factors *f, const vox_factored *k, size_t from, size_t end,
                      float *to)
{
    for (size_t o = from; o < end; o++) {
        const float *dy = f->rows + k->dy + o;
        float sum = 0;
        for (int64_t s = 0; s < f->n; s++, dy += f->row)
            sum += dy[0];
        to[o - from] = sum;
    }
}

/* What of a tensor of count elements at `offset` is in [at, end), to: at's element. */
static bool overlap(size_t offset, size_t count, size_t at, size_t end, size_t *from, size_t *last)
{
    *from = at > offset ? at - offset : 0;
    *last = end < offset + count ? end - offset : count;
    return offset < end && at < offset + count;
}

void vox_factors_fill(const vox_factors *f, size_t at, size_t count, float *to)
{
    size_t from, last;
    for (size_t i = 0; i < f->layers; i++) {
        const vox_factored *k = &f->layer[i];
        if (overlap(k->weight, k->in * k->out, at, at + count, &from, &last))
            fill_weight(f, k, from, last, to + (k->weight + from - at));
        if (k->has_bias && overlap(k->bias, k->out, at, at + count, &from, &last))
            fill_bias(f, k, from, last, to + (k->bias + from - at));
    }
}

static size_t alike(size_t offset, size_t tensor, size_t at, size_t count, bool *made)
{
    const size_t end = offset + tensor;
    if (at >= offset && at < end) {
        *made = true;
        return count < end - at ? count : end - at;
    }
    return offset > at && offset - at < count ? offset - at : count;
}

size_t vox_factors_alike(const vox_factors *f, size_t at, size_t count, bool *made)
{
    *made = false;
    for (size_t i = 0; f && !*made && i < f->layers; i++) {
        const vox_factored *k = &f->layer[i];
        count = alike(k->weight, k->in * k->out, at, count, made);
        if (k->has_bias && !*made)
            count = alike(k->bias, k->out, at, count, made);
    }
    return count;
}
