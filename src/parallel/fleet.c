/* fleet.c - the devices of all ranks. */
#include "parallel/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static vox_status count_devices(vox_fleet *f, vox_hosts *hosts, int64_t own, vox_error *err)
{
    f->before = vox_calloc(f->ranks + 1, sizeof *f->before, "the devices of all ranks", err);
    if (!f->before)
        return VOX_ERR_MEMORY;
    vox_status s = vox_hosts_gather(hosts, &own, sizeof own, f->before + 1, err);
    for (size_t i = 0; s == VOX_OK && i < f->ranks; i++) {
        const size_t here = (size_t)f->before[i + 1];
        f->most = here > f->most ? here : f->most;
        f->before[i + 1] += f->before[i];
    }
    return s;
}

static void name_device(vox_fleet_title *title, const vox_fleet *f, size_t rank, const char *device)
{
    if (f->ranks > 1)
        snprintf(title->text, sizeof title->text, "rank %zu: %s", rank, device);
    else
        snprintf(title->text, sizeof title->text, "%s", device);
}

static vox_status gather_titles(vox_fleet *f, vox_hosts *hosts, const vox_ctx *ctx, vox_error *err)
{
    const size_t rank = vox_hosts_rank(hosts);
    vox_fleet_title *own = vox_calloc(f->most, sizeof *own, "the devices of all ranks", err);
    vox_fleet_title *all =
        vox_calloc(f->ranks * f->most, sizeof *all, "the devices of all ranks", err);
    f->title = vox_calloc(f->count, sizeof *f->title, "the devices of all ranks", err);
    vox_status s = own && all && f->title ? VOX_OK : VOX_ERR_MEMORY;
    for (size_t i = 0; s == VOX_OK && i < vox_ctx_device_count(ctx); i++)
        name_device(&own[i], f, rank, vox_device_title(vox_ctx_get(ctx, i)));
    if (s == VOX_OK)
        s = vox_hosts_gather(hosts, own, f->most * sizeof *own, all, err);
    for (size_t i = 0; s == VOX_OK && i < f->count; i++) {
        const size_t r = vox_fleet_rank(f, i);
        f->title[i] = all[r * f->most + i - (size_t)f->before[r]];
    }
    free(own);
    free(all);
    return s;
}

vox_status vox_fleet_init(vox_fleet *f, vox_hosts *hosts, const vox_ctx *ctx, vox_error *err)
{
    *f = (vox_fleet){.ranks = vox_hosts_size(hosts)};
    vox_status s = count_devices(f, hosts, (int64_t)vox_ctx_device_count(ctx), err);
    if (s != VOX_OK)
        return s;
    f->count = (size_t)f->before[f->ranks];
    f->own = (size_t)f->before[vox_hosts_rank(hosts)];
    return gather_titles(f, hosts, ctx, err);
}

void vox_fleet_release(vox_fleet *f)
{
    free(f->before);
    free(f->title);
    *f = (vox_fleet){0};
}

size_t vox_fleet_rank(const vox_fleet *f, size_t i)
{
    size_t rank = 0;
    while ((size_t)f->before[rank + 1] <= i)
        rank++;
    return rank;
}
