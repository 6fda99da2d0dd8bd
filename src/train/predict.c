/* predict.c - vox_model_predict: images in, class probabilities out.
 *
 * One invariant: the output file appears only when every input was predicted. */
#include "data/input.h"
#include "train/model.h"
#include "train/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct prediction {
    const vox_model *model;
    const char *const *input; /* [count] */
    size_t count;
    size_t sample, classes; /* floats of an input and an output */
    float *voxel;           /* [batch, sample] */
    float *output;          /* [count, classes] */
    /* one batch being read */
    size_t first;
    vox_status *status; /* [batch] */
    vox_error *error;   /* [batch] */
} prediction;

static void read_input(void *user, size_t i)
{
    prediction *p = user;
    const vox_experiment *exp = p->model->exp;
    p->status[i] =
        vox_dataset_read_input(p->input[p->first + i], exp->data.prepare, &p->model->saved.stats,
                               exp->graph->input.dim + 1, p->voxel + i * p->sample, &p->error[i]);
}

static vox_status predict_batch(prediction *p, size_t n, vox_pool *pool, vox_error *err)
{
    vox_pool_for(pool, n, read_input, p);
    for (size_t i = 0; i < n; i++) {
        if (p->status[i] == VOX_OK)
            continue;
        if (err)
            *err = p->error[i];
        return p->status[i];
    }
    const vox_team_batch batch = {.voxel = p->voxel, .n = (int64_t)n};
    float *output = p->output + p->first * p->classes;
    vox_status s = vox_team_eval(p->model->team, &batch, output, NULL, err);
    for (size_t i = 0; s == VOX_OK && i < n * p->classes; i++) {
        if (isfinite(output[i]))
            continue;
        s = vox_fail(err, VOX_ERR_NONFINITE, "the network's output is not finite");
        vox_detail(err, "%s", p->input[p->first + i / p->classes]);
        vox_hint(err, "compare the input's range of values with the training data's");
    }
    return s;
}

static vox_status predict_all(prediction *p, vox_error *err)
{
    size_t batch = (size_t)p->model->batch;
    vox_pool *pool = NULL;
    p->voxel = vox_calloc(batch, p->sample * sizeof(float), "a batch of inputs", err);
    p->output = vox_calloc(p->count, p->classes * sizeof(float), "the outputs", err);
    p->status = vox_calloc(batch, sizeof *p->status, "a batch of inputs", err);
    p->error = vox_calloc(batch, sizeof *p->error, "a batch of inputs", err);
    if (!p->voxel || !p->output || !p->status || !p->error)
        return VOX_ERR_MEMORY;
    vox_status s = vox_pool_open(&pool, 0, err);
    for (p->first = 0; s == VOX_OK && p->first < p->count; p->first += batch) {
        size_t n = p->count - p->first < batch ? p->count - p->first : batch;
        s = predict_batch(p, n, pool, err);
    }
    vox_pool_free(&pool);
    return s;
}

/* ---- writing -------------------------------------------------------------------- */

static void put_csv(FILE *f, const prediction *p)
{
    const vox_class_names *names = &p->model->saved.classes;
    float score[VOX_CLASSES_MAX];
    int64_t classes = (int64_t)p->classes;
    fputs("input,predicted", f);
    for (size_t k = 0; k < p->classes; k++)
        fprintf(f, ",p%zu", k);
    fputc('\n', f);
    for (size_t i = 0; i < p->count; i++) {
        vox_metrics_softmax(p->output + i * p->classes, classes, score);
        size_t best = (size_t)vox_metrics_argmax(score, classes);
        vox_table_text(f, p->input[i]);
        fputc(',', f);
        if (best < names->count)
            vox_table_text(f, names->name[best]);
        else
            fprintf(f, "%zu", best);
        for (size_t k = 0; k < p->classes; k++) {
            fputc(',', f);
            vox_table_number(f, (double)score[k]);
        }
        fputc('\n', f);
    }
}

/* NumPy's format 1.0: magic, version, header length, a dict padded to 64 bytes, the data.
 * Source: numpy.lib.format. */
static void put_npy(FILE *f, const prediction *p)
{
    char header[118];
    int n = snprintf(header, sizeof header,
                     "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", p->count,
                     p->classes);
    fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, f); /* 0x76 = 118: 10 + 118 = 2 * 64 */
    memset(header + n, ' ', sizeof header - (size_t)n);
    header[sizeof header - 1] = '\n';
    fwrite(header, 1, sizeof header, f);
    fwrite(p->output, sizeof *p->output, p->count * p->classes, f);
}

static vox_status write_output(const prediction *p, const char *path, vox_error *err)
{
    vox_file f;
    vox_status s = vox_file_begin(&f, path, err);
    if (s != VOX_OK)
        return s;
    if (vox_path_ends(path, ".npy"))
        put_npy(f.stream, p);
    else
        put_csv(f.stream, p);
    return vox_file_commit(&f, err); /* a failed write above is found there */
}

vox_status vox_model_predict(vox_model *model, const char *const *inputs, size_t count,
                             const char *output, vox_error *err)
{
    if (count == 0)
        return vox_fail(err, VOX_ERR_USAGE, "no input to predict");
    if (vox_graph_labels(model->exp->graph) > 1) {
        vox_fail(err, VOX_ERR_USAGE, "the network has an output for every voxel");
        return vox_hint(err, "let it write masks (vox_model_segment)");
    }
    if (!vox_path_ends(output, ".csv") && !vox_path_ends(output, ".npy")) {
        vox_fail(err, VOX_ERR_USAGE, "cannot tell what to write from the name %s", output);
        return vox_hint(err, "end it in .csv (class probabilities) or .npy (raw outputs)");
    }
    prediction p = {.model = model,
                    .input = inputs,
                    .count = count,
                    .classes = (size_t)model->classes,
                    .sample =
                        (size_t)vox_sample_floats(&model->exp->graph->input, VOX_LAYOUT_PLAIN)};
    vox_status s = predict_all(&p, err);
    if (s == VOX_OK)
        s = write_output(&p, output, err);
    free(p.voxel);
    free(p.output);
    free(p.status);
    free(p.error);
    return s;
}
