/* dataset_read.c - one case of a data set: read, prepared, kept, and handed out in pieces. */
#include "data/patch.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

void vox_ready_release(vox_ready *r)
{
    free(r->voxel);
    free(r->mask);
    free(r->voxels);
    memset(r, 0, sizeof *r);
}

size_t vox_ready_bytes(const vox_dataset *set, const vox_ready *r)
{
    size_t voxels = (size_t)(r->size[0] * r->size[1] * r->size[2]);
    return voxels * ((size_t)set->shape[0] * sizeof(float) + (set->masks ? 1 : 0));
}

vox_status vox_case_open(const vox_dataset *set, const vox_case *c, vox_prepared *p, vox_error *err)
{
    const vox_mask_values values = {.class_of = set->class_of,
                                    .count = set->values,
                                    .classes = set->class_name.count,
                                    .ignore = set->ignores ? &set->ignore : NULL,
                                    .name = (const char *const *)set->class_name.name};
    *p = (vox_prepared){.point_mm = c->has_point ? c->point_mm : NULL};
    vox_status s = set->source->read(set, c, &p->image, err);
    if (s == VOX_OK && c->mask)
        s = vox_mask_read(&p->mask, c->mask, p->image, &values, err);
    return s;
}

void vox_case_close(vox_prepared *p)
{
    vox_image_free(&p->image);
    vox_image_free(&p->mask);
}

/* Masks are kept as bytes: there are at most 255 classes. */
static vox_status keep_mask(const vox_dataset *set, const vox_image *mask, vox_ready *r,
                            vox_error *err)
{
    size_t n = vox_volume_voxels(mask);
    r->mask = vox_aligned(64, n, "a prepared mask", err);
    r->voxels = vox_calloc(set->class_name.count, sizeof *r->voxels, "a prepared mask", err);
    if (!r->mask || !r->voxels)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < n; i++) {
        r->mask[i] = (uint8_t)mask->voxel[i];
        if (r->mask[i] != VOX_MASK_IGNORED)
            r->voxels[r->mask[i]]++;
    }
    return VOX_OK;
}

static vox_status keep(const vox_dataset *set, vox_prepared *p, vox_ready *r, vox_error *err)
{
    vox_status s = VOX_OK;
    if (!set->patches)
        s = vox_input_shape(set->shape, p->image, err);
    else if (p->image->channels != set->shape[0])
        s = vox_input_channels(set->shape, p->image, err);
    if (s == VOX_OK && p->mask)
        s = keep_mask(set, p->mask, r, err);
    if (s != VOX_OK)
        return s;
    memcpy(r->size, p->image->size, sizeof r->size);
    r->voxel = p->image->voxel;
    p->image->voxel = NULL;
    return VOX_OK;
}

static vox_status fail_case(const vox_case *c, vox_error *local, vox_error *err)
{
    if (!strstr(local->detail, c->name) && !strstr(local->message, c->name))
        vox_error_at(local, "%s", c->name);
    if (c->where)
        vox_error_at(local, "%s", c->where);
    if (err)
        *err = *local;
    return local->code;
}

vox_status vox_case_read(const vox_dataset *set, const vox_case *c, vox_ready *r, vox_error *err)
{
    vox_error local = {0};
    vox_prepared p;
    memset(r, 0, sizeof *r);
    vox_status s = vox_case_open(set, c, &p, &local);
    if (s == VOX_OK)
        s = vox_prepare_apply(set->prepare, &p, &local);
    if (s == VOX_OK)
        s = keep(set, &p, r, &local);
    vox_case_close(&p);
    if (s == VOX_OK)
        return VOX_OK;
    vox_ready_release(r);
    return fail_case(c, &local, err);
}

vox_status vox_dataset_open_case(const vox_dataset *set, size_t i, vox_prepared *p, vox_error *err)
{
    vox_error local = {0};
    vox_status s = vox_case_open(set, &set->item[i], p, &local);
    if (s == VOX_OK)
        return VOX_OK;
    vox_case_close(p);
    return fail_case(&set->item[i], &local, err);
}

uint64_t vox_ready_mark(const vox_ready *r)
{
    size_t voxels = (size_t)(r->size[0] * r->size[1] * r->size[2]);
    return r->mask ? vox_hash(VOX_HASH_START, r->mask, voxels) : 0;
}

/* ---- handing out ---- */

static void hand_out_mask(const vox_ready *r, const int64_t start[3], const int64_t size[3],
                          int32_t ignored, int32_t *label)
{
    for (int64_t d = start[0]; d < start[0] + size[0]; d++)
        for (int64_t h = start[1]; h < start[1] + size[1]; h++)
            for (int64_t w = start[2]; w < start[2] + size[2]; w++) {
                bool inside = d >= 0 && h >= 0 && w >= 0 && d < r->size[0] && h < r->size[1] &&
                              w < r->size[2];
                int32_t class = inside ? r->mask[(d * r->size[1] + h) * r->size[2] + w] : 0;
                *label++ = class == VOX_MASK_IGNORED ? ignored : class;
            }
}

static void hand_out(const vox_dataset *set, const vox_case *c, const vox_ready *r,
                     const vox_pick *pick, float *out, int32_t *label)
{
    const int64_t *size = set->shape + 1;
    int64_t start[3] = {0, 0, 0};
    if (set->patches)
        vox_patch_place(r, set->class_name.count, size, set->foreground, pick, start);
    if (!out) {
    } else if (memcmp(r->size, size, sizeof r->size) == 0) {
        memcpy(out, r->voxel, set->sample * sizeof *out);
    } else {
        memset(out, 0, set->sample * sizeof *out);
        vox_volume_copy_box(out, r->voxel, set->shape[0], r->size, start, size);
    }
    if (label && r->mask)
        hand_out_mask(r, start, size, set->ignore, label);
    else if (label)
        *label = c->label;
}

vox_status vox_dataset_pick(vox_dataset *set, size_t i, const vox_pick *pick, float *out,
                            int32_t *label, vox_error *err)
{
    vox_ready read;
    if (i >= set->count) {
        vox_fail(err, VOX_ERR_USAGE, "there is no such case");
        vox_detail(err, "case %zu of %zu", i, set->count);
        return VOX_ERR_USAGE;
    }
    const vox_case *c = &set->item[i];
    if (set->cache && set->cache[i].voxel) {
        hand_out(set, c, &set->cache[i], pick, out, label);
        return VOX_OK;
    }
    vox_status s = vox_case_read(set, c, &read, err);
    if (s == VOX_OK)
        hand_out(set, c, &read, pick, out, label);
    vox_ready_release(&read);
    return s;
}

vox_status vox_dataset_get(vox_dataset *set, size_t i, float *out, int32_t *label, vox_error *err)
{
    const vox_pick first = {.random = false};
    return vox_dataset_pick(set, i, &first, out, label, err);
}

const float *vox_dataset_kept(const vox_dataset *set, size_t i)
{
    return set->cache && !set->patches && i < set->count ? set->cache[i].voxel : NULL;
}

size_t vox_dataset_windows(const vox_dataset *set, size_t i)
{
    return set->patches ? vox_patch_windows(set->item[i].size, set->shape + 1) : 1;
}
