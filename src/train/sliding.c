/* sliding.c - a network over a whole volume, window by window.
 *
 * While the devices compute one batch of windows, a thread of the host adds the outputs of the
 * batch before to the mean and cuts out the windows of the batch after. */
#include "train/sliding.h"

#include "base/log.h"
#include "train/windows.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { FLIPS_MAX = 8 };

typedef struct sliding {
    vox_windows windows;
    const float *voxel;
    float *mean;
    int64_t in_channels, out_channels;
    unsigned flip[FLIPS_MAX]; /* axes reversed, as bits d 1, h 2, w 4 */
    int64_t flips, items;     /* an item is a window seen one way */
    int64_t batch;
    size_t window; /* voxels */
    float *in[2];  /* [batch, in_channels, window]: of batches in turn */
    float *out[2]; /* [batch, out_channels, window] */
    vox_pool *pool;
    int64_t blending, gathering; /* batches; -1: none */
} sliding;

static int64_t batch_items(const sliding *s, int64_t b)
{
    const int64_t left = s->items - b * s->batch;
    return left < s->batch ? left : s->batch;
}

/* One item: where it lies and which way it is seen. */
typedef struct item {
    int64_t start[3];
    const float *weight[3]; /* [size]: of the window's voxels, not flipped */
    bool flip[3];
} item;

static item get_item(const sliding *s, int64_t i)
{
    const vox_windows *w = &s->windows;
    int64_t at[3];
    item out;
    vox_windows_place(w, i / s->flips, at);
    for (int a = 0; a < 3; a++) {
        out.start[a] = w->start[a][at[a]];
        out.weight[a] = w->weight[a] + at[a] * w->size[a];
        out.flip[a] = s->flip[i % s->flips] >> a & 1;
    }
    return out;
}

/* Voxel x of a window as the network sees it is voxel y of the volume's side. */
static int64_t seen_at(const sliding *s, const item *t, int a, int64_t y)
{
    return t->flip[a] ? s->windows.size[a] - 1 - y : y;
}

/* The voxels of a window along an axis that lie in the volume: [*from, *to). */
static void inside(const sliding *s, const item *t, int a, int64_t *from, int64_t *to)
{
    const int64_t start = t->start[a], of = s->windows.of[a], size = s->windows.size[a];
    *from = start < 0 ? -start : 0;
    *to = of - start < size ? of - start : size;
}

/* ---- cutting out ---------------------------------------------------------- */

static void gather_row(float *to, const float *from, int64_t count, bool reversed)
{
    if (!reversed)
        memcpy(to, from, (size_t)count * sizeof *to);
    for (int64_t x = 0; reversed && x < count; x++)
        to[-x] = from[x];
}

/* One channel of one item of the batch. */
static void gather(void *user, size_t job)
{
    const sliding *s = user;
    const int64_t i = (int64_t)job / s->in_channels, c = (int64_t)job % s->in_channels;
    const item t = get_item(s, s->gathering * s->batch + i);
    const int64_t *n = s->windows.size, *of = s->windows.of;
    float *to = s->in[s->gathering & 1] + job * s->window;
    int64_t from[3], end[3];
    for (int a = 0; a < 3; a++)
        inside(s, &t, a, &from[a], &end[a]);
    memset(to, 0, s->window * sizeof *to);
    for (int64_t d = from[0]; d < end[0]; d++)
        for (int64_t h = from[1]; h < end[1]; h++) {
            const float *row =
                s->voxel + ((c * of[0] + t.start[0] + d) * of[1] + t.start[1] + h) * of[2];
            float *seen = to + (seen_at(s, &t, 0, d) * n[1] + seen_at(s, &t, 1, h)) * n[2];
            gather_row(seen + seen_at(s, &t, 2, from[2]), row + t.start[2] + from[2],
                       end[2] - from[2], t.flip[2]);
        }
}

/* ---- blending ------------------------------------------------------------- */

static void blend_row(float *mean, const float *out, const float *weight, float factor,
                      int64_t count, bool reversed)
{
    if (reversed) {
        for (int64_t x = 0; x < count; x++)
            mean[x] += factor * weight[x] * out[-x];
        return;
    }
    for (int64_t x = 0; x < count; x++)
        mean[x] += factor * weight[x] * out[x];
}

