/* segmenting.h - what the tests of whole-volume prediction share: checkpoints of networks whose
 * weights are known, and scans on grids of all kinds. */
#ifndef VOX_TESTS_SEGMENTING_H
#define VOX_TESTS_SEGMENTING_H

#include "training.h"

#include "train/checkpoint.h"
#include "train/experiment.h"

/* Whether this build can train, and read and write the scans; else says why not. */
static inline bool segmenting_possible(void)
{
#if defined(VOXCL_WITH_NIFTI) && defined(VOXCL_WITH_ZLIB)
    return training_possible();
#else
    printf("skipped: built without NIfTI or zlib\n");
    return false;
#endif
}

#define MOST_VOXELS 8192

/* A 1x1x1 convolution on windows of 4 x 6 x 8 voxels: class 1 where channel 0 is above 4.5. */
#define THRESHOLD_NETWORK                                                                          \
    "network:\n"                                                                                   \
    "  input: {channels: 1, size: [4, 6, 8]}\n"                                                    \
    "  layers: [{conv: {name: c, out: 2, kernel: 1}}]\n"                                           \
    "  loss: cross_entropy\n"                                                                      \
    "train: {batch: 2}\n"

static const float threshold_weights[] = {-20, 20, 90, -90};

/* Saves a checkpoint of one convolution "c": weights, then biases.  more: further YAML. */
static inline const char *save_network(const char *name, const char *network, const char *more,
                                       const float *weights)
{
    vox_error err = {0};
    vox_experiment *exp = NULL;
    vox_checkpoint c = {0};
    const char *path = training_path(name);
    char text[2048];
    snprintf(text, sizeof text, "name: known\n%s%s", network, more);
    assert_ok(vox_experiment_parse(&exp, text, "known.yaml", ".", &err));
    assert_ok(vox_checkpoint_make(&c, exp->graph, false, NULL, 0, &err));
    const vox_graph_param *w = &exp->graph->param[0], *b = &exp->graph->param[1];
    memcpy(c.params + w->offset, weights, w->count * sizeof(float));
    memcpy(c.params + b->offset, weights + w->count, b->count * sizeof(float));
    c.experiment = vox_strdup(text, &err);
    c.data_dir = vox_strdup(".", &err);
    assert_ok(vox_checkpoint_save(&c, exp->graph, path, &err));
    vox_checkpoint_release(&c);
    vox_experiment_free(&exp);
    return path;
}

/* Whole numbers 0..9 on an oblique grid; the axes are turned by `turn` (0..47: an order of the axes
 * and which of them are reversed). */
static inline void make_scan(vox_image *im, float *voxel, const int64_t size[3], int turn)
{
    static const int order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    /* orthonormal: a turn of 20 degrees about z, then of 10 about x */
    static const double axis[3][3] = {{0.05939117, -0.16317591, 0.98480775},
                                      {-0.33682409, 0.92541658, 0.17364818},
                                      {0.93969262, 0.34202014, 0.00000000}};
    memset(im, 0, sizeof *im);
    im->voxel = voxel;
    im->channels = 1;
    im->has_geometry = true;
    for (int a = 0; a < 3; a++) {
        im->size[a] = size[a];
        im->spacing_mm[a] = 0.7 + 0.9 * a;
        im->origin_mm[a] = -31.4 + 50 * a;
        for (int x = 0; x < 3; x++)
            im->direction[a][x] = axis[order[turn / 8][a]][x] * (turn >> a & 1 ? -1 : 1);
    }
    for (int64_t i = 0; i < size[0] * size[1] * size[2]; i++)
        voxel[i] = (float)((i * 7919 + i / 13) % 10);
}

typedef struct opened {
    vox_ctx *ctx;
    vox_model *model;
} opened;

static inline opened open_model(const char *devices, const char *checkpoint)
{
    vox_error err = {0};
    opened o = {NULL, NULL};
    assert_ok(vox_ctx_open(&o.ctx, devices, &err));
    assert_ok(vox_model_open(&o.model, o.ctx, checkpoint, &err));
    return o;
}

static inline void close_model(opened *o)
{
    vox_model_free(&o->model);
    vox_ctx_free(&o->ctx);
}

static inline vox_image *read_image(const char *path)
{
    vox_error err = {0};
    vox_image *im = NULL;
    assert_ok(vox_image_read(&im, path, &err));
    return im;
}

/* The files in the test's folder whose names begin so. */
static inline size_t count_files(const char *start)
{
    vox_names names = {0};
    size_t count = 0;
    assert_int_equal(vox_dir_list(&names, training_dir, NULL), VOX_OK);
    for (size_t i = 0; i < names.count; i++)
        count += strncmp(names.name[i], start, strlen(start)) == 0;
    vox_names_release(&names);
    return count;
}

#endif
