/* volume_orient.c - exchanging and reversing axes until they point where they are wanted. */
#include "data/volume.h"

#include <math.h>
#include <string.h>

/* The world axis (0 x, 1 y, 2 z) of a letter and its sign in LPS; 3: no such letter. */
static int world_axis(char letter, double *sign)
{
    static const char plus[] = "LPS", minus[] = "RAI";
    for (int x = 0; x < 3; x++) {
        *sign = letter == plus[x] ? 1 : -1;
        if (letter == plus[x] || letter == minus[x])
            return x;
    }
    return 3;
}

bool vox_volume_axes_known(const char *axes)
{
    bool seen[4] = {false};
    double sign;
    if (strlen(axes) != 3)
        return false;
    for (int i = 0; i < 3; i++)
        seen[world_axis(axes[i], &sign)] = true;
    return seen[0] && seen[1] && seen[2];
}

/* Which axis of the image becomes axis a, and whether it is reversed. */
static void choose_axes(const vox_image *image, const char *axes, int from[3], bool reverse[3])
{
    static const int order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    double most = -1;
    for (int k = 0; k < 6; k++) {
        double sum = 0;
        for (int a = 0; a < 3; a++) {
            double sign; /* letters are in the order w, h, d */
            sum += fabs(image->direction[order[k][a]][world_axis(axes[2 - a], &sign)]);
        }
        if (sum <= most + 1e-9) /* among equals the earlier: axes stay where they are */
            continue;
        most = sum;
        memcpy(from, order[k], 3 * sizeof *from);
    }
    for (int a = 0; a < 3; a++) {
        double sign;
        int x = world_axis(axes[2 - a], &sign);
        reverse[a] = sign * image->direction[from[a]][x] < 0;
    }
}

static void move_voxels(float *out, const vox_image *image, const int64_t size[3],
                        const int from[3], const bool reverse[3])
{
    const int64_t *n = image->size, stride[3] = {n[1] * n[2], n[2], 1};
    int64_t start = 0, step[3];
    for (int a = 0; a < 3; a++) {
        step[a] = reverse[a] ? -stride[from[a]] : stride[from[a]];
        start += reverse[a] ? (size[a] - 1) * stride[from[a]] : 0;
    }
    for (int64_t c = 0; c < image->channels; c++)
        for (int64_t d = 0; d < size[0]; d++)
            for (int64_t h = 0; h < size[1]; h++) {
                const float *in =
                    image->voxel + c * n[0] * n[1] * n[2] + start + d * step[0] + h * step[1];
                for (int64_t w = 0; w < size[2]; w++)
                    *out++ = in[w * step[2]];
            }
}

vox_status vox_volume_reorient(vox_image *image, const char *axes, vox_error *err)
{
    int from[3];
    bool reverse[3], same = true;
    int64_t size[3];
    double corner[3];
    choose_axes(image, axes, from, reverse);
    for (int a = 0; a < 3; a++) {
        size[a] = image->size[from[a]];
        corner[from[a]] = reverse[a] ? (double)(size[a] - 1) : 0;
        same = same && from[a] == a && !reverse[a];
    }
    if (same)
        return VOX_OK;
    vox_image *out;
    vox_status s = vox_volume_alloc(&out, image->channels, size, err);
    if (s != VOX_OK)
        return s;
    move_voxels(out->voxel, image, size, from, reverse);
    vox_volume_point(image, corner, out->origin_mm);
    for (int a = 0; a < 3; a++) {
        out->spacing_mm[a] = image->spacing_mm[from[a]];
        for (int x = 0; x < 3; x++)
            out->direction[a][x] =
                reverse[a] ? -image->direction[from[a]][x] : image->direction[from[a]][x];
    }
    memcpy(image->size, out->size, sizeof out->size);
    memcpy(image->spacing_mm, out->spacing_mm, sizeof out->spacing_mm);
    memcpy(image->origin_mm, out->origin_mm, sizeof out->origin_mm);
    memcpy(image->direction, out->direction, sizeof out->direction);
    float *old = image->voxel;
    image->voxel = out->voxel;
    out->voxel = old;
    vox_image_free(&out);
    return VOX_OK;
}
