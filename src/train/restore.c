/* restore.c - what a network says of a prepared volume, brought to another grid. */
#include "train/restore.h"

#include <math.h>
#include <string.h>

/* ---- probabilities -------------------------------------------------------- */

vox_score_kind vox_score_kind_of(const vox_node *loss, int64_t channels)
{
    if (strcmp(loss->op->name, "bce") == 0)
        return VOX_SCORE_PLAIN;
    return channels == 1 || strcmp(loss->op->name, "bce_logits") == 0 ? VOX_SCORE_SIGMOID
                                                                      : VOX_SCORE_SOFTMAX;
}

typedef struct activation {
    float *score;
    vox_score_kind kind;
    int64_t channels;
    size_t voxels;
} activation;

enum { BLOCK = 4096 };

static void softmax(float *x, int64_t channels, size_t stride)
{
    float most = x[0], sum = 0;
    for (int64_t k = 1; k < channels; k++)
        most = fmaxf(most, x[(size_t)k * stride]);
    for (int64_t k = 0; k < channels; k++)
        sum += x[(size_t)k * stride] = expf(x[(size_t)k * stride] - most);
    for (int64_t k = 0; k < channels; k++)
        x[(size_t)k * stride] /= sum;
}

static void activate_block(void *user, size_t block)
{
    const activation *a = user;
    const size_t from = block * BLOCK, to = from + BLOCK < a->voxels ? from + BLOCK : a->voxels;
    for (size_t v = from; v < to; v++) {
        if (a->kind == VOX_SCORE_SOFTMAX)
            softmax(a->score + v, a->channels, a->voxels);
        for (int64_t k = 0; a->kind == VOX_SCORE_SIGMOID && k < a->channels; k++) {
            float *x = a->score + (size_t)k * a->voxels + v;
            *x = 1 / (1 + expf(-*x));
        }
    }
}

void vox_score_activate(float *score, vox_score_kind kind, int64_t channels, size_t voxels,
                        vox_pool *pool)
{
    activation a = {score, kind, channels, voxels};
    if (kind != VOX_SCORE_PLAIN)
        vox_pool_for(pool, (voxels + BLOCK - 1) / BLOCK, activate_block, &a);
}

/* ---- another grid --------------------------------------------------------- */

/* The eight voxels around a point and their weights; whole: the first has all the weight. */
typedef struct around {
    size_t at[8];
    float weight[8];
    bool whole;
} around;

/* False: the point lies outside of all voxels. */
static bool find_around(const int64_t size[3], const double index[3], around *out)
{
    int64_t low[3], high[3];
    float part[3];
    for (int a = 0; a < 3; a++) {
        const double last = (double)(size[a] - 1), x = index[a];
        if (!(x >= -0.5 - 1e-6 && x <= last + 0.5 + 1e-6))
            return false;
        const double p = x > 0 ? (x < last ? x : last) : 0;
        low[a] = (int64_t)p;
        high[a] = low[a] + 1 < size[a] ? low[a] + 1 : low[a];
        part[a] = (float)(p - (double)low[a]);
    }
    out->whole = part[0] == 0 && part[1] == 0 && part[2] == 0;
    for (int i = 0; i < (out->whole ? 1 : 8); i++) {
        const int64_t d = i & 4 ? high[0] : low[0], h = i & 2 ? high[1] : low[1],
                      w = i & 1 ? high[2] : low[2];
        out->at[i] = (size_t)((d * size[1] + h) * size[2] + w);
        out->weight[i] = (i & 4 ? part[0] : 1 - part[0]) * (i & 2 ? part[1] : 1 - part[1]) *
                         (i & 1 ? part[2] : 1 - part[2]);
    }
    return true;
}

static float sample(const float *score, const around *a)
{
    float sum = 0;
    if (a->whole)
        return score[a->at[0]];
    for (int i = 0; i < 8; i++)
        sum += a->weight[i] * score[a->at[i]];
    return sum;
}

static uint8_t best_class(const vox_restore *r, const around *a, size_t voxels)
{
    float best = sample(r->score, a);
    uint8_t class = 0;
    if (r->channels == 1)
        return best > 0.5f;
    for (int64_t k = 1; k < r->channels; k++) {
        const float p = sample(r->score + (size_t)k * voxels, a);
        if (p > best) {
            best = p;
            class = (uint8_t)k;
        }
    }
    return class;
}

static float class_value(const vox_restore *r, int64_t k, const around *a, size_t voxels)
{
    if (r->channels > 1)
        return sample(r->score + (size_t)k * voxels, a);
    const float p = sample(r->score, a);
    return k == 1 ? p : 1 - p;
}

typedef struct restoring {
    const vox_restore *r;
    uint8_t *label; /* one of the two */
    float *value;
    int64_t class;
} restoring;

static void restore_row(void *user, size_t row)
{
    const restoring *job = user;
    const vox_restore *r = job->r;
    const vox_voxel_map *m = &r->map;
    const size_t voxels = (size_t)(m->size[0] * m->size[1] * m->size[2]);
    const double d = (double)((int64_t)row / r->size[1]), h = (double)((int64_t)row % r->size[1]);
    for (int64_t w = 0; w < r->size[2]; w++) {
        const size_t at = row * (size_t)r->size[2] + (size_t)w;
        double index[3];
        around a;
        for (int i = 0; i < 3; i++)
            index[i] = m->offset[i] + d * m->matrix[i][0] + h * m->matrix[i][1] +
                       (double)w * m->matrix[i][2];
        const bool inside = find_around(m->size, index, &a);
        if (job->label)
            job->label[at] = inside ? best_class(r, &a, voxels) : 0;
        else if (inside)
            job->value[at] = class_value(r, job->class, &a, voxels);
        else
            job->value[at] = job->class == 0;
    }
}

void vox_restore_labels(const vox_restore *r, vox_pool *pool, uint8_t *label)
{
    restoring job = {.r = r, .label = label};
    vox_pool_for(pool, (size_t)(r->size[0] * r->size[1]), restore_row, &job);
}

void vox_restore_class(const vox_restore *r, int64_t k, vox_pool *pool, float *out)
{
    restoring job = {.r = r, .value = out, .class = k};
    vox_pool_for(pool, (size_t)(r->size[0] * r->size[1]), restore_row, &job);
}
