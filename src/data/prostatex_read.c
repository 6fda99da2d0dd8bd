/* prostatex_read.c - the patch around one finding: all modalities sampled on one grid. */
#include "data/prostatex.h"
#include "data/volume.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Is the point within the volume's voxels (their outer faces included)? */
static bool holds(const vox_image *image, const double point_mm[3], double index[3])
{
    if (!vox_volume_index(image, point_mm, index))
        return false;
    for (int a = 0; a < 3; a++)
        if (!(index[a] >= -0.5 && index[a] <= (double)image->size[a] - 0.5))
            return false;
    return true;
}

static vox_status outside(vox_error *err, const vox_case *c, const vox_image *image,
                          const char *path, const double index[3])
{
    vox_fail(err, VOX_ERR_INPUT, "the finding lies outside its volume");
    vox_detail(err,
               "%s: (%g, %g, %g) mm is voxel (d,h,w) = (%.2f, %.2f, %.2f) of %lld x %lld x %lld",
               path, c->point_mm[0], c->point_mm[1], c->point_mm[2], index[0], index[1], index[2],
               (long long)image->size[0], (long long)image->size[1], (long long)image->size[2]);
    vox_hint(err, "check pos in the findings CSV, or leave it out with data.skip_bad: true");
    return VOX_ERR_INPUT;
}

/* The first of the volumes a modality may be in that holds the finding. */
static vox_status pick_volume(const vox_prostatex *px, const vox_case *c, size_t modality,
                              const vox_image **out, const char **path, vox_error *err)
{
    const vox_prostatex_pick *pick = c->extra;
    size_t begin = modality ? pick->end[modality - 1] : 0;
    vox_status s = VOX_OK;
    for (size_t i = begin; i < pick->end[modality]; i++) {
        const vox_image *image;
        double index[3] = {0, 0, 0};
        *path = c->file.name[i];
        s = vox_volumes_get(px->volumes, *path, &image, err);
        if (s != VOX_OK)
            return s; /* a series that cannot be read is bad, not passed over */
        if (image->has_geometry && holds(image, c->point_mm, index)) {
            *out = image;
            return VOX_OK;
        }
        if (i == begin && image->has_geometry)
            s = outside(err, c, image, *path, index);
        else if (i == begin) {
            vox_fail(err, VOX_ERR_INPUT, "a volume does not say where it lies in the patient");
            vox_detail(err, "%s", *path);
            s = VOX_ERR_INPUT;
        }
        vox_volumes_put(px->volumes, image);
        if (i > begin)
            s = VOX_ERR_INPUT; /* the first one's complaint stands */
    }
    return s;
}

/* The grid of a patch: the reference's axes, patch_mm over the sample's size, finding in the
 * middle. */
static void place_grid(vox_image *grid, const vox_image *reference, const double patch_mm[3],
                       const double center_mm[3])
{
    double middle[3], offset[3];
    for (int a = 0; a < 3; a++) {
        grid->spacing_mm[a] = patch_mm[a] / (double)grid->size[a];
        middle[a] = ((double)grid->size[a] - 1) / 2;
    }
    memcpy(grid->direction, reference->direction, sizeof grid->direction);
    vox_volume_point(grid, middle, offset);
    for (int x = 0; x < 3; x++)
        grid->origin_mm[x] = center_mm[x] - offset[x];
    grid->has_geometry = true;
    strcpy(grid->format, reference->format);
}

static bool all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

static vox_status sample_modality(const vox_prostatex *px, const vox_case *c, size_t modality,
                                  vox_image *patch, vox_error *err)
{
    const vox_image *from = NULL;
    const char *path = NULL;
    vox_status s = pick_volume(px, c, modality, &from, &path, err);
    if (s == VOX_OK && modality == 0)
        place_grid(patch, from, px->opt.patch_mm, c->point_mm);
    size_t n = vox_volume_voxels(patch);
    float *out = patch->voxel + modality * n;
    if (s == VOX_OK && (s = vox_volume_sample(out, patch, from, 0, err)) != VOX_OK)
        vox_error_at(err, "%s", path);
    /* A NaN far from the finding does no harm; one in the patch is looked up in its volume. */
    if (s == VOX_OK && !all_finite(out, n))
        s = vox_volume_finite(from, path, err);
    vox_volumes_put(px->volumes, from);
    if (s != VOX_OK)
        vox_error_at(err, "%s", px->opt.modality[modality].name);
    return s;
}

vox_status vox_prostatex_read(const vox_dataset *set, const vox_case *c, vox_image **out,
                              vox_error *err)
{
    const vox_prostatex *px = set->state;
    vox_image *patch;
    vox_status s = vox_volume_alloc(&patch, (int64_t)px->opt.modalities, set->shape + 1, err);
    for (size_t m = 0; s == VOX_OK && m < px->opt.modalities; m++)
        s = sample_modality(px, c, m, patch, err);
    if (s != VOX_OK)
        vox_image_free(&patch);
    *out = patch;
    return s;
}
