/* conv_tiles.c - the sizes of tiles for matrix products on GPUs, and what they cost.
 *
 * Large tiles with 8 x 8 results an item read least; small ones pad small matrices less and make
 * more work-groups, which a GPU needs to be busy.  The rule below weighs that; measurement decides
 * where there is one. */
#include "ops/conv_tiles.h"

#include <stdio.h>

/* Local memory of the largest is 16 KiB (two tiles each of a and b) and its lists, below the 32
 * KiB that every full OpenCL device has; smaller is better there, as several work-groups then
 * share a compute unit and one computes while another waits. */
static const vox_tile tiles[VOX_TILES] = {
    {128, 128, 8, 8, 8}, /* 256 items */
    {64, 128, 8, 8, 8},  /* 128 */
    {64, 64, 8, 8, 8},   /* 64 */
    {64, 64, 16, 4, 4},  /* 256 */
    {32, 128, 16, 4, 8}, /* 128 */
    {32, 64, 16, 4, 4},  /* 128 */
    {16, 64, 16, 4, 4},  /* 64 */
    {32, 32, 16, 4, 4},  /* 64 */
    {16, 32, 16, 4, 4},  /* 32 */
};
#define WORSE                                                                                      \
    2.5 /* times the cost of the best: such tiles are not tried, the rule is not as bad            \
         */

int64_t vox_divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

const vox_tile *vox_tile_get(int i)
{
    return &tiles[i];
}

int64_t vox_tile_items(const vox_tile *t)
{
    return t->m / t->rm * (t->n / t->rn);
}

bool vox_tile_fits(const vox_tile *t, const vox_device *dev)
{
    const vox_device_desc *d = vox_device_get(dev);
    const int64_t floats = 2 * t->k * (t->m + t->n + 8); /* with padding */
    const int64_t lists = t->n * 8 + t->k * 48;          /* places and positions */
    return vox_tile_items(t) <= (int64_t)d->max_work_group &&
           vox_tile_items(t) <= (int64_t)d->max_work_items[0] &&
           floats * (int64_t)sizeof(float) + lists <= (int64_t)d->local_mem_bytes;
}

/* For each product: a multiply-add for each result, reads from local memory for each row and column
 * of each item, and some instructions to bring each number there (two where they come in fours). */
double vox_tile_cost(const vox_tile *t, int64_t rows, int64_t columns)
{
    const double results = (double)(t->m * t->n);
    const double local = results * (double)(t->rm + t->rn) / (double)(t->rm * t->rn);
    const double bring = (double)(2 * t->m + 8 * t->n);
    return (double)(vox_divide_up(rows, t->m) * vox_divide_up(columns, t->n)) *
           (results + local + bring);
}

/* A compute unit is taken to need 256 items to hide what they wait for, and the device waits for
 * the units that got one work-group more than others. */
double vox_tile_use(const vox_tile *t, const vox_device *dev, int64_t groups)
{
    const int64_t units =
        vox_device_get(dev)->compute_units ? vox_device_get(dev)->compute_units : 1;
    const int64_t most = vox_divide_up(groups, units);
    const double even = (double)groups / (double)(most * units);
    const double items = (double)(most * vox_tile_items(t));
    return even * (items < 256 ? items / 256 : 1);
}

int vox_tile_list(const double cost[VOX_TILES], int list[VOX_TILES])
{
    int count = 0;
    for (int i = 0; i < VOX_TILES; i++) {
        int at = count++;
        for (; at > 0 && cost[list[at - 1]] > cost[i]; at--)
            list[at] = list[at - 1];
        list[at] = i;
    }
    while (count > 1 && !(cost[list[count - 1]] < WORSE * cost[list[0]]))
        count--;
    return count;
}

void vox_tile_text(int i, char text[VOX_VARIANT_TEXT])
{
    const vox_tile *t = &tiles[i];
    snprintf(text, VOX_VARIANT_TEXT, "%dx%dk%dr%dx%d", (int)t->m, (int)t->n, (int)t->k, (int)t->rm,
             (int)t->rn);
}

/* The largest tile with fewer items, -1: none. */
static int smaller(int tile)
{
    int best = -1;
    for (int i = 0; i < VOX_TILES; i++)
        if (vox_tile_items(&tiles[i]) < vox_tile_items(&tiles[tile]) &&
            (best < 0 || vox_tile_items(&tiles[i]) > vox_tile_items(&tiles[best])))
            best = i;
    return best;
}

static vox_status fail_items(const char *entry, size_t most, vox_error *err)
{
    vox_fail(err, VOX_ERR_UNSUPPORTED, "the device allows too few work-items to %s", entry);
    vox_detail(err, "work-groups of %zu", most);
    return VOX_ERR_UNSUPPORTED;
}

vox_status vox_tile_kernel(vox_work *w, int i, const char *file, const char *entry,
                           const vox_conv_shape *s, const char *more, int *tile, vox_error *err)
{
    for (;;) {
        vox_str options = {0};
        const vox_tile *t = &tiles[*tile];
        vox_str_add(&options, "-DTM=%d -DTN=%d -DTK=%d -DRM=%d -DRN=%d %s", (int)t->m, (int)t->n,
                    (int)t->k, (int)t->rm, (int)t->rn, more);
        vox_status status = options.failed
                                ? vox_fail_memory(err, "kernel options", options.capacity)
                                : vox_conv_kernel(w, i, file, entry, s, options.text, err);
        vox_str_release(&options);
        if (status != VOX_OK)
            return status;
        const size_t most = vox_kernel_max_group(w->kernel[i]);
        if (most >= (size_t)vox_tile_items(t))
            return VOX_OK;
        vox_kernel_free(&w->kernel[i]);
        if ((*tile = smaller(*tile)) < 0)
            return fail_items(entry, most, err);
    }
}
