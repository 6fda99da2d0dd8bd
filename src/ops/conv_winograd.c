/* conv_winograd.c - Winograd's method for GPUs, in the plane (cl/conv3d_winograd.cl).
 *
 * The product in the middle is a convolution along the depth with a group for each point, and the
 * tiled method's (conv_tiles.h).  V and M of a few samples at a time are what it needs memory for.
 */
#include "ops/conv_tiles.h"

#include <inttypes.h>
#include <stdio.h>

#define WG         64        /* work-items of a work-group of the transforms */
#define ROOM_BYTES 268435456 /* for V and M, unless one sample needs more */
#define FORMS      3

/* w->number: what build chose */
enum { TILE, SPLITS, POINTS };
enum { PRODUCT, INPUT, FILTER, OUTPUT };           /* w->kernel of forward and backward-data ... */
enum { V, M, PACKED, TABLE, SOURCE };              /* ... and w->scratch */
enum { SPLIT, X_INPUT, DY_VALUES, SUM, BIAS_SUM }; /* of weight gradients */
enum { X_V, DY_Z, PARTS, BIAS_PARTS };

/* What the method makes of a problem: q points along each axis of the plane longer than 1. */
typedef struct form {
    vox_conv_shape s;    /* the layer's */
    vox_conv_shape made; /* of the product: tiles as voxels, a group for each point */
    bool back;
    int64_t q;             /* 4, 6 or 8 */
    int64_t points;        /* of a tile */
    int64_t samples;       /* worked on at a time */
    int64_t read, written; /* planes of a sample, of tiles: of V, and of M or Z */
    int64_t tiles;         /* of a plane */
} form;

static int64_t points_along(int64_t kernel, int64_t q)
{
    return kernel > 1 ? q : 1;
}

/* q points and this kernel leave tiles of at least two outputs. */
static bool takes(const vox_conv_shape *s, int64_t q)
{
    return s->kernel[1] < q && s->kernel[2] < q;
}

static form form_with(const vox_conv_shape *s, vox_pass pass, int64_t n_max, int64_t q)
{
    form f = {.s = *s, .back = pass == VOX_BACKWARD_DATA, .q = q, .points = 1, .tiles = 1};
    vox_conv_shape *m = &f.made;
    *m = (vox_conv_shape){.kernel = {s->kernel[0], 1, 1},
                          .stride = {s->stride[0], 1, 1},
                          .pad = {s->pad[0]},
                          .dilation = {s->dilation[0], 1, 1},
                          .in = {s->in[0]},
                          .out = {s->out[0]},
                          .taps = s->kernel[0]};
    for (int i = 1; i < 3; i++) {
        const int64_t p = points_along(s->kernel[i], q);
        m->in[i] = m->out[i] = vox_divide_up(f.back ? s->in[i] : s->out[i], p - s->kernel[i] + 1);
        f.points *= p;
        f.tiles *= m->in[i];
    }
    m->groups = f.points;
    m->ci = f.points * s->ci;
    m->co = f.points * s->co;
    f.read = f.back ? s->co * s->out[0] : s->ci * s->in[0];
    f.written = f.back ? s->ci * s->in[0] : s->co * s->out[0];
    const int64_t bytes = (f.read + f.written) * f.points * f.tiles * (int64_t)sizeof(float);
    f.samples = ROOM_BYTES / bytes;
    f.samples = f.samples < 1 ? 1 : f.samples > n_max ? n_max : f.samples;
    return f;
}

static double form_seconds(const form *f, vox_pass pass, int64_t n_max, const vox_device *dev)
{
    const double points = (double)((f->read + f->written) * f->points * f->tiles);
    const double ends =
        (double)(f->back
                     ? f->read * f->s.out[1] * f->s.out[2] + f->written * f->s.in[1] * f->s.in[2]
                     : f->read * f->s.in[1] * f->s.in[2] + f->written * f->s.out[1] * f->s.out[2]);
    const double bytes = (2 * points + ends) * (double)n_max * sizeof(float);
    double seconds = vox_rule_seconds(dev, 0, 1, bytes, 0.7);
    if (pass == VOX_BACKWARD_WEIGHTS) {
        const vox_split p = vox_split_of(&f->made, n_max, 0, dev);
        seconds += vox_split_seconds(&p, n_max, dev);
    } else {
        const vox_product p = vox_product_of(&f->made, f->back, n_max, 0, dev);
        seconds += vox_product_seconds(&p, n_max, dev);
    }
    return seconds;
}

