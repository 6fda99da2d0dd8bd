/* optimizer.c - what all optimisers share: state, the table of elements in use, clipping. */
#include "train/optimizer_method.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

static const vox_optimizer_method *const methods[VOX_OPTIMIZERS] = {
    [VOX_OPTIMIZER_SGD] = &vox_optimizer_sgd,
    [VOX_OPTIMIZER_ADAM] = &vox_optimizer_adam,
    [VOX_OPTIMIZER_ADAMW] = &vox_optimizer_adam,
    [VOX_OPTIMIZER_LARS] = &vox_optimizer_lars,
    [VOX_OPTIMIZER_LAMB] = &vox_optimizer_lamb};

#define CPU_BLOCKS 32 /* 32 KiB of each vector an item */
#define GPU_WG     64
#define NORM_PARTS 512 /* sums of squares of equal shares of the blocks */

const char *vox_optimizer_options(const vox_device *dev)
{
    return vox_device_is_cpu(dev) ? "-DBLOCK=256 -DBLOCKS=32 -DV=16"
                                  : "-DBLOCK=256 -DBLOCKS=1 -DV=4";
}

vox_grid vox_optimizer_grid(const vox_optimizer *o)
{
    if (vox_device_is_cpu(o->dev))
        return (vox_grid){{(size_t)(o->blocks + CPU_BLOCKS - 1) / CPU_BLOCKS, 1, 1}, {1, 1, 1}};
    return (vox_grid){{(size_t)o->blocks * VOX_OPTIMIZER_BLOCK / 4, 1, 1}, {GPU_WG, 1, 1}};
}

/* used[b]: how many elements at the start of block b are a trainable tensor's. */
static vox_status make_used(vox_optimizer *o, const vox_graph *g, vox_error *err)
{
    uint32_t *used = vox_calloc((size_t)o->blocks, sizeof *used, "the optimiser's table", err);
    if (!used)
        return VOX_ERR_MEMORY;
    o->host_used = used;
    for (int i = 0; i < g->params; i++) {
        const vox_graph_param *p = &g->param[i];
        for (size_t done = 0; p->desc.trainable && done < p->count; done += VOX_OPTIMIZER_BLOCK) {
            size_t left = p->count - done;
            used[(p->offset + done) / VOX_OPTIMIZER_BLOCK] =
                (uint32_t)(left < VOX_OPTIMIZER_BLOCK ? left : VOX_OPTIMIZER_BLOCK);
        }
    }
    return VOX_OK;
}

static vox_status upload_used(vox_optimizer *o, vox_error *err)
{
    const size_t bytes = (size_t)o->blocks * sizeof *o->host_used;
    vox_status s =
        vox_buffer_open(&o->used, o->dev, bytes, VOX_BUFFER_DEVICE, "the optimiser's table", err);
    return s == VOX_OK ? vox_buffer_write(o->used, 0, o->host_used, bytes, true, err) : s;
}

static vox_status open_state(vox_optimizer *o, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t i = 0; i < o->parts && s == VOX_OK; i++) {
        s = vox_buffer_open(&o->part[i], o->dev, 4 * o->floats, VOX_BUFFER_DEVICE,
                            "the optimiser's state", err);
        if (s == VOX_OK)
            s = vox_buffer_fill(o->part[i], 0, 4 * o->floats, 0, err);
    }
    return s;
}

/* The coefficient is 1 unless clipping or the guard makes it something else. */
static vox_status open_clipping(vox_optimizer *o, vox_error *err)
{
    const float one = 1;
    char options[96];
    vox_status s = vox_buffer_open(&o->coefficient, o->dev, sizeof one, VOX_BUFFER_DEVICE,
                                   "the clipping coefficient", err);
    if (s == VOX_OK)
        s = vox_buffer_write(o->coefficient, 0, &one, sizeof one, true, err);
    if (s == VOX_OK)
        s = vox_kernel_open(&o->guard_kernel, o->dev, "update_guard.cl", "update_guard",
                            o->clip_norm > 0 ? "-DCLIPPED=1" : "-DCLIPPED=0", err);
    if (s != VOX_OK || o->clip_norm <= 0)
        return s;
    s = vox_buffer_open(&o->norm_part, o->dev, 4 * NORM_PARTS, VOX_BUFFER_DEVICE,
                        "parts of the gradients' norm", err);
    snprintf(options, sizeof options, "-DBLOCK=%d -DPARTS=%d -DWG=%d", VOX_OPTIMIZER_BLOCK,
             NORM_PARTS, vox_device_is_cpu(o->dev) ? 1 : GPU_WG);
    if (s == VOX_OK)
        s = vox_kernel_open(&o->norm_kernel, o->dev, "grad_norm.cl", "grad_norm_parts", options,
                            err);
    if (s == VOX_OK)
        s = vox_kernel_open(&o->clip_kernel, o->dev, "grad_norm.cl", "grad_norm_coefficient",
                            options, err);
    return s;
}

static vox_status open_device(vox_optimizer *o, vox_error *err)
{
    vox_status s = upload_used(o, err);
    if (s == VOX_OK)
        s = open_state(o, err);
    if (s == VOX_OK)
        s = open_clipping(o, err);
    return s == VOX_OK ? o->method->build(o, err) : s;
}

