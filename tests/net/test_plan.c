/* test_plan.c - plans on every device: losses and gradients of whole networks against the
 * references in double, forced algorithms, and misuse.
 *
 * Tolerance: sums over at most a few thousand products in float, through at most eight layers:
 * 1e-4 of the tensor's RMS (1e-5 is what is seen). */
#include "test.h"

#include "base/mem.h"
#include "base/philox.h"
#include "net/plan_parts.h"
#include "net/ref_net.h"

#include <math.h>

static vox_error err;
static vox_ctx *ctx;

#define INPUT "input: {channels: 3, size: [4, 7, 6]}\nlayers:\n"

static const char chain[] =
    INPUT "  - conv: {name: a, out: 18, kernel: 3, pad: 1}\n  - relu\n"
          "  - max_pool: {kernel: 2, stride: [1, 2, 2], pad: [0, 1, 1]}\n"
          "  - conv: {name: b, out: 20, kernel: [2, 3, 2], pad: [1, 1, 0]}\n  - relu\n"
          "  - flatten\n  - dense: {name: c, out: 7}\n  - relu\n  - dense: {name: d, out: 4}\n";

/* Norms with weights and without, relus around them; a bias before a norm would have no gradient.
 * A norm leaves little of what the weights before it change: gradients are small differences. */
#define NORMS_TOLERANCE 1e-3
static const char norms[] =
    INPUT "  - batch_norm: {name: first}\n"
          "  - conv: {name: a, out: 20, kernel: 3, pad: 1, bias: false}\n"
          "  - batch_norm: {name: b}\n  - relu\n  - group_norm: {name: c, groups: 4}\n  - relu\n"
          "  - conv: {name: k, out: 16, kernel: 1, bias: false}\n  - instance_norm\n  - relu\n"
          "  - batch_norm: {affine: false}\n  - instance_norm: {name: d, affine: true}\n"
          "  - max_pool: {kernel: 2}\n  - flatten\n  - dense: {name: e, out: 4}\n";

/* patch() makes the layers named add read two tensors each: "a" has three readers. */
static const char branches[] =
    INPUT "  - conv: {name: a, out: 16, kernel: 3, pad: 1}\n  - relu: {name: r}\n"
          "  - conv: {name: b, out: 16, kernel: 3, pad: 1}\n  - relu: {name: add1}\n"
          "  - conv: {name: c, out: 16, kernel: 1}\n  - relu: {name: add2}\n"
          "  - max_pool: {kernel: 2}\n  - flatten\n  - dense: {name: d, out: 5}\n";

/* Deep supervision, of a stride that does not divide the sizes. */
static const char heads[] =
    INPUT "  - conv: {name: a, out: 17, kernel: 3, pad: 1}\n"
          "  - relu: {name: r}\n"
          "  - conv: {name: coarse, out: 3, kernel: 3, stride: 2, pad: 1}\n"
          "  - conv: {name: fine, out: 3, kernel: 1, from: r}\n"
          "loss: {dice_ce: {from: [fine, coarse], from_weights: [1, 0.5]}}\n";

/* A tensor that is both inputs of a layer: its gradient is the sum of both. */
static const char twice[] =
    INPUT "  - conv: {name: a, out: 16, kernel: 3, pad: 1}\n  - relu: {name: r}\n"
          "  - concat: {name: b, from: [r, r]}\n  - add: {name: c, from: [b, b]}\n"
          "  - max_pool: {kernel: 2}\n  - flatten\n  - dense: {name: d, out: 5}\n";

static void patch(vox_graph *g, int layer, int first, int second)
{
    vox_graph_layer *l = &g->layer[layer];
    l->node.op = ref_net_add();
    l->node.inputs = 2;
    l->node.in[1] = l->node.in[0];
    l->from[0] = first;
    l->from[1] = second;
}

static vox_graph *open_graph(const char *text)
{
    vox_yaml *doc = NULL;
    vox_graph *g = NULL;
    assert_ok(vox_yaml_parse(&doc, text, "n.yaml", &err));
    assert_ok(vox_graph_open(&g, vox_yaml_root(doc), &err));
    vox_yaml_free(&doc);
    if (text == branches) {
        patch(g, 3, 4 - 1, 2); /* b + r */
        patch(g, 5, 2, 5);     /* r + c */
    }
    return g;
}

/* A network with numbers to run it on. */
typedef struct fixture {
    vox_graph *graph;
    float *params, *input;
    int32_t *label;
    int64_t n_max;
} fixture;

