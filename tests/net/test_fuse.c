/* test_fuse.c - which relus lose their step, with layers whose methods are made up; and that losses
 * and gradients do not depend on it. */
#include "test.h"

#include "base/philox.h"
#include "net/plan_parts.h"

#include <math.h>

static vox_error err;
static vox_ctx *ctx;

/* ---- decisions ---------------------------------------------------------- */

/* "fake": takes the place of sigmoid-like layers; "able" fuses relu, "quick" does not.  Expected
 * seconds of both, for all passes. */
static double able = 1, quick = 2;

static double able_seconds(const vox_problem *p)
{
    (void)p;
    return able;
}

static double quick_seconds(const vox_problem *p)
{
    (void)p;
    return quick;
}

#define PLAIN VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN

static const vox_algo algos[] = {
    {"able", VOX_FORWARD, PLAIN, .seconds = able_seconds, .fuses_relu = true},
    {"able", VOX_BACKWARD_DATA, PLAIN, .seconds = able_seconds, .fuses_relu = true},
    {"able", VOX_BACKWARD_WEIGHTS, PLAIN, .seconds = able_seconds},
    {"quick", VOX_FORWARD, PLAIN, .seconds = quick_seconds},
    {"quick", VOX_BACKWARD_DATA, PLAIN, .seconds = quick_seconds},
    {"quick", VOX_BACKWARD_WEIGHTS, PLAIN, .seconds = quick_seconds},
    {0}};
static const vox_op fake = {.name = "fake", .min_inputs = 1, .max_inputs = 2, .algos = algos};
#define BLOCK16 VOX_LAYOUT_BLOCK16, VOX_LAYOUT_BLOCK16

static const vox_algo blocks[] = {
    {"able", VOX_FORWARD, BLOCK16, .seconds = able_seconds, .fuses_relu = true},
    {"able", VOX_BACKWARD_DATA, BLOCK16, .seconds = able_seconds, .fuses_relu = true},
    {0}};
static const vox_op blocked = {.name = "fake", .algos = blocks};
static const vox_op reads_y = {.name = "fake", .algos = algos, .backward_reads_y = true};

/* Letters: r relu, f fake, b fake in the other layout, y fake whose backward pass reads its output,
 * d dropout, 2 fake that also reads the output of the layer two before it.  Layer 0 is a
 * convolution, so that there is something to train. */
static vox_graph *open_graph(const char *letters)
{
    char text[512] = "input: {channels: 2, size: [1, 1, 9]}\nlayers:\n"
                     "  - conv: {out: 2, kernel: 1}\n";
    vox_yaml *doc = NULL;
    vox_graph *g = NULL;
    for (const char *l = letters; *l; l++)
        strcat(text, *l == 'd' ? "  - dropout\n" : "  - relu\n");
    assert_ok(vox_yaml_parse(&doc, text, "n.yaml", &err));
    assert_ok(vox_graph_open(&g, vox_yaml_root(doc), &err));
    vox_yaml_free(&doc);
    for (int i = 1; i < g->layers; i++) {
        vox_graph_layer *l = &g->layer[i];
        const char letter = letters[i - 1];
        if (letter == 'f' || letter == '2')
            l->node.op = &fake;
        if (letter == 'b')
            l->node.op = &blocked;
        if (letter == 'y')
            l->node.op = &reads_y;
        if (letter != '2')
            continue;
        l->node.inputs = 2;
        l->node.in[1] = l->node.in[0];
        l->from[1] = i - 1;
    }
    return g;
}

/* Each layer but the first: F its forward step is gone, B its backward step, X both, '.' neither.
 */
static const char *decide(const char *letters, bool training, const char *algo, bool device)
{
    static char text[64];
    vox_graph *g = open_graph(letters);
    vox_wiring w;
    vox_choice choice[16];
    const vox_plan_options opt = {.n_max = 2, .training = training, .algo = algo};
    vox_device *dev = device ? vox_ctx_get(ctx, 0) : NULL;
    assert_ok(vox_wiring_init(&w, g, training, &err));
    assert_ok(vox_choose(choice, &w, dev, &opt, &err));
    int relus = 0, fused = 0;
    for (int i = 1; i < g->layers; i++) {
        const vox_choice *c = &choice[i];
        const bool f = c->fused[VOX_FORWARD], b = c->fused[VOX_BACKWARD_DATA];
        text[i - 1] = f && b ? 'X' : f ? 'F' : b ? 'B' : '.';
        fused += f;
        assert_false(c->fused[VOX_BACKWARD_WEIGHTS]);
    }
    text[g->layers - 1] = '\0';
    for (int i = 0; i < g->layers; i++)
        if (choice[i].relu) {
            relus++;
            assert_true(choice[choice[i].relu].fused[VOX_FORWARD]);
        }
    assert_int_equal(relus, fused);
    vox_wiring_release(&w);
    vox_graph_free(&g);
    return text;
}

