/* patch.c - where in a case a patch lies. */
#include "data/patch.h"

#include "base/philox.h"

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

/* A voxel of a present foreground class, or false: there is none. */
static bool foreground_voxel(const vox_ready *r, size_t classes, vox_random *random, int64_t at[3])
{
    uint32_t present = 0;
    for (size_t c = 1; r->mask && c < classes; c++)
        present += r->voxels[c] > 0;
    if (present == 0)
        return false;
    uint32_t nth = vox_random_below(random, present);
    size_t class = 1;
    while (r->voxels[class] == 0 || nth-- > 0)
        class ++;
    uint32_t skip = vox_random_below(random, r->voxels[class]);
    int64_t i = 0;
    while (r->mask[i] != class || skip-- > 0)
        i++;
    at[0] = i / (r->size[1] * r->size[2]);
    at[1] = i / r->size[2] % r->size[1];
    at[2] = i % r->size[2];
    return true;
}

static void draw(const vox_ready *r, size_t classes, const int64_t size[3], double foreground,
                 const vox_pick *pick, int64_t start[3])
{
    vox_random random;
    int64_t at[3];
    vox_random_init(&random, pick->seed, VOX_RANDOM_PATCH, 0, pick->step, pick->sample);
    bool wanted = (double)vox_random_uniform(&random) < foreground;
    bool found = wanted && foreground_voxel(r, classes, &random, at);
    for (int a = 0; a < 3; a++) {
        int64_t room = r->size[a] - size[a];
        if (room > 0)
            start[a] = found ? clamp(at[a] - size[a] / 2, 0, room)
                             : (int64_t)vox_random_below(&random, (uint32_t)(room + 1));
    }
}

size_t vox_patch_windows(const int64_t of[3], const int64_t size[3])
{
    size_t count = 1;
    for (int a = 0; a < 3; a++)
        count *= (size_t)((of[a] + size[a] - 1) / size[a]);
    return count;
}

static void window(const vox_ready *r, const int64_t size[3], size_t number, int64_t start[3])
{
    for (int a = 2; a >= 0; a--) {
        int64_t room = r->size[a] - size[a], count = (r->size[a] + size[a] - 1) / size[a];
        int64_t at = (int64_t)number % count;
        number /= (size_t)count;
        if (room > 0)
            start[a] = count > 1 ? at * room / (count - 1) : 0;
    }
}

void vox_patch_place(const vox_ready *r, size_t classes, const int64_t size[3], double foreground,
                     const vox_pick *pick, int64_t start[3])
{
    for (int a = 0; a < 3; a++) /* the case in the middle, as the step pad has it */
        start[a] = r->size[a] < size[a] ? -((size[a] - r->size[a]) / 2) : 0;
    if (pick->random)
        draw(r, classes, size, foreground, pick, start);
    else
        window(r, size, pick->window, start);
}
