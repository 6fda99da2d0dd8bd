/* segment.c - one scan through prepare, network and back. */
#include "train/segment.h"

#include "base/host.h"
#include "data/input.h"

#include <stdlib.h>
#include <string.h>

vox_status vox_segment_check(const vox_model *model, vox_error *err)
{
    int64_t channels;
    if (vox_graph_labels(model->exp->graph) > 1)
        return vox_sliding_channels(model->exp->graph, &channels, err);
    vox_fail(err, VOX_ERR_USAGE, "the network is a classifier, which makes no masks");
    return vox_hint(err, "write class probabilities, to a .csv file");
}

double vox_segment_overlap(double overlap)
{
    return overlap < 0 ? 0 : overlap == 0 ? 0.5 : overlap;
}

/* ---- mirrored axes -------------------------------------------------------- */

static vox_status trained_axes(const vox_model *model, unsigned *axes, vox_error *err)
{
    const vox_yaml_node *list = model->exp->data.augment, *value;
    const char *word;
    for (size_t i = 0; list && i < vox_yaml_count(list); i++) {
        vox_status s = vox_yaml_single(vox_yaml_item(list, i), "a step", &word, &value, err);
        if (s != VOX_OK)
            return s;
        const vox_yaml_node *names =
            strcmp(word, "mirror") == 0 ? vox_yaml_find(value, "axes") : NULL;
        for (size_t k = 0; names && k < vox_yaml_count(names); k++) {
            const char *axis = vox_yaml_text(vox_yaml_item(names, k));
            const char *at = axis && axis[0] ? strchr("dhw", axis[0]) : NULL;
            *axes |= at ? 1u << (at - "dhw") : 0;
        }
    }
    return VOX_OK;
}

vox_status vox_segment_mirror(const vox_model *model, const char *text, unsigned *axes,
                              vox_error *err)
{
    static const char letters[] = "dhw";
    *axes = 0;
    if (!text)
        return VOX_OK;
    if (strcmp(text, "trained") == 0)
        return trained_axes(model, axes, err);
    if (strcmp(text, "all") == 0) {
        *axes = 7;
        return VOX_OK;
    }
    for (const char *p = text; *p; p++) {
        const char *at = strchr(letters, *p);
        if (!at) {
            vox_fail(err, VOX_ERR_USAGE, "there is no axis '%c' to mirror along", *p);
            return vox_hint(err, "mirror takes all, trained, or some of the letters d, h and w");
        }
        *axes |= 1u << (at - letters);
    }
    return VOX_OK;
}

/* ---- memory --------------------------------------------------------------- */

static vox_status check_memory(const vox_model *model, const vox_segmentation *s,
                               const vox_image *image, vox_error *err)
{
    const double gib = 1024.0 * 1024 * 1024;
    const int64_t *n = s->grid.size;
    const uint64_t there = vox_host_free_bytes();
    /* the scores, a mask or a class's probabilities on the scan's grid, and the windows */
    const uint64_t want = (uint64_t)s->restore.channels * vox_volume_voxels(image) * sizeof(float) +
                          (uint64_t)(n[0] * n[1] * n[2]) * sizeof(float) +
                          vox_sliding_bytes(model->exp->graph, model->batch);
    if (there == 0 || want <= there)
        return VOX_OK;
    vox_fail(err, VOX_ERR_MEMORY, "the prediction needs %.1f GiB of host memory, %.1f are free",
             (double)want / gib, (double)there / gib);
    vox_detail(err, "%lld outputs for each of %lld x %lld x %lld voxels",
               (long long)s->restore.channels, (long long)image->size[0], (long long)image->size[1],
               (long long)image->size[2]);
    return vox_hint(err, "train on a larger spacing (prepare: resample), or cut the scan");
}

/* ---- the run -------------------------------------------------------------- */

static vox_status keep_grid(vox_segmentation *s, const vox_image *image, bool keep_channel,
                            vox_error *err)
{
    const size_t n = vox_volume_voxels(image);
    s->grid = *image;
    s->grid.voxel = NULL;
    s->grid.channels = 1;
    if (!keep_channel)
        return VOX_OK;
    s->grid.voxel = vox_calloc(n, sizeof(float), "a copy of the scan", err);
    if (!s->grid.voxel)
        return VOX_ERR_MEMORY;
    memcpy(s->grid.voxel, image->voxel, n * sizeof(float));
    return VOX_OK;
}

static vox_status run_network(vox_segmentation *s, vox_model *model, const vox_image *image,
                              const vox_sliding_options *opt, vox_pool *pool, vox_error *err)
{
    const vox_graph *graph = model->exp->graph;
    const size_t voxels = vox_volume_voxels(image);
    const int64_t channels = s->restore.channels;
    vox_sliding_options sliding = *opt;
    sliding.batch = model->batch;
    s->score = vox_calloc((size_t)channels, voxels * sizeof(float), "the outputs", err);
    if (!s->score)
        return VOX_ERR_MEMORY;
    s->restore.score = s->score;
    vox_status status = vox_sliding_run(model->team, graph, image->voxel, image->size, &sliding,
                                        pool, s->score, &s->times, err);
    if (status == VOX_OK)
        vox_score_activate(s->score, vox_score_kind_of(&graph->loss.node, channels), channels,
                           voxels, pool);
    return status;
}

static vox_status wrong_channels(const vox_graph *graph, const vox_image *image, vox_error *err)
{
    vox_status s = vox_input_channels(graph->input.dim + 1, image, err);
    vox_hint(err, "the checkpoint's network takes those that it was trained on, in the same order; "
                  "several files are the channels of one scan");
    return s;
}

vox_status vox_segment_run(vox_segmentation *out, vox_model *model, vox_prepared *p,
                           const vox_prepare *steps, const vox_sliding_options *opt,
                           bool keep_channel, vox_pool *pool, vox_error *err)
{
    const vox_graph *graph = model->exp->graph;
    memset(out, 0, sizeof *out);
    vox_status s = vox_sliding_channels(graph, &out->restore.channels, err);
    if (s == VOX_OK && p->image->channels != graph->input.dim[1])
        s = wrong_channels(graph, p->image, err);
    if (s == VOX_OK)
        s = keep_grid(out, p->image, keep_channel, err);
    if (s == VOX_OK)
        s = vox_prepare_apply(steps, p, err);
    if (s == VOX_OK)
        s = vox_volume_map(&out->restore.map, &out->grid, p->image, err);
    if (s == VOX_OK)
        s = check_memory(model, out, p->image, err);
    if (s == VOX_OK)
        s = run_network(out, model, p->image, opt, pool, err);
    memcpy(out->restore.size, out->grid.size, sizeof out->restore.size);
    out->classes = model->classes;
    return s;
}

void vox_segmentation_release(vox_segmentation *s)
{
    free(s->grid.voxel);
    free(s->score);
    memset(s, 0, sizeof *s);
}