static void neighbours_that_can_take_a_relu(void **state)
{
    (void)state;
    able = 1, quick = 2;
    assert_string_equal(decide("frf", true, NULL, true), ".X.");
    assert_string_equal(decide("frf", false, NULL, true), ".F.");
    /* naming its method asks for the step; no device, no methods */
    assert_string_equal(decide("frf", true, "relu=flat", true), "...");
    assert_string_equal(decide("frf", true, NULL, false), "...");
    /* the loss cannot; a relu cannot for another */
    assert_string_equal(decide("fr", true, NULL, true), ".F");
    assert_string_equal(decide("frrf", true, NULL, true), ".FB.");
}

static void branches(void **state)
{
    (void)state;
    able = 1, quick = 2;
    assert_string_equal(decide("frf2", true, NULL, true), ".X.."); /* relu read twice */
    assert_string_equal(decide("frr2", true, NULL, true), ".FB."); /* by one that cannot, too */
    assert_string_equal(decide("ffr2f", true, NULL, true),
                        "..B.."); /* what is before it, read twice */
}

/* A reorder goes where it does not come between a relu and the layer before. */
static void layouts_make_room(void **state)
{
    (void)state;
    able = 1, quick = 2;
    assert_string_equal(decide("brb", true, NULL, true), ".X.");
    assert_string_equal(decide("brf", true, NULL, true), ".X.");
    assert_string_equal(decide("frb", true, NULL, true), ".X.");
}

static void what_is_before_must_not_need_its_own(void **state)
{
    (void)state;
    able = 1, quick = 2;
    assert_string_equal(decide("yrf", true, NULL, true), ".B.");
    assert_string_equal(decide("yrf", false, NULL, true), ".F.");
}

static void dropout_goes_before_relus_are_looked_at(void **state)
{
    (void)state;
    able = 1, quick = 2;
    assert_string_equal(decide("fdrf", false, NULL, true), "..F.");
}

/* The relu's own time decides between a quick method and one that saves it. */
static void a_saved_relu_counts(void **state)
{
    (void)state;
    vox_node node;
    const vox_shape shape = {5, {1, 2, 1, 1, 9}};
    assert_ok(vox_internal_node(&node, "relu", &shape, 1, &err));
    const vox_problem p = {.node = &node, .dev = vox_ctx_get(ctx, 0), .n_max = 2};
    const double relu = vox_op_algo(node.op, VOX_FORWARD, 0)->seconds(&p);
    quick = 1;
    able = 1 + relu / 2;
    assert_string_equal(decide("frf", false, NULL, true), ".F.");
    assert_string_equal(decide("ff", false, NULL, true), "..");
    able = 1 + 2 * relu;
    assert_string_equal(decide("frf", false, NULL, true), "...");
}

/* ---- results ------------------------------------------------------------ */

static const char network[] = "input: {channels: 3, size: [4, 7, 6]}\nlayers:\n"
                              "  - relu\n"
                              "  - conv: {out: 18, kernel: 3, pad: 1}\n"
                              "  - relu\n"
                              "  - max_pool: {kernel: 2, stride: [1, 2, 2], pad: [0, 1, 1]}\n"
                              "  - conv: {out: 20, kernel: [2, 3, 2], pad: [1, 1, 0]}\n"
                              "  - relu\n"
                              "  - conv: {out: 17, kernel: 1}\n"
                              "  - relu\n"
                              "  - flatten\n"
                              "  - dense: {out: 9}\n"
                              "  - relu\n"
                              "  - dropout: {p: 0.3}\n"
                              "  - dense: {out: 4}\n"
                              "  - relu\n";

/* Of two slopes; a pool does not take them. */
static const char leaky[] = "input: {channels: 3, size: [4, 7, 6]}\nlayers:\n"
                            "  - conv: {out: 18, kernel: 3, pad: 1}\n"
                            "  - leaky_relu\n"
                            "  - conv: {out: 20, kernel: [2, 3, 2]}\n"
                            "  - instance_norm\n"
                            "  - leaky_relu: {slope: 0.3}\n"
                            "  - conv: {out: 17, kernel: 1}\n"
                            "  - leaky_relu\n"
                            "  - max_pool: {kernel: 2}\n"
                            "  - flatten\n"
                            "  - dense: {out: 4}\n";

enum { N = 3, STEPS = 4 };

