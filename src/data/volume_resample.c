/* volume_resample.c - resizing (trilinear, nearest) and sampling on another grid.
 *
 * Both are separable weights over at most eight voxels; positions are worked out in double so that
 * large volumes do not lose the fraction. */
#include "data/volume.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* out = a[low] * (1 - weight) + a[high] * weight, along one axis. */
typedef struct tap {
    int64_t low, high;
    float weight;
} tap;

static tap tap_at(double position, int64_t size)
{
    double last = (double)(size - 1);
    double p = position > 0 ? (position < last ? position : last) : 0;
    int64_t low = (int64_t)p;
    return (tap){low, low + 1 < size ? low + 1 : low, (float)(p - (double)low)};
}

/* Nearest ones are worked out in integers: (2i + 1) * in / 2out is floor((i + 0.5) * in / out). */
static tap resize_tap(int64_t i, int64_t in, int64_t out, vox_interpolation mode)
{
    double scale = (double)in / (double)out;
    int64_t at = mode == VOX_NEAREST ? (2 * i + 1) * in / (2 * out) : i * in / out;
    return mode == VOX_LINEAR ? tap_at(((double)i + 0.5) * scale - 0.5, in) : (tap){at, at, 0};
}

static tap *resize_taps(int64_t in, int64_t out, vox_interpolation mode, vox_error *err)
{
    tap *taps = vox_calloc((size_t)out, sizeof *taps, "resize", err);
    for (int64_t i = 0; taps && i < out; i++)
        taps[i] = resize_tap(i, in, out, mode);
    return taps;
}

static float mix(float a, float b, float weight)
{
    return a * (1 - weight) + b * weight;
}

/* One output row from the four input rows around it. */
static void resize_row(float *out, const float *const row[4], float wd, float wh, const tap *tw,
                       int64_t width)
{
    for (int64_t w = 0; w < width; w++) {
        int64_t low = tw[w].low, high = tw[w].high;
        float corner[4];
        for (int r = 0; r < 4; r++)
            corner[r] = mix(row[r][low], row[r][high], tw[w].weight);
        out[w] = mix(mix(corner[0], corner[1], wh), mix(corner[2], corner[3], wh), wd);
    }
}

static void resize_channel(float *out, const int64_t size[3], const float *in,
                           const int64_t in_size[3], tap *const taps[3])
{
    for (int64_t d = 0; d < size[0]; d++)
        for (int64_t h = 0; h < size[1]; h++, out += size[2]) {
            const tap *td = &taps[0][d], *th = &taps[1][h];
            const float *row[4] = {
                in + (td->low * in_size[1] + th->low) * in_size[2],
                in + (td->low * in_size[1] + th->high) * in_size[2],
                in + (td->high * in_size[1] + th->low) * in_size[2],
                in + (td->high * in_size[1] + th->high) * in_size[2],
            };
            resize_row(out, row, td->weight, th->weight, taps[2], size[2]);
        }
}

/* The first voxel's centre and the spacing move so that the volume's faces stay where they are. */
static void resize_geometry(vox_image *image, const int64_t size[3])
{
    double index[3], origin[3];
    for (int a = 0; a < 3; a++)
        index[a] = 0.5 * (double)image->size[a] / (double)size[a] - 0.5;
    vox_volume_point(image, index, origin);
    memcpy(image->origin_mm, origin, sizeof origin);
    for (int a = 0; a < 3; a++) {
        image->spacing_mm[a] *= (double)image->size[a] / (double)size[a];
        image->size[a] = size[a];
    }
}

vox_status vox_volume_resize(vox_image *image, const int64_t size[3], vox_interpolation mode,
                             vox_error *err)
{
    if (memcmp(image->size, size, sizeof image->size) == 0)
        return VOX_OK;
    vox_image *out;
    tap *taps[3] = {NULL, NULL, NULL};
    vox_status s = vox_volume_alloc(&out, image->channels, size, err);
    for (int a = 0; a < 3 && s == VOX_OK; a++)
        if (!(taps[a] = resize_taps(image->size[a], size[a], mode, err)))
            s = VOX_ERR_MEMORY;
    if (s == VOX_OK) {
        size_t from = vox_volume_voxels(image), to = vox_volume_voxels(out);
        for (size_t c = 0; c < (size_t)image->channels; c++)
            resize_channel(out->voxel + c * to, size, image->voxel + c * from, image->size, taps);
        resize_geometry(image, size);
        float *old = image->voxel;
        image->voxel = out->voxel;
        out->voxel = old;
    }
    for (int a = 0; a < 3; a++)
        free(taps[a]);
    vox_image_free(&out);
    return s;
}

static float sample(const vox_image *from, const float *voxel, const double index[3])
{
    const int64_t *n = from->size;
    tap d = tap_at(index[0], n[0]), h = tap_at(index[1], n[1]), w = tap_at(index[2], n[2]);
    const float *a = voxel + (d.low * n[1] + h.low) * n[2];
    const float *b = voxel + (d.low * n[1] + h.high) * n[2];
    const float *e = voxel + (d.high * n[1] + h.low) * n[2];
    const float *f = voxel + (d.high * n[1] + h.high) * n[2];
    float low =
        mix(mix(a[w.low], a[w.high], w.weight), mix(b[w.low], b[w.high], w.weight), h.weight);
    float high =
        mix(mix(e[w.low], e[w.high], w.weight), mix(f[w.low], f[w.high], w.weight), h.weight);
    return mix(low, high, d.weight);
}

static void snap(double *x)
{
    if (fabs(*x - nearbyint(*x)) < 1e-9)
        *x = nearbyint(*x) + 0.0;
}

vox_status vox_volume_map(vox_voxel_map *map, const vox_image *here, const vox_image *there,
                          vox_error *err)
{
    double point[3], at[3];
    memcpy(map->size, there->size, sizeof map->size);
    vox_volume_point(here, (double[3]){0, 0, 0}, point);
    bool good = vox_volume_index(there, point, map->offset);
    for (int b = 0; b < 3 && good; b++) {
        double one[3] = {0, 0, 0};
        one[b] = 1;
        vox_volume_point(here, one, point);
        good = vox_volume_index(there, point, at);
        for (int a = 0; a < 3; a++)
            map->matrix[a][b] = at[a] - map->offset[a];
    }
    if (!good)
        return vox_fail(err, VOX_ERR_INPUT, "the axes of a volume are linearly dependent");
    for (int a = 0; a < 3; a++) { /* whole steps stay whole: on one grid nothing is interpolated */
        snap(&map->offset[a]);
        for (int b = 0; b < 3; b++)
            snap(&map->matrix[a][b]);
    }
    return VOX_OK;
}

vox_status vox_volume_sample(float *out, const vox_image *grid, const vox_image *from,
                             int64_t channel, vox_error *err)
{
    vox_voxel_map map;
    vox_status s = vox_volume_map(&map, grid, from, err);
    if (s != VOX_OK)
        return s;
    const float *voxel = from->voxel + (size_t)channel * vox_volume_voxels(from);
    for (int64_t d = 0; d < grid->size[0]; d++)
        for (int64_t h = 0; h < grid->size[1]; h++)
            for (int64_t w = 0; w < grid->size[2]; w++) {
                double index[3];
                for (int i = 0; i < 3; i++)
                    index[i] = map.offset[i] + (double)d * map.matrix[i][0] +
                               (double)h * map.matrix[i][1] + (double)w * map.matrix[i][2];
                *out++ = sample(from, voxel, index);
            }
    return VOX_OK;
}
