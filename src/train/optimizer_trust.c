/* optimizer_trust.c - the norms of tensors that LARS and LAMB go by: their tables, and the device's
 * side. */
#include "train/optimizer_method.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

#define SEGMENT_BLOCKS 64 /* 64 KiB of each vector for a work-group */
#define GPU_WG         64

/* The ratio's constants: trust, decay and eps of optimizer_trust.h. */
typedef struct terms {
    double trust, decay, eps;
} terms;

static terms terms_of(const vox_optimizer_spec *spec)
{
    return spec->kind == VOX_OPTIMIZER_LARS ? (terms){spec->trust, spec->weight_decay, spec->eps}
                                            : (terms){1, 0, 0};
}

bool vox_trust_scaled(const vox_optimizer_spec *spec)
{
    return spec->kind == VOX_OPTIMIZER_LARS;
}

double vox_trust_factor(const vox_optimizer_spec *spec, double weight, double along)
{
    const terms t = terms_of(spec);
    return weight > 0 && along > 0 ? t.trust * weight / (along + t.decay * weight + t.eps) : 1;
}

static bool adapts(const vox_optimizer_spec *spec, const vox_graph_param *p)
{
    return p->desc.trainable && (p->desc.shape.rank > 1 || spec->adapt == VOX_ADAPT_ALL);
}

static size_t blocks_of(const vox_graph_param *p)
{
    return (p->count + VOX_OPTIMIZER_BLOCK - 1) / VOX_OPTIMIZER_BLOCK;
}

static vox_status number_tensors(vox_optimizer *o, const vox_graph *g, vox_error *err)
{
    vox_trust *trust = &o->trust;
    trust->tensors = 1;
    trust->host_tensor =
        vox_calloc((size_t)o->blocks, sizeof *trust->host_tensor, "the table of tensors", err);
    if (!trust->host_tensor)
        return VOX_ERR_MEMORY;
    for (int i = 0; i < g->params; i++) {
        const vox_graph_param *p = &g->param[i];
        if (!adapts(&o->spec, p))
            continue;
        for (size_t b = 0; b < blocks_of(p); b++)
            trust->host_tensor[p->offset / VOX_OPTIMIZER_BLOCK + b] = trust->tensors;
        trust->tensors++;
        trust->segments += (uint32_t)((blocks_of(p) + SEGMENT_BLOCKS - 1) / SEGMENT_BLOCKS);
    }
    return VOX_OK;
}

static vox_status open_host(vox_optimizer *o, vox_error *err)
{
    vox_trust *trust = &o->trust;
    trust->host_sum =
        vox_calloc((size_t)o->blocks, 2 * sizeof *trust->host_sum, "the tensors' norms", err);
    trust->host_ratio =
        vox_calloc(trust->tensors, sizeof *trust->host_ratio, "the tensors' rates", err);
    return trust->host_sum && trust->host_ratio ? VOX_OK : VOX_ERR_MEMORY;
}

/* ---- on a device ------------------------------------------------------------ */

/* segment [segments][2] and first [tensors + 1] of cl/trust.cl. */
static void fill_segments(const vox_optimizer *o, const vox_graph *g, uint32_t *segment,
                          uint32_t *first)
{
    uint32_t at = 0, tensor = 1;
    first[0] = 0;
    for (int i = 0; i < g->params; i++) {
        const vox_graph_param *p = &g->param[i];
        if (!adapts(&o->spec, p))
            continue;
        const uint32_t begin = (uint32_t)(p->offset / VOX_OPTIMIZER_BLOCK),
                       blocks = (uint32_t)blocks_of(p);
        first[tensor++] = at;
        for (uint32_t b = 0; b < blocks; b += SEGMENT_BLOCKS, at++) {
            segment[2 * at] = begin + b;
            segment[2 * at + 1] = blocks - b < SEGMENT_BLOCKS ? blocks - b : SEGMENT_BLOCKS;
        }
    }
    first[tensor] = at;
}

static vox_status upload(vox_buffer **out, vox_device *dev, const uint32_t *table, size_t count,
                         vox_error *err)
{
    const size_t bytes = (count ? count : 1) * sizeof *table;
    vox_status s = vox_buffer_open(out, dev, bytes, VOX_BUFFER_DEVICE, "the table of tensors", err);
    return s == VOX_OK ? vox_buffer_write(*out, 0, table, bytes, true, err) : s;
}