static vox_plan *open_plan(const vox_graph *g, vox_device *dev, const char *algo, float *params)
{
    const vox_plan_options opt = {.n_max = N, .training = true, .algo = algo};
    const int32_t label[N] = {2, 0, 3};
    float input[N * 3 * 4 * 7 * 6];
    vox_plan *p = NULL;
    vox_random r;
    vox_random_init(&r, 5, VOX_RANDOM_SYNTH, 0, 0, 0);
    for (size_t i = 0; i < sizeof input / sizeof *input; i++)
        input[i] = 2 * vox_random_uniform(&r) - 1;
    vox_graph_init_params(g, 3, params);
    assert_ok(vox_plan_open(&p, g, dev, &opt, &err));
    assert_ok(vox_buffer_write(vox_plan_input(p)->buf, 0, input, sizeof input, true, &err));
    assert_ok(vox_buffer_write(vox_plan_labels(p)->buf, 0, label, sizeof label, true, &err));
    return p;
}

/* Trains a few steps; the losses of all of them. */
static void train(const vox_graph *g, vox_device *dev, const char *algo, double loss[STEPS],
                  int *relus)
{
    float *params = calloc(g->flat_floats, sizeof *params), *grads, each[N];
    grads = calloc(g->flat_floats, sizeof *grads);
    assert_true(params && grads);
    vox_plan *p = open_plan(g, dev, algo, params);
    for (uint64_t k = 0; k < STEPS; k++) {
        const vox_step step = {.seed = 1, .step = k};
        assert_ok(vox_buffer_write(vox_plan_params(p), 0, params, g->flat_floats * 4, true, &err));
        assert_ok(vox_plan_forward(p, N, true, &step, &err));
        assert_ok(vox_plan_run_loss(p, N, &err));
        assert_ok(vox_plan_backward(p, N, 1.0f / N, false, &step, &err));
        assert_ok(vox_buffer_read(vox_plan_loss(p)->buf, 0, each, sizeof each, true, &err));
        assert_ok(vox_buffer_read(vox_plan_grads(p), 0, grads, g->flat_floats * 4, true, &err));
        for (size_t i = 0; i < g->flat_floats; i++)
            params[i] -= 0.1f * grads[i];
        loss[k] = (double)each[0] + (double)each[1] + (double)each[2];
    }
    *relus = 0;
    for (size_t i = 0; i < vox_plan_rows(p); i++)
        *relus += strstr(vox_plan_row_get(p, i).op, "relu") != NULL;
    vox_plan_free(&p);
    free(params);
    free(grads);
}

/* relus: steps of their own without and with fusing. */
static void compare(const char *text, const char *const methods[2], int all, int left)
{
    vox_yaml *doc = NULL;
    vox_graph *g = NULL;
    assert_ok(vox_yaml_parse(&doc, text, "n.yaml", &err));
    assert_ok(vox_graph_open(&g, vox_yaml_root(doc), &err));
    vox_yaml_free(&doc);
    for (size_t d = 0; d < vox_ctx_device_count(ctx); d++) {
        double fused[STEPS], apart[STEPS];
        int relus;
        train(g, vox_ctx_get(ctx, d), methods[1], apart, &relus);
        assert_int_equal(relus, all);
        train(g, vox_ctx_get(ctx, d), methods[0], fused, &relus);
        assert_int_equal(relus, left);
        for (int k = 0; k < STEPS; k++)
            if (!(fabs(fused[k] - apart[k]) <= 1e-6 * fabs(apart[k])))
                fail_msg("%s, step %d: %.9g, %.9g apart", methods[0], k, fused[k], apart[k]);
        assert_true(fabs(fused[0] - fused[STEPS - 1]) > 1e-3);
    }
    vox_graph_free(&g);
}

static void losses_do_not_depend_on_it(void **state)
{
    (void)state;
    static const char *const methods[][2] = {
        {"conv=direct16", "conv=direct16,relu=flat"},
        {"conv=naive,dense=naive", "conv=naive,dense=naive,relu=flat"},
    };
    /* the first one needs no gradient; left: its forward step, and the last one's backward */
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++)
        compare(network, methods[m], 2 * 6 - 1, 2);
    static const char *const apart[] = {"conv=direct16", "conv=direct16,leaky_relu=flat"};
    compare(leaky, apart, 2 * 3, 1);
}

int main(void)
{
#ifndef VOXCL_WITH_FYAML
    puts("skipped: built without libfyaml");
    return 77;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_that_can_take_a_relu),
        cmocka_unit_test(branches),
        cmocka_unit_test(layouts_make_room),
        cmocka_unit_test(what_is_before_must_not_need_its_own),
        cmocka_unit_test(dropout_goes_before_relus_are_looked_at),
        cmocka_unit_test(a_saved_relu_counts),
        cmocka_unit_test(losses_do_not_depend_on_it),
    };
    if (vox_ctx_open(&ctx, "all", &err) != VOX_OK) {
        printf("skipped: %s: %s\n", err.message, err.detail);
        return 77;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    vox_ctx_free(&ctx);
    return failed;
}
