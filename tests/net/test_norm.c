/* test_norm.c - networks with a norm follow PyTorch: two training steps, running statistics, and
 * evaluation with those (tests/golden/make_norm.py); and what a batch of one number says.
 *
 * Tolerance: a handful of float operations on numbers of size 1 to 10. */
#include "test.h"

#include "net/plan.h"

#include <math.h>

#define VOXELS 24
#define BATCH  2

typedef struct golden {
    const char *layer, *attr;
    double y[BATCH * 3 * VOXELS], loss[BATCH]; /* of the second step */
    double conv[9], weight[3], bias[3];        /* the second step's gradients; 0: none */
    double mean[3], variance[3];               /* running statistics after both */
    double valid[BATCH * 3 * VOXELS];          /* the output in evaluation */
} golden;

#include "golden/norm.h"

static vox_error err;
static vox_ctx *ctx;

/* As make_norm.py's array(). */
static void fill(float *to, size_t count, size_t number)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (float)((double)((37 * i + 11 * number) % 19) - 9) / 8;
}

static vox_graph *open_graph(const char *size, const char *layer, const char *attr)
{
    char text[400];
    vox_yaml *doc = NULL;
    vox_graph *g = NULL;
    snprintf(text, sizeof text,
             "input: {channels: 3, size: %s}\nlayers:\n"
             "  - conv: {name: c, out: 3, kernel: 1, bias: false}\n  - %s: %s\n",
             size, layer, attr);
    assert_ok(vox_yaml_parse(&doc, text, "n.yaml", &err));
    assert_ok(vox_graph_open(&g, vox_yaml_root(doc), &err));
    vox_yaml_free(&doc);
    return g;
}

static void assert_near(const float *got, const double *want, size_t count, const char *what)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)got[i] - want[i]) <= 2e-6 * fmax(1, fabs(want[i]))))
            fail_msg("%s[%zu] is %.9g, not %.9g", what, i, (double)got[i], want[i]);
}

static void read_floats(vox_buffer *b, float *to, size_t count)
{
    assert_ok(vox_buffer_read(b, 0, to, count * sizeof *to, true, &err));
}

static void feed(vox_plan *p, size_t number)
{
    float x[BATCH * 3 * VOXELS];
    fill(x, sizeof x / sizeof *x, number);
    assert_ok(vox_buffer_write(vox_plan_input(p)->buf, 0, x, sizeof x, true, &err));
}

/* Writes the parameters and the labels. */
static void prepare(vox_plan *p, const vox_graph *g)
{
    int32_t label[BATCH * VOXELS];
    float *flat = calloc(g->flat_floats, sizeof *flat);
    assert_non_null(flat);
    vox_graph_init_params(g, 1, flat);
    fill(flat + g->param[0].offset, 9, 5);
    for (int i = 1; i < g->params; i++)
        if (g->param[i].desc.trainable)
            fill(flat + g->param[i].offset, 3, (size_t)i);
    for (int i = 0; i < BATCH * VOXELS; i++)
        label[i] = i % 3;
    assert_ok(vox_buffer_write(vox_plan_params(p), 0, flat, g->flat_floats * 4, true, &err));
    assert_ok(vox_buffer_write(vox_plan_labels(p)->buf, 0, label, sizeof label, true, &err));
    free(flat);
}

static void compare_params(const golden *want, const vox_graph *g, vox_plan *p)
{
    float *params = calloc(g->flat_floats, sizeof *params);
    float *grads = calloc(g->flat_floats, sizeof *grads);
    assert_true(params && grads);
    read_floats(vox_plan_params(p), params, g->flat_floats);
    read_floats(vox_plan_grads(p), grads, g->flat_floats);
    for (int i = 0; i < g->params; i++) {
        const char *name = strrchr(g->param[i].name, '.') + 1;
        const size_t at = g->param[i].offset;
        if (i == 0)
            assert_near(grads + at, want->conv, 9, "gradient of conv");
        else if (strcmp(name, "running_mean") == 0)
            assert_near(params + at, want->mean, 3, name);
        else if (strcmp(name, "running_var") == 0)
            assert_near(params + at, want->variance, 3, name);
        else
            assert_near(grads + at, strcmp(name, "weight") ? want->bias : want->weight, 3, name);
    }
    free(params);
    free(grads);
}

static void check(vox_device *dev, const golden *want)
{
    const vox_plan_options opt = {.n_max = BATCH, .training = true};
    vox_graph *g = open_graph("[2, 3, 4]", want->layer, want->attr);
    vox_plan *p = NULL;
    float y[BATCH * 3 * VOXELS], loss[BATCH];
    assert_ok(vox_plan_open(&p, g, dev, &opt, &err));
    prepare(p, g);
    for (size_t i = 0; i < 2; i++) {
        const vox_step step = {.seed = 1, .step = i};
        feed(p, 3 + i);
        assert_ok(vox_plan_forward(p, BATCH, true, &step, &err));
        assert_ok(vox_plan_run_loss(p, BATCH, &err));
        assert_ok(vox_plan_backward(p, BATCH, 1.0f / BATCH, false, &step, &err));
    }
    read_floats(vox_plan_output(p)->buf, y, sizeof y / sizeof *y);
    assert_near(y, want->y, sizeof y / sizeof *y, "output");
    read_floats(vox_plan_loss(p)->buf, loss, BATCH);
    assert_near(loss, want->loss, BATCH, "loss");
    compare_params(want, g, p);
    feed(p, 9);
    assert_ok(vox_plan_forward(p, BATCH, false, NULL, &err));
    read_floats(vox_plan_output(p)->buf, y, sizeof y / sizeof *y);
    assert_near(y, want->valid, sizeof y / sizeof *y, "output in evaluation");
    compare_params(want, g, p); /* which changes nothing */
    vox_plan_free(&p);
    vox_graph_free(&g);
}

static void training_and_evaluation_are_pytorchs(void **state)
{
    (void)state;
    for (size_t d = 0; d < vox_ctx_device_count(ctx); d++)
        for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++)
            check(vox_ctx_get(ctx, d), &goldens[i]);
}

static void one_number_has_no_variance(void **state)
{
    (void)state;
    vox_graph *g = open_graph("[1, 1, 1]", "batch_norm", "{name: bn}");
    const vox_plan_options opt = {.n_max = BATCH, .training = true};
    vox_plan *p = NULL;
    assert_ok(vox_plan_open(&p, g, vox_ctx_get(ctx, 0), &opt, &err));
    assert_ok(vox_plan_forward(p, 2, true, NULL, &err));
    assert_error(vox_plan_forward(p, 1, true, NULL, &err), VOX_ERR_INPUT,
                 "more than one value per channel");
    assert_non_null(strstr(err.message, "bn"));
    assert_ok(vox_plan_forward(p, 1, false, NULL, &err)); /* evaluation needs none */
    vox_plan_free(&p);
    vox_graph_free(&g);
}

int main(void)
{
    if (vox_ctx_open(&ctx, "all", &err) != VOX_OK)
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_and_evaluation_are_pytorchs),
        cmocka_unit_test(one_number_has_no_variance),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    vox_ctx_free(&ctx);
    return failed;
}