/* The forms there are, the one expected to be fastest first; returns how many. */
static int list_forms(const vox_problem *p, vox_pass pass, form list[FORMS])
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    double seconds[FORMS];
    int count = 0;
    for (int64_t q = 4; q <= 8; q += 2) {
        if (!takes(&s, q))
            continue;
        const form f = form_with(&s, pass, p->n_max, q);
        if (!vox_product_fits(&f.made, f.back, f.samples, p->dev))
            continue;
        const double t = form_seconds(&f, pass, p->n_max, p->dev);
        int at = count++;
        for (; at > 0 && seconds[at - 1] > t; at--) {
            list[at] = list[at - 1];
            seconds[at] = seconds[at - 1];
        }
        list[at] = f;
        seconds[at] = t;
    }
    return count;
}

static form form_of(const vox_problem *p, vox_pass pass)
{
    form list[FORMS];
    const int count = list_forms(p, pass, list);
    return list[p->variant < count ? p->variant : 0];
}

static bool fits(const vox_problem *p, vox_pass pass)
{
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    form list[FORMS];
    return s.groups == 1 && s.stride[1] * s.stride[2] == 1 && s.dilation[1] * s.dilation[2] == 1 &&
           s.kernel[1] * s.kernel[2] > 1 && list_forms(p, pass, list) > 0;
}

bool vox_conv_winograd_fits(const vox_problem *p)
{
    return fits(p, VOX_FORWARD);
}

bool vox_conv_winograd_data_fits(const vox_problem *p)
{
    return fits(p, VOX_BACKWARD_DATA);
}

static double seconds_of(const vox_problem *p, vox_pass pass)
{
    const form f = form_of(p, pass);
    return form_seconds(&f, pass, p->n_max, p->dev);
}

double vox_conv_winograd_seconds(const vox_problem *p)
{
    return seconds_of(p, VOX_FORWARD);
}

double vox_conv_winograd_data_seconds(const vox_problem *p)
{
    return seconds_of(p, VOX_BACKWARD_DATA);
}

double vox_conv_winograd_weights_seconds(const vox_problem *p)
{
    return seconds_of(p, VOX_BACKWARD_WEIGHTS);
}

int vox_conv_winograd_variants(const vox_problem *p)
{
    form list[FORMS];
    return list_forms(p, VOX_FORWARD, list);
}

int vox_conv_winograd_data_variants(const vox_problem *p)
{
    form list[FORMS];
    return list_forms(p, VOX_BACKWARD_DATA, list);
}

int vox_conv_winograd_weights_variants(const vox_problem *p)
{
    form list[FORMS];
    return list_forms(p, VOX_BACKWARD_WEIGHTS, list);
}

static void form_text(const vox_problem *p, vox_pass pass, int i, char text[VOX_VARIANT_TEXT])
{
    vox_problem with = *p;
    with.variant = i;
    snprintf(text, VOX_VARIANT_TEXT, "q%" PRId64, form_of(&with, pass).q);
}

void vox_conv_winograd_variant_text(const vox_problem *p, int i, char text[VOX_VARIANT_TEXT])
{
    form_text(p, VOX_FORWARD, i, text);
}

void vox_conv_winograd_data_variant_text(const vox_problem *p, int i, char text[VOX_VARIANT_TEXT])
{
    form_text(p, VOX_BACKWARD_DATA, i, text);
}

void vox_conv_winograd_weights_variant_text(const vox_problem *p, int i,
                                            char text[VOX_VARIANT_TEXT])
{
    form_text(p, VOX_BACKWARD_WEIGHTS, i, text);
}

/* ---- the transforms ---- */

static vox_status open_transform(vox_work *w, int i, const char *entry, const form *f,
                                 vox_error *err)
{
    vox_str more = {0};
    vox_str_add(&more, "-DQH=%" PRId64 " -DQW=%" PRId64 "%s%s", points_along(f->s.kernel[1], f->q),
                points_along(f->s.kernel[2], f->q), f->back ? " -DBACKWARD" : "",
                vox_relu_options(w));
    vox_status status =
        more.failed ? vox_fail_memory(err, "kernel options", more.capacity)
                    : vox_conv_kernel(w, i, "conv3d_winograd.cl", entry, &f->s, more.text, err);
    vox_str_release(&more);
    return status;
}

/* Scratch for `planes` of every sample worked on at a time, at all points. */
static vox_status open_tiles(vox_work *w, int i, int64_t planes, const form *f, vox_error *err)
{
    return vox_conv_scratch(w, i, f->samples * planes * f->points * f->tiles,
                            "Winograd's transformed tiles", err);
}