static fixture open_fixture(const char *text, int64_t n_max)
{
    fixture f = {.graph = open_graph(text), .n_max = n_max};
    const int64_t voxels = vox_shape_count(&f.graph->input);
    const int64_t classes = f.graph->layer[f.graph->layers - 1].node.out.dim[1];
    f.params = calloc(f.graph->flat_floats, sizeof *f.params);
    f.input = calloc((size_t)(n_max * voxels), sizeof *f.input);
    const size_t labels = (size_t)n_max * vox_graph_labels(f.graph);
    f.label = calloc(labels, sizeof *f.label);
    assert_true(f.params && f.input && f.label);
    vox_graph_init_params(f.graph, 3, f.params);
    vox_random r;
    vox_random_init(&r, 5, VOX_RANDOM_SYNTH, 0, 0, 0);
    for (int64_t i = 0; i < n_max * voxels; i++)
        f.input[i] = 2 * vox_random_uniform(&r) - 1;
    for (size_t i = 0; i < labels; i++)
        f.label[i] = (int32_t)vox_random_below(&r, (uint32_t)classes);
    return f;
}

static void close_fixture(fixture *f)
{
    free(f->params), free(f->input), free(f->label);
    vox_graph_free(&f->graph);
}

static vox_plan *open_plan(const fixture *f, vox_device *dev, bool training, const char *algo)
{
    const vox_plan_options opt = {.n_max = f->n_max, .training = training, .algo = algo};
    vox_plan *p = NULL;
    assert_ok(vox_plan_open(&p, f->graph, dev, &opt, &err));
    assert_ok(
        vox_buffer_write(vox_plan_params(p), 0, f->params, f->graph->flat_floats * 4, true, &err));
    return p;
}

static void feed(vox_plan *p, const fixture *f, int64_t n)
{
    const size_t sample = (size_t)vox_shape_count(&f->graph->input) * 4;
    assert_ok(
        vox_buffer_write(vox_plan_input(p)->buf, 0, f->input, (size_t)n * sample, true, &err));
    const size_t labels = (size_t)n * vox_graph_labels(f->graph) * 4;
    assert_ok(vox_buffer_write(vox_plan_labels(p)->buf, 0, f->label, labels, true, &err));
}

static float *read_floats(vox_buffer *b, size_t count)
{
    float *out = calloc(count, sizeof *out);
    assert_non_null(out);
    assert_ok(vox_buffer_read(b, 0, out, count * sizeof *out, true, &err));
    return out;
}

static void assert_near(const float *got, const double *want, size_t count, double tolerance,
                        const char *what)
{
    double square = 0;
    for (size_t i = 0; i < count; i++)
        square += want[i] * want[i];
    const double rms = sqrt(square / (double)count);
    assert_true(rms > 0);
    for (size_t i = 0; i < count; i++)
        if (!(fabs(got[i] - want[i]) <= tolerance * fmax(rms, fabs(want[i]))))
            fail_msg("%s[%zu] is %.9g, not %.9g", what, i, (double)got[i], want[i]);
}

static void step_plan(vox_plan *p, int64_t n, float scale, bool accumulate)
{
    const vox_step step = {.seed = 1};
    assert_ok(vox_plan_forward(p, n, true, &step, &err));
    assert_ok(vox_plan_run_loss(p, n, &err));
    assert_ok(vox_plan_backward(p, n, scale, accumulate, &step, &err));
}

/* ---- whole networks against the references ------------------------------ */

static void compare(const fixture *f, vox_plan *p, const ref_net *r, double tolerance)
{
    const vox_graph *g = f->graph;
    const size_t n = (size_t)r->n;
    const size_t classes = (size_t)vox_shape_count(vox_graph_edge_shape(g, g->layers));
    float *output = read_floats(vox_plan_output(p)->buf, n * classes);
    float *loss = read_floats(vox_plan_loss(p)->buf, n);
    float *grads = read_floats(vox_plan_grads(p), g->flat_floats);
    assert_near(output, r->act[g->layers], n * classes, tolerance, "output");
    assert_near(loss, r->loss, n, tolerance, "loss");
    size_t next = 0;
    for (int i = 0; i < g->params; i++) {
        for (; next < g->param[i].offset; next++)
            assert_true(grads[next] == 0); /* padding */
        for (size_t k = 0; k < g->param[i].count && !g->param[i].desc.trainable; k++)
            assert_true(grads[next + k] == 0);
        if (g->param[i].desc.trainable)
            assert_near(grads + next, r->dparam[i], g->param[i].count, tolerance, g->param[i].name);
        next += g->param[i].count;
    }
    free(output), free(loss), free(grads);
}

