/* metrics.c - how good a classifier is, from its class scores. */
#include "train/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void vox_metrics_clear(vox_metrics *m)
{
    m->samples = 0;
    m->loss_sum = 0;
    if (m->voxels)
        memset(m->voxels, 0, (size_t)(m->classes * m->classes) * sizeof *m->voxels);
}

void vox_metrics_release(vox_metrics *m)
{
    free(m->score);
    free(m->truth);
    free(m->voxels);
    memset(m, 0, sizeof *m);
}

vox_status vox_metrics_add(vox_metrics *m, size_t n, const float *score, const int32_t *truth,
                           const float *loss, vox_error *err)
{
    size_t classes = (size_t)m->classes;
    if (!vox_grow(&m->score, &m->score_room, (m->samples + n) * classes, sizeof *m->score, err) ||
        !vox_grow(&m->truth, &m->room, m->samples + n, sizeof *m->truth, err))
        return VOX_ERR_MEMORY;
    memcpy(m->score + m->samples * classes, score, n * classes * sizeof *score);
    memcpy(m->truth + m->samples, truth, n * sizeof *truth);
    for (size_t i = 0; i < n; i++)
        m->loss_sum += (double)loss[i];
    m->samples += n;
    return VOX_OK;
}

static int64_t class_of_voxel(const vox_metrics_map *map, const float *output)
{
    int64_t best = 0;
    if (map->channels == 1)
        return output[0] > map->threshold;
    for (int64_t k = 1; k < map->channels; k++)
        if (output[(size_t)k * map->voxels] > output[(size_t)best * map->voxels])
            best = k;
    return best;
}

vox_status vox_metrics_add_maps(vox_metrics *m, size_t n, const vox_metrics_map *map,
                                const float *output, const int32_t *truth, const float *loss,
                                vox_error *err)
{
    size_t sample = (size_t)map->channels * map->voxels;
    if (!m->voxels)
        m->voxels = vox_calloc((size_t)(m->classes * m->classes), sizeof *m->voxels, "counts", err);
    if (!m->voxels)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < n; i++, truth += map->voxels) {
        m->loss_sum += (double)loss[i];
        for (size_t v = 0; v < map->voxels; v++)
            if (truth[v] >= 0 && truth[v] < m->classes)
                m->voxels[truth[v] * m->classes + class_of_voxel(map, output + i * sample + v)]++;
    }
    m->samples += n;
    return VOX_OK;
}

int64_t vox_metrics_argmax(const float *score, int64_t classes)
{
    int64_t best = 0;
    for (int64_t k = 1; k < classes; k++)
        if (score[k] > score[best])
            best = k;
    return best;
}

void vox_metrics_softmax(const float *x, int64_t classes, float *p)
{
    double most = (double)x[vox_metrics_argmax(x, classes)], sum = 0;
    for (int64_t k = 0; k < classes; k++)
        sum += exp((double)x[k] - most);
    for (int64_t k = 0; k < classes; k++)
        p[k] = (float)(exp((double)x[k] - most) / sum);
}

typedef struct ranked {
    float score;
    bool positive;
} ranked;

static int by_score(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    return (x->score > y->score) - (x->score < y->score);
}

/* AUC of one class against the rest; NaN if one side is empty.  list[samples] is room. */
static double class_auc(const vox_metrics *m, int64_t k, ranked *list)
{
    double positives = 0, rank_sum = 0, n = (double)m->samples;
    for (size_t i = 0; i < m->samples; i++) {
        list[i].score = m->score[i * (size_t)m->classes + (size_t)k];
        list[i].positive = m->truth[i] == k;
        positives += list[i].positive;
    }
    if (positives == 0 || positives == n)
        return NAN;
    qsort(list, m->samples, sizeof *list, by_score);
    for (size_t i = 0, end; i < m->samples; i = end) {
        double in_tie = list[i].positive;
        for (end = i + 1; end < m->samples && list[end].score == list[i].score; end++)
            in_tie += list[end].positive;
        /* ranks i+1 .. end share their mean */
        rank_sum += in_tie * ((double)(i + 1) + (double)end) / 2;
    }
    double u = rank_sum - positives * (positives + 1) / 2;
    return u / (positives * (n - positives));
}

static double mean_auc(const vox_metrics *m, ranked *list)
{
    double sum = 0;
    int64_t defined = 0;
    for (int64_t k = 0; k < m->classes; k++) {
        double auc = class_auc(m, k, list);
        if (isnan(auc))
            continue;
        sum += auc;
        defined++;
    }
    return defined ? sum / (double)defined : NAN;
}

static double quadratic_kappa(const int64_t *confusion, int64_t classes, double samples)
{
    double observed = 0, expected = 0;
    for (int64_t i = 0; i < classes; i++) {
        for (int64_t j = 0; j < classes; j++) {
            double row = 0, column = 0, w = (double)((i - j) * (i - j));
            for (int64_t k = 0; k < classes; k++) {
                row += (double)confusion[i * classes + k];
                column += (double)confusion[k * classes + j];
            }
            observed += w * (double)confusion[i * classes + j];
            expected += w * row * column / samples;
        }
    }
    return expected > 0 ? 1 - observed / expected : NAN;
}

void vox_metrics_dice(vox_metrics_result *r)
{
    double sum = 0;
    int64_t defined = 0;
    for (int64_t c = 0; c < r->classes; c++) {
        double row = 0, column = 0; /* there, predicted */
        for (int64_t k = 0; k < r->classes; k++) {
            row += (double)r->confusion[c * r->classes + k];
            column += (double)r->confusion[k * r->classes + c];
        }
        const double right = (double)r->confusion[c * r->classes + c];
        r->class_dice[c] = row + column > 0 ? 2 * right / (row + column) : NAN;
        if (c > 0 && row + column > 0) {
            sum += r->class_dice[c];
            defined++;
        }
    }
    r->dice = defined ? sum / (double)defined : NAN;
}

static void get_voxels(const vox_metrics *m, vox_metrics_result *out)
{
    double right = 0, all = 0;
    for (int64_t i = 0; i < m->classes * m->classes; i++) {
        out->confusion[i] = m->voxels[i];
        all += (double)m->voxels[i];
        right += i / m->classes == i % m->classes ? (double)m->voxels[i] : 0;
    }
    out->accuracy = right / all;
    out->maps = true;
    vox_metrics_dice(out);
}

vox_status vox_metrics_get(const vox_metrics *m, vox_metrics_result *out, vox_error *err)
{
    memset(out, 0, sizeof *out);
    out->samples = (int64_t)m->samples;
    out->classes = m->classes;
    out->loss = out->accuracy = out->auc = out->kappa = out->dice = NAN;
    for (int64_t c = 0; c < VOX_CLASSES_MAX; c++)
        out->class_dice[c] = NAN;
    if (m->samples == 0)
        return VOX_OK;
    out->loss = m->loss_sum / (double)m->samples;
    if (m->voxels) {
        get_voxels(m, out);
        return VOX_OK;
    }
    ranked *list = vox_calloc(m->samples, sizeof *list, "ranks", err);
    if (!list)
        return VOX_ERR_MEMORY;
    int64_t right = 0;
    for (size_t i = 0; i < m->samples; i++) {
        int64_t guess = vox_metrics_argmax(m->score + i * (size_t)m->classes, m->classes);
        out->confusion[m->truth[i] * m->classes + guess]++;
        right += guess == m->truth[i];
    }
    out->accuracy = (double)right / (double)m->samples;
    out->auc = mean_auc(m, list);
    out->kappa = quadratic_kappa(out->confusion, m->classes, (double)m->samples);
    free(list);
    return VOX_OK;
}