/* From a tensor's samples from `sample` on to tiles. */
static vox_status run_transform(vox_work *w, int kernel, vox_buffer *from, vox_buffer *to,
                                int64_t tiles, int64_t sample, vox_error *err)
{
    const vox_grid grid = {{(size_t)tiles, 1, 1}, {WG, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(from), vox_arg_buffer(to), vox_arg_u64((uint64_t)tiles),
                            vox_arg_i32((int32_t)sample)};
    return vox_kernel_launch(w->kernel[kernel], &grid, args, 4, err);
}

/* ---- forward and backward-data ---- */

vox_status vox_conv_winograd_build(vox_work *w, vox_error *err)
{
    const vox_problem *p = &w->problem;
    const form f = form_of(p, w->algo->pass);
    vox_product k = vox_product_of(&f.made, f.back, f.samples, 0, p->dev);
    vox_status status = vox_product_build(w, PRODUCT, TABLE, &k, "", err);
    w->number[TILE] = k.tile;
    w->number[POINTS] = f.q;
    if (status == VOX_OK)
        status = vox_product_weights_build(w, PACKED, SOURCE, &k, err);
    if (status == VOX_OK)
        status = open_transform(w, INPUT, "winograd_input", &f, err);
    if (status == VOX_OK)
        status = open_transform(w, FILTER, "winograd_filter", &f, err);
    if (status == VOX_OK)
        status = open_transform(w, OUTPUT, "winograd_output", &f, err);
    if (status == VOX_OK)
        status = open_tiles(w, V, f.read, &f, err);
    return status == VOX_OK ? open_tiles(w, M, f.written, &f, err) : status;
}

static vox_status run_filter(vox_work *w, const vox_product *k, vox_buffer *weight, vox_error *err)
{
    const vox_grid grid = {{(size_t)k->pitch, (size_t)k->depth, 1}, {WG, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(weight),
                            vox_arg_buffer(w->scratch[SOURCE]),
                            vox_arg_buffer(w->scratch[PACKED]),
                            vox_arg_i32((int32_t)k->rows),
                            vox_arg_i32((int32_t)k->depth),
                            vox_arg_i32((int32_t)k->pitch),
                            vox_arg_i32((int32_t)vox_product_row_stride(k))};
    return vox_kernel_launch(w->kernel[FILTER], &grid, args, 7, err);
}

static vox_status run_output(vox_work *w, const form *f, const vox_io *io, int64_t n,
                             int64_t sample, vox_error *err)
{
    const int64_t items = n * f->written * f->tiles;
    const vox_grid grid = {{(size_t)items, 1, 1}, {WG, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(w->scratch[M]),
                            vox_arg_buffer(f->back ? NULL : vox_conv_bias(&f->s, io->param)),
                            vox_arg_buffer(vox_relu_input(w, io)),
                            vox_arg_buffer(f->back ? io->dx[0]->buf : io->y->buf),
                            vox_arg_u64((uint64_t)items),
                            vox_arg_i32((int32_t)sample)};
    return vox_kernel_launch(w->kernel[OUTPUT], &grid, args, 6, err);
}

static vox_status run_samples(vox_work *w, const form *f, const vox_product *k, const vox_io *io,
                              int64_t n, int64_t sample, vox_error *err)
{
    const vox_product_io product = {
        .n = n, .from = w->scratch[V], .to = w->scratch[M], .packed = w->scratch[PACKED]};
    vox_status status = run_transform(w, INPUT, f->back ? io->dy->buf : io->x[0]->buf,
                                      w->scratch[V], n * f->read * f->tiles, sample, err);
    if (status == VOX_OK)
        status = vox_product_run(w, PRODUCT, TABLE, k, &product, err);
    return status == VOX_OK ? run_output(w, f, io, n, sample, err) : status;
}

vox_status vox_conv_winograd_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_problem *p = &w->problem;
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    const form f = form_with(&s, w->algo->pass, p->n_max, w->number[POINTS]);
    const vox_product k = vox_product_with(&f.made, f.back, (int)w->number[TILE]);
    vox_status status = run_filter(w, &k, io->param[0], err);
    for (int64_t i = 0; status == VOX_OK && i < io->n; i += f.samples) {
        const int64_t rest = io->n - i;
        status = run_samples(w, &f, &k, io, rest < f.samples ? rest : f.samples, i, err);
    }
    return status;
}

/* ---- the weights' gradient ---- */

/* Times that the samples are worked on, each leaving parts of its own. */
static int64_t turns_of(const form *f, int64_t n)
{
    return vox_divide_up(n, f->samples);
}

static vox_status open_weights(vox_work *w, const form *f, const vox_split *k, vox_error *err)
{
    const int64_t parts = k->splits * turns_of(f, w->problem.n_max);
    vox_status status = open_transform(w, X_INPUT, "winograd_input", f, err);
    if (status == VOX_OK)
        status = open_transform(w, DY_VALUES, "winograd_values", f, err);
    if (status == VOX_OK)
        status = open_transform(w, SUM, "winograd_filter_back", f, err);
    if (status == VOX_OK)
        status = vox_conv_scratch(w, PARTS, parts * f->made.co * k->columns,
                                  "partial weight gradients", err);
    if (status == VOX_OK && f->s.bias)
        status = open_transform(w, BIAS_SUM, "winograd_bias_back", f, err);
    if (status == VOX_OK && f->s.bias)
        status = vox_conv_scratch(w, BIAS_PARTS, parts * f->made.co, "partial bias gradients", err);
    return status;
}

vox_status vox_conv_winograd_weights_build(vox_work *w, vox_error *err)
{
    const vox_problem *p = &w->problem;
    const form f = form_of(p, VOX_BACKWARD_WEIGHTS);
    vox_split k = vox_split_of(&f.made, f.samples, 0, p->dev);
    vox_status status = vox_split_build(w, SPLIT, &k, err);
    w->number[TILE] = k.tile;
    w->number[SPLITS] = k.splits;
    w->number[POINTS] = f.q;
    if (status == VOX_OK)
        status = open_weights(w, &f, &k, err);
    if (status == VOX_OK)
        status = open_tiles(w, X_V, f.read, &f, err);
    return status == VOX_OK ? open_tiles(w, DY_Z, f.written, &f, err) : status;
}

static vox_status run_parts(vox_work *w, const form *f, const vox_split *k, const vox_io *io,
                            int64_t turn, vox_error *err)
{
    const int64_t sample = turn * f->samples, rest = io->n - sample;
    const vox_split_io split = {.n = rest < f->samples ? rest : f->samples,
                                .x = w->scratch[X_V],
                                .dy = w->scratch[DY_Z],
                                .parts = w->scratch[PARTS],
                                .bias_parts = w->scratch[BIAS_PARTS],
                                .first = turn * k->splits};
    vox_status status = run_transform(w, X_INPUT, io->x[0]->buf, w->scratch[X_V],
                                      split.n * f->read * f->tiles, sample, err);
    if (status == VOX_OK)
        status = run_transform(w, DY_VALUES, io->dy->buf, w->scratch[DY_Z],
                               split.n * f->written * f->tiles, sample, err);
    return status == VOX_OK ? vox_split_run(w, SPLIT, k, &split, err) : status;
}

/* `results` items add up the parts. */
static vox_status run_sum(vox_work *w, int kernel, vox_buffer *part, vox_buffer *to,
                          int64_t results, int64_t parts, bool accumulate, vox_error *err)
{
    const vox_grid grid = {{(size_t)results, 1, 1}, {WG, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(part), vox_arg_buffer(to), vox_arg_i32((int32_t)parts),
                            vox_arg_i32(accumulate)};
    return vox_kernel_launch(w->kernel[kernel], &grid, args, 4, err);
}

vox_status vox_conv_winograd_weights_run(vox_work *w, const vox_io *io, vox_error *err)
{
    const vox_problem *p = &w->problem;
    const vox_conv_shape s = vox_conv_shape_get(p->node);
    const form f = form_with(&s, VOX_BACKWARD_WEIGHTS, p->n_max, w->number[POINTS]);
    const vox_split k = vox_split_with(&f.made, w->number[SPLITS], (int)w->number[TILE]);
    const int64_t turns = turns_of(&f, io->n), parts = turns * k.splits;
    vox_status status = VOX_OK;
    for (int64_t i = 0; status == VOX_OK && i < turns; i++)
        status = run_parts(w, &f, &k, io, i, err);
    if (status == VOX_OK)
        status = run_sum(w, SUM, w->scratch[PARTS], io->dparam[0], s.co * s.ci * s.kernel[0], parts,
                         io->accumulate, err);
    if (status == VOX_OK && s.bias)
        status = run_sum(w, BIAS_SUM, w->scratch[BIAS_PARTS], io->dparam[1], s.co, parts,
                         io->accumulate, err);
    return status;
}