static void check_network(vox_device *dev, const char *text, const char *algo)
{
    const double tolerance = text == norms ? NORMS_TOLERANCE : 1e-4;
    fixture f = open_fixture(text, 3);
    vox_plan *p = open_plan(&f, dev, true, algo);
    for (int64_t n = 3; n >= 1; n--) {
        ref_net r;
        ref_net_init(&r, f.graph, n, f.params, f.input, f.label);
        ref_net_forward(&r);
        ref_net_backward(&r, 0.25);
        feed(p, &f, n);
        step_plan(p, n, 0.25f, false);
        compare(&f, p, &r, tolerance);
        step_plan(p, n, 0.25f, true); /* the same again, added */
        for (int i = 0; i < f.graph->params; i++)
            for (size_t k = 0; k < f.graph->param[i].count; k++)
                r.dparam[i][k] *= 2;
        compare(&f, p, &r, tolerance);
        ref_net_release(&r);
    }
    vox_plan_free(&p);
    close_fixture(&f);
}

static void gradients_match_the_references(void **state)
{
    (void)state;
    static const char *const algos[] = {NULL, "conv=naive", "conv=direct16"};
    for (size_t d = 0; d < vox_ctx_device_count(ctx); d++)
        for (size_t a = 0; a < sizeof algos / sizeof *algos; a++) {
            check_network(vox_ctx_get(ctx, d), chain, algos[a]);
            check_network(vox_ctx_get(ctx, d), branches, algos[a]);
            check_network(vox_ctx_get(ctx, d), heads, algos[a]);
            check_network(vox_ctx_get(ctx, d), twice, algos[a]);
            if (a < 2) /* the norms' layouts in the third are those of the first */
                check_network(vox_ctx_get(ctx, d), norms, algos[a]);
        }
}

/* The references' gradients are the derivative of the whole network's loss. */
static void references_are_the_derivative(void **state)
{
    (void)state;
    const char *const text[] = {chain, branches, heads, norms, twice};
    for (int t = 0; t < 5; t++) {
        fixture f = open_fixture(text[t], 2);
        ref_net r;
        ref_net_init(&r, f.graph, 2, f.params, f.input, f.label);
        ref_net_forward(&r);
        ref_net_backward(&r, 1);
        for (int i = 0; i < f.graph->params; i++)
            for (size_t k = 0; k < f.graph->param[i].count; k += 1 + f.graph->param[i].count / 7) {
                const double h = 1e-6, at = r.param[i][k];
                r.param[i][k] = at + h;
                double up = ref_net_forward(&r);
                r.param[i][k] = at - h;
                double down = ref_net_forward(&r);
                r.param[i][k] = at;
                if (fabs((up - down) / (2 * h) - r.dparam[i][k]) > 1e-6)
                    fail_msg("%s[%zu]: %g, not %g", f.graph->param[i].name, k, r.dparam[i][k],
                             (up - down) / (2 * h));
            }
        ref_net_release(&r);
        close_fixture(&f);
    }
}

static void layouts_change_no_result(void **state)
{
    (void)state;
    for (size_t d = 0; d < vox_ctx_device_count(ctx); d++) {
        fixture f = open_fixture(chain, 2);
        vox_plan *plain = open_plan(&f, vox_ctx_get(ctx, d), true, "conv=naive");
        vox_plan *blocked = open_plan(&f, vox_ctx_get(ctx, d), true, "conv=direct16");
        const size_t count = f.graph->flat_floats;
        float *g[2];
        double *want = calloc(count, sizeof *want);
        vox_plan *p[2] = {plain, blocked};
        for (int i = 0; i < 2; i++) {
            feed(p[i], &f, 2);
            step_plan(p[i], 2, 1, false);
            g[i] = read_floats(vox_plan_grads(p[i]), count);
        }
        for (size_t i = 0; i < count; i++)
            want[i] = (double)g[0][i];
        assert_near(g[1], want, count, 1e-5, "gradients in BLOCK16");
        free(g[0]), free(g[1]), free(want);
        vox_plan_free(&plain);
        vox_plan_free(&blocked);
        close_fixture(&f);
    }
}

