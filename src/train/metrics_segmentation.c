/* metrics_segmentation.c - how well a label map agrees with another, class by class. */
#include "train/metrics_segmentation.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

/* ---- counts ------------------------------------------------------------------ */

const char *vox_empty_rule_name(vox_empty_rule rule)
{
    static const char *const name[] = {"nnunet", "monai", "one"};
    return name[rule];
}

double vox_dice(int64_t truth, int64_t predicted, int64_t both, vox_empty_rule rule)
{
    if (truth == 0 && rule == VOX_EMPTY_MONAI)
        return NAN;
    if (truth + predicted == 0)
        return rule == VOX_EMPTY_ONE ? 1 : NAN;
    return 2 * (double)both / (double)(truth + predicted);
}

static double ratio(int64_t a, int64_t b)
{
    return b ? (double)a / (double)b : NAN;
}

/* The two maps of a class, and the box that holds both sets. */
typedef struct maps {
    const int32_t *map[2]; /* truth, predicted */
    const int64_t *size;
    int32_t label, ignore;
    int64_t low[3], high[3]; /* first and one past the last voxel */
} maps;

static bool is_in(const maps *m, int which, int64_t voxel)
{
    return m->map[which][voxel] == m->label && m->map[0][voxel] != m->ignore;
}

static void widen(maps *m, const int64_t at[3])
{
    for (int a = 0; a < 3; a++) {
        m->low[a] = at[a] < m->low[a] ? at[a] : m->low[a];
        m->high[a] = at[a] + 1 > m->high[a] ? at[a] + 1 : m->high[a];
    }
}

static void count(maps *m, vox_class_metrics *out)
{
    int64_t at[3], v = 0;
    for (at[0] = 0; at[0] < m->size[0]; at[0]++)
        for (at[1] = 0; at[1] < m->size[1]; at[1]++)
            for (at[2] = 0; at[2] < m->size[2]; at[2]++, v++) {
                const bool t = is_in(m, 0, v), p = is_in(m, 1, v);
                if (t || p)
                    widen(m, at);
                out->truth += t;
                out->predicted += p;
                out->both += t && p;
            }
}

/* ---- distances ----------------------------------------------------------------- */

/* Room for one line of the transform. */
typedef struct line {
    double *f, *from; /* values; where each parabola begins to be the lowest */
    int64_t *at;      /* the parabolas' voxels */
} line;

/* f[q] = min over p of (step (q - p))^2 + f[p], in place; infinite f[p] are no parabolas. */
static void lower_envelope(line *l, double *f, int64_t count, int64_t stride, double step)
{
    int64_t k = -1;
    for (int64_t q = 0; q < count; q++)
        l->f[q] = f[q * stride];
    for (int64_t q = 0; q < count; q++) {
        double cross = -INFINITY;
        if (isinf(l->f[q]))
            continue;
        for (; k >= 0; k--) { /* where q's parabola meets the last one's */
            const int64_t p = l->at[k];
            cross = (l->f[q] - l->f[p]) / (2 * step * step * (double)(q - p)) + (double)(q + p) / 2;
            if (cross > l->from[k])
                break;
        }
        k++;
        l->at[k] = q;
        l->from[k] = k == 0 ? -INFINITY : cross;
    }
    for (int64_t q = 0, i = 0; q < count && k >= 0; q++) {
        while (i < k && l->from[i + 1] < (double)q)
            i++;
        const double away = step * (double)(q - l->at[i]);
        f[q * stride] = away * away + l->f[l->at[i]];
    }
}

vox_status vox_distance_transform(double *square_mm, const int64_t size[3],
                                  const double spacing_mm[3], vox_error *err)
{
    const int64_t stride[3] = {size[1] * size[2], size[2], 1}, all = size[0] * stride[0];
    size_t most = 0;
    for (int a = 0; a < 3; a++)
        most = (size_t)size[a] > most ? (size_t)size[a] : most;
    line l = {vox_calloc(most, sizeof(double), "a distance map", err),
              vox_calloc(most, sizeof(double), "a distance map", err),
              vox_calloc(most, sizeof(int64_t), "a distance map", err)};
    const bool room = l.f && l.from && l.at;
    for (int a = 2; a >= 0 && room; a--)
        for (int64_t first = 0; first < all; first++)
            if (first / stride[a] % size[a] == 0) /* where a line along this axis begins */
                lower_envelope(&l, square_mm + first, size[a], stride[a], spacing_mm[a]);
    free(l.f);
    free(l.from);
    free(l.at);
    return room ? VOX_OK : VOX_ERR_MEMORY;
}