/* One slice of an item in a slice of the mean. */
static void blend_slice(const sliding *s, const item *t, int64_t d, const float *out, float *mean)
{
    const int64_t *n = s->windows.size;
    int64_t from[3], end[3];
    for (int a = 0; a < 3; a++)
        inside(s, t, a, &from[a], &end[a]);
    const float whole = t->weight[0][d] / (float)s->flips;
    out += seen_at(s, t, 0, d) * n[1] * n[2] + seen_at(s, t, 2, from[2]);
    for (int64_t h = from[1]; h < end[1]; h++)
        blend_row(mean + (t->start[1] + h) * s->windows.of[2] + t->start[2] + from[2],
                  out + seen_at(s, t, 1, h) * n[2], t->weight[2] + from[2], whole * t->weight[1][h],
                  end[2] - from[2], t->flip[2]);
}

/* One slice of one channel of the mean, from all items of the batch: a voxel belongs to one job,
 * which adds to it in the order of the items. */
static void blend(void *user, size_t job)
{
    const sliding *s = user;
    const int64_t *of = s->windows.of;
    const int64_t k = (int64_t)job / of[0], d = (int64_t)job % of[0];
    const float *out = s->out[s->blending & 1];
    for (int64_t i = 0; i < batch_items(s, s->blending); i++) {
        const item t = get_item(s, s->blending * s->batch + i);
        const int64_t in = d - t.start[0];
        if (in >= 0 && in < s->windows.size[0])
            blend_slice(s, &t, in, out + (size_t)(i * s->out_channels + k) * s->window,
                        s->mean + (k * of[0] + d) * of[1] * of[2]);
    }
}

/* ---- the loop ------------------------------------------------------------- */

static void *beside(void *user)
{
    sliding *s = user;
    if (s->blending >= 0)
        vox_pool_for(s->pool, (size_t)(s->out_channels * s->windows.of[0]), blend, s);
    if (s->gathering >= 0)
        vox_pool_for(s->pool, (size_t)(batch_items(s, s->gathering) * s->in_channels), gather, s);
    return NULL;
}

/* Batch b on the devices, its neighbours' work beside it. */
static vox_status run_batch(sliding *s, vox_team *team, int64_t b, int64_t batches, vox_error *err)
{
    pthread_t thread;
    const vox_team_batch batch = {.voxel = s->in[b & 1], .n = batch_items(s, b)};
    s->blending = b - 1;
    s->gathering = b + 1 < batches ? b + 1 : -1;
    const bool apart = pthread_create(&thread, NULL, beside, s) == 0;
    vox_status status = vox_team_eval(team, &batch, s->out[b & 1], NULL, err);
    if (apart)
        pthread_join(thread, NULL);
    else
        beside(s);
    return status;
}

static vox_status run_batches(sliding *s, vox_team *team, const vox_sliding_options *opt,
                              vox_sliding_times *times, vox_error *err)
{
    const int64_t batches = (s->items + s->batch - 1) / s->batch;
    vox_status status = VOX_OK;
    s->blending = -1;
    s->gathering = 0;
    beside(s);
    for (int64_t b = 0; b < batches && status == VOX_OK; b++) {
        if (opt->should_stop && opt->should_stop(opt->user)) {
            vox_fail(err, VOX_ERR_INTERRUPTED, "stopped before the volume was predicted");
            vox_detail(err, "%lld of %lld windows were done; nothing was written",
                       (long long)(b * s->batch), (long long)s->items);
            return VOX_ERR_INTERRUPTED;
        }
        const double begun = vox_now();
        status = run_batch(s, team, b, batches, err);
        times->network_s += vox_now() - begun;
        if (status == VOX_OK && opt->on_progress)
            opt->on_progress(opt->user, b * s->batch + batch_items(s, b), s->items);
    }
    s->blending = batches - 1;
    s->gathering = -1;
    if (status == VOX_OK)
        beside(s);
    return status;
}

