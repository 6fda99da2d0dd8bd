/* windows.c - the windows that cover a volume, and how much each counts where they overlap. */
#include "train/windows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int64_t count_windows(int64_t of, int64_t size, double overlap)
{
    if (of <= size)
        return 1;
    return (int64_t)ceil((double)(of - size) / ((double)size * (1 - overlap)) - 1e-9) + 1;
}

static int64_t start_of(int64_t of, int64_t size, int64_t count, int64_t i)
{
    if (of <= size)
        return -((size - of) / 2); /* where patches of training have a smaller case */
    return (int64_t)floor((double)i * (double)(of - size) / (double)(count - 1) + 0.5);
}

static double gaussian(int64_t x, int64_t size)
{
    double z = ((double)x - (double)(size - 1) / 2) / ((double)size / 8);
    return exp(-0.5 * z * z);
}

static vox_status init_axis(vox_windows *w, int a, double overlap, vox_error *err)
{
    const int64_t of = w->of[a], size = w->size[a], count = count_windows(of, size, overlap);
    double *sum = vox_calloc((size_t)of, sizeof *sum, "windows", err);
    w->count[a] = count;
    w->start[a] = vox_calloc((size_t)count, sizeof *w->start[a], "windows", err);
    w->weight[a] = vox_calloc((size_t)count, (size_t)size * sizeof(float), "windows", err);
    if (!sum || !w->start[a] || !w->weight[a]) {
        free(sum);
        return VOX_ERR_MEMORY;
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t start = w->start[a][i] = start_of(of, size, count, i);
        for (int64_t x = 0; x < size; x++)
            if (start + x >= 0 && start + x < of)
                sum[start + x] += gaussian(x, size);
    }
    for (int64_t i = 0; i < count; i++)
        for (int64_t x = 0; x < size; x++) {
            const int64_t at = w->start[a][i] + x;
            if (at >= 0 && at < of)
                w->weight[a][i * size + x] = (float)(gaussian(x, size) / sum[at]);
        }
    free(sum);
    return VOX_OK;
}

vox_status vox_windows_init(vox_windows *w, const int64_t of[3], const int64_t size[3],
                            double overlap, vox_error *err)
{
    memset(w, 0, sizeof *w);
    memcpy(w->of, of, sizeof w->of);
    memcpy(w->size, size, sizeof w->size);
    if (!(overlap >= 0 && overlap <= VOX_OVERLAP_MAX)) {
        vox_fail(err, VOX_ERR_USAGE, "the overlap of windows is from 0 to %g", VOX_OVERLAP_MAX);
        return vox_detail(err, "it is %g", overlap);
    }
    vox_status s = VOX_OK;
    for (int a = 0; a < 3 && s == VOX_OK; a++)
        s = init_axis(w, a, overlap, err);
    return s;
}

void vox_windows_release(vox_windows *w)
{
    for (int a = 0; a < 3; a++) {
        free(w->start[a]);
        free(w->weight[a]);
    }
    memset(w, 0, sizeof *w);
}

int64_t vox_windows_total(const vox_windows *w)
{
    return w->count[0] * w->count[1] * w->count[2];
}

void vox_windows_place(const vox_windows *w, int64_t i, int64_t at[3])
{
    for (int a = 2; a >= 0; a--) {
        at[a] = i % w->count[a];
        i /= w->count[a];
    }
}