static bool is_surface(const maps *m, int which, const int64_t at[3])
{
    const int64_t stride[3] = {m->size[1] * m->size[2], m->size[2], 1};
    const int64_t v = at[0] * stride[0] + at[1] * stride[1] + at[2];
    if (!is_in(m, which, v))
        return false;
    for (int a = 0; a < 3; a++)
        if (at[a] == 0 || at[a] == m->size[a] - 1 || !is_in(m, which, v - stride[a]) ||
            !is_in(m, which, v + stride[a]))
            return true;
    return false;
}

/* Calls for every voxel of the box: its place in the map and in the box. */
#define FOR_BOX(m, at, i)                                                                          \
    for (int64_t i = 0, at[3] = {(m)->low[0], (m)->low[1], (m)->low[2]}; at[0] < (m)->high[0];     \
         i++, next_voxel(m, at))

static void next_voxel(const maps *m, int64_t at[3])
{
    for (int a = 2; a >= 0; a--) {
        if (++at[a] < m->high[a] || a == 0)
            return;
        at[a] = m->low[a];
    }
}

/* The 95th percentile of the distances from the surface of one set to that of the other. */
static vox_status one_way(const maps *m, int from, const double spacing_mm[3], double *square,
                          double *out, vox_error *err)
{
    const int64_t box[3] = {m->high[0] - m->low[0], m->high[1] - m->low[1], m->high[2] - m->low[2]};
    size_t surface = 0, n = 0;
    FOR_BOX(m, at, i)
    {
        square[i] = is_surface(m, 1 - from, at) ? 0 : INFINITY;
        surface += is_surface(m, from, at);
    }
    vox_status s = vox_distance_transform(square, box, spacing_mm, err);
    double *distance = s == VOX_OK ? vox_calloc(surface, sizeof *distance, "distances", err) : NULL;
    if (!distance)
        return s == VOX_OK ? VOX_ERR_MEMORY : s;
    FOR_BOX(m, at, i)
    if (is_surface(m, from, at))
        distance[n++] = sqrt(square[i]);
    *out = vox_percentile(distance, surface, 95);
    free(distance);
    return VOX_OK;
}

static vox_status hausdorff(const maps *m, const double spacing_mm[3], double *out, vox_error *err)
{
    const size_t box = (size_t)(m->high[0] - m->low[0]) * (size_t)(m->high[1] - m->low[1]) *
                       (size_t)(m->high[2] - m->low[2]);
    double *square = vox_calloc(box, sizeof *square, "a distance map", err), way[2] = {0, 0};
    vox_status s = square ? VOX_OK : VOX_ERR_MEMORY;
    for (int from = 0; from < 2 && s == VOX_OK; from++)
        s = one_way(m, from, spacing_mm, square, &way[from], err);
    free(square);
    *out = fmax(way[0], way[1]);
    return s;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double vox_percentile(double *value, size_t count, double percent)
{
    const double place = percent / 100 * (double)(count - 1);
    const size_t low = (size_t)floor(place), high = low + 1 < count ? low + 1 : low;
    qsort(value, count, sizeof *value, by_value);
    return value[low] + (value[high] - value[low]) * (place - (double)low);
}

/* ---- all of a class ------------------------------------------------------------ */

vox_status vox_class_metrics_get(vox_class_metrics *out, const int32_t *truth,
                                 const int32_t *predicted, const int64_t size[3],
                                 const double spacing_mm[3], int32_t label, int32_t ignore,
                                 vox_empty_rule rule, vox_error *err)
{
    const double ml = spacing_mm[0] * spacing_mm[1] * spacing_mm[2] / 1000;
    maps m = {.map = {truth, predicted}, .size = size, .label = label, .ignore = ignore};
    vox_class_metrics r = {.hd95_mm = NAN};
    for (int a = 0; a < 3; a++)
        m.low[a] = size[a];
    count(&m, &r);
    r.dice = vox_dice(r.truth, r.predicted, r.both, rule);
    r.iou = ratio(r.both, r.truth + r.predicted - r.both);
    r.sensitivity = ratio(r.both, r.truth);
    r.precision = ratio(r.both, r.predicted);
    r.truth_ml = (double)r.truth * ml;
    r.predicted_ml = (double)r.predicted * ml;
    r.volume_error_ml = (double)(r.predicted - r.truth) * ml;
    r.volume_error = ratio(r.predicted - r.truth, r.truth);
    vox_status s = r.truth && r.predicted ? hausdorff(&m, spacing_mm, &r.hd95_mm, err) : VOX_OK;
    if (s == VOX_OK)
        *out = r;
    return s;
}
