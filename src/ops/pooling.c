/* pooling.c - what max_pool and avg_pool share. */
#include "ops/pooling.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

static int64_t out_size(int64_t in, int64_t kernel, int64_t stride, int64_t pad, bool ceil)
{
    int64_t room = in + 2 * pad - kernel;
    if (room < 0)
        return 0;
    int64_t out = (room + (ceil ? stride - 1 : 0)) / stride + 1;
    if (ceil && (out - 1) * stride >= in + pad)
        out--;
    return out;
}

static vox_status fail(const vox_node *node, const vox_shape *in, const char *what, vox_error *err)
{
    const vox_pooling_attr *a = node->attr;
    char shape[96];
    vox_fail(err, VOX_ERR_INPUT, "layer %s: %s", node->name, what);
    return vox_detail(err,
                      "%s, input %s, kernel %" PRId64 "x%" PRId64 "x%" PRId64 ", stride %" PRId64
                      "x%" PRId64 "x%" PRId64 ", pad %" PRId64 "x%" PRId64 "x%" PRId64,
                      node->op->name, vox_shape_text(in, shape), a->kernel[0], a->kernel[1],
                      a->kernel[2], a->stride[0], a->stride[1], a->stride[2], a->pad[0], a->pad[1],
                      a->pad[2]);
}

vox_status vox_pooling_infer(const vox_node *node, const vox_shape *in, vox_shape *out,
                             vox_error *err)
{
    const vox_pooling_attr *a = node->attr;
    vox_shape o = in[0];
    for (int i = 0; i < 3; i++) {
        if (a->pad[i] > a->kernel[i] / 2) {
            fail(node, in, "padding is more than half the kernel", err);
            vox_hint(err, "a window of padding alone would have no value");
            return VOX_ERR_INPUT;
        }
        o.dim[2 + i] = out_size(in[0].dim[2 + i], a->kernel[i], a->stride[i], a->pad[i], a->ceil);
        if (o.dim[2 + i] < 1) {
            fail(node, in, "the kernel is larger than the padded input", err);
            vox_hint(err, "use a smaller kernel, more padding, or fewer layers before it");
            return VOX_ERR_INPUT;
        }
    }
    *out = o;
    return VOX_OK;
}

/* true if some window reaches out of the input, so that the kernel must clip. */
static bool must_clip(const vox_node *node)
{
    const vox_pooling_attr *a = node->attr;
    for (int i = 0; i < 3; i++)
        if (a->pad[i] > 0 ||
            (node->out.dim[2 + i] - 1) * a->stride[i] + a->kernel[i] > node->in[0].dim[2 + i])
            return true;
    return false;
}

vox_status vox_pooling_kernel(vox_work *w, int slot, const char *file, const char *entry,
                              vox_pooling_shape shape, const char *more, vox_error *err)
{
    const vox_node *node = w->problem.node;
    const vox_pooling_attr *a = node->attr;
    const int64_t *in = &node->in[0].dim[2], *out = &node->out.dim[2];
    const bool blocked = w->algo->in == VOX_LAYOUT_BLOCK16;
    const bool rows = shape == VOX_POOLING_ROWS;
    char *options = vox_format(
        err,
        "-DD=%" PRId64 " -DH=%" PRId64 " -DW=%" PRId64 " -DOD=%" PRId64 " -DOH=%" PRId64
        " -DOW=%" PRId64 " -DKD=%" PRId64 " -DKH=%" PRId64 " -DKW=%" PRId64 " -DSD=%" PRId64
        " -DSH=%" PRId64 " -DSW=%" PRId64 " -DPD=%" PRId64 " -DPH=%" PRId64 " -DPW=%" PRId64
        " -DCLIP=%d -D%s=%d %s%s",
        in[0], in[1], in[2], out[0], out[1], out[2], a->kernel[0], a->kernel[1], a->kernel[2],
        a->stride[0], a->stride[1], a->stride[2], a->pad[0], a->pad[1], a->pad[2], must_clip(node),
        rows ? "LANES" : "STEP", blocked ? 16 : 1, more, vox_relu_options(w));
    if (!options)
        return VOX_ERR_MEMORY;
    vox_status s = vox_kernel_open(&w->kernel[slot], w->problem.dev, file, entry, options, err);
    free(options);
    return s;
}