static vox_status upload_tables(vox_optimizer *o, const vox_graph *g, vox_error *err)
{
    vox_trust *trust = &o->trust;
    uint32_t *segment =
        vox_calloc((size_t)trust->segments + 1, 2 * sizeof *segment, "the table of segments", err);
    uint32_t *first =
        vox_calloc((size_t)trust->tensors + 1, sizeof *first, "the table of segments", err);
    vox_status s = segment && first ? VOX_OK : VOX_ERR_MEMORY;
    if (s == VOX_OK) {
        fill_segments(o, g, segment, first);
        s = upload(&trust->tensor, o->dev, trust->host_tensor, (size_t)o->blocks, err);
    }
    if (s == VOX_OK)
        s = upload(&trust->segment, o->dev, segment, 2 * (size_t)trust->segments, err);
    if (s == VOX_OK)
        s = upload(&trust->first, o->dev, first, (size_t)trust->tensors + 1, err);
    free(segment);
    free(first);
    return s;
}

static size_t group(const vox_optimizer *o)
{
    return vox_device_is_cpu(o->dev) ? 1 : GPU_WG;
}

static vox_status open_device(vox_optimizer *o, const vox_graph *g, vox_error *err)
{
    vox_trust *trust = &o->trust;
    char options[96];
    snprintf(options, sizeof options, "-DBLOCK=%d -DWG=%zu -DSCALED=%d", VOX_OPTIMIZER_BLOCK,
             group(o), vox_trust_scaled(&o->spec));
    vox_status s = upload_tables(o, g, err);
    if (s == VOX_OK)
        s = vox_buffer_open(&trust->part, o->dev, 8 * ((size_t)trust->segments + 1),
                            VOX_BUFFER_DEVICE, "parts of the tensors' norms", err);
    if (s == VOX_OK)
        s = vox_buffer_open(&trust->ratio, o->dev, 4 * (size_t)trust->tensors, VOX_BUFFER_DEVICE,
                            "the tensors' rates", err);
    if (s == VOX_OK)
        s = vox_kernel_open(&trust->norms_kernel, o->dev, "trust.cl", "trust_norms", options, err);
    if (s == VOX_OK)
        s = vox_kernel_open(&trust->ratios_kernel, o->dev, "trust.cl", "trust_ratios", options,
                            err);
    return s;
}

vox_status vox_trust_enqueue(vox_optimizer *o, vox_buffer *params, vox_buffer *along,
                             vox_error *err)
{
    vox_trust *trust = &o->trust;
    const terms t = terms_of(&o->spec);
    const vox_grid norms = {{trust->segments * group(o), 1, 1}, {group(o), 1, 1}},
                   ratios = {{trust->tensors, 1, 1}, {1, 1, 1}};
    const vox_arg norms_args[] = {vox_arg_buffer(params), vox_arg_buffer(along),
                                  vox_arg_buffer(o->used), vox_arg_buffer(trust->segment),
                                  vox_arg_buffer(trust->part)};
    const vox_arg ratios_args[] = {vox_arg_buffer(trust->part),    vox_arg_buffer(trust->first),
                                   vox_arg_buffer(o->coefficient), vox_arg_buffer(trust->ratio),
                                   vox_arg_f32((float)t.trust),    vox_arg_f32((float)t.decay),
                                   vox_arg_f32((float)t.eps)};
    vox_status s = trust->segments == 0
                       ? VOX_OK
                       : vox_kernel_launch(trust->norms_kernel, &norms, norms_args, 5, err);
    return s == VOX_OK ? vox_kernel_launch(trust->ratios_kernel, &ratios, ratios_args, 7, err) : s;
}

/* ---- both --------------------------------------------------------------------- */

vox_status vox_trust_init(vox_optimizer *o, const vox_graph *g, vox_error *err)
{
    vox_status s = number_tensors(o, g, err);
    if (s != VOX_OK)
        return s;
    return o->dev ? open_device(o, g, err) : open_host(o, err);
}

void vox_trust_release(vox_trust *trust)
{
    vox_kernel_free(&trust->norms_kernel);
    vox_kernel_free(&trust->ratios_kernel);
    vox_buffer_free(&trust->tensor);
    vox_buffer_free(&trust->segment);
    vox_buffer_free(&trust->first);
    vox_buffer_free(&trust->part);
    vox_buffer_free(&trust->ratio);
    free(trust->host_tensor);
    free(trust->host_ratio);
}