static void the_same_run_gives_the_same_bits(void **state)
{
    (void)state;
    for (size_t d = 0; d < vox_ctx_device_count(ctx); d++) {
        fixture f = open_fixture(branches, 3);
        vox_plan *p = open_plan(&f, vox_ctx_get(ctx, d), true, NULL);
        const size_t count = f.graph->flat_floats;
        feed(p, &f, 3);
        step_plan(p, 3, 1, false);
        float *a = read_floats(vox_plan_grads(p), count);
        step_plan(p, 3, 1, false);
        float *b = read_floats(vox_plan_grads(p), count);
        assert_memory_equal(a, b, count * sizeof *a);
        free(a), free(b);
        vox_plan_free(&p);
        close_fixture(&f);
    }
}

/* ---- dropout: there in training, absent elsewhere ----------------------- */

static void dropout_is_for_training_only(void **state)
{
    (void)state;
    static const char text[] =
        INPUT "  - conv: {out: 16, kernel: 3}\n  - dropout: {p: 0.5}\n  - relu\n"
              "  - dropout: {p: 0.5}\n  - flatten\n  - dense: {out: 4}\n  - dropout: {p: 0.5}\n";
    for (size_t d = 0; d < vox_ctx_device_count(ctx); d++) {
        fixture f = open_fixture(text, 2);
        vox_plan *train = open_plan(&f, vox_ctx_get(ctx, d), true, NULL);
        vox_plan *eval = open_plan(&f, vox_ctx_get(ctx, d), false, NULL);
        const vox_step step = {.seed = 1, .step = 9};
        feed(train, &f, 2);
        feed(eval, &f, 2);
        assert_ok(vox_plan_forward(train, 2, false, &step, &err));
        float *a = read_floats(vox_plan_output(train)->buf, 8);
        assert_ok(vox_plan_forward(eval, 2, false, NULL, &err));
        float *b = read_floats(vox_plan_output(eval)->buf, 8);
        assert_ok(vox_plan_forward(train, 2, true, &step, &err));
        float *c = read_floats(vox_plan_output(train)->buf, 8);
        bool differs = false;
        for (int i = 0; i < 8; i++) {
            assert_true(fabsf(a[i] - b[i]) < 1e-5f);
            differs = differs || fabsf(a[i] - c[i]) > 1e-3f;
        }
        assert_true(differs);
        for (size_t i = 0; i < vox_plan_rows(eval); i++)
            assert_string_not_equal(vox_plan_row_get(eval, i).op, "dropout");
        assert_ok(vox_plan_run_loss(eval, 2, &err)); /* validation has losses too */
        assert_error(vox_plan_forward(eval, 2, true, NULL, &err), VOX_ERR_USAGE,
                     "without training");
        free(a), free(b), free(c);
        vox_plan_free(&train);
        vox_plan_free(&eval);
        close_fixture(&f);
    }
}

/* ---- rows, forced algorithms, NaN, misuse -------------------------------- */

static void rows_name_every_step(void **state)
{
    (void)state;
    fixture f = open_fixture(branches, 2);
    vox_device *dev = vox_ctx_get(ctx, 0);
    vox_plan *p = open_plan(&f, dev, true, "conv=direct16");
    int reorders = 0, sums = 0, convs = 0, launched = 0;
    assert_ok(vox_device_profile(dev, true, &err));
    feed(p, &f, 2);
    step_plan(p, 2, 1, false);
    for (size_t i = 0; i < vox_plan_rows(p); i++) {
        const vox_plan_row row = vox_plan_row_get(p, i);
        double seconds = 0;
        int64_t launches = 0;
        assert_int_equal(row.label, i + 1);
        assert_true(row.layer[0] && row.algo[0]);
        reorders += strcmp(row.op, "reorder") == 0;
        sums += strcmp(row.op, "sum") == 0;
        if (strcmp(row.op, "conv") == 0) {
            convs++;
            assert_true(row.flops > 0);
            assert_string_equal(row.algo, "direct16");
        }
        assert_ok(vox_device_profile_take(dev, row.label, &seconds, &launches, &err));
        launched += launches > 0;
    }
    assert_ok(vox_device_profile(dev, false, &err));
    assert_int_equal(convs, 3 + 2 + 3); /* no gradient of the input */
    assert_true(reorders >= 2 && sums >= 1);
    assert_true(launched > convs);
    vox_plan_free(&p);
    close_fixture(&f);
}

