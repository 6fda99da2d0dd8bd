/* volume.c - allocation, geometry and checks; resampling is in volume_resample.c. */
#include "data/volume.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool count_voxels(int64_t channels, const int64_t size[3], size_t *out)
{
    size_t n = 1;
    bool fits = channels >= 1 && vox_mul(n, (size_t)channels, &n);
    for (int a = 0; a < 3 && fits; a++)
        fits = size[a] >= 1 && vox_mul(n, (size_t)size[a], &n);
    *out = n;
    return fits && n <= SIZE_MAX / sizeof(float);
}

vox_status vox_volume_alloc(vox_image **out, int64_t channels, const int64_t size[3],
                            vox_error *err)
{
    *out = NULL;
    size_t n;
    if (!count_voxels(channels, size, &n)) {
        vox_fail(err, VOX_ERR_INPUT, "a volume of impossible size");
        vox_detail(err, "%lld channels of %lld x %lld x %lld voxels", (long long)channels,
                   (long long)size[0], (long long)size[1], (long long)size[2]);
        return VOX_ERR_INPUT;
    }
    vox_image *image = vox_calloc(1, sizeof *image, "a volume", err);
    if (!image)
        return VOX_ERR_MEMORY;
    image->voxel = vox_calloc(n, sizeof(float), "a volume", err);
    if (!image->voxel) {
        vox_image_free(&image);
        return VOX_ERR_MEMORY;
    }
    image->channels = channels;
    for (int a = 0; a < 3; a++) {
        image->size[a] = size[a];
        image->spacing_mm[a] = 1;
        image->direction[a][2 - a] = 1; /* w along x, h along y, d along z */
    }
    strcpy(image->stored_type, "float32");
    *out = image;
    return VOX_OK;
}

size_t vox_volume_voxels(const vox_image *image)
{
    return (size_t)image->size[0] * (size_t)image->size[1] * (size_t)image->size[2];
}

void vox_volume_point(const vox_image *image, const double index[3], double point_mm[3])
{
    for (int x = 0; x < 3; x++) {
        point_mm[x] = image->origin_mm[x];
        for (int a = 0; a < 3; a++)
            point_mm[x] += index[a] * image->spacing_mm[a] * image->direction[a][x];
    }
}

static void cross(const double a[3], const double b[3], double out[3])
{
    out[0] = a[1] * b[2] - a[2] * b[1];
    out[1] = a[2] * b[0] - a[0] * b[2];
    out[2] = a[0] * b[1] - a[1] * b[0];
}

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

bool vox_volume_index(const vox_image *image, const double point_mm[3], double index[3])
{
    const double(*axis)[3] = image->direction;
    double offset[3], normal[3];
    for (int x = 0; x < 3; x++)
        offset[x] = point_mm[x] - image->origin_mm[x];
    for (int a = 0; a < 3; a++) { /* Cramer's rule: exact for orthonormal axes, right for sheared */
        cross(axis[(a + 1) % 3], axis[(a + 2) % 3], normal);
        double volume = dot(axis[a], normal);
        if (!(fabs(volume) > 1e-6) || !(image->spacing_mm[a] > 0))
            return false;
        index[a] = dot(offset, normal) / volume / image->spacing_mm[a];
    }
    return true;
}

bool vox_volume_same_grid(const vox_image *a, const vox_image *b)
{
    if (memcmp(a->size, b->size, sizeof a->size) != 0)
        return false;
    if (!a->has_geometry || !b->has_geometry)
        return true;
    double limit = HUGE_VAL;
    for (int i = 0; i < 3; i++)
        limit = fmin(limit, fmin(a->spacing_mm[i], b->spacing_mm[i]) / 2);
    for (int corner = 0; corner < 8; corner++) {
        double index[3], p[3], q[3], distance = 0;
        for (int i = 0; i < 3; i++)
            index[i] = corner >> i & 1 ? (double)(a->size[i] - 1) : 0;
        vox_volume_point(a, index, p);
        vox_volume_point(b, index, q);
        for (int x = 0; x < 3; x++)
            distance += (p[x] - q[x]) * (p[x] - q[x]);
        if (!(sqrt(distance) <= limit))
            return false;
    }
    return true;
}

