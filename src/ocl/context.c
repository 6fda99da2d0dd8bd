/* context.c - the devices a job runs on, from what --devices says. */
#include "ocl/internal.h"

#include <stdlib.h>

struct vox_ctx {
    vox_device **device; /* [count] */
    size_t count;
    bool borrowed; /* the devices are another context's */
};

static vox_status open_chosen(vox_ctx *ctx, const vox_chosen *chosen, size_t count,
                              const vox_device_list *list, vox_error *err)
{
    size_t devices = 0;
    for (size_t i = 0; i < count; i++)
        devices += chosen[i].count;
    ctx->device = vox_calloc(devices, sizeof(vox_device *), "the device list", err);
    if (!ctx->device)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const vox_chosen *c = &chosen[i];
        vox_status s =
            vox_device_open_parts(ctx->device + ctx->count, list->device[c->device].index, c->parts,
                                  c->first, c->count, err);
        if (s != VOX_OK)
            return s;
        ctx->count += c->count;
    }
    return VOX_OK;
}

static vox_status open_ctx(vox_ctx *ctx, const char *selector, const vox_device_list *list,
                           vox_error *err)
{
    size_t count = 0;
    vox_chosen *chosen = vox_calloc(list->count, sizeof *chosen, "the device list", err);
    vox_status s = chosen ? vox_selector_read(chosen, &count, selector, list, err) : VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = open_chosen(ctx, chosen, count, list, err);
    free(chosen);
    return s;
}

vox_status vox_ctx_open(vox_ctx **out, const char *selector, vox_error *err)
{
    vox_device_list *list;
    *out = NULL;
    vox_status s = vox_device_list_open(&list, err);
    if (s != VOX_OK)
        return s;
    vox_ctx *ctx = vox_calloc(1, sizeof *ctx, "a context", err);
    s = ctx ? open_ctx(ctx, selector && *selector ? selector : "all", list, err) : VOX_ERR_MEMORY;
    if (s != VOX_OK)
        vox_ctx_free(&ctx);
    vox_device_list_free(&list);
    *out = ctx;
    return s;
}

vox_status vox_ctx_first(vox_ctx **out, const vox_ctx *ctx, size_t count, vox_error *err)
{
    *out = NULL;
    if (count < 1 || count > ctx->count)
        return vox_fail(err, VOX_ERR_USAGE, "%zu of %zu devices", count, ctx->count);
    vox_ctx *some = vox_calloc(1, sizeof *some, "a context", err);
    if (!some)
        return VOX_ERR_MEMORY;
    some->borrowed = true;
    some->count = count;
    some->device = vox_calloc(count, sizeof(vox_device *), "a context", err);
    if (!some->device) {
        free(some);
        return VOX_ERR_MEMORY;
    }
    for (size_t i = 0; i < count; i++)
        some->device[i] = ctx->device[i];
    *out = some;
    return VOX_OK;
}

void vox_ctx_free(vox_ctx **ctxp)
{
    if (!ctxp || !*ctxp)
        return;
    vox_ctx *ctx = *ctxp;
    for (size_t i = 0; ctx->device && !ctx->borrowed && i < ctx->count; i++)
        vox_device_free(&ctx->device[i]);
    free(ctx->device);
    free(ctx);
    *ctxp = NULL;
}

size_t vox_ctx_device_count(const vox_ctx *ctx)
{
    return ctx->count;
}

const vox_device_desc *vox_ctx_device(const vox_ctx *ctx, size_t i)
{
    return vox_device_get(ctx->device[i]);
}

vox_device *vox_ctx_get(const vox_ctx *ctx, size_t i)
{
    return ctx->device[i];
}