/* What is kept of layer c instead of its gradient makes just that; the step has no products to be
 * told of as its speed. */
static void factors_make_the_gradient(void **state)
{
    (void)state;
    enum { N = 3, C = 6 };
    fixture f = open_fixture(chain, N);
    const vox_graph_layer *l = &f.graph->layer[C];
    const vox_graph_param *w = &f.graph->param[l->first_param];
    const size_t out = (size_t)w->desc.shape.dim[0], in = (size_t)w->desc.shape.dim[1];
    float *x = calloc(N * in, sizeof *x), *dy = calloc(N * out, sizeof *dy);
    double *sum = calloc(in * out, sizeof *sum);
    bool *has = calloc((size_t)f.graph->layers, sizeof *has);
    has[C] = true;
    const vox_plan_options opt = {.n_max = N, .training = true, .factors = has};
    vox_plan *whole = open_plan(&f, vox_ctx_get(ctx, 0), true, NULL), *kept = NULL;
    assert_ok(vox_plan_open(&kept, f.graph, vox_ctx_get(ctx, 0), &opt, &err));
    assert_ok(
        vox_buffer_write(vox_plan_params(kept), 0, f.params, f.graph->flat_floats * 4, true, &err));
    for (int64_t n = N; n > 1; n--) { /* the rows of dy follow on those of x, wherever these end */
        feed(whole, &f, n), feed(kept, &f, n);
        step_plan(whole, n, 0.5f, false), step_plan(kept, n, 0.5f, n < N);
        assert_ok(vox_plan_read_factors(kept, C, n, x, dy, &err));
        assert_ok(vox_device_finish(vox_ctx_get(ctx, 0), &err));
        float *grads = read_floats(vox_plan_grads(whole), f.graph->flat_floats);
        for (size_t i = 0; i < in * out; i++) {
            sum[i] = 0;
            for (size_t s = 0; s < (size_t)n; s++)
                sum[i] += (double)dy[s * out + i / in] * (double)x[s * in + i % in];
        }
        assert_near(grads + w->offset, sum, in * out, 1e-4, "c's gradient");
        free(grads);
    }
    size_t rows = 0;
    for (size_t i = 0; i < vox_plan_rows(kept); i++) {
        const vox_plan_row row = vox_plan_row_get(kept, i);
        rows += !strcmp(row.algo, "factors") && !strcmp(row.layer, "c") && row.flops == 0;
    }
    assert_int_equal(rows, 1);
    vox_plan_free(&whole), vox_plan_free(&kept);
    free(x), free(dy), free(sum), free(has);
    close_fixture(&f);
}

static void forced_algorithms_are_checked(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"nope=naive", "no such operation"},   {"conv=nope", "no algorithm \"nope\""},
        {"conv", "not operation=algorithm"},   {"conv=", "not operation=algorithm"},
        {"=naive", "not operation=algorithm"}, {"conv=naive,,", "not operation=algorithm"},
    };
    fixture f = open_fixture(chain, 1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const vox_plan_options opt = {.n_max = 1, .algo = bad[i][0]};
        vox_plan *p = NULL;
        assert_error(vox_plan_open(&p, f.graph, vox_ctx_get(ctx, 0), &opt, &err), VOX_ERR_USAGE,
                     bad[i][1]);
    }
    close_fixture(&f);
}

static void a_nan_is_found_where_it_began(void **state)
{
    (void)state;
    fixture f = open_fixture(chain, 2);
    vox_plan *p = open_plan(&f, vox_ctx_get(ctx, 0), true, NULL);
    const char *layer = "";
    const float nan = NAN;
    feed(p, &f, 2);
    step_plan(p, 2, 1, false);
    assert_ok(vox_plan_find_nonfinite(p, 2, &layer, &err));
    assert_null(layer);
    const size_t at = f.graph->param[vox_graph_find_param(f.graph, "b.weight")].offset * 4;
    assert_ok(vox_buffer_write(vox_plan_params(p), at, &nan, 4, true, &err));
    step_plan(p, 2, 1, false);
    assert_ok(vox_plan_find_nonfinite(p, 2, &layer, &err));
    assert_string_equal(layer, "b");
    feed(p, &f, 2);
    assert_ok(vox_buffer_write(vox_plan_input(p)->buf, 0, &nan, 4, true, &err));
    step_plan(p, 2, 1, false);
    assert_ok(vox_plan_find_nonfinite(p, 2, &layer, &err));
    assert_string_equal(layer, "input");
    vox_plan_free(&p);
    close_fixture(&f);
}

