/* context.c - the devices a job runs on, from what --devices says. */
#define _GNU_SOURCE
#include "base/text.h"
#include "ocl/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vox_ctx {
    vox_device **device; /* [count] */
    size_t count;
};

static bool is_list(const char *s)
{
    return s[strspn(s, "0123456789, ")] == '\0';
}

/* Marks chosen[index] for every number in "0,2". */
static vox_status choose_list(const char *selector, const vox_device_list *list, bool *chosen,
                              vox_error *err)
{
    const char *p = selector;
    while (*p) {
        char *end;
        unsigned long i = strtoul(p, &end, 10);
        if (end == p || (*end && *end != ',')) {
            vox_fail(err, VOX_ERR_USAGE, "cannot read the device list \"%s\"", selector);
            return vox_hint(err, "numbers with commas, such as 0,2");
        }
        if (i >= list->count) {
            vox_fail(err, VOX_ERR_USAGE, "there is no device %lu", i);
            vox_detail(err, "%zu devices on %zu platforms", list->count, list->platforms);
            return vox_hint(err, "`voxcl devices` lists them");
        }
        if (!list->device[i].usable) {
            vox_fail(err, VOX_ERR_DEVICE, "device %lu cannot be used", i);
            return vox_detail(err, "%s: %s", list->device[i].name, list->device[i].reason);
        }
        chosen[i] = true;
        p = *end ? end + 1 : end;
    }
    return VOX_OK;
}

static bool matches(const vox_device_desc *d, const char *selector)
{
    if (strcmp(selector, "all") == 0)
        return true;
    if (strcmp(selector, "cpu") == 0)
        return d->type == VOX_DEVICE_CPU;
    if (strcmp(selector, "gpu") == 0)
        return d->type == VOX_DEVICE_GPU;
    return strcasestr(d->name, selector) != NULL;
}

static vox_status none_found(const char *selector, const vox_device_list *list, vox_error *err)
{
    vox_fail(err, VOX_ERR_DEVICE, "no OpenCL device to run on");
    if (list->count == 0) {
        vox_detail(err, "%zu OpenCL platforms are installed and none has a device",
                   list->platforms);
        return vox_hint(err, "install a driver; for the CPU: apt install pocl-opencl-icd");
    }
    size_t usable = 0;
    for (size_t i = 0; i < list->count; i++)
        usable += list->device[i].usable;
    vox_detail(err, "\"%s\" matches none of %zu devices (%zu usable)", selector, list->count,
               usable);
    return vox_hint(err, "all, cpu, gpu, numbers such as 0,2 or a part of a name; `voxcl devices` "
                         "lists them");
}

static vox_status open_chosen(vox_ctx *ctx, const vox_device_list *list, const bool *chosen,
                              vox_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!chosen[i])
            continue;
        vox_status s = vox_device_open(&ctx->device[ctx->count], list->device[i].index, err);
        if (s != VOX_OK)
            return s;
        ctx->count++;
    }
    return VOX_OK;
}

static vox_status open_ctx(vox_ctx *ctx, const char *selector, const vox_device_list *list,
                           vox_error *err)
{
    vox_status s = VOX_OK;
    bool any = false, *chosen = vox_calloc(list->count, sizeof *chosen, "the device list", err);
    ctx->device = vox_calloc(list->count, sizeof(vox_device *), "the device list", err);
    if (!chosen || !ctx->device) {
        free(chosen);
        return VOX_ERR_MEMORY;
    }
    if (*selector && is_list(selector))
        s = choose_list(selector, list, chosen, err);
    else
        for (size_t i = 0; i < list->count; i++)
            chosen[i] = list->device[i].usable && matches(&list->device[i], selector);
    for (size_t i = 0; i < list->count; i++)
        any = any || chosen[i];
    if (s == VOX_OK && !any)
        s = none_found(selector, list, err);
    if (s == VOX_OK)
        s = open_chosen(ctx, list, chosen, err);
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

void vox_ctx_free(vox_ctx **ctxp)
{
    if (!ctxp || !*ctxp)
        return;
    vox_ctx *ctx = *ctxp;
    for (size_t i = 0; ctx->device && i < ctx->count; i++)
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
