/* mask.c - reading a mask and checking that it fits its image and its classes. */
#include "data/mask.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SPACING_LIMIT   1e-3 /* of the image's spacing */
#define DIRECTION_LIMIT 1e-3 /* of each component of a unit vector */
#define ORIGIN_LIMIT    0.1  /* of the smallest spacing */

/* What of the two grids differs first, or NULL. */
static const char *difference(const vox_image *a, const vox_image *b)
{
    double least = fmin(a->spacing_mm[0], fmin(a->spacing_mm[1], a->spacing_mm[2]));
    if (memcmp(a->size, b->size, sizeof a->size) != 0)
        return "sizes";
    if (!a->has_geometry || !b->has_geometry)
        return NULL;
    for (int i = 0; i < 3; i++)
        if (!(fabs(a->spacing_mm[i] - b->spacing_mm[i]) <= SPACING_LIMIT * a->spacing_mm[i]))
            return "spacings";
    for (int i = 0; i < 3; i++)
        for (int x = 0; x < 3; x++)
            if (!(fabs(a->direction[i][x] - b->direction[i][x]) <= DIRECTION_LIMIT))
                return "directions";
    for (int x = 0; x < 3; x++)
        if (!(fabs(a->origin_mm[x] - b->origin_mm[x]) <= ORIGIN_LIMIT * least))
            return "origins";
    return NULL;
}

static void put_grid(vox_str *text, const vox_image *v)
{
    vox_str_add(text, "%lld x %lld x %lld voxels", (long long)v->size[0], (long long)v->size[1],
                (long long)v->size[2]);
    if (!v->has_geometry)
        return;
    vox_str_add(text, " of %.6g x %.6g x %.6g mm at (%.6g, %.6g, %.6g), axes", v->spacing_mm[0],
                v->spacing_mm[1], v->spacing_mm[2], v->origin_mm[0] + 0.0, v->origin_mm[1] + 0.0,
                v->origin_mm[2] + 0.0); /* no -0 */
    for (int a = 0; a < 3; a++)
        vox_str_add(text, " %c(%.4g %.4g %.4g)", "dhw"[a], v -> direction[a][0] + 0.0,
                    v -> direction[a][1] + 0.0, v -> direction[a][2] + 0.0);
}

vox_status vox_mask_check_grid(const vox_image *image, const vox_image *mask, const char *path,
                               vox_error *err)
{
    const char *what = difference(image, mask);
    vox_str text = {0};
    if (!what)
        return VOX_OK;
    vox_str_add(&text, "image ");
    put_grid(&text, image);
    vox_str_add(&text, "; mask %s ", vox_path_base(path));
    put_grid(&text, mask);
    vox_fail(err, VOX_ERR_INPUT, "an image and its mask lie on different grids: their %s differ",
             what);
    vox_detail(err, "%s", text.text ? text.text : "");
    vox_hint(err, "the mask must be drawn on the image's own grid (d, h, w; LPS mm): resample it, "
                  "nearest, or look whether it belongs to another image");
    vox_str_release(&text);
    return VOX_ERR_INPUT;
}

static vox_status bad_value(const vox_image *mask, size_t i, const char *path,
                            const vox_mask_values *values, vox_error *err)
{
    size_t w = (size_t)mask->size[2], h = (size_t)mask->size[1];
    size_t most = values->class_of ? values->count : values->classes;
    double x = (double)mask->voxel[i];
    bool whole = isfinite(x) && x == nearbyint(x);
    vox_fail(err, VOX_ERR_INPUT,
             whole ? "a mask has the value %g, which is no class"
                   : "a mask has the value %g, which is no whole number",
             x);
    vox_detail(err, "%s: at voxel (d,h,w) = (%zu, %zu, %zu); the values are 0 (%s) to %zu", path,
               i / (w * h), i / w % h, i % w, values->name[0], most - 1);
    if (!whole)
        return vox_hint(err, "is this file the image, or a mask that was resampled linearly?");
    return vox_hint(err, "give the network an output for each class, name them all in classes: "
                         "[...], or say with values: [...] which class each value is");
}

static vox_status to_classes(vox_image *mask, const char *path, const vox_mask_values *values,
                             vox_error *err)
{
    size_t n = vox_volume_voxels(mask);
    float most = (float)(values->class_of ? values->count : values->classes);
    for (size_t i = 0; i < n; i++) {
        float x = mask->voxel[i];
        if (values->ignore && x == (float)*values->ignore) {
            mask->voxel[i] = VOX_MASK_IGNORED;
            continue;
        }
        if (!(x >= 0 && x < most && x == (float)(int32_t)x))
            return bad_value(mask, i, path, values, err);
        if (values->class_of)
            mask->voxel[i] = (float)values->class_of[(int32_t)x];
    }
    return VOX_OK;
}

vox_status vox_mask_read(vox_image **out, const char *path, const vox_image *image,
                         const vox_mask_values *values, vox_error *err)
{
    vox_status s = vox_image_read(out, path, err);
    if (s != VOX_OK)
        return s;
    vox_image *mask = *out;
    if (mask->channels != 1) {
        s = vox_fail(err, VOX_ERR_INPUT, "a mask must be one volume");
        vox_detail(err, "%s: %lld channels (or time points) of %lld x %lld x %lld voxels", path,
                   (long long)mask->channels, (long long)mask->size[0], (long long)mask->size[1],
                   (long long)mask->size[2]);
    }
    if (s == VOX_OK && image)
        s = vox_mask_check_grid(image, mask, path, err);
    if (s == VOX_OK)
        s = to_classes(mask, path, values, err);
    if (s == VOX_OK && image) { /* differences within the limits end here */
        mask->has_geometry = image->has_geometry;
        memcpy(mask->spacing_mm, image->spacing_mm, sizeof mask->spacing_mm);
        memcpy(mask->origin_mm, image->origin_mm, sizeof mask->origin_mm);
        memcpy(mask->direction, image->direction, sizeof mask->direction);
    }
    if (s != VOX_OK)
        vox_image_free(out);
    return s;
}