static vox_status cannot_build(vox_work *w, vox_error *e)
{
    (void)w;
    return vox_fail(e, VOX_ERR_UNSUPPORTED, "not on this device");
}

static double no_time(const vox_problem *p)
{
    (void)p;
    return 0;
}

/* An operation with methods in front that look best until they are built. */
static void set_traps(vox_op *op, vox_algo algos[64])
{
    int n = 0;
    for (const vox_algo *a = op->algos; a->name && n < 64; a++)
        if (a->pass == VOX_FORWARD) {
            algos[n] = *a;
            algos[n].name = "trap";
            algos[n].build = cannot_build;
            algos[n++].seconds = no_time;
        }
    for (const vox_algo *a = op->algos; a->name && n < 64; a++)
        algos[n++] = *a;
    assert_true(n < 64);
    algos[n] = (vox_algo){0};
    op->algos = algos;
}

static void a_method_the_device_cannot_build_is_replaced(void **state)
{
    (void)state;
    for (size_t d = 0; d < vox_ctx_device_count(ctx); d++) {
        vox_graph *g = open_graph(chain);
        vox_plan *plan = NULL;
        vox_op conv = *g->layer[0].node.op, pool = *g->layer[2].node.op;
        vox_algo conv_algos[64], pool_algos[64];
        set_traps(&conv, conv_algos);
        set_traps(&pool, pool_algos);
        g->layer[0].node.op = &conv; /* with the relu after it */
        g->layer[2].node.op = &pool;
        const vox_plan_options opt = {.n_max = 2, .training = true};
        assert_ok(vox_plan_open(&plan, g, vox_ctx_get(ctx, d), &opt, &err));
        for (size_t i = 0; i < vox_plan_rows(plan); i++)
            assert_string_not_equal(vox_plan_row_get(plan, i).algo, "trap");
        vox_plan_free(&plan);
        vox_graph_free(&g);
    }
}

static void misuse_is_an_error(void **state)
{
    (void)state;
    fixture f = open_fixture(chain, 2);
    vox_device *dev = vox_ctx_get(ctx, 0);
    const vox_plan_options none = {.n_max = 0};
    vox_plan *p = NULL;
    assert_error(vox_plan_open(&p, f.graph, dev, &none, &err), VOX_ERR_USAGE, "1 or more");
    p = open_plan(&f, dev, true, NULL);
    feed(p, &f, 2);
    assert_error(vox_plan_run_loss(p, 1, &err), VOX_ERR_USAGE, "before the loss");
    assert_error(vox_plan_backward(p, 1, 1, false, NULL, &err), VOX_ERR_USAGE, "ran before");
    assert_error(vox_plan_forward(p, 0, true, NULL, &err), VOX_ERR_USAGE, "0 samples");
    assert_error(vox_plan_forward(p, 3, true, NULL, &err), VOX_ERR_USAGE, "3 samples");
    assert_ok(vox_plan_forward(p, 2, false, NULL, &err));
    assert_error(vox_plan_backward(p, 2, 1, false, NULL, &err), VOX_ERR_USAGE, "ran before");
    assert_ok(vox_plan_forward(p, 2, true, NULL, &err));
    assert_error(vox_plan_backward(p, 1, 1, false, NULL, &err), VOX_ERR_USAGE, "just as many");
    vox_plan_free(&p);
    assert_null(p);
    close_fixture(&f);
}

int main(void)
{
#ifndef VOXCL_WITH_FYAML
    puts("skipped: built without libfyaml");
    return 77;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_are_the_derivative),
        cmocka_unit_test(gradients_match_the_references),
        cmocka_unit_test(layouts_change_no_result),
        cmocka_unit_test(the_same_run_gives_the_same_bits),
        cmocka_unit_test(dropout_is_for_training_only),
        cmocka_unit_test(rows_name_every_step),
        cmocka_unit_test(factors_make_the_gradient),
        cmocka_unit_test(forced_algorithms_are_checked),
        cmocka_unit_test(a_nan_is_found_where_it_began),
        cmocka_unit_test(a_method_the_device_cannot_build_is_replaced),
        cmocka_unit_test(misuse_is_an_error),
    };
    if (vox_ctx_open(&ctx, "all", &err) != VOX_OK) {
        printf("skipped: %s: %s\n", err.message, err.detail);
        return 77;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    vox_ctx_free(&ctx);
    return failed;
}