vox_status vox_volume_finite(const vox_image *image, const char *path, vox_error *err)
{
    size_t voxels = vox_volume_voxels(image), total = voxels * (size_t)image->channels;
    for (size_t i = 0; i < total; i++) {
        if (isfinite(image->voxel[i]))
            continue;
        size_t v = i % voxels, w = (size_t)image->size[2], h = (size_t)image->size[1];
        vox_fail(err, VOX_ERR_INPUT, "a voxel is %s", isnan(image->voxel[i]) ? "NaN" : "infinite");
        vox_detail(err, "%s: channel %zu, voxel (d,h,w) = (%zu, %zu, %zu)", path, i / voxels,
                   v / (w * h), v / w % h, v % w);
        vox_hint(err, "repair the file; training leaves such cases out with data.skip_bad: true");
        return VOX_ERR_INPUT;
    }
    return VOX_OK;
}

vox_status vox_volume_crop(vox_image *image, const int64_t start[3], const int64_t size[3],
                           vox_error *err)
{
    const int64_t *in = image->size;
    for (int a = 0; a < 3; a++) {
        if (size[a] >= 1 && start[a] >= 0 && size[a] <= in[a] && start[a] <= in[a] - size[a])
            continue;
        vox_fail(err, VOX_ERR_INPUT, "the crop leaves the volume");
        vox_detail(err, "from (%lld, %lld, %lld), %lld x %lld x %lld of %lld x %lld x %lld voxels",
                   (long long)start[0], (long long)start[1], (long long)start[2],
                   (long long)size[0], (long long)size[1], (long long)size[2], (long long)in[0],
                   (long long)in[1], (long long)in[2]);
        return vox_hint(err, "choose a smaller size or another point, or resize before");
    }
    return vox_volume_box(image, start, size, 0, err);
}

/* Part of [start, start + size) that lies in [0, in): [*from, *to), counted from start. */
static void overlap(int64_t start, int64_t size, int64_t in, int64_t *from, int64_t *to)
{
    *from = start < 0 ? (-start < size ? -start : size) : 0;
    *to = in - start < size ? in - start : size;
    *to = *to > *from ? *to : *from;
}

void vox_volume_copy_box(float *out, const float *in, int64_t channels, const int64_t in_size[3],
                         const int64_t start[3], const int64_t size[3])
{
    int64_t from[3], to[3];
    for (int a = 0; a < 3; a++)
        overlap(start[a], size[a], in_size[a], &from[a], &to[a]);
    for (int64_t c = 0; c < channels; c++)
        for (int64_t d = from[0]; d < to[0]; d++)
            for (int64_t h = from[1]; h < to[1]; h++) {
                int64_t source = (c * in_size[0] + start[0] + d) * in_size[1] + start[1] + h;
                int64_t target = (c * size[0] + d) * size[1] + h;
                if (to[2] > from[2])
                    memcpy(out + target * size[2] + from[2],
                           in + source * in_size[2] + start[2] + from[2],
                           (size_t)(to[2] - from[2]) * sizeof *out);
            }
}

vox_status vox_volume_box(vox_image *image, const int64_t start[3], const int64_t size[3],
                          float value, vox_error *err)
{
    vox_image *out;
    vox_status s = vox_volume_alloc(&out, image->channels, size, err);
    if (s != VOX_OK)
        return s;
    size_t total = vox_volume_voxels(out) * (size_t)out->channels;
    for (size_t i = 0; i < total && value != 0; i++)
        out->voxel[i] = value;
    vox_volume_copy_box(out->voxel, image->voxel, image->channels, image->size, start, size);
    double index[3] = {(double)start[0], (double)start[1], (double)start[2]};
    vox_volume_point(image, index, out->origin_mm);
    memcpy(image->origin_mm, out->origin_mm, sizeof image->origin_mm);
    memcpy(image->size, size, sizeof image->size);
    float *old = image->voxel;
    image->voxel = out->voxel;
    out->voxel = old;
    vox_image_free(&out);
    return VOX_OK;
}