vox_status vox_optimizer_open(vox_optimizer **out, vox_device *dev, const vox_graph *graph,
                              const vox_optimizer_spec *spec, double clip_norm, vox_error *err)
{
    *out = NULL;
    vox_optimizer *o = vox_calloc(1, sizeof *o, "an optimiser", err);
    if (!o)
        return VOX_ERR_MEMORY;
    o->dev = dev;
    o->spec = *spec;
    o->clip_norm = clip_norm;
    o->method = methods[spec->kind];
    o->parts = o->method->parts(&o->spec, o->part_name);
    o->floats = graph->flat_floats;
    o->blocks = (int64_t)((o->floats + VOX_OPTIMIZER_BLOCK - 1) / VOX_OPTIMIZER_BLOCK);
    vox_status s = make_used(o, graph, err);
    if (s == VOX_OK)
        s = dev ? open_device(o, err) : vox_optimizer_open_host(o, err);
    if (s == VOX_OK && o->method->layer_wise)
        s = vox_trust_init(o, graph, err);
    if (s == VOX_OK)
        *out = o;
    else
        vox_optimizer_free(&o);
    return s;
}

void vox_optimizer_free(vox_optimizer **optimizer)
{
    vox_optimizer *o = optimizer ? *optimizer : NULL;
    if (!o)
        return;
    vox_optimizer_free_host(o);
    vox_trust_release(&o->trust);
    vox_kernel_free(&o->kernel);
    vox_kernel_free(&o->direction_kernel);
    vox_kernel_free(&o->norm_kernel);
    vox_kernel_free(&o->clip_kernel);
    vox_kernel_free(&o->guard_kernel);
    for (size_t i = 0; i < VOX_OPTIMIZER_MAX_PARTS; i++)
        vox_buffer_free(&o->part[i]);
    free(o->host_used);
    vox_buffer_free(&o->norm_part);
    vox_buffer_free(&o->coefficient);
    vox_buffer_free(&o->used);
    free(o);
    *optimizer = NULL;
}

size_t vox_optimizer_room(const vox_optimizer_spec *spec, size_t flat_floats)
{
    const vox_optimizer_method *m = methods[spec->kind];
    const char *name[VOX_OPTIMIZER_MAX_PARTS];
    return vox_optimizer_room_of(flat_floats, m->parts(spec, name), m->layer_wise);
}

/* Norm and coefficient stay on the device: nothing waits. */
static vox_status clip(vox_optimizer *o, vox_buffer *grads, vox_error *err)
{
    const size_t wg = vox_device_is_cpu(o->dev) ? 1 : GPU_WG;
    const vox_grid parts = {{NORM_PARTS * wg, 1, 1}, {wg, 1, 1}}, one = {{1, 1, 1}, {1, 1, 1}};
    const vox_arg norm_args[] = {vox_arg_buffer(grads), vox_arg_buffer(o->used),
                                 vox_arg_buffer(o->norm_part), vox_arg_u32((uint32_t)o->blocks)};
    const vox_arg clip_args[] = {vox_arg_buffer(o->norm_part), vox_arg_buffer(o->coefficient),
                                 vox_arg_f32((float)o->clip_norm)};
    vox_status s = vox_kernel_launch(o->norm_kernel, &parts, norm_args, 4, err);
    if (s == VOX_OK)
        s = vox_kernel_launch(o->clip_kernel, &one, clip_args, 3, err);
    return s;
}

static vox_status guard(vox_optimizer *o, vox_buffer *loss, int64_t n, vox_error *err)
{
    const vox_grid one = {{1, 1, 1}, {1, 1, 1}};
    const vox_arg args[] = {vox_arg_buffer(loss), vox_arg_buffer(o->coefficient),
                            vox_arg_u32((uint32_t)n)};
    return vox_kernel_launch(o->guard_kernel, &one, args, 3, err);
}

vox_status vox_optimizer_step(vox_optimizer *o, vox_buffer *params, vox_buffer *grads,
                              vox_buffer *loss, int64_t n, double lr, int64_t step, vox_error *err)
{
    vox_status s = o->clip_norm > 0 ? clip(o, grads, err) : VOX_OK;
    if (s == VOX_OK && n > 0)
        s = guard(o, loss, n, err);
    return s == VOX_OK ? o->method->step(o, params, grads, lr, step, err) : s;
}

size_t vox_optimizer_parts(const vox_optimizer *o)
{
    return o->parts;
}

const char *vox_optimizer_part_name(const vox_optimizer *o, size_t i)
{
    return o->part_name[i];
}

vox_status vox_optimizer_get_part(const vox_optimizer *o, size_t i, float *flat, vox_error *err)
{
    if (o->dev)
        return vox_buffer_read(o->part[i], 0, flat, o->floats * sizeof *flat, true, err);
    memcpy(flat, o->host_part[i], o->floats * sizeof *flat);
    return VOX_OK;
}

vox_status vox_optimizer_set_part(vox_optimizer *o, size_t i, const float *flat, vox_error *err)
{
    if (o->dev)
        return vox_buffer_write(o->part[i], 0, flat, o->floats * sizeof *flat, true, err);
    memcpy(o->host_part[i], flat, o->floats * sizeof *flat);
    return VOX_OK;
}