/* Private memory of a row kernel: columns and where they come from, some rows of it, each. */
#define MOST_ROW 16384 /* floats */

bool vox_pooling_rows_fit(const vox_problem *p, vox_layout layout)
{
    const vox_pooling_attr *a = p->node->attr;
    const int64_t lanes = layout == VOX_LAYOUT_BLOCK16 ? 16 : 1;
    const int64_t read = p->node->out.dim[4] * a->stride[2] + a->kernel[2] + 2 * a->pad[2];
    const int64_t row = p->node->in[0].dim[4] > read ? p->node->in[0].dim[4] : read;
    return row * lanes <= MOST_ROW;
}

static int64_t planes_of(const vox_shape *t, vox_layout layout, int64_t n)
{
    const int64_t c = t->dim[1];
    return n * (layout == VOX_LAYOUT_BLOCK16 ? (c + 15) / 16 : c);
}

int64_t vox_pooling_planes(const vox_tensor *t, int64_t n)
{
    return planes_of(&t->shape, t->layout, n);
}

int64_t vox_pooling_planes_max(const vox_problem *p, vox_layout layout)
{
    return planes_of(&p->node->in[0], layout, p->n_max);
}

/* At least eight items a unit, but no more than a slice an item. */
int64_t vox_pooling_run(const vox_problem *p, const vox_shape *t, vox_layout layout)
{
    const int64_t units = vox_device_get(p->dev)->compute_units;
    const int64_t rows = vox_pooling_planes_max(p, layout) * t->dim[2] * t->dim[3];
    const int64_t run = rows / (8 * (units ? units : 1));
    return run < 1 ? 1 : run > t->dim[3] ? t->dim[3] : run;
}

static vox_status launch(vox_work *w, int slot, int64_t items, size_t group, const vox_arg *args,
                         size_t count, int64_t last, vox_error *err)
{
    vox_arg all[8];
    memcpy(all, args, count * sizeof *args);
    all[count] = vox_arg_u64((uint64_t)last);
    const vox_grid grid = {{(size_t)items, 1, 1}, {group, 1, 1}};
    return vox_kernel_launch(w->kernel[slot], &grid, all, count + 1, err);
}

vox_status vox_pooling_launch_rows(vox_work *w, int slot, const vox_tensor *t, int64_t n,
                                   int64_t run, const vox_arg *args, size_t count, vox_error *err)
{
    const int64_t rows = vox_pooling_planes(t, n) * t->shape.dim[2] * t->shape.dim[3];
    return launch(w, slot, (rows + run - 1) / run, 1, args, count, rows, err);
}

vox_status vox_pooling_launch_slabs(vox_work *w, int slot, const vox_tensor *t, int64_t n,
                                    int64_t slabs, const vox_arg *args, size_t count,
                                    vox_error *err)
{
    const int64_t planes = vox_pooling_planes(t, n);
    return launch(w, slot, planes * slabs, 1, args, count, planes, err);
}

vox_status vox_pooling_launch_items(vox_work *w, int slot, const vox_tensor *t, int64_t n,
                                    const vox_arg *args, size_t count, vox_error *err)
{
    const int64_t items = n * vox_sample_floats(&t->shape, t->layout);
    return launch(w, slot, items, 64, args, count, items, err);
}

double vox_pooling_seconds(const vox_problem *p, vox_pooling_shape shape, vox_pass pass)
{
    const vox_node *node = p->node;
    const bool fits_device = vox_device_is_cpu(p->dev) == (shape == VOX_POOLING_ROWS);
    double in = (double)vox_sample_floats(&node->in[0], VOX_LAYOUT_PLAIN);
    double out = (double)vox_sample_floats(&node->out, VOX_LAYOUT_PLAIN);
    double floats = pass == VOX_FORWARD ? in + out : 2 * in + out;
    return vox_rule_seconds(p->dev, 0, 1, 4 * floats * (double)p->n_max, fits_device ? 0.5 : 0.03);
}