static void list_flips(sliding *s, unsigned mirror)
{
    for (unsigned axes = 0; axes < FLIPS_MAX; axes++)
        if ((axes & ~mirror) == 0)
            s->flip[s->flips++] = axes;
}

static vox_status make_buffers(sliding *s, vox_error *err)
{
    const size_t n = (size_t)s->batch * s->window * sizeof(float);
    for (int i = 0; i < 2; i++) {
        s->in[i] = vox_calloc((size_t)s->in_channels, n, "a batch of windows", err);
        s->out[i] = vox_calloc((size_t)s->out_channels, n, "a batch of outputs", err);
        if (!s->in[i] || !s->out[i])
            return VOX_ERR_MEMORY;
    }
    return VOX_OK;
}

uint64_t vox_sliding_bytes(const vox_graph *graph, int64_t batch)
{
    const vox_shape *out = vox_graph_edge_shape(graph, graph->layers);
    return 2 * sizeof(float) * (uint64_t)batch *
           (uint64_t)(vox_sample_floats(&graph->input, VOX_LAYOUT_PLAIN) +
                      vox_sample_floats(out, VOX_LAYOUT_PLAIN));
}

vox_status vox_sliding_channels(const vox_graph *graph, int64_t *channels, vox_error *err)
{
    const vox_shape *in = &graph->input, *out = vox_graph_edge_shape(graph, graph->layers);
    char text[2][96];
    *channels = out->dim[1];
    if (out->rank == 5 && memcmp(in->dim + 2, out->dim + 2, 3 * sizeof in->dim[0]) == 0)
        return VOX_OK;
    vox_fail(err, VOX_ERR_INPUT, "the network has not an output for every voxel of its input");
    vox_detail(err, "it takes %s, and its last layer \"%s\" gives %s", vox_shape_text(in, text[0]),
               vox_graph_edge_name(graph, graph->layers), vox_shape_text(out, text[1]));
    return VOX_ERR_INPUT;
}

/* A NaN or an infinity of any window is still there. */
static vox_status check_finite(const sliding *s, vox_error *err)
{
    const int64_t *of = s->windows.of;
    const size_t count = (size_t)(s->out_channels * of[0] * of[1] * of[2]);
    for (size_t i = 0; i < count; i++) {
        if (isfinite(s->mean[i]))
            continue;
        vox_fail(err, VOX_ERR_NONFINITE, "the network's output is not finite");
        return vox_hint(err, "compare the input's range of values with the training data's");
    }
    return VOX_OK;
}

static void release(sliding *s)
{
    for (int i = 0; i < 2; i++) {
        free(s->in[i]);
        free(s->out[i]);
    }
    vox_windows_release(&s->windows);
}

vox_status vox_sliding_run(vox_team *team, const vox_graph *graph, const float *voxel,
                           const int64_t size[3], const vox_sliding_options *opt, vox_pool *pool,
                           float *mean, vox_sliding_times *times, vox_error *err)
{
    const double begun = vox_now();
    const int64_t *window = graph->input.dim + 2;
    sliding s = {.voxel = voxel,
                 .mean = mean,
                 .in_channels = graph->input.dim[1],
                 .batch = opt->batch,
                 .window = (size_t)(window[0] * window[1] * window[2]),
                 .pool = pool};
    memset(times, 0, sizeof *times);
    vox_status status = vox_sliding_channels(graph, &s.out_channels, err);
    if (status == VOX_OK)
        status = vox_windows_init(&s.windows, size, window, opt->overlap, err);
    if (status == VOX_OK)
        status = make_buffers(&s, err);
    if (status == VOX_OK) {
        list_flips(&s, opt->mirror);
        s.items = times->windows = vox_windows_total(&s.windows) * s.flips;
        memset(mean, 0, (size_t)(s.out_channels * size[0] * size[1] * size[2]) * sizeof *mean);
        status = run_batches(&s, team, opt, times, err);
    }
    if (status == VOX_OK)
        status = check_finite(&s, err);
    release(&s);
    times->all_s = vox_now() - begun;
    vox_log(VOX_LOG_DEBUG, "%lld windows in %.3f s, of which the devices had work for %.3f s",
            (long long)times->windows, times->all_s, times->network_s);
    return status;
}
